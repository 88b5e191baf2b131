package bulkdata

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/outcome"
)

func TestFiltersOfAList(t *testing.T) {
	for list, want := range map[string]string{
		"Patient?gender=male":                                 "Patient?gender=male",
		"Observation?status=final,amended":                    "Observation?status=final,amended",
		"Observation?status=final,amended,Patient?gender=x":   "Observation?status=final,amended|Patient?gender=x",
		"Observation?code=a,/Patient?gender=x, Group?_id=1":   "Observation?code=a|/Patient?gender=x|Group?_id=1",
		"Observation?subject:Patient.name=Smith,Jones&code=a": "Observation?subject:Patient.name=Smith,Jones&code=a",
	} {
		if got := strings.Join(splitFilters(list), "|"); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}

func TestPatientsOfABody(t *testing.T) {
	body := `{"resourceType":"Parameters","parameter":[
		{"name":"patient","valueReference":{"reference":"Patient/a"}},
		{"name":"patient","valueReference":{"reference":"http://example.org/r4/Patient/b"}},
		{"name":"patient","valueString":"Patient/c,Patient/d"}]}`
	k := KickOff{Level: Patient, Post: true, Body: []byte(body)}
	r, _, err := k.Read()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b", "c", "d"}, r.Patients); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// FuzzKickOff reads what a client may send: it is understood, or a fault.
func FuzzKickOff(f *testing.F) {
	f.Add("_type=Patient&_since=2020-01-01T00:00:00Z", `{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Group"}]}`, true)
	f.Add("_typeFilter=Patient?gender=male&_elements=id", `{"JobName":"n","OutputDataConfig":{"S3Configuration":{"S3Uri":"s3://bucket/key"}}}`, false)
	f.Add("patient=Patient/1", `{"resourceType":"Parameters","parameter":[null,{"name":1},{"part":[{}]}]}`, true)
	f.Fuzz(func(t *testing.T, query, body string, strict bool) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		k := KickOff{Level: Patient, Post: true, Strict: strict, Query: q, Body: []byte(body)}
		r, _, err := k.Read()
		var fault *outcome.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("%v is no fault", err)
		}
		if err == nil && (r == nil || strict && len(r.Notes) > 0) {
			t.Errorf("%+v", r)
		}
	})
}
