package parse

import (
	"bytes"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// pad is how many bytes temporalEnd wants to see after the start of a value.
const pad = 32

// Words of the fixed parts, zero for each digit: XOR leaves digits 0 to 9 and
// separators 0. Adding the limits sets the high bit of each byte that is more.
const (
	patternDate = 0x2D30302D30303030 // 0000-00-, the first byte is the lowest
	limitDate   = 0x7F76767F76767676
	patternTime = 0x30303A30303A3030 // 00:00:00
	limitTime   = 0x76767F76767F7676
)

// temporalEnd reads the date, dateTime or instant at i and returns the offset
// after it, or 0 when it is not one or when too little text is left to tell.
func temporalEnd(d []byte, i int, prim r4.Primitive) int {
	if i+pad > len(d) {
		return 0
	}
	b := d[i : i+pad : i+pad]
	x := load8(b, 0) ^ patternDate
	if (x|(x+limitDate))&highs != 0 {
		return shortDate(b, i, prim)
	}
	if x&0xFFFFFFFF == 0 {
		return 0 // year 0000
	}
	month := int(byte(x>>40))*10 + int(byte(x>>48))
	d1, d2 := b[8]-'0', b[9]-'0'
	day := int(d1)*10 + int(d2)
	if month-1 >= 12 || month == 0 || d1 > 9 || d2 > 9 || day == 0 || day > 28 && day > daysIn(x, month) {
		return 0
	}
	if b[10] != 'T' || prim == r4.PrimitiveDate {
		if prim == r4.PrimitiveInstant {
			return 0
		}
		return i + 10
	}
	j := timeEnd(d, i+11)
	if j == 0 || j+6 > len(d) {
		return 0
	}
	switch c := d[j]; {
	case c == 'Z':
		return j + 1
	case c == '+' || c == '-':
		return zoneEnd(d, j+1)
	}
	return 0
}

// shortDate reads YYYY or YYYY-MM, which ends before a quote.
func shortDate(b []byte, i int, prim r4.Primitive) int {
	if prim == r4.PrimitiveInstant || digits(b[:4], 0) != 4 || string(b[:4]) == "0000" {
		return 0
	}
	if b[4] != '-' {
		return i + 4
	}
	month := int(b[5]-'0')*10 + int(b[6]-'0')
	if b[5]-'0' > 9 || b[6]-'0' > 9 || month < 1 || month > 12 || b[7] == '-' {
		return 0
	}
	return i + 7
}

// daysIn gives the days of the month; x is the XORed word with the year's digits.
func daysIn(x uint64, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		year := int(byte(x))*1000 + int(byte(x>>8))*100 + int(byte(x>>16))*10 + int(byte(x>>24))
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// timeEnd reads HH:MM:SS with an optional fraction; 0 for none. The leap second
// 60 is valid anywhere, as in R4's regular expression.
func timeEnd(d []byte, i int) int {
	if i+8 > len(d) {
		return 0
	}
	x := load8(d, i) ^ patternTime
	if (x|(x+limitTime))&highs != 0 {
		return 0
	}
	hour := byte(x)*10 + byte(x>>8)
	minute := byte(x>>24)*10 + byte(x>>32)
	second := byte(x>>48)*10 + byte(x>>56)
	if hour > 23 || minute > 59 || second > 60 {
		return 0
	}
	if i += 8; i < len(d) && d[i] == '.' {
		j := digits(d, i+1)
		if j == i+1 {
			return 0
		}
		i = j
	}
	return i
}

// zoneEnd reads the HH:MM of a zone, up to 14:00; 0 for none.
func zoneEnd(d []byte, i int) int {
	if i+5 > len(d) {
		return 0
	}
	b := d[i : i+5 : i+5]
	h1, h2, m1, m2 := b[0]-'0', b[1]-'0', b[3]-'0', b[4]-'0'
	if h1 > 1 || h2 > 9 || b[2] != ':' || m1 > 5 || m2 > 9 {
		return 0
	}
	if hour := h1*10 + h2; hour > 14 || hour == 14 && (m1 != 0 || m2 != 0) {
		return 0
	}
	return i + 5
}

// validTemporal checks the whole of v, wherever it stands in the text.
func (p *Parser) validTemporal(v []byte, prim r4.Primitive) bool {
	if prim == r4.PrimitiveTime {
		return timeEnd(v, 0) == len(v)
	}
	// v may alias buf, which append copies over itself.
	var zeros [pad]byte
	p.buf = append(append(p.buf[:0], v...), zeros[:]...)
	return temporalEnd(p.buf, 0, prim) == len(v)
}

// whyNotTemporal says what v, which is not valid, should have been.
func whyNotTemporal(v []byte, prim r4.Primitive) string {
	if prim == r4.PrimitiveTime {
		return "hh:mm:ss, from 00:00:00 to 23:59:60, maybe with a fraction"
	}
	if len(v) >= 10 {
		x := uint64(0)
		ok := v[4] == '-' && v[7] == '-'
		for i, c := range v[:10] {
			if i != 4 && i != 7 && c-'0' > 9 {
				ok = false
			} else if i < 8 {
				x |= uint64(c&15) << (8 * i)
			}
		}
		month, day := int(v[5]-'0')*10+int(v[6]-'0'), int(v[8]-'0')*10+int(v[9]-'0')
		switch {
		case !ok:
		case string(v[:4]) == "0000":
			return "a year from 0001 to 9999"
		case month < 1 || month > 12:
			return "a month from 01 to 12"
		case day < 1 || day > daysIn(x, month):
			return fmt.Sprintf("a day from 01 to %d in month %s", daysIn(x, month), v[:7])
		case prim == r4.PrimitiveDate:
			return "YYYY, YYYY-MM or YYYY-MM-DD"
		case len(v) > 10 && v[10] == 'T':
			t := v[11:]
			end := bytes.IndexAny(t, "Z+-")
			if end < 0 && timeEnd(t, 0) == len(t) {
				return "a zone such as Z or +01:00 after the time"
			}
			if end < 0 {
				end = len(t)
			}
			if timeEnd(t[:end], 0) != end {
				return "a time hh:mm:ss from 00:00:00 to 23:59:60, maybe with a fraction"
			}
			return "a zone that is Z or lies between -14:00 and +14:00"
		}
	}
	switch prim {
	case r4.PrimitiveDate:
		return "YYYY, YYYY-MM or YYYY-MM-DD"
	case r4.PrimitiveInstant:
		return "YYYY-MM-DDThh:mm:ss and a zone"
	}
	return "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss and a zone"
}
