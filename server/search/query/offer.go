package query

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Offers tells whether the parser reads a parameter of some form, so that it is one that
// can be searched.
func (p *Parser) Offers(q *search.Parameter) bool {
	switch q.Origin {
	case search.OriginQuery:
		return false
	case search.OriginText:
		return p.Features&Narrative != 0
	case search.OriginContent:
		return p.Features&Content != 0
	case search.OriginCreated:
		return p.Features&FirstStored != 0
	case search.OriginEntities:
		return p.Features&Entities != 0
	case search.OriginID, search.OriginUpdated:
		return true
	}
	if q.Type == r4.SearchSpecial && q.Code == "near" {
		return p.Features&Near != 0
	}
	return q.Type == r4.SearchComposite || search.KindOf(q.Type) != search.KindNone
}

// TypeName is the name of a type of search parameters, as FHIR spells it.
func TypeName(t r4.SearchType) string { return typeName(t) }

// Follows gives the types of resources that a parameter of a type refers to, so that
// chains and includes follow it; none when it is followed by neither.
func (p *Parser) Follows(typ r4.TypeID, q *search.Parameter) []r4.TypeID {
	s := &reader{Parser: p, limits: p.Limits.orDefaults()}
	targets, err := s.follow(typ, q)
	if err != nil {
		return nil
	}
	return targets
}

// Waiting is what Parameters may tell beside: that a parameter is known, but what is stored
// is not indexed by it. A search by it is refused whatever the handling is.
type Waiting interface {
	Waits(typ r4.TypeID, code string) bool
}

// named gives the parameter of a type that a code names.
func (s *reader) named(typ r4.TypeID, code string) (*search.Parameter, error) {
	p := s.Parameters.Parameter(typ, code)
	if p != nil {
		return p, nil
	}
	if w, ok := s.Parameters.(Waiting); ok && w.Waits(typ, code) {
		return nil, malformed("the search parameter '%s' of %s is new, and what is stored is not indexed by it yet; POST $reindex or run `fhirlake reindex`", fhir.Cut(code), typ)
	}
	return nil, unknown(typ, code)
}

// EachParameter calls f for every search parameter of the query with the type of the
// resources that it is of.
func (q *Query) EachParameter(f func(typ r4.TypeID, p *search.Parameter)) {
	for i := range q.Selects {
		s := &q.Selects[i]
		eachParameter(s, f)
		for _, k := range s.Sort {
			f(s.Type, k.Param)
		}
	}
	for i := range q.Includes {
		for _, p := range q.Includes[i].Params {
			f(q.Includes[i].Source, p)
		}
	}
}

func eachParameter(s *Select, f func(typ r4.TypeID, p *search.Parameter)) {
	for _, x := range s.Where {
		switch x := x.(type) {
		case Match:
			f(s.Type, x.Param)
		case Missing:
			f(s.Type, x.Param)
		case Chain:
			f(s.Type, x.Param)
			for i := range x.To {
				eachParameter(&x.To[i], f)
			}
		case Has:
			f(x.From.Type, x.Param)
			eachParameter(&x.From, f)
		case AllOf:
			eachParameter(&Select{Type: s.Type, Where: x}, f)
		case AnyOf:
			eachParameter(&Select{Type: s.Type, Where: x}, f)
		}
	}
}
