// Package decimal holds exact decimal numbers that keep the places they were
// written with: the FHIR primitive decimal (R4 2.24.0.1) and FHIRPath's Decimal.
// It owns their text, order, arithmetic and rounding; what a number means, a
// quantity or an age, belongs to others. Read [Decimal] first.
//
// 1.50 and 1.5 are the same number and two texts: [Decimal.Cmp] calls them equal,
// [Decimal.Places] tells them apart.
package decimal

import (
	"math"
	"math/big"
	"strconv"
)

// Limits of what [Parse] reads and of what arithmetic gives. They bound the work
// that one operation can cost, whatever the input.
const (
	MaxText     = 1024 // bytes of a text
	MaxExponent = 308  // of a text, either sign
	MaxDigits   = 2000 // of a coefficient
	MaxPlaces   = 2000 // digits after the point
)

// Decimal is an immutable number: an integer coefficient and how many of its
// digits stand after the point. The zero Decimal is 0. Numbers of up to 18 digits
// live in the struct and their arithmetic allocates nothing. Compare with
// [Decimal.Cmp], not with ==.
type Decimal struct {
	coef   int64    // never MinInt64; unused when wide is set
	wide   *big.Int // only what coef cannot hold; never changed
	places int32    // 0 to MaxPlaces
	below  bool     // a zero that a number below zero was cut to: written -0.0
}

// FromInt gives n, with no places.
func FromInt(n int64) Decimal {
	if n == math.MinInt64 {
		return Decimal{wide: big.NewInt(n)}
	}
	return Decimal{coef: n}
}

// New gives coefficient / 10^places. ok is false for places below 0 or beyond
// [MaxPlaces].
func New(coefficient int64, places int) (d Decimal, ok bool) {
	if places < 0 || places > MaxPlaces {
		return Decimal{}, false
	}
	d = FromInt(coefficient)
	d.places = int32(places)
	return d, true
}

// FromFloat gives the shortest decimal that reads back as f; ok is false for an
// infinity and for what is not a number.
func FromFloat(f float64) (d Decimal, ok bool) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return Decimal{}, false
	}
	var buf [400]byte
	return Parse(strconv.AppendFloat(buf[:0], f, 'f', -1, 64))
}

// FromBig gives coefficient / 10^places and keeps no reference to coefficient. ok
// is false beyond [MaxDigits] and [MaxPlaces].
func FromBig(coefficient *big.Int, places int) (d Decimal, ok bool) {
	return fromBig(new(big.Int).Set(coefficient), places)
}

// fromBig is FromBig but takes over c.
func fromBig(c *big.Int, places int) (Decimal, bool) {
	if places < 0 || places > MaxPlaces {
		return Decimal{}, false
	}
	if c.IsInt64() && c.Int64() != math.MinInt64 {
		return Decimal{coef: c.Int64(), places: int32(places)}, true
	}
	if bigDigits(c) > MaxDigits {
		return Decimal{}, false
	}
	return Decimal{wide: c, places: int32(places)}, true
}

// Parse reads a JSON number, exponent and all: "1.50" keeps two places, "1e3" is
// 1000 with none, "1.5e-1" is 0.15. A minus before zero is lost. ok is false for
// any other text, for more than [MaxText] bytes and for an exponent beyond
// [MaxExponent].
func Parse(text []byte) (d Decimal, ok bool) {
	n, ok := scan(text)
	if !ok {
		return Decimal{}, false
	}
	places := n.fraction - n.exponent
	if n.digits > 18 {
		return parseWide(text[:n.mantissa], places)
	}
	c := int64(n.coef)
	if places < 0 {
		if c, ok = timesTen(c, -places); !ok {
			return parseWide(text[:n.mantissa], places)
		}
		places = 0
	}
	if n.negative {
		c = -c
	}
	return Decimal{coef: c, places: int32(places)}, true
}

// number is what scan finds in a text.
type number struct {
	coef     uint64 // of up to 18 digits
	digits   int    // without leading zeros
	fraction int    // digits after the point
	mantissa int    // bytes before the exponent
	exponent int
	negative bool
}

// scan checks the syntax of a JSON number (RFC 8259, 6) and its limits.
func scan(s []byte) (n number, ok bool) {
	if len(s) > MaxText {
		return n, false
	}
	i := 0
	if i < len(s) && s[i] == '-' {
		n.negative = true
		i++
	}
	start := i
	i = n.readDigits(s, i)
	if i == start || s[start] == '0' && i > start+1 {
		return n, false
	}
	if i < len(s) && s[i] == '.' {
		point := i + 1
		i = n.readDigits(s, point)
		if n.fraction = i - point; n.fraction == 0 {
			return n, false
		}
	}
	n.mantissa = i
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		negative := i < len(s) && s[i] == '-'
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		start = i
		for ; i < len(s) && s[i]-'0' <= 9; i++ {
			if n.exponent = n.exponent*10 + int(s[i]-'0'); n.exponent > MaxExponent {
				return n, false
			}
		}
		if i == start {
			return n, false
		}
		if negative {
			n.exponent = -n.exponent
		}
	}
	return n, i == len(s)
}

func (n *number) readDigits(s []byte, i int) int {
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		if n.digits > 0 || s[i] != '0' {
			n.digits++
		}
		if n.digits <= 18 {
			n.coef = n.coef*10 + uint64(s[i]-'0')
		}
	}
	return i
}

// parseWide reads the number, checked and without exponent, as digits / 10^places.
func parseWide(s []byte, places int) (Decimal, bool) {
	digits := make([]byte, 0, len(s))
	for _, c := range s {
		if c != '.' {
			digits = append(digits, c)
		}
	}
	c, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return Decimal{}, false
	}
	if places < 0 {
		c.Mul(c, bigPow10(-places))
		places = 0
	}
	return fromBig(c, places)
}

// String gives the number as FHIRPath's toString() does (N1 5.5.8): its digits
// and places, without exponent.
func (d Decimal) String() string { return string(d.Append(nil)) }

// Append appends what [Decimal.String] gives.
func (d Decimal) Append(b []byte) []byte {
	var buf [24]byte
	var digits []byte
	if d.wide != nil {
		digits = d.wide.Append(nil, 10)
	} else {
		digits = strconv.AppendInt(buf[:0], d.coef, 10)
	}
	switch {
	case digits[0] == '-':
		b = append(b, '-')
		digits = digits[1:]
	case d.below && d.coef == 0:
		b = append(b, '-')
	}
	whole := len(digits) - int(d.places)
	if whole <= 0 {
		b = append(b, '0')
	} else {
		b = append(b, digits[:whole]...)
		digits = digits[whole:]
	}
	if d.places == 0 {
		return b
	}
	b = append(b, '.')
	for ; whole < 0; whole++ {
		b = append(b, '0')
	}
	return append(b, digits...)
}

// AppendShortest appends the number without zeros at the end of its fraction.
func (d Decimal) AppendShortest(b []byte) []byte { return d.Trim().Append(b) }

// Places is the number of digits after the point: what FHIRPath's precision()
// gives for a Decimal.
func (d Decimal) Places() int { return int(d.places) }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.wide != nil:
		return d.wide.Sign()
	case d.coef < 0:
		return -1
	case d.coef > 0:
		return 1
	}
	return 0
}

// IsInt tells whether d is a whole number, however it is written: 1.00 is.
func (d Decimal) IsInt() bool { return d.Trim().places == 0 }

// Int64 gives d when it is a whole number that fits.
func (d Decimal) Int64() (n int64, ok bool) {
	switch t := d.Trim(); {
	case t.places != 0:
		return 0, false
	case t.wide != nil:
		return t.wide.Int64(), t.wide.IsInt64()
	default:
		return t.coef, true
	}
}

// Trim gives d without zeros at the end of its fraction.
func (d Decimal) Trim() Decimal {
	if d.wide == nil {
		for d.places > 0 && d.coef%10 == 0 {
			d.coef /= 10
			d.places--
		}
		return d
	}
	// Halving steps: a coefficient of thousands of zeros costs a dozen divisions.
	c := d.wide
	rest := new(big.Int)
	for step := int32(1024); step > 0; step /= 2 {
		for d.places >= step {
			q, r := new(big.Int).QuoRem(c, bigPow10(int(step)), rest)
			if r.Sign() != 0 {
				break
			}
			c, d.places = q, d.places-step
		}
	}
	t, _ := fromBig(c, int(d.places))
	return t
}

// big gives the coefficient, which the caller must not change.
func (d Decimal) big() *big.Int {
	if d.wide != nil {
		return d.wide
	}
	return big.NewInt(d.coef)
}

// tens are the powers of ten that fit into 64 bits.
var tens = func() (t [20]uint64) {
	for i, p := 0, uint64(1); i < len(t); i, p = i+1, p*10 {
		t[i] = p
	}
	return t
}()

// timesTen gives c * 10^n; ok is false when it does not fit.
func timesTen(c int64, n int) (int64, bool) {
	if c == 0 || n == 0 {
		return c, true
	}
	if n > 18 {
		return 0, false
	}
	p := int64(tens[n])
	if r := c * p; r/p == c && r != math.MinInt64 {
		return r, true
	}
	return 0, false
}

func bigPow10(n int) *big.Int {
	if n < len(tens) {
		return new(big.Int).SetUint64(tens[n])
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// bigDigits gives the number of decimal digits of c, 0 for 0.
func bigDigits(c *big.Int) int {
	if c.Sign() == 0 {
		return 0
	}
	// A number of n bits has n*log10(2) digits, rounded up, or one fewer.
	n := int(float64(c.BitLen())*math.Log10(2)) + 1
	if c.CmpAbs(bigPow10(n-1)) < 0 {
		n--
	}
	return n
}

// digits gives the number of digits of the coefficient, 0 for 0.
func (d Decimal) digits() int {
	if d.wide != nil {
		return bigDigits(d.wide)
	}
	u, n := magnitude(d.coef), 0
	for n < len(tens) && u >= tens[n] {
		n++
	}
	return n
}

func magnitude(c int64) uint64 {
	if c < 0 {
		return -uint64(c)
	}
	return uint64(c)
}
