package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxExtensible is the largest expansion that is kept for an extensible
// binding: a code outside it is no fault, so large tables would not pay.
const maxExtensible = 256

// errNotExpandable says that a value set needs terminology that is not in the
// package: a code system that is absent or incomplete, or an unknown filter.
var errNotExpandable = errors.New("not expandable")

type coding struct{ system, code string }

type codeSet struct {
	url, name string
	codings   []coding
}

// addCodeSets expands the value sets of required bindings, and small ones of
// extensible bindings, and refers the elements to them.
func addCodeSets(m *model, d *definitions) error {
	m.codeSets = []codeSet{{}}
	m.codeSetOf = map[string]int{}
	required := map[string]bool{}
	for _, e := range m.elements {
		required[e.valueSet] = required[e.valueSet] || e.strength == "required"
	}
	for _, e := range m.elements {
		if e.valueSet == "" || e.strength != "required" && e.strength != "extensible" {
			continue
		}
		i, known := m.codeSetOf[e.valueSet]
		if !known {
			codings, err := d.expand(e.valueSet)
			if err != nil && !errors.Is(err, errNotExpandable) {
				return err
			}
			if err == nil && (required[e.valueSet] || len(codings) <= maxExtensible) {
				i = len(m.codeSets)
				m.codeSets = append(m.codeSets, codeSet{e.valueSet, d.valueSets[e.valueSet].Name, codings})
			}
			m.codeSetOf[e.valueSet] = i
		}
		e.codeSet = i
	}
	return nil
}

// expand returns the codings of a value set, sorted by code and then system.
func (d *definitions) expand(url string) ([]coding, error) {
	url, _, _ = strings.Cut(url, "|")
	v := d.valueSets[url]
	if v == nil || len(v.Compose.Include) == 0 {
		return nil, fmt.Errorf("value set %s: %w", url, errNotExpandable)
	}
	set := map[coding]bool{}
	for i := range v.Compose.Include {
		part, err := d.include(&v.Compose.Include[i])
		if err != nil {
			return nil, fmt.Errorf("value set %s: %w", url, err)
		}
		for _, c := range part {
			set[c] = true
		}
	}
	for i := range v.Compose.Exclude {
		part, err := d.include(&v.Compose.Exclude[i])
		if err != nil {
			return nil, fmt.Errorf("value set %s: %w", url, err)
		}
		for _, c := range part {
			delete(set, c)
		}
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("value set %s is empty: %w", url, errNotExpandable)
	}
	list := make([]coding, 0, len(set))
	for c := range set {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b coding) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.system, b.system))
	})
	return list, nil
}

// include evaluates one compose.include or exclude: what its system part gives,
// cut with each of its value sets (ValueSet.compose.include).
func (d *definitions) include(inc *valueSetInclude) ([]coding, error) {
	var parts [][]coding
	if inc.System != "" {
		part, err := d.fromSystem(inc)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	for _, url := range inc.ValueSet {
		part, err := d.expand(url)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("empty include: %w", errNotExpandable)
	}
	result := parts[0]
	for _, other := range parts[1:] {
		result = slices.DeleteFunc(result, func(c coding) bool { return !slices.Contains(other, c) })
	}
	return result, nil
}

func (d *definitions) fromSystem(inc *valueSetInclude) ([]coding, error) {
	var list []coding
	if len(inc.Concept) > 0 {
		for _, c := range inc.Concept {
			list = append(list, coding{inc.System, c.Code})
		}
		return list, nil
	}
	cs := d.codeSystems[inc.System]
	if cs == nil || cs.Content != "complete" || len(cs.Concept) == 0 {
		return nil, fmt.Errorf("code system %s: %w", inc.System, errNotExpandable)
	}
	var codes []string
	parents := map[string][]string{}
	walk(cs.Concept, "", &codes, parents)
	for _, code := range codes {
		keep := true
		for _, f := range inc.Filter {
			if f.Property != "concept" {
				return nil, fmt.Errorf("filter on %s: %w", f.Property, errNotExpandable)
			}
			switch f.Op {
			case "is-a":
				keep = keep && isA(code, f.Value, parents)
			case "is-not-a":
				keep = keep && !isA(code, f.Value, parents)
			case "descendent-of":
				keep = keep && code != f.Value && isA(code, f.Value, parents)
			default:
				return nil, fmt.Errorf("filter %s: %w", f.Op, errNotExpandable)
			}
		}
		if keep {
			list = append(list, coding{inc.System, code})
		}
	}
	return list, nil
}

// walk lists all codes and their parents, by nesting and by the property
// subsumedBy, which the v3 code systems use for further parents.
func walk(concepts []concept, parent string, codes *[]string, parents map[string][]string) {
	for i := range concepts {
		c := &concepts[i]
		*codes = append(*codes, c.Code)
		if parent != "" {
			parents[c.Code] = append(parents[c.Code], parent)
		}
		for _, p := range c.Property {
			if p.Code == "subsumedBy" {
				parents[c.Code] = append(parents[c.Code], p.ValueCode)
			}
		}
		walk(c.Concept, c.Code, codes, parents)
	}
}

func isA(code, ancestor string, parents map[string][]string) bool {
	if code == ancestor {
		return true
	}
	return slices.ContainsFunc(parents[code], func(p string) bool { return isA(p, ancestor, parents) })
}

// emitCodeSets writes the code sets, each with an open-addressing table of its
// codes. Equal codes of different systems stand in one chain of slots.
func emitCodeSets(m *model) (*file, error) {
	f := &file{}
	f.p("var codeSets = [...]CodeSet{\n{slots: []uint16{0, 0}, shift: 63},")
	for _, s := range m.codeSets[1:] {
		var keys []string
		for _, c := range s.codings {
			keys = append(keys, c.code)
		}
		multiplier, shift, slots := probe(keys)
		f.p("{URL: %q, Name: %q, multiplier: %#x, shift: %d,\nCodings: []Coding{", s.url, s.name, multiplier, shift)
		for _, c := range s.codings {
			f.p("{%q, %q},", c.system, c.code)
		}
		f.p("},\nslots: []uint16{")
		f.numbers(slots)
		f.p("}},")
	}
	f.p("}")
	return f, nil
}
