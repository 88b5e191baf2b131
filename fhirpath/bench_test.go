package fhirpath_test

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

const benchObservation = `{"resourceType":"Observation","id":"obs-heart-rate","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},"status":"final",
"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}],"text":"Heart rate"},
"subject":{"reference":"Patient/pat-two-names"},"encounter":{"reference":"Encounter/enc-1"},
"effectiveDateTime":"2019-05-13T03:45:57-04:00","issued":"2019-05-13T03:45:57.123-04:00",
"valueQuantity":{"value":72.5,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}`

const benchPatient = `{"resourceType":"Patient","id":"pat-two-names","active":true,
"identifier":[{"system":"urn:oid:1.2.36.146.595.217.0.1","value":"12345"}],
"name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},{"use":"usual","given":["Jim"]}],
"extension":[{"url":"http://e.org/ethnicity","valueString":"x"},{"url":"http://e.org/race","valueCode":"2106-3"}],
"gender":"male","birthDate":"1974-12-25"}`

func parsed(tb testing.TB, text string) fhirpath.Focus {
	tb.Helper()
	data := append(make([]byte, 0, len(text)+16), text...)
	tree := &fhir.Tree{}
	tree.Reset(data)
	res := parse.NewParser().Parse(tree, 0, uint32(len(data)))
	if res.Failed() {
		tb.Fatal(res.Issues)
	}
	return fhirpath.Focus{Tree: tree, Node: res.Root, Resource: res.Root, Root: res.Root, Bundle: fhir.NoNode}
}

// hotExpressions are the ones whose speed is promised.
var hotExpressions = []struct{ name, expression, resource string }{
	{"where", "Observation.code.coding.where(system='http://loinc.org').code", benchObservation},
	{"first", "Patient.name.where(use='official').given.first()", benchPatient},
	{"comparison", "Observation.value.ofType(Quantity).value > 10", benchObservation},
}

// commonExpressions are frequent ones beside those.
var commonExpressions = []struct{ name, expression, resource string }{
	{"union", "Observation.subject.reference | Observation.encounter.reference", benchObservation},
	{"union of types", "Patient.name.family | Patient.name.given | Patient.gender", benchPatient},
	{"code", "Observation.status = 'final'", benchObservation},
	{"exists", "Patient.name.exists(use = 'usual' and given.exists())", benchPatient},
	{"date", "Observation.effective.ofType(dateTime) >= @2019-01-01", benchObservation},
	{"date of now", "Patient.birthDate < today()", benchPatient},
	{"text", "Patient.name.first().family.upper() & ', ' & Patient.name.first().given.first()", benchPatient},
	{"startsWith", "Patient.name.where(family.startsWith('Chal')).use", benchPatient},
	{"extension", "Patient.extension('http://e.org/race').value.ofType(code)", benchPatient},
	{"in", "Observation.status in ('final' | 'amended' | 'corrected')", benchObservation},
	{"index", "Patient.name[0].given[1]", benchPatient},
	{"select", "Patient.name.select(given.first() & ' ' & family)", benchPatient},
	{"join", "Patient.name.given.join(' ')", benchPatient},
	{"quantity", "Observation.value.ofType(Quantity) > 1 '/s'", benchObservation},
	{"matches", "Patient.birthDate.toString().matches('^19[0-9]{2}')", benchPatient},
	{"descendants", "Observation.descendants().ofType(code)", benchObservation},
	{"distinct", "Patient.name.given.distinct().count()", benchPatient},
	{"type", "Observation.subject.resolve() is Patient", benchObservation},
}

func BenchmarkEval(b *testing.B) {
	for _, x := range append(hotExpressions, commonExpressions...) {
		b.Run(x.name, func(b *testing.B) {
			f := parsed(b, x.resource)
			p, err := fhirpath.Compile(x.expression, fhirpath.Options{Type: f.Tree.Nodes[f.Node].Type, Strict: true})
			if err != nil {
				b.Fatal(err)
			}
			ev := fhirpath.NewEvaluator(fhirpath.Environment{})
			b.ReportAllocs()
			for b.Loop() {
				if items, err := p.Eval(ev, f); err != nil || len(items) == 0 {
					b.Fatal(items, err)
				}
			}
		})
	}
}

// TestEvalAllocatesNothing holds the promise of the package comment.
func TestEvalAllocatesNothing(t *testing.T) {
	more := []struct{ name, expression, resource string }{
		{"exists", "Patient.name.exists(given.empty().not())", benchPatient},
		{"path", "Patient.name.given", benchPatient},
		{"date", "Patient.birthDate < @1990-01-01 and active", benchPatient},
		{"quantity", "Observation.value > 10 '/min'", benchObservation},
		{"count", "Patient.name.given.count() >= 3", benchPatient},
		{"in", "Observation.status in ('final' | 'amended')", benchObservation},
		{"union", "Patient.name.family | Patient.name.given", benchPatient},
		{"concatenation", "Patient.name.select(given.first() & ' ' & family)", benchPatient},
		{"extension", "Patient.extension('http://e.org/race').value.ofType(code)", benchPatient},
	}
	for _, x := range append(more, hotExpressions...) {
		f := parsed(t, x.resource)
		p, err := fhirpath.Compile(x.expression, fhirpath.Options{Type: f.Tree.Nodes[f.Node].Type, Strict: true})
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		ev := fhirpath.NewEvaluator(fhirpath.Environment{})
		n := testing.AllocsPerRun(100, func() {
			if items, err := p.Eval(ev, f); err != nil || len(items) == 0 {
				t.Fatalf("%s: %v %v", x.name, items, err)
			}
		})
		if n != 0 {
			t.Errorf("%s allocates %v times an evaluation", x.name, n)
		}
	}
}

// searchExpressions are those of the search parameters of a type.
func searchExpressions(t r4.TypeID) (expressions []string) {
	for p := range r4.AllSearchParameters(t) {
		if p.Expression != "" {
			expressions = append(expressions, p.Expression)
		}
	}
	return expressions
}

// BenchmarkSearchParameters evaluates all search parameters of real Observations,
// as one set and one by one.
func BenchmarkSearchParameters(b *testing.B) {
	foci := readAll(b, "synthea-120", "Observation", 5000)
	expressions := searchExpressions(r4.TypeObservation)
	o := fhirpath.Options{Type: r4.TypeObservation, LenientAs: true}
	report := func(b *testing.B) {
		b.ReportMetric(float64(b.N)*float64(len(foci))/b.Elapsed().Seconds(), "resources/s")
	}
	b.Run("set", func(b *testing.B) {
		set, err := fhirpath.CompileSet(expressions, o)
		if err != nil {
			b.Fatal(err)
		}
		ev := fhirpath.NewEvaluator(fhirpath.Environment{})
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			for _, f := range foci {
				if err := set.Eval(ev, f, func(int, fhirpath.Value) { n++ }); err != nil {
					b.Fatal(err)
				}
			}
		}
		report(b)
	})
	b.Run("one by one", func(b *testing.B) {
		var programs []*fhirpath.Program
		for _, x := range expressions {
			p, err := fhirpath.Compile(x, o)
			if err != nil {
				b.Fatal(err)
			}
			programs = append(programs, p)
		}
		ev := fhirpath.NewEvaluator(fhirpath.Environment{})
		b.ReportAllocs()
		for b.Loop() {
			for _, f := range foci {
				for _, p := range programs {
					if _, err := p.Eval(ev, f); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
		report(b)
	})
}
