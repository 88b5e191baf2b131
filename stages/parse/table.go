package parse

import (
	"encoding/binary"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A form is what stands after the colon of a member.
type form uint8

const (
	formPrimitive    form = iota // one string, number or boolean
	formObject                   // one object of the member's type
	formArray                    // an array of these
	formResource                 // one object that names its own type
	formResourceType             // the string that names the type
)

// member is what the parser needs of an element, in one cache line.
type member struct {
	// The key with quotes and colon as words: `w[0] w[1]` under masks, and for
	// keys of more than 16 bytes its last 16 bytes in w[2] and w[3].
	w        [4]uint64
	mask     [2]uint64
	bit      uint64 // its bit in the masks of its object; all variants of a choice share one
	typ      r4.TypeID
	codes    uint16       // its code set, 0 for none
	prim     r4.Primitive // PrimitiveNone: an object
	form     form         // of the member
	item     form         // of an item, if form is formArray
	size     uint8        // of the key with quotes and colon
	twinless bool         // a primitive without `_` companion
}

// maxGuess is the longest key text that is guessed. Longer ones are read.
const maxGuess = 32

// tables is made once, at the first [NewParser] (0.3 ms).
var tables = sync.OnceValue(func() *table {
	t := &table{
		members:  make([]member, r4.NumElements()),
		required: make([]uint64, r4.NumTypes()),
	}
	t.members[0] = unguessable
	for i := 1; i < r4.NumElements(); i++ {
		t.members[i] = newMember(r4.ElementID(i))
	}
	for i := range t.required {
		t.required[i] = r4.TypeAt(r4.TypeID(i)).RequiredMask
	}
	return t
})

type table struct {
	members  []member
	required []uint64
}

// unguessable has the key of no text: 0xFF is never in JSON outside strings.
var unguessable = member{w: [4]uint64{^uint64(0)}, mask: [2]uint64{^uint64(0)}}

func newMember(id r4.ElementID) member {
	e := r4.ElementAt(id)
	m := unguessable
	m.typ = e.Type
	m.prim = r4.TypeAt(e.Type).Primitive
	key := `"` + e.Name + `":`
	if len(key) <= maxGuess {
		m.size = uint8(len(key))
		var b [maxGuess]byte
		copy(b[:], key)
		for i := range 2 {
			m.w[i] = binary.LittleEndian.Uint64(b[8*i:])
			switch n := len(key) - 8*i; {
			case n >= 8:
				m.mask[i] = ^uint64(0)
			case n > 0:
				m.mask[i] = 1<<(8*n) - 1
			default:
				m.mask[i] = 0
			}
		}
		if n := len(key); n > 16 {
			m.w[2] = binary.LittleEndian.Uint64(b[n-16:])
			m.w[3] = binary.LittleEndian.Uint64(b[n-8:])
		}
	}
	m.bit = 1 << e.Slot
	if e.Binding.Strength == r4.BindingRequired && m.prim == r4.PrimitiveCode {
		m.codes = e.Binding.CodeSet
	}
	switch {
	case id == r4.ElementResourceType:
		m.item = formResourceType
	case e.Type == r4.TypeResource:
		m.item = formResource
	case m.prim == r4.PrimitiveNone:
		m.item = formObject
	default:
		m.item = formPrimitive
	}
	m.form = m.item
	if e.Repeats() {
		m.form = formArray
	}
	m.twinless = m.item != formPrimitive || m.prim == r4.PrimitiveXHTML ||
		e.Name == "id" && r4.TypeAt(e.Owner).Kind != r4.KindResource ||
		e.Name == "url" && e.Owner == r4.TypeExtension
	return m
}
