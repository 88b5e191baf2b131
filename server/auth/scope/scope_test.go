package scope

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

func TestParse(t *testing.T) {
	everything := Create | Read | Update | Delete | Search
	for text, want := range map[string][]Scope{
		"patient/*.read":                                {{"patient", 0, Read | Search, ""}},
		"user/Observation.write":                        {{"user", r4.TypeObservation, Create | Update | Delete, ""}},
		"system/*.*":                                    {{"system", 0, everything, ""}},
		"system/*.cruds":                                {{"system", 0, everything, ""}},
		"patient/Observation.rs?category=x|":            {{"patient", r4.TypeObservation, Read | Search, "category=x|"}},
		"patient/Patient.r  openid":                     {{"patient", r4.TypePatient, Read, ""}},
		"openid fhirUser launch/patient offline_access": nil,
		"patient/*.rx":                                  nil,
		"patient/*.sr":                                  nil, // not in order
		"patient/*.rr":                                  nil,
		"patient/*.":                                    nil,
		"patient/*":                                     nil,
		"patient/Nothing.rs":                            nil,
		"Patient/*.rs":                                  nil,
		"group/*.rs":                                    nil,
		"patient/*.read?code=x":                         nil,
		"patient/Observation.rs?":                       nil,
		"patient/Observation.RS":                        nil,
		"patient/Observation.r.s":                       nil,
		"system/Patient/Patient.r":                      nil,
	} {
		if diff := cmp.Diff(want, Parse(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestPermit(t *testing.T) {
	const (
		mine    = `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"s","code":"a"}]},"subject":{"reference":"Patient/p1"},"category":[{"coding":[{"system":"c","code":"lab"}]}]}`
		other   = `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"s","code":"a"}]},"subject":{"reference":"Patient/p2"}}`
		beside  = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"focus":[{"reference":"Patient/p1"}],"subject":{"reference":"Patient/p2"}}`
		here    = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"http://here/r4/Patient/p1"}}`
		away    = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"http://away/r4/Patient/p1"}}`
		p1      = `{"resourceType":"Patient","id":"p1"}`
		linked  = `{"resourceType":"Patient","id":"p2","link":[{"other":{"reference":"Patient/p1"},"type":"seealso"}]}`
		doctor  = `{"resourceType":"Practitioner","id":"d"}`
		task    = `{"resourceType":"Task","id":"t","status":"draft","intent":"plan","for":{"reference":"Patient/p1"}}`
		unknown = `{"resourceType":"Observation"`
	)
	for _, c := range []struct {
		name, scopes string
		letter       Letters
		typ          r4.TypeID
		id, text     string
		want         bool
	}{
		{"mine", "patient/*.rs", Read, r4.TypeObservation, "o", mine, true},
		{"another's", "patient/*.rs", Read, r4.TypeObservation, "o", other, false},
		{"a reference that is none of the compartment", "patient/*.rs", Read, r4.TypeObservation, "o", beside, false},
		{"absolute, here", "patient/*.rs", Read, r4.TypeObservation, "o", here, true},
		{"absolute, elsewhere", "patient/*.rs", Read, r4.TypeObservation, "o", away, false},
		{"all of the system", "system/*.rs", Read, r4.TypeObservation, "o", other, true},
		{"a user who is a patient", "user/*.rs", Read, r4.TypeObservation, "o", other, false},
		{"no letter", "patient/*.rs", Update, r4.TypeObservation, "o", mine, false},
		{"another type", "patient/Condition.rs", Read, r4.TypeObservation, "o", mine, false},
		{"the patient", "patient/*.rs", Read, r4.TypePatient, "p1", p1, true},
		{"a linked patient", "patient/*.rs", Read, r4.TypePatient, "p2", linked, false},
		{"a practitioner", "patient/*.rs", Read, r4.TypePractitioner, "d", doctor, true},
		{"writing a practitioner", "patient/*.cruds", Update, r4.TypePractitioner, "d", doctor, false},
		{"a type of no compartment", "patient/*.rs", Read, r4.TypeTask, "t", task, false},
		{"granular, of the category", "patient/Observation.rs?category=c|lab", Read, r4.TypeObservation, "o", mine, true},
		{"granular, another system", "patient/Observation.rs?category=d|lab", Read, r4.TypeObservation, "o", mine, false},
		{"granular, another's", "patient/Observation.rs?code=a", Read, r4.TypeObservation, "o", other, false},
		{"granular, two parameters", "patient/Observation.rs?category=lab&code=b", Read, r4.TypeObservation, "o", mine, false},
		{"granular, or", "patient/Observation.rs?code=b patient/Observation.rs?code=a", Read, r4.TypeObservation, "o", mine, true},
		{"granular, of a parameter that is none", "patient/Observation.rs?color=red", Read, r4.TypeObservation, "o", mine, false},
		{"granular, a modifier", "patient/Observation.rs?code:not=b", Read, r4.TypeObservation, "o", mine, false},
		{"granular, no token", "patient/Observation.rs?date=ge2000", Read, r4.TypeObservation, "o", mine, false},
		{"granular, a chain", "patient/Observation.rs?subject:Patient.name=x", Read, r4.TypeObservation, "o", mine, false},
		{"granular, a parameter of results", "patient/Observation.rs?code=a&_count=1", Read, r4.TypeObservation, "o", mine, false},
	} {
		g := &Grants{Scopes: Parse(c.scopes), Patient: "p1", User: "p1"}
		got, err := g.Permit(c.letter, c.typ).Holds(c.id, []byte(c.text), []string{"http://here/r4/"})
		if err != nil || got != c.want {
			t.Errorf("%s: %t, %v, want %t", c.name, got, err, c.want)
		}
	}
	if (&Grants{Scopes: Parse("patient/*.rs")}).Permit(Read, r4.TypePatient) != nil {
		t.Error("without a patient a patient/ scope gives something")
	}
	for name, c := range map[string]struct {
		g           Grants
		whole, some bool
	}{
		"a practitioner":           {Grants{Staff: true}, true, true},
		"a patient":                {Grants{User: "p1"}, false, true},
		"nobody knows which":       {Grants{Patient: "p1"}, false, false},
		"a patient, whatever else": {Grants{User: "p1", Staff: true}, false, true},
	} {
		c.g.Scopes = Parse("user/*.rs")
		if permit := c.g.Permit(Read, r4.TypeObservation); c.g.Whole() != c.whole || (permit != nil) != c.some || c.some && permit.All() != c.whole {
			t.Errorf("a user who is %s: whole %t, %v", name, c.g.Whole(), permit)
		}
	}
	g := &Grants{Scopes: Parse("patient/*.rs"), Patient: "p1"}
	if ok, err := g.Permit(Read, r4.TypeObservation).Holds("o", []byte(unknown), nil); ok || err == nil {
		t.Error("what cannot be read is within reach")
	}
}
