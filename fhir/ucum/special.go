package ucum

import (
	"math"

	"github.com/fhirlake/fhirlake/fhir/decimal"
)

// A function ties the numbers on a special scale to amounts of a unit (UCUM 2.4,
// section 21).
type function uint8

const (
	linear function = iota // no special scale
	celsius
	fahrenheit
	reaumur
	tangent100
	negativeLog10
	negativeLog100
	negativeLog1000
	negativeLog50000
	naturalLog
	log10
	log10Twice
	log2
	squareRoot
)

// The distance from absolute zero to the zero of a scale, in degrees of the scale.
var zeros = map[function]decimal.Decimal{
	celsius:    hundredths(27315),
	fahrenheit: hundredths(45967),
	reaumur:    hundredths(21852),
}

// logarithms are scales x = per * log(amount) to a base; e is 0.
var logarithms = map[function]struct{ base, per int64 }{
	negativeLog10:    {10, -1},
	negativeLog100:   {100, -1},
	negativeLog1000:  {1000, -1},
	negativeLog50000: {50000, -1},
	naturalLog:       {0, 1},
	log10:            {10, 1},
	log10Twice:       {10, 2},
	log2:             {2, 1},
}

func hundredths(n int64) decimal.Decimal {
	d, _ := decimal.New(n, 2)
	return d
}

// amount gives what the number x on the scale stands for. ok is false beyond the
// range of decimals.
func (f function) amount(x decimal.Decimal) (amount decimal.Decimal, ok bool) {
	if zero, ok := zeros[f]; ok {
		return x.Add(zero)
	}
	if l, ok := logarithms[f]; ok {
		if x, ok = x.Quo(decimal.FromInt(l.per)); !ok {
			return x, false
		}
		if l.base == 0 {
			return x.Exp()
		}
		return decimal.FromInt(l.base).Power(x)
	}
	switch f {
	case tangent100:
		return decimal.FromFloat(math.Atan(x.Float64() / 100))
	case squareRoot:
		return x.Mul(x)
	}
	return x, true
}

// number is the inverse of amount; ok is false for an amount that the scale does
// not have, such as one below 0 on a logarithmic scale.
func (f function) number(amount decimal.Decimal) (x decimal.Decimal, ok bool) {
	if zero, ok := zeros[f]; ok {
		return amount.Sub(zero)
	}
	if l, ok := logarithms[f]; ok {
		if l.base == 0 {
			x, ok = amount.Ln()
		} else {
			x, ok = amount.Log(decimal.FromInt(l.base))
		}
		if !ok {
			return x, false
		}
		return x.Mul(decimal.FromInt(l.per))
	}
	switch f {
	case tangent100:
		return decimal.FromFloat(100 * math.Tan(amount.Float64()))
	case squareRoot:
		return amount.Sqrt()
	}
	return amount, true
}
