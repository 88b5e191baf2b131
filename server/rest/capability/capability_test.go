package capability_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/capability"
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
	text := capability.Statement(capability.Server{Version: "1.0.0", Base: "http://x.org/datastore/d/r4", Date: time.Unix(1767225600, 0), Erase: true})
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
	if err := json.Unmarshal(capability.Statement(capability.Server{Base: "http://x.org"}), &s); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range s.Rest[0].Resource {
		got[r.Type] = len(r.Interaction)
	}
	if len(got) != len(r4.ResourceTypes()) {
		t.Errorf("%d types, want %d", len(got), len(r4.ResourceTypes()))
	}
	for name, want := range map[string]int{"Patient": 8, "AuditEvent": 5, "Parameters": 0, "OperationOutcome": 0} {
		if got[name] != want {
			t.Errorf("%s has %d interactions, want %d", name, got[name], want)
		}
	}
}
