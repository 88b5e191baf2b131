package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
)

// codeSystem is a CodeSystem whose concepts are at hand.
type codeSystem struct {
	complete bool
	fold     bool // case does not matter
	concepts []concept
	index    map[string]int
}

type concept struct {
	code     string
	parents  []int
	children []int
	props    []ConceptProperty
}

func newCodeSystem(def *codeSystemDefinition) *codeSystem {
	s := &codeSystem{
		complete: def.Content == "complete",
		fold:     def.CaseSensitive != nil && !*def.CaseSensitive,
		index:    map[string]int{},
	}
	s.add(def.Concept, -1)
	for i := range s.concepts {
		for _, p := range s.concepts[i].props {
			j, ok := s.index[p.text()]
			switch {
			case !ok:
			case p.Code == "parent" || p.Code == "subsumedBy":
				s.link(j, i)
			case p.Code == "child":
				s.link(i, j)
			}
		}
	}
	return s
}

func (s *codeSystem) add(list []Concept, parent int) {
	for _, c := range list {
		i, ok := s.index[c.Code]
		if !ok {
			i = len(s.concepts)
			s.index[c.Code] = i
			s.concepts = append(s.concepts, concept{code: c.Code, props: c.Property})
		}
		if parent >= 0 {
			s.link(parent, i)
		}
		s.add(c.Concept, i)
	}
}

func (s *codeSystem) link(parent, child int) {
	s.concepts[parent].children = append(s.concepts[parent].children, child)
	s.concepts[child].parents = append(s.concepts[child].parents, parent)
}

// selectCodes gives the codes that all filters select (FHIR R4, 4.9.7); all of
// them without filters, and nil when a filter is one that cannot be told here.
func (s *codeSystem) selectCodes(filters []Filter) ([]string, error) {
	keep := make([]bool, len(s.concepts))
	for i := range keep {
		keep[i] = true
	}
	for _, f := range filters {
		match, err := s.filter(f)
		if match == nil || err != nil {
			return nil, err
		}
		for i := range keep {
			keep[i] = keep[i] && match(i)
		}
	}
	codes := []string{}
	for i, ok := range keep {
		if ok {
			codes = append(codes, s.concepts[i].code)
		}
	}
	return codes, nil
}

// filter gives the test of a filter on a concept, or nil when the code system
// does not say enough.
func (s *codeSystem) filter(f Filter) (func(i int) bool, error) {
	byCode := f.Property == "concept" || f.Property == "code"
	switch f.Op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		at, ok := s.index[f.Value]
		if !ok {
			return nil, nil
		}
		next := func(c *concept) []int { return c.children }
		if f.Op == "generalizes" {
			next = func(c *concept) []int { return c.parents }
		}
		below := s.reach(at, next)
		self, want := f.Op != "descendent-of", f.Op != "is-not-a"
		below[at] = self
		return func(i int) bool { return below[i] == want }, nil
	case "in", "not-in":
		values := strings.Split(f.Value, ",")
		return func(i int) bool {
			return s.has(i, f.Property, byCode, func(v string) bool { return slices.Contains(values, v) }) == (f.Op == "in")
		}, nil
	case "=":
		if f.Property == "parent" {
			at, ok := s.index[f.Value]
			return func(i int) bool { return ok && slices.Contains(s.concepts[i].parents, at) }, nil
		}
		return func(i int) bool {
			return s.has(i, f.Property, byCode, func(v string) bool { return v == f.Value })
		}, nil
	case "exists":
		return func(i int) bool {
			return s.has(i, f.Property, byCode, func(string) bool { return true }) == (f.Value == "true")
		}, nil
	case "regex":
		// Go's regular expressions take time linear in the text, whatever they are.
		re, err := regexp.Compile(`^(?:` + f.Value + `)$`)
		if err != nil {
			return nil, fmt.Errorf("filter '%s' is no regular expression that is understood: %w", fhir.Cut(f.Value), err)
		}
		return func(i int) bool { return s.has(i, f.Property, byCode, re.MatchString) }, nil
	}
	return nil, nil
}

// has tells whether a property of a concept passes a test.
func (s *codeSystem) has(i int, property string, byCode bool, test func(string) bool) bool {
	c := &s.concepts[i]
	if byCode {
		return test(c.code)
	}
	return slices.ContainsFunc(c.props, func(p ConceptProperty) bool { return p.Code == property && test(p.text()) })
}

// reach marks what can be reached from a concept.
func (s *codeSystem) reach(from int, next func(*concept) []int) []bool {
	seen := make([]bool, len(s.concepts))
	queue := []int{from}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, j := range next(&s.concepts[i]) {
			if !seen[j] {
				seen[j] = true
				queue = append(queue, j)
			}
		}
	}
	return seen
}
