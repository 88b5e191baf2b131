package ucum

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir/decimal"
)

// Commensurable tells whether quantities of u and v compare and convert.
func (u Unit) Commensurable(v Unit) bool { return u.base != "" && u.dim == v.dim }

// Base gives the code of the base unit that u is measured in: a product of base
// units and arbitrary units, such as "m-1.s-2.g" for a pressure, "1" for a number.
func (u Unit) Base() string { return u.base }

// Convert gives a value of u in v: exactly where it has an end within the digits
// that [decimal.Decimal.Quo] keeps. ok is false for units that are not
// commensurable, for an amount that a special scale does not have and beyond the
// limits of decimals.
func (u Unit) Convert(value decimal.Decimal, v Unit) (converted decimal.Decimal, ok bool) {
	if !u.Commensurable(v) {
		return decimal.Decimal{}, false
	}
	if value, ok = u.amount(value); !ok {
		return value, false
	}
	// One division at the end, so that it is rounded once.
	if value, ok = value.Mul(u.factor.num); !ok {
		return value, false
	}
	if value, ok = value.Mul(v.factor.den); !ok {
		return value, false
	}
	d, ok := u.factor.den.Mul(v.factor.num)
	if !ok {
		return d, false
	}
	if value, ok = value.Quo(d); !ok || v.fn == linear {
		return value, ok
	}
	if value, ok = v.fn.number(value); !ok {
		return value, false
	}
	return v.scale.divide(value)
}

// amount gives the number of what factor counts: value itself but on a special
// scale.
func (u Unit) amount(value decimal.Decimal) (decimal.Decimal, bool) {
	if u.fn == linear {
		return value, true
	}
	value, ok := u.scale.multiply(value)
	if !ok {
		return value, false
	}
	return u.fn.amount(value)
}

func (f fraction) multiply(d decimal.Decimal) (decimal.Decimal, bool) {
	if f.one() {
		return d, true
	}
	d, ok := d.Mul(f.num)
	if !ok {
		return d, false
	}
	return d.Quo(f.den)
}

// one tells the fraction 1.
func (f fraction) one() bool { return f.num.Cmp(f.den) == 0 }

func (f fraction) divide(d decimal.Decimal) (decimal.Decimal, bool) {
	return fraction{f.den, f.num}.multiply(d)
}

// Compare gives the order of a of u and b of v, exactly but on logarithmic scales.
// comparable is false where the units are not commensurable.
func (u Unit) Compare(a decimal.Decimal, v Unit, b decimal.Decimal) (c int, comparable bool) {
	if !u.Commensurable(v) {
		return 0, false
	}
	a, ok1 := u.amount(a)
	b, ok2 := v.amount(b)
	if !ok1 || !ok2 {
		return 0, false
	}
	// a * u.num / u.den against b * v.num / v.den, without a division.
	for _, d := range [2]decimal.Decimal{u.factor.num, v.factor.den} {
		if a, ok1 = a.Mul(d); !ok1 {
			return 0, false
		}
	}
	for _, d := range [2]decimal.Decimal{v.factor.num, u.factor.den} {
		if b, ok2 = b.Mul(d); !ok2 {
			return 0, false
		}
	}
	return a.Cmp(b), true
}

// Canonical gives a value of u in its base unit.
func (u Unit) Canonical(value decimal.Decimal) (canonical decimal.Decimal, ok bool) {
	if value, ok = u.amount(value); !ok || u.base == "" {
		return value, false
	}
	return u.factor.multiply(value)
}

// Exact tells whether values of u convert by a ratio, after a shift for temperatures:
// on a scale of logarithms, tangents or roots they are rounded on the way.
func (u Unit) Exact() bool { return u.base != "" && u.fn <= reaumur }

// Float64 gives the floating point number nearest to a value of u in its base unit, as
// if that had been worked out exactly; on a special scale as [Unit.Canonical] rounds.
func (u Unit) Float64(value decimal.Decimal) (f float64, ok bool) {
	if value, ok = u.amount(value); !ok || u.base == "" {
		return 0, false
	}
	return u.ratio.Float64(value), true
}

// larger tells whether one of u is more than one of v.
func (u Unit) larger(v Unit) bool {
	c, ok := u.Compare(decimal.FromInt(1), v, decimal.FromInt(1))
	return ok && c > 0
}

// Convert gives a value of one unit in another; see [Unit.Convert]. A value
// converts to its own code as it is, whatever that code says.
func Convert(value decimal.Decimal, from, to []byte) (converted decimal.Decimal, ok bool) {
	if bytes.Equal(from, to) {
		return value, true
	}
	u, v, ok := both(from, to)
	if !ok {
		return decimal.Decimal{}, false
	}
	return u.Convert(value, v)
}

// Compare gives the order of two quantities; see [Unit.Compare]. Values with the
// same code compare as they are.
func Compare(a decimal.Decimal, unitA []byte, b decimal.Decimal, unitB []byte) (c int, comparable bool) {
	if bytes.Equal(unitA, unitB) {
		return a.Cmp(b), true
	}
	u, v, ok := both(unitA, unitB)
	if !ok {
		return 0, false
	}
	return u.Compare(a, v, b)
}

// Comparable tells whether quantities of the two units compare: FHIRPath's
// comparable(). No unit compares that is not valid.
func Comparable(unitA, unitB []byte) bool {
	u, v, ok := both(unitA, unitB)
	return ok && u.Commensurable(v)
}

// Equivalent is FHIRPath's ~ on quantities (N1 6.1.2): in the larger of the two
// units, the values are equivalent as decimals are. Different units that are not
// commensurable never are.
func Equivalent(a decimal.Decimal, unitA []byte, b decimal.Decimal, unitB []byte) bool {
	if bytes.Equal(unitA, unitB) {
		return a.Equivalent(b)
	}
	u, v, ok := both(unitA, unitB)
	if !ok {
		return false
	}
	if v.larger(u) {
		a, ok = u.Convert(a, v)
	} else {
		b, ok = v.Convert(b, u)
	}
	return ok && a.Equivalent(b)
}

// Canonical gives a value in its base unit, and the code of that, so that
// commensurable quantities have the same code and order by their values. ok is
// false where [Parse] or [Unit.Canonical] is.
func Canonical(value decimal.Decimal, code []byte) (canonical decimal.Decimal, base string, ok bool) {
	u, ok := Parse(code)
	if !ok {
		return decimal.Decimal{}, "", false
	}
	canonical, ok = u.Canonical(value)
	return canonical, u.base, ok
}

func both(a, b []byte) (u, v Unit, ok bool) {
	if u, ok = Parse(a); !ok {
		return u, v, false
	}
	v, ok = Parse(b)
	return u, v, ok
}

// AppendProduct appends the code of one unit times another, both valid.
func AppendProduct(dst, a, b []byte) []byte {
	switch {
	case isOne(a):
		return append(dst, b...)
	case isOne(b):
		return append(dst, a...)
	}
	dst = append(dst, a...)
	return append(appendOver(append(dst, '.'), b), b...)
}

// AppendQuotient appends the code of one unit by another, both valid.
func AppendQuotient(dst, a, b []byte) []byte {
	switch {
	case bytes.Equal(a, b):
		return append(dst, '1')
	case isOne(b):
		return append(dst, a...)
	case !bytes.ContainsAny(b, "./"):
		return append(append(append(dst, a...), '/'), b...)
	}
	dst = append(append(dst, a...), "/("...)
	return append(append(appendOver(dst, b), b...), ')')
}

// appendOver appends the 1 that a code which begins with its "/" needs within
// another.
func appendOver(dst, code []byte) []byte {
	if code[0] == '/' {
		return append(dst, '1')
	}
	return dst
}

func isOne(code []byte) bool { return len(code) == 1 && code[0] == '1' }
