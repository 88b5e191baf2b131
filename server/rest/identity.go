package rest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"

	"github.com/fhirlake/fhirlake/fhir"
)

// newUUID gives a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// validUUID tells whether s has the form of a UUID.
func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if c-'0' > 9 && c|0x20-'a' > 5 {
			return false
		}
	}
	return true
}

// appendWithID appends the text of a resource with this id in the place of its own, or
// after its first member. Text that is no JSON object comes out as it is, for the
// parser to say what is wrong with it.
func appendWithID(dst, text []byte, id string) []byte {
	first := -1 // end of the first member
	start, end := -1, 0
	ok := eachMember(text, func(key []byte, from, to int) {
		if first < 0 {
			first = to
		}
		if start < 0 && keyIsID(key) {
			start, end = from, to
		}
	})
	switch {
	case !ok || first < 0:
		return append(dst, text...)
	case start >= 0:
		dst = append(append(dst, text[:start]...), '"')
		dst = append(append(dst, id...), '"')
		return append(dst, text[end:]...)
	}
	dst = append(append(dst, text[:first]...), `,"id":"`...)
	dst = append(append(dst, id...), '"')
	return append(dst, text[first:]...)
}

// idIn gives the id that the text of a resource has, "" for none.
func idIn(text []byte) (id string) {
	eachMember(text, func(key []byte, from, to int) {
		if id == "" && keyIsID(key) && to-from >= 2 && text[from] == '"' {
			id = string(fhir.AppendUnescaped(nil, text[from+1:to-1]))
		}
	})
	return id
}

func keyIsID(key []byte) bool {
	if bytes.IndexByte(key, '\\') >= 0 {
		key = fhir.AppendUnescaped(nil, key)
	}
	return string(key) == "id"
}

// eachMember calls f for each member of the object that text begins with: its key
// without quotes, and from where to where its value is. It tells whether text is such
// an object, as far as brackets and quotes go.
func eachMember(text []byte, f func(key []byte, from, to int)) bool {
	i := skipSpace(text, 0)
	if i >= len(text) || text[i] != '{' {
		return false
	}
	for i = skipSpace(text, i+1); i < len(text) && text[i] == '"'; {
		key := skipString(text, i)
		if key < 0 {
			return false
		}
		colon := skipSpace(text, key)
		if colon >= len(text) || text[colon] != ':' {
			return false
		}
		from := skipSpace(text, colon+1)
		to := skipValue(text, from)
		if to <= from {
			return false
		}
		f(text[i+1:key-1], from, to)
		if i = skipSpace(text, to); i < len(text) && text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	return i < len(text) && text[i] == '}'
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString gives the index after the string that begins at i, -1 when it does not
// end.
func skipString(b []byte, i int) int {
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		slashes := 0
		for b[i+n-1-slashes] == '\\' {
			slashes++
		}
		i += n + 1
		if slashes%2 == 0 {
			return i
		}
	}
}

// skipValue gives the index after the value at i, -1 when it does not end.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 || depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return -1
}
