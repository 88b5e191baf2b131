package profile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// Membership is what can be said of a code and a value set.
type Membership uint8

// The answers. Unknown is given where a code system is not at hand, so that it
// never makes a false alarm.
const (
	NotIn Membership = iota
	In
	Unknown
)

// ValueSet answers whether codes are in a value set. It is immutable and safe for
// concurrent use; the answers do not allocate.
type ValueSet struct {
	URL     string
	include []*rule
	exclude []*rule
	base    *r4.CodeSet // of a value set of base R4

	expansion map[string]map[string]struct{} // by system
	whole     bool                           // the expansion has all codes
	composed  bool                           // include and exclude say what is in it
	compiling bool
	err       error
}

// rule is a Component of a value set, compiled.
type rule struct {
	system string
	codes  map[string]struct{} // nil when which codes there are is not known here
	fold   bool                // codes are in lower case, case does not matter
	valid  func(code []byte) bool
	any    bool // names no codes and no system: what the sets say is all
	whole  bool // all codes of the system, whichever these are
	// written are the codes as they are written; nil when which there are is not known.
	written []string
	sets    []*ValueSet
}

// maxRules bounds how many rules one answer looks at: value sets that import one
// another twice each would take 2^n.
const maxRules = 10_000

// Contains answers for a code of a system.
func (s *ValueSet) Contains(system, code []byte) Membership {
	if s.base != nil {
		return in(s.base.ContainsCoding(system, code))
	}
	budget := maxRules
	return s.contains(system, code, true, &budget)
}

// ContainsCode answers for a code whose system is not told, as those of elements
// of type code are.
func (s *ValueSet) ContainsCode(code []byte) Membership {
	if s.base != nil {
		return in(s.base.Contains(code))
	}
	budget := maxRules
	return s.contains(nil, code, false, &budget)
}

func in(b bool) Membership {
	if b {
		return In
	}
	return NotIn
}

func (s *ValueSet) contains(system, code []byte, bySystem bool, budget *int) Membership {
	if s.base != nil {
		if bySystem {
			return in(s.base.ContainsCoding(system, code))
		}
		return in(s.base.Contains(code))
	}
	m := Unknown
	if s.composed {
		m = anyOf(s.include, system, code, bySystem, budget)
		if m != NotIn {
			switch anyOf(s.exclude, system, code, bySystem, budget) {
			case In:
				m = NotIn
			case Unknown:
				m = Unknown
			}
		}
	}
	if m == Unknown && s.expansion != nil {
		switch {
		case s.expanded(system, code, bySystem):
			return In
		case s.whole:
			return NotIn
		}
	}
	return m
}

func anyOf(rules []*rule, system, code []byte, bySystem bool, budget *int) Membership {
	out := NotIn
	for _, r := range rules {
		if *budget--; *budget < 0 {
			return Unknown
		}
		switch r.contains(system, code, bySystem, budget) {
		case In:
			return In
		case Unknown:
			out = Unknown
		}
	}
	return out
}

func (r *rule) contains(system, code []byte, bySystem bool, budget *int) Membership {
	m := In
	if !r.any {
		if bySystem && string(system) != r.system {
			return NotIn
		}
		m = r.code(code)
	}
	for _, s := range r.sets {
		if m == NotIn {
			return NotIn
		}
		if *budget--; *budget < 0 {
			return Unknown
		}
		switch s.contains(system, code, bySystem, budget) {
		case NotIn:
			return NotIn
		case Unknown:
			m = Unknown
		}
	}
	return m
}

func (r *rule) code(code []byte) Membership {
	switch {
	case r.valid != nil:
		return in(r.valid(code))
	case r.codes == nil:
		return Unknown
	case r.fold:
		_, ok := r.codes[string(bytes.ToLower(code))]
		return in(ok)
	}
	_, ok := r.codes[string(code)]
	return in(ok)
}

func (s *ValueSet) expanded(system, code []byte, bySystem bool) bool {
	if bySystem {
		_, ok := s.expansion[string(system)][string(code)]
		return ok
	}
	for _, codes := range s.expansion {
		if _, ok := codes[string(code)]; ok {
			return true
		}
	}
	return false
}

// ValueSet finds the value set with the canonical URL, among the definitions
// added and among those of base R4. It gives nil when it is not known, and when
// its definition is at fault ([Registry.Check] tells).
func (r *Registry) ValueSet(canonical string) *ValueSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.valueSet(canonical)
	if s == nil || s.err != nil {
		return nil
	}
	return s
}

func (r *Registry) valueSet(canonical string) *ValueSet {
	if e := r.find(canonical, "ValueSet"); e != nil {
		return r.compileSet(e)
	}
	if r.over {
		below := r.core()
		below.mu.Lock()
		defer below.mu.Unlock()
		return below.valueSet(canonical)
	}
	url, _, _ := strings.Cut(canonical, "|")
	if i := baseSets()[url]; i != 0 {
		return &ValueSet{URL: url, base: r4.CodeSetAt(i)}
	}
	if r.core == nil {
		return nil
	}
	return r.core().ValueSet(canonical)
}

// baseSets finds the code sets of base R4 by URL.
var baseSets = sync.OnceValue(func() map[string]uint16 {
	m := make(map[string]uint16, r4.NumCodeSets())
	for i := 1; i < r4.NumCodeSets(); i++ {
		m[r4.CodeSetAt(uint16(i)).URL] = uint16(i)
	}
	return m
})

func (r *Registry) compileSet(e *entry) *ValueSet {
	if e.set != nil {
		if e.set.compiling && e.set.err == nil {
			e.set.err = &DefinitionError{Resource: e.res, Reason: "the value set imports itself"}
		}
		return e.set
	}
	def := e.valueSet
	s := &ValueSet{URL: def.URL, compiling: true}
	e.set = s
	if def.Compose != nil {
		s.composed = true
		s.include = r.rules(e, s, def.Compose.Include)
		s.exclude = r.rules(e, s, def.Compose.Exclude)
	}
	if x := def.Expansion; x != nil {
		n := 0
		s.expansion = map[string]map[string]struct{}{}
		s.expand(x.Contains, &n)
		s.whole = (x.Total == nil || *x.Total == n) &&
			!slices.ContainsFunc(x.Parameter, func(p struct{ Name string }) bool { return strings.HasPrefix(p.Name, "limited") })
	}
	s.compiling = false
	return s
}

func (s *ValueSet) expand(list []Contained, n *int) {
	for _, c := range list {
		if c.Code != "" {
			*n++
		}
		if c.Code != "" && !c.Abstract {
			if s.expansion[c.System] == nil {
				s.expansion[c.System] = map[string]struct{}{}
			}
			s.expansion[c.System][c.Code] = struct{}{}
		}
		s.expand(c.Contains, n)
	}
}

func (r *Registry) rules(e *entry, s *ValueSet, list []Component) []*rule {
	var out []*rule
	for i := range list {
		compiled, err := r.rule(&list[i])
		if err != nil && s.err == nil {
			s.err = &DefinitionError{Resource: e.res, Element: fmt.Sprintf("ValueSet.compose part %d", i), Reason: err.Error()}
		}
		out = append(out, compiled)
	}
	return out
}

func (r *Registry) rule(c *Component) (*rule, error) {
	out := &rule{system: c.System, any: c.System == "" && len(c.Concept) == 0 && len(c.Filter) == 0}
	for _, url := range c.ValueSet {
		s := r.valueSet(url)
		if s == nil {
			s = &ValueSet{URL: url} // not known: what is in it cannot be told
		}
		if s.compiling {
			return out, fmt.Errorf("it imports %s, which imports it", fhir.Cut(url))
		}
		out.sets = append(out.sets, s)
	}
	if out.any {
		return out, nil
	}
	out.whole = len(c.Concept) == 0 && len(c.Filter) == 0
	system := r.codeSystem(c.System)
	out.fold = system != nil && system.fold
	switch {
	case len(c.Concept) > 0:
		out.codes = make(map[string]struct{}, len(c.Concept))
		for _, k := range c.Concept {
			out.written = append(out.written, k.Code)
			out.codes[out.folded(k.Code)] = struct{}{}
		}
	case system != nil && system.complete:
		codes, err := system.selectCodes(c.Filter)
		if err != nil {
			return out, err
		}
		if out.written = codes; codes != nil {
			out.codes = make(map[string]struct{}, len(codes))
			for _, k := range codes {
				out.codes[out.folded(k)] = struct{}{}
			}
		}
	case len(c.Filter) == 0:
		out.valid = wholeSystems[c.System]
	}
	return out, nil
}

// codeSystem finds a code system by its URL, or nil.
func (r *Registry) codeSystem(url string) *codeSystem {
	if e := r.find(url, "CodeSystem"); e != nil {
		if e.system == nil {
			e.system = newCodeSystem(e.codeSystem)
		}
		return e.system
	}
	if r.core == nil {
		return nil
	}
	b := r.core()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.codeSystem(url)
}

func (r *rule) folded(code string) string {
	if r.fold {
		return strings.ToLower(code)
	}
	return code
}

// wholeSystems are the code systems whose codes are known by their grammar.
var wholeSystems = map[string]func(code []byte) bool{
	"http://unitsofmeasure.org": ucum.Valid,
}
