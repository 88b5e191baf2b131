package profile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

// registry makes a registry of definitions given as JSON.
func registry(tb testing.TB, definitions ...string) *profile.Registry {
	tb.Helper()
	r := profile.NewRegistry()
	for i, text := range definitions {
		err := profile.ReadFrom(strings.NewReader(text), fmt.Sprintf("definition-%d.json", i), func(res profile.Resource) error {
			_, err := r.Add(res)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

// structure makes the JSON of a profile; elements are those of its differential.
func structure(url, typ, base, elements string) string {
	if !strings.Contains(base, "/") {
		base = "http://hl7.org/fhir/StructureDefinition/" + base
	}
	return fmt.Sprintf(`{"resourceType":"StructureDefinition","url":%q,"kind":"resource","type":%q,"derivation":"constraint",
		"baseDefinition":%q,"differential":{"element":[%s]}}`, url, typ, base, elements)
}

func TestTheLatestVersionIsFoundWithoutOne(t *testing.T) {
	var definitions []string
	for _, v := range []string{"1.2.0", "1.10.0", "1.10.0-ballot", "1.9"} {
		definitions = append(definitions, fmt.Sprintf(`{"resourceType":"StructureDefinition","url":"http://example.org/p","version":%q,
			"kind":"resource","type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient"}`, v))
	}
	r := registry(t, definitions...)
	for canonical, want := range map[string]string{
		"http://example.org/p": "1.10.0", "http://example.org/p|1.9": "1.9", "http://example.org/p|1.10.0-ballot": "1.10.0-ballot",
	} {
		p, err := r.Profile(canonical)
		if err != nil || p.Version != want {
			t.Errorf("%s: got %v, %v; want %s", canonical, p, err, want)
		}
	}
	if _, err := r.Profile("http://example.org/p|2"); !errors.Is(err, profile.ErrUnknown) {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestAddingTheSameAgainChangesNothing(t *testing.T) {
	r := profile.NewRegistry()
	set := func(version, code string) profile.Resource {
		return profile.Resource{
			Type: "ValueSet", URL: "http://example.org/vs", Version: version,
			JSON: []byte(`{"resourceType":"ValueSet","compose":{"include":[{"system":"s","concept":[{"code":"` + code + `"}]}]}}`),
		}
	}
	for _, step := range []struct {
		res     profile.Resource
		changed bool
		count   int
	}{{set("1", "a"), true, 1}, {set("1", "a"), false, 1}, {set("2", "a"), true, 2}, {set("1", "b"), true, 2}} {
		changed, err := r.Add(step.res)
		if err != nil || changed != step.changed || r.Len() != step.count {
			t.Errorf("%s: changed %v, %d definitions, %v; want %v, %d", step.res.JSON, changed, r.Len(), err, step.changed, step.count)
		}
	}
	if got := r.ValueSet("http://example.org/vs|1").ContainsCode([]byte("b")); got != profile.In {
		t.Errorf("the definition that replaced the first is not used: %v", got)
	}
}

func TestWhatR4DefinesIsKnown(t *testing.T) {
	r := profile.NewRegistry()
	p, err := r.Profile("http://hl7.org/fhir/StructureDefinition/bp")
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Root.Child("component").Slice("SystolicBP"); s == nil || s.Range.Min != 1 {
		t.Errorf("slice SystolicBP: %+v", s)
	}
	if r.ValueSet("http://hl7.org/fhir/ValueSet/age-units") == nil {
		t.Error("value set age-units is not known")
	}
	if r.Len() != 0 {
		t.Errorf("%d definitions count as added", r.Len())
	}
	for _, err := range profile.CheckCore() {
		t.Error(err)
	}
}

func TestGuidesAskProfilesOfTypes(t *testing.T) {
	r := registry(t, `{"resourceType":"ImplementationGuide","url":"http://example.org/ig","global":[{"type":"Patient","profile":"http://example.org/p"}]}`)
	p, _ := r.Profile("http://hl7.org/fhir/StructureDefinition/cholesterol")
	if d := cmp.Diff([]string{"http://example.org/p"}, r.Globals(r.TypeOf("http://hl7.org/fhir/StructureDefinition/Patient"))); d != "" {
		t.Error(d)
	}
	if got := r.Globals(p.Type); got != nil {
		t.Errorf("Observation: %v", got)
	}
}
