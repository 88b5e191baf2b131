package profiles_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

// Thousands of slices over thousands of values are ended by the budget.
func TestManySlicesOfManyValuesEnd(t *testing.T) {
	var elements, values strings.Builder
	elements.WriteString(`{"path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"type.coding.code"}],"rules":"open"}}`)
	for i := range 4000 {
		fmt.Fprintf(&elements, `,{"path":"Patient.identifier","sliceName":"s%d"},{"path":"Patient.identifier.type","patternCodeableConcept":{"coding":[{"code":"c%d"}]}}`, i, i)
	}
	for range 20_000 {
		values.WriteString(`,{"type":{"coding":[{"code":"x"}]}}`)
	}
	set := profiles.NewSet(registry(t, patient(elements.String())...))
	tr, root := tree(t, []byte(`{"resourceType":"Patient","identifier":[`+values.String()[1:]+`]}`))
	issues := check(profiles.NewChecker(set), tr, root, "http://example.org/p")
	if len(issues) != 1 || issues[0].Code != fhir.CodeTooLong {
		t.Errorf("got %v", short(issues))
	}
}

// Thousands of answers, options and conditions are ended by the budget.
func TestManyAnswersToManyOptionsEnd(t *testing.T) {
	var options, answers strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&options, `,{"valueInteger":%d}`, i)
	}
	for range 3000 {
		answers.WriteString(`,{"valueInteger":-1}`)
	}
	set := profiles.NewSet(registry(t, `{"resourceType":"Questionnaire","url":"http://example.org/q","item":[{"linkId":"a","type":"choice","repeats":true,"answerOption":[`+options.String()[1:]+`]}]}`))
	tr, root := tree(t, []byte(`{"resourceType":"QuestionnaireResponse","questionnaire":"http://example.org/q","status":"completed","item":[{"linkId":"a","answer":[`+answers.String()[1:]+`]}]}`))
	issues := check(profiles.NewChecker(set), tr, root)
	if last := issues[len(issues)-1]; last.Code != fhir.CodeTooLong {
		t.Errorf("got %v", last)
	}
}

// A profile that asks itself of what is below it ends with the instance.
func TestAProfileOfItself(t *testing.T) {
	set := profiles.NewSet(registry(t, structure("http://example.org/p", "Bundle",
		`{"path":"Bundle.entry.resource","type":[{"code":"Bundle","profile":["http://example.org/p"]}]},{"path":"Bundle.total","min":1}`)))
	text := strings.Repeat(`{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"resource":`, 500) +
		`{"resourceType":"Bundle","type":"searchset"}` + strings.Repeat(`}]}`, 500)
	tr, root := tree(t, []byte(text))
	issues := check(profiles.NewChecker(set), tr, root, "http://example.org/p")
	if len(issues) != 1 || issues[0].Diagnostics != "found 0 of element total; expected at least 1" {
		t.Errorf("got %v", short(issues))
	}
}

// Every entry refers to one that is large: what is learnt of it is learnt once.
func TestAnEntryThatAllReferTo(t *testing.T) {
	set := profiles.NewSet(registry(t, structure("http://example.org/o", "Observation", `{"path":"Observation.subject","type":[{"code":"Reference","targetProfile":["http://example.org/named"]}]}`),
		structure("http://example.org/named", "Patient", `{"path":"Patient.name.family","min":1}`)))
	names := strings.Repeat(`,{"family":"x"}`, 2000)
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://example.org/Patient/1","resource":{"resourceType":"Patient","id":"1","name":[` + names[1:] + `]}}`)
	for range 2000 {
		b.WriteString(`,{"resource":{"resourceType":"Observation","meta":{"profile":["http://example.org/o"]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"}}}`)
	}
	b.WriteString(`]}`)
	tr, root := tree(t, []byte(b.String()))
	if issues := check(profiles.NewChecker(set), tr, root); len(issues) != 0 {
		t.Errorf("got %v", short(issues))
	}
}

func TestASetServesManyGoroutines(t *testing.T) {
	set := profiles.NewSet(registry(t, patient(`{"path":"Patient.name","min":1},{"path":"Patient.gender","binding":{"strength":"required","valueSet":"http://example.org/colours"}}`)...))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tr, root := tree(t, []byte(`{"resourceType":"Patient","gender":"male"}`))
			if issues := check(profiles.NewChecker(set), tr, root, "http://example.org/p", "http://hl7.org/fhir/StructureDefinition/bp"); len(issues) != 1 {
				t.Errorf("got %v", short(issues))
			}
		})
	}
	wg.Wait()
}

func TestAValidResourceMakesNoGarbage(t *testing.T) {
	c := profiles.NewChecker(profiles.NewSet(registry(t, append(patient(`{"path":"Patient.name","min":1,"max":"2"},{"path":"Patient.name.family","min":1},
		{"path":"Patient.maritalStatus","binding":{"strength":"required","valueSet":"http://example.org/colours"}},
		{"path":"Patient.managingOrganization","type":[{"code":"Reference","targetProfile":["http://example.org/none","http://hl7.org/fhir/StructureDefinition/Organization"]}]},
		{"path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"closed"}},
		{"path":"Patient.identifier","sliceName":"a","min":1},{"path":"Patient.identifier.system","fixedUri":"urn:a"},
		{"path":"Patient","constraint":[{"key":"p-1","severity":"error","human":"x","expression":"name.exists()"}]}`), colourSet)...)))
	tr, root := tree(t, []byte(`{"resourceType":"Patient","extension":[{"url":"http://example.org/x","valueCode":"x"}],"name":[{"family":"A"}],"identifier":[{"system":"urn:a"}],
		"maritalStatus":{"coding":[{"system":"http://example.org/c","code":"red"}]},"managingOrganization":{"reference":"Organization/1"}}`))
	claims := []string{"http://example.org/p"}
	report := func(is fhir.Issue) { t.Errorf("%v", is) }
	run := func() { c.Check(subject(tr, root), claims, report) }
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
