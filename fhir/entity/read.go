package entity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
)

// Reader reads results. It belongs to one goroutine and keeps its memory.
type Reader struct {
	data   []byte
	at     int
	depth  int
	result Result

	// Of these a result's lists are made; they are full again when it is read.
	entities   []Entity
	traits     []Trait
	attributes []Attribute
	concepts   []Concept
	arena      []byte // decoded strings
}

// ErrSyntax is the error of text that is no result.
var ErrSyntax = errors.New("no result of NLP")

// maxDepth bounds the nesting of members that the reader does not know.
const maxDepth = 64

// Read reads a result. Members that it does not know are skipped.
func (r *Reader) Read(data []byte) (*Result, error) {
	r.data, r.at, r.depth = data, 0, 0
	r.result = Result{Texts: r.result.Texts[:0], Derived: Derived{Resources: r.result.Derived.Resources[:0]}}
	// Lists are cut out of these as they fill. One that was cut keeps its memory when the rest
	// goes on in a longer one.
	r.entities, r.traits, r.attributes, r.concepts, r.arena = r.entities[:0], r.traits[:0], r.attributes[:0], r.concepts[:0], r.arena[:0]
	err := r.object(func(key []byte) error {
		switch string(key) {
		case "engine":
			return r.text(&r.result.Engine)
		case "dictionary":
			return r.text(&r.result.Dictionary)
		case "texts":
			return r.array(r.readText)
		case "derived":
			return r.readDerived()
		}
		return r.skip()
	})
	if err != nil {
		return nil, fmt.Errorf("%w: at byte %d: %w", ErrSyntax, r.at, err)
	}
	if r.space(); r.at < len(r.data) {
		return nil, fmt.Errorf("%w: at byte %d: text after its end", ErrSyntax, r.at)
	}
	return &r.result, nil
}

func (r *Reader) readText() error {
	r.result.Texts = append(r.result.Texts, Text{})
	t := &r.result.Texts[len(r.result.Texts)-1]
	return r.object(func(key []byte) error {
		switch string(key) {
		case "path":
			return r.text(&t.Path)
		case "status":
			var code []byte
			if err := r.text(&code); err != nil {
				return err
			}
			var ok bool
			if t.Status, ok = ParseStatus(code); !ok {
				return fmt.Errorf("status %q", fhir.Cut(code))
			}
			return nil
		case "message":
			return r.text(&t.Message)
		case "entities":
			from := len(r.entities)
			err := r.array(r.readEntity)
			t.Entities = r.entities[from:len(r.entities):len(r.entities)]
			return err
		}
		return r.skip()
	})
}

func (r *Reader) readEntity() error {
	var e Entity
	err := r.object(func(key []byte) error {
		switch string(key) {
		case "traits":
			from := len(r.traits)
			err := r.array(r.readTrait)
			e.Traits = r.traits[from:len(r.traits):len(r.traits)]
			return err
		case "attributes":
			from := len(r.attributes)
			err := r.array(r.readAttribute)
			e.Attributes = r.attributes[from:len(r.attributes):len(r.attributes)]
			return err
		}
		for o := InferICD10CM; o < Operations; o++ {
			if string(key) == operations[o].member {
				from := len(r.concepts)
				err := r.array(r.readConcept)
				e.Concepts[o] = r.concepts[from:len(r.concepts):len(r.concepts)]
				return err
			}
		}
		return r.span(&e.Span, key)
	})
	e.Score.fill()
	r.entities = append(r.entities, e)
	return err
}

func (r *Reader) readTrait() error {
	var t Trait
	err := r.object(func(key []byte) error {
		switch string(key) {
		case "name":
			return r.text(&t.Name)
		case "score":
			return r.score(&t.Score)
		}
		return r.skip()
	})
	t.Score.fill()
	r.traits = append(r.traits, t)
	return err
}

func (r *Reader) readAttribute() error {
	var a Attribute
	err := r.object(func(key []byte) error {
		switch string(key) {
		case "relationshipType":
			return r.text(&a.Relationship)
		case "relationshipScore":
			return r.score(&a.RelationshipScore)
		}
		return r.span(&a.Span, key)
	})
	a.Score.fill()
	a.RelationshipScore.fill()
	r.attributes = append(r.attributes, a)
	return err
}

func (r *Reader) readConcept() error {
	var c Concept
	err := r.object(func(key []byte) error {
		switch string(key) {
		case "code":
			return r.text(&c.Code)
		case "description":
			return r.text(&c.Description)
		case "score":
			return r.score(&c.Score)
		}
		return r.skip()
	})
	c.Score.fill()
	r.concepts = append(r.concepts, c)
	return err
}

func (r *Reader) span(s *Span, key []byte) error {
	switch string(key) {
	case "text":
		return r.text(&s.Text)
	case "beginOffset":
		return r.integer(&s.Begin)
	case "endOffset":
		return r.integer(&s.End)
	case "category":
		return r.text(&s.Category)
	case "type":
		return r.text(&s.Type)
	case "score":
		return r.score(&s.Score)
	}
	return r.skip()
}

func (r *Reader) space() {
	for r.at < len(r.data) {
		switch r.data[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next takes c, if it comes next.
func (r *Reader) next(c byte) bool {
	if r.at < len(r.data) && r.data[r.at] == c { // our own texts have no white space
		r.at++
		return true
	}
	return r.nextAfterSpace(c)
}

func (r *Reader) nextAfterSpace(c byte) bool {
	r.space()
	if r.at < len(r.data) && r.data[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *Reader) expect(c byte) error {
	if r.next(c) {
		return nil
	}
	return fmt.Errorf("expected %q", c)
}

// object reads an object: member reads the value of each of its keys.
func (r *Reader) object(member func(key []byte) error) error {
	if err := r.expect('{'); err != nil {
		return err
	}
	if r.next('}') {
		return nil
	}
	if r.depth++; r.depth > maxDepth {
		return errors.New("nested too deep")
	}
	for {
		var key []byte
		if err := r.text(&key); err != nil {
			return err
		}
		if err := r.expect(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if !r.next(',') {
			r.depth--
			return r.expect('}')
		}
	}
}

// array reads an array: item reads each of its items.
func (r *Reader) array(item func() error) error {
	if err := r.expect('['); err != nil {
		return err
	}
	if r.next(']') {
		return nil
	}
	if r.depth++; r.depth > maxDepth {
		return errors.New("nested too deep")
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if !r.next(',') {
			r.depth--
			return r.expect(']')
		}
	}
}

// text reads a string.
func (r *Reader) text(into *[]byte) error {
	if err := r.expect('"'); err != nil {
		return err
	}
	start, escaped := r.at, false
	for {
		r.at += plain(r.data[r.at:])
		if r.at < len(r.data) && r.data[r.at] == '"' {
			break
		}
		if r.at+1 >= len(r.data) {
			r.at = len(r.data)
			return errors.New("a string without end")
		}
		escaped = true
		r.at += 2
	}
	s := r.data[start:r.at:r.at]
	r.at++
	if escaped {
		from := len(r.arena)
		r.arena = fhir.AppendUnescaped(r.arena, s)
		s = r.arena[from:len(r.arena):len(r.arena)]
	}
	*into = s
	return nil
}

// plain is the length of what in s comes before the first quote or backslash. It looks at
// eight bytes at a time: (x - ones) &^ x has the high bit of the first byte that is zero in
// x, and no bit below it.
func plain(s []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(s); n += 8 {
		w := binary.LittleEndian.Uint64(s[n:])
		quote, slash := w^('"'*ones), w^('\\'*ones)
		if found := ((quote-ones)&^quote | (slash-ones)&^slash) & high; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(s) && s[n] != '"' && s[n] != '\\' {
		n++
	}
	return n
}

// number reads the text of a number of JSON (RFC 8259, section 6).
func (r *Reader) number() ([]byte, error) {
	r.space()
	start := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.data) && r.data[r.at] >= '0' && r.data[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	sign := func(signs string) {
		if r.at < len(r.data) && (r.data[r.at] == signs[0] || r.data[r.at] == signs[len(signs)-1]) {
			r.at++
		}
	}
	sign("-")
	ok := digits()
	if ok && r.at < len(r.data) && r.data[r.at] == '.' {
		r.at++
		ok = digits()
	}
	if ok && r.at < len(r.data) && r.data[r.at]|0x20 == 'e' {
		r.at++
		sign("+-")
		ok = digits()
	}
	if !ok {
		return nil, errors.New("expected a number")
	}
	return r.data[start:r.at:r.at], nil
}

func (r *Reader) score(into *Score) error {
	n, err := r.number()
	*into = n
	return err
}

func (r *Reader) integer(into *int) error {
	n, err := r.number()
	if err != nil {
		return err
	}
	v := 0
	for _, c := range n {
		if c < '0' || c > '9' || v > 1<<40 {
			return fmt.Errorf("%s is no offset", strconv.Quote(string(fhir.Cut(n))))
		}
		v = 10*v + int(c-'0')
	}
	*into = v
	return nil
}

// skip reads a value of a member that is not known.
func (r *Reader) skip() error {
	r.space()
	if r.at >= len(r.data) {
		return errors.New("expected a value")
	}
	switch r.data[r.at] {
	case '{':
		return r.object(func([]byte) error { return r.skip() })
	case '[':
		return r.array(r.skip)
	case '"':
		var s []byte
		return r.text(&s)
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest := r.data[r.at:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			r.at += len(word)
			return nil
		}
	}
	_, err := r.number()
	return err
}
