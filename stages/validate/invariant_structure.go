package validate

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// structureInvariants are those of StructureDefinition, whose many elements make
// FHIRPath dear.
var structureInvariants = map[string]invariant{
	"sdf-1": {when: "snapshot", holds: func(v *Validator, n fhir.NodeID) bool {
		return v.memberIs(n, "derivation", "constraint") || v.distinct(v.member(n, "snapshot"), "element", "path")
	}},
	"sdf-3":  {path: "StructureDefinition.snapshot", when: "element", holds: allHave("definition", "min", "max")},
	"sdf-4":  {holds: func(v *Validator, n fhir.NodeID) bool { return v.isTrue(n, "abstract") || v.has(n, "baseDefinition") }},
	"sdf-5":  {holds: holdsSdf5},
	"sdf-8":  {path: "StructureDefinition.snapshot", when: "element", holds: holdsSdf8},
	"sdf-8b": {path: "StructureDefinition.snapshot", when: "element", holds: allHave("base")},
	"sdf-9":  {when: "snapshot differential", holds: holdsSdf9},
	"sdf-10": {path: "StructureDefinition.snapshot.element", when: "binding", holds: holdsSdf10},
	"sdf-11": {when: "snapshot", holds: holdsSdf11},
	"sdf-8a": {path: "StructureDefinition.differential", when: "element", holds: holdsSdf8a},
	"sdf-14": {holds: func(v *Validator, n fhir.NodeID) bool {
		return allHaveID(v, v.member(n, "snapshot")) && allHaveID(v, v.member(n, "differential"))
	}},
	"sdf-15a": {when: "differential", holds: holdsSdf15a},
	"sdf-15":  {when: "snapshot", holds: holdsSdf15},
	"sdf-16":  {when: "snapshot", holds: func(v *Validator, n fhir.NodeID) bool { return hasDistinctIDs(v, n, "snapshot") }},
	"sdf-17":  {when: "differential", holds: func(v *Validator, n fhir.NodeID) bool { return hasDistinctIDs(v, n, "differential") }},
	"sdf-18":  {when: "contextInvariant", holds: func(v *Validator, n fhir.NodeID) bool { return v.memberIs(n, "type", "Extension") }},
	"sdf-19":  {when: "url", holds: holdsSdf19},
	"sdf-20":  {path: "StructureDefinition.differential", when: "element", holds: rootLacks("slicing")},
	"sdf-21":  {when: "differential", holds: holdsSdf21},
	"sdf-22":  {when: "url", holds: holdsSdf22},
	"sdf-23":  {holds: holdsSdf23},
}

// allHave makes the invariant that every element of n has the members.
func allHave(names ...string) func(v *Validator, n fhir.NodeID) bool {
	return func(v *Validator, n fhir.NodeID) bool {
		for c, end := v.items(n, "element"); c < end; c = v.after(c) {
			for _, name := range names {
				if !v.has(c, name) {
					return false
				}
			}
		}
		return true
	}
}

// rootLacks makes the invariant that no element of n that is a root has the member.
func rootLacks(name string) func(v *Validator, n fhir.NodeID) bool {
	return func(v *Validator, n fhir.NodeID) bool {
		for c, end := v.items(n, "element"); c < end; c = v.after(c) {
			if v.isRoot(c) && v.has(c, name) {
				return false
			}
		}
		return true
	}
}

var (
	noLabel        = rootLacks("label")
	noCode         = rootLacks("code")
	noRequirements = rootLacks("requirements")
	noSliceName    = rootLacks("sliceName")
	allHaveID      = allHave("id")
)

// views are the two lists of elements.
var views = [...]string{"snapshot", "differential"}

// isRoot tells whether an ElementDefinition has a path without a point.
func (v *Validator) isRoot(n fhir.NodeID) bool {
	path := v.member(n, "path")
	return path != fhir.NoNode && bytes.IndexByte(v.text(path), '.') < 0
}

// firstElement gives the first element of a view of StructureDefinition n, or NoNode.
func (v *Validator) firstElement(n fhir.NodeID, view string) fhir.NodeID {
	if c, end := v.items(v.member(n, view), "element"); c < end {
		return c
	}
	return fhir.NoNode
}

func isLogical(v *Validator, n fhir.NodeID) bool { return v.memberIs(n, "kind", "logical") }

func holdsSdf5(v *Validator, n fhir.NodeID) bool {
	return !v.memberIs(n, "type", "Extension") || v.memberIs(n, "derivation", "specialization") || v.has(n, "context")
}

// holdsSdf8: all paths of a snapshot begin with that of its first element, which
// is the type.
func holdsSdf8(v *Validator, n fhir.NodeID) bool {
	c, end := v.items(n, "element")
	if c >= end {
		return true
	}
	path := v.member(c, "path")
	typ := v.member(v.at.resource, "type")
	if path == fhir.NoNode || !isLogical(v, v.at.resource) && !v.equalText(path, typ) {
		return false
	}
	return v.allBelow(v.after(c), end, v.tree.String(path, nil))
}

// holdsSdf8a: the first path of a differential begins with the type, the others
// with the first step of the first.
func holdsSdf8a(v *Validator, n fhir.NodeID) bool {
	c, end := v.items(n, "element")
	if c >= end {
		return true
	}
	path, typ := v.member(c, "path"), v.member(v.at.resource, "type")
	if path == fhir.NoNode || typ == fhir.NoNode {
		return false
	}
	first := v.tree.String(path, nil)
	if !isLogical(v, v.at.resource) && !bytes.HasPrefix(first, v.text(typ)) {
		return false
	}
	step, _, _ := bytes.Cut(first, []byte{'.'})
	return v.allBelow(v.after(c), end, step)
}

// allBelow tells whether the paths of the elements c to end begin with step and a
// point.
func (v *Validator) allBelow(c, end fhir.NodeID, step []byte) bool {
	for ; c < end; c = v.after(c) {
		path := v.member(c, "path")
		if path == fhir.NoNode {
			return false
		}
		if text := v.text(path); len(text) <= len(step) || text[len(step)] != '.' || !bytes.HasPrefix(text, step) {
			return false
		}
	}
	return true
}

// equalText tells whether two strings, which may be NoNode, are equal.
func (v *Validator) equalText(a, b fhir.NodeID) bool {
	if a == fhir.NoNode || b == fhir.NoNode {
		return false
	}
	v.buf2 = append(v.buf2[:0], v.text(a)...)
	return bytes.Equal(v.buf2, v.text(b))
}

func holdsSdf9(v *Validator, n fhir.NodeID) bool {
	for _, view := range views {
		if m := v.member(n, view); !noLabel(v, m) || !noCode(v, m) || !noRequirements(v, m) {
			return false
		}
	}
	return true
}

func holdsSdf10(v *Validator, n fhir.NodeID) bool {
	b := v.member(n, "binding")
	return v.has(b, "valueSet") || v.has(b, "description")
}

func holdsSdf11(v *Validator, n fhir.NodeID) bool {
	return isLogical(v, n) || v.equalText(v.member(v.firstElement(n, "snapshot"), "path"), v.member(n, "type"))
}

func holdsSdf15(v *Validator, n fhir.NodeID) bool {
	return isLogical(v, n) || !v.has(v.firstElement(n, "snapshot"), "type")
}

// holdsSdf15a is sdf-15 for a differential that begins with the root.
func holdsSdf15a(v *Validator, n fhir.NodeID) bool {
	first := v.firstElement(n, "differential")
	return isLogical(v, n) || first == fhir.NoNode || !v.isRoot(first) || !v.has(first, "type")
}

func hasDistinctIDs(v *Validator, n fhir.NodeID, view string) bool {
	m := v.member(n, view)
	return allHaveID(v, m) && v.distinct(m, "element", "id")
}

// isSpecification tells whether a StructureDefinition is one of FHIR itself, as
// sdf-19 and sdf-22 see it.
func (v *Validator) isSpecification(n fhir.NodeID) bool {
	return v.begins(v.member(n, "url"), "http://hl7.org/fhir/StructureDefinition")
}

// holdsSdf19: definitions of FHIR itself use types of FHIR only.
func holdsSdf19(v *Validator, n fhir.NodeID) bool {
	if !v.isSpecification(n) {
		return true
	}
	for _, view := range views {
		set := typeNameByte
		if view == "snapshot" {
			set = qualifiedNameByte
		}
		for c, end := v.items(v.member(n, view), "element"); c < end; c = v.after(c) {
			for t, end := v.items(c, "type"); t < end; t = v.after(t) {
				if code := v.member(t, "code"); code != fhir.NoNode && !isTypeName(v.text(code), set) {
					return false
				}
			}
		}
	}
	return true
}

var qualifiedNameByte = bytesOf(letters + digits + ".")

// isTypeName tells whether text is a name of bytes of the set, or the URL of a
// type of FHIRPath: http://hl7.org/fhirpath/System.String.
func isTypeName(text []byte, set *byteSet) bool {
	if name, ok := bytes.CutPrefix(text, []byte("http://hl7.org/fhirpath/System.")); ok {
		return len(name) > 1 && 'A' <= name[0] && name[0] <= 'Z' && only(name[1:], letter)
	}
	return only(text, set)
}

var defaultValue = slotsOf(r4.TypeElementDefinition, "defaultValue")

// hasDefault tells whether an element of the view has a default value.
func hasDefault(v *Validator, n fhir.NodeID, view string) bool {
	for c, end := v.items(v.member(n, view), "element"); c < end; c = v.after(c) {
		if v.hasAny(c, defaultValue) {
			return true
		}
	}
	return false
}

func holdsSdf21(v *Validator, n fhir.NodeID) bool {
	return v.memberIs(n, "derivation", "specialization") || !hasDefault(v, n, "differential")
}

func holdsSdf22(v *Validator, n fhir.NodeID) bool {
	return !v.isSpecification(n) || !hasDefault(v, n, "snapshot") && !hasDefault(v, n, "differential")
}

func holdsSdf23(v *Validator, n fhir.NodeID) bool {
	return noSliceName(v, v.member(n, "snapshot")) && noSliceName(v, v.member(n, "differential"))
}
