package rest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
)

// everythingParameters are those of Patient/$everything.
var everythingParameters = []string{"start", "end", "_since", "_type", "_count"}

// everything gives all resources of the compartment of a patient, in pages, and beside
// them what they refer to that is in no patient's compartment, such as practitioners and
// medications (FHIR R4, Patient-everything).
func (c *call) everything() (*reply, error) {
	if err := c.checkQuery(append(slices.Clone(everythingParameters), pageParameter, explainParameter)...); err != nil {
		return nil, err
	}
	if c.query.Get(pageParameter) == "" {
		if _, err := c.current(); err != nil {
			return nil, err
		}
	}
	q, err := c.everythingQuery()
	if err != nil {
		return nil, err
	}
	given := url.Values{}
	for _, name := range append(slices.Clone(everythingParameters), "_summary", "_elements", "_pretty", "_format") {
		if v, ok := c.query[name]; ok {
			given[name] = v
		}
	}
	s, err := c.findPage(q, c.path()+"?"+given.Encode())
	if err != nil {
		return nil, err
	}
	wanted := typesOf(c.query)
	s.page.Included = slices.DeleteFunc(s.page.Included, func(r lake.Resource) bool {
		return inPatientCompartment(r.Type) || wanted != nil && !slices.Contains(wanted, r.Type)
	})
	return s.reply(), nil
}

// everythingQuery makes the search of the compartment.
func (c *call) everythingQuery() (*query.Query, error) {
	raw := url.Values{"_include": {"*"}}
	if v := c.query.Get("_count"); v != "" {
		n, err := countOf(v, query.DefaultPageSize)
		if err != nil {
			return nil, err
		}
		raw.Set("_count", strconv.Itoa(n))
	}
	if v := c.query.Get("_since"); v != "" {
		if _, ok := temporal.Parse(temporal.DateTime, []byte(v)); !ok {
			return nil, outcome.Faultf(outcome.Malformed, "parameter _since: '%s' is no instant, such as 2020-12-31T23:59:59Z", clip(v))
		}
		raw.Set("_lastUpdated", "ge"+v)
	}
	for _, name := range [...]string{"_summary", "_elements"} {
		if v, ok := c.query[name]; ok {
			raw[name] = v
		}
	}
	if v := c.query["_type"]; len(v) > 0 {
		raw.Set("_type", strings.Join(v, ","))
	}
	q, err := c.parse(query.Request{
		Compartment: &query.Compartment{Type: c.typ, ID: c.id}, Raw: []string{raw.Encode()}, Strict: true, Bases: c.bases(), Now: c.h.o.Now(),
	})
	if err != nil {
		return nil, err
	}
	return q, c.limitCare(q)
}

// limitCare leaves of a search what is of care between start and end. What has no date
// of care stays.
func (c *call) limitCare(q *query.Query) error {
	var bounds []string
	for _, b := range [...]struct{ name, prefix string }{{"start", "ge"}, {"end", "le"}} {
		v := c.query.Get(b.name)
		if v == "" {
			continue
		}
		if _, ok := temporal.Parse(temporal.Date, []byte(v)); !ok {
			return outcome.Faultf(outcome.Malformed, "parameter %s: '%s' is no date, such as 2020-12-31", b.name, clip(v))
		}
		bounds = append(bounds, b.prefix+v)
	}
	if bounds == nil {
		return nil
	}
	for i := range q.Selects {
		s := &q.Selects[i]
		p := capability.CareDate(s.Type)
		if p == nil {
			continue
		}
		between, err := c.parse(query.Request{
			Type: s.Type, Raw: []string{p.Code + "=" + strings.Join(bounds, "&"+p.Code+"=")}, Strict: true, Now: c.h.o.Now(),
		})
		if err != nil {
			return err
		}
		s.Where = append(slices.Clip(s.Where), query.AnyOf{query.Missing{Param: p, Want: true}, query.AllOf(between.Selects[0].Where)})
	}
	return nil
}

func inPatientCompartment(t r4.TypeID) bool {
	return t == r4.TypePatient || r4.Compartment("Patient").SearchCodes(t) != nil
}

// typesOf gives the types that _type names; nil for all. Their names have been read.
func typesOf(q url.Values) (types []r4.TypeID) {
	for _, list := range q["_type"] {
		for name := range strings.SplitSeq(list, ",") {
			if t := r4.ResourceTypeByName([]byte(name)); t != 0 {
				types = append(types, t)
			}
		}
	}
	return types
}
