package token_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"words and punctuation", "No fever, cough.", "No fever , cough ."},
		{"numbers", "5.5 1,000 2,4 3. 1.2.3", "5.5 1,000 2 , 4 3 . 1.2.3"},
		{"a unit at its number", "5mg G6PD", "5 +mg G +6 +PD"},
		{"hyphen and possessive", "beta-blocker Crohn's", "beta -! blocker Crohn '! s!"},
		{"typographic signs", "Crohn’s x–y", "Crohn ’! s! x –! y"},
		{"beyond ASCII", "Sjögren α-Fetoprotein", "Sjögren α -! Fetoprotein"},
		{"not UTF-8", "a\xffb", "a \xff b"},
		{"wide space", "a\u00a0b", "a b"},
		{"nothing", " \n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out []string
			for _, k := range token.Append(nil, []byte(c.text)) {
				s := c.text[k.Begin:k.End]
				if k.Flags.Has(token.Glued) {
					s = "+" + s
				}
				if k.Flags.Has(token.Skip) {
					s += "!"
				}
				out = append(out, s)
			}
			if d := cmp.Diff(c.want, strings.Join(out, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHash(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"ulcer", "Ulcers", true},
		{"artery", "ARTERIES", true},
		{"abscess", "abscesses", true},
		{"rash", "rashes", true},
		{"metastasis", "metastases", true},
		{"disease", "diseases", true},
		{"Sjögren", "sjogren", true},
		{"Meniere", "Ménière", true},
		{"e\u0301tat", "état", true},
		{"ΑΛΦΑ", "αλφα", true},
		{"virus", "viru", false},
		{"mass", "mas", false},
		{"AIDS", "aid", false},
		{"STDs", "STD", true},
		{"gas", "ga", false},
		{strings.Repeat("a", 70), strings.Repeat("a", 71), false},
	} {
		a, okA := token.HashOf(c.a)
		b, okB := token.HashOf(c.b)
		if !okA || !okB || (a == b) != c.same {
			t.Errorf("%q and %q: same %v, want %v", c.a, c.b, a == b, c.same)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	for _, k := range token.Append(nil, []byte("One\ntwo\r\n\r\nThree X")) {
		got = append(got, fmt.Sprint(k.Flags.Has(token.Newline), k.Flags.Has(token.Blank), k.Flags.Has(token.Title), k.Flags.Has(token.Upper)))
	}
	want := []string{"true false true false", "true false false false", "true true true false", "false false false true"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	text := []byte(strings.Repeat("Patient with Sjögren's syndrome, 5 mg daily.\n", 20))
	dst := token.Append(nil, text)
	if n := testing.AllocsPerRun(10, func() { dst = token.Append(dst[:0], text) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// FuzzAppend: tokens are in order, do not overlap, are not empty, and what is
// between them is white space.
func FuzzAppend(f *testing.F) {
	for _, s := range []string{"", "a-b's 1,000.5mg", "é\u0301\xff\xfe\u2028x", "\x00\r\n\f"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		last := 0
		for _, k := range token.Append(nil, text) {
			if int(k.Begin) < last || k.End <= k.Begin || int(k.End) > len(text) {
				t.Fatalf("token [%d,%d) after %d of %d bytes", k.Begin, k.End, last, len(text))
			}
			if utf8.Valid(text) && !utf8.Valid(text[k.Begin:k.End]) {
				t.Fatalf("token [%d,%d) cuts a character", k.Begin, k.End)
			}
			last = int(k.End)
		}
	})
}
