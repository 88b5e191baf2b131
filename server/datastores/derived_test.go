package datastores_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/store/catalog"
)

var namedResource = regexp.MustCompile(`"reference":"((?:Linkage|Condition|Observation|MedicationStatement)/[0-9a-f-]{36})"`)

// namedIn gives the references of what is derived from a document, by a read of it.
func (s *searched) namedIn(path string) (refs []string) {
	s.t.Helper()
	for _, m := range namedResource.FindAllStringSubmatch(s.resource("GET", path, ""), -1) {
		refs = append(refs, m[1])
	}
	return refs
}

// codeOf gives the code of the answer to a GET.
func (s *searched) codeOf(path string) int {
	s.t.Helper()
	res, err := s.client.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestDerivedResourcesAreFoundAndErased(t *testing.T) {
	s := newSearched(t)
	if _, err := s.catalog.UpdateDataStore(s.id, func(d *catalog.DataStore) error {
		return d.SetNLP(func(n *catalog.NLP) { n.DerivedResources = catalog.Enabled })
	}); err != nil {
		t.Fatal(err)
	}
	s.resource("PUT", "/Patient/p", `{"resourceType":"Patient","id":"p"}`)
	s.resource("PUT", "/DocumentReference/a", note("a", "Asthma. Takes metformin."))
	first := s.namedIn("/DocumentReference/a")
	s.resource("PUT", "/DocumentReference/a", note("a", "Asthma. Fever."))
	s.resource("PUT", "/DocumentReference/b", note("b", "Stroke."))
	for path, want := range map[string]int{
		"/Condition?subject=Patient/p":                              2,
		"/Condition?code=http://hl7.org/fhir/sid/icd-10-cm|J45.909": 1,
		"/Observation?derived-from=DocumentReference/a":             1,
		"/MedicationStatement?subject=Patient/p":                    0,
		"/Condition?evidence-detail=DocumentReference/b":            1,
		"/Linkage?source=DocumentReference/a":                       1,
	} {
		if got := strings.Count(s.resource("GET", path, ""), `"mode":"match"`); got != want {
			t.Errorf("%s finds %d, want %d", path, got, want)
		}
	}
	all := append(first, s.namedIn("/DocumentReference/a")...)
	if len(all) != 6 {
		t.Fatalf("derived are %q", all)
	}
	others := s.namedIn("/DocumentReference/b")
	s.resource("POST", "/DocumentReference/a/$erase", "")
	for _, ref := range append(all, "DocumentReference/a") {
		if code := s.codeOf("/" + ref); code != http.StatusNotFound {
			t.Errorf("%s is %d after its document was erased", ref, code)
		}
	}
	for _, ref := range others {
		if code := s.codeOf("/" + ref); code != http.StatusOK {
			t.Errorf("%s of another document is %d", ref, code)
		}
	}
	s.resource("POST", "/Patient/p/$purge", "")
	for _, ref := range append(others, "DocumentReference/b") {
		if code := s.codeOf("/" + ref); code != http.StatusNotFound {
			t.Errorf("%s is %d after its patient was purged", ref, code)
		}
	}
}
