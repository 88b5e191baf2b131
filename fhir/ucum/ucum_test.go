package ucum_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

func number(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, ok := decimal.Parse([]byte(text))
	if !ok {
		t.Fatalf("%q is no decimal", text)
	}
	return d
}

func show(d decimal.Decimal, ok bool) string {
	if !ok {
		return "none"
	}
	return string(d.AppendShortest(nil))
}

func TestValid(t *testing.T) {
	for _, c := range []struct {
		name  string
		codes string // with blanks between them
		valid bool
	}{
		{"atoms", "m g L l s min % ' '' Cel [degF] [pH] [iU] [lb_av] B[10.nV] cal_[15] m[H2O] 10* 10^ bit_s [m/s2/Hz^(1/2)]", true},
		{"prefixes", "mg ug dL kg mmol umol mm[Hg] dar daL m[iU] KiBy mCel u[IU] TBq", true},
		{"products", "kg/m2 m2.5 mg/dL 10*3/uL mL/min/{1.73_m2} N.m m/(s.s) /m /[HPF] mm[Hg].min/L", true},
		{"exponents", "m2 s-1 m+2 10*-3/uL 10^12/L [in_i]2 m999", true},
		{"numbers", "1 10 100.m 24.h /10*5", true},
		{"annotations", "{beats} {beats}/min mg{creat} m2{BSA} 1{a} (m){b} {a}.{b} {}", true},
		{"parentheses", "(m) ((m)) (m/s)/(kg.K) 2.(m.s)", true},
		{"other letters", "M KG Gram gram h2o [LB_AV] µg Ω cells", false},
		{"prefixes of what takes none", "kmin mh k[degF] k% kd m10*", false},
		{"prefixes alone", "k da Ki", false},
		{"operators without a unit", "m/ m. /m/ m//s m..s . / //m", false},
		{"exponents out of place", "(m)2 m2s 2m m^2 m*2 m- m+ m1000 --m m--2", false},
		{"zeros", "0 m/0 00", false},
		{"braces left open", "{a m{a }a{ m} {a{b}} m{a}{b} {é} {a\tb} {\x7f}", false},
		{"brackets left open", "[iU m[ [] ] iU]", false},
		{"parentheses left open", "(m m) () (m/) (/m) m.(", false},
		{"parentheses too deep", strings.Repeat("(", 40) + "m" + strings.Repeat(")", 40), false},
	} {
		for code := range strings.SplitSeq(c.codes, " ") {
			if got := ucum.Valid([]byte(code)); got != c.valid {
				t.Errorf("%s: %q is valid: %t", c.name, code, got)
			}
		}
	}
	if !ucum.Valid([]byte("{# of fetuses}")) {
		t.Error("a blank in an annotation is not valid")
	}
	for _, code := range []string{"", " ", "m ", " m", "m s", "\x00"} {
		if ucum.Valid([]byte(code)) {
			t.Errorf("%q is valid", code)
		}
	}
}

func TestConvert(t *testing.T) {
	for _, c := range []struct{ value, from, to, want string }{
		{"5", "mg", "g", "0.005"},
		{"4.0000", "g", "mg", "4000"},
		{"1", "[lb_av]", "kg", "0.45359237"},
		{"185", "[lb_av]", "kg", "83.91458845"},
		{"120", "mm[Hg]", "Pa", "15998.64"},
		{"37", "Cel", "[degF]", "98.6"},
		{"98.6", "[degF]", "Cel", "37"},
		{"100", "[degF]", "Cel", "37.77777777777778"},
		{"-40", "Cel", "[degF]", "-40"},
		{"0", "Cel", "K", "273.15"},
		{"37000", "mCel", "Cel", "37"},
		{"80", "[degRe]", "Cel", "100"},
		{"2", "wk", "d", "14"},
		{"1", "a", "d", "365.25"},
		{"1", "mo", "d", "30.4375"},
		{"1", "d", "s", "86400"},
		{"1", "[in_i]", "cm", "2.54"},
		{"6", "[ft_i]", "m", "1.8288"},
		{"1", "[mi_i]", "km", "1.609344"},
		{"5.5", "mmol/L", "umol/mL", "5.5"},
		{"5.5", "mmol/L", "mol/m3", "5.5"},
		{"4.5", "10*3/uL", "10*9/L", "4.5"},
		{"4.5", "10*3/uL", "/uL", "4500"},
		{"1", "kat", "U", "60000000"},
		{"1", "U/L", "nkat/L", "16.6666666666666667"},
		{"1", "L", "m3", "0.001"},
		{"50", "%", "1", "0.5"},
		{"1", "{cells}", "1", "1"},
		{"72", "{beats}/min", "Hz", "1.2"},
		{"2", "m2", "cm2", "20000"},
		{"1", "N", "kg.m/s2", "1"},
		{"1", "J/(kg.K)", "m2.s-2.K-1", "1"},
		{"1", "[psi]", "Pa", "6894.75729316836134"},
		{"180", "deg", "[pi].rad", "1"},
		{"100", "[iU]/mL", "[IU]/L", "100000"},
		{"7", "m[iU]", "[iU]", "0.007"},
		{"1", "KiBy", "bit", "8192"},
		{"1", "gf", "N", "0.00980665"},
		{"7.4", "[pH]", "nmol/L", "39.810717055349725"},
		{"100", "nmol/L", "[pH]", "7"},
		{"30", "dB", "1", "1000"},
		{"1000", "1", "dB", "30"},
		{"20", "B[uV]", "V", "10000"},
		{"8", "bit_s", "1", "256"},
		{"1", "Np", "1", "2.71828182845904524"},
		{"100", "%[slope]", "rad", "0.7853981633974483"},
		{"0.7853981633974483", "rad", "[p'diop]", "100"},
		{"3", "[hp'_C]", "[hp'_X]", "6"},
		{"4", "[m/s2/Hz^(1/2)]", "m2/s4/Hz", "16"},
		{"5", "10.Cel", "Cel", "50"},
		{"1", "mg", "mL", "none"},
		{"1", "mmol/L", "mg/dL", "none"},
		{"1", "[iU]", "1", "none"},
		{"1", "[iU]", "[arb'U]", "none"},
		{"1", "Cel/m", "K/m", "none"},
		{"1", "Cel2", "K2", "none"},
		{"0", "1", "dB", "none"},
		{"-1", "mol/L", "[pH]", "none"},
		{"1", "cm", "[s]", "none"},
		{"1", "nonsense", "nonsense", "1"},
		{"1.50", "mg", "mg", "1.5"},
		{"1e300", "m", "nm", "1" + strings.Repeat("0", 309)},
	} {
		got := show(ucum.Convert(number(t, c.value), []byte(c.from), []byte(c.to)))
		if got != c.want {
			t.Errorf("%s %s in %s is %s, want %s", c.value, c.from, c.to, got, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ a, unitA, want, b, unitB string }{
		{"4.0000", "g", "=", "4000.0", "mg"},
		{"4", "g", "<", "4040", "mg"},
		{"7", "d", "=", "1", "wk"},
		{"6", "d", "<", "1", "wk"},
		{"2", "cm", ">", "1", "mm"},
		{"0.0004", "m2", "=", "4", "cm.cm"},
		{"2", "g/m", "=", "2000", "mg/m"},
		{"98.6", "[degF]", "=", "37", "Cel"},
		{"1", "[lb_av]", "=", "0.45359237", "kg"},
		{"1", "[lb_av]", "<", "0.453592370000000000000000000001", "kg"},
		{"1", "U", "=", "1e-6", "mol/min"},
		{"5", "zzz", "<", "6", "zzz"},
		{"1", "cm", "?", "1", "s"},
		{"1", "cm", "?", "1", "[s]"},
		{"1", "kg", "?", "1", "[iU]"},
	} {
		order, comparable := ucum.Compare(number(t, c.a), []byte(c.unitA), number(t, c.b), []byte(c.unitB))
		got := "?"
		if comparable {
			got = map[int]string{-1: "<", 0: "=", 1: ">"}[order]
		}
		if got != c.want {
			t.Errorf("%s %s %s %s %s, want %s", c.a, c.unitA, got, c.b, c.unitB, c.want)
		}
		if c.unitA != c.unitB {
			if got := ucum.Comparable([]byte(c.unitA), []byte(c.unitB)); got != comparable {
				t.Errorf("%s and %s are comparable: %t", c.unitA, c.unitB, got)
			}
		}
	}
}

func TestEquivalentRoundsInTheLargerUnit(t *testing.T) {
	for _, c := range []struct {
		a, unitA, b, unitB string
		want               bool
	}{
		{"4", "g", "4000", "mg", true},
		{"4", "g", "4040", "mg", true},
		{"4040", "mg", "4", "g", true},
		{"4", "kg", "4040", "g", true},
		{"4.0", "g", "4500", "mg", false},
		{"4.10", "g", "4140", "mg", true},
		{"4", "g", "4", "m", false},
		{"4", "??", "4.0", "??", true},
	} {
		got := ucum.Equivalent(number(t, c.a), []byte(c.unitA), number(t, c.b), []byte(c.unitB))
		if got != c.want {
			t.Errorf("%s %s ~ %s %s is %t", c.a, c.unitA, c.b, c.unitB, got)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ value, code, want string }{
		{"5.5", "mg", "0.0055 g"},
		{"120", "mm[Hg]", "15998640 m-1.s-2.g"},
		{"37", "Cel", "310.15 K"},
		{"80", "{beats}/min", "1.33333333333333333 s-1"},
		{"50", "%", "0.5 1"},
		{"3", "[iU]/L", "3000 m-3.[iU]"},
		{"2", "[IU].[arb'U]-1/[iU]", "2 [arb'U]-1"},
		{"1", "Cel.m", "none"},
		{"1", "[iU].[arb'U].[EU].[AU]", "none"},
		{"1", "bogus", "none"},
	} {
		value, base, ok := ucum.Canonical(number(t, c.value), []byte(c.code))
		got := "none"
		if ok {
			got = show(value, ok) + " " + base
		}
		if got != c.want {
			t.Errorf("%s %s is %s, want %s", c.value, c.code, got, c.want)
		}
		if u, valid := ucum.Parse([]byte(base)); ok && (!valid || u.Base() != base) {
			t.Errorf("%s is no base unit", base)
		}
	}
}

func TestProductsAndQuotients(t *testing.T) {
	for _, c := range []struct{ a, b, product, quotient string }{
		{"cm", "m", "cm.m", "cm/m"},
		{"m", "m", "m.m", "1"},
		{"1", "m", "m", "1/m"},
		{"g", "1", "g", "g"},
		{"mg", "kg/d", "mg.kg/d", "mg/(kg/d)"},
		{"mg/dL", "dL", "mg/dL.dL", "mg/dL/dL"},
		{"m", "/s", "m.1/s", "m/(1/s)"},
	} {
		product, quotient := ucum.AppendProduct(nil, []byte(c.a), []byte(c.b)), ucum.AppendQuotient(nil, []byte(c.a), []byte(c.b))
		if string(product) != c.product || string(quotient) != c.quotient {
			t.Errorf("%s and %s make %s and %s", c.a, c.b, product, quotient)
		}
		if !ucum.Valid(product) || !ucum.Valid(quotient) {
			t.Errorf("%s or %s is not valid", product, quotient)
		}
	}
}

func TestHostileCodesAreBounded(t *testing.T) {
	for name, code := range map[string]string{
		"long number":      strings.Repeat("9", 1<<20),
		"large power":      "[c]999.[c]999.[c]999",
		"many powers":      strings.Repeat("[c]999.", 10_000) + "m",
		"many units":       strings.Repeat("m.", 1<<19) + "m",
		"deep parentheses": strings.Repeat("(", 1<<20),
		"long annotation":  "{" + strings.Repeat("a", 1<<20) + "}",
		"long symbol":      strings.Repeat("m", 1<<20),
	} {
		u, ok := ucum.Parse([]byte(code))
		if ok && len(u.Base()) > 20 {
			t.Errorf("%s has the base %s", name, u.Base())
		}
	}
	for i := range 3000 { // more than are kept
		if _, ok := ucum.Parse(fmt.Appendf(nil, "%d.m", i+1)); !ok {
			t.Fatal("a number times a meter is a unit")
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	codes := [][]byte{[]byte("10*3/uL"), []byte("mL/min/{1.73_m2}"), []byte("m[iU]/mL"), []byte("not/one")}
	if n := testing.AllocsPerRun(100, func() {
		for _, c := range codes {
			ucum.Valid(c)
		}
	}); n != 0 {
		t.Errorf("Valid makes %v allocations, want 0", n)
	}
	a, b := decimal.FromInt(4), decimal.FromInt(4040)
	g, mg := []byte("g"), []byte("mg")
	if n := testing.AllocsPerRun(100, func() {
		ucum.Compare(a, g, b, mg)
		ucum.Convert(b, mg, g)
		ucum.Canonical(b, mg)
	}); n != 0 {
		t.Errorf("a conversion makes %v allocations, want 0", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"mg/dL", "10*3/uL", "/[HPF]", "m(s.{a})", "(m/s)/(kg.K)", "Cel", "dB", "[m/s2/Hz^(1/2)]", "10.Cel", "m999"} {
		f.Add([]byte(s))
	}
	one := decimal.FromInt(1)
	f.Fuzz(func(t *testing.T, code []byte) {
		u, ok := ucum.Parse(code)
		if !ok {
			return
		}
		if !ucum.Valid(code) {
			t.Errorf("%q has a meaning and is not valid", code)
		}
		base, ok := ucum.Parse([]byte(u.Base()))
		if !ok || !base.Commensurable(u) {
			t.Fatalf("%q has the base %q", code, u.Base())
		}
		if c, ok := u.Compare(one, u, one); ok && c != 0 {
			t.Errorf("1 %q is not itself", code)
		}
		if canonical, ok := u.Canonical(one); ok && canonical.Sign() > 0 {
			base.Convert(canonical, u)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	code := []byte("mL/min/{1.73_m2}")
	b.SetBytes(int64(len(code)))
	b.ReportAllocs()
	for b.Loop() {
		if !ucum.Valid(code) {
			b.Fatal("not valid")
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	x, y := decimal.FromInt(4), decimal.FromInt(4040)
	g, mg := []byte("g"), []byte("mg")
	b.ReportAllocs()
	for b.Loop() {
		if c, ok := ucum.Compare(x, g, y, mg); !ok || c >= 0 {
			b.Fatal("4 g is less than 4040 mg")
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	x, code := decimal.FromInt(120), []byte("mm[Hg]")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := ucum.Canonical(x, code); !ok {
			b.Fatal("not converted")
		}
	}
}
