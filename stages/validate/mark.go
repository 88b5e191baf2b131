package validate

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
)

// A mark stands for a string among many of which some may be equal. Marks are
// sorted by hash, and looked up by it, so that neither takes quadratic time nor
// keeps copies.
type mark struct {
	hash uint64
	node fhir.NodeID // the string
	of   fhir.NodeID // what it stands for; what that is depends on the list
	met  bool        // something refers to it
}

// mark makes the mark of a string.
func (v *Validator) mark(n fhir.NodeID) mark {
	return mark{hash: maphash.Bytes(v.seed, v.text(n)), node: n}
}

// sortMarks sorts by hash, equal ones in the order of the text.
func sortMarks(m []mark) {
	slices.SortFunc(m, func(a, b mark) int {
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return cmp.Compare(a.node, b.node)
	})
}

// sortByNode sorts by the place in the text.
func sortByNode(m []mark) {
	slices.SortFunc(m, func(a, b mark) int { return cmp.Compare(a.node, b.node) })
}

// same tells whether two marks stand for equal strings.
func (v *Validator) same(a, b mark) bool {
	if a.hash != b.hash {
		return false
	}
	v.buf2 = append(v.buf2[:0], v.text(a.node)...)
	return bytes.Equal(v.buf2, v.text(b.node))
}

// find gives the marks in the sorted list that stand for text. Hashes of 64 bits
// with a random seed that are equal are taken to be of equal strings only after
// a look at the first.
func (v *Validator) find(list []mark, text []byte) []mark {
	if len(list) == 0 {
		return nil
	}
	h := maphash.Bytes(v.seed, text)
	i, ok := slices.BinarySearchFunc(list, h, func(m mark, h uint64) int { return cmp.Compare(m.hash, h) })
	if !ok {
		return nil
	}
	v.buf2 = append(v.buf2[:0], text...)
	if !bytes.Equal(v.buf2, v.text(list[i].node)) {
		return nil
	}
	j := i + 1
	for j < len(list) && list[j].hash == h {
		j++
	}
	return list[i:j]
}

// repeated calls do for each string that is in the list before, in the order of
// the text: hashes are random, issues are not. It sorts the list by hash.
func (v *Validator) repeated(list []mark, do func(again mark)) {
	if len(list) < 2 {
		return
	}
	sortMarks(list)
	v.again = v.again[:0]
	for i := 1; i < len(list); i++ {
		if v.same(list[i-1], list[i]) {
			v.again = append(v.again, list[i])
		}
	}
	sortByNode(v.again)
	for _, m := range v.again {
		do(m)
	}
}

// elementIDs reports the ids of elements that occur more than once in a resource
// (FHIR R4 2.24.0.3: an id is unique within the resource); from is where those of
// the resource begin.
func (v *Validator) elementIDs(from int) {
	v.repeated(v.ids[from:], func(again mark) {
		v.fault(again.node, fhir.CodeDuplicate, "element id '%s' occurs twice; expected ids that are unique within the resource", v.quote(again.node))
	})
}
