package query

import (
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
