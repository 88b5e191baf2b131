package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// history gives the versions of a resource, a type or all (FHIR R4, 3.1.0.12), the
// newest first. The Bundle is written as the versions are read.
func (c *call) history() (*reply, error) {
	if err := c.checkQuery("_count", "_since", "_at", pageParameter); err != nil {
		return nil, err
	}
	q, err := c.historyQuery()
	if err != nil {
		return nil, err
	}
	cut, err := readSubset(c.query)
	if err != nil {
		return nil, err
	}
	if c.access.Limited() {
		if err := c.mayList(cut); err != nil {
			return nil, err
		}
	}
	if cut.summary == summaryCount {
		if q.ID == "" {
			return nil, outcome.Faultf(outcome.NotSupported, "_summary=count is there for the history of one resource only")
		}
		q.Count = 1
	}
	// A history that does not begin well is refused before anything is written.
	return &reply{status: http.StatusOK, write: func(w *stream) error { return c.writeHistory(w, q, cut) }}, nil
}

// pageParameter is the parameter of the links to further pages; its value is opaque.
const pageParameter = "_page"

func (c *call) historyQuery() (q lake.HistoryQuery, err error) {
	q = lake.HistoryQuery{Type: c.typ, ID: c.id, Count: capability.DefaultCount, After: lake.Token(c.query.Get(pageParameter))}
	if text := c.query.Get("_count"); text != "" {
		if q.Count, err = countOf(text, capability.MaxCount); err != nil {
			return q, err
		}
	}
	if text := c.query.Get("_since"); text != "" {
		v, ok := temporal.Parse(temporal.DateTime, []byte(text))
		if !ok {
			return q, outcome.Faultf(outcome.Malformed, "parameter _since: '%s' is no instant, such as 2020-12-31T23:59:59Z", clip(text))
		}
		q.Since, _ = v.Bounds()
	}
	if text := c.query.Get("_at"); text != "" {
		v, ok := temporal.Parse(temporal.DateTime, []byte(text))
		if !ok {
			return q, outcome.Faultf(outcome.Malformed, "parameter _at: '%s' is no dateTime, such as 2020 or 2020-12-31T23:59:59Z", clip(text))
		}
		q.At.From, q.At.To = v.Bounds()
	}
	return q, nil
}

// countOf reads _count, of which the most is taken when it is greater.
func countOf(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, outcome.Faultf(outcome.Malformed, "parameter _count: '%s' is no number of 1 or more", clip(text))
	}
	return min(n, most), nil
}

// writeHistory writes the Bundle of one page. Its links come last: the next page is
// known then.
func (c *call) writeHistory(w *stream, q lake.HistoryQuery, cut subset) error {
	w.text(`{"resourceType":"Bundle","type":"history"`)
	sep := `,"entry":[`
	buf := make([]byte, 0, 4096)
	next, total, err := c.ds.store.History(q, func(r *lake.Resource) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if cut.summary == summaryCount {
			return nil
		}
		if ok, err := c.reaches(r); err != nil || !ok {
			return err
		}
		var err error
		if buf, err = c.appendVersion(append(buf[:0], sep...), r, &cut); err != nil {
			return err
		}
		sep = ","
		return w.bytes(buf)
	})
	switch {
	case errors.Is(err, lake.ErrNotFound):
		return c.readFault(err)
	case errors.Is(err, lake.ErrToken):
		return outcome.Faultf(outcome.Malformed, "parameter %s is none that this data store gave, or no longer one", pageParameter)
	case err != nil:
		return err
	}
	buf = buf[:0]
	if sep == "," {
		buf = append(buf, ']')
	}
	if total >= 0 && !c.access.Limited() {
		buf = strconv.AppendInt(append(buf, `,"total":`...), total, 10)
	}
	buf = c.appendLink(append(buf, `,"link":[`...), "self", c.query)
	if next != "" && cut.summary != summaryCount {
		further := url.Values{}
		for k, v := range c.query {
			further[k] = v
		}
		further.Set(pageParameter, string(next))
		buf = c.appendLink(append(buf, ','), "next", further)
	}
	return w.bytes(append(buf, `]}`...))
}

// appendLink appends a link to what the call asks for, with these parameters.
func (c *call) appendLink(dst []byte, relation string, q url.Values) []byte {
	u := c.base
	if c.typ != 0 {
		u += "/" + c.typ.String()
	}
	if c.id != "" {
		u += "/" + c.id
	}
	u += "/_history"
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	dst = append(append(append(dst, `{"relation":"`...), relation...), `","url":`...)
	return append(fhir.AppendQuoted(dst, u), '}')
}

// appendVersion appends the entry of one version.
func (c *call) appendVersion(dst []byte, r *lake.Resource, cut *subset) ([]byte, error) {
	name := r.Type.String() + "/" + r.ID
	dst = append(dst, `{"fullUrl":`...)
	dst = fhir.AppendQuoted(dst, c.base+"/"+name)
	if r.Method != delta.Delete {
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
	}
	method, target, status := "PUT", name, "200 OK"
	switch r.Method {
	case delta.Create:
		method, target, status = "POST", r.Type.String(), "201 Created"
	case delta.Update:
		if r.Number == 1 {
			status = "201 Created"
		}
	case delta.Patch:
		method = "PATCH"
	case delta.Delete:
		method, status = "DELETE", "204 No Content"
	}
	dst = fmt.Appendf(dst, `,"request":{"method":"%s","url":"%s"},"response":{"status":"%s","etag":"W/\"%d\"","lastModified":"%s"}}`,
		method, target, status, r.Number, instant(r.Updated))
	return dst, nil
}
