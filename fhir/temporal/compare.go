package temporal

import "cmp"

// Order is decided on the span of time that a value stands for. Whatever is finer
// than a minute is a point, since seconds and their fractions are one precision;
// an hour, a day, a month is all of it. Two spans that do not meet are ordered and
// differ, two that are the same are equal, and of all others one contains the
// other, where N1 6.2 says that nothing is known. That is the comparison component
// by component that N1 words, for every pair of precisions and zones.

// moment is a point of time: seconds since 1970 in UTC, or since midnight.
type moment struct {
	second   int64
	fraction uint64 // 10^-18
}

func (m moment) compare(n moment) int {
	if c := cmp.Compare(m.second, n.second); c != 0 {
		return c
	}
	return cmp.Compare(m.fraction, n.fraction)
}

// span gives the first moment of v and the first one after it; of a point, end is
// start. A value without zone is taken as UTC.
func (v Value) span() (start, end moment) {
	start = moment{v.seconds() - int64(v.offset)*60, v.fraction}
	end = start
	switch v.precision {
	case Year:
		end.second = daysSince1970(int(v.year)+1, 1, 1) * daySeconds
	case Month:
		end.second += int64(daysIn(int(v.year), int(v.month))) * daySeconds
	case Day:
		end.second += daySeconds
	case Hour:
		end.second += 60 * 60
	case Minute:
		end.second += 60
	}
	return start, end
}

const daySeconds = 24 * 60 * 60

// seconds gives what the components say, without the zone.
func (v Value) seconds() int64 {
	s := int64(v.hour)*3600 + int64(v.minute)*60 + int64(v.second)
	if v.kind != Time {
		s += daysSince1970(int(v.year), int(max(v.month, 1)), int(max(v.day, 1))) * daySeconds
	}
	return s
}

// before tells whether the span a ends before b starts.
func before(aStart, aEnd, bStart moment) bool {
	if aStart == aEnd {
		return aStart.compare(bStart) < 0
	}
	return aEnd.compare(bStart) <= 0
}

// Compare gives the order of a and b, -1, 0 or 1 (N1 6.2). known is false where
// the precision does not tell, where one value has a zone and the other has none
// and they lie too near for any zone to decide, and between a time and a date. A
// date compares as a DateTime.
func Compare(a, b Value) (c int, known bool) {
	if (a.kind == Time) != (b.kind == Time) {
		return 0, false
	}
	aStart, aEnd := a.span()
	bStart, bEnd := b.span()
	if a.kind != Time && a.HasZone() != b.HasZone() {
		if a.HasZone() {
			bStart, bEnd = anyZone(bStart, bEnd)
		} else {
			aStart, aEnd = anyZone(aStart, aEnd)
		}
	}
	switch {
	case before(aStart, aEnd, bStart):
		return -1, true
	case before(bStart, bEnd, aStart):
		return 1, true
	}
	return 0, aStart == bStart && aEnd == bEnd
}

// anyZone widens the span of a value without zone to all zones there are: clocks
// are at most 14 hours ahead of UTC and 12 behind. The result is never a point, so
// it is equal to none.
func anyZone(start, end moment) (moment, moment) {
	if start == end {
		end.fraction++
	}
	start.second -= 14 * 60 * 60
	end.second += 12 * 60 * 60
	return start, end
}

// Equal is FHIRPath's = (N1 6.1.1). Where [Compare] knows nothing neither does
// Equal, but a time is never equal to a date.
func Equal(a, b Value) (equal, known bool) {
	if (a.kind == Time) != (b.kind == Time) {
		return false, true
	}
	c, known := Compare(a, b)
	return known && c == 0, known
}

// Equivalent is FHIRPath's ~ (N1 6.1.2): equal, and known to be.
func Equivalent(a, b Value) bool {
	equal, known := Equal(a, b)
	return equal && known
}

// Bounds gives the time that v stands for in microseconds since 1970 in UTC, of a
// time since midnight, the end exclusive. A second or a fraction lasts the unit of
// its last digit, but a microsecond at least. Without a zone v is taken as UTC.
func (v Value) Bounds() (start, end int64) {
	s, e := v.span()
	start = s.second*1e6 + int64(s.fraction/1e12)
	if v.precision < Second {
		return start, e.second * 1e6
	}
	return start, start + int64(tens[6-min(v.digits, 6)])
}

// daysSince1970 counts days in the Gregorian calendar. Years begin in March here,
// so that a leap day is the last one: 153 days make any five months from March.
func daysSince1970(year, month, day int) int64 {
	const marchFirst0 = 719468 // days from 1 March of year 0 to 1970
	if month <= 2 {
		year--
		month += 12
	}
	return int64(365*year+year/4-year/100+year/400+(153*(month-3)+2)/5+day-1) - marchFirst0
}

// dateOf is the inverse of daysSince1970, for the years 1 to 9999.
func dateOf(days int64) (year, month, day int) {
	const (
		marchFirst0 = 719468
		era         = 146097 // days of 400 years
	)
	n := int(days) + marchFirst0
	eras, n := n/era, n%era
	year = (n - n/1460 + n/36524 - n/(era-1)) / 365
	n -= 365*year + year/4 - year/100
	m := (5*n + 2) / 153
	day = n - (153*m+2)/5 + 1
	year += eras * 400
	if m < 10 {
		return year, m + 3, day
	}
	return year + 1, m - 9, day
}
