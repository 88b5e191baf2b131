package search_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
	"github.com/fhirlake/fhirlake/store/lake"
)

// examples fills a data store with the official examples of some types, half of them
// imported and half written since, and a model with what is there then.
func examples(t *testing.T) (*store, *searchtest.Store) {
	t.Helper()
	dir := corpus.Folder(t, "r4-examples")
	var file bytes.Buffer
	written := map[string]string{}
	var refs []string
	for _, name := range []string{
		"Patient", "Observation", "Encounter", "Condition", "ValueSet", "RiskAssessment", "MedicationRequest", "Practitioner", "Organization",
		"Location", "DiagnosticReport", "Provenance", "Medication", "List", "DocumentReference", "Group", "Immunization", "CodeSystem",
	} {
		data := corpus.Read(t, filepath.Join(dir, name+".ndjson.gz"))
		corpus.EachLine(data, func(_ int, start, end uint32) {
			line := data[start:end]
			_, rest, _ := bytes.Cut(line, []byte(`"id":"`))
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			ref := name + "/" + string(id)
			if len(id) == 0 || slices.Contains(refs, ref) {
				return
			}
			refs = append(refs, ref)
			rest, ok := bytes.CutPrefix(line, []byte(`{"resourceType":"`+name+`","id":"`+string(id)+`",`))
			if len(refs)%2 == 0 && ok && !bytes.HasPrefix(rest, []byte(`"meta"`)) {
				written[ref] = string(bytes.TrimSuffix(rest, []byte("}")))
			} else {
				file.Write(append(line, '\n'))
			}
		})
	}
	input := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(input, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, nil)
	s.lenient = true
	s.load(input)
	s.put(written)
	m, err := searchtest.NewStore(fhirsearch.R4())
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		typ, id, _ := strings.Cut(ref, "/")
		r, err := s.lake.Read(r4.ResourceTypeByName([]byte(typ)), id, nil)
		if errors.Is(err, lake.ErrNotFound) {
			continue // rejected
		}
		if err == nil {
			err = m.Put(append(r.JSON, '\n'), r.Updated)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(written) < 100 || m.Len() < 400 {
		t.Fatalf("%d resources, of which %d were written: too few", m.Len(), len(written))
	}
	return s, m
}

// TestRandomSearchesFindWhatTheModelFinds compares the index with the evaluation by
// definition: what matches, how many, and that pages are in the order of the sort keys.
func TestRandomSearchesFindWhatTheModelFinds(t *testing.T) {
	s, m := examples(t)
	g := searchtest.NewGenerator(m, rand.New(rand.NewPCG(1, 2)), search.Features)
	asked, found := 0, 0
	rounds := 600
	if testing.Short() {
		rounds = 150
	}
	for range rounds {
		asked++
		found += agree(t, s, m, g.Next())
		if t.Failed() {
			return
		}
	}
	t.Logf("%d searches found %d resources", asked, found)
	if asked < rounds*3/4 || found < asked {
		t.Errorf("%d searches found %d resources: too few to tell anything", asked, found)
	}
}

// agree compares what the index gives for a search with what the model gives, and tells how
// many that is.
func agree(t *testing.T, s *store, m *searchtest.Store, x searchtest.Search) int {
	t.Helper()
	r := x.Request(modelNow)
	q, page, err := s.ask(r, "")
	if err != nil {
		t.Fatalf("%s: %v", x, err)
	}
	want, err := m.Search(q)
	if err != nil {
		t.Fatalf("%s: %v", x, err)
	}
	if page.Total >= 0 && page.Total != int64(len(want)) {
		t.Errorf("%s: total %d, want %d", x, page.Total, len(want))
	}
	if q.CountOnly() {
		return len(want)
	}
	ids, _ := s.walkAll(r)
	compareOrder(t, m, q, x.String(), ids)
	var wanted []string
	for _, y := range want {
		wanted = append(wanted, y.Type.String()+"/"+y.ID)
	}
	slices.Sort(wanted)
	slices.Sort(ids)
	if d := cmp.Diff(wanted, ids); d != "" {
		t.Errorf("%s (-want +got):\n%s%s", x, d, q)
	}
	return len(want)
}

// compareOrder checks that each resource may come before the next.
func compareOrder(t *testing.T, m *searchtest.Store, q *query.Query, name string, ids []string) {
	t.Helper()
	var last *searchtest.Resource
	for _, ref := range ids {
		typ, id, _ := strings.Cut(ref, "/")
		x := m.Get(searchtest.Key{Type: r4.ResourceTypeByName([]byte(typ)), ID: id})
		if x == nil {
			t.Fatalf("%s: %s is not there", name, ref)
		}
		if last != nil && searchtest.Compare(q, last, x) > 0 {
			t.Errorf("%s: %s comes before %s/%s", name, ref, x.Type, last.ID)
		}
		last = x
	}
}

// TestCasesBySection asks what the specification says, section by section.
func TestCasesBySection(t *testing.T) {
	cases, err := searchtest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Section, func(t *testing.T) {
			s := newStore(t, nil)
			s.lenient = true
			input := filepath.Join(t.TempDir(), "in.ndjson")
			if err := os.WriteFile(input, []byte(c.Resources), 0o644); err != nil {
				t.Fatal(err)
			}
			s.load(input)
			for _, f := range c.Searches {
				r := f.Search.Request(modelNow)
				q, page, err := s.ask(r, "")
				if err != nil {
					t.Errorf("%s: %v", f.Search, err)
					continue
				}
				ids, _ := s.walkAll(r)
				for i := range ids {
					_, ids[i], _ = strings.Cut(ids[i], "/")
				}
				if len(q.Selects[0].Sort) == 0 {
					slices.Sort(ids)
				}
				var included []string
				for i := range page.Included {
					included = append(included, page.Included[i].ID)
				}
				slices.Sort(included)
				if d := cmp.Diff(append([]string{}, f.IDs...), append([]string{}, ids...)); d != "" {
					t.Errorf("%s (-want +got):\n%s", f.Search, d)
				}
				if d := cmp.Diff(append([]string{}, f.Included...), append([]string{}, included...)); d != "" {
					t.Errorf("%s: included (-want +got):\n%s", f.Search, d)
				}
			}
		})
	}
}
