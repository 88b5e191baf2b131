package query

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// noSuchModifier refuses a modifier (Modifiers: the server SHALL reject it).
func noSuchModifier(modifier string, known ...string) error {
	return malformed("it does not take the modifier '%s'; it takes: %s", fhir.Cut(modifier), strings.Join(known, ", "))
}

func notHere(modifier, why string) error {
	return malformed("the modifier '%s' is not offered here: %s", modifier, why)
}

// The modifiers of the types of parameters (Modifiers).
var (
	stringModifiers    = []string{"missing", "exact", "contains"}
	tokenModifiers     = []string{"missing", "text", "not", "in", "not-in", "above", "below", "of-type"}
	referenceModifiers = []string{"missing", "identifier", "above", "below", "a resource type"}
	uriModifiers       = []string{"missing", "above", "below"}
)

// test gives what a parameter with a modifier compares, without values, and the func
// that reads one value.
func (s *reader) test(typ r4.TypeID, p *search.Parameter, modifier string) (m Match, one func(string) (Value, error), err error) {
	m.Param = p
	if p.Origin == search.OriginEntities {
		switch p.Type {
		case r4.SearchToken:
			return statusTest(m, modifier)
		case r4.SearchComposite:
			if modifier != "" {
				return m, nil, noSuchModifier(modifier, "none")
			}
			return m, func(a string) (Value, error) { return entity(p, a) }, nil
		}
	}
	switch p.Type {
	case r4.SearchString:
		test := StartsWith
		switch modifier {
		case "":
		case "exact":
			test = Exactly
		case "contains":
			test = Contains
		default:
			return m, nil, noSuchModifier(modifier, stringModifiers...)
		}
		return m, func(a string) (Value, error) { return text(test, a) }, nil
	case r4.SearchToken:
		return s.tokenTest(m, modifier)
	case r4.SearchReference:
		return s.referenceTest(m, typ, modifier)
	case r4.SearchURI:
		return s.uriTest(m, modifier)
	}
	if p.Code == "near" && p.Type == r4.SearchSpecial {
		if s.Features&Near == 0 {
			return m, nil, unsupported("it is not offered")
		}
		if modifier != "" {
			return m, nil, noSuchModifier(modifier, "missing")
		}
		return m, near, nil
	}
	if p.Type == r4.SearchComposite {
		if modifier != "" {
			return m, nil, noSuchModifier(modifier, "none")
		}
		return m, func(a string) (Value, error) { return s.composite(p, a) }, nil
	}
	kind := search.KindOf(p.Type)
	if kind == search.KindNone {
		return m, nil, unsupported("it is not offered")
	}
	if modifier != "" {
		return m, nil, noSuchModifier(modifier, "missing")
	}
	return m, func(a string) (Value, error) { return s.plain(kind, nil, a) }, nil
}

func (s *reader) tokenTest(m Match, modifier string) (Match, func(string) (Value, error), error) {
	types := datatypesOf(m.Param)
	if !slices.Contains(tokenModifiers, modifier) && modifier != "" {
		return m, nil, noSuchModifier(modifier, tokenModifiers...)
	}
	switch modifier {
	case "not":
		m.Not = true
	case "text":
		if types != nil && !slices.ContainsFunc(types, hasText) {
			return m, nil, notHere(modifier, "the parameter has no CodeableConcept, Coding or Identifier")
		}
		m.Facet = search.FacetText
		return m, func(a string) (Value, error) { return text(StartsWith, a) }, nil
	case "of-type":
		if types != nil && !slices.Contains(types, r4.TypeIdentifier) {
			return m, nil, notHere(modifier, "the parameter has no Identifier")
		}
		m.Facet = search.FacetOfType
		return m, ofType, nil
	case "below", "above":
		if modifier == "below" && isMediaType(m.Param) {
			return m, mediaType, nil
		}
		if s.Features&Terminology == 0 {
			return m, nil, notHere(modifier, "there is no terminology")
		}
		return m, func(a string) (Value, error) { return concept(modifier == "above", a) }, nil
	case "in", "not-in":
		if s.Features&Terminology == 0 {
			return m, nil, notHere(modifier, "there is no terminology")
		}
		m.Not = modifier == "not-in"
		return m, valueSet, nil
	}
	return m, token, nil
}

// statusTest is of a token that is no code of a system, so it has fewer modifiers.
func statusTest(m Match, modifier string) (Match, func(string) (Value, error), error) {
	if modifier != "" && modifier != "not" {
		return m, nil, noSuchModifier(modifier, "missing", "not")
	}
	m.Not = modifier == "not"
	return m, token, nil
}

func hasText(t r4.TypeID) bool {
	return t == r4.TypeCodeableConcept || t == r4.TypeCoding || t == r4.TypeIdentifier
}

func (s *reader) referenceTest(m Match, typ r4.TypeID, modifier string) (Match, func(string) (Value, error), error) {
	targets := targetsOf(m.Param)
	switch modifier {
	case "":
		return m, func(a string) (Value, error) { return s.reference(targets, a) }, nil
	case "identifier":
		if canonicalAlone(m.Param) {
			return m, nil, notHere(modifier, "the parameter has canonicals alone, which have no identifier")
		}
		m.Facet = search.FacetIdentifier
		return m, token, nil
	case "below":
		if !canonicalAlone(m.Param) {
			return m, nil, notHere(modifier, "hierarchies are not followed")
		}
		return m, func(a string) (Value, error) { return s.below(targets, a) }, nil
	case "above":
		return m, nil, notHere(modifier, "hierarchies are not followed")
	}
	t := r4.ResourceTypeByName([]byte(modifier))
	if t == 0 {
		return m, nil, noSuchModifier(modifier, referenceModifiers...)
	}
	if !slices.Contains(targets, t) {
		return m, nil, malformed("%s of %s does not refer to %s", m.Param.Code, typ, t)
	}
	return m, func(a string) (Value, error) {
		v, err := s.reference([]r4.TypeID{t}, a)
		if r, ok := v.(Reference); ok && (r.URL != "" || r.Types[0] != t) {
			return nil, malformed("'%s' is no reference to a %s of this server", fhir.Cut(a), t)
		}
		return v, err
	}, nil
}

func (s *reader) uriTest(m Match, modifier string) (Match, func(string) (Value, error), error) {
	switch modifier {
	case "":
		return m, func(a string) (Value, error) { return uri(a), nil }, nil
	case "above", "below":
		test := Below
		if modifier == "above" {
			test = Above
		}
		return m, func(a string) (Value, error) {
			if strings.HasPrefix(a, "urn:") {
				return nil, malformed("'%s' is a URN; above and below are of URLs alone", fhir.Cut(a))
			}
			return URI{Test: test, URL: unescape(a)}, nil
		}, nil
	}
	return m, nil, noSuchModifier(modifier, uriModifiers...)
}

// typeNames are those of the types of parameters, for messages.
var typeNames = map[r4.SearchType]string{
	r4.SearchNumber: "number", r4.SearchDate: "date", r4.SearchString: "string", r4.SearchToken: "token",
	r4.SearchReference: "reference", r4.SearchComposite: "composite", r4.SearchQuantity: "quantity",
	r4.SearchURI: "uri", r4.SearchSpecial: "special",
}

func typeName(t r4.SearchType) string { return typeNames[t] }
