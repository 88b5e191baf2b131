package nlp

import (
	"fmt"
	"sync"

	"github.com/fhirlake/fhirlake/stages/nlp/lexicon"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// coreRules is the number of the rules of coreTerms. It goes up when they give other terms
// of the same lexicon.
const coreRules = 1

// CoreVersion names the terms that [CoreTerms] gives, without making them.
func CoreVersion() string { return fmt.Sprintf("%s-%d", lexicon.Version(), coreRules) }

// CoreTerms are the terms of the lexicon that is part of the binary.
func CoreTerms() []terminology.Term { return coreTerms(lexicon.Terms(), lexicon.Abbreviations()) }

func coreTerms(all []lexicon.Term, abbreviations []lexicon.Abbreviation) []terminology.Term {
	needsMore := map[string]bool{}
	longs := map[string][]string{}
	for _, a := range abbreviations {
		if a.Ambiguous {
			needsMore[a.Short] = true
		} else {
			longs[a.Long] = append(longs[a.Long], a.Short)
		}
	}
	var out []terminology.Term
	for _, t := range all {
		m := coreTerm(t)
		for i, name := range append([]string{t.Preferred}, t.Synonyms...) {
			m.Text, m.Rank = name, min(uint8(i), 1)
			out = append(out, m)
			for _, short := range longs[name] {
				s := m
				s.Text, s.Rank, s.Exact = short, 2, true
				out = append(out, s)
			}
		}
		for _, short := range t.Abbreviations {
			if !needsMore[short] {
				m.Text, m.Rank, m.Exact = short, 2, true
				out = append(out, m)
			}
		}
	}
	return out
}

func coreTerm(t lexicon.Term) terminology.Term {
	m := terminology.Term{Code: t.Code, Preferred: t.Title, Reviewed: true}
	m.System, _ = terminology.ParseSystem(t.System)
	m.Category, _ = terminology.ParseCategory(t.Category)
	m.Type, _ = terminology.ParseType(t.Type)
	m.Kind, _ = terminology.ParseKind(t.Kind)
	return m
}

// CoreIndex is the dictionary of the lexicon alone. It is compiled once.
var CoreIndex = sync.OnceValue(func() *terminology.Index { return terminology.Compile(CoreTerms()) })
