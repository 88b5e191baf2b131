package rest_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

const bornPatient = `{"resourceType":"StructureDefinition","url":"http://example.org/born","name":"Born","status":"active","kind":"resource","abstract":false,
"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
"differential":{"element":[{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}`

func TestProfiles(t *testing.T) {
	known := profile.NewRegistry()
	res := profile.Resource{Type: "StructureDefinition", URL: "http://example.org/born", JSON: []byte(bornPatient)}
	if _, err := known.Add(res); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, nil)
	ds, err := rest.NewDataStore(rest.DataStoreOptions{Store: s.lake, Secret: secret, Profiles: profiles.NewSet(known)})
	if err != nil {
		t.Fatal(err)
	}
	h := serverOf(t, s.lake, new(atomic.Int64), func(o *rest.Options) {
		o.DataStore = func(string) (*rest.DataStore, error) { return ds, nil }
	})
	const level = "X-Amzn-Healthlake-Fhir-Validation-Level: "
	const claims = `{"resourceType":"Patient","meta":{"profile":["http://example.org/born"]}}`
	for _, c := range []struct {
		name, path, body string
		header           []string
		status           int
		want             string // in the body
	}{
		{"a claim that does not hold", "/Patient", claims, nil, 422, "profile http://example.org/born"},
		{"at structure-only", "/Patient", claims, []string{level + "structure-only"}, 201, `"versionId":"1"`},
		{"at minimal", "/Patient", claims, []string{level + "minimal"}, 201, "validation-issue"},
		{"a fault of R4 as well", "/Patient", strings.Replace(claims, "{", `{"gender":"m",`, 1), nil, 400, "profile http://example.org/born"},
		{"validated for a profile", "/Patient/$validate?profile=http://example.org/born", `{"resourceType":"Patient"}`, nil, 200, "profile http://example.org/born"},
		{"for one that is not known", "/Patient/$validate?profile=http://example.org/none", `{"resourceType":"Patient"}`, nil, 200, "http://example.org/none"},
	} {
		if w := do(t, h, "POST", c.path, c.body, c.header...); w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d and %s", c.name, w.Code, w.Body, c.status, c.want)
		}
	}
}
