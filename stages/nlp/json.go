package nlp

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/nlp/phrase"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// AppendJSON adds the document as one JSON object: its entities, those of given
// mentions first, in their order. A mention that was not found in the text has
// no offsets and the score 0.
func (d *Document) AppendJSON(dst []byte, mentions []string) []byte {
	dst = append(dst, `{"entities":[`...)
	first := true
	comma := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
	}
	for i, text := range mentions {
		comma()
		at := -1
		for k := range d.Entities {
			if d.Entities[k].Mention() == i {
				at = k
			}
		}
		if at < 0 {
			dst = append(dst, `{"text":`...)
			dst = fhir.AppendQuoted(dst, text)
			dst = append(dst, `,"beginOffset":null,"endOffset":null,"score":0,"traits":[],"attributes":[],"icd10cm":[],"rxnorm":[],"snomedct":[]}`...)
			continue
		}
		dst = d.appendEntity(dst, &d.Entities[at], layout{})
	}
	for i := range d.Entities {
		if d.Entities[i].Mention() < 0 {
			comma()
			dst = d.appendEntity(dst, &d.Entities[i], layout{})
		}
	}
	return append(dst, "]}"...)
}

// AppendEntities adds the entities of the document, separated by commas, in the form
// that is kept beside resources: as AppendJSON, without members that are empty. Their
// offsets count from shift, which is that of the text in a longer one.
func (d *Document) AppendEntities(dst []byte, shift int) []byte {
	for i := range d.Entities {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = d.appendEntity(dst, &d.Entities[i], layout{compact: true, shift: shift})
	}
	return dst
}

// layout is how entities are written.
type layout struct {
	compact bool // lists that are empty are left out
	shift   int  // of offsets
}

func (d *Document) appendEntity(dst []byte, e *Entity, l layout) []byte {
	dst = d.appendMention(dst, e.ByteBegin, e.ByteEnd, e.Begin+l.shift, e.End+l.shift, e.Category, e.Type, e.Score)
	dst = d.appendTraits(dst, e, l)
	dst = d.appendAttributes(dst, e, l)
	dst = d.appendConcepts(dst, `,"icd10cm":[`, e, terminology.ICD10CM, l)
	dst = d.appendConcepts(dst, `,"rxnorm":[`, e, terminology.RxNorm, l)
	dst = d.appendConcepts(dst, `,"snomedct":[`, e, terminology.SNOMEDCT, l)
	return append(dst, '}')
}

func (d *Document) appendTraits(dst []byte, e *Entity, l layout) []byte {
	start := len(dst)
	dst = append(dst, `,"traits":[`...)
	first := true
	for _, t := range traitNames {
		if !e.Traits.Has(t.trait) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{"name":"`...)
		dst = append(dst, t.name...)
		dst = append(dst, `","score":`...)
		dst = append(appendScore(dst, t.score), '}')
	}
	if first && l.compact {
		return dst[:start]
	}
	return append(dst, ']')
}

func (d *Document) appendAttributes(dst []byte, e *Entity, l layout) []byte {
	attributes := d.AttributesOf(e)
	if len(attributes) == 0 && l.compact {
		return dst
	}
	dst = append(dst, `,"attributes":[`...)
	for i := range attributes {
		a := &attributes[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = d.appendMention(dst, a.ByteBegin, a.ByteEnd, a.Begin+l.shift, a.End+l.shift, a.Category, a.Type, a.Score)
		dst = append(dst, `,"relationshipScore":`...)
		dst = appendScore(dst, a.RelationshipScore)
		dst = append(dst, `,"relationshipType":"`...)
		dst = append(dst, a.Relationship...)
		dst = append(dst, `"}`...)
	}
	return append(dst, ']')
}

func (d *Document) appendMention(dst []byte, byteBegin, byteEnd, begin, end int, c terminology.Category, t terminology.Type, score float32) []byte {
	dst = append(dst, `{"text":`...)
	dst = fhir.AppendQuoted(dst, d.Text[byteBegin:byteEnd]) // each byte that is not UTF-8 is one code point
	dst = append(dst, `,"beginOffset":`...)
	dst = strconv.AppendInt(dst, int64(begin), 10)
	dst = append(dst, `,"endOffset":`...)
	dst = strconv.AppendInt(dst, int64(end), 10)
	dst = append(dst, `,"category":"`...)
	dst = append(dst, c.String()...)
	dst = append(dst, `","type":"`...)
	dst = append(dst, t.String()...)
	dst = append(dst, `","score":`...)
	return appendScore(dst, score)
}

func (d *Document) appendConcepts(dst []byte, key string, e *Entity, system terminology.System, l layout) []byte {
	start := len(dst)
	dst = append(dst, key...)
	first := true
	d.Concepts(e, system, func(c terminology.Concept, score float32) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{"code":`...)
		dst = fhir.AppendQuoted(dst, c.Code)
		dst = append(dst, `,"description":`...)
		dst = fhir.AppendQuoted(dst, c.Description)
		dst = append(dst, `,"score":`...)
		dst = append(appendScore(dst, score), '}')
	})
	if first && l.compact {
		return dst[:start]
	}
	return append(dst, ']')
}

func appendScore(dst []byte, score float32) []byte {
	return strconv.AppendFloat(dst, float64(int(score*1000+0.5))/1000, 'f', -1, 64)
}

// Locate finds the first occurrence of each text as a mention: as it stands and
// between ends of words, then without regard to letter case, then within words,
// then word by word. The mentions of
// those that do not occur are empty.
func Locate(text []byte, mentions []string) []Mention {
	var tokens, words []token.Token
	folded := bytes.ToLower(text)
	out := make([]Mention, len(mentions))
	for i, m := range mentions {
		want := []byte(m)
		at := index(text, want, true)
		if small := bytes.ToLower(want); at < 0 && len(folded) == len(text) && len(small) == len(want) {
			if at = index(folded, small, true); at < 0 {
				at = index(folded, small, false)
			}
		}
		if at < 0 {
			at = index(text, want, false)
		}
		if at >= 0 {
			out[i] = Mention{Begin: at, End: at + len(want)}
			continue
		}
		if tokens == nil {
			tokens = token.Append(nil, text)
		}
		words = token.Append(words[:0], want)
		hashes := phrase.Words(nil, words)
		for k := range tokens {
			if n := matches(tokens[k:], hashes); n > 0 {
				out[i] = Mention{Begin: int(tokens[k].Begin), End: int(tokens[k+n-1].End)}
				break
			}
		}
	}
	return out
}

// matches tells how many tokens the words take at the beginning of tokens, or 0.
func matches(tokens []token.Token, words []uint64) int {
	n, w := 0, 0
	for w < len(words) {
		switch {
		case n == len(tokens):
			return 0
		case tokens[n].Hash == words[w]:
			w++
		case !tokens[n].Flags.Has(token.Skip):
			return 0
		}
		n++
	}
	return n
}

// index is the first occurrence of want in text, between ends of words or anywhere, or -1.
func index(text, want []byte, whole bool) int {
	for from := 0; ; {
		at := bytes.Index(text[from:], want)
		if at < 0 || len(want) == 0 {
			return -1
		}
		at += from
		end := at + len(want)
		switch {
		case !utf8.RuneStart(text[at]) || end < len(text) && !utf8.RuneStart(text[end]): // a part of a character
		case !whole || (at == 0 || !alphanumeric(text[at-1]) || !alphanumeric(want[0])) &&
			(end == len(text) || !alphanumeric(text[end]) || !alphanumeric(want[len(want)-1])):
			return at
		}
		from = at + 1
	}
}
