package nlp

import (
	"bytes"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// A shortForm is an abbreviation that the document defines: "long form (ABC)".
type shortForm struct {
	text     []byte // aliases the document
	category terminology.Category
	typ      terminology.Type
	traits   Traits
	entry    terminology.Entry
}

const (
	maxShort  = 10 // bytes of a short form
	maxShorts = 64 // short forms of a document
)

// define looks for a short form in brackets after the entity of tokens [i, j).
func (d *Detector) define(i, j, end int) {
	if j+2 >= end || d.tokens[j].Char != '(' || len(d.short) >= maxShorts {
		return
	}
	k := j + 1
	for k < end && k < j+6 && d.tokens[k].Kind != token.Punct || k < end && d.tokens[k].Flags.Has(token.Skip) {
		k++
	}
	if k >= end || k == j+1 || d.tokens[k].Char != ')' && d.tokens[k].Char != ',' && d.tokens[k].Char != ';' {
		return
	}
	t := d.doc.Text
	short := t[d.tokens[j+1].Begin:d.tokens[k-1].End]
	if len(short) < 2 || len(short) > maxShort || bytes.IndexByte(short, ' ') >= 0 || bytes.IndexByte(short, '\n') >= 0 {
		return
	}
	if last := len(short) - 1; short[last] == 's' && last >= 2 && short[last-1] < 'a' {
		short = short[:last] // the plural of a short form
	}
	if capitals(short) < 2 || !abbreviates(short, t[d.tokens[i].Begin:d.tokens[j-1].End]) {
		return
	}
	e := &d.doc.Entities[len(d.doc.Entities)-1]
	d.short = append(d.short, shortForm{short, e.Category, e.Type, e.Traits, e.entry})
}

func capitals(b []byte) int {
	n := 0
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			n++
		}
	}
	return n
}

// abbreviates tells whether the letters of a short form are in the long one, in
// order, the first one at the beginning of a word (Schwartz and Hearst 2003).
func abbreviates(short, long []byte) bool {
	l := len(long) - 1
	for s := len(short) - 1; s >= 0; s-- {
		c := short[s]
		if !alphanumeric(c) {
			continue
		}
		c = fold(c)
		for l >= 0 && (fold(long[l]) != c || s == 0 && l > 0 && alphanumeric(long[l-1])) {
			l--
		}
		if l < 0 {
			return false
		}
		l--
	}
	return true
}

func fold(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// localShort adds the short form of the document that begins at token i, and
// gives how many tokens it takes.
func (d *Detector) localShort(i, end int) int {
	if len(d.short) == 0 {
		return 0
	}
	t := d.doc.Text[d.tokens[i].Begin:]
	for s := range d.short {
		f := &d.short[s]
		if t[0] != f.text[0] || !bytes.HasPrefix(t, f.text) {
			continue
		}
		n := len(f.text)
		if n < len(t) && t[n] == 's' {
			n++
		}
		if n < len(t) && alphanumeric(t[n]) {
			continue
		}
		j := i + 1
		for j < end && d.tokens[j].Begin < d.tokens[i].Begin+uint32(n) {
			j++
		}
		if d.overlaps(i, j) {
			return 0
		}
		e := d.add(i, j, f.category, f.typ, terminology.NoKind, f.entry, scoreLocal)
		e.Traits = f.traits & kinds
		return j - i
	}
	return 0
}
