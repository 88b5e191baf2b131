package searchtest

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// Include gives the resources that a search wants beside matches, which may be those of
// one page: none of the matches, each once, by type and id.
func (s *Store) Include(q *query.Query, matches []*Resource) []*Resource {
	e := evaluation{s, q}
	known := map[*Resource]bool{}
	for _, x := range matches {
		known[x] = true
	}
	var all []*Resource
	for round, from := 0, matches; len(from) > 0; round++ {
		var found []*Resource
		for _, i := range q.Includes {
			if round > 0 && !i.Iterate {
				continue
			}
			for x := range e.included(i, from) {
				if !known[x] {
					known[x] = true
					found = append(found, x)
				}
			}
		}
		all = append(all, found...)
		from = found
	}
	slices.SortFunc(all, func(a, b *Resource) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// included yields what one include gives for some resources.
func (e evaluation) included(i query.Include, from []*Resource) func(yield func(*Resource) bool) {
	return func(yield func(*Resource) bool) {
		sources := from
		base := map[*Resource]bool{}
		if i.Reverse {
			for _, x := range from {
				base[x] = true
			}
			sources = nil
			for typ, list := range e.types {
				if i.Source == 0 || i.Source == typ {
					sources = append(sources, list...)
				}
			}
		}
		for _, source := range sources {
			if i.Source != 0 && source.Type != i.Source {
				continue
			}
			for _, p := range e.referencesOf(i, source.Type) {
				for target := range e.follow(source, p) {
					if i.Target != 0 && target.Type != i.Target {
						continue
					}
					if i.Reverse && base[target] && !yield(source) ||
						!i.Reverse && !yield(target) {
						return
					}
				}
			}
		}
	}
}

// referencesOf gives the parameters of an include for a type.
func (e evaluation) referencesOf(i query.Include, typ r4.TypeID) []*search.Parameter {
	if i.Params != nil {
		return i.Params
	}
	var all []*search.Parameter
	for _, p := range e.Table.Parameters(typ) {
		if p.Type == r4.SearchReference {
			all = append(all, p)
		}
	}
	return all
}
