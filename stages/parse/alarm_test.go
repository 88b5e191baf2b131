package parse_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// invalidExamples are the official R4 examples that break R4, by set, type and
// id, with what is wrong with them.
var invalidExamples = map[string]string{
	"Questionnaire/qs1": "items without the required linkId",

	"SearchParameter/codesystem-extensions-CodeSystem-author":    "the required base is missing",
	"SearchParameter/codesystem-extensions-CodeSystem-effective": "the required base is missing",
	"SearchParameter/codesystem-extensions-CodeSystem-end":       "the required base is missing",
	"SearchParameter/codesystem-extensions-CodeSystem-keyword":   "the required base is missing",
	"SearchParameter/codesystem-extensions-CodeSystem-workflow":  "the required base is missing",
	"SearchParameter/valueset-extensions-ValueSet-author":        "the required base is missing",
	"SearchParameter/valueset-extensions-ValueSet-effective":     "the required base is missing",
	"SearchParameter/valueset-extensions-ValueSet-end":           "the required base is missing",
	"SearchParameter/valueset-extensions-ValueSet-keyword":       "the required base is missing",
	"SearchParameter/valueset-extensions-ValueSet-workflow":      "the required base is missing",

	"SearchParameter/questionnaireresponse-extensions-QuestionnaireResponse-item-subject": "the id has 67 characters",
}

func TestNoFalseAlarms(t *testing.T) {
	for _, set := range []string{"synthea-small", "synthea-120", "r4-examples"} {
		t.Run(set, func(t *testing.T) {
			data := files(t, dataFolder(t, set))
			p := parse.NewParser()
			var tree fhir.Tree
			known := map[string]string{}
			if set == "r4-examples" {
				known = maps.Clone(invalidExamples)
			}
			for _, name := range sortedNames(data) {
				eachLine(data[name], func(line int, s, e uint32) {
					tree.Reset(data[name])
					res := p.Parse(&tree, s, e)
					key := fmt.Sprintf("%s/%s", res.Type, res.ID)
					if res.Root == fhir.NoNode || res.Type.String() != name {
						t.Errorf("%s:%d: root %d, type %s", name, line, res.Root, res.Type)
					}
					if _, ok := known[key]; ok && res.Failed() {
						delete(known, key)
						return
					}
					for _, is := range res.Issues {
						t.Errorf("%s:%d:%d: %s: %s %s %s: %s", name, line, is.Column, key, is.Severity, is.Code, is.Expression, is.Diagnostics)
					}
				})
			}
			for _, key := range slices.Sorted(maps.Keys(known)) {
				t.Errorf("%s is known as invalid (%s), but has no issue", key, known[key])
			}
		})
	}
}
