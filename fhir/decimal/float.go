package decimal

import (
	"math"
	"math/big"
	"math/bits"
)

// Float64 gives the nearest floating point number, the even one of two that are as
// near; an infinity beyond the range.
func (d Decimal) Float64() float64 {
	if d.wide == nil && int(d.places) < len(tens) {
		return withSign(quotient64(0, magnitude(d.coef), tens[d.places]), d.coef < 0)
	}
	f, _ := new(big.Rat).SetFrac(d.big(), bigPow10(int(d.places))).Float64()
	return f
}

// Ratio is a positive number num/den, made to give products as floating point numbers.
// The zero Ratio is none.
type Ratio struct {
	num, den uint64   // times 10^exponent; den is 0 when they do not fit
	exponent int      //
	wide     *big.Rat // the same, when den is 0
}

// NewRatio gives num/den, both greater than 0.
func NewRatio(num, den Decimal) Ratio {
	a, m := stripped(num)
	b, n := stripped(den)
	if a != 0 && b != 0 {
		return Ratio{num: a, den: b, exponent: m - n}
	}
	r := new(big.Rat).SetFrac(num.big(), bigPow10(num.Places()))
	return Ratio{wide: r.Quo(r, new(big.Rat).SetFrac(den.big(), bigPow10(den.Places())))}
}

// stripped gives d as c * 10^exponent without zeros at the end of c; 0 when c does not
// fit into 64 bits.
func stripped(d Decimal) (c uint64, exponent int) {
	n, ten, rest := new(big.Int).Set(d.big()), big.NewInt(10), new(big.Int)
	for n.Sign() > 0 {
		q, r := new(big.Int).QuoRem(n, ten, rest)
		if r.Sign() != 0 {
			break
		}
		n = q
		exponent++
	}
	if !n.IsUint64() {
		return 0, 0
	}
	return n.Uint64(), exponent - d.Places()
}

// Float64 gives the floating point number nearest to d times the ratio, as if that had
// been worked out exactly.
func (r Ratio) Float64(d Decimal) float64 {
	if e := r.exponent - int(d.places); r.den != 0 && d.wide == nil && -2*maxTen <= e && e <= maxTen {
		hi, lo := bits.Mul64(magnitude(d.coef), r.num)
		f := 0.0
		switch {
		case e > 0:
			mid, low := bits.Mul64(lo, tens[e])
			over, high := bits.Mul64(hi, tens[e])
			mid, carry := bits.Add64(mid, high, 0)
			f = nearest([3]uint64{over + carry, mid, low}, [3]uint64{r.den, 1, 1})
		case e >= -maxTen:
			f = nearest([3]uint64{0, hi, lo}, [3]uint64{r.den, tens[-e], 1})
		default:
			f = nearest([3]uint64{0, hi, lo}, [3]uint64{r.den, tens[maxTen], tens[-e-maxTen]})
		}
		return withSign(f, d.coef < 0)
	}
	x := r.wide
	if x == nil {
		n, m := new(big.Int).SetUint64(r.num), new(big.Int).SetUint64(r.den)
		n.Mul(n, bigPow10(max(r.exponent, 0)))
		x = new(big.Rat).SetFrac(n, m.Mul(m, bigPow10(max(-r.exponent, 0))))
	}
	value := new(big.Rat).SetFrac(d.big(), bigPow10(d.Places()))
	f, _ := value.Mul(value, x).Float64()
	return f
}

// maxTen is the greatest power of ten in tens.
const maxTen = len(tens) - 1

func withSign(f float64, negative bool) float64 {
	if negative {
		return -f
	}
	return f
}

// nearest gives the floating point number nearest to a number of three words, the
// highest first, divided by three others, none of which is 0.
func nearest(n, divisors [3]uint64) float64 {
	if n[0] == 0 {
		over, by := bits.Mul64(divisors[0], divisors[1])
		if over == 0 && divisors[2] == 1 {
			return quotient64(n[1], n[2], by)
		}
		if n[1]|n[2] == 0 {
			return 0
		}
	}
	// With the highest bit of n set, and three words of zeros below it, the quotient
	// has 64 bits or more, of which 53 are kept. What the divisions leave over
	// counts as one bit below them.
	var w [6]uint64
	exponent := -3 * 64
	for n[0] == 0 {
		n[0], n[1], n[2] = n[1], n[2], 0
		exponent -= 64
	}
	s := bits.LeadingZeros64(n[0])
	exponent -= s
	w[0], w[1], w[2] = n[0]<<s|n[1]>>(64-s), n[1]<<s|n[2]>>(64-s), n[2]<<s
	rest := uint64(0)
	for _, by := range divisors {
		if by == 1 {
			continue
		}
		r := uint64(0)
		for i := range w {
			w[i], r = bits.Div64(r, w[i], by)
		}
		rest |= r
	}
	first := 0
	for w[first] == 0 {
		first++
	}
	t := bits.LeadingZeros64(w[first])
	top := w[first]<<t | w[first+1]>>(64-t)
	exponent += 64*(len(w)-1-first) - t
	rest |= w[first+1] << t
	for _, x := range w[first+2:] {
		rest |= x
	}
	if rest != 0 {
		top |= 1
	}
	return math.Ldexp(float64(top), exponent)
}

// quotient64 gives the floating point number nearest to (hi * 2^64 + lo) / by, which is
// not 0.
func quotient64(hi, lo, by uint64) float64 {
	if hi|lo == 0 {
		return 0
	}
	// Both are shifted up to their highest bit, so that the quotient has 63 bits or
	// more; see nearest.
	s := bits.LeadingZeros64(hi)
	if hi == 0 {
		hi, lo = lo, 0
		s = bits.LeadingZeros64(hi)
		hi <<= s
		s += 64
	} else {
		hi, lo = hi<<s|lo>>(64-s), lo<<s
	}
	t := bits.LeadingZeros64(by)
	by <<= t
	exponent, rest := t-s, uint64(0)
	if hi >= by {
		rest = lo & 1
		hi, lo = hi>>1, lo>>1|hi<<63
		exponent++
	}
	q, r := bits.Div64(hi, lo, by)
	if r|rest != 0 {
		q |= 1
	}
	return math.Ldexp(float64(q), exponent)
}
