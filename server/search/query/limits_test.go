package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

func TestHostileSearchesAreRefusedOrRead(t *testing.T) {
	many := func(n int, text string) string { return strings.Repeat(text, n) }
	tests := []struct {
		name, search, want string
	}{
		{"10,000 values", "Patient?gender=m" + many(9_999, ",m"), ""},
		{"10,001 values", "Patient?gender=m" + many(10_000, ",m"), "more than 10000 values"},
		{"values of all types", "?_tag=m" + many(9_999, ",m"), ""},
		{"values of many types", "?_type=Patient,Practitioner&name=m" + many(5_000, ",m"), "more than 10000 values"},
		{"a parameter again and again", "Patient?" + many(200, "gender=male&"), ""},
		{"201 parameters", "Patient?" + many(201, "gender=male&"), "more than 200 parameters"},
		{"only ampersands", "Patient?" + many(100_000, "&"), ""},
		{"100 hops", "Observation?" + many(100, "has-member:Observation.") + "code=x", "more than 16 hops"},
		{"100 reverse hops", "Observation?" + many(100, "_has:Observation:has-member:") + "code=x", "more than 16 hops"},
		{"hops to all types", "Observation?" + many(8, "focus.") + "_id=x", "more than 1000 types"},
		{"a search of 2 MiB", "Patient?name=" + many(2<<20, "x"), "longer than 1048576 bytes"},
		{"keys to sort by", "Patient?_sort=" + many(40, "name,"), "more than 32 keys"},
		{"backslashes", "Patient?name=" + many(100_000, `\\`), "no letter or digit"},
		{"bars", "Patient?identifier=" + many(100_000, "|"), "no token"},
		{"dollars", "Observation?code-value-quantity=" + many(100_000, "$"), "100001 values"},
		{"points", "Observation?subject" + many(1_000, ".") + "=x", "has the parameter"},
		{"colons", "Patient?name" + many(1_000, ":") + "=x", "does not take the modifier"},
		{"parentheses", "Patient?_text=" + many(100, "("), "deeper than 16"},
		{"201 words of a text", "Patient?_content=" + many(201, "a+"), "more than 200 words"},
		{"a long exponent", "RiskAssessment?probability=1e" + many(1_000, "9"), "no number"},
		{"a long number", "RiskAssessment?probability=" + many(1_000, "9"), "no number"},
		{"a long unit", "Observation?value-quantity=1|http://unitsofmeasure.org|" + many(10_000, "m."), ""},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			_, err := parse(parser(), x.search, true)
			var f *outcome.Fault
			switch {
			case err == nil && x.want == "":
			case err == nil:
				t.Errorf("read; want a refusal with %q", x.want)
			case !errors.As(err, &f) || f.Status() != 400:
				t.Errorf("refused by %T: %v", err, err)
			case x.want == "" || !strings.Contains(err.Error(), x.want):
				t.Errorf("refused: %v; want %q", err, x.want)
			case len(err.Error()) > 1_000:
				t.Errorf("an answer of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestSelectsShareTheValuesOfAParameterOfAllTypes(t *testing.T) {
	q, err := parse(parser(), "?_tag=a,b", true)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Selects) != len(r4.ResourceTypes()) {
		t.Fatalf("%d selects", len(q.Selects))
	}
	first := q.Selects[0].Where[0].(query.Match)
	for _, s := range q.Selects[1:] {
		m := s.Where[0].(query.Match)
		if &m.Values[0] != &first.Values[0] {
			t.Errorf("%s has values of its own", s.Type)
		}
		if m.Param != search.R4().Parameter(s.Type, "_tag") {
			t.Errorf("%s has the parameter of another type", s.Type)
		}
	}
}

func TestWhatIsNotThereIsNotOffered(t *testing.T) {
	bare := &query.Parser{Parameters: search.R4()}
	for _, x := range []struct{ search, want string }{
		{"Patient?_text=x", "not offered"},
		{"Patient?_content=x", "not offered"},
		{"Location?near=1|1", "not offered"},
		{"DocumentReference?detectEntities-entity-text=x", "not offered"},
		{"Condition?code:in=http://x", "no terminology"},
		{"Condition?code:below=x", "no terminology"},
		{"QuestionnaireResponse?questionnaire:below=http://x|1", "parts of versions"},
		{"Patient?_sort=organization", "not sorted by"},
		{"Patient?_contained=true", "contained resources"},
		{"Patient?_containedType=contained", "contained resources"},
	} {
		if _, err := parse(bare, x.search, true); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; want %q", x.search, err, x.want)
		}
	}
}

// TestEveryParameterIsRead asks each parameter of each type for a value of its kind, and
// for each code of each compartment.
func TestEveryParameterIsRead(t *testing.T) {
	samples := map[r4.SearchType]string{
		r4.SearchNumber: "1", r4.SearchDate: "2020", r4.SearchString: "x", r4.SearchToken: "x",
		r4.SearchReference: "x", r4.SearchQuantity: "1", r4.SearchURI: "http://x", r4.SearchSpecial: "1|1",
	}
	n := 0
	for _, typ := range r4.ResourceTypes() {
		for _, p := range search.R4().Parameters(typ) {
			if p.Origin == search.OriginQuery {
				continue // _query and _filter are searches of their own
			}
			value := samples[p.Type]
			switch {
			case p.Type == r4.SearchComposite && p.Origin == search.OriginEntities:
				value = "1|1" // texts and numbers
			case p.Type == r4.SearchComposite:
				for i, c := range p.Components {
					kind := p.Bindings[0].Components[i][0].Kind
					if c.Type != r4.SearchNone && search.KindOf(c.Type) != kind {
						t.Errorf("%s.%s: component %d is of kind %s", typ, p.Code, i, kind)
					}
					value += strings.Repeat("$", min(i, 1)) + map[search.Kind]string{
						search.KindToken: "x", search.KindString: "x", search.KindDate: "2020",
						search.KindNumber: "1", search.KindQuantity: "1", search.KindReference: "Patient/1", search.KindURI: "http://x",
					}[kind]
				}
			}
			text := fmt.Sprintf("%s?%s=%s", typ, p.Code, value)
			if _, err := parse(parser(), text, true); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			n++
		}
	}
	if n < 1_700 {
		t.Errorf("%d parameters", n)
	}
	for _, c := range r4.Compartments() {
		for _, m := range c.Members {
			for _, code := range m.Codes {
				if code != "{def}" && search.R4().Parameter(m.Type, code) == nil {
					t.Errorf("compartment %s: %s has no parameter %s", c.Code, m.Type, code)
				}
			}
		}
	}
}

// TestAnswersNameTheParameterAndWhatIsExpected: every fault of a value says where.
func TestAnswersNameTheParameterAndWhatIsExpected(t *testing.T) {
	_, err := parse(parser(), "Patient?birthdate=x&gender:exact=y&_count=z", false)
	var f *outcome.Fault
	if !errors.As(err, &f) || len(f.Issues) != 3 {
		t.Fatalf("%v", err)
	}
	for i, name := range []string{"birthdate", "gender:exact", "_count"} {
		if !strings.HasPrefix(f.Issues[i].Diagnostics, "parameter "+name+": ") {
			t.Errorf("issue %d: %s", i, f.Issues[i].Diagnostics)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"Patient?name=peter", "Observation?subject:Patient.name:exact=a%5C,b,c", "?_type=Patient,Observation&_id=1",
		"Patient/1/*?_lastUpdated=gt2020", "Observation?code-value-quantity=a$gt5.4||mg",
		"Patient?_has:Observation:patient:_has:AuditEvent:entity:agent-name=x&_sort=-name,_id&_count=5",
		"ValueSet?url=http://x|1&url:below=http://x", "Condition?_text=(a+or+b)+and+not+c", "Location?near=1|1|1|km",
		"MedicationRequest?_include:iterate=MedicationRequest:*&_revinclude=*&_summary=true",
		`Patient?name=a\,b,\|,\$,\\&identifier=\||\,&name=a\`, "Patient?name=%&name=%2&name=%zz&name=%ff%00", "Observation?code-value-quantity=\\$$5||\\|",
		"RiskAssessment?probability=1e309,-1e-400,ap0,00.10,1e2147483647", "Patient?birthdate=ap0001,9999-12-31T23:59:60Z,2020-02-30,ge10000", "Patient?';--=a&name:';--=b&_sort=';--&_include=';--&_elements=';--",
		"Condition?code:in=http://x|1,ValueSet/'&code:below=http://loinc.org|'", `Patient?_content=((a OR "b c") AND NOT (d)) e&_text=(`, "Patient?organization:Organization.partof.partof:Organization.name:contains=a",
		`DocumentReference?infer-icd10cm-entity-text-concept-score=a|0.6,b\|c$lt1&cm-decoration-status:not=X&detectEntities-entity-score=ap1`,
		"Observation?has-member:Observation._has:Observation:has-member:subject:Patient._id=1", "Patient?a=1&a=1&a=1&=&&=a&_count=-1&_count=99999999999999999999",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	p := parser()
	f.Fuzz(func(t *testing.T, text string, strict bool) {
		q, err := parse(p, text, strict)
		if err != nil {
			var fault *outcome.Fault
			if !errors.As(err, &fault) || len(fault.Issues) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		path, _, _ := strings.Cut(text, "?")
		again, err := parse(p, path+"?"+q.Self(), true)
		if err != nil {
			t.Fatalf("self %s: %v", q.Self(), err)
		}
		if again.Self() != q.Self() {
			t.Errorf("self %s, then %s", q.Self(), again.Self())
		}
		if again.String() != q.String() {
			t.Errorf("tree\n%s, then\n%s", q, again)
		}
		if len(again.Issues) > 0 {
			t.Errorf("self %s has issues: %v", q.Self(), again.Issues)
		}
	})
}
