package searchtest

import (
	"strings"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// definitions are the value sets and code systems of the store, and those of R4. Whether
// a code is in a value set is asked code by code, where a search expands it. What cannot be
// told counts as in: which codes a system has that is not known.
func (e evaluation) definitions() *profile.Registry {
	r := profile.NewRegistry()
	for _, typ := range []r4.TypeID{r4.TypeValueSet, r4.TypeCodeSystem} {
		for _, x := range e.types[typ] {
			if url, ok := x.decoded()["url"].(string); ok {
				if _, err := r.Add(profile.Resource{Type: typ.String(), URL: url, JSON: x.json}); err != nil {
					panic(err)
				}
			}
		}
	}
	return r
}

// subsumes tells whether a code is below that of a value, or above it, by the nesting of
// concepts in the code system.
func (e evaluation) subsumes(v query.Concept, code string) bool {
	above, below := v.Code, code
	if v.Above {
		above, below = code, v.Code
	}
	found := false
	var walk func(list any, under bool)
	walk = func(list any, under bool) {
		concepts, _ := list.([]any)
		for _, c := range concepts {
			c := c.(map[string]any)
			here := under || c["code"] == above
			found = found || here && c["code"] == below
			walk(c["concept"], here)
		}
	}
	for _, x := range e.types[r4.TypeCodeSystem] {
		if m := x.decoded(); m["url"] == v.System {
			walk(m["concept"], false)
		}
	}
	return found
}

// urlOf gives the canonical URL of a value set that is named by it or by a reference.
func (e evaluation) urlOf(v query.ValueSet) string {
	for _, base := range append(e.q.Bases, "") {
		if id, ok := strings.CutPrefix(v.URL, base+"ValueSet/"); ok {
			if x := e.byKey[Key{r4.TypeValueSet, id}]; x != nil {
				url, _ := x.decoded()["url"].(string)
				return url
			}
		}
	}
	return v.URL
}
