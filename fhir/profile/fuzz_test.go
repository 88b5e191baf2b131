package profile_test

import (
	"bytes"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

// FuzzDefinitions reads definitions from any bytes, expands them and asks them.
func FuzzDefinitions(f *testing.F) {
	f.Add([]byte(structure("http://example.org/p", "Observation", "Observation",
		`{"path":"Observation.value[x]","type":[{"code":"Quantity"}]},{"path":"Observation.valueQuantity","minValueQuantity":{"value":1}},{"path":"Observation.component","sliceName":"a/b"}`)))
	f.Add([]byte(structure("http://example.org/p", "Patient", "http://example.org/p", "")))
	f.Add([]byte(colours + valueSet("http://example.org/vs", filter("code", "regex", "(a*)*b"))))
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Questionnaire","url":"q","item":[{"enableWhen":[{"question":7}]}]}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := profile.NewRegistry()
		err := profile.ReadFrom(bytes.NewReader(text), "fuzz.json", func(res profile.Resource) error {
			_, err := r.Add(res)
			return err
		})
		if err != nil {
			return
		}
		r.Check()
		for _, res := range r.Resources() {
			if set := r.ValueSet(res.URL); set != nil {
				set.Contains([]byte("http://example.org/colours"), []byte("red"))
			}
		}
	})
}
