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
		types := datatypes(t.Path())
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

// datatypes gives the types at the end of a path of elements from a resource, nil when
// there is more in it than names, ofType, where, and an index.
func datatypes(path string) []r4.TypeID {
	name, rest, _ := strings.Cut(path, ".")
	at := []r4.TypeID{r4.ResourceTypeByName([]byte(name))}
	if at[0] == 0 {
		return nil
	}
	for rest != "" && len(at) > 0 {
		var step string
		step, rest = cutStep(rest)
		if inner, ok := strings.CutPrefix(step, "ofType("); ok {
			t, known := r4.TypeByName(strings.TrimSuffix(inner, ")"))
			at = slices.DeleteFunc(at, func(x r4.TypeID) bool { return !known || x != t })
			continue
		}
		if strings.HasPrefix(step, "where(") {
			continue
		}
		name, _, _ := strings.Cut(step, "[")
		at = children(at, name)
	}
	if len(at) == 0 {
		return nil
	}
	return at
}

// children gives the types of the elements of that name, of a choice all of its types.
func children(types []r4.TypeID, name string) (all []r4.TypeID) {
	for _, t := range types {
		for _, e := range r4.Elements(t) {
			if (e.Choice == name || e.Choice == "" && e.Name == name) && !slices.Contains(all, e.Type) {
				all = append(all, e.Type)
			}
		}
	}
	return all
}

// cutStep cuts a path at its first point outside parentheses.
func cutStep(path string) (step, rest string) {
	depth := 0
	for i := range len(path) {
		switch path[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '.':
			if depth == 0 {
				return path[:i], path[i+1:]
			}
		}
	}
	return path, ""
}
