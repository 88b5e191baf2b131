package query

import (
	"strings"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
)

// pair is a parameter, decoded.
type pair struct{ name, value string }

// decode reads name=value pairs as application/x-www-form-urlencoded has them. Empty
// ones between two ampersands are none.
func decode(raw string, limits *Limits, pairs []pair) ([]pair, error) {
	for raw != "" {
		var item string
		item, raw, _ = strings.Cut(raw, "&")
		if item == "" {
			continue
		}
		if len(pairs) >= limits.Parameters {
			return nil, costly("the search has more than %d parameters", limits.Parameters)
		}
		name, value, _ := strings.Cut(item, "=")
		var p pair
		var err error
		if p.name, err = decoded(name); err != nil {
			return nil, malformed("the name '%s' is not percent-encoded: %v", fhir.Cut(name), err)
		}
		if p.value, err = decoded(value); err != nil {
			return nil, malformed("the value of %s is not percent-encoded: %v", fhir.Cut(p.name), err)
		}
		if p.name == "" {
			return nil, malformed("a parameter has no name; expected name=value")
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// decoded gives the text that s stands for.
func decoded(s string) (string, error) {
	if !strings.ContainsAny(s, "%+\x00") && utf8.ValidString(s) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", malformed("expected two hexadecimal digits after %%")
			}
			high, ok1 := hexDigit(s[i+1])
			low, ok2 := hexDigit(s[i+2])
			if !ok1 || !ok2 {
				return "", malformed("expected two hexadecimal digits after %%")
			}
			b = append(b, high<<4|low)
			i += 2
		default:
			b = append(b, c)
		}
	}
	for _, c := range b {
		if c == 0 {
			return "", malformed("it has the character 0")
		}
	}
	if !utf8.Valid(b) {
		return "", malformed("it is no UTF-8")
	}
	return string(b), nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// plain are the bytes that encode leaves as they are: those that a query may have
// (RFC 3986, 3.4), but for the ones that part pairs and what forms have for a space.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
	}
	for _, c := range "-._~:/,$*@!()" {
		t[c] = true
	}
	return t
}()

// encode appends s percent-encoded.
func encode(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; plain[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// Self gives the search as it was done, as the query of a URL: what was left out is not
// in it, what is twice is in it once (Server Conformance).
func (q *Query) Self() string {
	var b []byte
	for i, p := range q.self {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(encode(b, p.name), '=')
		b = encode(b, p.value)
	}
	return string(b)
}

// Names gives the names of the parameters in Self, without any value.
func (q *Query) Names() []string {
	names := make([]string, len(q.self))
	for i, p := range q.self {
		names[i] = p.name
	}
	return names
}

// checkEscapes refuses a backslash that escapes nothing (Escaping Search Parameters:
// `xx\xx` is illegal).
func checkEscapes(s string) error {
	for i := strings.IndexByte(s, '\\'); i >= 0 && i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if i++; i == len(s) || !strings.ContainsRune(`,$|\`, rune(s[i])) {
			return malformed(`a backslash stands before nothing that it escapes; expected \, \$ \| or \\`)
		}
	}
	return nil
}

// split splits at the separators that are not escaped; the parts stay as they are.
func split(s string, separator byte) (parts []string) {
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// cutLast cuts s at the last separator that is not escaped.
func cutLast(s string, separator byte) (before, after string, found bool) {
	at := -1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			at = i
		}
	}
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// unescape gives the text that s stands for.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}
