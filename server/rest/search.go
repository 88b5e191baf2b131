package rest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
)

// A Searcher finds resources. It is safe for concurrent use.
type Searcher interface {
	Search(ctx context.Context, q *query.Query, r search.Request) (*search.Page, error)
}

var _ Searcher = (*search.Index)(nil)

// searches reads the searches of R4.
var searches = query.Parser{Parameters: fhirsearch.R4(), Features: search.Features}

// explainParameter asks for the plan of a search.
const explainParameter = "_explain"

// search answers a search of a type, of all types or in a compartment (FHIR R4,
// 3.1.0.11): by GET, or by POST with a form.
func (c *call) search() (*reply, error) {
	params := url.Values{}
	for name, values := range c.query {
		params[name] = slices.Clone(values)
	}
	if c.kind == targetSearch {
		form, err := parseQuery(string(c.body))
		if err != nil {
			return nil, err
		}
		for name, values := range form {
			params[name] = append(params[name], values...)
		}
	}
	cut, err := readSubset(params)
	if err != nil {
		return nil, err
	}
	r := search.Request{
		Page: params.Get(pageParameter), Explain: params.Get(explainParameter) == "true",
		Eventual: c.header.Get("X-Amz-Fhir-History-Consistency-Level") == "eventual",
	}
	params.Del(pageParameter)
	ask := query.Request{
		Type: c.typ, Raw: []string{params.Encode()}, Strict: c.prefer.strict, Bases: []string{c.base + "/"}, Now: c.h.o.Now(),
		Known: []string{explainParameter},
	}
	path := ""
	switch {
	case c.kind == targetCompartment:
		ask.Compartment = &query.Compartment{Type: c.typ, ID: c.id}
		ask.Type = c.member
		path = "/" + c.typ.String() + "/" + c.id + "/*"
		if c.member != 0 {
			path = "/" + c.typ.String() + "/" + c.id + "/" + c.member.String()
		}
	case c.typ != 0:
		path = "/" + c.typ.String()
	}
	q, err := searches.Parse(ask)
	if err != nil {
		return nil, err
	}
	r.Scope = c.base + path + "?" + q.Self()
	page, err := c.ds.options.Search.Search(c.ctx, q, r)
	if err != nil {
		return nil, err
	}
	body, err := c.appendPage(nil, q, &r, page, &cut)
	return &reply{status: http.StatusOK, json: body}, err
}

// appendPage appends the Bundle of a page.
func (c *call) appendPage(dst []byte, q *query.Query, r *search.Request, p *search.Page, cut *subset) (_ []byte, err error) {
	dst = append(dst, `{"resourceType":"Bundle","type":"searchset"`...)
	if p.Total >= 0 {
		dst = strconv.AppendInt(append(dst, `,"total":`...), p.Total, 10)
	}
	link := func(relation, token string) {
		u := r.Scope // the URL, without the token of its page
		if token != "" {
			if q.Self() != "" {
				u += "&"
			}
			u += pageParameter + "=" + token
		}
		dst = append(append(append(dst, `{"relation":"`...), relation...), `","url":`...)
		dst = append(fhir.AppendQuoted(dst, u), '}')
	}
	dst = append(dst, `,"link":[`...)
	link("self", r.Page)
	if p.Next != "" {
		dst = append(dst, ',')
		link("next", p.Next)
	}
	dst = append(dst, ']')
	sep := `,"entry":[`
	for _, list := range []struct {
		mode string
		all  []lake.Resource
	}{{"match", p.Matches}, {"include", p.Included}} {
		for i := range list.all {
			if dst, err = c.appendFound(append(dst, sep...), &list.all[i], list.mode, cut); err != nil {
				return nil, err
			}
			sep = ","
		}
	}
	issues := q.Issues
	if r.Explain {
		issues = append(slices.Clip(issues), fhir.Issue{Severity: fhir.Information, Code: "informational", Diagnostics: p.Plan})
	}
	if len(issues) > 0 {
		dst = append(append(dst, sep...), `{"resource":`...)
		dst = append(outcome.Append(dst, issues, outcome.At{}), `,"search":{"mode":"outcome"}}`...)
		sep = ","
	}
	if sep == "," {
		dst = append(dst, ']')
	}
	return append(dst, '}'), nil
}

// appendFound appends the entry of a resource.
func (c *call) appendFound(dst []byte, r *lake.Resource, mode string, cut *subset) ([]byte, error) {
	dst = fhir.AppendQuoted(append(dst, `{"fullUrl":`...), c.base+"/"+r.Type.String()+"/"+r.ID)
	text := r.JSON
	if r.Issues != nil {
		var err error
		if text, err = shown(r.Type, r.JSON, r.Issues); err != nil {
			return nil, err
		}
	}
	dst = append(dst, `,"resource":`...)
	if cut.all() {
		dst = append(dst, text...)
	} else {
		dst = cut.append(dst, text)
	}
	return append(append(append(dst, `,"search":{"mode":"`...), mode...), `"}}`...), nil
}

// isSearch tells whether the call searches.
func (c *call) isSearch() bool {
	get := c.method == http.MethodGet || c.method == http.MethodHead
	switch c.kind {
	case targetSearch:
		return c.method == http.MethodPost
	case targetSystem, targetType, targetCompartment:
		return get
	}
	return false
}
