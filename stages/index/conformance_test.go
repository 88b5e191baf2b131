package index_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/index"
)

var update = flag.Bool("update", false, "rewrite the table of results")

const resultsFile = "testdata/parameters.txt"

// Parameters whose definition in R4 is wrong as it is written, with what is meant: the
// twin evaluates that.
var corrected = map[string]struct {
	why        string
	components []string
}{
	"DocumentReference.relationship": {"its two expressions are the wrong way round", []string{"target", "code"}},
	"Observation.code-value-date":    {"there is no type DateTime", []string{"code", "value.as(dateTime) | value.as(Period)"}},
}

// withoutRows says where the values of parameters without rows come from.
var withoutRows = map[search.Origin]string{
	search.OriginID: "by the id index", search.OriginUpdated: "by the time of storing", search.OriginCreated: "by the time of storing",
	search.OriginText: "words of the narrative", search.OriginContent: "words of all texts", search.OriginQuery: "not offered",
}

// result counts what one parameter found in one set of data.
type result struct{ resources, values int }

// TestEveryParameterAgainstTwin compares the values of each parameter of each type of
// R4 on each resource of two sets with those of a second, plain implementation. How
// many there are is in a table that is kept, so that a parameter without values in the
// data shows.
func TestEveryParameterAgainstTwin(t *testing.T) {
	sets := []string{"r4-examples", "synthea-small"}
	found := map[*r4.SearchParameter]*[2]result{}
	for i, set := range sets {
		data := corpus.Files(t, corpus.Folder(t, set))
		c := newComparison(t)
		for _, name := range corpus.Names(data) {
			c.file(data[name])
		}
		for p, r := range c.found {
			if found[p] == nil {
				found[p] = &[2]result{}
			}
			found[p][i] = r
		}
		t.Logf("%s: %d resources, %d comparisons, %d differ", set, c.resources, c.compared, c.differ)
	}
	table := resultTable(found)
	if *update {
		if err := os.WriteFile(resultsFile, table, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(table, want) {
		t.Errorf("the results are not those in %s; run with -update and look at the change", resultsFile)
	}
}

// resultTable has a line for each parameter as its base type declares it.
func resultTable(found map[*r4.SearchParameter]*[2]result) []byte {
	var b bytes.Buffer
	parameters, silent := 0, 0
	var lines bytes.Buffer
	for typ := range r4.TypeID(r4.NumTypes()) {
		own := r4.SearchParameters(typ)
		for i := range own {
			p := &own[i]
			parameters++
			some := typ
			if !typ.IsResourceType() {
				some = r4.TypePatient
			}
			fmt.Fprintf(&lines, "%-60s", typ.String()+"."+p.Code)
			q := search.R4().Parameter(some, p.Code)
			if q.Origin != search.OriginRows {
				fmt.Fprintf(&lines, " %s\n", withoutRows[q.Origin])
				continue
			}
			r := found[p]
			if r == nil {
				silent++
				fmt.Fprint(&lines, " no value in the data")
			} else {
				fmt.Fprintf(&lines, " %6d/%d %8d/%d", r[0].resources, r[0].values, r[1].resources, r[1].values)
			}
			if x := corrected[typ.String()+"."+p.Code]; x.why != "" {
				fmt.Fprintf(&lines, "  as meant: %s", x.why)
			}
			fmt.Fprintln(&lines)
		}
	}
	fmt.Fprintf(&b, "# Search parameters of R4 by base type: resources that have a value, and values, in r4-examples and in\n"+
		"# synthea-small. Each was compared with a second implementation; none differ.\n"+
		"# %d parameters, %d of them without a value in the data.\n", parameters, silent)
	lines.WriteTo(&b)
	return b.Bytes()
}

// comparison evaluates resources in both ways.
type comparison struct {
	t         *testing.T
	chain     pipeline.Worker
	found     map[*r4.SearchParameter]result
	resources int
	compared  int
	differ    int
}

func newComparison(t *testing.T) *comparison {
	w, err := index.New(search.R4()).NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	return &comparison{t: t, chain: w, found: map[*r4.SearchParameter]result{}}
}

func (c *comparison) file(data []byte) {
	for _, b := range batches(c.t, data, false) {
		for i := range b.Records { // faults of an example are no reason not to compare
			if b.Records[i].Root >= 0 && b.Records[i].Type.IsResourceType() {
				b.Records[i].Status = pipeline.Pending
			}
		}
		if err := c.chain.Process(context.Background(), b); err != nil {
			c.t.Fatal(err)
		}
		for _, x := range b.Issues {
			if strings.Contains(x.Diagnostics, "search parameter") {
				c.t.Errorf("line %d: %s", b.Records[x.Record].Line, x.Diagnostics)
			}
		}
		rows := rowsOf(b)
		for i := range b.Records {
			if r := &b.Records[i]; r.Status == pipeline.Pending {
				c.resource(r.Type, b.Line(r), rows[int32(i)])
			}
		}
	}
}

func (c *comparison) resource(typ r4.TypeID, line []byte, rows []rowText) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var object any
	if err := d.Decode(&object); err != nil {
		c.t.Fatal(err)
	}
	c.resources++
	x := &twin{resource: item{json: object, typ: typ}}
	for p := range r4.AllSearchParameters(typ) {
		q := search.R4().Parameter(typ, p.Code)
		if q.Origin != search.OriginRows {
			continue
		}
		got, want := actual(q, rows), x.expected(p)
		c.compared++
		if !slices.Equal(got, want) {
			if c.differ++; c.differ < 20 {
				id, _ := object.(map[string]any)["id"].(string)
				c.t.Errorf("%s/%s %s:\nstage %q\ntwin  %q", typ, id, p.Code, got, want)
			}
		}
		if len(got) > 0 {
			r := c.found[p]
			c.found[p] = result{r.resources + 1, r.values + len(got)}
		}
	}
}

// expected gives the values that the twin finds, sorted, each once; of a composite the
// values of each element that it binds.
func (t *twin) expected(p *r4.SearchParameter) (out []string) {
	if p.Type != r4.SearchComposite {
		kind := search.KindOf(p.Type)
		if p.Code == "near" {
			kind = search.KindNumber
		}
		for _, x := range t.eval(p.Expression, t.resource) {
			if p.URL == "http://hl7.org/fhir/SearchParameter/Bundle-composition" && x.typ != r4.TypeComposition ||
				p.URL == "http://hl7.org/fhir/SearchParameter/Bundle-message" && x.typ != r4.TypeMessageHeader {
				continue
			}
			out = append(out, t.values(kind, x)...)
		}
		return sorted(out)
	}
	expressions := corrected[p.Base.String()+"."+p.Code].components
	if expressions == nil {
		for _, c := range p.Components {
			expressions = append(expressions, c.Expression)
		}
	}
	for _, focus := range t.eval(p.Expression, t.resource) {
		var parts []string
		any := false
		for i, c := range p.Components {
			var values []string
			for _, x := range t.eval(expressions[i], focus) {
				for _, v := range t.values(search.KindOf(c.Type), x) {
					if !strings.HasPrefix(v, "text ") && !strings.HasPrefix(v, "of-type ") && !strings.HasPrefix(v, "identifier ") {
						values = append(values, v)
					}
				}
			}
			any = any || len(values) > 0 && !strings.HasPrefix(c.Expression, "%")
			parts = append(parts, fmt.Sprintf("%q", sorted(values)))
		}
		if any {
			out = append(out, strings.Join(parts, " with "))
		}
	}
	slices.Sort(out)
	return out
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// actual gives the same of the stage's rows, as a query would look at them.
func actual(q *search.Parameter, rows []rowText) (out []string) {
	for _, m := range q.Terms {
		for _, f := range []search.Facet{search.Main, search.FacetText, search.FacetOfType, search.FacetIdentifier, search.FacetLatitude, search.FacetLongitude} {
			for _, r := range rows {
				if r.group == m.Group(f) && (f != search.Main || m.Target == 0 || r.target == m.Target) {
					out = append(out, facetPrefix(f, r.text))
				}
			}
		}
	}
	if len(q.Bindings) == 0 {
		return sorted(out)
	}
	for _, b := range q.Bindings {
		parts := []uint32{0}
		if b.Parts {
			parts = parts[:0]
			for _, r := range rows {
				if r.part > 0 && !slices.Contains(parts, r.part) {
					parts = append(parts, r.part)
				}
			}
		}
		for _, part := range parts {
			var values []string
			any := false
			for i, terms := range b.Components {
				var list []string
				for _, m := range terms {
					for _, r := range rows {
						if r.group == m.Group(search.Main) && (!b.Parts || b.Whole[i] || r.part == part) {
							list = append(list, r.text)
						}
					}
				}
				any = any || len(list) > 0 && !b.Whole[i]
				values = append(values, fmt.Sprintf("%q", sorted(list)))
			}
			if any {
				out = append(out, strings.Join(values, " with "))
			}
		}
	}
	slices.Sort(out)
	return out
}

// facetPrefix names a row by its facet: rows of other facets are tokens, strings and
// numbers too.
func facetPrefix(f search.Facet, text string) string {
	_, rest, _ := strings.Cut(text, " ")
	switch f {
	case search.FacetText:
		return "text " + rest
	case search.FacetOfType:
		return "of-type " + rest
	case search.FacetIdentifier:
		return "identifier " + rest
	case search.FacetLatitude:
		return "latitude " + rest[:strings.IndexByte(rest, ' ')]
	case search.FacetLongitude:
		return "longitude " + rest[:strings.IndexByte(rest, ' ')]
	}
	return text
}

// rowText is a row in the form of the twin.
type rowText struct {
	group  search.GroupID
	part   uint32
	target r4.TypeID
	text   string
}

// rowsOf gives the rows of a batch by record.
func rowsOf(b *pipeline.Batch) map[int32][]rowText {
	v := pipeline.SearchValues.Of(b)
	text := func(t search.Text) string { return string(v.Text(t)) }
	all := map[int32][]rowText{}
	add := func(r search.Row, format string, args ...any) {
		all[r.Record] = append(all[r.Record], rowText{group: r.Group, part: r.Part, text: fmt.Sprintf(format, args...)})
	}
	for _, x := range v.Tokens {
		kind := "token"
		if x.Implied {
			kind = "implied"
		}
		if x.Folded {
			kind = "lower"
		}
		add(x.Row, "%s %s|%s", kind, text(x.System), text(x.Code))
	}
	for _, x := range v.Strings {
		if x.Word {
			add(x.Row, "word %s", text(x.Folded))
		} else {
			add(x.Row, "string %s|%s", text(x.Folded), text(x.Exact))
		}
	}
	for _, x := range v.Dates {
		add(x.Row, "date %d %d", x.Start, x.End)
	}
	for _, x := range v.Numbers {
		add(x.Row, "number %v %v", x.Low, x.High)
	}
	for _, x := range v.Quantities {
		add(x.Row, "%s", quantityText(x.Low, x.High, text(x.System), text(x.Code), text(x.Unit), text(x.Base), x.In.Low, x.In.High))
	}
	for _, x := range v.References {
		typ := ""
		if x.Type != 0 {
			typ = x.Type.String()
		}
		add(x.Row, "%s", referenceText(typ, text(x.ID), text(x.URL), text(x.Version)))
		last := all[x.Record]
		last[len(last)-1].target = x.Type
	}
	for _, x := range v.URIs {
		add(x.Row, "uri %s|%s", text(x.Value), text(x.Version))
	}
	return all
}
