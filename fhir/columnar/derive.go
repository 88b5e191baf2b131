package columnar

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Span gives the time that a date, dateTime or instant stands for, in
// microseconds since 1970 in UTC, the end exclusive: a partial date spans its
// whole period, a time the unit of its last digit, but a microsecond at least.
// A time without zone is taken as UTC. ok is false for what is no such text.
func Span(s []byte) (start, end int64, ok bool) {
	year, ok := digits(s, 0, 4)
	if !ok {
		return 0, 0, false
	}
	if len(s) == 4 {
		return micros(year, 1, 1), micros(year+1, 1, 1), true
	}
	month, ok := digits(s, 5, 2)
	if !ok || s[4] != '-' || month < 1 || month > 12 {
		return 0, 0, false
	}
	if len(s) == 7 {
		return micros(year, month, 1), micros(year, month+1, 1), true
	}
	day, ok := digits(s, 8, 2)
	if !ok || s[7] != '-' || day < 1 || day > daysIn(year, month) {
		return 0, 0, false
	}
	start = micros(year, month, day)
	if len(s) == 10 {
		return start, start + 24*hour, true
	}
	if s[10] != 'T' {
		return 0, 0, false
	}
	since, unit, ok := clockSpan(s[11:])
	return start + since, start + since + unit, ok
}

const (
	second = int64(1e6)
	minute = 60 * second
	hour   = 60 * minute
)

// clockSpan reads hh:mm[:ss[.f]][zone] as the time since midnight UTC and the
// unit of its last digit.
func clockSpan(s []byte) (since, unit int64, ok bool) {
	h, ok1 := digits(s, 0, 2)
	m, ok2 := digits(s, 3, 2)
	if !ok1 || !ok2 || s[2] != ':' || h > 24 || m > 59 {
		return 0, 0, false
	}
	since, unit = int64(h)*hour+int64(m)*minute, minute
	s = s[5:]
	if len(s) > 0 && s[0] == ':' {
		sec, ok := digits(s, 1, 2)
		if !ok || sec > 60 {
			return 0, 0, false
		}
		since, unit = since+int64(sec)*second, second
		s = s[3:]
		if len(s) > 1 && s[0] == '.' && s[1] >= '0' && s[1] <= '9' {
			var fraction int64
			fraction, unit, s = fractionOf(s[1:])
			since += fraction
		}
	}
	offset, ok := zone(s)
	return since - offset, unit, ok
}

func fractionOf(s []byte) (fraction, unit int64, rest []byte) {
	unit = second
	for len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
		if unit > 1 {
			unit /= 10
			fraction += int64(s[0]-'0') * unit
		}
		s = s[1:]
	}
	return fraction, unit, s
}

func zone(s []byte) (offset int64, ok bool) {
	if len(s) == 0 || len(s) == 1 && s[0] == 'Z' {
		return 0, true
	}
	h, ok1 := digits(s, 1, 2)
	m, ok2 := digits(s, 4, 2)
	if !ok1 || !ok2 || len(s) != 6 || s[3] != ':' || h > 14 || m > 59 {
		return 0, false
	}
	offset = int64(h)*hour + int64(m)*minute
	switch s[0] {
	case '+':
		return offset, true
	case '-':
		return -offset, true
	}
	return 0, false
}

func digits(s []byte, at, n int) (v int, ok bool) {
	if len(s) < at+n {
		return 0, false
	}
	for _, c := range s[at : at+n] {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

func micros(year, month, day int) int64 {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).UnixMicro()
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// DecimalScale is the number of fraction digits of [Decimal38].
const DecimalScale = 6

// Decimal38 reads a JSON number as DECIMAL(38,6): a big-endian two's complement
// number of millionths. ok is false when that cannot hold it exactly.
func Decimal38(s []byte) (v [16]byte, ok bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	exp := 0
	if i := bytes.IndexAny(s, "eE"); i >= 0 {
		if exp, ok = exponent(s[i+1:]); !ok {
			return v, false
		}
		s = s[:i]
	}
	if i := bytes.IndexByte(s, '.'); i >= 0 {
		exp -= len(s) - i - 1
	}
	hi, lo, ok := magnitude(s, exp+DecimalScale)
	if !ok {
		return v, false
	}
	if neg {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	binary.BigEndian.PutUint64(v[:8], hi)
	binary.BigEndian.PutUint64(v[8:], lo)
	return v, true
}

func exponent(s []byte) (int, bool) {
	neg := len(s) > 0 && s[0] == '-'
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	e := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		e = min(e*10+int(c-'0'), 1<<20)
	}
	if neg {
		e = -e
	}
	return e, len(s) > 0
}

// magnitude gives the digits of s, a point among them ignored, times 10^shift,
// as a number of 128 bits below 10^38.
func magnitude(s []byte, shift int) (hi, lo uint64, ok bool) {
	zeros, any := 0, false // zeros that were read but not yet multiplied in
	for _, c := range s {
		switch {
		case c == '.':
		case c == '0':
			zeros++
		case c < '0' || c > '9':
			return 0, 0, false
		default:
			if any {
				if hi, lo, ok = timesTen(hi, lo, zeros+1); !ok {
					return 0, 0, false
				}
			}
			zeros, any = 0, true
			var carry uint64
			lo, carry = bits.Add64(lo, uint64(c-'0'), 0)
			hi += carry
		}
	}
	if !any {
		return 0, 0, len(s) > 0
	}
	if zeros += shift; zeros < 0 {
		return 0, 0, false // digits below a millionth
	}
	return timesTen(hi, lo, zeros)
}

// 10^38, the first number that DECIMAL(38) cannot hold.
const limitHi, limitLo = 0x4b3b4ca85a86c47a, 0x098a224000000000

func timesTen(hi, lo uint64, n int) (h, l uint64, ok bool) {
	for ; n > 0 && hi|lo != 0; n-- {
		carry, low := bits.Mul64(lo, 10)
		over, high := bits.Mul64(hi, 10)
		high, c := bits.Add64(high, carry, 0)
		if over+c != 0 {
			return 0, 0, false
		}
		hi, lo = high, low
		if hi > limitHi || hi == limitHi && lo >= limitLo {
			return 0, 0, false
		}
	}
	return hi, lo, true
}

// ReferenceParts splits a literal reference, Type/id with or without a base
// URL before it and a version after it (FHIR R4, 2.3.0.1), into the type and
// the logical id. ok is false for any other: a fragment, a urn, a search.
func ReferenceParts(s []byte) (typ, id []byte, ok bool) {
	s, id = cutLast(s)
	if string(lastPart(s)) == "_history" {
		if !isID(id) {
			return nil, nil, false
		}
		s, _ = cutLast(s)
		s, id = cutLast(s)
	}
	typ = lastPart(s)
	if len(typ) == 0 || !isID(id) || r4.ResourceTypeByName(typ) == 0 {
		return nil, nil, false
	}
	if base := s[:len(s)-len(typ)]; len(base) > 0 && !bytes.Contains(base, schemePart) {
		return nil, nil, false
	}
	return typ, id, true
}

var schemePart = []byte("://")

// cutLast splits s at its last slash; without one, before is empty.
func cutLast(s []byte) (before, after []byte) {
	i := bytes.LastIndexByte(s, '/')
	if i < 0 {
		return nil, s
	}
	return s[:i], s[i+1:]
}

func lastPart(s []byte) []byte { return s[bytes.LastIndexByte(s, '/')+1:] }

// notInID marks the bytes that no id has: an id is [A-Za-z0-9\-\.]{1,64}.
var notInID = func() (t [256]uint8) {
	for c := range t {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			t[c] = 1
		}
	}
	return t
}()

func isID(s []byte) bool {
	var bad uint8
	for _, c := range s {
		bad |= notInID[c]
	}
	return bad == 0 && len(s) > 0 && len(s) <= 64
}
