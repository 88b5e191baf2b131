package search_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
)

// TestSearchesAnswerTheSameAfterIndexFilesAreMerged has a file for each of some imports, of types
// of their own, so that a compaction writes nothing anew but the index.
func TestSearchesAnswerTheSameAfterIndexFilesAreMerged(t *testing.T) {
	dir := corpus.Folder(t, "r4-examples")
	s := newStore(t, nil)
	s.lenient = true
	m, err := searchtest.NewStore(fhirsearch.R4())
	if err != nil {
		t.Fatal(err)
	}
	for _, types := range [][]string{{"Patient", "Encounter", "Organization"}, {"Observation", "Practitioner"}, {"Condition", "ValueSet", "Location"}, {"MedicationRequest", "DiagnosticReport"}} {
		input := filepath.Join(t.TempDir(), "in.ndjson")
		var file []byte
		for _, name := range types {
			file = append(file, corpus.Read(t, filepath.Join(dir, name+".ndjson.gz"))...)
		}
		if err := os.WriteFile(input, file, 0o644); err != nil {
			t.Fatal(err)
		}
		s.load(input)
		for _, name := range types {
			ids, _ := s.walk(name, "_count=1000")
			for _, ref := range ids {
				_, id, _ := bytes.Cut([]byte(ref), []byte("/"))
				r, err := s.lake.Read(r4.ResourceTypeByName([]byte(name)), string(id), nil)
				if err == nil {
					err = m.Put(append(r.JSON, '\n'), r.Updated)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if m.Len() < 200 {
		t.Fatalf("%d resources are too few", m.Len())
	}
	type answer struct {
		total int64
		ids   []string
	}
	ask := func() (all []answer, found int) {
		g := searchtest.NewGenerator(m, rand.New(rand.NewPCG(3, 4)), search.Features)
		for range 120 {
			r := g.Next().Request(modelNow)
			q, page, err := s.ask(r, "")
			if err != nil {
				t.Fatal(err)
			}
			a := answer{total: page.Total}
			if !q.CountOnly() {
				a.ids, _ = s.walkAll(r)
				slices.Sort(a.ids) // resources of one sort key have no order
			}
			all, found = append(all, a), found+len(a.ids)
		}
		return all, found
	}
	want, found := ask()
	res, err := bulk.Compact(t.Context(), bulk.CompactOptions{Lake: s.lake, SearchIndex: true})
	if err != nil {
		t.Fatal(err)
	}
	if res.Rewritten != 0 || res.Before.IndexFiles != 4 || res.After.IndexFiles >= 4 {
		t.Fatalf("the compaction did something else: %+v", *res)
	}
	got, _ := ask()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); d != "" || found < 100 {
		t.Errorf("%d found (-before +after):\n%s", found, d)
	}
}
