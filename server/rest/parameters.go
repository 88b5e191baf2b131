package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// parameters gives the search parameters of the data store; nil for those of R4 alone.
func (d *DataStore) parameters(ctx context.Context) (*parameters.Offered, error) {
	if d.options.Parameters == nil {
		return nil, nil
	}
	return d.options.Parameters.Now(ctx)
}

// parse reads a search by the parameters that the data store has now.
func (c *call) parse(r query.Request) (*query.Query, error) {
	known, err := c.ds.parameters(c.ctx)
	if err != nil {
		return nil, err
	}
	p := capability.Searches
	if known != nil {
		p.Parameters = known
	}
	return p.Parse(r)
}

// checkParameter refuses an active SearchParameter that cannot be had.
func (d *DataStore) checkParameter(ctx context.Context, t *fhir.Tree, root fhir.NodeID, id string) error {
	known, err := d.parameters(ctx)
	if err != nil || known == nil {
		return err
	}
	if issues := known.Check(t, root, id); len(issues) > 0 {
		return &outcome.Fault{Kind: outcome.Unprocessable, Issues: issues}
	}
	return nil
}

// isReindex tells whether the call is POST $reindex of the data store, which is always
// answered later.
func (c *call) isReindex() bool {
	_, can := c.ds.store.(Reindexer)
	return can && c.method == http.MethodPost && c.kind == targetOperation && c.typ == 0 && c.operation == capability.Reindex.Name
}

// reindex indexes what is stored by the search parameters that it is not indexed by.
func (c *call) reindex() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	r, ok := c.ds.store.(Reindexer)
	if !ok {
		return nil, outcome.Faultf(outcome.NotSupported, "operation $reindex: this data store is not indexed anew")
	}
	if c.entry {
		return nil, outcome.Faultf(outcome.NotSupported, "operation $reindex is not processed in a Bundle")
	}
	segments, resources, err := r.Reindex(c.ctx)
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, json: outcome.Append(nil, []fhir.Issue{{
		Severity: fhir.Information, Code: "informational",
		Diagnostics: fmt.Sprintf("%d resources of %d segments were indexed", resources, segments),
	}}, outcome.At{})}, nil
}

// parameterStatus tells what becomes of the SearchParameter resources, of one with the
// parameter url, as Parameters.
func (c *call) parameterStatus() (*reply, error) {
	if err := c.checkQuery("url"); err != nil {
		return nil, err
	}
	known, err := c.ds.parameters(c.ctx)
	if err != nil {
		return nil, err
	}
	out := []byte(`{"resourceType":"Parameters"`)
	sep := `,"parameter":[`
	if known != nil {
		url := c.query.Get("url")
		for _, d := range known.States() {
			if url != "" && d.URL != url {
				continue
			}
			out = append(append(out, sep...), `{"name":"searchParameterStatus","part":[{"name":"reference","valueString":`...)
			out = fhir.AppendQuoted(out, "SearchParameter/"+d.ID)
			for _, part := range [...]struct{ name, kind, value string }{
				{"url", "valueUri", d.URL}, {"code", "valueCode", d.Code}, {"status", "valueCode", string(d.State)}, {"reason", "valueString", d.Reason},
			} {
				if part.value != "" {
					out = append(append(out, `},{"name":"`+part.name+`","`+part.kind+`":`...), fhir.AppendQuoted(nil, part.value)...)
				}
			}
			out, sep = append(out, `}]}`...), ","
		}
	}
	if sep == "," {
		out = append(out, ']')
	}
	return &reply{status: http.StatusOK, json: append(out, '}')}, nil
}
