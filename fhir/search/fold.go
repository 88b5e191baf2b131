package search

import (
	"bytes"
	"iter"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// AppendFolded appends a text as the default string search and :contains compare it
// (R4, 3.1.1.4.8), and tells whether that is the text itself, byte by byte.
//
//   - Letters are lower case without accents: the compatibility decomposition of
//     Unicode without its combining marks, and the letters that do not decompose but
//     are written with two others or without their stroke (ß, æ, ø, ł).
//   - Punctuation within a word is left out: O'Brien is obrien, U.S. is us.
//   - White space, and punctuation that parts words (dashes, slashes, commas,
//     brackets and their like), is one space between words: Smith-Jones is
//     smith jones.
//
// The folded form of the beginning of a text is the beginning of its folded form, so
// a prefix of the text finds it.
func AppendFolded(dst, text []byte) (folded []byte, same bool) {
	f := folder{dst: dst, start: len(dst)}
	for i, c := range text {
		if c >= utf8.RuneSelf {
			f.wide(text[i:])
			break
		}
		f.ascii(c)
	}
	return f.dst, string(f.dst[f.start:]) == string(text)
}

// AppendLower appends a text without its case, and otherwise as it is: what tokens of
// datatype string are compared by.
func AppendLower(dst, text []byte) []byte {
	for i, c := range text {
		if c >= utf8.RuneSelf {
			for _, r := range string(text[i:]) {
				dst = utf8.AppendRune(dst, lower(r))
			}
			break
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// What is kept of the later words of a family name. Each is a value with what follows
// it: without bounds, a name of n words would cost the square of n. Real names have
// fewer and shorter words.
const (
	maxLaterWords = 16
	maxLaterText  = 256 // bytes
)

// Span is a part of a text, in bytes.
type Span struct{ Start, End int }

// LaterWords yields where a folded family name goes on after its first word: the first
// 16 later words, each with what follows it, to 256 bytes. A search for what begins at
// one of these words finds the name, as far as it is no longer than that.
func LaterWords(folded []byte) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		at := 0
		for range maxLaterWords {
			i := bytes.IndexByte(folded[at:], ' ')
			if i < 0 {
				return
			}
			at += i + 1
			end := min(at+maxLaterText, len(folded))
			for end < len(folded) && !utf8.RuneStart(folded[end]) {
				end--
			}
			if !yield(Span{at, end}) {
				return
			}
		}
	}
}

// folder holds what has been folded so far.
type folder struct {
	dst   []byte
	start int
	gap   bool // a space is due before the next letter
}

func (f *folder) ascii(c byte) {
	switch d := asciiFold[c]; d {
	case 0:
	case ' ':
		f.gap = true
	default:
		if f.gap {
			if f.gap = false; len(f.dst) > f.start {
				f.dst = append(f.dst, ' ')
			}
		}
		f.dst = append(f.dst, d)
	}
}

// wide folds text that begins with a rune beyond ASCII.
func (f *folder) wide(text []byte) {
	for len(text) > 0 {
		if text[0] < utf8.RuneSelf {
			f.ascii(text[0])
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		if r >= firstHangul && r <= lastHangul {
			f.hangul(r - firstHangul)
		} else if p := norm.NFKD.Properties(text); p.Decomposition() != nil && p.Size() == n {
			for d := p.Decomposition(); len(d) > 0; {
				r, m := utf8.DecodeRune(d)
				f.rune(r)
				d = d[m:]
			}
		} else {
			f.rune(r)
		}
		text = text[n:]
	}
}

// The syllables of Hangul, which Unicode decomposes by a rule (3.12).
const firstHangul, lastHangul = 0xac00, 0xd7a3

func (f *folder) hangul(s rune) {
	const vowels, tails = 21, 28
	f.rune(0x1100 + s/(vowels*tails))
	f.rune(0x1161 + s/tails%vowels)
	if tail := s % tails; tail > 0 {
		f.rune(0x11a7 + tail)
	}
}

// rune folds one rune that does not decompose further.
func (f *folder) rune(r rune) {
	if r < utf8.RuneSelf {
		f.ascii(byte(r))
		return
	}
	switch s, ok := specialFold[r]; {
	case ok:
		for i := range len(s) {
			f.ascii(s[i])
		}
		return
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc):
		return // accents, joiners
	case unicode.IsSpace(r), unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe, unicode.Pi, unicode.Pf, unicode.Z) && !apostrophe(r):
		f.gap = true
		return
	case unicode.IsPunct(r):
		return
	}
	if f.gap {
		if f.gap = false; len(f.dst) > f.start {
			f.dst = append(f.dst, ' ')
		}
	}
	f.dst = utf8.AppendRune(f.dst, lower(r))
}

// lower gives one rune for all that differ in case alone: the final sigma is a sigma.
func lower(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// apostrophe tells the quotation marks that stand within words.
func apostrophe(r rune) bool { return r == '\u2018' || r == '\u2019' || r == '\u201b' }

// asciiFold gives what an ASCII character folds to: 0 for nothing.
var asciiFold = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		switch b := byte(c); {
		case 'A' <= b && b <= 'Z':
			t[c] = b | 0x20
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '$', b == '+', b == '<', b == '=', b == '>', b == '^', b == '`', b == '|', b == '~':
			t[c] = b // symbols are no punctuation
		case b == '\'', b == '.', b == '"', b == '!', b == '?', b == '*', b == '#', b == '%', b == '&', b == '@':
		case b >= ' ' && b != 0x7f, b == '\t', b == '\n', b == '\r', b == '\v', b == '\f':
			t[c] = ' ' // , - / ( ) [ ] { } : ; _ \ and white space
		}
	}
	return t
}()

// specialFold has letters whose base Unicode does not give by decomposition.
var specialFold = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe", 'ø': "o", 'Ø': "o",
	'ł': "l", 'Ł': "l", 'đ': "d", 'Đ': "d", 'ð': "d", 'Ð': "d", 'þ': "th", 'Þ': "th", 'ħ': "h", 'Ħ': "h",
	'ı': "i", 'ŧ': "t", 'Ŧ': "t", 'ĸ': "k", 'ŋ': "n", 'Ŋ': "n",
}
