package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// parameter is a search parameter as one base type has it.
type parameter struct {
	*searchParameter
	base       string
	expression string
}

// emitSearch writes the search parameters, grouped by base type in the order of
// the TypeIDs and sorted by code, and the compartments.
func emitSearch(m *model, d *definitions) (*file, error) {
	list, err := m.parameters(d)
	if err != nil {
		return nil, err
	}
	f := &file{}
	f.p("var searchParameters = [...]SearchParameter{")
	first, count := make([]int, len(m.types)), make([]int, len(m.types))
	for i, p := range list {
		id := m.byName[p.base].id
		if count[id] == 0 {
			first[id] = i
		}
		count[id]++
		text, err := m.parameterLiteral(d, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.URL, err)
		}
		f.p("%s", text)
	}
	f.p("}\n\n// searchRanges holds the first parameter of each type and their number.")
	f.p("var searchRanges = [...][2]uint16{")
	for i := range m.types {
		if count[i] > 0 {
			f.p("%d: {%d, %d},", i, first[i], count[i])
		}
	}
	f.p("%d: {},\n}\n", len(m.types)-1)
	return f, emitCompartments(f, m, d)
}

func (m *model) parameters(d *definitions) ([]parameter, error) {
	var list []parameter
	for _, url := range slices.Sorted(maps.Keys(d.parameters)) {
		p := d.parameters[url]
		if len(p.Base) == 0 {
			return nil, fmt.Errorf("%s has no base", url)
		}
		if len(p.Modifier) > 0 || p.MultipleAnd != nil {
			return nil, fmt.Errorf("%s has modifiers or multipleAnd, for which the tables have no column", url)
		}
		for _, base := range p.Base {
			if t := m.byName[base]; t == nil || t.kind != "KindResource" {
				return nil, fmt.Errorf("%s: base %s is no resource type", url, base)
			}
			x, err := restrict(p.Expression, base)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", url, err)
			}
			list = append(list, parameter{p, base, x})
		}
	}
	slices.SortFunc(list, func(a, b parameter) int {
		return cmp.Or(cmp.Compare(m.byName[a.base].id, m.byName[b.base].id), cmp.Compare(a.Code, b.Code))
	})
	for i, p := range list[1:] {
		if q := list[i]; q.base == p.base && q.Code == p.Code {
			return nil, fmt.Errorf("%s and %s share base and code", q.URL, p.URL)
		}
	}
	return list, nil
}

// head matches the type that a term of a search expression starts from.
var head = regexp.MustCompile(`^\(*([A-Z][A-Za-z]*)`)

// restrict keeps those terms of the union that start from the base type: the
// definitions write one expression for all base types of a parameter. A term
// that names no type is relative to the resource (InsurancePlan-name has one).
func restrict(expression, base string) (string, error) {
	if expression == "" {
		return "", nil
	}
	var kept []string
	for _, term := range splitUnion(expression) {
		found := head.FindStringSubmatch(term)
		if found == nil || found[1] == base {
			kept = append(kept, term)
		}
	}
	if len(kept) == 0 {
		return "", fmt.Errorf("no term of %q is for %s", expression, base)
	}
	return strings.Join(kept, " | "), nil
}

// splitUnion splits at the operators | outside parentheses and strings.
func splitUnion(expression string) []string {
	var terms []string
	depth, start, quoted := 0, 0, false
	for i, c := range expression {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			terms = append(terms, strings.TrimSpace(expression[start:i]))
			start = i + 1
		}
	}
	return append(terms, strings.TrimSpace(expression[start:]))
}

var searchTypes = map[string]string{
	"number": "SearchNumber", "date": "SearchDate", "string": "SearchString", "token": "SearchToken",
	"reference": "SearchReference", "composite": "SearchComposite", "quantity": "SearchQuantity",
	"uri": "SearchURI", "special": "SearchSpecial",
}

func (m *model) parameterLiteral(d *definitions, p parameter) (string, error) {
	if searchTypes[p.Type] == "" {
		return "", fmt.Errorf("type %q", p.Type)
	}
	l := &fields{}
	l.text("Code", p.Code)
	l.text("URL", p.URL)
	l.add("Base", true, "%s", constant(p.base))
	l.add("Type", true, "%s", searchTypes[p.Type])
	l.text("Expression", p.expression)
	targets := slices.Sorted(slices.Values(p.Target))
	for _, t := range targets {
		if m.byName[t] == nil {
			return "", fmt.Errorf("target %s is no type", t)
		}
	}
	// A reference to any resource is written out as all types but Parameters.
	if !slices.Contains(targets, "Resource") && len(targets) < 145 {
		l.list("Targets", "TypeID", constants(targets))
	}
	var components []string
	for _, c := range p.Component {
		q := d.parameters[c.Definition]
		if q == nil || searchTypes[q.Type] == "" {
			return "", fmt.Errorf("component %s is not defined", c.Definition)
		}
		components = append(components, fmt.Sprintf("{%q, %q, %s, %q}", q.Code, q.URL, searchTypes[q.Type], c.Expression))
	}
	l.list("Components", "SearchComponent", components)
	l.list("Comparators", "string", quoted(p.Comparator))
	l.flag("SingleValue", p.MultipleOr != nil && !*p.MultipleOr)
	if p.XPathUsage != "normal" {
		l.text("Usage", p.XPathUsage)
	}
	return l.String(), nil
}

// emitCompartments writes the compartments and, for each, the resource types
// that can be in it.
func emitCompartments(f *file, m *model, d *definitions) error {
	f.p("var compartments = [...]CompartmentDefinition{")
	for _, code := range slices.Sorted(maps.Keys(d.compartments)) {
		c := d.compartments[code]
		f.p("{Code: %q, URL: %q, Type: %s, Members: []CompartmentMember{", code, c.URL, constant(code))
		members := slices.Clone(c.Resource)
		slices.SortFunc(members, func(a, b compartmentMember) int { return cmp.Compare(a.Code, b.Code) })
		for _, r := range members {
			if m.byName[r.Code] == nil {
				return fmt.Errorf("compartment %s: %s is no type", code, r.Code)
			}
			if len(r.Param) > 0 {
				f.p("{%s, []string{%s}},", constant(r.Code), strings.Join(quoted(r.Param), ", "))
			}
		}
		f.p("}},")
	}
	f.p("}")
	return nil
}
