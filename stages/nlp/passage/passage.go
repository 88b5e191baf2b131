// Package passage cuts texts into parts for readers that take no text of any length.
package passage

import (
	"bytes"
	"unicode/utf8"
)

// Valid gives a text with a replacement for each byte that is no UTF-8, so that it has as many
// code points, or the text itself if it has none.
func Valid(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return []byte(string([]rune(string(text))))
}

// Cut gives the length of the first part of a text, of at most limit bytes, if it is longer: it ends
// between sentences where that can be done in the second half of the part, else between lines, else
// between words, else between characters. limit is 4 or more.
func Cut(text []byte, limit int) int {
	if len(text) <= limit {
		return len(text)
	}
	sentence, line, word := 0, 0, 0
	for i := limit / 2; i < limit; i++ {
		switch text[i] {
		case '\n':
			line = i + 1
			if text[i-1] == '\n' || text[i-1] == '\r' && text[i-2] == '\n' {
				sentence = i + 1
			}
		case ' ', '\t', '\r', '\f', '\v':
			word = i + 1
		default:
			continue
		}
		if bytes.IndexByte([]byte(".!?"), text[i-1]) >= 0 {
			sentence = i + 1
		}
	}
	for _, n := range []int{sentence, line, word} {
		if n > 0 {
			return n
		}
	}
	for n := limit; n > limit-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return limit
}
