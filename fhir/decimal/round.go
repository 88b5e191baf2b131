package decimal

import "math/big"

// A direction says where a number goes that lies between two of fewer places.
type direction uint8

const (
	towardZero direction = iota
	towardNegative
	towardPositive
	toNearest // half away from zero
)

// Truncate gives the whole part of d.
func (d Decimal) Truncate() Decimal { return d.to(0, towardZero) }

// Floor gives the greatest whole number that is not more than d.
func (d Decimal) Floor() Decimal { return d.to(0, towardNegative) }

// Ceiling gives the least whole number that is not less than d.
func (d Decimal) Ceiling() Decimal { return d.to(0, towardPositive) }

// Round gives d rounded to places, half away from zero (N1 5.7.8). It adds no
// zeros to a number that has fewer. Negative places count as none.
func (d Decimal) Round(places int) Decimal { return d.to(max(places, 0), toNearest) }

// to cuts d to places, where it has more.
func (d Decimal) to(places int, dir direction) Decimal {
	n := int(d.places) - places
	if n <= 0 {
		return d
	}
	if d.wide != nil || n >= len(tens) {
		return d.toBig(places, dir)
	}
	p := tens[n]
	u := magnitude(d.coef)
	q, r := u/p, u%p
	if r != 0 && dir.away(d.coef < 0, r >= p-r) {
		q++
	}
	return Decimal{coef: signed(q, d.coef < 0), places: int32(places)}
}

func (d Decimal) toBig(places int, dir direction) Decimal {
	p := bigPow10(int(d.places) - places)
	q, r := new(big.Int).QuoRem(d.big(), p, new(big.Int))
	if r.Sign() != 0 && dir.away(d.Sign() < 0, new(big.Int).Lsh(r, 1).CmpAbs(p) >= 0) {
		q.Add(q, big.NewInt(int64(d.Sign())))
	}
	t, _ := fromBig(q, places) // fewer digits than d
	return t
}

// away tells whether a number with something left goes away from zero.
func (dir direction) away(negative, half bool) bool {
	switch dir {
	case towardNegative:
		return negative
	case towardPositive:
		return !negative
	case toNearest:
		return half
	}
	return false
}

// Equivalent is FHIRPath's ~ (N1 6.1.2): equal when both are rounded to the places
// of the one that has fewer, where zeros at the end do not count.
func (d Decimal) Equivalent(e Decimal) bool {
	d, e = d.Trim(), e.Trim()
	places := int(min(d.places, e.places))
	return d.Round(places).Cmp(e.Round(places)) == 0
}

// Of a boundary: the places of the answer when none are asked for, at least, and
// those that may be asked for.
const (
	boundaryPlaces    = 8
	MaxBoundaryPlaces = 31
)

// BoundaryPlaces is the precision that lowBoundary() and highBoundary() use when
// none is given: 8 places, or one more than d has.
func (d Decimal) BoundaryPlaces() int { return max(boundaryPlaces, int(d.places)+1) }

// LowBoundary gives the least number that d, known to its last digit, may stand
// for, with so many places: half a unit of its last place below. With fewer
// places than that needs it is rounded down, except that a number which vanishes
// at that precision stays 0, written -0.0 when it was below. ok is false for a precision below 0 or beyond
// [MaxBoundaryPlaces] (FHIRPath 3.0.0, lowBoundary).
func (d Decimal) LowBoundary(precision int) (low Decimal, ok bool) {
	return d.boundary(precision, -5, towardNegative)
}

// HighBoundary gives the greatest such number, half a unit of the last place of d
// above, rounded up.
func (d Decimal) HighBoundary(precision int) (high Decimal, ok bool) {
	return d.boundary(precision, 5, towardPositive)
}

func (d Decimal) boundary(precision int, half int64, dir direction) (Decimal, bool) {
	if precision < 0 || precision > MaxBoundaryPlaces || d.places == MaxPlaces {
		return Decimal{}, false
	}
	if precision < int(d.places) && d.Round(precision).Sign() == 0 {
		return Decimal{places: int32(precision), below: d.Sign() < 0 && dir == towardNegative}, true
	}
	b, ok := d.Add(Decimal{coef: half, places: d.places + 1})
	if !ok {
		return Decimal{}, false
	}
	return b.to(precision, dir).Add(Decimal{places: int32(precision)})
}
