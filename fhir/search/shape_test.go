package search

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

func TestShapesOfPaths(t *testing.T) {
	for _, tt := range []struct {
		path  string
		one   bool // at most one item
		known bool // by type
		folds bool
	}{
		{"Observation.effective", true, true, false},
		{"Patient.birthDate", true, true, false},
		{"Encounter.period", true, true, false},
		{"Observation.code", true, true, false},
		{"Observation.value.ofType(Quantity)", true, true, false},
		{"Observation.value.ofType(string)", true, true, true},
		{"Observation.component.value.ofType(Quantity)", false, true, false},
		{"Patient.name.family", false, true, true},
		{"Patient.deceased.exists()", false, false, true},
		{"Patient.telecom.where(system='email')", false, false, true},
		{"Observation.nothing", false, false, true},
		{"Nothing.at.all", false, false, true},
		{"Patient.ofType(Observation)", false, false, true},
	} {
		types, one := shape(tt.path)
		term := Term{group: &Group{Path: tt.path}}
		if one != tt.one || term.Single() != tt.one || len(types) > 0 != tt.known || term.Folds() != tt.folds {
			t.Errorf("%s: single %t, types %v, folds %t", tt.path, one, types, term.Folds())
		}
	}
}

// A parameter of R4 whose term is single has one date in any resource: what the claims
// rest on are the definitions alone.
func TestSingleTermsOfR4(t *testing.T) {
	table := R4()
	single := 0
	for _, typ := range r4.ResourceTypes() {
		for _, p := range table.Parameters(typ) {
			for _, term := range p.Terms {
				if term.Kind == KindDate && term.Single() {
					single++
				}
			}
		}
	}
	if single < 100 {
		t.Errorf("%d single terms of date parameters", single)
	}
}
