package remote_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp/remote"
)

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
