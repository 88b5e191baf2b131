package temporal

// Parse reads a text in FHIR's form, and in FHIRPath's partial ones that FHIR does
// not have (N1 2.1.6): a DateTime "2014T", "2014-01-25T14", "2014-01-25T14:30", a
// Time "14" and "14:30", a DateTime with a time and no zone. The calendar is
// checked; a second of 60 is read at any time, as in FHIR's regular expression. ok
// is false for any other text.
func Parse(kind Kind, text []byte) (v Value, ok bool) {
	v.kind = kind
	switch kind {
	case Date:
		n, ok := v.readDate(text)
		return v, ok && n == len(text)
	case DateTime:
		return v.readDateTime(text)
	case Time:
		n, ok := v.readClock(text)
		return v, ok && n == len(text)
	}
	return v, false
}

func (v Value) readDateTime(s []byte) (Value, bool) {
	n, ok := v.readDate(s)
	if !ok || n == len(s) {
		return v, ok
	}
	if s[n] != 'T' {
		return v, false
	}
	if s = s[n+1:]; len(s) == 0 {
		return v, true
	}
	if v.precision != Day {
		return v, false
	}
	if n, ok = v.readClock(s); !ok {
		return v, false
	}
	return v, v.readZone(s[n:])
}

// readDate reads YYYY, YYYY-MM or YYYY-MM-DD and gives its length.
func (v *Value) readDate(s []byte) (n int, ok bool) {
	century, ok1 := two(s, 0)
	year, ok2 := two(s, 2)
	if v.year = int16(century)*100 + int16(year); !ok1 || !ok2 || v.year == 0 {
		return 0, false
	}
	if v.precision = Year; len(s) == 4 || s[4] != '-' {
		return 4, true
	}
	if v.month, ok = two(s, 5); !ok || v.month < 1 || v.month > 12 {
		return 0, false
	}
	if v.precision = Month; len(s) == 7 || s[7] != '-' {
		return 7, true
	}
	v.day, ok = two(s, 8)
	v.precision = Day
	return 10, ok && v.day >= 1 && int(v.day) <= daysIn(int(v.year), int(v.month))
}

// readClock reads hh, hh:mm, hh:mm:ss or hh:mm:ss.f and gives its length.
func (v *Value) readClock(s []byte) (n int, ok bool) {
	if v.hour, ok = two(s, 0); !ok || v.hour > 23 {
		return 0, false
	}
	if v.precision = Hour; len(s) == 2 || s[2] != ':' {
		return 2, true
	}
	if v.minute, ok = two(s, 3); !ok || v.minute > 59 {
		return 0, false
	}
	if v.precision = Minute; len(s) == 5 || s[5] != ':' {
		return 5, true
	}
	if v.second, ok = two(s, 6); !ok || v.second > 60 {
		return 0, false
	}
	if v.precision = Second; len(s) == 8 || s[8] != '.' {
		return 8, true
	}
	n = 9
	for ; n < len(s) && s[n]-'0' <= 9; n++ {
		if v.digits < MaxFraction {
			v.digits++
			v.fraction += uint64(s[n]-'0') * tens[MaxFraction-v.digits]
		}
	}
	v.precision = Millisecond
	return n, v.digits > 0
}

// readZone reads all of s as a zone, nothing among them: Z, or up to 14:00 either
// way.
func (v *Value) readZone(s []byte) bool {
	switch {
	case len(s) == 0:
		return true
	case len(s) == 1 && s[0] == 'Z':
		v.zone = utc
		return true
	case len(s) != 6 || s[3] != ':':
		return false
	}
	h, ok1 := two(s, 1)
	m, ok2 := two(s, 4)
	v.zone, v.offset = numeric, int16(h)*60+int16(m)
	if s[0] == '-' {
		v.offset = -v.offset
	}
	return ok1 && ok2 && (s[0] == '+' || s[0] == '-') && m <= 59 && -maxOffset <= v.offset && v.offset <= maxOffset
}

// maxOffset is the greatest distance of a zone from UTC, in minutes, in FHIR's
// regular expression of a dateTime.
const maxOffset = 14 * 60

// two reads the two digits at i.
func two(s []byte, i int) (n uint8, ok bool) {
	if len(s) < i+2 {
		return 0, false
	}
	a, b := s[i]-'0', s[i+1]-'0'
	return a*10 + b, a <= 9 && b <= 9
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
