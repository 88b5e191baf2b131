package remote_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/remote"
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
		{"no characters", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 8, []string{"\x80\x80\x80\x80\x80\x80\x80\x80", "\x80\x80"}},
		{"white space alone", "one                             two", 8, []string{"one     ", "two"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, _ := remote.Split([]byte(c.text), c.limit)
			var got []string
			for _, p := range parts {
				got = append(got, string(p))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzSplit checks that parts are short enough, lie where they say, and leave out white space alone.
func FuzzSplit(f *testing.F) {
	for i, s := range []string{"", "No fever. Asthma.\n\nPlan: x", "  \r\n\t ", "ä🤕\xff\xfe.\n", strings.Repeat("a", 100)} {
		f.Add([]byte(s), uint8(i*7))
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		limit := 8 + int(n)
		parts, bases := remote.Split(text, limit)
		at, runes := 0, 0
		skip := func(to int) error { // white space up to a code point
			for runes < to {
				r, size := utf8.DecodeRune(text[at:])
				if size == 0 || len(bytes.TrimSpace(text[at:at+size])) > 0 {
					return fmt.Errorf("%q is left out", r)
				}
				at, runes = at+size, runes+1
			}
			return nil
		}
		for i, p := range parts {
			if len(p) == 0 || len(p) > limit {
				t.Fatalf("a part of %d bytes, limit %d", len(p), limit)
			}
			if err := skip(bases[i]); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text[at:], p) || runes != bases[i] {
				t.Fatalf("part %d is not at %d", i, bases[i])
			}
			at += len(p)
			runes += utf8.RuneCount(p)
		}
		if rest := bytes.TrimSpace(text[at:]); len(rest) > 0 {
			t.Fatalf("%d bytes are left out", len(rest))
		}
	})
}

// FuzzAnswer takes any answer: it is an error, or a list whose texts are at their places.
func FuzzAnswer(f *testing.F) {
	text := "Pat. hat 🤕 Kopfweh und \xff asthma"
	f.Add([]byte(`{"Entities":[{"BeginOffset":12,"EndOffset":19,"Text":"Kopfweh","Score":0.5,"Traits":[{"Name":"SYMPTOM","Score":1}],"Attributes":[{"BeginOffset":0,"EndOffset":4}]}]}`), []byte(text))
	f.Add([]byte(`{"Entities":[{"BeginOffset":24,"EndOffset":25,"Score":1e-300,"ICD10CMConcepts":[{"Code":"\u0000","Score":-0}]}]}`), []byte(text))
	f.Add([]byte(`{"Entities":null}`), []byte(text))
	f.Fuzz(func(t *testing.T, answer, text []byte) {
		list, err := remote.ReadAnswer(answer, text)
		if err == nil {
			entitiesOf(t, string(text), string(list))
		}
	})
}
