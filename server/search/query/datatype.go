package query

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// targetsOf gives the resource types that a reference parameter may point to. The
// caller must not change the slice.
func targetsOf(p *search.Parameter) []r4.TypeID {
	var some []r4.TypeID
	for _, t := range p.Terms {
		if t.Target == 0 {
			if len(p.Targets) > 0 {
				return p.Targets
			}
			return r4.ResourceTypes()
		}
		if !slices.Contains(some, t.Target) {
			some = append(some, t.Target)
		}
	}
	return some
}

// datatypesOf gives the datatypes that the values of a parameter have, nil when its
// expression does not tell.
func datatypesOf(p *search.Parameter) (all []r4.TypeID) {
	for _, t := range p.Terms {
		types := search.Datatypes(t.Path())
		if types == nil {
			return nil
		}
		all = append(all, types...)
	}
	return all
}

// canonicalAlone tells whether all values of a reference parameter are canonicals or
// other URIs.
func canonicalAlone(p *search.Parameter) bool {
	types := datatypesOf(p)
	return types != nil && !slices.ContainsFunc(types, func(t r4.TypeID) bool {
		switch r4.TypeAt(t).Primitive {
		case r4.PrimitiveCanonical, r4.PrimitiveURI, r4.PrimitiveURL, r4.PrimitiveOID, r4.PrimitiveUUID:
			return false
		}
		return true
	})
}

// isMediaType tells whether the values of a token parameter are MIME types.
func isMediaType(p *search.Parameter) bool {
	for _, t := range p.Terms {
		if !strings.HasSuffix(t.Path(), ".contentType") {
			return false
		}
	}
	return len(p.Terms) > 0
}
