package search

import (
	"bytes"
	"math"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// Interval is a stored number, from Low to High with both: the same for a number, the
// bounds of a Range, infinite where it is open.
//
// Numbers are worked out as exact decimals and rounded once, to the nearest float64,
// on both sides of a comparison. That keeps their order, so a search is exact for
// numbers of up to 15 digits; those that differ only beyond count as equal.
type Interval struct{ Low, High float64 }

// NumberInterval gives the interval of a JSON number.
func NumberInterval(text []byte) (i Interval, ok bool) {
	d, ok := decimal.Parse(text)
	if !ok {
		return Interval{}, false
	}
	f := d.Float64()
	return Interval{f, f}, true
}

// Compared gives the interval of a quantity with a comparator: "<5" is all below 5.
// An unknown comparator counts as none.
func (i Interval) Compared(comparator []byte) Interval {
	switch string(comparator) {
	case "<":
		return Interval{math.Inf(-1), math.Nextafter(i.High, math.Inf(-1))}
	case "<=":
		return Interval{math.Inf(-1), i.High}
	case ">":
		return Interval{math.Nextafter(i.Low, math.Inf(1)), math.Inf(1)}
	case ">=":
		return Interval{i.Low, math.Inf(1)}
	}
	return i
}

// Amount is the number of a search value: Exact is what it says, Low to before High
// what it means to its last digit (R4, 3.1.1.4.6): 100 is 99.5 to 100.5, 1.00e2 as
// well. With an exponent a number means two digits at least: 1e2 is 95 to 105.
type Amount struct{ Exact, Low, High float64 }

// ParseAmount reads the number of a search value, exponent and all; a plus before it
// is allowed. ok is false for any other text.
func ParseAmount(text []byte) (a Amount, ok bool) {
	exact, low, high, ok := bounds(text)
	if !ok {
		return Amount{}, false
	}
	return Amount{exact.Float64(), low.Float64(), high.Float64()}, true
}

// ParseAmountIn is ParseAmount for a number of a UCUM unit, in the base unit, whose
// code it gives: what [Quantity.Base] and [Quantity.In] have. ok is false for a unit
// that does not convert.
func ParseAmountIn(text, unit []byte) (a Amount, base string, ok bool) {
	exact, low, high, ok := bounds(text)
	if !ok {
		return Amount{}, "", false
	}
	u, ok := UnitOf(unit)
	if !ok {
		return Amount{}, "", false
	}
	var f [3]float64
	for i, d := range [...]decimal.Decimal{exact, low, high} {
		if f[i], ok = u.unit.Float64(d); !ok {
			return Amount{}, "", false
		}
	}
	// A special scale may run the other way.
	return Amount{f[0], min(f[1], f[2]), max(f[1], f[2])}, u.Base(), true
}

// bounds gives a number and half a unit of its last digit below and above it.
func bounds(text []byte) (exact, low, high decimal.Decimal, ok bool) {
	text = bytes.TrimPrefix(text, []byte("+"))
	if exact, ok = decimal.Parse(text); !ok {
		return exact, low, high, false
	}
	half, ok := decimal.Parse(append([]byte("5e"), lastPlace(text)...))
	if !ok {
		return exact, low, high, false
	}
	low, ok1 := exact.Sub(half)
	high, ok2 := exact.Add(half)
	return exact, low, high, ok1 && ok2
}

// MatchesNumber tells whether a stored number matches a search value. All but eq,
// ne and ap compare with what the value says exactly (R4, 3.1.1.4.6).
func (p Prefix) MatchesNumber(query Amount, stored Interval) bool {
	switch p {
	case Equal:
		return query.Low <= stored.Low && stored.High < query.High
	case NotEqual:
		return !Equal.MatchesNumber(query, stored)
	case Greater:
		return stored.High > query.Exact
	case Less:
		return stored.Low < query.Exact
	case GreaterOrEqual:
		return stored.High >= query.Exact
	case LessOrEqual:
		return stored.Low <= query.Exact
	case StartsAfter:
		return stored.Low > query.Exact
	case EndsBefore:
		return stored.High < query.Exact
	}
	low, high := query.Near()
	return stored.Low <= high && low <= stored.High
}

// Near gives what ap looks for: a tenth of the number either way, and what it means
// to its last digit at least.
func (a Amount) Near() (low, high float64) {
	tenth := math.Abs(a.Exact) / 10
	return min(a.Low, a.Exact-tenth), max(a.High, a.Exact+tenth)
}

// lastPlace gives, as text, the power of ten of half a unit of the last digit: -1
// less than that of the digit itself. R4's table says of 1e2 that it is 95 to 105, as
// of two digits, so a single digit before an exponent counts as two (docs/decisions/0031).
func lastPlace(text []byte) []byte {
	mantissa, exponent := text, 0
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		exponent, _ = strconv.Atoi(string(bytes.TrimPrefix(text[i+1:], []byte("+"))))
		if digits := bytes.TrimLeft(mantissa, "-0."); len(digits) <= 1 {
			exponent--
		}
	}
	if i := bytes.IndexByte(mantissa, '.'); i >= 0 {
		exponent -= len(mantissa) - i - 1
	}
	return strconv.AppendInt(nil, int64(exponent-1), 10)
}

// UCUM is the system of units that convert.
const UCUM = "http://unitsofmeasure.org"

// Unit is a unit of UCUM that converts exactly, which logarithmic ones such as pH do
// not. A quantity of any other unit is found by the unit as it stands alone.
type Unit struct{ unit ucum.Unit }

// UnitOf gives the unit of a code; ok is false when it is none that converts
// exactly.
func UnitOf(code []byte) (u Unit, ok bool) {
	u.unit, ok = ucum.Parse(code)
	return u, ok && u.unit.Exact()
}

// Base gives the code of the base unit.
func (u Unit) Base() string { return u.unit.Base() }

// Interval gives a JSON number of the unit in the base unit.
func (u Unit) Interval(text []byte) (i Interval, ok bool) {
	d, ok := decimal.Parse(text)
	if !ok {
		return Interval{}, false
	}
	f, ok := u.unit.Float64(d)
	return Interval{f, f}, ok
}
