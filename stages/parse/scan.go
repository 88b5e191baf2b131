package parse

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

func load8(d []byte, i int) uint64 { return binary.LittleEndian.Uint64(d[i:]) }

// special marks, by the high bit, the bytes of w at which the plain scan of a
// string stops: quote, backslash, bytes below floor, bytes above ASCII. The
// lowest mark is exact; those above it may be wrong, since a subtraction borrows.
func special(w, floor uint64) uint64 {
	return ((w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones) | (w - floor) | w) & highs
}

// hardSpecial is special without the bytes above ASCII.
func hardSpecial(w uint64) uint64 {
	q, b := w^ones*'"', w^ones*'\\'
	return ((q-ones)&^q | (b-ones)&^b | (w-ones*0x20)&^w) & highs
}

const (
	floorText  = ones * 0x20 // control characters stop the scan
	floorToken = ones * 0x21 // spaces too
)

// space returns the offset of the first byte from i on that is no white space.
func (p *Parser) space(i int) int {
	d := p.d
	for i < len(d) {
		if c := d[i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		i++
	}
	return i
}

// flagControl is FlagEscaped with an escaped control character; it never gets
// into a node.
const flagControl fhir.NodeFlags = 1 << 7

// stringEnd finds the closing quote of the string whose text begins at s; the
// bytes before i are known to be plain. It checks escapes and UTF-8.
func (p *Parser) stringEnd(s, i int) (int, fhir.NodeFlags) {
	d := p.d
	var flags fhir.NodeFlags
	var above uint64
	for {
		for i+8 <= len(d) {
			w := load8(d, i)
			above |= w
			if m := hardSpecial(w); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(d) && d[i] >= 0x20 && d[i] != '"' && d[i] != '\\' {
			above |= uint64(d[i])
			i++
		}
		if i >= len(d) {
			return p.fatal(len(d), "text ends within a string"), 0
		}
		switch d[i] {
		case '"':
			if above&highs != 0 && !utf8.Valid(d[s:i]) {
				return p.fatal(invalidUTF8(d, s), "string is not valid UTF-8"), 0
			}
			return i, flags
		case '\\':
			var f fhir.NodeFlags
			if i, f = p.escape(i); i < 0 {
				return i, 0
			}
			flags |= f
		default:
			return p.fatal(i, "unescaped control character in a string"), 0
		}
	}
}

func invalidUTF8(d []byte, i int) int {
	for i < len(d) {
		r, n := utf8.DecodeRune(d[i:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		i += n
	}
	return i
}

// escape reads the escape sequence at i and returns the offset after it.
func (p *Parser) escape(i int) (int, fhir.NodeFlags) {
	d := p.d
	if i+1 >= len(d) {
		return p.fatal(len(d), "text ends within a string"), 0
	}
	switch d[i+1] {
	case '"', '\\', '/', 'n', 'r', 't':
		return i + 2, fhir.FlagEscaped
	case 'b', 'f':
		return i + 2, fhir.FlagEscaped | flagControl
	case 'u':
		r, ok := hex4(d, i+2)
		switch {
		case !ok:
			return p.fatal(i, `escape \u needs four hexadecimal digits`), 0
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r':
			return i + 6, fhir.FlagEscaped | flagControl
		case r < 0xD800 || r > 0xDFFF:
			return i + 6, fhir.FlagEscaped
		case r < 0xDC00 && i+7 < len(d) && d[i+6] == '\\' && d[i+7] == 'u':
			if low, ok := hex4(d, i+8); ok && low >= 0xDC00 && low <= 0xDFFF {
				return i + 12, fhir.FlagEscaped
			}
		}
		return p.fatal(i, "lone surrogate '%s' in a string", d[i:i+6]), 0
	}
	return p.fatal(i, "unknown escape in a string"), 0
}

func hex4(d []byte, i int) (r rune, ok bool) {
	if i+4 > len(d) {
		return 0, false
	}
	for _, c := range d[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// numberEnd returns the offset after the number at i (RFC 8259, section 6) and
// the offsets of its fraction and its exponent; without them these are the end.
func (p *Parser) numberEnd(i int) (end, frac, exp int) {
	d := p.d
	j := i
	if d[j] == '-' {
		j++
	}
	switch {
	case j >= len(d) || d[j] < '0' || d[j] > '9':
		return p.badNumber(i, j), 0, 0
	case d[j] == '0':
		j++
		if j < len(d) && d[j] >= '0' && d[j] <= '9' {
			return p.fatal(i, "number with a leading zero"), 0, 0
		}
	default:
		j = digits(d, j)
	}
	frac = j
	if j < len(d) && d[j] == '.' {
		if j = digits(d, frac+1); j == frac+1 {
			return p.badNumber(i, j), 0, 0
		}
	}
	exp = j
	if j < len(d) && d[j]|0x20 == 'e' {
		j++
		if j < len(d) && (d[j] == '+' || d[j] == '-') {
			j++
		}
		k := j
		if j = digits(d, k); j == k {
			return p.badNumber(i, j), 0, 0
		}
	}
	return j, frac, exp
}

func digits(d []byte, i int) int {
	for i < len(d) && d[i]-'0' <= 9 {
		i++
	}
	return i
}

// literal returns the offset after the literal at i, or -1 with no issue.
func literal(d []byte, i int) (int, fhir.NodeKind) {
	switch {
	case i+4 <= len(d) && string(d[i:i+4]) == "true":
		return i + 4, fhir.KindTrue
	case i+5 <= len(d) && string(d[i:i+5]) == "false":
		return i + 5, fhir.KindFalse
	case i+4 <= len(d) && string(d[i:i+4]) == "null":
		return i + 4, fhir.KindNull
	}
	return -1, 0
}
