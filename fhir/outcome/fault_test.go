package outcome

import (
	"errors"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
)

func TestEveryKindHasStatusAndCode(t *testing.T) {
	for k := range numKinds {
		if k.Status() < 400 || k.Code() == "" {
			t.Errorf("kind %d: status %d, code %q", k, k.Status(), k.Code())
		}
	}
}

func TestFaultf(t *testing.T) {
	var err error = Faultf(NotFound, "no Patient '%s'", "p1").At("Patient.id")
	var f *Fault
	if !errors.As(err, &f) || f.Status() != 404 {
		t.Fatalf("%v: want a fault with status 404", err)
	}
	if got, want := err.Error(), "Patient.id: no Patient 'p1'"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	want := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"no Patient 'p1'","expression":["Patient.id"]}]}`
	if got := string(f.Append(nil)); got != want {
		t.Errorf("outcome %s, want %s", got, want)
	}
}

func TestRejected(t *testing.T) {
	base := fhir.Issue{Severity: fhir.Error, Code: fhir.CodeRequired}
	profile := fhir.Issue{Severity: fhir.Error, Code: fhir.CodeRequired, Profile: "http://x/p"}
	warning := fhir.Issue{Severity: fhir.Warning}
	for _, c := range []struct {
		name   string
		issues []fhir.Issue
		status int
	}{
		{"base definitions", []fhir.Issue{base}, 400},
		{"profiles alone", []fhir.Issue{warning, profile}, 422},
		{"both", []fhir.Issue{profile, base}, 400},
	} {
		if got := Rejected(c.issues).Status(); got != c.status {
			t.Errorf("%s: status %d, want %d", c.name, got, c.status)
		}
	}
}
