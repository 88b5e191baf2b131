package rest_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
)

// found is what a test looks at of a Bundle.
type found struct {
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Resource struct {
			ResourceType, ID string
			BirthDate        string
			Issue            []struct{ Diagnostics string }
		}
		Search struct{ Mode string }
	}
}

func (f *found) ids(mode string) (ids []string) {
	for _, e := range f.Entry {
		if e.Search.Mode == mode {
			ids = append(ids, e.Resource.ResourceType+"/"+e.Resource.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (f *found) next() string {
	for _, l := range f.Link {
		if l.Relation == "next" {
			return strings.TrimPrefix(l.URL, "http://lake.test/datastore/ds/r4")
		}
	}
	return ""
}

// searchServer is a handler that searches, over some resources.
func searchServer(t *testing.T) http.Handler {
	s := newServer(t, nil)
	index, err := search.Open(t.Context(), search.Options{Lake: s.lake, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := index.Close(); err != nil {
			t.Error(err)
		}
	})
	ds, err := rest.NewDataStore(rest.DataStoreOptions{Store: s.lake, Secret: secret, Search: index})
	if err != nil {
		t.Fatal(err)
	}
	h := rest.New(rest.Options{DataStore: func(string) (*rest.DataStore, error) { return ds, nil }, BaseURL: "http://lake.test"})
	for path, body := range map[string]string{
		"/Patient/p1":      `{"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1980-02-03","managingOrganization":{"reference":"Organization/o1"}}`,
		"/Patient/p2":      `{"resourceType":"Patient","id":"p2","gender":"male","birthDate":"1990-02-03"}`,
		"/Patient/p3":      `{"resourceType":"Patient","id":"p3","gender":"female"}`,
		"/Organization/o1": `{"resourceType":"Organization","id":"o1","name":"Müller & Sons"}`,
		"/Observation/b1":  `{"resourceType":"Observation","id":"b1","status":"final","code":{"text":"x"},"subject":{"reference":"http://lake.test/datastore/ds/r4/Patient/p1"}}`,
	} {
		if w := do(t, h, "PUT", path, body); w.Code != http.StatusCreated {
			t.Fatalf("PUT %s: %d %s", path, w.Code, w.Body)
		}
	}
	return h
}

func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) (f found) {
	t.Helper()
	w := do(t, h, method, path, body, header...)
	if w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
		t.Fatalf("%s %s: %v\n%s", method, path, err, w.Body)
	}
	return f
}

func TestSearch(t *testing.T) {
	h := searchServer(t)
	form := "Content-Type: application/x-www-form-urlencoded"
	for _, tt := range []struct {
		method, path, body string
		matches, included  []string
	}{
		{"GET", "/Patient?gender=male", "", []string{"Patient/p1", "Patient/p2"}, nil},
		{"POST", "/Patient/_search", "gender=male&birthdate=ge1985", []string{"Patient/p2"}, nil},
		{"POST", "/Patient/_search?gender=male", "birthdate=lt1985", []string{"Patient/p1"}, nil},
		{"GET", "/Patient", "", []string{"Patient/p1", "Patient/p2", "Patient/p3"}, nil},
		{"GET", "/Observation?patient.organization.name=muller", "", []string{"Observation/b1"}, nil},
		{"GET", "/Patient?_has:Observation:patient:status=final", "", []string{"Patient/p1"}, nil},
		{"GET", "/Observation?_include=Observation:patient&_include:iterate=Patient:organization", "", []string{"Observation/b1"}, []string{"Organization/o1", "Patient/p1"}},
		{"GET", "/Patient?_id=p1&_revinclude=Observation:subject", "", []string{"Patient/p1"}, []string{"Observation/b1"}},
		{"GET", "/Patient/p1/Observation", "", []string{"Observation/b1"}, nil},
		{"GET", "/Patient/p1/*", "", []string{"Observation/b1", "Patient/p1"}, nil},
		{"GET", "?_id=p1,o1", "", []string{"Organization/o1", "Patient/p1"}, nil},
		{"GET", "?_type=Patient,Observation&_lastUpdated=gt2000", "", []string{"Observation/b1", "Patient/p1", "Patient/p2", "Patient/p3"}, nil},
	} {
		header := []string{"Prefer: handling=strict"}
		if tt.method == "POST" {
			header = append(header, form)
		}
		f := ask(t, h, tt.method, tt.path, tt.body, header...)
		if d := cmp.Diff([2][]string{tt.matches, tt.included}, [2][]string{f.ids("match"), f.ids("include")}); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.method, tt.path, d)
		}
		if f.Total == nil || *f.Total != len(tt.matches) {
			t.Errorf("%s %s: total %v", tt.method, tt.path, f.Total)
		}
	}
}

func TestSearchLinksLeadThroughAllPages(t *testing.T) {
	h := searchServer(t)
	var got []string
	for path := "/Patient?_count=1&_sort=-birthdate&gender=male,female"; path != ""; {
		f := ask(t, h, "GET", path, "")
		got = append(got, f.ids("match")...)
		path = f.next()
		if len(f.Entry) > 0 && !strings.HasPrefix(f.Entry[0].FullURL, "http://lake.test/datastore/ds/r4/Patient/p") {
			t.Errorf("fullUrl %s", f.Entry[0].FullURL)
		}
	}
	if d := cmp.Diff([]string{"Patient/p2", "Patient/p1", "Patient/p3"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSearchTellsWhatItLeavesOut(t *testing.T) {
	h := searchServer(t)
	f := ask(t, h, "GET", "/Patient?gender=female&colour=red", "")
	if d := cmp.Diff([]string{"Patient/p3"}, f.ids("match")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	last := f.Entry[len(f.Entry)-1]
	if last.Search.Mode != "outcome" || !strings.Contains(last.Resource.Issue[0].Diagnostics, "colour") || strings.Contains(f.Link[0].URL, "colour") {
		t.Errorf("entry %+v, link %s", last, f.Link[0].URL)
	}
	if w := do(t, h, "GET", "/Patient?colour=red", "", "Prefer: handling=strict"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "colour") {
		t.Errorf("strict: %d %s", w.Code, w.Body)
	}
	if w := do(t, h, "GET", "/Patient?gender=male&_page=AAAA", ""); w.Code != http.StatusBadRequest {
		t.Errorf("a token that nobody gave: %d %s", w.Code, w.Body)
	}
	f = ask(t, h, "GET", "/Patient?gender=male&_summary=count", "")
	if f.Total == nil || *f.Total != 2 || len(f.Entry) != 0 {
		t.Errorf("count: %+v", f)
	}
	f = ask(t, h, "GET", "/Patient?gender=male&_elements=gender", "")
	if len(f.Entry) != 2 || f.Entry[0].Resource.BirthDate != "" {
		t.Errorf("elements: %+v", f)
	}
	f = ask(t, h, "GET", "/Patient?gender=male&_explain=true", "")
	if last := f.Entry[len(f.Entry)-1]; last.Search.Mode != "outcome" || !strings.Contains(last.Resource.Issue[0].Diagnostics, "SELECT") {
		t.Errorf("explain: %+v", last)
	}
}
