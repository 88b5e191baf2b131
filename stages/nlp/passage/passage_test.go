package passage_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/passage"
)

func TestTextsAreCutWhereSentencesEnd(t *testing.T) {
	for _, c := range []struct {
		name, text string
		limit      int
		want       []string
	}{
		{"as long as it may be", "0123456789", 10, []string{"0123456789"}},
		{"after a sentence, though a line ends later", "Some sentence ends. A line\nends here and on", 35, []string{"Some sentence ends. ", "A line\nends here and on"}},
		{"after a paragraph", "A heading that has no stop\n\nOther text", 30, []string{"A heading that has no stop\n\n", "Other text"}},
		{"after a paragraph of another system", "A heading that has no stop\r\n\r\nOther text", 36, []string{"A heading that has no stop\r\n\r\n", "Other text"}},
		{"after a line", "one two three four\nfive six seven", 26, []string{"one two three four\n", "five six seven"}},
		{"not after a decimal point", "it was of 12.5 units", 16, []string{"it was of 12.5 ", "units"}},
		{"after a word", "one two three four", 16, []string{"one two three ", "four"}},
		{"not in the first half", "a. bcdefghijklmnopqrstuvwxyz", 20, []string{"a. bcdefghijklmnopqr", "stuvwxyz"}},
		{"between characters", strings.Repeat("ä", 10), 7, []string{"äää", "äää", "äää", "ä"}},
		{"no characters", strings.Repeat("\x80", 10), 8, []string{strings.Repeat("\x80", 8), "\x80\x80"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for text := []byte(c.text); len(text) > 0; {
				n := passage.Cut(text, c.limit)
				got = append(got, string(text[:n]))
				text = text[n:]
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzCut(f *testing.F) {
	for i, s := range []string{"", "No fever. Asthma.\n\nPlan: x", "  \r\n\t ", "ä🤕\xff\xfe.\n", strings.Repeat("a", 100)} {
		f.Add([]byte(s), uint8(i*7))
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		limit := 4 + int(n)
		valid := passage.Valid(text)
		if !utf8.Valid(valid) || utf8.RuneCount(valid) != utf8.RuneCount(text) {
			t.Fatal("it is not valid, or has another length")
		}
		for len(valid) > 0 {
			n := passage.Cut(valid, limit)
			if n <= 0 || n > limit || !utf8.Valid(valid[:n]) {
				t.Fatalf("a part of %d bytes, limit %d", n, limit)
			}
			valid = valid[n:]
		}
	})
}
