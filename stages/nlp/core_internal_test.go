package nlp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/lexicon"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// TestCoreRules holds what terms the lexicon becomes. When it fails because the rules
// changed, raise coreRules.
func TestCoreRules(t *testing.T) {
	got := coreTerms(
		[]lexicon.Term{
			{
				Code: "I21.9", System: "ICD-10-CM", Title: "Acute myocardial infarction, unspecified", Preferred: "myocardial infarction",
				Synonyms: []string{"heart attack", "coronary"}, Abbreviations: []string{"MI", "AMI"}, Category: "MEDICAL_CONDITION", Type: "DX_NAME", Kind: "DIAGNOSIS",
			},
			{Preferred: "aspirin", Category: "MEDICATION", Type: "GENERIC_NAME"},
		},
		[]lexicon.Abbreviation{{Short: "ASA", Long: "aspirin"}, {Short: "MI", Long: "mitral insufficiency", Ambiguous: true}},
	)
	heart := func(text string, rank uint8, exact bool) terminology.Term {
		return terminology.Term{
			System: terminology.ICD10CM, Code: "I21.9", Preferred: "Acute myocardial infarction, unspecified", Text: text, Rank: rank, Exact: exact,
			Category: terminology.MedicalCondition, Type: terminology.DXName, Kind: terminology.Diagnosis, Reviewed: true,
		}
	}
	aspirin := terminology.Term{Text: "aspirin", Category: terminology.Medication, Type: terminology.GenericName, Reviewed: true}
	short := aspirin
	short.Text, short.Rank, short.Exact = "ASA", 2, true
	want := []terminology.Term{
		heart("myocardial infarction", 0, false), heart("heart attack", 1, false), heart("coronary", 1, false), heart("AMI", 2, true), aspirin, short,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
