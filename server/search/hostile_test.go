package search_test

import (
	"errors"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// FuzzSearch: any search gets an answer or is refused as a fault of its sender, and never
// becomes an SQL text that DuckDB refuses.
func FuzzSearch(f *testing.F) {
	for _, q := range hostile {
		f.Add(q[0], q[1], true)
		f.Add(q[0], q[1], false)
	}
	s := newStore(f, nil)
	s.put(map[string]string{
		"Patient/p":     `"name":[{"family":"a"}],"gender":"male","birthDate":"1970","managingOrganization":{"reference":"Organization/o"}`,
		"Observation/x": `"subject":{"reference":"Patient/p"},"code":{"coding":[{"code":"a"}]},"valueQuantity":{"value":5}`,
	})
	f.Fuzz(func(t *testing.T, typ, text string, strict bool) {
		p := query.Parser{Parameters: fhirsearch.R4(), Features: search.Features}
		q, err := p.Parse(query.Request{Type: r4.ResourceTypeByName([]byte(typ)), Raw: []string{text}, Strict: strict, Bases: []string{base}, Now: modelNow})
		if err == nil {
			_, err = s.index.Search(t.Context(), q, search.Request{})
		}
		var fault *outcome.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("%s?%s: %v", typ, text, err)
		}
	})
}

// hostile has SQL and broken escapes in every position.
var hostile = [][2]string{
	{"Patient", `name=';DROP TABLE x;--`},
	{"Patient", `name:contains=%' OR 1=1 --`},
	{"Patient", `name:exact='"\`},
	{"Patient", `'; SELECT 1 --=x`},
	{"Patient", `name:';--=x`},
	{"Patient", `_id=' OR ''='`},
	{"", `_id=a',b\',c''&_type=Patient`},
	{"Patient", `gender=male';--`},
	{"Patient", `identifier=';--|';--`},
	{"Patient", `birthdate=ge2020';--`},
	{"Patient", `birthdate=ap1600,ne0001,sa9999-12-31`},
	{"Patient", `organization.name=';--`},
	{"Patient", `organization:Organization';.name=x`},
	{"Patient", `_has:Observation:patient:code=';--`},
	{"Patient", `_has:Observation:patient:_has:Provenance:target:agent=';--`},
	{"Patient", `_sort=name';--`},
	{"Patient", `_sort=-birthdate,name,gender,_id,_lastUpdated,organization,link,email`},
	{"Patient", `_include=Patient:organization';--&_revinclude=Observation:patient:';`},
	{"Patient", `_include=*&_revinclude=Provenance:*&_count=3`},
	{"Observation", `value-quantity=5.4e2|http://unitsofmeasure.org|mg,ap1e400,lt-1e-400||';--`},
	{"Observation", `code-value-quantity=a|b$lt5|';--|'`},
	{"Observation", `component-code-value-quantity=a$5&combo-code=x&subject:missing=true&code:not=x&code:text=';--`},
	{"Observation", `value-date=1&value-string=\&value-concept:of-type=a|b|c`},
	{"Observation", `_lastUpdated=ap2020&_tag=a|&_profile:below=http://'&_source:above=http://a/b/c`},
	{"ValueSet", `url:below=';--&url:above=a/b/';--&version=1&reference=http://example.org/x|2`},
	{"", `_lastUpdated=gt2000`},
	{"", `_count=0`},
	{"List", `_list=';--`},
	{"Location", `near=1|2|3`},
	{"Encounter", `length=gt5||min`},
	{"RiskAssessment", `probability=ap0.5,ne1,eb-5`},
	{"MolecularSequence", `window-start=1`},
	{"Patient", `_page=AAAA`},
	{"Patient", `phonetic=x&telecom=mail\,to`},
	{"Patient", "name=\\"},
	{"Patient", `address:contains=,`},
	{"Patient", `a=1&a=1&a=1`},
	{"Patient", `_text=';--&_content="';--`},
	{"Patient", `_content=((((a)))) or not not b`},
	{"Observation", `patient._content=a,b OR (c`},
	{"", `_content=x`},
	{"Observation", `code:in=';--|1,ValueSet/x&code:not-in=http://hl7.org/fhir/ValueSet/observation-status`},
	{"Observation", `status:in=http://hl7.org/fhir/ValueSet/observation-status&code:below=';--|x`},
	{"Patient", `createdAt=gt2020';--&_sort=createdAt,-organization`},
}
