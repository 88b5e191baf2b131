package decimal

import (
	"math"
	"math/big"
	"math/bits"
)

// What a result that has no end is rounded to: so many significant digits, which
// fit an int64, and at least so many places, as N1 4.1.4 asks for.
const (
	resultDigits = 18
	resultPlaces = 8
)

// Neg gives -d.
func (d Decimal) Neg() Decimal {
	if d.wide != nil {
		d.wide = new(big.Int).Neg(d.wide)
	}
	d.coef = -d.coef
	return d
}

// Abs gives d without its sign.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Cmp is -1 where d is less than e, 0 where they are the same number, else 1.
func (d Decimal) Cmp(e Decimal) int {
	if a, b, ok := align(d, e); ok {
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	}
	if s, t := d.Sign(), e.Sign(); s != t {
		if s < t {
			return -1
		}
		return 1
	}
	a, b, _ := alignBig(d, e)
	return a.Cmp(b)
}

// Add gives d + e exactly, with the places of the one that has more. ok is false
// when that has more than [MaxDigits] digits.
func (d Decimal) Add(e Decimal) (sum Decimal, ok bool) {
	if a, b, ok := align(d, e); ok {
		if s := a + b; (s > a) == (b > 0) && s != math.MinInt64 {
			return Decimal{coef: s, places: max(d.places, e.places)}, true
		}
	}
	a, b, places := alignBig(d, e)
	return fromBig(a.Add(a, b), places)
}

// Sub gives d - e exactly, as [Decimal.Add] does.
func (d Decimal) Sub(e Decimal) (difference Decimal, ok bool) { return d.Add(e.Neg()) }

// Mul gives d * e exactly, with the places of both. ok is false when that has
// more than [MaxDigits] digits or [MaxPlaces] places.
func (d Decimal) Mul(e Decimal) (product Decimal, ok bool) {
	if d.wide == nil && e.wide == nil && d.places+e.places <= MaxPlaces {
		hi, lo := bits.Mul64(magnitude(d.coef), magnitude(e.coef))
		if hi == 0 && lo <= math.MaxInt64 {
			return Decimal{coef: signed(lo, d.coef < 0 != (e.coef < 0)), places: d.places + e.places}, true
		}
	}
	return fromBig(new(big.Int).Mul(d.big(), e.big()), int(d.places+e.places))
}

// Quo gives d / e without zeros at the end of its fraction. What has no end is
// rounded, half away from zero, to 17 or 18 significant digits and at least 8
// places. ok is false where e is 0 and beyond the limits of the package.
func (d Decimal) Quo(e Decimal) (quotient Decimal, ok bool) {
	if e.Sign() == 0 {
		return Decimal{}, false
	}
	if d.Sign() == 0 {
		return Decimal{}, true
	}
	// The quotient is less than 10^lead, and not less than 10^(lead-2).
	lead := d.digits() - int(d.places) - (e.digits() - int(e.places)) + 1
	places := min(max(resultPlaces, resultDigits-lead), MaxPlaces)
	shift := places - int(d.places) + int(e.places)
	if d.wide == nil && e.wide == nil && shift >= 0 {
		if q, ok := quoSmall(magnitude(d.coef), magnitude(e.coef), shift); ok {
			return Decimal{coef: signed(q, d.coef < 0 != (e.coef < 0)), places: int32(places)}.Trim(), true
		}
	}
	a, b := d.big(), e.big()
	if shift >= 0 {
		a = new(big.Int).Mul(a, bigPow10(shift))
	} else {
		b = new(big.Int).Mul(b, bigPow10(-shift))
	}
	quotient, ok = fromBig(quoRound(a, b), places)
	return quotient.Trim(), ok
}

// quoSmall gives a * 10^shift / b rounded; ok is false when 128 bits do not do.
func quoSmall(a, b uint64, shift int) (q uint64, ok bool) {
	hi, lo := uint64(0), a
	for shift > 0 {
		if hi != 0 {
			return 0, false
		}
		n := min(shift, len(tens)-1)
		hi, lo = bits.Mul64(lo, tens[n])
		shift -= n
	}
	if hi >= b {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, b)
	if r >= b-r {
		q++
	}
	return q, 0 < q && q <= math.MaxInt64
}

// quoRound gives a / b to the nearest integer, half away from zero.
func quoRound(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Lsh(r, 1); r.CmpAbs(b) >= 0 {
		q.Add(q, big.NewInt(int64(a.Sign()*b.Sign())))
	}
	return q
}

// Div gives the whole part of d / e, rounded towards zero (N1 6.6.5). ok is false
// where e is 0 and beyond [MaxDigits].
func (d Decimal) Div(e Decimal) (quotient Decimal, ok bool) {
	if e.Sign() == 0 {
		return Decimal{}, false
	}
	if a, b, ok := align(d, e); ok {
		return Decimal{coef: a / b}, true
	}
	a, b, _ := alignBig(d, e)
	return fromBig(a.Quo(a, b), 0)
}

// Mod gives what [Decimal.Div] leaves, with the sign of d (N1 6.6.6). ok is false
// where e is 0.
func (d Decimal) Mod(e Decimal) (rest Decimal, ok bool) {
	if e.Sign() == 0 {
		return Decimal{}, false
	}
	if a, b, ok := align(d, e); ok {
		return Decimal{coef: a % b, places: max(d.places, e.places)}, true
	}
	a, b, places := alignBig(d, e)
	return fromBig(a.Rem(a, b), places)
}

// align gives the coefficients at the same number of places; ok is false when
// they do not fit.
func align(d, e Decimal) (a, b int64, ok bool) {
	if d.wide != nil || e.wide != nil {
		return 0, 0, false
	}
	a, b, ok = d.coef, e.coef, true
	switch n := int(d.places - e.places); {
	case n < 0:
		a, ok = timesTen(a, -n)
	case n > 0:
		b, ok = timesTen(b, n)
	}
	return a, b, ok
}

// alignBig is align for any size. The caller may change a.
func alignBig(d, e Decimal) (a, b *big.Int, places int) {
	a, b = new(big.Int).Set(d.big()), e.big()
	switch n := int(d.places - e.places); {
	case n < 0:
		a.Mul(a, bigPow10(-n))
	case n > 0:
		b = new(big.Int).Mul(b, bigPow10(n))
	}
	return a, b, int(max(d.places, e.places))
}

func signed(u uint64, negative bool) int64 {
	if negative {
		return -int64(u)
	}
	return int64(u)
}
