package searchtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// ErrNotEvaluated is of a search with something that this package does not know.
var ErrNotEvaluated = errors.New("searchtest does not evaluate this")

// Search gives the resources that match, in an order that [Compare] allows; those that
// compare as equal by type and id.
func (s *Store) Search(q *query.Query) ([]*Resource, error) {
	if q.Contained != query.ContainedNone {
		return nil, fmt.Errorf("%w: contained resources", ErrNotEvaluated)
	}
	e := evaluation{s, q}
	var found []*Resource
	for i := range q.Selects {
		holds, err := e.all(&q.Selects[i])
		if err != nil {
			return nil, err
		}
		for at, ok := range holds {
			if ok {
				found = append(found, s.types[q.Selects[i].Type][at])
			}
		}
	}
	slices.SortFunc(found, func(a, b *Resource) int {
		if c := Compare(q, a, b); c != 0 {
			return c
		}
		return strings.Compare(a.String(), b.String())
	})
	return found, nil
}

// evaluation is of one search. Conditions are evaluated for all resources of a type at
// once: a result has one bool for each.
type evaluation struct {
	*Store
	q *query.Query
}

// all tells for which resources all filters of a Select hold.
func (e evaluation) all(sel *query.Select) ([]bool, error) {
	holds := e.each(sel.Type, func(*Resource) bool { return true })
	for _, f := range sel.Where {
		one, err := e.filter(sel.Type, f)
		if err != nil {
			return nil, err
		}
		for i := range holds {
			holds[i] = holds[i] && one[i]
		}
	}
	return holds, nil
}

func (e evaluation) each(typ r4.TypeID, holds func(x *Resource) bool) []bool {
	out := make([]bool, len(e.types[typ]))
	for i, x := range e.types[typ] {
		out[i] = holds(x)
	}
	return out
}

func (e evaluation) filter(typ r4.TypeID, f query.Filter) ([]bool, error) {
	switch f := f.(type) {
	case query.Match:
		return e.match(typ, f)
	case query.Missing:
		return e.each(typ, func(x *Resource) bool { return x.has(f.Param) != f.Want }), nil
	case query.Chain:
		return e.chain(typ, f)
	case query.Has:
		return e.has(typ, f)
	case query.AllOf:
		return e.all(&query.Select{Type: typ, Where: f})
	case query.AnyOf:
		holds := make([]bool, len(e.types[typ]))
		for _, f := range f {
			one, err := e.filter(typ, f)
			if err != nil {
				return nil, err
			}
			for i := range holds {
				holds[i] = holds[i] || one[i]
			}
		}
		return holds, nil
	case query.ID:
		return e.each(typ, func(x *Resource) bool { return slices.Contains(f.IDs, x.ID) != f.Not }), nil
	case query.Stored:
		return e.each(typ, func(x *Resource) bool {
			t := x.Updated
			if f.First {
				t = x.Created
			}
			return slices.ContainsFunc(f.Times, func(d query.Date) bool {
				return d.Prefix.MatchesTime(d.Range, search.Range{Start: t, End: t + 1}, e.q.Now)
			})
		}), nil
	case query.Words:
		return e.each(typ, func(x *Resource) bool { return x.hasWords(f) }), nil
	case query.Constant:
		return e.each(typ, func(*Resource) bool { return bool(f) }), nil
	}
	return nil, fmt.Errorf("%w: %T", ErrNotEvaluated, f)
}

func (e evaluation) chain(typ r4.TypeID, f query.Chain) ([]bool, error) {
	targets := map[r4.TypeID][]bool{}
	for i := range f.To {
		holds, err := e.all(&f.To[i])
		if err != nil {
			return nil, err
		}
		targets[f.To[i].Type] = holds
	}
	return e.each(typ, func(x *Resource) bool {
		for target := range e.follow(x, f.Param) {
			if holds := targets[target.Type]; holds != nil && holds[target.at] {
				return true
			}
		}
		return false
	}), nil
}

func (e evaluation) has(typ r4.TypeID, f query.Has) ([]bool, error) {
	from, err := e.all(&f.From)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(e.types[typ]))
	for at, holds := range from {
		if !holds {
			continue
		}
		for target := range e.follow(e.types[f.From.Type][at], f.Param) {
			if target.Type == typ {
				out[target.at] = true
			}
		}
	}
	return out, nil
}

// follow yields the current resources that a reference parameter of x leads to.
func (e evaluation) follow(x *Resource, p *search.Parameter) func(yield func(*Resource) bool) {
	return func(yield func(*Resource) bool) {
		for _, term := range p.Terms {
			for _, row := range x.references {
				if row.Group != term.Group(search.Main) || term.Target != 0 && row.Type != term.Target {
					continue
				}
				if target := e.byKey[e.local(x, row)]; target != nil && !yield(target) {
					return
				}
			}
		}
	}
}

// local gives the resource of this server that a reference is to.
func (e evaluation) local(x *Resource, row search.Reference) Key {
	url := x.text(row.URL)
	if url == "" {
		return Key{row.Type, x.text(row.ID)}
	}
	for _, base := range e.q.Bases {
		if rest, ok := strings.CutPrefix(url, base); ok {
			if p := search.ReferenceOf([]byte(rest)); len(p.URL) == 0 {
				return Key{p.Type, string(p.ID)}
			}
		}
	}
	return Key{}
}

func (x *Resource) text(t search.Text) string { return string(x.values.Text(t)) }

// has tells whether x has a value of a parameter.
func (x *Resource) has(p *search.Parameter) bool {
	if p.Origin == search.OriginEntities {
		return len(x.rows(p)) > 0
	}
	for _, t := range p.Terms {
		main := t.Group(search.Main)
		if p.Type == r4.SearchSpecial {
			main = t.Group(search.FacetLatitude)
		}
		if slices.ContainsFunc(x.tokens, func(r search.Token) bool { return r.Group == main }) ||
			slices.ContainsFunc(x.strings, func(r search.String) bool { return r.Group == main }) ||
			slices.ContainsFunc(x.dates, func(r search.Date) bool { return r.Group == main }) ||
			slices.ContainsFunc(x.numbers, func(r search.Number) bool { return r.Group == main }) ||
			slices.ContainsFunc(x.quantities, func(r search.Quantity) bool { return r.Group == main }) ||
			slices.ContainsFunc(x.references, func(r search.Reference) bool {
				return r.Group == main && (t.Target == 0 || r.Type == t.Target)
			}) ||
			slices.ContainsFunc(x.uris, func(r search.URI) bool { return r.Group == main }) {
			return true
		}
	}
	return false
}
