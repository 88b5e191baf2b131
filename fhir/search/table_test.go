package search

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

func TestPathsThatMeanTheSameAreTheSame(t *testing.T) {
	for _, c := range []struct{ name, typ, in, want string }{
		{"plain", "Patient", "Patient.name", "Patient.name"},
		{"relative", "InsurancePlan", "alias", "InsurancePlan.alias"},
		{"of an abstract type", "Patient", "Resource.meta.tag", "Patient.meta.tag"},
		{"cast as operator", "Observation", "(Observation.value as Quantity)", "Observation.value.ofType(Quantity)"},
		{"cast as function", "Condition", "Condition.onset.as(Age)", "Condition.onset.ofType(Age)"},
		{"member of a cast", "Observation", "(Observation.value as CodeableConcept).text", "Observation.value.ofType(CodeableConcept).text"},
		{"type that R4 misspells", "", "value.as(DateTime)", "value.ofType(dateTime)"},
		{"condition stays", "Patient", "Patient.telecom.where(system='phone')", "Patient.telecom.where(system='phone')"},
		{"two parentheses stay two", "Patient", "(Patient.a).b(c)", "Patient.a.b(c)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := path(c.in, c.typ); got != c.want {
				t.Errorf("path(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestUnionSplitsOnlyWhatIsOne(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"two", "a | b.c", []string{"a", "b.c"}},
		{"within parentheses", "(a | b).c", []string{"(a | b).c"}},
		{"within a text", "a.where(b='|') | c", []string{"a.where(b='|')", "c"}},
		{"looser operator beside", "a | b = c", []string{"a | b = c"}},
		{"looser word beside", "a | b and c", []string{"a | b and c"}},
		{"cast binds tighter", "a as B | c", []string{"a as B", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, union(c.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParametersWithTheSameValuesShareRows(t *testing.T) {
	group := func(typ r4.TypeID, code string) (ids []GroupID) {
		for _, m := range R4().Parameter(typ, code).Terms {
			ids = append(ids, m.Group(Main))
		}
		return ids
	}
	subject, patient := R4().Parameter(r4.TypeObservation, "subject").Terms[0], R4().Parameter(r4.TypeObservation, "patient").Terms[0]
	if subject.Group(Main) != patient.Group(Main) || patient.Target != r4.TypePatient || subject.Target != 0 {
		t.Errorf("subject is %+v, patient %+v", subject, patient)
	}
	code, component, combo := group(r4.TypeObservation, "code"), group(r4.TypeObservation, "component-code"), group(r4.TypeObservation, "combo-code")
	if diff := cmp.Diff(slices.Concat(code, component), combo); diff != "" {
		t.Errorf("combo-code: %s", diff)
	}
	of := R4().Parameter(r4.TypeObservation, "code-value-quantity").Bindings
	if len(of) != 1 || of[0].Parts || of[0].Components[0][0].Group(Main) != code[0] {
		t.Errorf("code-value-quantity binds %+v", of)
	}
	of = R4().Parameter(r4.TypeObservation, "combo-code-value-quantity").Bindings
	if len(of) != 2 || !of[1].Parts || of[1].Components[0][0].Group(Main) != component[0] {
		t.Errorf("combo-code-value-quantity binds %+v", of)
	}
}

// The numbers are on disk: a change of any of these makes indexes unreadable.
func TestGroupNumbersAreStable(t *testing.T) {
	for _, c := range []struct {
		typ   r4.TypeID
		code  string
		facet Facet
		want  GroupID
	}{
		{r4.TypePatient, "name", Main, 0x7a89a179},
		{r4.TypeObservation, "code", Main, 0x3a9e51a1},
		{r4.TypeObservation, "code", FacetText, 0x32d234f1},
		{r4.TypeObservation, "patient", FacetIdentifier, 0x8df321dd},
		{r4.TypeEncounter, "_tag", Main, 0x93c9754b},
	} {
		if got := R4().Parameter(c.typ, c.code).Terms[0].Group(c.facet); got != c.want {
			t.Errorf("%s.%s%s has the number %#x, want %#x", c.typ, c.code, facetNames[c.facet], got, c.want)
		}
	}
}

func TestNoTwoGroupsHaveTheSameNumber(t *testing.T) {
	numbers := R4().Numbers()
	for id, texts := range numbers {
		if len(texts) > 1 {
			t.Errorf("%#x is the number of %q", id, texts)
		}
	}
	if len(numbers) < 3000 {
		t.Errorf("%d groups, expected thousands", len(numbers))
	}
	t.Logf("%d group numbers", len(numbers))
}

func TestEveryParameterOfR4HasItsTerms(t *testing.T) {
	n := 0
	for _, typ := range r4.ResourceTypes() {
		for p := range r4.AllSearchParameters(typ) {
			n++
			q := R4().Parameter(typ, p.Code)
			if q == nil || q.URL != p.URL || q.Origin == OriginRows && len(q.terms()) == 0 {
				t.Errorf("%s.%s is %+v", typ, p.Code, q)
			}
		}
	}
	if n < 1400 {
		t.Errorf("%d parameters, expected R4's 1,400", n)
	}
}

func TestCustomParameters(t *testing.T) {
	custom := []r4.SearchParameter{
		{Code: "eye", URL: "http://example.org/eye", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.extension.where(url='eye').value"},
		{Code: "name", URL: "http://example.org/taken", Base: r4.TypePatient, Type: r4.SearchString, Expression: "Patient.name"},
		{Code: "gender", URL: "http://hl7.org/fhir/SearchParameter/individual-gender", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.gender | Patient.maritalStatus"},
		{Code: "none", URL: "http://example.org/none", Base: r4.TypePatient, Type: r4.SearchToken},
		{Code: "both", URL: "http://example.org/both", Base: r4.TypePatient, Type: r4.SearchComposite, Expression: "Patient.contact", Components: []r4.SearchComponent{
			{URL: "http://hl7.org/fhir/SearchParameter/individual-gender", Expression: "gender"},
			{URL: "http://example.org/eye", Expression: "relationship"},
		}},
		{Code: "lost", URL: "http://example.org/lost", Base: r4.TypePatient, Type: r4.SearchComposite, Expression: "Patient", Components: []r4.SearchComponent{
			{URL: "http://example.org/not-there", Expression: "gender"},
		}},
	}
	table, faults := NewTable(custom, nil)
	var told []string
	for _, f := range faults {
		told = append(told, strings.TrimPrefix(f.URL, "http://example.org/"))
	}
	slices.Sort(told)
	if diff := cmp.Diff([]string{"lost", "none", "taken"}, told); diff != "" {
		t.Errorf("faults: %s\n%v", diff, faults)
	}
	if p := table.Parameter(r4.TypePatient, "eye"); p == nil || !p.Custom || len(p.Terms) != 1 {
		t.Errorf("eye is %+v", p)
	}
	if p := table.Parameter(r4.TypePatient, "gender"); len(p.Terms) != 2 || !p.Custom {
		t.Errorf("gender is %+v", p)
	}
	if p := table.Parameter(r4.TypePatient, "both"); p == nil || len(p.Bindings) != 1 || p.Bindings[0].Components[0][0].Path() != "Patient.contact.select(gender) of http://example.org/both; token gender; token relationship" {
		t.Errorf("both is %+v", p)
	}
	if p := table.Parameter(r4.TypePatient, "name"); p.URL == "http://example.org/taken" {
		t.Error("name was taken over")
	}
}
