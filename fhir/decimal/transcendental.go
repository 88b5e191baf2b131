package decimal

import (
	"math"
	"math/big"
)

// workBits is the precision of the binary numbers in between, in bits: some 57 digits, for the
// 18 that are kept.
const workBits = 192

// Sqrt gives the square root, exact where it has an end within the digits that
// [Decimal.Quo] keeps. ok is false for a negative number.
func (d Decimal) Sqrt() (root Decimal, ok bool) {
	switch d.Sign() {
	case -1:
		return Decimal{}, false
	case 0:
		return Decimal{}, true
	}
	lead := (d.digits() - int(d.places) + 1) / 2
	places := min(max(resultPlaces, resultDigits-lead), MaxPlaces)
	// The root of c * 10^(2*places) with one place more, to round it.
	shift := 2*(places+1) - int(d.places)
	c := new(big.Int).Set(d.big())
	if shift >= 0 {
		c.Mul(c, bigPow10(shift))
	} else {
		c.Quo(c, bigPow10(-shift))
	}
	r, ok := fromBig(c.Sqrt(c), places+1)
	return r.Round(places).Trim(), ok
}

// Exp gives e to the power of d, to 18 significant digits. ok is false beyond
// 10^308; what is below 10^-308 is 0.
func (d Decimal) Exp() (power Decimal, ok bool) { return expFloat(d.float()) }

// Ln gives the natural logarithm, to 18 significant digits. ok is false for 0 and
// less.
func (d Decimal) Ln() (logarithm Decimal, ok bool) {
	if d.Sign() <= 0 {
		return Decimal{}, false
	}
	return fromFloat(ln(d.float()))
}

// Log gives the logarithm to a base, to 18 significant digits. ok is false where
// either is 0 or less and where the base is 1.
func (d Decimal) Log(base Decimal) (logarithm Decimal, ok bool) {
	if d.Sign() <= 0 || base.Sign() <= 0 {
		return Decimal{}, false
	}
	b := ln(base.float())
	if b.Sign() == 0 {
		return Decimal{}, false
	}
	return fromFloat(b.Quo(ln(d.float()), b))
}

// Power gives d to the power of exponent: exactly where the exponent is a whole
// number of 0 or more and the result fits, else to 18 significant digits. ok is
// false for what is no real number (a root of a negative number, 0 to a negative
// power) and beyond 10^308.
func (d Decimal) Power(exponent Decimal) (power Decimal, ok bool) {
	n, whole := exponent.Int64()
	if whole {
		if p, ok := d.powerExact(magnitude(n)); ok {
			if n < 0 {
				return FromInt(1).Quo(p)
			}
			return p, true
		}
	}
	switch {
	case d.Sign() == 0:
		return Decimal{}, exponent.Sign() > 0
	case d.Sign() < 0 && !exponent.IsInt():
		return Decimal{}, false
	}
	x := ln(d.Abs().float())
	power, ok = expFloat(x.Mul(x, exponent.float()))
	if d.Sign() < 0 && exponent.isOdd() {
		power = power.Neg()
	}
	return power, ok
}

// powerExact gives d^n when the result keeps within the limits of the package.
func (d Decimal) powerExact(n uint64) (power Decimal, ok bool) {
	power = FromInt(1)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			if power, ok = power.Mul(d); !ok {
				return Decimal{}, false
			}
		}
		if n > 1 {
			if d, ok = d.Mul(d); !ok {
				return Decimal{}, false
			}
		}
	}
	return power, true
}

// isOdd tells whether d, a whole number, is odd.
func (d Decimal) isOdd() bool { return d.Truncate().big().Bit(0) == 1 }

func newFloat() *big.Float { return new(big.Float).SetPrec(workBits) }

func (d Decimal) float() *big.Float {
	f := newFloat().SetInt(d.big())
	if d.places > 0 {
		f.Quo(f, newFloat().SetInt(bigPow10(int(d.places))))
	}
	return f
}

// fromFloat rounds f to 18 significant digits.
func fromFloat(f *big.Float) (Decimal, bool) {
	if f.Sign() != 0 && f.MantExp(nil) < -1020 {
		return Decimal{}, true // below 10^-307
	}
	d, ok := Parse(f.Append(nil, 'e', resultDigits-1))
	return d.Trim(), ok
}

// ln2 is the natural logarithm of 2: 2 artanh(1/3).
var ln2 = artanh2(newFloat().Quo(big.NewFloat(1), big.NewFloat(3)))

// ln gives the natural logarithm of x, which is more than 0: with x = m * 2^e and
// m from 0.75 to 1.5 it is e ln 2 + 2 artanh((m-1)/(m+1)).
func ln(x *big.Float) *big.Float {
	m := newFloat()
	e := x.MantExp(m) // from 0.5 below 1
	if m.Cmp(big.NewFloat(0.75)) < 0 {
		m.SetMantExp(m, 1)
		e--
	}
	one := big.NewFloat(1)
	z := newFloat().Sub(m, one)
	z.Quo(z, m.Add(m, one))
	y := newFloat().Mul(ln2, newFloat().SetInt64(int64(e)))
	return y.Add(y, artanh2(z))
}

// artanh2 gives 2 artanh(z), by its series; z lies between -1/3 and 1/3.
func artanh2(z *big.Float) *big.Float {
	sum := newFloat()
	if z.Sign() == 0 {
		return sum
	}
	square := newFloat().Mul(z, z)
	power := newFloat().Set(z)
	end := z.MantExp(nil) - workBits
	for n := int64(1); power.MantExp(nil) > end; n += 2 {
		sum.Add(sum, newFloat().Quo(power, newFloat().SetInt64(n)))
		power.Mul(power, square)
	}
	return sum.Add(sum, sum)
}

// expFloat gives e^x: with x = k ln 2 + r, the series of r / 2^halvings squared as
// often as it was halved, times 2^k.
func expFloat(x *big.Float) (Decimal, bool) {
	const halvings = 16
	if x.Sign() == 0 {
		return FromInt(1), true
	}
	f, _ := x.Float64()
	switch {
	case f > 710:
		return Decimal{}, false
	case f < -710:
		return Decimal{}, true
	}
	k := math.Round(f / math.Ln2)
	r := newFloat().Mul(ln2, big.NewFloat(k))
	r.Sub(x, r)
	r.SetMantExp(r, -halvings)
	sum, term := big.NewFloat(1).SetPrec(workBits), big.NewFloat(1).SetPrec(workBits)
	for n := int64(1); term.Sign() != 0 && term.MantExp(nil) > -workBits; n++ {
		term.Mul(term, r)
		term.Quo(term, newFloat().SetInt64(n))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return fromFloat(sum.SetMantExp(sum, int(k)))
}
