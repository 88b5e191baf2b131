package remote

import (
	"bytes"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp/passage"
)

// part is a piece of a text that one request can hold.
type part struct {
	text []byte
	base int // code points of the text before it
}

// split cuts a text into parts of at most limit bytes. Parts without anything to read are left out.
func split(text []byte, limit int) []part {
	var parts []part
	base := 0
	for len(text) > 0 {
		n := passage.Cut(text, limit)
		if len(bytes.TrimSpace(text[:n])) > 0 {
			parts = append(parts, part{text[:n], base})
		}
		base += utf8.RuneCount(text[:n])
		text = text[n:]
	}
	return parts
}
