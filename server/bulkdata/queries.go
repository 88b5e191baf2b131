package bulkdata

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// shaping are the parameters of a search that say how its result looks. They select nothing,
// so a filter has none of them.
var shaping = []string{
	"_sort", "_count", "_include", "_revinclude", "_summary", "_total", "_elements", "_contained", "_containedType", "_format", "_pretty", "_type",
}

// Queries makes the searches that say what is exported: whatever one of them finds, of the
// types that they are about, and all of the others. What a search does not know would let
// through what nobody asked for, so all of it must be known.
func (r *Request) Queries(parse func(query.Request) (*query.Query, error), now time.Time) (all []*query.Query, err error) {
	var marks []string
	for _, m := range []struct {
		name   string
		values []string
	}{{"_tag", r.Tags}, {"_security", r.Security}} {
		for _, v := range m.values {
			marks = append(marks, m.name+"="+url.QueryEscape(v))
		}
	}
	add := func(t r4.TypeID, raw ...string) error {
		q, err := parse(query.Request{Type: t, Raw: []string{strings.Join(raw, "&")}, Strict: true, Bases: r.bases(), Now: now})
		if err == nil && len(q.Issues) > 0 {
			err = &outcome.Fault{Kind: outcome.Malformed, Issues: q.Issues}
		}
		all = append(all, q)
		return err
	}
	filtered := map[string]bool{}
	for _, f := range r.Filters {
		values, err := url.ParseQuery(strings.ReplaceAll(f.Query, ";", "%3B"))
		if err != nil {
			return nil, fault("_typeFilter: '%s' cannot be read: check its percent signs", clip(f.Query))
		}
		for name := range values {
			if name, _, _ = strings.Cut(name, ":"); slices.Contains(shaping, name) {
				return nil, fault("_typeFilter: %s selects nothing", name)
			}
		}
		filtered[f.Type] = true
		if err := add(r4.ResourceTypeByName([]byte(f.Type)), append([]string{f.Query}, marks...)...); err != nil {
			return nil, err
		}
	}
	if marks == nil {
		return all, nil
	}
	types := r.Types
	if types == nil {
		for _, t := range r4.ResourceTypes() {
			if t != r4.TypeOperationOutcome && t != r4.TypeParameters { // they are not stored
				types = append(types, t.String())
			}
		}
	}
	types = slices.DeleteFunc(slices.Clone(types), func(name string) bool { return filtered[name] })
	if len(types) == 0 {
		return all, nil
	}
	return all, add(0, append(marks, "_type="+strings.Join(types, ","))...)
}

// bases are the URLs at which resources of the data store are known.
func (r *Request) bases() []string { return []string{r.Base + "/"} }
