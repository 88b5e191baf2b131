package query

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// String shows the tree, a line for each node, for people. Values are in it.
func (q *Query) String() string {
	var b strings.Builder
	for i := 0; i < len(q.Selects); {
		n := i + 1 // types that are asked the same are shown once
		text := q.Selects[i].show()
		for n < len(q.Selects) && q.Selects[n].show() == text {
			n++
		}
		switch {
		case n == i+1:
			fmt.Fprintf(&b, "%s\n", q.Selects[i].Type)
		case n == i+2:
			fmt.Fprintf(&b, "%s, %s\n", q.Selects[i].Type, q.Selects[i+1].Type)
		default:
			fmt.Fprintf(&b, "%s ... %s: %d types\n", q.Selects[i].Type, q.Selects[n-1].Type, n-i)
		}
		b.WriteString(text)
		i = n
	}
	for _, i := range q.Includes {
		fmt.Fprintf(&b, "%s\n", i)
	}
	if q.Count != NoCount {
		fmt.Fprintf(&b, "count %d\n", q.Count)
	}
	for _, x := range [...]struct {
		name  string
		value uint8
		names []string
	}{
		{"total", uint8(q.Total), []string{"", "none", "estimate", "accurate"}},
		{"summary", uint8(q.Summary), []string{"", "false", "true", "text", "data", "count"}},
		{"contained", uint8(q.Contained), []string{"", "true", "both"}},
	} {
		if x.value != 0 {
			fmt.Fprintf(&b, "%s %s\n", x.name, x.names[x.value])
		}
	}
	if q.AsContained {
		b.WriteString("as contained\n")
	}
	if len(q.Elements) > 0 {
		fmt.Fprintf(&b, "elements %s\n", strings.Join(q.Elements, " "))
	}
	return b.String()
}

func (s *Select) show() string {
	w := shower{}
	w.filters(s.Where, 1)
	for _, k := range s.Sort {
		w.line(1, "sort by %s%s", k.Param.Code, map[bool]string{true: ", descending"}[k.Descending])
	}
	return w.b.String()
}

// Name gives an include as a URL has it, without :iterate.
func (i Include) Name() string {
	name := "_include="
	if i.Reverse {
		name = "_revinclude="
	}
	if i.Source == 0 {
		return name + "*"
	}
	name += i.Source.String() + ":"
	if i.Params == nil {
		return name + "*"
	}
	name += i.Params[0].Code
	if i.Target != 0 {
		name += ":" + i.Target.String()
	}
	return name
}

// String shows an include.
func (i Include) String() string {
	var b strings.Builder
	if b.WriteString("include "); i.Reverse {
		b.WriteString("reverse ")
	}
	if i.Iterate {
		b.WriteString("iterate ")
	}
	if i.Source == 0 {
		b.WriteString("any")
	} else {
		b.WriteString(i.Source.String())
	}
	if len(i.Params) == 0 {
		b.WriteString(":*")
	}
	for _, p := range i.Params {
		b.WriteString(":" + p.Code)
	}
	if i.Target != 0 {
		b.WriteString(" to " + i.Target.String())
	}
	return b.String()
}

// shower shows filters.
type shower struct{ b strings.Builder }

func (w *shower) line(depth int, format string, args ...any) {
	w.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

func (w *shower) filters(list []Filter, depth int) {
	for _, f := range list {
		w.filter(f, depth)
	}
}

var facetNames = map[search.Facet]string{search.FacetText: " text", search.FacetOfType: " of type", search.FacetIdentifier: " identifier"}

func (w *shower) filter(f Filter, depth int) {
	switch f := f.(type) {
	case Match:
		not := map[bool]string{true: " not"}[f.Not]
		w.line(depth, "%s%s is%s", f.Param.Code, facetNames[f.Facet], not)
		for _, v := range f.Values {
			w.line(depth+1, "%s", showValue(v))
		}
	case Missing:
		w.line(depth, "%s %s", f.Param.Code, map[bool]string{true: "is missing", false: "is there"}[f.Want])
	case Chain:
		w.line(depth, "%s leads to", f.Param.Code)
		for _, s := range f.To {
			w.line(depth+1, "%s", s.Type)
			w.filters(s.Where, depth+2)
		}
	case Has:
		w.line(depth, "is %s of %s", f.Param.Code, f.From.Type)
		w.filters(f.From.Where, depth+1)
	case AllOf:
		w.line(depth, "all of")
		w.filters(f, depth+1)
	case AnyOf:
		w.line(depth, "any of")
		w.filters(f, depth+1)
	case ID:
		w.line(depth, "id is%s %s", map[bool]string{true: " not"}[f.Not], strings.Join(f.IDs, ", "))
	case Stored:
		w.line(depth, "%s stored", map[bool]string{true: "first", false: "last"}[f.First])
		for _, t := range f.Times {
			w.line(depth+1, "%s", showValue(t))
		}
	case Words:
		w.line(depth, "%s has", map[bool]string{true: "content", false: "narrative"}[f.Content])
		for _, e := range f.Any {
			w.line(depth+1, "%s", showExpression(e))
		}
	case Constant:
		w.line(depth, "%s", map[bool]string{true: "always", false: "never"}[bool(f)])
	}
}

func showValue(v Value) string {
	switch v := v.(type) {
	case Token:
		s := fmt.Sprintf("token %q", v.Code)
		if v.Media {
			s = fmt.Sprintf("media type %q", v.Code)
		}
		switch v.Test {
		case NoSystem:
			s += " without system"
		case OneSystem:
			s += fmt.Sprintf(" of %q", v.System)
		}
		if v.Lower != v.Code {
			s += fmt.Sprintf(" or %q in any case", v.Lower)
		}
		return s
	case Concept:
		return fmt.Sprintf("%s %q of %q", map[bool]string{true: "above", false: "below"}[v.Above], v.Code, v.System)
	case ValueSet:
		return fmt.Sprintf("in %q%s", v.URL, version(v.Version))
	case String:
		if v.Test == Exactly {
			return fmt.Sprintf("exactly %q", v.Exact)
		}
		return fmt.Sprintf("%s %q", [...]string{"begins with", "contains"}[v.Test], v.Folded)
	case Date:
		return fmt.Sprintf("%s %s to %s", v.Prefix, instant(v.Start), instant(v.End))
	case Number:
		return fmt.Sprintf("%s %s", v.Prefix, amount(v.Amount))
	case Quantity:
		s := fmt.Sprintf("%s %s", v.Prefix, amount(v.Amount))
		if v.Code != "" || v.System != "" {
			s += fmt.Sprintf(" %q of %q", v.Code, v.System)
		}
		if v.Base != "" {
			s += fmt.Sprintf(", %s %q", amount(v.In), v.Base)
		}
		return s
	case Reference:
		s := fmt.Sprintf("reference to %q", v.URL)
		if v.URL == "" {
			s = fmt.Sprintf("reference to %s/%s", showTypes(v.Types), v.ID)
		}
		if v.VersionBelow {
			return s + fmt.Sprintf(" of versions %q...", v.Version)
		}
		return s + version(v.Version)
	case URI:
		return [...]string{"", "below ", "above "}[v.Test] + fmt.Sprintf("uri %q", v.URL) + version(v.Version)
	case Position:
		return fmt.Sprintf("within %g m of %g, %g", v.Meters, v.Latitude, v.Longitude)
	case Composite:
		parts := make([]string, len(v.Parts))
		for i, p := range v.Parts {
			parts[i] = showValue(p)
		}
		return strings.Join(parts, " with ")
	}
	return ""
}

func version(v string) string {
	if v == "" {
		return ""
	}
	return fmt.Sprintf(" of version %q", v)
}

func showTypes(types []r4.TypeID) string {
	if len(types) > 5 {
		return fmt.Sprintf("(%d types)", len(types))
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return strings.Join(names, ",")
}

func amount(a search.Amount) string { return fmt.Sprintf("%g [%g %g)", a.Exact, a.Low, a.High) }

func instant(t int64) string {
	switch t {
	case math.MinInt64:
		return "ever"
	case math.MaxInt64:
		return "ever"
	}
	return time.UnixMicro(t).UTC().Format("2006-01-02T15:04:05.999999")
}

func showExpression(e Expression) string {
	join := func(list []Expression, operator string) string {
		parts := make([]string, len(list))
		for i, p := range list {
			parts[i] = showExpression(p)
		}
		return "(" + strings.Join(parts, operator) + ")"
	}
	switch e := e.(type) {
	case Phrase:
		return fmt.Sprintf("%q", strings.Join(e, " "))
	case Both:
		return join(e, " and ")
	case Either:
		return join(e, " or ")
	case Without:
		return "not " + showExpression(e.Part)
	}
	return ""
}
