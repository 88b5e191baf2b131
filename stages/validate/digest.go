package validate

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// digest makes a mark of a whole value: equal values have equal hashes, whatever
// the order of their members (FHIRPath N1 6.1.1).
func (v *Validator) digest(n fhir.NodeID) mark { return mark{hash: v.hash(n, 0), node: n} }

func (v *Validator) hash(n fhir.NodeID, element r4.ElementID) uint64 {
	nd := &v.nodes[n]
	h := uint64(element)*0x9E3779B97F4A7C15 + uint64(nd.Kind)
	switch nd.Kind {
	case fhir.KindObject:
		for c, end := n+1, fhir.NodeID(nd.Next); c < end; c = v.after(c) {
			h += v.hash(c, v.nodes[c].Element)
		}
	case fhir.KindArray:
		for c, end := n+1, fhir.NodeID(nd.Next); c < end; c = v.after(c) {
			h = h*31 + v.hash(c, 0)
		}
	default:
		h ^= maphash.Bytes(v.seed, v.text(n))
	}
	return h
}

// digested tells whether the sorted v.spare has a value that equals that of m.
// Equal hashes of 64 bits under a random seed are taken for equal values.
func (v *Validator) digested(m mark) bool {
	_, ok := slices.BinarySearchFunc(v.spare, m.hash, func(m mark, h uint64) int { return cmp.Compare(m.hash, h) })
	return ok
}
