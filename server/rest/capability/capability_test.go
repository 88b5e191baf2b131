package capability_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
)

var update = flag.Bool("update", false, "rewrite golden text")

const page = "../../../docs/fhir-support.md"

func TestDocumentIsGenerated(t *testing.T) {
	want := capability.Document()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("%s is not what the code says; run with -update (-want +got):\n%s", page, d)
	}
}

func TestStatementIsValid(t *testing.T) {
	text := capability.Statement(capability.Server{Version: "1.0.0", Base: "http://x.org/datastore/d/r4", Date: time.Unix(1767225600, 0), Erase: true, Search: true})
	tree := &fhir.Tree{}
	tree.Reset(text)
	res := parse.NewParser().Parse(tree, 0, uint32(len(text)))
	issues := append([]fhir.Issue(nil), res.Issues...)
	v, err := validate.NewValidator(validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range append(issues, v.Validate(tree, res.Root)...) {
		if is.Severity <= fhir.Error {
			t.Errorf("%s: %s", is.Expression, is.Diagnostics)
		}
	}
}

func TestStatementHasEveryType(t *testing.T) {
	var s struct {
		Rest []struct {
			Resource []struct {
				Type         string
				Interaction  []struct{ Code string }
				UpdateCreate bool
			}
		}
	}
	if err := json.Unmarshal(capability.Statement(capability.Server{Base: "http://x.org", Search: true}), &s); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range s.Rest[0].Resource {
		got[r.Type] = len(r.Interaction)
	}
	if len(got) != len(r4.ResourceTypes()) {
		t.Errorf("%d types, want %d", len(got), len(r4.ResourceTypes()))
	}
	for name, want := range map[string]int{"Patient": 9, "AuditEvent": 6, "Parameters": 0, "OperationOutcome": 0} {
		if got[name] != want {
			t.Errorf("%s has %d interactions, want %d", name, got[name], want)
		}
	}
}

// TestStatementSaysWhatIsSearched: what the statement lists is read by the parser of
// searches, and what a type has besides is not.
func TestStatementSaysWhatIsSearched(t *testing.T) {
	var s struct {
		Rest []struct {
			Resource []struct {
				Type                            string
				SearchParam                     []struct{ Name string }
				SearchInclude, SearchRevInclude []string
			}
		}
	}
	if err := json.Unmarshal(capability.Statement(capability.Server{Base: "http://x.org", Search: true}), &s); err != nil {
		t.Fatal(err)
	}
	parse := func(typ, text string) error {
		_, err := capability.Searches.Parse(query.Request{Type: r4.ResourceTypeByName([]byte(typ)), Raw: []string{text}, Strict: true})
		return err
	}
	offered := 0
	for _, r := range s.Rest[0].Resource {
		listed := map[string]bool{}
		for _, p := range r.SearchParam {
			listed[p.Name] = true
			offered++
		}
		for _, p := range search.R4().Parameters(r4.ResourceTypeByName([]byte(r.Type))) {
			if capability.Of(p.Base) == 0 {
				continue
			}
			err := parse(r.Type, p.Code+"=~~~") // which few parameters can read
			unsupported := err != nil && strings.Contains(err.Error(), "not offered")
			if r.SearchParam != nil && unsupported == listed[p.Code] {
				t.Errorf("%s: parameter %s is listed: %v, and reading it: %v", r.Type, p.Code, listed[p.Code], err)
			}
		}
		for _, include := range r.SearchInclude {
			if err := parse(r.Type, "_include="+include); err != nil {
				t.Errorf("%s: _include=%s: %v", r.Type, include, err)
			}
		}
		for _, include := range r.SearchRevInclude {
			if err := parse(r.Type, "_revinclude="+include+":"+r.Type); err != nil {
				t.Errorf("%s: _revinclude=%s: %v", r.Type, include, err)
			}
		}
	}
	if offered < 1400 {
		t.Errorf("%d parameters are offered, want those of R4", offered)
	}
}
