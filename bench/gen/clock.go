package gen

// stamp is a moment in seconds since 1970 UTC.
type stamp int64

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	year   = 31556952 // mean Gregorian year in seconds
)

// horizon is the day on which every record ends: 2025-06-30. It is fixed, so
// that the same seed gives the same bytes in any year.
const horizon stamp = 20269 * day

// civil splits days since 1970 into a Gregorian date, by counting in eras of
// 400 years that begin on the first of March.
func civil(days int64) (y int64, m, d int) {
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy-(153*mp+2)/5) + 1
	m = int(mp) + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

func floorDay(t stamp) int64 {
	d := int64(t) / day
	if int64(t)%day < 0 {
		d--
	}
	return d
}

func two(b []byte, v int) []byte { return append(b, byte('0'+v/10), byte('0'+v%10)) }

func appendDate(b []byte, days int64) []byte {
	y, m, d := civil(days)
	b = two(two(b, int(y/100)), int(y%100))
	b = two(append(b, '-'), m)
	return two(append(b, '-'), d)
}

// zone is the offset of a place's clock: hours west of UTC in winter, and
// whether it keeps daylight saving time.
type zone struct {
	west     int
	daylight bool
}

// offset in seconds at t. Daylight time is taken from 10 March to 4 November,
// near enough to the rule of second and first Sundays.
func (z zone) offset(t stamp) int64 {
	off := -int64(z.west) * hour
	if z.daylight {
		_, m, d := civil(floorDay(t))
		if m > 3 && m < 11 || m == 3 && d >= 10 || m == 11 && d < 5 {
			off += hour
		}
	}
	return off
}

// localDay is the calendar day at the place, as days since 1970.
func (z zone) localDay(t stamp) int64 { return floorDay(t + stamp(z.offset(t))) }

func (z zone) append(b []byte, t stamp, millis int) []byte {
	off := z.offset(t)
	local := t + stamp(off)
	days := floorDay(local)
	sec := int(int64(local) - days*day)
	b = appendDate(b, days)
	b = two(append(b, 'T'), sec/hour)
	b = two(append(b, ':'), sec/minute%60)
	b = two(append(b, ':'), sec%60)
	if millis >= 0 {
		b = append(b, '.', byte('0'+millis/100), byte('0'+millis/10%10), byte('0'+millis%10))
	}
	if off < 0 {
		b = append(b, '-')
		off = -off
	} else {
		b = append(b, '+')
	}
	return append(two(b, int(off/hour)), ":00"...)
}

// yearsBetween is an age in whole years.
func yearsBetween(from, to stamp) int {
	y0, m0, d0 := civil(floorDay(from))
	y1, m1, d1 := civil(floorDay(to))
	n := int(y1 - y0)
	if m1 < m0 || m1 == m0 && d1 < d0 {
		n--
	}
	return n
}
