package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
)

// A Searcher finds the current resources of a data store. A search sees all that was
// committed before it began, unless it is asked to be eventual. The error is an
// *outcome.Fault where the request is at fault. It is safe for concurrent use.
type Searcher interface {
	Search(ctx context.Context, q *query.Query, r search.Request) (*search.Page, error)
	// Marked gives current resources of a type, 0 for all, that have among them every
	// profile, tag and security label that such a resource has.
	Marked(ctx context.Context, typ r4.TypeID) ([]lake.Resource, error)
}

var _ Searcher = (*search.Index)(nil)

// explainParameter asks for the plan of a search.
const explainParameter = "_explain"

// search answers a search of a type, of all types or in a compartment (FHIR R4,
// 3.1.0.11), by GET or by POST of a form.
func (c *call) search() (*reply, error) {
	if c.entry && c.kind == targetSearch {
		return nil, outcome.Faultf(outcome.NotSupported, "a search that is posted is not processed in a Bundle; use GET")
	}
	p := query.Request{Type: c.typ}
	if c.kind == targetCompartment {
		p.Type, p.Compartment = c.member, &query.Compartment{Type: c.typ, ID: c.id}
	}
	q, err := c.readSearch(p)
	if err != nil {
		return nil, err
	}
	s, err := c.findPage(q, c.path()+"?"+q.Self())
	if err != nil {
		return nil, err
	}
	return s.reply(), nil
}

// readSearch reads the parameters of the call.
func (c *call) readSearch(p query.Request) (*query.Query, error) {
	p.Raw = []string{c.raw, c.form}
	p.Strict, p.Bases, p.Now = c.prefer.strict, c.bases(), c.h.o.Now()
	p.Known = append(p.Known, pageParameter, explainParameter)
	return c.parse(p)
}

// bases are the URLs that absolute references to this data store begin with.
func (c *call) bases() []string { return []string{c.base + "/"} }

// findPage finds the page of a search that the call asks for. path is below the base and
// has the parameters that were honoured.
func (c *call) findPage(q *query.Query, path string) (*found, error) {
	s := &found{call: c, q: q, path: path}
	r := search.Request{
		Scope: path, Page: c.query.Get(pageParameter),
		Eventual: c.headerOf("X-Amz-Fhir-History-Consistency-Level") == "eventual",
	}
	switch v := c.query.Get(explainParameter); v {
	case "", "false":
	case "true":
		r.Explain = true
	default:
		return nil, outcome.Faultf(outcome.Malformed, "parameter %s: '%s' is none of true, false", explainParameter, clip(v))
	}
	var err error
	if err = c.narrow(q); err != nil {
		return nil, err
	}
	if s.page, err = c.find(q, r); err != nil {
		return nil, err
	}
	s.token, s.explained = r.Page, r.Explain
	return s, nil
}

// find asks the index.
func (c *call) find(q *query.Query, r search.Request) (*search.Page, error) {
	if c.ds.options.Search == nil {
		return nil, outcome.Faultf(outcome.NotSupported, "this data store is not searched")
	}
	start := time.Now()
	p, err := c.ds.options.Search.Search(c.ctx, q, r)
	if err == nil {
		err = c.sift(p)
	}
	if took := time.Since(start); took >= c.h.o.SlowSearch {
		c.h.o.Log.WarnContext(c.ctx, "slow search", "datastore", c.datastore, "path", pathOf(q), "parameters", q.Names(), "duration", took)
	}
	var f *outcome.Fault
	if errors.As(err, &f) && f.Kind == outcome.Gone { // a page, not a resource that was deleted
		f = outcome.Faultf(outcome.Gone, "%s", f.Issues[0].Diagnostics)
		f.Issues[0].Code = "processing"
		return nil, f
	}
	return p, err
}

// pathOf says what a query searches, without ids.
func pathOf(q *query.Query) string {
	if len(q.Selects) == 1 {
		return q.Selects[0].Type.String()
	}
	return fmt.Sprintf("%d types", len(q.Selects))
}

// path is what the call searches, relative to the base.
func (c *call) path() string {
	switch {
	case c.kind == targetOperation:
		return "/" + c.typ.String() + "/" + c.id + "/$" + c.operation
	case c.kind == targetCompartment && c.member == 0:
		return "/" + c.typ.String() + "/" + c.id + "/*"
	case c.kind == targetCompartment:
		return "/" + c.typ.String() + "/" + c.id + "/" + c.member.String()
	case c.typ != 0:
		return "/" + c.typ.String()
	}
	return ""
}

// found is a page of a search on its way to the client.
type found struct {
	*call
	q         *query.Query
	path      string // below the base, with the parameters that were honoured
	token     string // of this page; "" for the first
	page      *search.Page
	explained bool
}

// reply makes the reply, whose body reads no more of the data store.
func (s *found) reply() *reply { return &reply{status: http.StatusOK, whole: true, write: s.write} }

// summaries are those of resources, by that of the search.
var summaries = [...]summary{
	query.SummaryTrue: summaryTrue, query.SummaryText: summaryText, query.SummaryData: summaryData, query.SummaryCount: summaryCount,
}

// write writes the Bundle (FHIR R4, 3.1.1.4 and 3.1.1.5).
func (s *found) write(w *stream) error {
	buf := append(make([]byte, 0, 4096), `{"resourceType":"Bundle","type":"searchset"`...)
	if s.page.Total >= 0 {
		buf = strconv.AppendInt(append(buf, `,"total":`...), s.page.Total, 10)
	}
	buf = s.appendLink(append(buf, `,"link":[`...), "self", s.token)
	if !s.q.CountOnly() {
		buf = s.appendLink(append(buf, ','), "first", "")
	}
	if s.page.Next != "" {
		buf = s.appendLink(append(buf, ','), "next", s.page.Next)
	}
	buf = append(buf, ']')
	cut := subset{summary: summaries[s.q.Summary], elements: s.q.Elements}
	sep := `,"entry":[`
	for _, list := range [...]struct {
		mode string
		all  []lake.Resource
	}{{"match", s.page.Matches}, {"include", s.page.Included}} {
		for i := range list.all {
			var err error
			if buf, err = s.appendFound(append(buf, sep...), &list.all[i], list.mode, &cut); err != nil {
				return err
			}
			if err := w.bytes(buf); err != nil {
				return err
			}
			buf, sep = buf[:0], ","
		}
	}
	if issues := s.issues(); len(issues) > 0 {
		buf = append(append(buf, sep...), `{"resource":`...)
		buf = append(outcome.Append(buf, issues, outcome.At{}), `,"search":{"mode":"outcome"}}`...)
		sep = ","
	}
	if sep == "," {
		buf = append(buf, ']')
	}
	return w.bytes(append(buf, '}'))
}

// issues are what the client is told beside the resources.
func (s *found) issues() []fhir.Issue {
	issues := append([]fhir.Issue(nil), s.q.Issues...)
	if s.explained {
		issues = append(issues, fhir.Issue{Severity: fhir.Information, Code: "informational", Diagnostics: s.page.Plan})
	}
	return issues
}

// appendLink appends a link to a page of the search.
func (s *found) appendLink(dst []byte, relation, token string) []byte {
	u := s.base + s.path
	if token != "" {
		if u[len(u)-1] != '?' {
			u += "&"
		}
		u += pageParameter + "=" + token
	}
	if u[len(u)-1] == '?' {
		u = u[:len(u)-1]
	}
	dst = append(append(append(dst, `{"relation":"`...), relation...), `","url":`...)
	return append(fhir.AppendQuoted(dst, u), '}')
}

// appendFound appends the entry of a resource.
func (s *found) appendFound(dst []byte, r *lake.Resource, mode string, cut *subset) ([]byte, error) {
	dst = fhir.AppendQuoted(append(dst, `{"fullUrl":`...), s.base+"/"+r.Type.String()+"/"+r.ID)
	text, err := shown(r.Type, r.JSON, r.Beside)
	if err != nil {
		return nil, err
	}
	dst = append(dst, `,"resource":`...)
	if cut.all() {
		dst = append(dst, text...)
	} else {
		dst = cut.append(dst, text)
	}
	return append(append(append(dst, `,"search":{"mode":"`...), mode...), `"}}`...), nil
}
