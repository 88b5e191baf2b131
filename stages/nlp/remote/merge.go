package remote

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
)

// maxConcepts is how many codes of a system an entity has.
const maxConcepts = 5

// The systems of codes, in the order of output.
const (
	icd10cm = iota
	rxnorm
	snomedct
	systems
)

var systemKeys = [systems]string{"icd10cm", "rxnorm", "snomedct"}

// span is something at a place of the text: an entity or an attribute. Offsets are code points of
// the whole text.
type span struct {
	begin, end int
	text       string
	category   string
	kind       string // its type
	score      float64
}

// mention is an entity, as one operation has it or several together.
type mention struct {
	span
	operation  int // that found it first
	traits     []trait
	attributes []attribute
	concepts   [systems][]concept
}

type trait struct {
	Name  string
	Score float64
}

type concept struct {
	Code, Description string
	Score             float64
}

type attribute struct {
	span
	relationshipScore float64
	relationshipType  string
}

// saidSpan is what answers have of entities and attributes alike.
type saidSpan struct {
	BeginOffset, EndOffset int
	Score                  float64
	Text, Category, Type   string
}

// said is an answer. What else is in it decides nothing.
type said struct {
	Entities *[]struct {
		saidSpan
		Traits     []trait
		Attributes []struct {
			saidSpan
			RelationshipScore float64
			RelationshipType  string
		}
		ICD10CMConcepts, RxNormConcepts, SNOMEDCTConcepts []concept
	}
}

// mentions reads an answer. It is believed only if its offsets are those of its texts: a service
// that counts bytes or UTF-16 would else mark the wrong words.
func (op *limited) mentions(answer []byte, p part) ([]mention, error) {
	var a said
	if err := json.Unmarshal(answer, &a); err != nil || a.Entities == nil {
		return nil, &Error{Operation: op.name, Status: http.StatusOK, Found: "the answer is not one of this operation"}
	}
	places := newPlaces(p)
	fault := &Error{Operation: op.name, Status: http.StatusOK, Found: "the offsets of the answer are not those of its texts in code points"}
	found := make([]mention, 0, len(*a.Entities))
	for _, e := range *a.Entities {
		s, ok := places.span(e.saidSpan)
		if !ok {
			return nil, fault
		}
		m := mention{span: s, traits: e.Traits, concepts: [systems][]concept{e.ICD10CMConcepts, e.RxNormConcepts, e.SNOMEDCTConcepts}}
		for _, x := range e.Attributes {
			s, ok := places.span(x.saidSpan)
			if !ok {
				return nil, fault
			}
			s.category = cmp.Or(s.category, m.category)
			m.attributes = append(m.attributes, attribute{s, x.RelationshipScore, x.RelationshipType})
		}
		found = append(found, m)
	}
	return found, nil
}

// places finds code points in a part.
type places struct {
	part
	at []int32 // the byte where each code point begins, and the end; nil: each is one byte
}

func newPlaces(p part) places {
	if utf8.RuneCount(p.text) == len(p.text) {
		return places{part: p}
	}
	at := make([]int32, 0, len(p.text))
	for i := 0; i < len(p.text); {
		at = append(at, int32(i))
		_, n := utf8.DecodeRune(p.text[i:])
		i += n
	}
	return places{p, append(at, int32(len(p.text)))}
}

// span gives the place that is said, in the whole text, with the words that are there. Not ok: there
// is no such place, or other words.
func (p places) span(s saidSpan) (span, bool) {
	begin, end, length := s.BeginOffset, s.EndOffset, len(p.text)
	if p.at != nil {
		length = len(p.at) - 1
	}
	if begin < 0 || end <= begin || end > length {
		return span{}, false
	}
	if p.at != nil {
		begin, end = int(p.at[begin]), int(p.at[end])
	}
	words := p.text[begin:end]
	if s.Text != "" && string(words) != s.Text && !bytes.Equal(spaced(words), spaced([]byte(s.Text))) {
		return span{}, false
	}
	return span{p.base + s.BeginOffset, p.base + s.EndOffset, string(words), s.Category, s.Type, s.Score}, true
}

// spaced has one space for each run of white space, and a replacement for each byte that is no UTF-8: a
// service may give them back so.
func spaced(s []byte) []byte {
	return bytes.Join(bytes.Fields([]byte(string([]rune(string(s))))), []byte(" "))
}

// merge makes one list of what the operations found in the parts of a text, in the order of the text.
func merge(found [][][]mention) []mention {
	var all []mention
	at := map[[2]int][]int{} // mentions of all, by their place
	for operation, parts := range found {
		for _, m := range slices.Concat(parts...) {
			place := [2]int{m.begin, m.end}
			if k := counterpart(all, at[place], &m, operation); k >= 0 {
				all[k].join(&m)
				continue
			}
			if operation > 0 && len(at[place]) > 0 && !m.coded() {
				continue
			}
			m.operation = operation
			at[place] = append(at[place], len(all))
			all = append(all, m)
		}
	}
	for i := range all {
		all[i].settle()
	}
	slices.SortStableFunc(all, func(a, b mention) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(b.end, a.end), cmp.Compare(a.operation, b.operation))
	})
	return all
}

// counterpart gives the mention at a place that m is, or -1: one of the same category that another operation
// found, of the same type if there is one.
func counterpart(all []mention, there []int, m *mention, operation int) int {
	found := -1
	for _, k := range there {
		switch o := &all[k]; {
		case o.operation == operation || o.category != m.category:
		case o.kind == m.kind:
			return k
		case found < 0:
			found = k
		}
	}
	return found
}

func (m *mention) coded() bool {
	return slices.ContainsFunc(m.concepts[:], func(c []concept) bool { return len(c) > 0 })
}

// join adds what another operation says of the same mention.
func (m *mention) join(o *mention) {
	for _, t := range o.traits {
		if !slices.ContainsFunc(m.traits, func(u trait) bool { return u.Name == t.Name }) {
			m.traits = append(m.traits, t)
		}
	}
	for _, a := range o.attributes {
		same := func(b attribute) bool { return a.begin == b.begin && a.end == b.end && a.kind == b.kind }
		if !slices.ContainsFunc(m.attributes, same) {
			m.attributes = append(m.attributes, a)
		}
	}
	for i := range m.concepts {
		m.concepts[i] = append(m.concepts[i], o.concepts[i]...)
	}
}

// settle puts codes in their order and drops those that are too many.
func (m *mention) settle() {
	for i, c := range m.concepts {
		slices.SortStableFunc(c, func(a, b concept) int { return cmp.Compare(b.Score, a.Score) })
		m.concepts[i] = c[:min(len(c), maxConcepts)]
	}
}

// appendMentions writes a list as package fhir/entity has it: what is empty is left out.
func appendMentions(dst []byte, all []mention) []byte {
	for i := range all {
		m := &all[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.append(dst)
		for k, t := range m.traits {
			dst = append(dst, opening(k, `,"traits":[`)...)
			dst = append(dst, `{"name":`...)
			dst = fhir.AppendQuoted(dst, t.Name)
			dst = append(appendScore(dst, "score", t.Score), '}')
		}
		dst = closing(dst, len(m.traits))
		for k := range m.attributes {
			a := &m.attributes[k]
			dst = append(dst, opening(k, `,"attributes":[`)...)
			dst = a.append(dst)
			dst = appendScore(dst, "relationshipScore", a.relationshipScore)
			dst = append(appendText(dst, "relationshipType", a.relationshipType), '}')
		}
		dst = closing(dst, len(m.attributes))
		for s, concepts := range m.concepts {
			for k, c := range concepts {
				dst = append(dst, opening(k, `,"`+systemKeys[s]+`":[`)...)
				dst = append(dst, `{"code":`...)
				dst = fhir.AppendQuoted(dst, c.Code)
				dst = appendText(dst, "description", c.Description)
				dst = append(appendScore(dst, "score", c.Score), '}')
			}
			dst = closing(dst, len(concepts))
		}
		dst = append(dst, '}')
	}
	return dst
}

func (s *span) append(dst []byte) []byte {
	dst = append(dst, `{"text":`...)
	dst = fhir.AppendQuoted(dst, s.text)
	dst = append(dst, `,"beginOffset":`...)
	dst = strconv.AppendInt(dst, int64(s.begin), 10)
	dst = append(dst, `,"endOffset":`...)
	dst = strconv.AppendInt(dst, int64(s.end), 10)
	dst = appendText(dst, "category", s.category)
	dst = appendText(dst, "type", s.kind)
	return appendScore(dst, "score", s.score)
}

// opening is what stands before the kth value of a list.
func opening(k int, first string) string {
	if k == 0 {
		return first
	}
	return ","
}

func closing(dst []byte, n int) []byte {
	if n > 0 {
		dst = append(dst, ']')
	}
	return dst
}

func appendText(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return fhir.AppendQuoted(dst, value)
}

func appendScore(dst []byte, key string, score float64) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return strconv.AppendFloat(dst, score, 'f', -1, 64)
}
