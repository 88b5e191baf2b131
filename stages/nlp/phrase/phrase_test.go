package phrase_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/stages/nlp/phrase"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

func wordsOf(s string) []uint64 { return phrase.Words(nil, token.Append(nil, []byte(s))) }

func setOf(texts ...string) *phrase.Set {
	var list []phrase.Phrase
	for i, s := range texts {
		list = append(list, phrase.Phrase{Words: wordsOf(s), Value: uint32(i + 1)})
	}
	return phrase.Build(list, nil)
}

func TestLongest(t *testing.T) {
	s := setOf("heart failure", "heart", "congestive heart failure with edema", "G6PD", "beta blocker", "Crohn's disease")
	for _, c := range []struct {
		name, text string
		value      uint32
		n          int
	}{
		{"the longer one", "heart failure today", 1, 2},
		{"the shorter one when the rest differs", "heart attack", 2, 1},
		{"no prefix of a phrase", "congestive heart failure with rales", 0, 0},
		{"over a hyphen", "beta-blockers", 5, 3},
		{"with and without possessive", "Crohn disease", 6, 2},
		{"with possessive", "Crohn's disease", 6, 4},
		{"over a line end", "heart\nfailure", 1, 2},
		{"not over an empty line", "heart\n\nfailure", 2, 1},
		{"letters and digits", "G6PD deficiency", 4, 3},
		{"not before something glued", "heart5", 0, 0},
		{"unknown word", "liver", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, n := s.Longest(token.Append(nil, []byte(c.text)))
			if v != c.value || n != c.n {
				t.Errorf("value %d, %d tokens; want %d, %d", v, n, c.value, c.n)
			}
		})
	}
}

// TestLongestAgainstMap compares with a map of all phrases, asked for each length.
func TestLongestAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := func(most int) string {
		var w []string
		for range 1 + r.IntN(most) {
			w = append(w, fmt.Sprintf("w%c", 'a'+r.IntN(12)))
		}
		return strings.Join(w, " ")
	}
	m := map[string]uint32{}
	var list []phrase.Phrase
	for i := range 3000 {
		s := words(5)
		if m[s] == 0 {
			m[s] = uint32(i + 1)
		}
		list = append(list, phrase.Phrase{Words: wordsOf(s), Value: uint32(i + 1)})
	}
	set := phrase.Build(list, nil)
	for range 5000 {
		s := words(8)
		f := strings.Fields(s)
		var want uint32
		length := 0
		for n := 1; n <= len(f); n++ {
			if v := m[strings.Join(f[:n], " ")]; v != 0 {
				want, length = v, n
			}
		}
		if v, n := set.Longest(token.Append(nil, []byte(s))); v != want || n != length {
			t.Fatalf("%q: value %d, %d tokens; want %d, %d", s, v, n, want, length)
		}
	}
}

func TestAlias(t *testing.T) {
	from, _ := token.HashOf("tumour")
	to, _ := token.HashOf("tumor")
	s := phrase.Build([]phrase.Phrase{{Words: wordsOf("brain tumor"), Value: 7}}, map[uint64]uint64{from: to})
	if v, n := s.Longest(token.Append(nil, []byte("brain tumours"))); v != 7 || n != 2 {
		t.Errorf("value %d, %d tokens; want 7, 2", v, n)
	}
}
