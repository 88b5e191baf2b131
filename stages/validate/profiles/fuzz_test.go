package profiles_test

import (
	"bytes"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

// FuzzCheck holds any resource against any profile.
func FuzzCheck(f *testing.F) {
	observed := []byte(`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://example.org/c","code":"red"}]},"subject":{"reference":"#a"},
		"valueQuantity":{"value":1.50,"unit":"g"},"component":[{"code":{"text":"c"}}],"contained":[{"resourceType":"Patient","id":"a"}],"_issued":{"id":"x"}}`)
	for _, elements := range []string{
		`{"path":"Observation.value[x]","type":[{"code":"Quantity"}]},{"path":"Observation.valueQuantity","min":1,"minValueQuantity":{"value":1}},{"path":"Observation.status","fixedCode":"final"}`,
		`{"path":"Observation.component","slicing":{"discriminator":[{"type":"value","path":"code"}],"rules":"closed"}},{"path":"Observation.component","sliceName":"a/b"},{"path":"Observation.component.code","patternCodeableConcept":{"text":"c"}}`,
		`{"path":"Observation.subject","type":[{"code":"Reference","targetProfile":["http://example.org/p"]}]},{"path":"Observation.contained","constraint":[{"key":"a","expression":"id.exists()"}]}`,
		`{"path":"Observation.code","binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/age-units"}},{"path":"Observation.issued.extension","min":1}`,
	} {
		f.Add([]byte(structure("http://example.org/p", "Observation", elements)), observed)
	}
	f.Add([]byte(questionnaire), []byte(`{"resourceType":"QuestionnaireResponse","questionnaire":"http://example.org/q","status":"completed","item":[{"linkId":"packs","answer":[{"valueDecimal":2}]}]}`))
	f.Fuzz(func(t *testing.T, definitions, resource []byte) {
		r := profile.NewRegistry()
		err := profile.ReadFrom(bytes.NewReader(definitions), "fuzz.json", func(res profile.Resource) error {
			_, err := r.Add(res)
			return err
		})
		if err != nil {
			return
		}
		set := profiles.NewSet(r)
		set.Check()
		tr := &fhir.Tree{}
		tr.Reset(resource)
		res := parse.NewParser().Parse(tr, 0, uint32(len(resource)))
		if res.Root == fhir.NoNode || !res.Type.IsResourceType() {
			return
		}
		var urls []string
		for _, d := range r.Resources() {
			urls = append(urls, d.URL)
		}
		check(profiles.NewChecker(set), tr, res.Root, urls...)
	})
}
