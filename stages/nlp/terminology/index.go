package terminology

import (
	"github.com/fhirlake/fhirlake/stages/nlp/phrase"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// An Index finds terms in text. It is immutable, may be shared, and holds no
// pointers but those to its arrays, which may lie in a mapped file.
type Index struct {
	set      phrase.Set
	info     []uint32 // of each entry: category, type, kind, flags, a byte each
	refFirst []uint32 // where the concepts of an entry begin, and their number
	refs     []uint32 // concept, and rank in the upper 8 bits, ordered by system and rank
	systems  []uint32 // of each concept
	text     []uint32 // where code and description of each concept begin in blob, and its end
	blob     []byte
	version  string
}

// An Entry is what a text that is in the dictionary stands for, 0 for nothing.
type Entry uint32

// A Concept is a code of a system.
type Concept struct {
	System      System
	Code        []byte // aliases the index, as Description does
	Description []byte
	Rank        uint8
}

// The flags of an entry.
const (
	flagExact = 1
	flagDosed = 2
)

// perSystem is how many concepts of a system an entry keeps, the most that
// Comprehend Medical gives.
const perSystem = 5

// Longest finds the longest term that begins with the first token, and how many
// tokens it takes.
func (x *Index) Longest(tokens []token.Token) (Entry, int) {
	v, n := x.set.Longest(tokens)
	return Entry(v), n
}

// Category, Type and Kind tell what an entry is.
func (x *Index) Category(e Entry) Category { return Category(x.info[e-1]) }

// Type is the type of an entry within its category.
func (x *Index) Type(e Entry) Type { return Type(x.info[e-1] >> 8) }

// Kind says what a condition is.
func (x *Index) Kind(e Entry) Kind { return Kind(x.info[e-1] >> 16) }

// Exact tells whether an entry is an abbreviation that has to be written in capitals.
func (x *Index) Exact(e Entry) bool { return x.info[e-1]>>24&flagExact != 0 }

// Dosed tells whether an entry is the name of a drug with its strength.
func (x *Index) Dosed(e Entry) bool { return x.info[e-1]>>24&flagDosed != 0 }

// Concepts is the number of concepts of an entry.
func (x *Index) Concepts(e Entry) int { return int(x.refFirst[e] - x.refFirst[e-1]) }

// Concept is one of the concepts of an entry. They are ordered by system, and
// within one from the best to the worst.
func (x *Index) Concept(e Entry, i int) Concept {
	ref := x.refs[int(x.refFirst[e-1])+i]
	c := ref & 0xFFFFFF
	return Concept{
		System:      System(x.systems[c]),
		Code:        x.blob[x.text[2*c]:x.text[2*c+1]:x.text[2*c+1]],
		Description: x.blob[x.text[2*c+1]:x.text[2*c+2]:x.text[2*c+2]],
		Rank:        uint8(ref >> 24),
	}
}

// Len is the number of different texts that the index finds.
func (x *Index) Len() int { return len(x.info) }

// Version tells one dictionary from another: equal terms, equal version.
func (x *Index) Version() string { return x.version }
