package decimal

import (
	"math/big"
	"strconv"
	"testing"
)

func TestFloat64(t *testing.T) {
	for _, s := range []string{
		"0", "1", "-1", "0.1", "5.4", "120.17462987345678", "9007199254740993", "9007199254740992.5", "9223372036854775807",
		"-9223372036854775807e-19", "0.000000000000000000123", "123456789012345678901234567890", "1e308", "9e308", "1e-308", "2.2250738585072014e-308",
		"179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
	} {
		d, ok := Parse([]byte(s))
		if !ok {
			t.Fatalf("%s is no decimal", s)
		}
		want, _ := strconv.ParseFloat(s, 64)
		if got := d.Float64(); got != want {
			t.Errorf("%s is %v, want %v", s, got, want)
		}
	}
}

func FuzzRatio(f *testing.F) {
	f.Add("5.4", "1", "1000")
	f.Add("-120.17462987345678", "133322387415", "1000000")
	f.Add("9223372036854775807", "9223372036854775807", "3")
	f.Add("0.0000000000000000001", "1", "9223372036854775807")
	f.Add("4.2", "602213670000000000000", "1")
	f.Add("1e30", "1e19", "7")
	f.Add("1e-30", "12345678901234567891", "9999999999999999999")
	f.Add("123456789012345678901234567890", "1.5", "0.7")
	f.Fuzz(func(t *testing.T, s, num, den string) {
		d, ok1 := Parse([]byte(s))
		n, ok2 := Parse([]byte(num))
		m, ok3 := Parse([]byte(den))
		if !ok1 || !ok2 || !ok3 {
			return
		}
		rat := func(d Decimal) *big.Rat { return new(big.Rat).SetFrac(d.big(), bigPow10(d.Places())) }
		plain, _ := rat(d).Float64()
		if got := d.Float64(); got != plain {
			t.Errorf("%s is %v, want %v", s, got, plain)
		}
		if n.Sign() <= 0 || m.Sign() <= 0 {
			return
		}
		x := rat(d)
		want, _ := x.Quo(x.Mul(x, rat(n)), rat(m)).Float64()
		if got := NewRatio(n, m).Float64(d); got != want {
			t.Errorf("%s * %s / %s is %v, want %v", s, num, den, got, want)
		}
	})
}
