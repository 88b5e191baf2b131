package searchtest

import (
	"math"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// anyPart stands for rows of all parts.
const anyPart = math.MaxUint32

func (e evaluation) match(typ r4.TypeID, m query.Match) ([]bool, error) {
	return e.each(typ, func(x *Resource) bool {
		return slices.ContainsFunc(m.Values, func(v query.Value) bool {
			if m.Param.Origin == search.OriginEntities {
				return x.finds(m.Param, v)
			}
			if c, ok := v.(query.Composite); ok {
				return e.composite(x, m.Param, c)
			}
			return slices.ContainsFunc(m.Param.Terms, func(t search.Term) bool { return e.term(x, t, m.Facet, anyPart, v) })
		}) != m.Not
	}), nil
}

// composite tells whether one element of x has a value for each component.
func (e evaluation) composite(x *Resource, p *search.Parameter, c query.Composite) bool {
	for _, b := range p.Bindings {
		parts := []uint32{anyPart}
		if b.Parts {
			parts = x.parts()
		}
		for _, part := range parts {
			all := true
			for i, terms := range b.Components {
				of := part
				if b.Whole[i] {
					of = anyPart
				}
				all = all && slices.ContainsFunc(terms, func(t search.Term) bool { return e.term(x, t, search.Main, of, c.Parts[i]) })
			}
			if all {
				return true
			}
		}
	}
	return false
}

// parts gives the numbers of the elements that composites bind.
func (x *Resource) parts() (parts []uint32) {
	add := func(p uint32) {
		if p != 0 && !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	for _, r := range x.tokens {
		add(r.Part)
	}
	for _, r := range x.strings {
		add(r.Part)
	}
	for _, r := range x.dates {
		add(r.Part)
	}
	for _, r := range x.numbers {
		add(r.Part)
	}
	for _, r := range x.quantities {
		add(r.Part)
	}
	for _, r := range x.references {
		add(r.Part)
	}
	for _, r := range x.uris {
		add(r.Part)
	}
	return parts
}

// term tells whether a row of a term matches.
func (e evaluation) term(x *Resource, t search.Term, f search.Facet, part uint32, v query.Value) bool {
	group := t.Group(f)
	here := func(r search.Row) bool { return r.Group == group && (part == anyPart || r.Part == part) }
	switch v := v.(type) {
	case query.Token:
		return slices.ContainsFunc(x.tokens, func(r search.Token) bool { return here(r.Row) && x.token(v, r) })
	case query.Concept:
		return slices.ContainsFunc(x.tokens, func(r search.Token) bool {
			return here(r.Row) && x.text(r.System) == v.System && e.subsumes(v, x.text(r.Code))
		})
	case query.ValueSet:
		set := e.definitions().ValueSet(e.urlOf(v))
		return set != nil && slices.ContainsFunc(x.tokens, func(r search.Token) bool {
			return here(r.Row) && !r.Code.Empty() && set.Contains([]byte(x.text(r.System)), []byte(x.text(r.Code))) != profile.NotIn
		})
	case query.String:
		return slices.ContainsFunc(x.strings, func(r search.String) bool { return here(r.Row) && x.string(v, r) })
	case query.Date:
		return slices.ContainsFunc(x.dates, func(r search.Date) bool {
			return here(r.Row) && v.Prefix.MatchesTime(v.Range, r.Range, e.q.Now)
		})
	case query.Number:
		return slices.ContainsFunc(x.numbers, func(r search.Number) bool { return here(r.Row) && v.Prefix.MatchesNumber(v.Amount, r.Interval) })
	case query.Quantity:
		return slices.ContainsFunc(x.quantities, func(r search.Quantity) bool { return here(r.Row) && x.quantity(v, r) })
	case query.Reference:
		return slices.ContainsFunc(x.references, func(r search.Reference) bool {
			return here(r.Row) && (t.Target == 0 || r.Type == t.Target) && e.reference(x, v, r)
		})
	case query.URI:
		return slices.ContainsFunc(x.uris, func(r search.URI) bool { return here(r.Row) && x.uri(v, r) })
	case query.Position:
		return x.near(v, t)
	}
	return false
}

func (x *Resource) token(v query.Token, r search.Token) bool {
	code, system := x.text(r.Code), x.text(r.System)
	want := v.Code
	if r.Folded {
		want = v.Lower
	}
	switch {
	case want == "":
	case v.Media && strings.HasPrefix(code, want+";"):
	case code != want:
		return false
	}
	switch v.Test {
	case query.NoSystem:
		return system == "" || r.Implied
	case query.OneSystem:
		return system == v.System
	}
	return true
}

func (x *Resource) string(v query.String, r search.String) bool {
	switch v.Test {
	case query.StartsWith:
		return strings.HasPrefix(x.text(r.Folded), v.Folded)
	case query.Contains:
		return !r.Word && strings.Contains(x.text(r.Folded), v.Folded)
	}
	return !r.Word && x.text(r.Exact) == v.Exact
}

func (x *Resource) quantity(v query.Quantity, r search.Quantity) bool {
	system, code := x.text(r.System), x.text(r.Code)
	switch {
	case v.Base != "":
		return x.text(r.Base) == v.Base && v.Prefix.MatchesNumber(v.In, r.In)
	case v.System != "" && v.Code != "":
		if system != v.System || code != v.Code {
			return false
		}
	case v.System != "":
		if system != v.System {
			return false
		}
	case v.Code != "":
		if code != v.Code && x.text(r.Unit) != v.Code {
			return false
		}
	}
	return v.Prefix.MatchesNumber(v.Amount, r.Interval)
}

func (e evaluation) reference(x *Resource, v query.Reference, r search.Reference) bool {
	version := x.text(r.Version)
	if v.Version != "" && version != v.Version && !(v.VersionBelow && strings.HasPrefix(version, v.Version)) {
		return false
	}
	if v.URL != "" {
		return x.text(r.URL) == v.URL
	}
	k := e.local(x, r)
	return k.ID == v.ID && slices.Contains(v.Types, k.Type)
}

func (x *Resource) uri(v query.URI, r search.URI) bool {
	value := x.text(r.Value)
	switch {
	case v.Version != "" && x.text(r.Version) != v.Version:
		return false
	case v.Test == query.Below:
		return strings.HasPrefix(value, v.URL)
	case v.Test == query.Above:
		return strings.HasPrefix(v.URL, value)
	}
	return value == v.URL
}

// near tells whether x is within a distance on a sphere of the earth's mean radius.
func (x *Resource) near(v query.Position, t search.Term) bool {
	degrees := func(f search.Facet) (float64, bool) {
		i := slices.IndexFunc(x.numbers, func(r search.Number) bool { return r.Group == t.Group(f) })
		if i < 0 {
			return 0, false
		}
		return x.numbers[i].Low, true
	}
	latitude, ok1 := degrees(search.FacetLatitude)
	longitude, ok2 := degrees(search.FacetLongitude)
	if !ok1 || !ok2 {
		return false
	}
	const radius, radian = 6_371_008.8, math.Pi / 180
	a, b := latitude*radian, v.Latitude*radian
	h := haversine(a-b) + math.Cos(a)*math.Cos(b)*haversine((longitude-v.Longitude)*radian)
	return 2*radius*math.Asin(math.Sqrt(min(h, 1))) <= v.Meters
}

func haversine(angle float64) float64 {
	s := math.Sin(angle / 2)
	return s * s
}
