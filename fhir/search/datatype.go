package search

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Datatypes gives the types at the end of a path of elements from a resource, nil when
// there is more in it than names, ofType, where, and an index.
func Datatypes(path string) []r4.TypeID {
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
		at = Children(at, name)
	}
	if len(at) == 0 {
		return nil
	}
	return at
}

// Children gives the types of the elements of that name, of a choice all of its types.
func Children(types []r4.TypeID, name string) (all []r4.TypeID) {
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
