package parameters

import (
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Offered is a set over one manifest: which of the parameters are searchable. It is
// immutable.
type Offered struct {
	*Set
	lacking map[string]map[string]bool // groups that a segment is not indexed by, by resource type
}

var _ interface {
	query.Parameters
	query.Waiting
} = (*Offered)(nil)

// In tells what of a set is searchable in a manifest. What is in the delta is indexed by
// all of a set.
func (s *Set) In(m *snapshot.Manifest) *Offered {
	o := &Offered{Set: s}
	if len(s.groups) == 0 {
		return o
	}
	o.lacking = map[string]map[string]bool{}
	for ordinal, groups := range m.Lacking(postings.Version, s.groups) {
		typ := m.ByOrdinal(ordinal).ResourceType
		if o.lacking[typ] == nil {
			o.lacking[typ] = map[string]bool{}
		}
		for _, g := range groups {
			o.lacking[typ][g] = true
		}
	}
	return o
}

// ready tells whether all that is stored of a type is indexed by a parameter.
func (o *Offered) ready(typ r4.TypeID, p *search.Parameter) bool {
	lacking := o.lacking[typ.String()]
	return len(lacking) == 0 || !p.Custom ||
		!slices.ContainsFunc(p.CustomGroups(), func(g *search.Group) bool { return lacking[g.Name()] })
}

// Parameter gives the parameter of a type that a code names, if it is searchable; else nil.
func (o *Offered) Parameter(typ r4.TypeID, code string) *search.Parameter {
	p := o.Table.Parameter(typ, code)
	if p == nil || !o.ready(typ, p) {
		return nil
	}
	return p
}

// Waits implements [query.Waiting].
func (o *Offered) Waits(typ r4.TypeID, code string) bool {
	p := o.Table.Parameter(typ, code)
	return p != nil && !o.ready(typ, p)
}

// Parameters gives the searchable parameters of a type, sorted by code. The caller must
// not change them.
func (o *Offered) Parameters(typ r4.TypeID) []*search.Parameter {
	all := o.Table.Parameters(typ)
	if len(o.lacking[typ.String()]) == 0 {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(p *search.Parameter) bool { return !o.ready(typ, p) })
}

// States gives the definitions with their states. One that is searchable for some of its
// bases alone is pending.
func (o *Offered) States() []Definition {
	all := slices.Clone(o.Definitions)
	pending := map[string]bool{}
	for typ := range o.lacking {
		t := r4.ResourceTypeByName([]byte(typ))
		for _, p := range o.Table.Parameters(t) {
			if !o.ready(t, p) {
				pending[p.URL] = true
			}
		}
	}
	for i := range all {
		if d := &all[i]; d.State == Pending && !pending[d.URL] {
			d.State = Searchable
		}
	}
	return all
}

// Answers tells whether a query that was read by another state of the parameters finds
// all that it should here; the error is a fault that says to ask again.
func (o *Offered) Answers(q *query.Query) error {
	var err error
	q.EachParameter(func(typ r4.TypeID, p *search.Parameter) {
		if !p.Custom || err != nil {
			return
		}
		now := o.Parameter(typ, p.Code)
		if now == nil || !slices.EqualFunc(now.CustomGroups(), p.CustomGroups(), func(a, b *search.Group) bool { return a.Name() == b.Name() }) {
			err = outcome.Faultf(outcome.Unavailable, "%s", fmt.Sprintf("the search parameter '%s' of %s was changed meanwhile; search again", fhir.Cut(p.Code), typ))
		}
	})
	return err
}
