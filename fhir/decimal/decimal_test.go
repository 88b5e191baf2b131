package decimal_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/decimal"
)

func parse(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, ok := decimal.Parse([]byte(text))
	if !ok {
		t.Fatalf("%q is not read", text)
	}
	return d
}

// show gives the text of a result, "none" for no result.
func show(d decimal.Decimal, ok bool) string {
	if !ok {
		return "none"
	}
	return d.String()
}

func TestParseKeepsPlaces(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"zero", "0", "0"},
		{"minus zero loses its sign", "-0.0", "0.0"},
		{"trailing zero", "1.50", "1.50"},
		{"leading zeros of the fraction", "0.0034", "0.0034"},
		{"negative below one", "-0.05", "-0.05"},
		{"exponent makes a whole number", "1e3", "1000"},
		{"exponent takes places", "1.2345E2", "123.45"},
		{"exponent gives places", "15e-1", "1.5"},
		{"exponent with plus", "1.0e+1", "10"},
		{"zero with exponent", "0e5", "0"},
		{"18 digits", "123456789012345678", "123456789012345678"},
		{"more than an int64", "92233720368547758080.10", "92233720368547758080.10"},
		{"least int64", "-9223372036854775808", "-9223372036854775808"},
		{"large exponent", "1e30", "1" + strings.Repeat("0", 30)},
		{"small exponent", "1e-30", "0." + strings.Repeat("0", 29) + "1"},
		{"no digit before the point", ".5", "none"},
		{"no digit after the point", "1.", "none"},
		{"leading zero", "01", "none"},
		{"plus", "+1", "none"},
		{"empty", "", "none"},
		{"sign only", "-", "none"},
		{"exponent without digits", "1e", "none"},
		{"exponent with sign only", "1e+", "none"},
		{"text after it", "1 ", "none"},
		{"exponent beyond the limit", "1e309", "none"},
		{"exponent of a million digits", "1e" + strings.Repeat("9", 1000), "none"},
		{"text beyond the limit", strings.Repeat("1", decimal.MaxText+1), "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := show(decimal.Parse([]byte(c.text))); got != c.want {
				t.Errorf("%s reads as %s, want %s", c.text, got, c.want)
			}
		})
	}
}

func TestArithmetic(t *testing.T) {
	type D = decimal.Decimal
	ops := map[string]func(a, b D) (D, bool){
		"+": D.Add, "-": D.Sub, "*": D.Mul, "/": D.Quo, "div": D.Div, "mod": D.Mod,
		"log": D.Log, "power": D.Power,
	}
	for _, c := range []struct{ a, op, b, want string }{
		{"1.2", "+", "1.8", "3.0"},
		{"1", "+", "0.001", "1.001"},
		{"9223372036854775807", "+", "1", "9223372036854775808"},
		{"-9223372036854775807", "-", "1", "-9223372036854775808"},
		{"9223372036854775808", "-", "1", "9223372036854775807"},
		{"1e300", "+", "1e-300", "1" + strings.Repeat("0", 300) + "." + strings.Repeat("0", 299) + "1"},
		{"1.8", "-", "1.2", "0.6"},
		{"1.2", "*", "1.8", "2.16"},
		{"-3", "*", "0.50", "-1.50"},
		{"4294967296", "*", "4294967296", "18446744073709551616"},
		{"1", "/", "1", "1"},
		{"4.0", "/", "2.0", "2"},
		{"1", "/", "2", "0.5"},
		{"1.2", "/", "0.3", "4"},
		{"1", "/", "3", "0.33333333333333333"},
		{"2", "/", "3", "0.66666666666666667"},
		{"-2", "/", "3", "-0.66666666666666667"},
		{"1", "/", "300000000", "0.0000000033333333333333333"},
		{"10000000000000000000000", "/", "3", "3333333333333333333333.33333333"},
		{"20000000000000000000000", "/", "3", "6666666666666666666666.66666667"},
		{"-20000000000000000000000", "/", "3", "-6666666666666666666666.66666667"},
		{"1", "/", "0", "none"},
		{"0", "/", "5", "0"},
		{"0", "/", "0.0", "none"},
		{"5", "div", "2", "2"},
		{"-5", "div", "2", "-2"},
		{"2.2", "div", "1.8", "1"},
		{"5", "div", "0", "none"},
		{"1e20", "div", "3", "33333333333333333333"},
		{"5", "mod", "2", "1"},
		{"-5", "mod", "2", "-1"},
		{"2.2", "mod", "1.8", "0.4"},
		{"5", "mod", "0", "none"},
		{"1e20", "mod", "3", "1"},
		{"16", "log", "2", "4"},
		{"100.0", "log", "10.0", "2"},
		{"1000", "log", "10", "3"},
		{"243", "log", "3", "5"},
		{"2", "log", "1", "none"},
		{"0", "log", "2", "none"},
		{"2", "power", "3", "8"},
		{"2.5", "power", "2", "6.25"},
		{"2", "power", "-1", "0.5"},
		{"0", "power", "0", "1"},
		{"0", "power", "-1", "none"},
		{"-1", "power", "0.5", "none"},
		{"4", "power", "0.5", "2"},
		{"-2", "power", "3", "-8"},
		{"2", "power", "0.5", "1.41421356237309505"},
		{"1.1", "power", "8000", "none"},
		{"-1.0001", "power", "99999", "-22013.2547230798907"},
		{"0.5", "power", "1e300", "0"},
	} {
		t.Run(c.a+" "+c.op+" "+c.b, func(t *testing.T) {
			if got := show(ops[c.op](parse(t, c.a), parse(t, c.b))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	huge := parse(t, "1e300")
	for range 5 {
		huge, _ = huge.Mul(parse(t, "1e300"))
	}
	if _, ok := huge.Mul(parse(t, "1e300")); ok {
		t.Error("a product of 2,101 digits is beyond the limit")
	}
}

func TestFunctionsOfOneNumber(t *testing.T) {
	type D = decimal.Decimal
	sure := func(f func(D) D) func(D) (D, bool) { return func(d D) (D, bool) { return f(d), true } }
	round := func(n int) func(D) (D, bool) { return sure(func(d D) D { return d.Round(n) }) }
	functions := map[string]func(D) (D, bool){
		"truncate": sure(D.Truncate), "floor": sure(D.Floor), "ceiling": sure(D.Ceiling),
		"round(0)": round(0), "round(2)": round(2), "round(3)": round(3), "trim": sure(D.Trim),
		"abs": sure(D.Abs), "neg": sure(D.Neg), "sqrt": D.Sqrt, "exp": D.Exp, "ln": D.Ln,
	}
	for _, c := range []struct{ name, value, want string }{
		{"truncate", "-1.56", "-1"},
		{"truncate", "1.00000001", "1"},
		{"truncate", "-12345678901234567890.9", "-12345678901234567890"},
		{"floor", "-2.1", "-3"},
		{"floor", "2.9", "2"},
		{"floor", "-12345678901234567890.1", "-12345678901234567891"},
		{"ceiling", "-1.1", "-1"},
		{"ceiling", "1.1", "2"},
		{"ceiling", "1e-30", "1"},
		{"round(0)", "0.5", "1"},
		{"round(0)", "-0.5", "-1"},
		{"round(0)", "0.49999999999999999999", "0"},
		{"round(3)", "3.14159", "3.142"},
		{"round(2)", "0.66666667", "0.67"},
		{"round(2)", "1", "1"},
		{"round(2)", "9.995", "10.00"},
		{"trim", "1.500", "1.5"},
		{"trim", "100", "100"},
		{"trim", "123456789012345678901.2300", "123456789012345678901.23"},
		{"abs", "-5.50", "5.50"},
		{"neg", "-9223372036854775808", "9223372036854775808"},
		{"sqrt", "81", "9"},
		{"sqrt", "2", "1.41421356237309505"},
		{"sqrt", "0.0001", "0.01"},
		{"sqrt", "1e-40", "0." + strings.Repeat("0", 19) + "1"},
		{"sqrt", "-1", "none"},
		{"sqrt", "0", "0"},
		{"exp", "0", "1"},
		{"exp", "1", "2.71828182845904524"},
		{"exp", "-1", "0.367879441171442322"},
		{"exp", "100", "26881171418161354500000000000000000000000000"},
		{"exp", "711", "none"},
		{"exp", "1e308", "none"},
		{"exp", "-1e308", "0"},
		{"ln", "1", "0"},
		{"ln", "1.0", "0"},
		{"ln", "10", "2.30258509299404568"},
		{"ln", "0.5", "-0.693147180559945309"},
		{"ln", "0", "none"},
		{"ln", "-1", "none"},
	} {
		t.Run(c.name+" "+c.value, func(t *testing.T) {
			if got := show(functions[c.name](parse(t, c.value))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestCmpIgnoresPlacesEquivalentRounds(t *testing.T) {
	for _, c := range []struct {
		a, b       string
		cmp        int
		equivalent bool
	}{
		{"1.10", "1.1", 0, true},
		{"0.0", "0", 0, true},
		{"1.1", "1.2", -1, false},
		{"0.66666667", "0.67", -1, true},
		{"0.66666667", "0.6", 1, false},
		{"4.040", "4", 1, true},
		{"4.50", "5", -1, true},
		{"40", "41", -1, false},
		{"-1", "1", -1, false},
		{"1e300", "-1e300", 1, false},
		{"1e300", "1e-300", 1, false},
		{"12345678901234567890.10", "12345678901234567890.1", 0, true},
		{"0.1", "100000000000000000000", -1, false},
	} {
		a, b := parse(t, c.a), parse(t, c.b)
		if got := a.Cmp(b); got != c.cmp {
			t.Errorf("%s Cmp %s is %d, want %d", a, b, got, c.cmp)
		}
		if got := b.Cmp(a); got != -c.cmp {
			t.Errorf("%s Cmp %s is %d, want %d", b, a, got, -c.cmp)
		}
		if got := a.Equivalent(b); got != c.equivalent {
			t.Errorf("%s ~ %s is %t", a, b, got)
		}
	}
}

func TestBoundaries(t *testing.T) {
	const byDefault = -2
	for _, c := range []struct {
		value     string
		precision int
		low, high string
	}{
		{"1.587", byDefault, "1.58650000", "1.58750000"},
		{"1.0", byDefault, "0.95000000", "1.05000000"},
		{"1.587", 6, "1.586500", "1.587500"},
		{"1.587", 2, "1.58", "1.59"},
		{"1.587", 0, "1", "2"},
		{"1.587", -1, "none", "none"},
		{"1.587", 32, "none", "none"},
		{"-1.587", byDefault, "-1.58750000", "-1.58650000"},
		{"-1.587", 2, "-1.59", "-1.58"},
		{"-1.587", 0, "-2", "-1"},
		{"1", 0, "0", "2"},
		{"1", 5, "0.50000", "1.50000"},
		{"12.500", 4, "12.4995", "12.5005"},
		{"-120", 2, "-120.50", "-119.50"},
		{"0.0034", 1, "0.0", "0.0"},
		{"-0.0034", 1, "-0.0", "0.0"},
		{"0", 1, "-0.5", "0.5"},
		{"12345678901234567890", 1, "12345678901234567889.5", "12345678901234567890.5"},
	} {
		d := parse(t, c.value)
		if c.precision == byDefault {
			c.precision = d.BoundaryPlaces()
		}
		if got := show(d.LowBoundary(c.precision)); got != c.low {
			t.Errorf("low boundary of %s at %d is %s, want %s", d, c.precision, got, c.low)
		}
		if got := show(d.HighBoundary(c.precision)); got != c.high {
			t.Errorf("high boundary of %s at %d is %s, want %s", d, c.precision, got, c.high)
		}
	}
}

func TestWholeNumbersAndFloats(t *testing.T) {
	for _, c := range []struct {
		value string
		n     int64
		whole bool
		fits  bool
		float float64
	}{
		{"12.00", 12, true, true, 12},
		{"12.01", 0, false, false, 12.01},
		{"-9223372036854775808", math.MinInt64, true, true, math.MinInt64},
		{"9223372036854775808", 0, true, false, 1 << 63},
		{"0.1", 0, false, false, 0.1},
		{"179769313486231570000000000000000000", 0, true, false, 1.7976931348623157e35},
		{"123456789.12345678901234567890", 0, false, false, 123456789.123456789},
	} {
		d := parse(t, c.value)
		n, ok := d.Int64()
		if ok != c.fits || ok && n != c.n || d.IsInt() != c.whole || d.Float64() != c.float {
			t.Errorf("%s: Int64 %d %t, IsInt %t, Float64 %v", d, n, ok, d.IsInt(), d.Float64())
		}
	}
	for _, f := range []float64{0, 0.1, -1.5, math.Pi, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		d, ok := decimal.FromFloat(f)
		if !ok || d.Float64() != f {
			t.Errorf("%v becomes %s", f, d)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if _, ok := decimal.FromFloat(f); ok {
			t.Errorf("%v is no decimal", f)
		}
	}
	if d := decimal.FromInt(math.MinInt64); d.String() != "-9223372036854775808" {
		t.Errorf("the least int64 becomes %s", d)
	}
	wide, _ := new(big.Int).SetString("123456789012345678900", 10)
	d, ok := decimal.FromBig(wide, 3)
	wide.SetInt64(0)
	if got := show(d, ok); got != "123456789012345678.900" {
		t.Errorf("it becomes %s", got)
	}
	if got := string(d.AppendShortest([]byte("x"))); got != "x123456789012345678.9" {
		t.Errorf("its shortest text is %s", got)
	}
	if got := show(decimal.New(-1234, 2)); got != "-12.34" {
		t.Errorf("-1234 hundredths are %s", got)
	}
	if got := show(decimal.New(1, -1)); got != "none" {
		t.Errorf("negative places give %s", got)
	}
}

func TestSmallNumbersDoNotAllocate(t *testing.T) {
	text := []byte("185.20")
	other := parse(t, "7.25")
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		d, _ := decimal.Parse(text)
		s, _ := d.Add(other)
		p, _ := s.Mul(other)
		q, _ := p.Quo(other)
		m, _ := q.Mod(other)
		_ = q.Equivalent(m.Round(1)) || q.Cmp(m) > 0 || q.Float64() > 5
		buf = q.Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func rat(d decimal.Decimal) *big.Rat {
	r, _ := new(big.Rat).SetString(d.String())
	return r
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-1.50", "1e3", "15E-2", "1e308", "12345678901234567890.123", "1.", "--1", "0.00000000000000000000001"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, ok := decimal.Parse(text)
		if !ok {
			return
		}
		if want, _ := new(big.Rat).SetString(string(text)); rat(d).Cmp(want) != 0 {
			t.Fatalf("%s reads as %s", text, d)
		}
		if len(d.String()) > decimal.MaxText {
			return
		}
		again := parse(t, d.String())
		if again.Cmp(d) != 0 || again.Places() != d.Places() {
			t.Fatalf("%s, written as %s, reads as %s", text, d, again)
		}
	})
}

func FuzzArithmetic(f *testing.F) {
	f.Add("1.5", "-3")
	f.Add("9223372036854775807", "0.0000000001")
	f.Add("1e200", "7e-200")
	f.Fuzz(func(t *testing.T, x, y string) {
		a, ok1 := decimal.Parse([]byte(x))
		b, ok2 := decimal.Parse([]byte(y))
		if !ok1 || !ok2 {
			return
		}
		check := func(op string, got decimal.Decimal, ok bool, want *big.Rat) {
			if ok && rat(got).Cmp(want) != 0 {
				t.Errorf("%s %s %s = %s", a, op, b, got)
			}
		}
		s, ok := a.Add(b)
		check("+", s, ok, new(big.Rat).Add(rat(a), rat(b)))
		s, ok = a.Sub(b)
		check("-", s, ok, new(big.Rat).Sub(rat(a), rat(b)))
		s, ok = a.Mul(b)
		check("*", s, ok, new(big.Rat).Mul(rat(a), rat(b)))
		if a.Cmp(b) != rat(a).Cmp(rat(b)) {
			t.Errorf("%s Cmp %s = %d", a, b, a.Cmp(b))
		}
		if b.Sign() != 0 {
			q, _ := a.Div(b)
			m, _ := a.Mod(b)
			p, _ := q.Mul(b)
			s, ok = p.Add(m)
			check("div, mod", s, ok, rat(a))
			if r, ok := a.Quo(b); ok {
				exact := new(big.Rat).Quo(rat(a), rat(b))
				if e := new(big.Rat).Sub(rat(r), exact); e.Abs(e).Cmp(big.NewRat(1, 1e8)) > 0 {
					t.Errorf("%s / %s = %s", a, b, r)
				}
			}
		}
		a.Power(b)
		a.Log(b)
		a.Sqrt()
		a.Exp()
		a.LowBoundary(3)
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("185.20")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := decimal.Parse(text); !ok {
			b.Fatal("not read")
		}
	}
}

func BenchmarkQuo(b *testing.B) {
	x, y := decimal.FromInt(2), decimal.FromInt(3)
	b.ReportAllocs()
	for b.Loop() {
		x.Quo(y)
	}
}

func BenchmarkLn(b *testing.B) {
	x := decimal.FromInt(7)
	b.ReportAllocs()
	for b.Loop() {
		x.Ln()
	}
}
