// Package temporal holds dates and times of partial precision: FHIR's date,
// dateTime, instant and time (R4 2.24.0.1), FHIRPath's Date, DateTime and Time. It
// owns their text, their three-valued order, calendar arithmetic and boundaries.
// What now is, and in which zone, it leaves to its callers. Read [Value] first.
//
// Invariants of a Value:
//
//  1. A component beyond the precision is 0; the month and day of a time are 0.
//  2. There is a zone only with an hour, never on a date or a time.
//  3. The fraction has no digits beyond its count.
package temporal

import (
	"strconv"
	"time"
)

// Kind tells dates, points of time and times of day apart.
type Kind uint8

// The kinds. An instant is a DateTime.
const (
	Date Kind = iota + 1
	DateTime
	Time
)

// Precision is the last component that a value has.
type Precision uint8

// The precisions. Millisecond stands for any fraction of a second.
const (
	Year Precision = iota + 1
	Month
	Day
	Hour
	Minute
	Second
	Millisecond
)

// MaxFraction is how many digits of a fraction of a second a value keeps; further
// ones are dropped.
const MaxFraction = 18

// Value is an immutable date, point of time or time of day. The zero Value is
// none of them. == tells whether two are written alike, [Equal] whether they are
// the same.
type Value struct {
	fraction  uint64 // of a second, in 10^-18
	year      int16
	offset    int16 // of the zone, minutes east of UTC
	month     uint8
	day       uint8
	hour      uint8
	minute    uint8
	second    uint8 // 60 in a leap second
	digits    uint8 // of the fraction
	kind      Kind
	precision Precision
	zone      zone
}

// zone tells how the zone is written.
type zone uint8

const (
	noZone  zone = iota
	utc          // Z
	numeric      // +hh:mm
)

// Kind gives the kind, 0 for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// Precision gives the last component that v has.
func (v Value) Precision() Precision { return v.precision }

// HasZone tells whether v names its zone.
func (v Value) HasZone() bool { return v.zone != noZone }

// Offset gives the zone in minutes east of UTC, 0 without one.
func (v Value) Offset() int { return int(v.offset) }

// Year is 1 to 9999, 0 for a time.
func (v Value) Year() int { return int(v.year) }

// Month is 1 to 12, 0 where v does not have it.
func (v Value) Month() int { return int(v.month) }

// Day is the day of the month, 0 where v does not have it.
func (v Value) Day() int { return int(v.day) }

// Hour is 0 to 23.
func (v Value) Hour() int { return int(v.hour) }

// Minute is 0 to 59.
func (v Value) Minute() int { return int(v.minute) }

// Second is 0 to 60.
func (v Value) Second() int { return int(v.second) }

// Millisecond gives the first three digits of the fraction, as 0 to 999.
func (v Value) Millisecond() int { return int(v.fraction / 1e15) }

// FromTime gives t as a kind: a Date to the day, a DateTime to the millisecond
// with the zone of t, a Time to the millisecond. Years outside 1 to 9999 give the
// zero Value.
func FromTime(t time.Time, kind Kind) Value {
	year, month, day := t.Date()
	if year < 1 || year > 9999 {
		return Value{}
	}
	v := Value{kind: kind}
	if kind != Time {
		v.year, v.month, v.day, v.precision = int16(year), uint8(month), uint8(day), Day
	}
	if kind == Date {
		return v
	}
	v.hour, v.minute, v.second = uint8(t.Hour()), uint8(t.Minute()), uint8(t.Second())
	v.fraction, v.digits, v.precision = uint64(t.Nanosecond()/1e6)*1e15, 3, Millisecond
	if kind == DateTime {
		_, east := t.Zone()
		v.offset, v.zone = int16(east/60), numeric
		if t.Location() == time.UTC {
			v.zone = utc
		}
	}
	return v
}

// Time gives the first moment of v. Without a zone it is taken as UTC; a time is
// on the first day of year 1.
func (v Value) Time() time.Time {
	loc := time.UTC
	if v.zone == numeric {
		loc = time.FixedZone("", int(v.offset)*60)
	}
	return time.Date(max(int(v.year), 1), time.Month(max(v.month, 1)), max(int(v.day), 1),
		int(v.hour), int(v.minute), int(v.second), int(v.fraction/1e9), loc)
}

// ToDateTime gives a date as a DateTime without time; what is one already stays.
// ok is false for a time.
func (v Value) ToDateTime() (d Value, ok bool) {
	if v.kind == Date {
		v.kind = DateTime
	}
	return v, v.kind == DateTime
}

// ToDate gives the date of a DateTime, as it reads in its own zone. ok is false
// for a time.
func (v Value) ToDate() (d Value, ok bool) {
	if v.kind == DateTime {
		v = v.truncate(Day)
		v.kind = Date
	}
	return v, v.kind == Date
}

// truncate drops what is finer than p; a precision that v does not reach stays.
func (v Value) truncate(p Precision) Value {
	if v.precision <= p {
		return v
	}
	v.precision, v.fraction, v.digits = p, 0, 0
	switch {
	case p < Month:
		v.month = 0
		fallthrough
	case p < Day:
		v.day = 0
		fallthrough
	case p < Hour:
		v.hour, v.zone, v.offset = 0, noZone, 0
		fallthrough
	case p < Minute:
		v.minute = 0
		fallthrough
	case p < Second:
		v.second = 0
	}
	return v
}

// String gives the text in FHIR's form, partial values as far as they go, a
// DateTime without time without its T.
func (v Value) String() string { return string(v.Append(nil)) }

// Append appends what [Value.String] gives.
func (v Value) Append(b []byte) []byte {
	if v.kind == 0 {
		return b
	}
	if v.kind != Time {
		b = append(b, '0'+byte(v.year/1000), '0'+byte(v.year/100%10))
		b = appendTwo(b, uint8(v.year%100))
		if v.precision >= Month {
			b = appendTwo(append(b, '-'), v.month)
		}
		if v.precision >= Day {
			b = appendTwo(append(b, '-'), v.day)
		}
		if v.precision < Hour {
			return b
		}
		b = append(b, 'T')
	}
	b = appendTwo(b, v.hour)
	if v.precision >= Minute {
		b = appendTwo(append(b, ':'), v.minute)
	}
	if v.precision >= Second {
		b = appendTwo(append(b, ':'), v.second)
	}
	if v.digits > 0 {
		// The leading one keeps the zeros and becomes the point.
		n := len(b)
		b = strconv.AppendUint(b, (v.fraction+1e18)/tens[MaxFraction-v.digits], 10)
		b[n] = '.'
	}
	return v.appendZone(b)
}

func (v Value) appendZone(b []byte) []byte {
	switch v.zone {
	case utc:
		return append(b, 'Z')
	case numeric:
		sign, m := byte('+'), v.offset
		if m < 0 {
			sign, m = '-', -m
		}
		b = appendTwo(append(b, sign), uint8(m/60))
		return appendTwo(append(b, ':'), uint8(m%60))
	}
	return b
}

func appendTwo(b []byte, n uint8) []byte { return append(b, '0'+n/10, '0'+n%10) }

// tens are the powers of ten up to 10^18.
var tens = func() (t [MaxFraction + 1]uint64) {
	for i, p := 0, uint64(1); i < len(t); i, p = i+1, p*10 {
		t[i] = p
	}
	return t
}()
