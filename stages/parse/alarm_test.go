package parse_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
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
			data := corpus.Files(t, corpus.Folder(t, set))
			p := parse.NewParser()
			var tree fhir.Tree
			known := map[string]string{}
			if set == "r4-examples" {
				known = maps.Clone(invalidExamples)
			}
			for _, name := range corpus.Names(data) {
				corpus.EachLine(data[name], func(line int, s, e uint32) {
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

// TestValidatorCases compares with the outcomes of the HL7 validator, where they
// are about what this stage checks.
func TestValidatorCases(t *testing.T) {
	dir := filepath.Join(corpus.Folder(t, "validation"), "core-cases")
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, File, Class string
		Errors            []struct{ Expression []string }
	}
	if err := json.Unmarshal(manifest, &cases); err != nil {
		t.Fatal(err)
	}
	// Where this stage finds what the validator does not, or elsewhere.
	otherwise := map[string]string{
		"contained-resource-bad-id-ignore": "the case switches the check of ids off",
		"bundle-ea-testcase":               "the validator stops at rules of other resources",
		"xml-bad-entities-json":            "the text begins with a byte order mark",
		"versioned-extension":              "the validator's url is missing in another extension",
		"attachment-tx":                    "the validator names the attachment, not its data",
		"bad-json-close":                   "the validator gives no expression for JSON",
		"bad-json-close-2":                 "the validator gives no expression for JSON",
		"bad-json-close-3":                 "the validator gives no expression for JSON",
	}
	p := parse.NewParser()
	for _, c := range cases {
		text, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[string]bool{}
		for _, e := range c.Errors {
			for _, x := range e.Expression {
				theirs[regexp.MustCompile(`/\*.*?\*/`).ReplaceAllString(x, "")] = true
			}
		}
		res := parseText(p, string(text))
		for _, is := range res.Issues {
			if !theirs[is.Expression] && otherwise[c.Name] == "" {
				t.Errorf("%s: %+v, but the validator has %v", c.Name, is, c.Errors)
			}
		}
	}
}

// TestMutations breaks one thing in each resource; the kinds that are not listed
// belong to other stages.
func TestMutations(t *testing.T) {
	kinds := map[string]bool{}
	for _, k := range strings.Fields("unknown nested_unknown wrongtype missing badcode baddate twochoice badid longid objforarray arrayforobj " +
		"emptyarray emptystring emptyobject extnourl null restype posint uri instant contained primshape base64") {
		kinds[k] = true
	}
	file, err := os.Open(filepath.Join(corpus.Folder(t, "validation"), "mutated-r4.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Mutation, Target, Base string
		Resource               json.RawMessage
	}
	if err := json.NewDecoder(z).Decode(&list); err != nil {
		t.Fatal(err)
	}
	p := parse.NewParser()
	for _, m := range list {
		res := parseText(p, string(m.Resource))
		if kinds[m.Mutation] != res.Failed() {
			t.Errorf("%s of %s in %s: %+v", m.Mutation, m.Target, m.Base, res.Issues)
		}
	}
}
