package temporal

import (
	"math"

	"github.com/fhirlake/fhirlake/fhir/decimal"
)

// Unit is a calendar duration.
type Unit uint8

// The units.
const (
	Years Unit = iota + 1
	Months
	Weeks
	Days
	Hours
	Minutes
	Seconds
	Milliseconds
)

// UnitByName gives the unit of a calendar duration by its keyword, singular or
// plural (N1 4.1.8.1).
func UnitByName(name string) (u Unit, ok bool) {
	switch name {
	case "year", "years":
		return Years, true
	case "month", "months":
		return Months, true
	case "week", "weeks":
		return Weeks, true
	case "day", "days":
		return Days, true
	case "hour", "hours":
		return Hours, true
	case "minute", "minutes":
		return Minutes, true
	case "second", "seconds":
		return Seconds, true
	case "millisecond", "milliseconds":
		return Milliseconds, true
	}
	return 0, false
}

// UnitByUCUM gives the unit by its UCUM code. There is none for 'a' and 'mo',
// which are definite durations where a calendar's are wanted (N1 6.7).
func UnitByUCUM(code string) (u Unit, ok bool) {
	switch code {
	case "wk":
		return Weeks, true
	case "d":
		return Days, true
	case "h":
		return Hours, true
	case "min":
		return Minutes, true
	case "s":
		return Seconds, true
	case "ms":
		return Milliseconds, true
	}
	return 0, false
}

// String gives the keyword in plural.
func (u Unit) String() string {
	names := [...]string{"", "years", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds"}
	if int(u) < len(names) {
		return names[u]
	}
	return ""
}

// AppliesTo tells whether values of the kind can be moved by the unit (N1 6.7.1):
// a date by days and longer, a time by hours and shorter.
func (u Unit) AppliesTo(kind Kind) bool {
	switch kind {
	case Date:
		return Years <= u && u <= Days
	case Time:
		return Hours <= u && u <= Milliseconds
	}
	return kind == DateTime && Years <= u && u <= Milliseconds
}

// milliseconds has the length of the units of fixed length.
var milliseconds = [...]int64{Weeks: 7 * day, Days: day, Hours: hour, Minutes: minute, Seconds: second, Milliseconds: 1}

const (
	second = 1000
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	month  = 30 * day  // where days are converted to months
	year   = 365 * day // and to years (N1 5.5.7)
)

// Add moves v by an amount of units, a negative one back (N1 6.7). Of an amount
// above seconds the decimals are dropped; what is finer than v is converted to the
// precision of v and truncated, so that @2014 + 23 months is @2015. A day that the
// month does not have becomes its last one. A time goes round the clock. v keeps
// its precision and zone. ok is false where the unit does not apply to the kind of
// v, and where the result lies outside the years 1 to 9999.
func (v Value) Add(amount decimal.Decimal, unit Unit) (sum Value, ok bool) {
	if !unit.AppliesTo(v.kind) {
		return Value{}, false
	}
	if unit >= Seconds && v.precision >= Second {
		return v.addSeconds(amount, unit)
	}
	n, ok := amount.Truncate().Int64()
	if !ok {
		return Value{}, false
	}
	switch {
	case unit == Years:
		return v.addMonths(n, 12)
	case unit == Months && v.precision == Year:
		return v.addMonths(n/12, 12)
	case unit == Months:
		return v.addMonths(n, 1)
	}
	length := milliseconds[unit]
	if n > math.MaxInt64/length || n < -math.MaxInt64/length {
		return Value{}, false
	}
	switch n *= length; v.precision {
	case Year:
		return v.addMonths(n/year, 12)
	case Month:
		return v.addMonths(n/month, 1)
	case Day:
		return v.move(n/day*daySeconds, 0)
	case Hour:
		return v.move(n/hour*60*60, 0)
	case Minute:
		return v.move(n/minute*60, 0)
	}
	return v.move(n/second, 0) // whole minutes and more
}

// addMonths adds n times a number of months.
func (v Value) addMonths(n, months int64) (Value, bool) {
	const most = 12 * 10000
	if n > most || n < -most {
		return Value{}, false
	}
	total := int64(v.year)*12 + int64(max(v.month, 1)) - 1 + n*months
	y := total / 12
	if total < 12 || y > 9999 {
		return Value{}, false
	}
	v.year = int16(y)
	if v.precision >= Month {
		v.month = uint8(total%12) + 1
	}
	if v.precision >= Day {
		v.day = min(v.day, uint8(daysIn(int(v.year), int(v.month))))
	}
	return v, true
}

// addSeconds adds seconds or milliseconds with their decimals, as far as v has
// places for them: none without a fraction, else three at least.
func (v Value) addSeconds(amount decimal.Decimal, unit Unit) (Value, bool) {
	if unit == Milliseconds {
		thousandth, _ := decimal.New(1, 3)
		var ok bool
		if amount, ok = amount.Mul(thousandth); !ok {
			return Value{}, false
		}
	}
	whole := amount.Truncate()
	n, ok := whole.Int64()
	if !ok {
		return Value{}, false
	}
	var fraction int64
	if v.digits > 0 {
		places := max(v.digits, 3)
		rest, _ := amount.Sub(whole)
		rest, _ = rest.Mul(decimal.FromInt(int64(tens[places])))
		fraction, _ = rest.Truncate().Int64()
		fraction *= int64(tens[MaxFraction-places])
	}
	return v.move(n, fraction)
}

// move adds seconds and a fraction of the same sign.
func (v Value) move(seconds, fraction int64) (Value, bool) {
	const most = 10000 * 366 * daySeconds
	if seconds > most || seconds < -most {
		if v.kind != Time {
			return Value{}, false
		}
		seconds %= daySeconds
	}
	seconds += v.seconds()
	fraction += int64(v.fraction)
	switch {
	case fraction >= 1e18:
		fraction -= 1e18
		seconds++
	case fraction < 0:
		fraction += 1e18
		seconds--
	}
	v.fraction = uint64(fraction)
	if v.fraction%tens[MaxFraction-v.digits] != 0 {
		v.digits = 3
	}
	days := floorDiv(seconds, daySeconds)
	if v.kind != Time {
		if days < firstDay || days > lastDay {
			return Value{}, false
		}
		y, m, d := dateOf(days)
		v.year, v.month, v.day = int16(y), uint8(m), uint8(d)
	}
	clock := seconds - days*daySeconds
	v.hour, v.minute, v.second = uint8(clock/3600), uint8(clock/60%60), uint8(clock%60)
	return v, true
}

// The days of the years 1 to 9999, since 1970.
var (
	firstDay = daysSince1970(1, 1, 1)
	lastDay  = daysSince1970(9999, 12, 31)
)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
