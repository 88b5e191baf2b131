package r4_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// codeSet finds the code set of an element and fails the test without it.
func codeSet(t *testing.T, typ, name string) *r4.CodeSet {
	t.Helper()
	b := element(t, typ, name).Binding
	if b.CodeSet == 0 {
		t.Fatalf("%s.%s has no code set", typ, name)
	}
	return r4.CodeSetAt(b.CodeSet)
}

func TestCodeSetsOfRequiredBindings(t *testing.T) {
	for _, c := range []struct {
		typ, name, url string
		n              int
		in, out        []string
	}{
		{"Patient", "gender", "administrative-gender", 4, []string{"male", "female", "other", "unknown"}, []string{"", "m", "Male", "males"}},
		{"Observation", "status", "observation-status", 8, []string{"final", "entered-in-error"}, []string{"done"}},
		{"Timing.repeat", "periodUnit", "units-of-time", 7, []string{"s", "min", "a"}, []string{"sec"}},
		{"Bundle", "type", "bundle-type", 9, []string{"searchset"}, []string{"search"}},
		{"Narrative", "status", "narrative-status", 4, []string{"generated"}, []string{"none"}},
	} {
		t.Run(c.typ+"."+c.name, func(t *testing.T) {
			s := codeSet(t, c.typ, c.name)
			if s.URL != "http://hl7.org/fhir/ValueSet/"+c.url || len(s.Codings) != c.n {
				t.Errorf("got %s with %d codes, want %s with %d", s.URL, len(s.Codings), c.url, c.n)
			}
			for _, code := range c.in {
				if !s.Contains([]byte(code)) {
					t.Errorf("%q is missing", code)
				}
			}
			for _, code := range c.out {
				if s.Contains([]byte(code)) {
					t.Errorf("%q is in the set", code)
				}
			}
		})
	}
}

func TestEveryCodeSetContainsItsCodingsAndNoOthers(t *testing.T) {
	for i := range r4.NumCodeSets() {
		s := r4.CodeSetAt(uint16(i))
		known := map[string]bool{}
		for _, c := range s.Codings {
			known[c.Code] = true
			if !s.Contains([]byte(c.Code)) || !s.ContainsCoding([]byte(c.System), []byte(c.Code)) {
				t.Errorf("%s: %v is missing", s.URL, c)
			}
			if s.ContainsCoding([]byte("http://example.org"), []byte(c.Code)) {
				t.Errorf("%s: %s is found in a strange system", s.URL, c.Code)
			}
		}
		for code := range known {
			for _, other := range []string{code + "x", code[1:], "x" + code, code + "\x00", ""} {
				if s.Contains([]byte(other)) != known[other] {
					t.Errorf("%s: Contains(%q) = %v", s.URL, other, !known[other])
				}
			}
		}
	}
}

func TestRequiredBindingsWithoutCodeSetAreTheKnownOnes(t *testing.T) {
	missing := map[string]bool{}
	for i := 2; i < r4.NumElements(); i++ {
		if b := r4.ElementAt(r4.ElementID(i)).Binding; b.Strength == r4.BindingRequired && b.CodeSet == 0 {
			missing[b.ValueSet] = true
		}
	}
	want := []string{
		"http://hl7.org/fhir/ValueSet/currencies", "http://hl7.org/fhir/ValueSet/mimetypes",
		"http://hl7.org/fhir/ValueSet/ucum-units", "http://loinc.org/vs/LL379-9",
	}
	for _, url := range want {
		if !missing[url] {
			t.Errorf("%s has a code set", url)
		}
		delete(missing, url)
	}
	for url := range missing {
		t.Errorf("%s has no code set", url)
	}
}

func TestBindingsOfOtherStrengthsAreKept(t *testing.T) {
	got := element(t, "Patient", "language").Binding
	if want := (r4.Binding{Strength: r4.BindingPreferred, ValueSet: "http://hl7.org/fhir/ValueSet/languages"}); got != want {
		t.Errorf("Patient.language: %+v", got)
	}
	if got := element(t, "Observation", "code").Binding.Strength; got != r4.BindingExample {
		t.Errorf("Observation.code: %v", got)
	}
}

// keys returns the keys of the constraints, in their order.
func keys(list []uint16) []string {
	var k []string
	for _, i := range list {
		k = append(k, r4.ConstraintAt(i).Key)
	}
	return k
}

func TestConstraintsHoldWhereTheyAreDeclared(t *testing.T) {
	dom := []string{"dom-2", "dom-3", "dom-4", "dom-5", "dom-6"}
	for _, c := range []struct {
		typ  string
		want []string
	}{
		{"Element", []string{"ele-1"}},
		{"BackboneElement", nil},
		{"HumanName", nil},
		{"Extension", []string{"ext-1"}},
		{"Patient", dom},
		{"Bundle", []string{"bdl-1", "bdl-2", "bdl-3", "bdl-4", "bdl-7", "bdl-9", "bdl-10", "bdl-11", "bdl-12"}},
		{"Patient.contact", []string{"pat-1"}},
		{"Questionnaire.item", []string{"que-1", "que-3", "que-4", "que-5", "que-6", "que-8", "que-9", "que-10", "que-11", "que-12", "que-13"}},
		{"Age", []string{"qty-3", "age-1"}},
	} {
		id, _ := r4.TypeByName(c.typ)
		got := keys(r4.TypeAt(id).Constraints)
		want := slices.Clone(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.typ, got, want)
		}
	}
	if got := element(t, "Patient", "contact").Constraints; got != nil {
		t.Errorf("Patient.contact lists %v besides its type", keys(got))
	}
	if got := keys(element(t, "Observation.referenceRange", "low").Constraints); got != nil {
		t.Errorf("Observation.referenceRange.low: %v", got)
	}
}

func TestConstraintCounts(t *testing.T) {
	severity := map[string]bool{} // by key; true is a warning
	used := map[uint16]bool{}
	for i := 1; i < r4.NumTypes(); i++ {
		for _, c := range r4.TypeAt(r4.TypeID(i)).Constraints {
			used[c] = true
		}
		for _, e := range r4.Elements(r4.TypeID(i)) {
			for _, c := range e.Constraints {
				used[c] = true
			}
		}
	}
	errors, warnings := 0, 0
	for i := 1; i < r4.NumConstraints(); i++ {
		c := r4.ConstraintAt(uint16(i))
		if !used[uint16(i)] || c.Key == "" || c.Human == "" || c.Expression == "" || c.Path == "" {
			t.Errorf("constraint %+v is used nowhere or incomplete", c)
		}
		severity[c.Key] = c.Warning
		if c.Warning {
			warnings++
		} else {
			errors++
		}
		if c.BestPractice != (c.Key == "dom-6" || c.Key == "con-3") {
			t.Errorf("%s: BestPractice is %v", c.Key, c.BestPractice)
		}
	}
	if errors != 205 || warnings != 34 || len(severity) != 237 {
		t.Errorf("%d errors, %d warnings, %d keys; want 205, 34 and 237", errors, warnings, len(severity))
	}
}

func TestSearchParametersAreRestrictedToTheirBase(t *testing.T) {
	for _, c := range []struct {
		typ        r4.TypeID
		code       string
		base       r4.TypeID
		kind       r4.SearchType
		expression string
	}{
		{r4.TypePatient, "birthdate", r4.TypePatient, r4.SearchDate, "Patient.birthDate"},
		{r4.TypeObservation, "patient", r4.TypeObservation, r4.SearchReference, "Observation.subject.where(resolve() is Patient)"},
		{r4.TypeObservation, "value-quantity", r4.TypeObservation, r4.SearchQuantity, "(Observation.value as Quantity) | (Observation.value as SampledData)"},
		{r4.TypeObservation, "_id", r4.TypeResource, r4.SearchToken, "Resource.id"},
		{r4.TypeObservation, "_text", r4.TypeDomainResource, r4.SearchString, ""},
		{r4.TypeBinary, "_lastUpdated", r4.TypeResource, r4.SearchDate, "Resource.meta.lastUpdated"},
	} {
		p := r4.SearchParameterByCode(c.typ, c.code)
		if p == nil {
			t.Errorf("%v has no parameter %s", c.typ, c.code)
			continue
		}
		if p.Base != c.base || p.Type != c.kind || p.Expression != c.expression {
			t.Errorf("%v.%s: %+v", c.typ, c.code, p)
		}
	}
	for _, none := range []string{"", "foo", "_text"} {
		if p := r4.SearchParameterByCode(r4.TypeBinary, none); p != nil {
			t.Errorf("Binary.%s: %+v", none, p)
		}
	}
}

func TestCompositeHasItsComponents(t *testing.T) {
	p := r4.SearchParameterByCode(r4.TypeObservation, "code-value-quantity")
	if p == nil || !p.SingleValue || len(p.Components) != 2 {
		t.Fatalf("got %+v", p)
	}
	want := r4.SearchComponent{
		Code: "value-quantity", URL: "http://hl7.org/fhir/SearchParameter/Observation-value-quantity",
		Type: r4.SearchQuantity, Expression: "value.as(Quantity)",
	}
	if p.Components[1] != want {
		t.Errorf("got %+v", p.Components[1])
	}
}

func TestSearchParameterCounts(t *testing.T) {
	total, urls := 0, map[string]bool{}
	for i := 1; i < r4.NumTypes(); i++ {
		own := r4.SearchParameters(r4.TypeID(i))
		for j := range own {
			p := &own[j]
			urls[p.URL] = true
			total++
			if p.Base != r4.TypeID(i) || p.Type == r4.SearchNone || (p.Type == r4.SearchComposite) != (len(p.Components) > 0) {
				t.Errorf("%v: %+v", r4.TypeID(i), p)
			}
			if j > 0 && own[j-1].Code >= p.Code {
				t.Errorf("%v: %s is not sorted", r4.TypeID(i), p.Code)
			}
			if r4.SearchParameterByCode(r4.TypeID(i), p.Code) != p {
				t.Errorf("%v: %s is not found", r4.TypeID(i), p.Code)
			}
		}
	}
	all := 0
	for range r4.AllSearchParameters(r4.TypePatient) {
		all++
	}
	if got, want := fmt.Sprint(len(urls), total, all), "1376 1707 33"; got != want {
		t.Errorf("definitions, parameters, those of Patient: %s, want %s", got, want)
	}
}

func TestCompartments(t *testing.T) {
	var codes []string
	for _, c := range r4.Compartments() {
		codes = append(codes, c.Code)
		if c.Type.String() != c.Code || r4.Compartment(c.Code).URL != c.URL {
			t.Errorf("%+v", c)
		}
		for _, m := range c.Members {
			for _, code := range m.Codes {
				if code == "{def}" {
					if m.Type != c.Type {
						t.Errorf("%s: {def} for %v", c.Code, m.Type)
					}
					continue
				}
				p := r4.SearchParameterByCode(m.Type, code)
				if p == nil || p.Type != r4.SearchReference {
					t.Errorf("%s: %v has no reference parameter %s", c.Code, m.Type, code)
				}
			}
		}
	}
	if want := []string{"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"}; !slices.Equal(codes, want) {
		t.Errorf("got %v", codes)
	}
	patient := r4.Compartment("Patient")
	if got := patient.SearchCodes(r4.TypeObservation); !slices.Equal(got, []string{"subject", "performer"}) {
		t.Errorf("Observation: %v", got)
	}
	if got := patient.SearchCodes(r4.TypeOrganization); got != nil {
		t.Errorf("Organization: %v", got)
	}
	if r4.Compartment("Foo") != nil {
		t.Error("found a compartment Foo")
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	set := codeSet(t, "Patient", "gender")
	key, name, code, system := []byte("birthDate"), []byte("Patient"), []byte("female"), []byte("http://hl7.org/fhir/administrative-gender")
	n := testing.AllocsPerRun(100, func() {
		if r4.Lookup(r4.TypePatient, key) == 0 || r4.ResourceTypeByName(name) == 0 || !set.Contains(code) ||
			!set.ContainsCoding(system, code) || r4.TypePatient.ElementByName("gender") == 0 {
			t.Fatal("not found")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCodeSetContains(b *testing.B) {
	id := r4.TypePatient.ElementByName("gender")
	set := r4.CodeSetAt(r4.ElementAt(id).Binding.CodeSet)
	codes := [][]byte{[]byte("male"), []byte("female"), []byte("unknown"), []byte("other")}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range codes {
			if !set.Contains(c) {
				b.Fatal("not found")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(codes)), "ns/code")
}
