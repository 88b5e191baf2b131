package derive_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/stages/nlp/derive"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
)

var update = flag.Bool("update", false, "write golden files anew")

const note = `{"resourceType":"DocumentReference","id":"note-1","status":"current","subject":{"reference":"Patient/p-1","display":"P. One"},` +
	`"date":"2026-01-02T03:04:05.678Z","content":[{"attachment":{"contentType":"text/plain","data":"eA=="}}],"context":{"encounter":[{"reference":"Encounter/e-1"}]}}`

// found makes a result of entities.
func found(entities ...string) string {
	return `{"engine":"1","dictionary":"1","texts":[{"path":"content[0].attachment","status":"SUCCESS","entities":[` + strings.Join(entities, ",") + `]}]}`
}

// mention makes an entity: traits separated by spaces, more is further members with a comma before each.
func mention(text, category, traits string, score float64, more string) string {
	var list []string
	for _, t := range strings.Fields(traits) {
		list = append(list, fmt.Sprintf(`{"name":%q,"score":0.9}`, t))
	}
	return fmt.Sprintf(`{"text":%q,"beginOffset":0,"endOffset":1,"category":%q,"type":"DX_NAME","score":%v,"traits":[%s]%s}`,
		text, category, score, strings.Join(list, ","), more)
}

func condition(text, traits string, score float64, more string) string {
	return mention(text, "MEDICAL_CONDITION", traits, score, more)
}

const (
	asthma   = `,"icd10cm":[{"code":"J45.909","description":"Unspecified asthma, uncomplicated","score":0.86},{"code":"J45.901","description":"Unspecified asthma with (acute) exacerbation","score":0.8}]`
	fever    = `,"icd10cm":[{"code":"R50.9","description":"Fever, unspecified","score":0.92}]`
	warfarin = `,"rxnorm":[{"code":"11289","description":"warfarin","score":0.92},{"code":"855288","description":"warfarin sodium 1 MG Oral Tablet","score":0.8}]`
)

// parsed reads a resource, which is valid R4, and gives its faults if not.
func parsed(t *fhir.Tree, text []byte) (root fhir.NodeID, id []byte, faults []string) {
	data := append(bytes.Clone(text), make([]byte, 16)...)[:len(text)]
	t.Reset(data)
	res := parse.NewParser().Parse(t, 0, uint32(len(data)))
	issues := append([]fhir.Issue(nil), res.Issues...)
	if res.Root != fhir.NoNode {
		v, err := validate.NewValidator(validate.Options{Level: validate.Strict})
		if err != nil {
			panic(err)
		}
		issues = append(issues, v.Validate(t, res.Root)...)
	}
	for _, is := range issues {
		if is.Severity <= fhir.Error {
			faults = append(faults, fmt.Sprintf("%s: %s", is.Expression, is.Diagnostics))
		}
	}
	return res.Root, res.ID, faults
}

// derived derives, checks that all of it is valid, and gives it.
func derived(t *testing.T, document, result string) []derive.Resource {
	t.Helper()
	var tree fhir.Tree
	root, id, faults := parsed(&tree, []byte(document))
	if faults != nil {
		t.Fatalf("the document has faults: %q", faults)
	}
	r, err := new(entity.Reader).Read([]byte(result))
	if err != nil {
		t.Fatal(err)
	}
	out := new(derive.Deriver).Derive(&tree, root, id, r)
	for i := range out {
		var own fhir.Tree
		root, id, faults := parsed(&own, out[i].JSON)
		if faults != nil || string(id) != out[i].ID || own.Nodes[root].Type != out[i].Type {
			t.Errorf("%s/%s has faults %q:\n%s", out[i].Type, out[i].ID, faults, out[i].JSON)
		}
	}
	return out
}

// brief gives what is derived in short: the type and the text, a star when it is of the past.
func brief(resources []derive.Resource) []string {
	var out []string
	text := regexp.MustCompile(`"text":"([^"]*)"`)
	for _, r := range resources {
		s := r.Type.String()
		if m := text.FindSubmatch(r.JSON); m != nil {
			s += " " + string(m[1])
		}
		if bytes.Contains(r.JSON, []byte("PAST_HISTORY")) {
			s += "*"
		}
		out = append(out, s)
	}
	return out
}

func TestDerivedResourcesAreThese(t *testing.T) {
	result := found(
		condition("asthma", "DIAGNOSIS", 0.92, asthma),
		condition("fever", "SYMPTOM", 0.92, fever),
		mention("warfarin", "MEDICATION", "", 0.92, warfarin),
		mention("St. John's\nwort", "MEDICATION", "PAST_HISTORY", 0.8, ""),
		condition("ear \"infection\"", "DIAGNOSIS PAST_HISTORY", 0.97, ""),
	)
	var got bytes.Buffer
	for _, r := range derived(t, note, result) {
		if err := json.Indent(&got, r.JSON, "", " "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
	}
	golden := filepath.Join("testdata", "derived.json")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTraitsDecideWhatAMentionBecomes(t *testing.T) {
	for _, c := range []struct {
		category, traits string
		want             string // "" for nothing
	}{
		{"MEDICAL_CONDITION", "DIAGNOSIS", "Condition x"},
		{"MEDICAL_CONDITION", "SIGN", "Observation x"},
		{"MEDICAL_CONDITION", "SYMPTOM", "Observation x"},
		{"MEDICAL_CONDITION", "DIAGNOSIS SYMPTOM", "Condition x"},
		{"MEDICAL_CONDITION", "", ""},
		{"MEDICATION", "", "MedicationStatement x"},
		{"MEDICAL_CONDITION", "DIAGNOSIS PAST_HISTORY", "Condition x*"},
		{"MEDICAL_CONDITION", "SYMPTOM PAST_HISTORY", "Observation x*"},
		{"MEDICATION", "PAST_HISTORY", "MedicationStatement x*"},
		{"MEDICAL_CONDITION", "DIAGNOSIS NEGATION", ""},
		{"MEDICAL_CONDITION", "SYMPTOM NEGATION", ""},
		{"MEDICATION", "NEGATION", ""},
		{"MEDICAL_CONDITION", "DIAGNOSIS PERTAINS_TO_FAMILY", ""},
		{"MEDICAL_CONDITION", "DIAGNOSIS PAST_HISTORY PERTAINS_TO_FAMILY", ""},
		{"MEDICAL_CONDITION", "DIAGNOSIS HYPOTHETICAL", ""},
		{"MEDICATION", "HYPOTHETICAL", ""},
		{"MEDICAL_CONDITION", "DIAGNOSIS LOW_CONFIDENCE", ""},
		{"MEDICAL_CONDITION", "DIAGNOSIS FUTURE", ""},
		{"TEST_TREATMENT_PROCEDURE", "DIAGNOSIS", ""},
		{"ANATOMY", "", ""},
		{"TIME_EXPRESSION", "", ""},
		{"PROTECTED_HEALTH_INFORMATION", "", ""},
	} {
		t.Run(c.category+" "+c.traits, func(t *testing.T) {
			var want []string
			if c.want != "" {
				want = []string{"Linkage", c.want}
			}
			if diff := cmp.Diff(want, brief(derived(t, note, found(mention("x", c.category, c.traits, 0.9, ""))))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMentionsOfOneConceptAreOneResource(t *testing.T) {
	for _, c := range []struct {
		name     string
		mentions []string
		want     []string
	}{
		{"one code, the best score first", []string{condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("RAD", "DIAGNOSIS", 0.8, asthma)}, []string{"Condition asthma"}},
		{"one code, the best score last", []string{condition("RAD", "DIAGNOSIS", 0.8, asthma), condition("fever", "SYMPTOM", 0.92, fever), condition("asthma", "DIAGNOSIS", 0.92, asthma)}, []string{"Condition asthma", "Observation fever"}},
		{"no code, folded", []string{mention("Aspirin", "MEDICATION", "", 0.9, ""), mention("ASPIRIN", "MEDICATION", "", 0.9, ""), mention("as \n pirin", "MEDICATION", "", 0.9, "")}, []string{"MedicationStatement Aspirin", "MedicationStatement as pirin"}},
		{"now and before", []string{condition("asthma", "DIAGNOSIS PAST_HISTORY", 0.97, asthma), condition("asthma", "DIAGNOSIS", 0.92, asthma)}, []string{"Condition asthma"}},
		{"before, twice", []string{condition("asthma", "DIAGNOSIS PAST_HISTORY", 0.97, asthma), condition("asthma", "DIAGNOSIS PAST_HISTORY", 0.98, asthma)}, []string{"Condition asthma*"}},
		{"negated and not", []string{condition("asthma", "DIAGNOSIS NEGATION", 0.97, asthma), condition("asthma", "DIAGNOSIS", 0.92, asthma)}, []string{"Condition asthma"}},
		{"sign and diagnosis", []string{condition("asthma", "SIGN", 0.9, asthma), condition("asthma", "DIAGNOSIS", 0.9, asthma)}, []string{"Observation asthma", "Condition asthma"}},
		{"a text without a character", []string{condition(" \t", "DIAGNOSIS", 0.9, asthma)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want != nil {
				c.want = append([]string{"Linkage"}, c.want...)
			}
			if diff := cmp.Diff(c.want, brief(derived(t, note, found(c.mentions...)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsSaidOfNobodyIsNotDerived(t *testing.T) {
	result := found(condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("fever", "SIGN", 0.92, fever), mention("warfarin", "MEDICATION", "", 0.9, warfarin))
	for name, c := range map[string]struct {
		subject string
		want    int
	}{
		"a Patient":                {`"subject":{"reference":"Patient/p"},`, 4},
		"a Patient elsewhere":      {`"subject":{"reference":"https://example.org/fhir/Patient/p/_history/3"},`, 4},
		"a Patient by a search":    {`"subject":{"reference":"Patient?identifier=a/b|c"},`, 4},
		"a Group":                  {`"subject":{"reference":"Group/g"},`, 4},
		"a UUID":                   {`"subject":{"reference":"urn:uuid:0b4ddb25-75a2-4bd1-b87d-42c3be1bd3f1"},`, 4},
		"a UUID of a Patient":      {`"subject":{"reference":"urn:uuid:0b4ddb25-75a2-4bd1-b87d-42c3be1bd3f1","type":"Patient"},`, 4},
		"an identifier":            {`"subject":{"identifier":{"system":"urn:mrn","value":"1"}},`, 4},
		"a UUID of a Practitioner": {`"subject":{"reference":"urn:uuid:0b4ddb25-75a2-4bd1-b87d-42c3be1bd3f1","type":"Practitioner"},`, 0},
		"a Practitioner":           {`"subject":{"reference":"Practitioner/p"},`, 0},
		"a Device":                 {`"subject":{"reference":"Device/p"},`, 0},
		"contained":                {`"contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"},`, 0},
		"assigned by a contained":  {`"contained":[{"resourceType":"Organization","id":"o","name":"O"}],"subject":{"identifier":{"value":"1","assigner":{"reference":"#o"}}},`, 0},
		"assigned by another":      {`"subject":{"identifier":{"value":"1","assigner":{"reference":"Organization/o"}}},`, 4},
		"nobody":                   {``, 0},
	} {
		t.Run(name, func(t *testing.T) {
			document := `{"resourceType":"DocumentReference","id":"d","status":"current",` + c.subject + `"content":[{"attachment":{"title":"t"}}]}`
			if got := derived(t, document, result); len(got) != c.want {
				t.Errorf("%d resources are derived: %q", len(got), brief(got))
			}
		})
	}
}

func TestEncounterIsTheOneThatTheDocumentIsAbout(t *testing.T) {
	result := found(condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("fever", "SIGN", 0.92, fever), mention("warfarin", "MEDICATION", "", 0.9, warfarin))
	for list, want := range map[string]int{
		`{"reference":"Encounter/e"}`:                                   3,
		`{"reference":"urn:uuid:0b4ddb25-75a2-4bd1-b87d-42c3be1bd3f1"}`: 3,
		`{"reference":"EpisodeOfCare/e"}`:                               0,
		`{"reference":"Encounter/e"},{"reference":"Encounter/f"}`:       0,
	} {
		document := `{"resourceType":"DocumentReference","id":"d","status":"current","subject":{"reference":"Patient/p"},"content":[{"attachment":{"title":"t"}}],"context":{"encounter":[` + list + `]}}`
		var all []byte
		for _, r := range derived(t, document, result) {
			all = append(all, r.JSON...)
		}
		if got := bytes.Count(all, []byte(`"encounter":`)) + bytes.Count(all, []byte(`"context":`)); got != want {
			t.Errorf("%s: %d of the derived resources have it, want %d", list, got, want)
		}
	}
}

var version5 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestIdsAreThoseOfDocumentAndConcept(t *testing.T) {
	ids := func(document, result string) (out []string) {
		for _, r := range derived(t, document, result) {
			if !version5.MatchString(r.ID) {
				t.Errorf("id %s is no UUID of version 5", r.ID)
			}
			out = append(out, r.Type.String()+"/"+r.ID)
		}
		return out
	}
	one := ids(note, found(condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("fever", "SIGN", 0.92, fever)))
	other := ids(note, found(condition("fever", "SIGN", 0.5, fever), condition("asthmatic", "DIAGNOSIS PAST_HISTORY", 0.7, asthma)))
	if diff := cmp.Diff([]string{one[0], one[2], one[1]}, other); diff != "" {
		t.Errorf("another text with the same concepts has other ids: %s", diff)
	}
	for i, id := range ids(strings.Replace(note, "note-1", "note-2", 1), found(condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("fever", "SIGN", 0.92, fever))) {
		if id == one[i] {
			t.Errorf("another document has the id %s too", id)
		}
	}
}

func TestOddCodesAndScoresBecomeSound(t *testing.T) {
	got := derived(t, note, found(
		condition("a", "DIAGNOSIS", 0.9, `,"icd10cm":[{"code":"J 45","description":"x","score":0.9}]`),
		condition("b", "DIAGNOSIS", 0.9, `,"icd10cm":[{"code":"","description":"x","score":0.9}]`),
		condition("c", "DIAGNOSIS", 0.9, `,"icd10cm":[{"code":"J45","description":"","score":1e-7}]`),
		condition("d", "DIAGNOSIS", 0.9, `,"icd10cm":[{"code":"J46","description":"x","score":0.900000000000000000000000000000001}]`),
		strings.Replace(condition("e", "SIGN", 0.9, ``), `"score":0.9,"traits"`, `"traits"`, 1),
	))
	if diff := cmp.Diff([]string{"Linkage", "Condition a", "Condition b", "Condition c", "Condition d", "Observation e"}, brief(got)); diff != "" {
		t.Fatal(diff)
	}
	for i, want := range []string{0: "", 1: `"code":{"text":"a"}`, 2: `"code":{"text":"b"}`, 3: `"valueDecimal":0.0000001`, 4: `"valueDecimal":0.9}`, 5: `"valueDecimal":0}`} {
		if !bytes.Contains(got[i].JSON, []byte(want)) {
			t.Errorf("%s has no %s", got[i].JSON, want)
		}
	}
}

func TestResourcesOfOneDocumentAreBounded(t *testing.T) {
	var mentions []string
	for i := range 2100 {
		mentions = append(mentions, condition(fmt.Sprintf("disease %d", i), "DIAGNOSIS", 0.9, ""))
	}
	if got := derived(t, note, found(mentions...)); len(got) != 2001 {
		t.Errorf("%d resources", len(got))
	}
}

// FuzzDeriver: what is derived of a sound document is sound (invariant 2).
func FuzzDeriver(f *testing.F) {
	f.Add(note, found(condition("asthma", "DIAGNOSIS", 0.92, asthma), mention("warfarin", "MEDICATION", "", 0.92, warfarin)))
	f.Add(strings.Replace(note, "Patient/p-1", "urn:x", 1), found(condition("\x00", "SIGN", 1e-300, fever)))
	f.Fuzz(func(t *testing.T, document, result string) {
		var tree fhir.Tree
		root, id, faults := parsed(&tree, []byte(document))
		if faults != nil || tree.Nodes[root].Type.String() != "DocumentReference" || id == nil {
			return
		}
		r, err := new(entity.Reader).Read([]byte(result))
		if err != nil {
			return
		}
		for _, x := range new(derive.Deriver).Derive(&tree, root, id, r) {
			var own fhir.Tree
			if _, _, faults := parsed(&own, x.JSON); faults != nil {
				t.Errorf("%q:\n%s", faults, x.JSON)
			}
		}
	})
}
