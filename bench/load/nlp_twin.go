package load

import (
	"unicode"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// phraseMap is a plain reader to compare the engine with: a map of phrases in lower case, of
// which the longest is looked for at each word. It knows no context, no attributes and no codes.
type phraseMap struct {
	phrases map[string]struct{}
	longest map[string]int // words of the longest phrase, by its first word

	text  []byte // words with a space after each
	ends  []int
	begin []int
}

func newPhraseMap(terms []terminology.Term) *phraseMap {
	m := &phraseMap{phrases: map[string]struct{}{}, longest: map[string]int{}}
	for i := range terms {
		m.words([]byte(terms[i].Text))
		n := len(m.ends)
		if n == 0 {
			continue
		}
		m.phrases[string(m.text[:m.ends[n-1]])] = struct{}{}
		first := string(m.text[:m.ends[0]])
		m.longest[first] = max(m.longest[first], n)
	}
	return m
}

// words takes the words of a text.
func (m *phraseMap) words(text []byte) {
	m.text, m.begin, m.ends = m.text[:0], m.begin[:0], m.ends[:0]
	inside := false
	end := func() {
		if inside {
			m.ends = append(m.ends, len(m.text))
			m.text = append(m.text, ' ')
			inside = false
		}
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			end()
			continue
		}
		if !inside {
			m.begin, inside = append(m.begin, len(m.text)), true
		}
		m.text = utf8.AppendRune(m.text, unicode.ToLower(r))
	}
	end()
}

// count counts the phrases of a text, the longest at each place.
func (m *phraseMap) count(text []byte) int {
	m.words(text)
	found := 0
	for i := 0; i < len(m.begin); {
		step := 1
		for n := min(m.longest[string(m.text[m.begin[i]:m.ends[i]])], len(m.begin)-i); n > 0; n-- {
			if _, ok := m.phrases[string(m.text[m.begin[i]:m.ends[i+n-1]])]; ok {
				found, step = found+1, n
				break
			}
		}
		i += step
	}
	return found
}
