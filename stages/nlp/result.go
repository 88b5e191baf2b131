package nlp

import (
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// A Document is what was found in a text. It belongs to its [Detector] and is
// valid until the next call of Detect.
type Document struct {
	Text       []byte
	Entities   []Entity // by Begin
	Attributes []Attribute
	index      *terminology.Index
}

// An Entity is a mention of something. Offsets count code points; ByteBegin and
// ByteEnd are those in the text as it lies in memory.
type Entity struct {
	Begin, End         int
	ByteBegin, ByteEnd int
	Category           terminology.Category
	Type               terminology.Type
	Score              float32
	Traits             Traits
	attributes         span
	entry              terminology.Entry
	whole              terminology.Entry // of a drug that stands there with its strength
	mention            int32
	tokens             span
}

type span struct{ begin, end int32 }

// An Attribute says more about an entity.
type Attribute struct {
	Begin, End         int
	ByteBegin, ByteEnd int
	Category           terminology.Category
	Type               terminology.Type
	Score              float32
	RelationshipScore  float32
	Relationship       string
}

// Traits are what the context says about an entity.
type Traits uint16

// The traits, in the order of output.
const (
	Negation Traits = 1 << iota
	TraitDiagnosis
	TraitSign
	TraitSymptom
	PastHistory
	PertainsToFamily
	Hypothetical
	LowConfidence
	Future
)

var traitNames = []struct {
	trait Traits
	name  string
	score float32
}{
	{Negation, "NEGATION", 0.95},
	{TraitDiagnosis, "DIAGNOSIS", 0.9},
	{TraitSign, "SIGN", 0.85},
	{TraitSymptom, "SYMPTOM", 0.85},
	{PastHistory, "PAST_HISTORY", 0.85},
	{PertainsToFamily, "PERTAINS_TO_FAMILY", 0.9},
	{Hypothetical, "HYPOTHETICAL", 0.85},
	{LowConfidence, "LOW_CONFIDENCE", 0.8},
	{Future, "FUTURE", 0.7},
}

// Has tells whether any of the traits is set.
func (t Traits) Has(u Traits) bool { return t&u != 0 }

// Bytes is the text of an entity.
func (d *Document) Bytes(e *Entity) []byte { return d.Text[e.ByteBegin:e.ByteEnd] }

// Mention is the place, from 0, of the mention that the caller gave and the entity
// is, or -1.
func (e *Entity) Mention() int { return int(e.mention) - 1 }

// AttributesOf are the attributes of an entity.
func (d *Document) AttributesOf(e *Entity) []Attribute {
	return d.Attributes[e.attributes.begin:e.attributes.end]
}

// Concepts calls fn for the concepts of an entity in a system, the best one
// first, at most five, each with its score. Of a drug that stands there with its
// strength, the concept of both comes first.
func (d *Document) Concepts(e *Entity, system terminology.System, fn func(c terminology.Concept, score float32)) {
	place := 0
	for _, entry := range [...]terminology.Entry{e.whole, e.entry} {
		if entry == 0 {
			continue
		}
		for i := range d.index.Concepts(entry) {
			c := d.index.Concept(entry, i)
			if c.System != system || place == maxConcepts {
				continue
			}
			fn(c, e.Score*max(0.3, 1-0.06*float32(c.Rank)-0.08*float32(place)))
			place++
		}
	}
}

// maxConcepts is how many concepts of a system an entity has, as Comprehend Medical has it.
const maxConcepts = 5

// codePoints sets the offsets in code points. The entities are in order, so the
// text is counted once for them; attributes are near their entities. Each byte
// that is not UTF-8 is one.
func (d *Document) codePoints() {
	ascii := true
	for _, b := range d.Text {
		if b >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	bytes, runes := 0, 0
	for i := range d.Entities {
		e := &d.Entities[i]
		if ascii {
			e.Begin, e.End = e.ByteBegin, e.ByteEnd
		} else {
			runes += runeCount(d.Text[bytes:e.ByteBegin])
			bytes = e.ByteBegin
			e.Begin = runes
			e.End = runes + runeCount(d.Text[bytes:e.ByteEnd])
		}
		for k := e.attributes.begin; k < e.attributes.end; k++ {
			a := &d.Attributes[k]
			a.Begin, a.End = a.ByteBegin, a.ByteEnd
			if ascii {
				continue
			}
			if a.ByteBegin >= bytes {
				a.Begin = runes + runeCount(d.Text[bytes:a.ByteBegin])
			} else {
				a.Begin = runes - runeCount(d.Text[a.ByteBegin:bytes])
			}
			a.End = a.Begin + runeCount(d.Text[a.ByteBegin:a.ByteEnd])
		}
	}
}

// runeCount counts code points; utf8.RuneCount copies its argument.
func runeCount(b []byte) int {
	n := 0
	for i := 0; i < len(b); n++ {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, size := utf8.DecodeRune(b[i:])
		i += size
	}
	return n
}
