package datastores_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// keep commits a resource with what is to be kept beside it.
func (s *searched) keep(text string, kept ...beside.Value) {
	s.t.Helper()
	secret, err := hex.DecodeString(s.data.HashKey)
	if err != nil {
		s.t.Fatal(err)
	}
	identifier, err := identify.New(secret, nil, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	chain, err := pipeline.NewChain(parse.New(), identifier)
	if err != nil {
		s.t.Fatal(err)
	}
	defer chain.Close()
	var b pipeline.Batch
	b.Reset()
	b.Lenient = true
	b.Data = []byte(text)
	b.Records = []pipeline.Record{{File: &pipeline.File{Name: "test"}, Entry: -1, End: uint32(len(text)), Root: fhir.NoNode}}
	b.Pad()
	if err := chain.Process(s.t.Context(), &b); err != nil {
		s.t.Fatal(err)
	}
	r := &b.Records[0]
	w := lake.Write{Type: r.Type, ID: string(r.ID), Key: r.Key, Content: r.Content, Method: delta.Update, Beside: kept}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return fhir.AppendStamped(dst, &b.Tree, r.Root, number, updated)
	}
	l, err := s.set.Lake(s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := l.Commit(s.t.Context(), []lake.Write{w}); err != nil {
		s.t.Fatal(err)
	}
}

func notes(message string) beside.Value {
	return beside.Value{Kind: beside.NLP, Data: fmt.Appendf(nil, `{"engine":"7","dictionary":"ab","texts":[{"path":"content[0].attachment","status":"SUCCESS","message":"found %s"}]}`, message)}
}

// TestWhatIsBesideIsShownWhereverAResourceIs asks for resources in every way there is, while
// they are in the delta and when they are in the snapshot. What goes out and comes back is
// unchanged.
func TestWhatIsBesideIsShownWhereverAResourceIs(t *testing.T) {
	e := newExporting(t, write(t, `{"resourceType":"Patient","id":"p"}`))
	issues := beside.Value{Kind: beside.Issues, Data: []byte(`[{"severity":"error","code":"value","diagnostics":"found an issue"}]`)}
	e.keep(`{"resourceType":"DocumentReference","id":"doc","status":"current","description":"old","subject":{"reference":"Patient/p"}}`, notes("one"))
	e.keep(`{"resourceType":"DocumentReference","id":"doc","status":"current","content":[{"attachment":{"title":"x"}}],"extension":[{"url":"urn:e","valueCode":"own"}],"subject":{"reference":"Patient/p"}}`, notes("two"))
	e.keep(`{"resourceType":"DiagnosticReport","id":"rep","status":"odd","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`, issues, notes("three"))
	e.keep(`{"resourceType":"Binary","id":"bin","contentType":"text/plain"}`, notes("what is not shown"))

	for _, state := range []string{"in the delta", "in the snapshot"} {
		if state == "in the snapshot" {
			if _, err := e.compact.Compact(t.Context(), e.id, datastores.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			at     string
			want   []string // found
			flawed bool
		}{
			{"/DocumentReference/doc", []string{"two"}, false},
			{"/DocumentReference/doc/_history/1", []string{"one"}, false},
			{"/DocumentReference/doc/_history/2", []string{"two"}, false},
			{"/DocumentReference/doc/_history", []string{"two", "one"}, false},
			{"/DocumentReference/_history", []string{"two", "one"}, false},
			{"/_history", []string{"three", "an issue", "two", "one"}, false},
			{"/DocumentReference?_id=doc", []string{"two"}, false},
			{"/DocumentReference?patient=p", []string{"two"}, false},
			{"/DocumentReference/doc?_elements=extension", []string{"two"}, false},
			{"/DocumentReference/doc?_elements=status", nil, false},
			{"/DiagnosticReport/rep", []string{"three", "an issue"}, true},
			{"/Patient?_id=p&_revinclude=DocumentReference:subject&_revinclude=DiagnosticReport:subject", []string{"two", "three", "an issue"}, false},
			{"/Patient/p/$everything", []string{"two", "three", "an issue"}, false},
			{"/Binary/bin", nil, false},
			{"/Patient/p", nil, false},
		} {
			resp, text := e.ask("GET", tt.at, "", "Accept", "application/fhir+json")
			want, got := sorted(tt.want), found(text)
			if diff := cmp.Diff(want, got); resp.StatusCode != 200 || diff != "" {
				t.Errorf("%s, %s: %d (-want +got):\n%s\n%s", tt.at, state, resp.StatusCode, diff, text)
			}
			if flawed := resp.Header.Get("X-Amzn-Healthlake-Validation-Issues") == "true"; flawed != tt.flawed {
				t.Errorf("%s, %s, is said to have issues: %v", tt.at, state, flawed)
			}
		}
		for at, want := range map[string]map[string][]string{
			"/$export": {"DocumentReference/doc": {"two"}, "DiagnosticReport/rep": {"three", "an issue"}, "Patient/p": nil, "Binary/bin": nil},
			"/$export?_type=DocumentReference,DiagnosticReport&_elements=DocumentReference.extension,DiagnosticReport.code": {"DocumentReference/doc": {"two"}, "DiagnosticReport/rep": nil},
			"/Patient/$export": {"DocumentReference/doc": {"two"}, "DiagnosticReport/rep": {"three", "an issue"}, "Patient/p": nil},
		} {
			_, all := e.export("GET", at, "")
			got := map[string][]string{}
			for name, text := range all {
				got[name] = found(text)
			}
			for name := range want {
				want[name] = sorted(want[name])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", at, state, diff)
			}
		}
		e.expectUnchanged(state)
	}
}

// expectUnchanged exports all and imports it again, and writes one resource back as it is
// read.
func (e *exporting) expectUnchanged(state string) {
	e.t.Helper()
	_, all := e.export("GET", "/$export", "")
	var lines []string
	for _, name := range names(all) {
		lines = append(lines, all[name])
	}
	l, err := e.set.Lake(e.id)
	if err != nil {
		e.t.Fatal(err)
	}
	res, err := bulk.Import(e.t.Context(), bulk.ImportOptions{
		Root: e.root, Catalog: e.catalog, Datastore: e.data, Lake: l, Inputs: []string{write(e.t, lines...)}, SearchIndex: true, Level: validate.Minimal, Memory: 256 << 20,
	})
	if err != nil || res.Unchanged != int64(len(lines)) || res.Resources != int64(len(lines)) {
		e.t.Errorf("%s: imported again: %+v, %v; want all of %d unchanged", state, res, err, len(lines))
	}
	resp, text := e.ask("PUT", "/DocumentReference/doc", all["DocumentReference/doc"], "Content-Type", "application/fhir+json")
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `W/"2"` || !slices.Equal(found(text), []string{"two"}) {
		e.t.Errorf("%s: written back as it was read: %d %s %s", state, resp.StatusCode, resp.Header.Get("ETag"), text)
	}
}

// found gives what is shown that was kept beside resources.
func found(text string) []string {
	var all []string
	for _, what := range []string{"one", "two", "three", "an issue", "what is not shown"} {
		if n := strings.Count(text, "found "+what); n > 0 {
			all = append(all, strings.Split(strings.Repeat(what+"\n", n), "\n")[:n]...)
		}
	}
	return sorted(all)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
