package search

import (
	"regexp"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Single tells whether R4 allows a resource one element of the term's group, so that
// there is at most one date, number or quantity of it. False where that is not known.
func (t Term) Single() bool {
	_, single := shape(t.group.Path)
	return single
}

// Folds tells whether codes of the term's tokens may be such that their case does not
// count: those of texts (R4, 3.1.1.4.10).
func (t Term) Folds() bool {
	types, _ := shape(t.group.Path)
	return len(types) == 0 || slices.ContainsFunc(types, func(t r4.TypeID) bool {
		return t == r4.TypeString || t == r4.TypeMarkdown
	})
}

// plainPath are elements one below the other, where only a type may be chosen.
var plainPath = regexp.MustCompile(`^[A-Z][A-Za-z]*(\.[a-z][A-Za-z]*|\.ofType\([A-Za-z]+\))+$`)

// shape gives the types that the items of a path may have, none when they are not known,
// and whether there is one at most.
func shape(path string) (types []r4.TypeID, single bool) {
	if !plainPath.MatchString(path) {
		return nil, false
	}
	names := strings.Split(path, ".")
	root, ok := r4.TypeByName(names[0])
	if !ok {
		return nil, false
	}
	types, single = []r4.TypeID{root}, true
	for _, name := range names[1:] {
		if only, ok := strings.CutPrefix(name, "ofType("); ok {
			types = slices.DeleteFunc(types, func(t r4.TypeID) bool { return t.String() != strings.TrimSuffix(only, ")") })
		} else {
			var repeats bool
			types, repeats = below(types, name)
			single = single && !repeats
		}
		if len(types) == 0 {
			return nil, false
		}
	}
	return types, single
}

// below gives the types of an element of some types, which may be a choice.
func below(types []r4.TypeID, name string) (all []r4.TypeID, repeats bool) {
	for _, t := range types {
		for _, e := range r4.Elements(t) {
			if e.Name == name && e.Choice == "" || e.Choice == name {
				all, repeats = append(all, e.Type), repeats || e.Repeats()
			}
		}
	}
	return all, repeats
}
