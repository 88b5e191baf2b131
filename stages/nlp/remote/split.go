package remote

import (
	"bytes"
	"unicode/utf8"
)

// part is a piece of a text that one request can hold.
type part struct {
	text []byte
	base int // code points of the text before it
}

// valid gives a text with a replacement for each byte that is no UTF-8: the limits are those of what is sent.
func valid(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return []byte(string([]rune(string(text))))
}

// split cuts a text into parts of at most limit bytes, between sentences where that can be
// done in the second half of a part, else between lines, else between words. Parts without
// anything to read are left out.
func split(text []byte, limit int) []part {
	var parts []part
	base := 0
	for len(text) > 0 {
		n := len(text)
		if n > limit {
			n = cut(text[:limit+1])
		}
		if len(bytes.TrimSpace(text[:n])) > 0 {
			parts = append(parts, part{text[:n], base})
		}
		base += utf8.RuneCount(text[:n])
		text = text[n:]
	}
	return parts
}

// cut gives the length of the first part of a text that is a byte too long.
func cut(text []byte) int {
	limit := len(text) - 1
	sentence, line, word := 0, 0, 0
	for i := limit / 2; i < limit; i++ {
		switch text[i] {
		case '\n':
			line = i + 1
			if text[i-1] == '\n' || i > 1 && text[i-1] == '\r' && text[i-2] == '\n' {
				sentence = i + 1
			}
		case ' ', '\t', '\r', '\f', '\v':
			word = i + 1
		default:
			continue
		}
		if i > 0 && bytes.IndexByte([]byte(".!?"), text[i-1]) >= 0 {
			sentence = i + 1
		}
	}
	for _, n := range []int{sentence, line, word} {
		if n > 0 {
			return n
		}
	}
	// No space in some thousand bytes: between characters.
	for n := limit; n > limit-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return limit
}
