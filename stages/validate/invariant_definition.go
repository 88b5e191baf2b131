package validate

import (
	"bytes"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// definitionInvariants are those of ElementDefinition, of which there are many, and
// of lists of codes or links, which may be long.
var definitionInvariants = map[string]invariant{
	"csd-1": {when: "concept", holds: holdsCsd1},
	"que-2": {when: "item", holds: holdsQue2},
	"ig-1": {when: "resource", holds: func(v *Validator, n fhir.NodeID) bool {
		return v.allAmong(n, "groupingId", n, "grouping", "id")
	}},
	"ig-2": {when: "definition", holds: func(v *Validator, n fhir.NodeID) bool {
		return v.allAmong(v.member(n, "definition"), "fhirVersion", n, "fhirVersion", "")
	}},

	"eld-2": {when: "min", holds: holdsEld2},
	"eld-3": {path: "ElementDefinition.max", holds: holdsEld3},
	"eld-4": {when: "aggregation", holds: refersToResource},
	"eld-6": {when: "fixed", holds: hasOneType},
	"eld-7": {when: "pattern", holds: hasOneType},
	"eld-12": {when: "valueSet", holds: func(v *Validator, n fhir.NodeID) bool {
		return v.begins(v.member(n, "valueSet"), "http:", "https", "urn:")
	}},
	"eld-13": {when: "type", holds: func(v *Validator, n fhir.NodeID) bool { return v.distinct(n, "type", "code") }},
	"eld-14": {when: "constraint", holds: func(v *Validator, n fhir.NodeID) bool { return v.distinct(n, "constraint", "key") }},
	"eld-16": {when: "sliceName", holds: holdsEld16},
	"eld-17": {when: "targetProfile", holds: refersToResource},
	"eld-18": {when: "isModifier", holds: func(v *Validator, n fhir.NodeID) bool {
		m := v.member(n, "isModifier")
		return m == fhir.NoNode || v.nodes[m].Kind != fhir.KindTrue || v.has(n, "isModifierReason")
	}},
	"eld-19": {holds: func(v *Validator, n fhir.NodeID) bool { return v.pathHas(n, elementNameByte) }},
	"eld-20": {holds: func(v *Validator, n fhir.NodeID) bool { return v.pathHas(n, letter) }},
}

func (v *Validator) isTrue(n fhir.NodeID, name string) bool {
	m := v.member(n, name)
	return m != fhir.NoNode && v.nodes[m].Kind == fhir.KindTrue
}

// begins tells whether string n, which may be NoNode, begins with one of prefixes.
func (v *Validator) begins(n fhir.NodeID, prefixes ...string) bool {
	if n == fhir.NoNode {
		return false
	}
	text := v.text(n)
	for _, p := range prefixes {
		if len(text) >= len(p) && string(text[:len(p)]) == p {
			return true
		}
	}
	return false
}

func contains(text []byte, s string) bool { return bytes.Contains(text, []byte(s)) }

// holdsCsd1: the codes of a CodeSystem are distinct over all levels.
func holdsCsd1(v *Validator, n fhir.NodeID) bool {
	return v.distinctBelow(v.member(n, "concept"), elConceptCode)
}

// holdsQue2: the linkIds of a Questionnaire are distinct over all levels.
func holdsQue2(v *Validator, n fhir.NodeID) bool {
	return v.distinctBelow(n, elItemLinkID)
}

// distinctBelow tells whether the values of element e anywhere below n, which may
// be NoNode, are distinct.
func (v *Validator) distinctBelow(n fhir.NodeID, e r4.ElementID) bool {
	if n == fhir.NoNode {
		return true
	}
	v.spare = v.spare[:0]
	for c, end := n+1, v.after(n); c < end; c++ {
		if nd := &v.nodes[c]; nd.Element == e && nd.Flags&fhir.FlagTwin == 0 {
			v.spare = append(v.spare, v.mark(c))
		}
	}
	return v.spareDistinct()
}

// allAmong tells whether the values of the member name of each resource of an
// ImplementationGuide's definition are among those of the list of n: its items, or
// their member key. It is what ig-1 and ig-2 ask for.
func (v *Validator) allAmong(definition fhir.NodeID, name string, n fhir.NodeID, list, key string) bool {
	v.spare = v.spare[:0]
	for c, end := v.items(n, list); c < end; c = v.after(c) {
		m := c
		if key != "" {
			m = v.member(c, key)
		}
		if v.isString(m) {
			v.spare = append(v.spare, v.mark(m))
		}
	}
	sortMarks(v.spare)
	for r, end := v.items(definition, "resource"); r < end; r = v.after(r) {
		for c, end := v.items(r, name); c < end; c = v.after(c) {
			if v.isString(c) && v.find(v.spare, v.text(c)) == nil {
				return false
			}
		}
	}
	return true
}

// holdsEld2: min <= max.
func holdsEld2(v *Validator, n fhir.NodeID) bool {
	low, high := v.member(n, "min"), v.member(n, "max")
	if low == fhir.NoNode || high == fhir.NoNode || v.is(high, "*") {
		return true
	}
	a, errA := strconv.ParseInt(string(v.tree.Raw(low)), 10, 32)
	b, errB := strconv.ParseInt(string(v.text(high)), 10, 32)
	return errA == nil && errB == nil && a <= b
}

// holdsEld3: max is a number or "*".
func holdsEld3(v *Validator, n fhir.NodeID) bool {
	text := v.text(n)
	if len(text) == 1 && (text[0] == '*' || text[0]-'0' <= 9) {
		return true
	}
	k, err := strconv.ParseInt(string(text), 10, 32)
	return err == nil && k >= 0
}

// holdsEld16: sliceName.matches('^[a-zA-Z0-9\\/\\-_\\[\\]\\@]+$').
func holdsEld16(v *Validator, n fhir.NodeID) bool {
	name := v.member(n, "sliceName")
	return name == fhir.NoNode || only(v.text(name), sliceNameByte)
}

// refersToResource: eld-4 and eld-17 are for types that refer to a resource.
func refersToResource(v *Validator, n fhir.NodeID) bool {
	code := v.member(n, "code")
	return v.is(code, "Reference") || v.is(code, "canonical")
}

func hasOneType(v *Validator, n fhir.NodeID) bool { return v.count(n, "type") <= 1 }

// A byteSet is a set of bytes.
type byteSet [256]bool

func bytesOf(chars string) *byteSet {
	var s byteSet
	for i := range len(chars) {
		s[chars[i]] = true
	}
	return &s
}

const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
)

var (
	letter        = bytesOf(letters)
	typeNameByte  = bytesOf(letters + digits)
	sliceNameByte = bytesOf(letters + digits + `/-_[]@`)
	// elementNameByte has what eld-19 allows in a name.
	elementNameByte = func() *byteSet {
		s := bytesOf(" \t\n\v\f\r.,:;'\"/|?!@#$%&*()[]{}")
		for i := range s {
			s[i] = !s[i]
		}
		return s
	}()
)

// only tells whether text has some bytes, all of the set.
func only(text []byte, set *byteSet) bool {
	for _, c := range text {
		if !set[c] {
			return false
		}
	}
	return len(text) > 0
}

// pathHas tells whether the path of an ElementDefinition has a byte of the set:
// eld-19 and eld-20 are not anchored, so that one character that may begin a name
// is enough.
func (v *Validator) pathHas(n fhir.NodeID, set *byteSet) bool {
	path := v.member(n, "path")
	if path == fhir.NoNode {
		return false
	}
	for _, c := range v.text(path) {
		if set[c] {
			return true
		}
	}
	return false
}
