package profile

import (
	"fmt"
	"maps"

	"github.com/fhirlake/fhirlake/fhir"
)

// Codes are the codes of one system that a value set has: those in Codes or, with Whole,
// all but those.
type Codes struct {
	Whole bool
	Codes map[string]struct{}
}

// CodeSet is what a value set has: its codes by system, as they are written in the definitions.
// The caller must not change it.
type CodeSet map[string]Codes

// MaxCodes bounds the codes of a value set that is expanded.
const MaxCodes = 100_000

// Codes expands the value set with a canonical URL (FHIR R4, 4.9.8 and ValueSet $expand):
// compose when all of it can be told here, else an expansion that is whole. The error is
// [ErrUnknown], or says what is not known here.
func (r *Registry) Codes(canonical string) (CodeSet, error) {
	r.mu.Lock()
	s := r.valueSet(canonical)
	r.mu.Unlock()
	if s == nil {
		return nil, ErrUnknown
	}
	budget := maxRules
	set, err := s.codes(&budget)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, c := range set {
		n += len(c.Codes)
	}
	if n > MaxCodes {
		return nil, fmt.Errorf("it has more than %d codes", MaxCodes)
	}
	return set, nil
}

func (s *ValueSet) codes(budget *int) (CodeSet, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case s.base != nil:
		set := CodeSet{}
		for _, c := range s.base.Codings {
			set.add(c.System, c.Code)
		}
		return set, nil
	case !s.composed && s.expansion == nil:
		return nil, fmt.Errorf("value set %s is not known here, or has no content", fhir.Cut(s.URL))
	}
	var err error
	if s.composed {
		var set, without CodeSet
		if set, err = union(s.include, budget); err == nil {
			without, err = union(s.exclude, budget)
		}
		if err == nil {
			for system, c := range without {
				if have, ok := set[system]; ok {
					set[system] = have.and(Codes{!c.Whole, c.Codes})
				}
			}
			return set, nil
		}
	}
	if s.expansion != nil && s.whole {
		set := CodeSet{}
		for system, codes := range s.expansion {
			set[system] = Codes{Codes: codes}
		}
		return set, nil
	}
	if err == nil {
		err = fmt.Errorf("value set %s has an expansion that is not whole", fhir.Cut(s.URL))
	}
	return nil, err
}

func union(rules []*rule, budget *int) (CodeSet, error) {
	all := CodeSet{}
	for _, r := range rules {
		set, err := r.expanded(budget)
		if err != nil {
			return nil, err
		}
		for system, c := range set {
			if have, ok := all[system]; ok {
				c = have.or(c)
			}
			all[system] = c
		}
	}
	return all, nil
}

// expanded gives the codes of a rule: of its system, cut with each of its value sets.
func (r *rule) expanded(budget *int) (CodeSet, error) {
	if *budget--; *budget < 0 {
		return nil, fmt.Errorf("it imports more than %d parts of value sets", maxRules)
	}
	var set CodeSet
	if !r.any {
		switch {
		case r.written != nil:
			c := Codes{Codes: make(map[string]struct{}, len(r.written))}
			for _, code := range r.written {
				c.Codes[code] = struct{}{}
			}
			set = CodeSet{r.system: c}
		case r.whole: // whatever codes it has
			set = CodeSet{r.system: Codes{Whole: true}}
		default:
			return nil, fmt.Errorf("code system %s is not known here in a way that tells which codes a filter selects", fhir.Cut(r.system))
		}
	}
	for i, s := range r.sets {
		other, err := s.codes(budget)
		if err != nil {
			return nil, err
		}
		if set == nil && i == 0 {
			set = other
			continue
		}
		both := CodeSet{}
		for system, c := range set {
			if o, ok := other[system]; ok {
				both[system] = c.and(o)
			}
		}
		set = both
	}
	return set, nil
}

func (s CodeSet) add(system, code string) {
	c, ok := s[system]
	if !ok {
		c.Codes = map[string]struct{}{}
		s[system] = c
	}
	c.Codes[code] = struct{}{}
}

// and gives the codes of both, or those of either. Neither changes.
func (c Codes) and(d Codes) Codes {
	switch {
	case c.Whole && d.Whole:
		return Codes{true, merged(c.Codes, d.Codes)}
	case c.Whole:
		c, d = d, c
	}
	return Codes{false, filtered(c.Codes, func(code string) bool {
		_, ok := d.Codes[code]
		return ok != d.Whole
	})}
}

func (c Codes) or(d Codes) Codes {
	not := Codes{!c.Whole, c.Codes}.and(Codes{!d.Whole, d.Codes})
	return Codes{!not.Whole, not.Codes}
}

func merged(a, b map[string]struct{}) map[string]struct{} {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]struct{}{}
	}
	maps.Copy(all, b)
	return all
}

func filtered(a map[string]struct{}, keep func(string) bool) map[string]struct{} {
	some := map[string]struct{}{}
	for code := range a {
		if keep(code) {
			some[code] = struct{}{}
		}
	}
	return some
}

// Related gives the codes that a code of a system subsumes, or with above those that
// subsume it, itself among them (FHIR R4, 4.8.8). The error says that the system is not
// known here, or not as a whole, or does not have the code.
func (r *Registry) Related(system, code string, above bool) ([]string, error) {
	r.mu.Lock()
	s := r.codeSystem(system)
	r.mu.Unlock()
	if s == nil || !s.complete {
		return nil, fmt.Errorf("code system %s is not known here with all of its codes", fhir.Cut(system))
	}
	at, ok := s.index[code]
	if !ok {
		return nil, fmt.Errorf("code system %s has no code '%s'", fhir.Cut(system), fhir.Cut(code))
	}
	next := func(c *concept) []int { return c.children }
	if above {
		next = func(c *concept) []int { return c.parents }
	}
	reached := s.reach(at, next)
	reached[at] = true
	var codes []string
	for i, ok := range reached {
		if ok {
			codes = append(codes, s.concepts[i].code)
		}
	}
	return codes, nil
}

// Over makes a registry whose definitions come before those of r, which it falls back to.
func (r *Registry) Over() *Registry {
	over := newRegistry()
	over.over, over.core = true, func() *Registry { return r }
	return over
}

// Parts gives the canonical URLs of the value sets and code systems that the compose of a
// ValueSet resource names; none when it cannot be read.
func Parts(res Resource) (valueSets, systems []string) {
	e := &entry{res: res}
	if e.parse() != nil || e.valueSet == nil || e.valueSet.Compose == nil {
		return nil, nil
	}
	for _, list := range [][]Component{e.valueSet.Compose.Include, e.valueSet.Compose.Exclude} {
		for _, c := range list {
			valueSets = append(valueSets, c.ValueSet...)
			if c.System != "" {
				systems = append(systems, c.System)
			}
		}
	}
	return valueSets, systems
}
