package r4

import (
	"sort"

	"github.com/fhirlake/fhirlake/fhir/r4/internal/keyhash"
)

// ElementResourceType is the property "resourceType", which every resource has
// in JSON though no definition declares it as an element. It has no owner, and
// its slot is 64, so that 1<<Slot is the empty mask.
const ElementResourceType ElementID = 1

// A perfectHash places the keys of one type without collisions: a key belongs
// into the slot base + (Mix >> shift) of its table and nowhere else.
type perfectHash struct {
	multiplier uint64
	base       uint32
	shift      uint8
}

func (h *perfectHash) slot(a, b uint64, n int) int {
	return int(h.base) + int(keyhash.Mix(a, b, n, h.multiplier)>>(h.shift&63))
}

// An elementKey repeats the name of an element in the form that a lookup
// compares, apart from the large Element, so that a lookup touches few cache
// lines. It fills half a line.
type elementKey struct {
	a, b   uint64
	middle uint64 // 0 for a short name
	n      uint8
}

// Lookup returns the element that the JSON property key names in type t, or 0.
// The type of a primitive's twin ("_birthDate") is [TypeElement]; the caller
// strips the underscore. Lookup does not allocate.
//
// It is on the parser's path for each property: BenchmarkLookup tells its cost.
func Lookup(t TypeID, key []byte) ElementID {
	if int(t) >= len(lookupHashes) {
		return 0
	}
	a, b := keyhash.Words(key)
	id := lookupSlots[lookupHashes[t].slot(a, b, len(key))]
	k := &lookupKeys[id]
	if k.a != a || k.b != b || int(k.n) != len(key) {
		return 0
	}
	if len(key) > keyhash.Short {
		if k.middle != keyhash.Middle(key) || len(key) > keyhash.Medium && string(key) != elements[id].Name {
			return 0
		}
	}
	return ElementID(id)
}

// ElementByName is [Lookup] for a name that is a string.
func (t TypeID) ElementByName(name string) ElementID { return Lookup(t, []byte(name)) }

// TypeAt returns the type with the given id. The caller must not change it.
func TypeAt(t TypeID) *Type { return &types[t] }

// NumTypes returns how many TypeIDs there are, the zero one included.
func NumTypes() int { return len(types) }

// ElementAt returns the element with the given id. The caller must not change it.
func ElementAt(e ElementID) *Element { return &elements[e] }

// NumElements returns how many ElementIDs there are, the zero one and
// ElementResourceType included.
func NumElements() int { return len(elements) }

// Elements returns the elements of a type in the order of its definition. The
// first has the id TypeAt(t).FirstElement. The caller must not change them.
func Elements(t TypeID) []Element {
	d := &types[t]
	return elements[d.FirstElement:][:d.NumElements:d.NumElements]
}

// TypeByName finds a type of any kind: "Patient", "HumanName", "Patient.contact",
// "dateTime", "DomainResource".
func TypeByName(name string) (TypeID, bool) {
	i := sort.Search(len(typesByName), func(i int) bool { return types[typesByName[i]].Name >= name })
	if i == len(typesByName) || types[typesByName[i]].Name != name {
		return 0, false
	}
	return typesByName[i], true
}

// ResourceTypeByName returns one of the 146 concrete resource types, or 0.
func ResourceTypeByName(name []byte) TypeID {
	a, b := keyhash.Words(name)
	id := resourceTypeSlots[resourceTypeHash.slot(a, b, len(name))]
	if string(name) != types[id].Name {
		return 0
	}
	return id
}

// ResourceTypes returns the 146 concrete resource types, sorted by name. They
// are consecutive. The caller must not change the slice.
func ResourceTypes() []TypeID { return resourceTypes[:] }

// IsResourceType tells whether t is one of the 146 concrete resource types.
func (t TypeID) IsResourceType() bool {
	return t >= resourceTypes[0] && t <= resourceTypes[len(resourceTypes)-1]
}

// String returns the name of the type, for messages.
func (t TypeID) String() string {
	if int(t) >= len(types) {
		return ""
	}
	return types[t].Name
}
