package entity

import "strconv"

// fill makes a score that was not given 0.
func (s *Score) fill() {
	if len(*s) == 0 {
		*s = zero
	}
}

var zero = Score("0")

// Float is the score as a number.
func (s Score) Float() float64 {
	// Up to 15 digits are exact, and so is the quotient by a power of ten.
	var n, scale int64 = 0, 0
	for i, c := range s {
		switch {
		case c == '.' && scale == 0 && i > 0:
			scale = 1
		case c >= '0' && c <= '9' && i < 16:
			n = 10*n + int64(c-'0')
			scale *= 10
		default:
			f, _ := strconv.ParseFloat(string(s), 64) // the reader checked that it is a number
			return f
		}
	}
	if scale > 1 {
		return float64(n) / float64(scale)
	}
	return float64(n)
}
