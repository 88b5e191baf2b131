package search

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

func folded(s string) string {
	b, _ := AppendFolded(nil, []byte(s))
	return string(b)
}

func TestFolded(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"case", "Eve", "eve"},
		{"accents, composed", "Éloïse Muñoz", "eloise munoz"},
		{"accents, combining", "E\u0301loi\u0308se", "eloise"},
		{"two accents", "Nguyễn", "nguyen"},
		{"letters that do not decompose", "Straße Ærø Łódź Œuvre", "strasse aero lodz oeuvre"},
		{"Greek with final sigma", "Ὀδυσσεύς", "οδυσσευσ"},
		{"Turkish dotted capital", "İzmir", "izmir"},
		{"ligature", "oﬃce", "office"},
		{"full width", "ＡＢＣ１", "abc1"},
		{"punctuation within a word", "O'Brien U.S. O’Neil", "obrien us oneil"},
		{"punctuation between words", "Smith-Jones, Ann (née Lee)", "smith jones ann nee lee"},
		{"long dashes", "a–b—c", "a b c"},
		{"white space", "  a\t\n b\u00a0\u2003c  ", "a b c"},
		{"nothing but punctuation", "...-,", ""},
		{"symbols stay", "< 5 + 3", "< 5 + 3"},
		{"Chinese", "王小明", "王小明"},
		{"Korean", "김 각", "\u1100\u1175\u11b7 \u1100\u1161\u11a8"},
		{"invalid UTF-8", "a\xffb", "a\ufffdb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := folded(c.in); got != c.want {
				t.Errorf("%q folds to %q, want %q", c.in, got, c.want)
			}
			if got, same := AppendFolded([]byte("x"), []byte(c.in)); same != (c.in == c.want) || string(got) != "x"+c.want {
				t.Errorf("appended: %q, same %v", got, same)
			}
		})
	}
}

func FuzzFolded(f *testing.F) {
	for _, s := range []string{"O'Brien", "Éloïse", "E\u0301", "a-b", "ﷺ", "Straße", "\u1e9b\u0323", "a\xff", "\u200d", "ΑΣ"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, cut int) {
		whole, same := AppendFolded(nil, []byte(s))
		if same != (string(whole) == s) {
			t.Errorf("same is %v for %q, folded %q", same, s, whole)
		}
		if again := folded(string(whole)); again != string(whole) {
			t.Errorf("%q folds to %q, that to %q", s, whole, again)
		}
		if cut >= 0 && cut <= len(s) && (cut == len(s) || s[cut]&0xc0 != 0x80) {
			if begin := folded(s[:cut]); !strings.HasPrefix(string(whole), begin) {
				t.Errorf("%q folds to %q, but its beginning %q to %q", s, whole, s[:cut], begin)
			}
		}
		for _, upper := range []string{strings.ToUpper(s), strings.ToLower(s)} {
			_ = folded(upper) // must not panic; some letters change by more than case
		}
	})
}

func TestLaterWords(t *testing.T) {
	wide := strings.Repeat("ж", 128) // 256 bytes
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"no name", "", nil},
		{"one word", "cruz", nil},
		{"three words", "de la cruz", []string{"la cruz", "cruz"}},
		{"more words than are kept", "a b c d e f g h i j k l m n o p q r s", []string{
			"b c d e f g h i j k l m n o p q r s", "c d e f g h i j k l m n o p q r s", "d e f g h i j k l m n o p q r s", "e f g h i j k l m n o p q r s",
			"f g h i j k l m n o p q r s", "g h i j k l m n o p q r s", "h i j k l m n o p q r s", "i j k l m n o p q r s", "j k l m n o p q r s",
			"k l m n o p q r s", "l m n o p q r s", "m n o p q r s", "n o p q r s", "o p q r s", "p q r s", "q r s",
		}},
		{"as long as is kept", "a " + wide, []string{wide}},
		{"longer than is kept", "a " + wide + "жx", []string{wide}},
		{"cut before a letter of two bytes", "a x" + wide, []string{"x" + wide[:254]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for s := range LaterWords([]byte(c.in)) {
				got = append(got, c.in[s.Start:s.End])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func at(s string) int64 {
	x, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return x.UnixMicro()
}

func TestPeriodRange(t *testing.T) {
	for _, c := range []struct {
		name, start, end string
		want             Range
		ok               bool
	}{
		{"both", "2020-01", "2020-02-03", Range{at("2020-01-01T00:00:00Z"), at("2020-02-04T00:00:00Z")}, true},
		{"open end", "2020-01-02T10:00:00+02:00", "", Range{at("2020-01-02T08:00:00Z"), Latest}, true},
		{"open start", "", "2020", Range{Earliest, at("2021-01-01T00:00:00Z")}, true},
		{"neither", "", "", Range{Earliest, Latest}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := PeriodRange([]byte(c.start), []byte(c.end))
			if got != c.want || ok != c.ok {
				t.Errorf("got %v %v, want %v %v", got, ok, c.want, c.ok)
			}
		})
	}
}

// The examples of R4, 3.1.1.4.7.
func TestMatchesTime(t *testing.T) {
	for _, c := range []struct {
		query      string
		start, end string // of a Period, or a date when end is "="
		want       bool
	}{
		{"eq2013-01-14", "2013-01-14T00:00:00Z", "=", true},
		{"eq2013-01-14", "2013-01-14T10:00:00Z", "=", true},
		{"eq2013-01-14", "2013-01-15T00:00:00Z", "=", false},
		{"ne2013-01-14", "2013-01-15T00:00:00Z", "=", true},
		{"ne2013-01-14", "2013-01-14T00:00:00Z", "=", false},
		{"lt2013-01-14T10:00", "2013-01-14", "=", true},
		{"gt2013-01-14T10:00", "2013-01-14", "=", true},
		{"gt2013-01-14", "2013-01-14T10:00:00Z", "=", false},
		{"ge2013-03-14", "2013-01-21", "", true},
		{"le2013-03-14", "2013-01-21", "", true},
		{"sa2013-03-14", "2013-03-15", "", true},
		{"sa2013-03-14", "2013-01-21", "", false},
		{"sa2013-03-14", "", "2013-01-21", false},
		{"eb2013-03-14", "2013-03-15", "", false},
		{"eb2013-03-14", "2013-01-21", "", false},
		{"eb2013-03-14", "", "2013-01-21", true},
		{"ap2013-03-14", "2013-03-14", "=", true},
		{"ap2013-03-14", "2015-06-15", "=", false},
		{"2013", "2013-05", "=", true},
		{"2013-05", "2013", "=", false},
	} {
		p, value := CutPrefix(c.query)
		query, ok := DateRange([]byte(value))
		if !ok {
			t.Fatalf("%s is no date", value)
		}
		stored, _ := DateRange([]byte(c.start))
		if c.end != "=" {
			stored, _ = PeriodRange([]byte(c.start), []byte(c.end))
		}
		if got := p.MatchesTime(query, stored, at("2014-03-14T00:00:00Z")); got != c.want {
			t.Errorf("%s matches %s to %s: %v, want %v", c.query, c.start, c.end, got, c.want)
		}
	}
}

func FuzzDateRange(f *testing.F) {
	for _, s := range []string{"2020", "2020-02", "2020-02-29", "2020-02-29T23:59:60.123456789-14:00", "0001-01-01", "9999-12-31T24:00:00Z", "2020-13"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := DateRange([]byte(s))
		if !ok {
			return
		}
		if r.Start >= r.End {
			t.Errorf("%s is %v", s, r)
		}
		for p, want := range map[Prefix]bool{
			Equal: true, NotEqual: false, Greater: false, Less: false, GreaterOrEqual: true, LessOrEqual: true,
			StartsAfter: false, EndsBefore: false, Approximate: true,
		} {
			if got := p.MatchesTime(r, r, at("2026-01-01T00:00:00Z")); got != want {
				t.Errorf("%s%s matches itself: %v", p, s, got)
			}
		}
	})
}

// The examples of R4, 3.1.1.4.6. The range of 1e2 there is that of two significant
// figures, so a number with an exponent has two at least.
func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Amount
	}{
		{"100", Amount{100, 99.5, 100.5}},
		{"100.00", Amount{100, 99.995, 100.005}},
		{"1e2", Amount{100, 95, 105}},
		{"1.0e2", Amount{100, 95, 105}},
		{"10e1", Amount{100, 95, 105}},
		{"-8e-1", Amount{-0.8, -0.805, -0.795}},
		{"0.5E3", Amount{500, 495, 505}},
		{"1.00e2", Amount{100, 99.5, 100.5}},
		{"1.00E+2", Amount{100, 99.5, 100.5}},
		{"+5.4", Amount{5.4, 5.35, 5.45}},
		{"5.40e-3", Amount{0.0054, 0.005395, 0.005405}},
		{"-2", Amount{-2, -2.5, -1.5}},
		{"0", Amount{0, -0.5, 0.5}},
	} {
		got, ok := ParseAmount([]byte(c.in))
		if !ok || got != c.want {
			t.Errorf("%s is %v %v, want %v", c.in, got, ok, c.want)
		}
	}
	for _, bad := range []string{"", "+", "x", "1e", "1e999", "0x1", "--1", "NaN"} {
		if a, ok := ParseAmount([]byte(bad)); ok {
			t.Errorf("%q is %v", bad, a)
		}
	}
}

func TestParseAmountIn(t *testing.T) {
	for _, c := range []struct {
		in, unit, base string
		want           Amount
	}{
		{"5.4", "mg", "g", Amount{0.0054, 0.00535, 0.00545}},
		{"5.40e-3", "g", "g", Amount{0.0054, 0.005395, 0.005405}},
		{"120", "mm[Hg]", "m-1.s-2.g", Amount{15998640, 15931979, 16065301}},
		{"37.0", "Cel", "K", Amount{310.15, 310.1, 310.2}},
		{"98.6", "[degF]", "K", Amount{310.15, 310.1222222222222, 310.1777777777778}},
	} {
		got, base, ok := ParseAmountIn([]byte(c.in), []byte(c.unit))
		if !ok || base != c.base || !near(got.Exact, c.want.Exact) || !near(got.Low, c.want.Low) || !near(got.High, c.want.High) {
			t.Errorf("%s %s is %v %s %v, want %v %s", c.in, c.unit, got, base, ok, c.want, c.base)
		}
	}
	if _, _, ok := ParseAmountIn([]byte("1"), []byte("furlongs")); ok {
		t.Error("furlongs is a unit")
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }

func TestMatchesNumber(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		query  string
		stored Interval
		want   bool
	}{
		{"100", Interval{100.25, 100.25}, true},
		{"100", Interval{99.5, 99.5}, true},
		{"100", Interval{100.5, 100.5}, false},
		{"ne100", Interval{100.25, 100.25}, false},
		{"gt100", Interval{100, 100}, false},
		{"gt100", Interval{100.25, 100.25}, true},
		{"ge100", Interval{100, 100}, true},
		{"ge100", Interval{99.75, 99.75}, false},
		{"lt100", Interval{99.99, 99.99}, true},
		{"le100", Interval{100, 100}, true},
		{"sa1.5", Interval{1.4, 2}, false},
		{"gt1.5", Interval{1.4, 2}, true},
		{"sa1.5", Interval{1.6, 2}, true},
		{"eb1.5", Interval{1, 1.4}, true},
		{"5", Interval{4, 6}, false},
		{"5", Interval{4.5, 5.4}, true},
		{"ap100", Interval{91, 91}, true},
		{"ap100", Interval{111, 111}, false},
		{"lt5", Interval{6, 6}.Compared([]byte("<")), true},
		{"gt5", Interval{5, 5}.Compared([]byte("<=")), false},
		{"le5", Interval{5, 5}.Compared([]byte(">")), false},
		{"ge5", Interval{2, inf}, true},
	} {
		p, value := CutPrefix(c.query)
		a, ok := ParseAmount([]byte(value))
		if !ok {
			t.Fatalf("%s is no number", value)
		}
		if got := p.MatchesNumber(a, c.stored); got != c.want {
			t.Errorf("%s matches %v: %v, want %v", c.query, c.stored, got, c.want)
		}
	}
}

func FuzzAmount(f *testing.F) {
	for _, s := range []string{"0", "-0.0", "100", "1e2", "1.50E-7", "123456789012345678901234567890", "-9.99e-30", "5e307"} {
		f.Add(s, "mg")
	}
	f.Add("37", "Cel")
	f.Add("1e-300", "Ym")
	f.Fuzz(func(t *testing.T, s, unit string) {
		stored, ok := NumberInterval([]byte(s))
		if !ok {
			return
		}
		a, ok := ParseAmount([]byte(s))
		if !ok {
			if !strings.ContainsAny(s, "eE") { // an exponent may be at the limit
				t.Errorf("%s is stored and cannot be asked for", s)
			}
			return
		}
		// Half a unit of a last digit beyond the 15th is lost in a float64.
		if !Equal.MatchesNumber(a, stored) && a.Low < a.Exact && a.Exact < a.High {
			t.Errorf("%s does not match itself: %v, %v", s, a, stored)
		}
		in, _, ok := ParseAmountIn([]byte(s), []byte(unit))
		if !ok {
			return
		}
		if !(in.Low <= in.Exact && in.Exact <= in.High) {
			t.Errorf("%s %s is %v", s, unit, in)
		}
		u, _ := UnitOf([]byte(unit))
		stored, ok = u.Interval([]byte(s))
		if !ok || stored.Low != in.Exact || !Equal.MatchesNumber(in, stored) && in.Low < in.Exact && in.Exact < in.High {
			t.Errorf("%s %s does not match itself: %v, %v", s, unit, in, stored)
		}
	})
}

func TestReferenceOf(t *testing.T) {
	parts := func(p ReferenceParts) [4]string {
		return [4]string{p.Type.String(), string(p.ID), string(p.URL), string(p.Version)}
	}
	none := r4.TypeID(0).String()
	for _, c := range []struct {
		name, in string
		want     [4]string
	}{
		{"relative", "Patient/1", [4]string{"Patient", "1", "", ""}},
		{"with version", "Patient/1/_history/2", [4]string{"Patient", "1", "", "2"}},
		{"absolute", "http://example.org/fhir/Patient/1", [4]string{"Patient", "1", "http://example.org/fhir/Patient/1", ""}},
		{"absolute with version", "http://example.org/Patient/1/_history/7", [4]string{"Patient", "1", "http://example.org/Patient/1", "7"}},
		{"urn", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", [4]string{none, "", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", ""}},
		{"contained", "#p1", [4]string{none, "", "#p1", ""}},
		{"search", "Practitioner?identifier=a|1", [4]string{"Practitioner", "", "Practitioner?identifier=a|1", ""}},
		{"canonical with version", "http://example.org/vs|1.0", [4]string{none, "", "http://example.org/vs", "1.0"}},
		{"no type of R4", "Foo/1", [4]string{none, "", "Foo/1", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parts(ReferenceOf([]byte(c.in)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzReferenceOf(f *testing.F) {
	for _, s := range []string{"Patient/1", "http://a/Patient/1/_history/2", "urn:oid:1.2", "#", "a|b|c", "Patient?x=|", "/Patient/1", "Patient/1/_history/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := ReferenceOf([]byte(s))
		back := p.URL
		if len(p.ID) > 0 && len(back) == 0 {
			back = []byte(p.Type.String() + "/" + string(p.ID))
		}
		if len(p.Version) > 0 {
			sep := "|"
			if len(p.ID) > 0 {
				sep = string(history)
			}
			back = append(bytes.Clone(back), sep+string(p.Version)...)
		}
		if string(back) != s && !(strings.HasSuffix(s, "|") && string(back)+"|" == s) {
			t.Errorf("%q comes apart as %+v, together as %q", s, p, back)
		}
	})
}
