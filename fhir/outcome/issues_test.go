package outcome

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
)

var kept = []fhir.Issue{
	{Severity: fhir.Error, Code: fhir.CodeStructure, Expression: "Patient", Diagnostics: `unknown element "gendr"`},
	{Severity: fhir.Warning, Code: fhir.CodeInvariant, Expression: "Patient.contact[0]", Diagnostics: "SHALL at least\ncontain", Constraint: "pat-1", Profile: "http://p|1"},
}

func TestKeptIssuesComeBack(t *testing.T) {
	text := AppendIssues(nil, kept)
	want := `[{"severity":"error","code":"structure","expression":"Patient","diagnostics":"unknown element \"gendr\""},` +
		`{"severity":"warning","code":"invariant","expression":"Patient.contact[0]","diagnostics":"SHALL at least\ncontain","constraint":"pat-1","profile":"http://p|1"}]`
	if string(text) != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
	got, err := ParseIssues(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept, got); diff != "" {
		t.Errorf("issues (-want +got):\n%s", diff)
	}
	for _, bad := range []string{``, `{}`, `[{"severity":"odd"}]`, `[{}]`} {
		if _, err := ParseIssues([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestShownResourceHasItsOutcomeAsText(t *testing.T) {
	resource := []byte(`{"resourceType":"Patient","id":"a","gendr":"x","extension":[{"url":"http://e","valueCode":"c"}]}`)
	if got := AppendShown(nil, resource, nil); string(got) != string(resource) {
		t.Errorf("without issues: %s", got)
	}
	var shown struct {
		Extension []struct{ URL, ValueCode, ValueString string }
	}
	if err := json.Unmarshal(AppendShown(nil, resource, kept), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Extension) != 2 || shown.Extension[0].ValueCode != "c" {
		t.Fatalf("extensions %+v", shown.Extension)
	}
	if e := shown.Extension[1]; e.URL != fhir.ValidationIssueURL || e.ValueString != string(Append(nil, kept, At{})) {
		t.Errorf("extension %+v", e)
	}
	again := AppendShown(nil, AppendShown(nil, resource, kept[:1]), kept)
	if once := AppendShown(nil, resource, kept); string(again) != string(once) {
		t.Errorf("shown again:\n%s\nwant\n%s", again, once)
	}
}
