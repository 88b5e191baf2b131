package temporal

// Digits gives the digits of v, those of its fraction counted as three: what
// FHIRPath's precision() gives (FHIRPath 3.0.0).
func (v Value) Digits() int {
	if v.kind == 0 {
		return 0
	}
	if v.kind == Time {
		return timeDigits[v.precision]
	}
	return dateDigits[v.precision]
}

var (
	dateDigits = [...]int{Year: 4, Month: 6, Day: 8, Hour: 10, Minute: 12, Second: 14, Millisecond: 17}
	timeDigits = [...]int{Hour: 2, Minute: 4, Second: 6, Millisecond: 9}
)

// BoundaryDigits gives the precision that lowBoundary() and highBoundary() use
// when none is given: the greatest of the kind.
func (v Value) BoundaryDigits() int {
	switch v.kind {
	case Date:
		return dateDigits[Day]
	case DateTime:
		return dateDigits[Millisecond]
	case Time:
		return timeDigits[Millisecond]
	}
	return 0
}

// precisionOf is the inverse of Digits for values of the kind of v.
func (v Value) precisionOf(digits int) (p Precision, ok bool) {
	table, first, last := dateDigits[:], Year, Millisecond
	switch v.kind {
	case Date:
		last = Day
	case Time:
		table, first = timeDigits[:], Hour
	}
	for p := first; p <= last; p++ {
		if table[p] == digits {
			return p, v.kind != 0
		}
	}
	return 0, false
}

// LowBoundary gives the first moment that v may stand for, to so many digits as
// [Value.Digits] counts; what v has beyond them is cut off. Where v has no zone it
// is 14 hours ahead of UTC. ok is false for a number of digits that no value of
// the kind has (FHIRPath 3.0.0, lowBoundary).
func (v Value) LowBoundary(digits int) (low Value, ok bool) {
	p, ok := v.precisionOf(digits)
	if !ok {
		return Value{}, false
	}
	if v.precision < Month && p >= Month {
		v.month = 1
	}
	if v.precision < Day && p >= Day {
		v.day = 1
	}
	return v.bounded(p, maxOffset), true
}

// HighBoundary gives the last such moment; without a zone it is 12 hours behind
// UTC. A dateTime that ends in the hour means that full hour, since those of FHIR
// have minutes; the official suite has it so.
func (v Value) HighBoundary(digits int) (high Value, ok bool) {
	p, ok := v.precisionOf(digits)
	if !ok {
		return Value{}, false
	}
	if v.precision < Month && p >= Month {
		v.month = 12
	}
	if v.precision < Day && p >= Day {
		v.day = uint8(daysIn(int(v.year), int(v.month)))
	}
	if v.precision < Hour && p >= Hour {
		v.hour = 23
	}
	if v.precision < Minute && p >= Minute && (v.kind != DateTime || v.precision < Hour) {
		v.minute = 59
	}
	if v.precision < Second && p >= Second {
		v.second = 59
	}
	if p == Millisecond && v.digits < 3 {
		v.fraction += 1e18/tens[v.digits] - 1e15
	}
	return v.bounded(p, -12*60), true
}

// bounded gives v, whose components are filled in, its precision and zone.
func (v Value) bounded(p Precision, offset int16) Value {
	if v.precision > p {
		v = v.truncate(p)
	}
	v.precision = p
	if p == Millisecond {
		v.digits = max(v.digits, 3)
	}
	if v.kind == DateTime && p >= Hour && !v.HasZone() {
		v.zone, v.offset = numeric, offset
	}
	return v
}
