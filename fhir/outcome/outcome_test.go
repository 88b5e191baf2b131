package outcome

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
)

func TestOutcomeNamesElementAndPlace(t *testing.T) {
	issues := []fhir.Issue{
		{Severity: fhir.Error, Code: fhir.CodeStructure, Expression: "Patient.famly", Column: 12, Diagnostics: `unknown element "famly"`},
		{Severity: fhir.Warning, Code: fhir.CodeValue, Diagnostics: "odd\n"},
	}
	for name, tc := range map[string]struct {
		at   At
		want string
	}{
		"in a file": {At{Line: 9, Offset: 1234}, `{"resourceType":"OperationOutcome","issue":[` +
			`{"severity":"error","code":"structure","diagnostics":"unknown element \"famly\" (line 9, column 12, byte offset 1234)","expression":["Patient.famly"]},` +
			`{"severity":"warning","code":"value","diagnostics":"odd\n (line 9, byte offset 1234)"}]}`},
		"with its name": {At{File: "a.ndjson", Line: 2}, `{"resourceType":"OperationOutcome","issue":[` +
			`{"severity":"error","code":"structure","diagnostics":"unknown element \"famly\" (a.ndjson, line 2, column 12, byte offset 0)","expression":["Patient.famly"]},` +
			`{"severity":"warning","code":"value","diagnostics":"odd\n (a.ndjson, line 2, byte offset 0)"}]}`},
		"in a request": {At{}, `{"resourceType":"OperationOutcome","issue":[` +
			`{"severity":"error","code":"structure","diagnostics":"unknown element \"famly\"","expression":["Patient.famly"]},` +
			`{"severity":"warning","code":"value","diagnostics":"odd\n"}]}`},
	} {
		if got := string(Append(nil, issues, tc.at)); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.want)
		}
	}
}

func TestStatusIsBadRequestOnlyForErrors(t *testing.T) {
	if got := Status([]fhir.Issue{{Severity: fhir.Warning}, {Severity: fhir.Error}}); got != 400 {
		t.Errorf("with an error: %d, want 400", got)
	}
	if got := Status([]fhir.Issue{{Severity: fhir.Warning}}); got != 200 {
		t.Errorf("with a warning: %d, want 200", got)
	}
}
