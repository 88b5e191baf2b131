package search_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func definitions(tb testing.TB, lines ...string) *pipeline.Batch {
	tb.Helper()
	b := &pipeline.Batch{Lenient: true}
	for _, l := range lines {
		start := uint32(len(b.Data))
		b.Data = append(append(b.Data, l...), '\n')
		b.Records = append(b.Records, pipeline.Record{Start: start, End: start + uint32(len(l)), Entry: -1, Root: -1})
	}
	b.Pad()
	w, err := parse.New().NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.Process(context.Background(), b); err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestDefinition(t *testing.T) {
	b := definitions(t, `{"resourceType":"SearchParameter","url":"http://example.org/birth","name":"b","status":"active","description":"d","code":"birth-or-made","base":["Patient","Device"],"type":"date","expression":"Patient.birthDate | (Device.manufactureDate) | meta.lastUpdated","comparator":["eq","gt"],"multipleOr":false,"target":["Patient"],"xpathUsage":"normal","component":[{"definition":"http://example.org/x|1","expression":"y"}]}`)
	got, err := search.Definition(&b.Tree, b.Records[0].Root)
	if err != nil {
		t.Fatal(err)
	}
	p := r4.SearchParameter{
		Code: "birth-or-made", URL: "http://example.org/birth", Base: r4.TypePatient, Type: r4.SearchDate, Expression: "Patient.birthDate | meta.lastUpdated",
		Comparators: []string{"eq", "gt"}, SingleValue: true, Targets: []r4.TypeID{r4.TypePatient},
		Components: []r4.SearchComponent{{URL: "http://example.org/x", Expression: "y"}},
	}
	q := p
	q.Base, q.Expression = r4.TypeDevice, "(Device.manufactureDate) | meta.lastUpdated"
	if diff := cmp.Diff([]r4.SearchParameter{p, q}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDefinitionsAtFault(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"another resource", `"resourceType":"SearchParameter"`, `"resourceType":"Patient"`, "no SearchParameter"},
		{"no url", `"url":"http://example.org/x",`, ``, "no url"},
		{"code of the common ones", `"code":"x"`, `"code":"_x"`, "its code"},
		{"code with a modifier", `"code":"x"`, `"code":"x:y"`, "its code"},
		{"no type", `"type":"token"`, `"type":"tokens"`, "its type"},
		{"special", `"type":"token"`, `"type":"special"`, "special"},
		{"no expression", `"expression":"Patient.gender"`, `"xpath":"f:x"`, "no expression"},
		{"another type in the expression", `Patient.gender`, `Person.gender`, "begins at Patient"},
		{"no base", `"base":["Patient"]`, `"base":[]`, "no base"},
		{"base is a datatype", `"base":["Patient"]`, `"base":["HumanName"]`, "HumanName in its base"},
		{"target is none", `"base"`, `"target":["Nobody"],"base"`, "Nobody in its target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := `{"resourceType":"SearchParameter","url":"http://example.org/x","code":"x","base":["Patient"],"type":"token","expression":"Patient.gender"}`
			if !strings.Contains(whole, c.from) {
				t.Fatal("the definition has no " + c.from)
			}
			b := definitions(t, strings.Replace(whole, c.from, c.to, 1))
			_, err := search.Definition(&b.Tree, b.Records[0].Root)
			var f search.Fault
			if !errors.As(err, &f) || !strings.Contains(f.Reason, c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// R4's own definitions are read as the generated table has them.
func TestDefinitionsOfR4AreThoseOfTheTable(t *testing.T) {
	data := corpus.Files(t, corpus.Folder(t, "r4-examples"))["SearchParameter"]
	var lines []string
	corpus.EachLine(data, func(_ int, s, e uint32) { lines = append(lines, string(data[s:e])) })
	b := definitions(t, lines...)
	compared := 0
	for i := range b.Records {
		list, err := search.Definition(&b.Tree, b.Records[i].Root)
		if err != nil {
			continue // examples that are no R4 parameters, and those without expression
		}
		for _, p := range list {
			own := r4.SearchParameters(p.Base)
			at := slices.IndexFunc(own, func(q r4.SearchParameter) bool { return q.URL == p.URL })
			if at < 0 {
				continue
			}
			q := own[at]
			compared++
			for c := range q.Components { // NewTable finds the parameter of a component
				q.Components = slices.Clone(q.Components)
				q.Components[c].Code, q.Components[c].Type = "", 0
			}
			if len(p.Targets) >= 145 {
				p.Targets = nil // a reference to any resource, written out
			}
			slices.Sort(p.Targets)
			slices.Sort(q.Targets)
			if diff := cmp.Diff(q, p); diff != "" {
				t.Errorf("%s of %s: %s", p.URL, p.Base, diff)
			}
		}
	}
	t.Logf("%d definitions compared", compared)
	if compared < 20 {
		t.Error("too few definitions to compare")
	}
}
