package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// An invariant is a constraint as a Go function, for those that are common or
// that cost much as FHIRPath. TestTwins runs each against the expression of its
// definition.
type invariant struct {
	path  string // where the constraint is declared; "" for wherever its key is used
	when  string // members without which it holds anyhow; "" when there are none
	holds func(v *Validator, n fhir.NodeID) bool
}

// checkedElsewhere are the constraints that have no entry of their own, with the
// reason.
var checkedElsewhere = map[string]string{
	"ele-1":  "Validator.object and twins",
	"txt-1":  "Validator.narrative",
	"txt-2":  "Validator.narrative",
	"ref-1":  "Validator.reference",
	"dom-2":  "Validator.containedIDs",
	"dom-3":  "Validator.unreferenced",
	"dom-4":  "Validator.containedIDs",
	"dom-5":  "Validator.containedIDs",
	"per-1":  "Validator.period",
	"bdl-1":  "Validator.bundle",
	"bdl-2":  "Validator.entryParts",
	"bdl-3":  "Validator.entryParts",
	"bdl-4":  "Validator.entryParts",
	"bdl-7":  "Validator.fullURLs",
	"bdl-9":  "Validator.document",
	"bdl-10": "Validator.document",
	"bdl-11": "Validator.document",
	"bdl-12": "Validator.bundle",
	"cid-0":  "nowhere: its expression asks for a name, which ChargeItemDefinition does not have",
	"eld-11": "nowhere: its expression is true of every element that has a type with a code",
}

// checkedOtherwise are the invariants that ask for something else than the
// expression of their definition says, with the reason.
var checkedOtherwise = map[string]string{
	"bdl-8":  "the expression is empty where there is no fullUrl",
	"cid-0":  "not at all, see checkedElsewhere",
	"ctm-1":  "a relative reference within a Bundle is not followed",
	"dom-3":  "the expression takes `as` of many items, which is an error",
	"inv-1":  "on Task: dates of different precision are sound as far as they are known",
	"mdd-1":  "dates of different precision are sound as far as they are known",
	"per-1":  "dates of different precision are sound as far as they are known",
	"que-7":  "a value of FHIR's boolean is no System.Boolean, which the expression asks for",
	"que-12": "the expression counts more than two where the rule says more than one, as later versions of FHIR do",
	"ras-2":  "the expression is empty where there is no probability",
	"ref-1":  "the expression is empty where there is no reference",
	"tim-9":  "the expression cannot be evaluated where there are several whens",
}

// invariantOf finds the function of a constraint.
func invariantOf(c *r4.Constraint) (invariant, bool) {
	for _, list := range []map[string]invariant{clinicalInvariants, definitionInvariants, structureInvariants} {
		if f, ok := list[c.Key]; ok && (f.path == "" || f.path == c.Path) {
			return f, true
		}
	}
	if len(c.Key) > 2 && c.Key[len(c.Key)-2:] == "-0" && c.Expression == nameExpression {
		return invariant{holds: hasUsableName}, true
	}
	return invariant{}, false
}

// hasAny tells whether object n has a member of one of the slots.
func (v *Validator) hasAny(n fhir.NodeID, slots uint64) bool {
	for c, end := uint32(n)+1, v.nodes[n].Next; c < end; c = v.nodes[c].Next {
		if e := v.nodes[c].Element; e != 0 && slots>>v.table.slots[e]&1 != 0 {
			return true
		}
	}
	return false
}

// member finds the member of object n with the given name, or NoNode.
func (v *Validator) member(n fhir.NodeID, name string) fhir.NodeID {
	if n == fhir.NoNode {
		return fhir.NoNode
	}
	e := v.nodes[n].Type.ElementByName(name)
	if e == 0 {
		return fhir.NoNode
	}
	return v.tree.Child(n, e)
}

// has tells whether object n has the member, or its `_` twin.
func (v *Validator) has(n fhir.NodeID, name string) bool {
	if n == fhir.NoNode {
		return false
	}
	e := v.nodes[n].Type.ElementByName(name)
	if e == 0 {
		return false
	}
	for c, end := uint32(n)+1, v.nodes[n].Next; c < end; c = v.nodes[c].Next {
		if v.nodes[c].Element == e {
			return true
		}
	}
	return false
}

// items gives the values of a member: those from first on, each after the one
// before it ([Validator.after]), below end. There are none when first is end.
func (v *Validator) items(n fhir.NodeID, name string) (first, end fhir.NodeID) {
	return v.values(v.member(n, name))
}

// values is items of a member that is found already, or NoNode.
func (v *Validator) values(m fhir.NodeID) (first, end fhir.NodeID) {
	if m == fhir.NoNode {
		return 0, 0
	}
	if v.nodes[m].Kind == fhir.KindArray {
		return m + 1, fhir.NodeID(v.nodes[m].Next)
	}
	return m, fhir.NodeID(v.nodes[m].Next)
}

// after gives the node after the subtree of n.
func (v *Validator) after(n fhir.NodeID) fhir.NodeID { return fhir.NodeID(v.nodes[n].Next) }

// count tells how many values a member has.
func (v *Validator) count(n fhir.NodeID, name string) int {
	k := 0
	for c, end := v.items(n, name); c < end; c = v.after(c) {
		k++
	}
	return k
}

// memberOfMeta finds element e of the meta of resource n, or NoNode.
func (v *Validator) memberOfMeta(n fhir.NodeID, e r4.ElementID) fhir.NodeID {
	if meta := v.member(n, "meta"); meta != fhir.NoNode && v.nodes[meta].Kind == fhir.KindObject {
		return v.tree.Child(meta, e)
	}
	return fhir.NoNode
}

// memberIs tells whether the member is a string with the given value.
func (v *Validator) memberIs(n fhir.NodeID, name, value string) bool {
	return v.is(v.member(n, name), value)
}

// hasCoding tells whether the CodeableConcept n, which may be NoNode, has a coding
// with the system and one of the codes.
func (v *Validator) hasCoding(n fhir.NodeID, system string, codes ...string) bool {
	if n == fhir.NoNode {
		return false
	}
	for c, end := v.values(v.tree.Child(n, elCoding)); c < end; c = v.after(c) {
		if v.nodes[c].Kind != fhir.KindObject || !v.is(v.tree.Child(c, elCodingSystem), system) {
			continue
		}
		code := v.tree.Child(c, elCodingCode)
		for _, want := range codes {
			if v.is(code, want) {
				return true
			}
		}
	}
	return false
}

// distinct tells whether the member of every value of a list differs from the
// others.
func (v *Validator) distinct(n fhir.NodeID, list, name string) bool {
	v.spare = v.spare[:0]
	for c, end := v.items(n, list); c < end; c = v.after(c) {
		if m := v.member(c, name); m != fhir.NoNode {
			v.spare = append(v.spare, v.mark(m))
		}
	}
	return v.spareDistinct()
}

// spareDistinct tells whether no two marks in v.spare stand for equal strings.
func (v *Validator) spareDistinct() bool {
	distinct := true
	v.repeated(v.spare, func(mark) { distinct = false })
	return distinct
}

// nameExpression is that of the constraints xyz-0, all warnings.
const nameExpression = `name.matches('[A-Z]([A-Za-z0-9_]){0,254}')`

// hasUsableName does what the expression says, which is not anchored: a capital
// letter anywhere is enough.
func hasUsableName(v *Validator, n fhir.NodeID) bool {
	name := v.member(n, "name")
	if name == fhir.NoNode || v.nodes[name].Kind != fhir.KindString {
		return false
	}
	for _, c := range v.text(name) {
		if 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}

// negative tells whether the number n, which may be NoNode, is below zero.
func (v *Validator) negative(n fhir.NodeID) bool {
	if n == fhir.NoNode || v.nodes[n].Kind != fhir.KindNumber {
		return false
	}
	text := v.tree.Raw(n)
	if text[0] != '-' {
		return false
	}
	for _, c := range text[1:] {
		switch {
		case '1' <= c && c <= '9':
			return true
		case c == 'e' || c == 'E':
			return false
		}
	}
	return false
}
