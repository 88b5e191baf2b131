package profiles

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// plan is a profile, compiled. It is immutable.
type plan struct {
	id      uint32
	url     string
	typ     r4.TypeID
	root    *rules
	context []profile.ExtensionContext // of an extension
}

// rules are what a profile asks of each value of an element, beyond base R4.
type rules struct {
	types      []r4.TypeID // of a resource; empty for any
	fixed      *pattern
	pattern    *pattern
	limits     []limit
	maxLength  int // characters; 0 for no limit
	bindings   []binding
	targets    *targets
	profiles   []typeProfiles
	invariants []invariant
	fields     []field

	// first and index find the field of an element: 1 + its place in fields, 0
	// for none. There is no index when the elements are those of many types.
	first r4.ElementID
	index []uint16
}

// maxIndex bounds an index; a type has at most some 150 elements.
const maxIndex = 1024

// indexFields makes the index.
func (r *rules) indexFields() {
	lo, hi := r4.ElementID(noElement), r4.ElementID(0)
	for i := range r.fields {
		if f := &r.fields[i].props; f.lo != noElement {
			lo, hi = min(lo, f.lo), max(hi, f.hi)
		}
	}
	if hi < lo || hi-lo >= maxIndex {
		return
	}
	index := make([]uint16, hi-lo+1)
	for e := lo; e <= hi; e++ {
		index[e-lo] = uint16(r.fieldOf(e) + 1)
	}
	r.first, r.index = lo, index
}

// fieldOf gives the place in fields of what is asked of element e, or -1.
func (r *rules) fieldOf(e r4.ElementID) int {
	if r.index != nil {
		if i := int(e) - int(r.first); uint(i) < uint(len(r.index)) {
			return int(r.index[i]) - 1
		}
		return -1
	}
	for i := range r.fields {
		if r.fields[i].props.has(e) {
			return i
		}
	}
	return -1
}

// field is what a profile asks of a member of an object.
type field struct {
	name    string
	props   props
	min     int // 0 for no more than base R4 asks for
	max     int // r4.Unbounded for no less than base R4 allows
	allowed props
	narrow  bool // allowed counts: the profile takes some variants of a choice away
	rules   *rules
	slicing *slicing
}

// props is a set of elements. Those of one type are mostly a range.
type props struct {
	lo, hi r4.ElementID
	list   []r4.ElementID // sorted; nil when all from lo to hi are in it
}

func newProps(list []r4.ElementID) props {
	if len(list) == 0 {
		return props{lo: noElement, hi: noElement}
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	p := props{lo: sorted[0], hi: sorted[len(sorted)-1]}
	if int(p.hi-p.lo) != len(sorted)-1 {
		p.list = sorted
	}
	return p
}

// noElement is the id of nothing, and not that of an unknown member either.
const noElement = 0xFFFF

// has is on the path of every member of every object that a profile looks at; it
// is small enough to be inlined.
func (p *props) has(e r4.ElementID) bool {
	return e-p.lo <= p.hi-p.lo && (p.list == nil || p.listed(e))
}

func (p *props) listed(e r4.ElementID) bool {
	_, ok := slices.BinarySearch(p.list, e)
	return ok
}

// typeProfiles are the profiles that values of a type must conform to, one of
// them at least; with none any value will do.
type typeProfiles struct {
	typ  r4.TypeID // an abstract type stands for all that derive from it
	urls []string
}

// invariant is a constraint of a profile.
type invariant struct {
	key      string
	severity fhir.Severity
	human    string
	program  *fhirpath.Program
}

// derives tells whether t is base or a specialization of it.
func derives(t, base r4.TypeID) bool {
	for t != 0 && t != base {
		t = r4.TypeAt(t).Base
	}
	return t == base
}
