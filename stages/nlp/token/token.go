// Package token splits clinical text into words, numbers and punctuation, and
// gives each word a hash that does not depend on case, accents or a plural. It
// owns what counts as the same word; which words matter is up to its callers.
// [Token] is the type to read first.
package token

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// A Token is a piece of the text [Begin, End), in bytes. White space makes none.
type Token struct {
	Begin, End uint32
	Hash       uint64 // of the folded word: equal for "Ulcers" and "ulcer"
	Kind       Kind
	Char       byte // the first byte, as it stands in the text
	Flags      Flags
}

// Kind tells what a token is made of.
type Kind uint8

// The kinds of tokens.
const (
	Word   Kind = iota // letters
	Number             // digits, with a decimal point or groups of thousands
	Punct              // one character that is neither
)

// Flags tell how a token stands in the text.
type Flags uint16

const (
	Glued   Flags = 1 << iota // directly after a word or number: the "mg" of 5mg
	Newline                   // first of a line
	Blank                     // first after an empty line
	Upper                     // a word without lower-case letters
	Title                     // a word with a capital first letter only
	Skip                      // a hyphen or the 's of a possessive: phrases are compared without it
	Spaced                    // white space before it
)

// Has tells whether any of the flags is set.
func (f Flags) Has(g Flags) bool { return f&g != 0 }

const (
	classOther = iota
	classSpace
	classNewline
	classLetter
	classDigit
	classWide // first or later byte of a character beyond ASCII
)

var class, lower = func() (c, l [256]byte) {
	for i := range 256 {
		l[i] = byte(i)
		switch b := byte(i); {
		case b >= utf8.RuneSelf:
			c[i] = classWide
		case b == '\n' || b == '\f' || b == '\v':
			c[i] = classNewline
		case b <= ' ':
			c[i] = classSpace
		case b >= '0' && b <= '9':
			c[i] = classDigit
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			c[i] = classLetter
			l[i] = b | 0x20
		}
	}
	return c, l
}()

// wordBytes is how many folded bytes of a word count; longer words with equal
// beginnings are the same word if they are equally long.
const wordBytes = 64

// word gathers the folded bytes of one word. The bytes after n are zero up to
// the next multiple of eight when it is hashed.
type word struct {
	folded [wordBytes + 8]byte
	n      int // bytes of the whole word, of which at most wordBytes are kept
}

func (w *word) add(b byte) {
	if w.n < wordBytes {
		w.folded[w.n] = b
	}
	w.n++
}

// Append adds the tokens of text to dst. It allocates only to make dst longer.
// Bytes that are not UTF-8 are punctuation, one each. Text beyond 4 GiB is cut.
func Append(dst []Token, text []byte) []Token {
	var (
		w     word
		flags = Newline
		lines int // line ends since the last token
	)
	n := len(text)
	if uint64(n) > 1<<32-1 {
		n = 1<<32 - 1
		text = text[:n]
	}
	for i := 0; i < n; {
		c := class[text[i]]
		switch c {
		case classSpace:
			i++
			flags = flags&^Glued | Spaced
			continue
		case classNewline:
			i++
			lines++
			flags = flags&^Glued | Newline | Spaced
			if lines > 1 {
				flags |= Blank
			}
			continue
		}
		begin := i
		t := Token{Begin: uint32(begin), Char: text[i], Flags: flags}
		switch c {
		case classDigit:
			i = number(text, i)
			w.n = 0
			for _, b := range text[begin:i] {
				if b != ',' {
					w.add(b)
				}
			}
			t.Kind = Number
			t.Hash = w.hash()
		case classLetter:
			w.n = 0
			capitals := 0
			for i < n && class[text[i]] == classLetter {
				b := text[i]
				if b < 'a' {
					capitals++
				}
				w.add(lower[b])
				i++
			}
			if i < n && class[text[i]] == classWide {
				i, capitals = w.wide(text, i, capitals)
			}
			t.Flags |= w.finish(capitals, text[begin] < 'a')
			t.Hash = w.hash()
		case classWide:
			r, size := utf8.DecodeRune(text[i:])
			switch {
			case unicode.IsLetter(r):
				w.n = 0
				var capitals int
				i, capitals = w.wide(text, i, 0)
				t.Flags |= w.finish(capitals, unicode.IsUpper(r))
				t.Hash = w.hash()
			case unicode.IsSpace(r):
				i += size
				flags = flags&^Glued | Spaced
				continue
			default:
				i += size
				t.Kind = Punct
				t.Hash = punctuation(r)
				t.Char = plainPunct(r)
			}
		default:
			i++
			t.Kind = Punct
			t.Hash = punctuation(rune(text[begin]))
		}
		t.End = uint32(i)
		lines = 0
		flags = Glued
		if t.Kind == Punct {
			flags = 0
			t.Flags &^= Glued
			if t.Char == '-' {
				t.Flags |= Skip
			}
		}
		dst = append(dst, t)
		if t.Kind == Word && t.End-t.Begin == 1 && lower[t.Char] == 's' {
			possessive(dst)
		}
	}
	return dst
}

// possessive marks the apostrophe and the s at the end of tokens, if they are
// the end of a possessive.
func possessive(tokens []Token) {
	n := len(tokens)
	if n >= 3 && tokens[n-2].Char == '\'' && tokens[n-3].Kind == Word && !tokens[n-1].Flags.Has(Newline) {
		tokens[n-1].Flags |= Skip
		tokens[n-2].Flags |= Skip
	}
}

// number gives the end of the number that begins at i.
func number(text []byte, i int) int {
	n := len(text)
	for i < n {
		switch {
		case class[text[i]] == classDigit:
			i++
		case text[i] == '.' && i+1 < n && class[text[i+1]] == classDigit:
			i += 2
		case text[i] == ',' && thousands(text[i+1:]):
			i += 4
		default:
			return i
		}
	}
	return i
}

// thousands tells whether text begins with exactly three digits.
func thousands(text []byte) bool {
	k := 0
	for k < len(text) && k < 4 && class[text[k]] == classDigit {
		k++
	}
	return k == 3
}

// wide reads on in a word that has characters beyond ASCII.
func (w *word) wide(text []byte, i, capitals int) (end, caps int) {
	for i < len(text) {
		if class[text[i]] == classLetter {
			if text[i] < 'a' {
				capitals++
			}
			w.add(lower[text[i]])
			i++
			continue
		}
		if class[text[i]] != classWide {
			break
		}
		r, size := utf8.DecodeRune(text[i:])
		if unicode.Is(unicode.Mn, r) { // a combining accent belongs to its letter
			i += size
			continue
		}
		if !unicode.IsLetter(r) {
			break
		}
		if unicode.IsUpper(r) {
			capitals++
		}
		i += size
		w.addRune(r)
	}
	return i, capitals
}

func (w *word) addRune(r rune) {
	if s, ok := plain(r); ok {
		for k := range len(s) {
			w.add(s[k])
		}
		return
	}
	var buf [utf8.UTFMax]byte
	n := utf8.EncodeRune(buf[:], unicode.ToLower(r))
	for _, b := range buf[:n] {
		w.add(b)
	}
}

// finish cuts a plural and tells how the word is written. A short word in
// capitals keeps its S: AIDS is no plural.
func (w *word) finish(capitals int, first bool) Flags {
	var f Flags
	switch {
	case capitals > 0 && capitals == w.n:
		f = Upper
	case capitals == 1 && first:
		f = Title
	}
	if w.n <= wordBytes && (w.n > 4 || f != Upper) {
		w.n = singular(w.folded[:w.n])
	}
	return f
}

// singular rewrites a lower-case word in place so that the numbers of a noun
// come out alike, and gives the length that is left. The result need not be an
// English word.
func singular(b []byte) int {
	n := len(b)
	if n < 4 {
		return n
	}
	last := b[n-1]
	switch {
	case last == 'e' && b[n-2] == 's': // disease, as diseases
		return n - 1
	case last != 's':
		return n
	}
	switch b[n-2] {
	case 's', 'u', '\'': // mass, virus
		return n
	case 'i':
		if n > 5 && b[n-3] == 's' { // metastasis, as metastases
			return n - 2
		}
		return n
	case 'e':
		switch b[n-3] {
		case 'i': // arteries
			if n > 4 {
				b[n-3] = 'y'
				return n - 2
			}
		case 's', 'x', 'z': // abscesses, reflexes
			return n - 2
		case 'h': // rashes
			if b[n-4] == 's' || b[n-4] == 'c' {
				return n - 2
			}
		}
	}
	return n - 1
}

func (w *word) hash() uint64 {
	n := min(w.n, wordBytes)
	clear(w.folded[n : n+8])
	h := uint64(w.n) * 0x9E3779B97F4A7C15
	for k := 0; k < n; k += 8 {
		h = mix(h^binary.LittleEndian.Uint64(w.folded[k:]), 0xA0761D6478BD642F)
	}
	return mix(h, 0xE7037ED1A0B428DB)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func punctuation(r rune) uint64 {
	return mix(uint64(plainPunct(r))|1<<40|uint64(r)>>7<<48, 0x8EBC6AF09C88C6E3)
}

// plainPunct is the ASCII character that a typographic one stands for.
func plainPunct(r rune) byte {
	switch r {
	case '‐', '‑', '‒', '–', '—', '−':
		return '-'
	case '‘', '’', 'ʼ', '′':
		return '\''
	case '“', '”', '″':
		return '"'
	case '•', '·', '▪', '●', '◦':
		return '*'
	}
	if r < utf8.RuneSelf {
		return byte(r)
	}
	return 0
}
