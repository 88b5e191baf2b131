package search

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// TestEntityParametersAreAmazonHealthLakes: a DocumentReference has its 25 parameters and
// the status; no other type has.
func TestEntityParametersAreAmazonHealthLakes(t *testing.T) {
	want := map[string]r4.SearchType{"cm-decoration-status": r4.SearchToken}
	for typ, codes := range map[r4.SearchType]string{
		r4.SearchString: `detectEntities-entity-category detectEntities-entity-text detectEntities-entity-type
			infer-icd10cm-entity-text infer-icd10cm-entity-concept-code infer-icd10cm-entity-concept-description
			infer-rxnorm-entity-text infer-rxnorm-entity-concept-code infer-rxnorm-entity-concept-description`,
		r4.SearchNumber: `detectEntities-entity-score infer-icd10cm-entity-score infer-icd10cm-entity-concept-score
			infer-rxnorm-entity-score infer-rxnorm-entity-concept-score`,
		r4.SearchComposite: `detectEntities-entity-text-category detectEntities-entity-type-score detectEntities-entity-text-score
			detectEntities-entity-text-type detectEntities-entity-category-score
			infer-icd10cm-entity-text-concept-code infer-icd10cm-entity-text-concept-score infer-icd10cm-entity-concept-description-concept-score
			infer-rxnorm-entity-text-concept-code infer-rxnorm-entity-text-concept-score infer-rxnorm-entity-concept-description-concept-score`,
	} {
		for code := range strings.FieldsSeq(codes) {
			want[code] = typ
		}
	}
	if len(want) != 26 {
		t.Fatalf("%d parameters are asked for", len(want))
	}
	got := map[string]r4.SearchType{}
	for _, typ := range r4.ResourceTypes() {
		for _, p := range R4().Parameters(typ) {
			if p.Origin != OriginEntities {
				continue
			}
			if typ != r4.TypeDocumentReference || p.Base != typ || p.Entities == nil || len(p.terms()) > 0 {
				t.Errorf("%s.%s is %+v", typ, p.Code, p)
			}
			if p.Type == r4.SearchComposite && len(p.Components) != len(p.Entities.Columns) {
				t.Errorf("%s has %d components and %d columns", p.Code, len(p.Components), len(p.Entities.Columns))
			}
			if !strings.HasPrefix(p.Code, "infer-snomedct-") {
				got[p.Code] = p.Type
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestEntityCodesAreTaken: a SearchParameter of a data store does not take their place.
func TestEntityCodesAreTaken(t *testing.T) {
	_, faults := NewTable([]r4.SearchParameter{{
		Code: "cm-decoration-status", URL: "http://example.org/status", Base: r4.TypeDocumentReference, Type: r4.SearchToken, Expression: "DocumentReference.status",
	}}, nil)
	if len(faults) != 1 || faults[0].Element != "code" {
		t.Errorf("faults: %v", faults)
	}
}
