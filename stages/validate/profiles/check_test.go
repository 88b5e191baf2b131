package profiles_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

// structure makes the JSON of a profile; elements are those of its differential.
func structure(url, typ, elements string) string {
	return fmt.Sprintf(`{"resourceType":"StructureDefinition","url":%q,"kind":"resource","type":%q,"derivation":"constraint",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/%s","differential":{"element":[%s]}}`, url, typ, typ, elements)
}

func registry(tb testing.TB, definitions ...string) *profile.Registry {
	tb.Helper()
	r := profile.NewRegistry()
	err := profile.ReadFrom(strings.NewReader(strings.Join(definitions, "\n")), "definitions", func(res profile.Resource) error {
		_, err := r.Add(res)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// short gives issues as a test compares them.
func short(issues []fhir.Issue) []string {
	var out []string
	for _, is := range issues {
		out = append(out, fmt.Sprintf("%s %s: %s", is.Severity, is.Expression, is.Diagnostics))
	}
	return out
}

// checkCase holds a resource against the profile http://example.org/p.
type checkCase struct {
	name        string
	definitions []string
	resource    string
	want        []string
}

func (c checkCase) run(t *testing.T) {
	t.Helper()
	t.Run(c.name, func(t *testing.T) {
		t.Helper()
		set := profiles.NewSet(registry(t, c.definitions...))
		if faults, notes := set.Check(); len(faults)+len(notes) > 0 {
			t.Fatal(faults, notes)
		}
		tr, root := tree(t, []byte(c.resource))
		got := short(check(profiles.NewChecker(set), tr, root, "http://example.org/p"))
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
	})
}

// runClaimed holds a resource against what it names itself.
func (c checkCase) runClaimed(t *testing.T) {
	t.Helper()
	t.Run(c.name, func(t *testing.T) {
		t.Helper()
		tr, root := tree(t, []byte(c.resource))
		got := short(check(profiles.NewChecker(profiles.NewSet(registry(t, c.definitions...))), tr, root))
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
	})
}

func patient(elements string) []string {
	return []string{structure("http://example.org/p", "Patient", elements)}
}

func observation(elements string, more ...string) []string {
	return append([]string{structure("http://example.org/p", "Observation", elements)}, more...)
}

const colourSet = `{"resourceType":"ValueSet","url":"http://example.org/colours","compose":{"include":[{"system":"http://example.org/c","concept":[{"code":"red"},{"code":"blue"}]}]}}`

func TestValues(t *testing.T) {
	for _, c := range []checkCase{
		{
			"a required element is missing", patient(`{"path":"Patient.name","min":1},{"path":"Patient.name.family","min":1}`),
			`{"resourceType":"Patient"}`,
			[]string{"error Patient: found 0 of element name; expected at least 1"},
		},
		{
			"each of several is asked for what is below it", patient(`{"path":"Patient.name.family","min":1}`),
			`{"resourceType":"Patient","name":[{"family":"A"},{"text":"B"}]}`,
			[]string{"error Patient.name[1]: found 0 of element family; expected at least 1"},
		},
		{
			"too many", patient(`{"path":"Patient.name","max":"1"},{"path":"Patient.photo","max":"0"}`),
			`{"resourceType":"Patient","name":[{"text":"A"},{"text":"B"}],"photo":[{"url":"x"}]}`,
			[]string{"error Patient.name[1]: found 2 of element name; expected at most 1", "error Patient.photo[0]: found 1 of element photo; expected at most 0"},
		},
		{
			"a primitive with an extension and no value is there", patient(`{"path":"Patient.birthDate","min":1},{"path":"Patient.name.given","min":2}`),
			`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://example.org/x","valueString":"x"}]},"name":[{"given":["A",null],"_given":[null,{"id":"x"}]}]}`,
			nil,
		},
		{
			"what is required of an absent element is not asked", patient(`{"path":"Patient.contact.name","min":1}`),
			`{"resourceType":"Patient"}`, nil,
		},
		{
			"fixed and pattern of primitives", patient(`{"path":"Patient.gender","fixedCode":"male"},{"path":"Patient.multipleBirthInteger","patternInteger":2}`),
			`{"resourceType":"Patient","gender":"female","multipleBirthInteger":3}`,
			[]string{`error Patient.gender: "female" is not the fixed value; expected "male"`, `error Patient.multipleBirth.ofType(integer): 3 does not match the pattern; expected 2`},
		},
		{
			"escapes do not matter", patient(`{"path":"Patient.name.text","fixedString":"A/B"}`),
			`{"resourceType":"Patient","name":[{"text":"\u0041\/B"}]}`, nil,
		},
		{
			"a decimal keeps its places", observation(`{"path":"Observation.valueQuantity.value","fixedDecimal":1.50}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.5}}`,
			[]string{"error Observation.value.ofType(Quantity).value: 1.5 is not the fixed value; expected 1.50"},
		},
		{
			"a decimal with an exponent is the same number", observation(`{"path":"Observation.valueQuantity.value","fixedDecimal":150}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.5e2}}`, nil,
		},
		{
			"fixed is all there is", observation(`{"path":"Observation.code","fixedCodeableConcept":{"coding":[{"system":"s","code":"c"}]}}`),
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"c","display":"C"}]}}`,
			[]string{`error Observation.code: the CodeableConcept is not the fixed value; expected {"coding":[{"code":"c","system":"s"}]}`},
		},
		{
			"a pattern leaves room, and its items may be anywhere", observation(`{"path":"Observation.code","patternCodeableConcept":{"coding":[{"system":"s","code":"c"}]}}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"t","coding":[{"code":"other"},{"system":"s","code":"c","display":"C"}]}}`, nil,
		},
		{
			"a pattern that is not met", observation(`{"path":"Observation.code","patternCodeableConcept":{"coding":[{"system":"s","code":"c"}]}}`),
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"c"},{"system":"s"}]}}`,
			[]string{`error Observation.code: the CodeableConcept does not match the pattern; expected {"coding":[{"code":"c","system":"s"}]}`},
		},
		{
			"the type of a choice", observation(`{"path":"Observation.value[x]","type":[{"code":"Quantity"},{"code":"string"}]}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueBoolean":true}`,
			[]string{"error Observation.value.ofType(boolean): type boolean is not one that the profile allows for value"},
		},
		{
			"limits of dates", patient(`{"path":"Patient.birthDate","minValueDate":"1900-01-01","maxValueDate":"2000"}`),
			`{"resourceType":"Patient","birthDate":"1899-12"}`,
			[]string{`error Patient.birthDate: "1899-12" is less than the minimum; expected at least "1900-01-01"`},
		},
		{
			"a date whose precision does not tell passes", patient(`{"path":"Patient.birthDate","minValueDate":"1900-06-01"}`),
			`{"resourceType":"Patient","birthDate":"1900"}`, nil,
		},
		{
			"limits of quantities by UCUM", observation(`{"path":"Observation.valueQuantity","maxValueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1001,"system":"http://unitsofmeasure.org","code":"g"}}`,
			[]string{`error Observation.value.ofType(Quantity): the Quantity is more than the maximum; expected at most {"value":1,"system":"http://unitsofmeasure.org","code":"kg"}`},
		},
		{
			"units that cannot be compared pass", observation(`{"path":"Observation.valueQuantity","maxValueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1001,"system":"http://unitsofmeasure.org","code":"cm"}}`, nil,
		},
		{
			"maxLength counts characters", patient(`{"path":"Patient.name.text","maxLength":3}`),
			`{"resourceType":"Patient","name":[{"text":"äöü"},{"text":"äöüx"}]}`,
			[]string{"error Patient.name[1].text: text has 4 characters; expected at most 3"},
		},
		{
			"an invariant", patient(`{"path":"Patient","constraint":[{"key":"p-1","severity":"error","human":"a name or an identifier","expression":"name.exists() or identifier.exists()"}]},
				{"path":"Patient.name","constraint":[{"key":"p-2","severity":"warning","human":"a family name","expression":"family.exists()"}]}`),
			`{"resourceType":"Patient","name":[{"text":"A"}]}`,
			[]string{"warning Patient.name[0]: constraint p-2 does not hold: a family name"},
		},
		{
			"memberOf and conformsTo in an invariant", append(patient(`{"path":"Patient","constraint":[
				{"key":"p-1","severity":"error","human":"member","expression":"identifier.type.memberOf('http://example.org/colours')"},
				{"key":"p-2","severity":"error","human":"conforms","expression":"conformsTo('http://example.org/q')"}]}`),
				colourSet, structure("http://example.org/q", "Patient", `{"path":"Patient.active","min":1}`)),
			`{"resourceType":"Patient","identifier":[{"type":{"coding":[{"system":"http://example.org/c","code":"red"}]}}]}`,
			[]string{"error Patient: constraint p-2 does not hold: conforms"},
		},
		{
			"invariants of a profile that an invariant asks about",
			append(patient(`{"path":"Patient","constraint":[{"key":"p-1","severity":"error","human":"conforms","expression":"name.where(%resource.conformsTo('http://example.org/q')).count() = 2"}]}`),
				structure("http://example.org/q", "Patient", `{"path":"Patient","constraint":[{"key":"q-1","severity":"error","human":"x","expression":"name.given.where($this.length() > 1).count() = 3 and conformsTo('http://example.org/p')"}]}`)),
			`{"resourceType":"Patient","name":[{"given":["Ada","Bea"]},{"given":["Cid"]}]}`, nil,
		},
	} {
		c.run(t)
	}
}

func TestBindings(t *testing.T) {
	bound := func(strength, more string) []string {
		return observation(`{"path":"Observation.code","binding":{"strength":"`+strength+`","valueSet":"http://example.org/colours"`+more+`}}`, colourSet)
	}
	with := func(code string) string { return `{"resourceType":"Observation","status":"final","code":` + code + `}` }
	for _, c := range []checkCase{
		{"one coding of the set is enough", bound("required", ""), with(`{"coding":[{"system":"x","code":"y"},{"system":"http://example.org/c","code":"red"}]}`), nil},
		{
			"required", bound("required", ""), with(`{"coding":[{"system":"http://example.org/c","code":"green"}]}`),
			[]string{"error Observation.code: code 'green' is not in the required value set http://example.org/colours"},
		},
		{
			"extensible", bound("extensible", ""), with(`{"coding":[{"system":"x","code":"red"},{"code":"red"}]}`),
			[]string{"warning Observation.code: none of 2 codings is in the extensible value set http://example.org/colours"},
		},
		{"preferred", bound("preferred", ""), with(`{"coding":[{"system":"x","code":"red"}]}`), nil},
		{
			"text alone", bound("required", ""), with(`{"text":"red"}`),
			[]string{"error Observation.code: concept has no coding; expected one of the required value set http://example.org/colours"},
		},
		{"text with an extension that says why", bound("required", ""), with(`{"text":"red","extension":[{"url":"http://example.org/why","valueCode":"unknown"}]}`), nil},
		{
			"additional", bound("example", `,"additional":[{"purpose":"required","valueSet":"http://example.org/colours"},{"purpose":"candidate","valueSet":"http://example.org/colours"}]`),
			with(`{"coding":[{"system":"x","code":"red"}]}`),
			[]string{"error Observation.code: code 'red' is not in the required value set http://example.org/colours"},
		},
		{
			"a maximum is for all codings", bound("example", `,"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet","valueCanonical":"http://example.org/colours"}]`),
			with(`{"coding":[{"system":"http://example.org/c","code":"red"},{"system":"x","code":"red"}]}`),
			[]string{"error Observation.code.coding[1]: code 'red' is not in the required value set http://example.org/colours"},
		},
		{
			"what is not known makes no alarm",
			observation(`{"path":"Observation.code","binding":{"strength":"required","valueSet":"http://example.org/none"}},
				{"path":"Observation.method","binding":{"strength":"required","valueSet":"http://example.org/loinc"}}`,
				`{"resourceType":"ValueSet","url":"http://example.org/loinc","compose":{"include":[{"system":"http://loinc.org"}]}}`),
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"x","code":"y"}]},"method":{"coding":[{"system":"http://loinc.org","code":"nonsense"}]}}`, nil,
		},
		{
			"units", observation(`{"path":"Observation.value[x]","binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/age-units"}}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"cm"}}`,
			[]string{"error Observation.value.ofType(Quantity): unit 'cm' is not in the required value set http://hl7.org/fhir/ValueSet/age-units"},
		},
		{
			"codes", observation(`{"path":"Observation.status","binding":{"strength":"required","valueSet":"http://example.org/s"}}`,
				`{"resourceType":"ValueSet","url":"http://example.org/s","compose":{"include":[{"system":"http://hl7.org/fhir/observation-status","concept":[{"code":"final"}]}]}}`),
			`{"resourceType":"Observation","status":"amended","code":{"text":"x"}}`,
			[]string{"error Observation.status: code 'amended' is not in the required value set http://example.org/s"},
		},
	} {
		c.run(t)
	}
}

func TestReferences(t *testing.T) {
	target := func(url string) string {
		return `{"path":"Observation.subject","type":[{"code":"Reference","targetProfile":["` + url + `"]}]}`
	}
	named := structure("http://example.org/named", "Patient", `{"path":"Patient.name","min":1}`)
	with := func(subject, more string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":` + subject + more + `}`
	}
	bundle := func(patient string) string {
		return `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://example.org/Patient/1","resource":` + patient + `},
			{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","resource":{"resourceType":"Patient","active":true}},
			{"resource":{"resourceType":"Observation","meta":{"profile":["http://example.org/o"]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"},
			"focus":[{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}]}}]}`
	}
	inBundle := []string{
		structure("http://example.org/p", "Bundle", `{"path":"Bundle.type","fixedCode":"collection"}`),
		structure("http://example.org/o", "Observation", target("http://example.org/named")+`,{"path":"Observation.focus","type":[{"code":"Reference","targetProfile":["http://example.org/named"]}]}`), named,
	}
	for _, c := range []checkCase{
		{"of the type", observation(target("http://hl7.org/fhir/StructureDefinition/Patient")), with(`{"reference":"Patient/1"}`, ""), nil},
		{
			"of another type", observation(target("http://hl7.org/fhir/StructureDefinition/Patient")), with(`{"reference":"http://x.org/fhir/Group/1/_history/2"}`, ""),
			[]string{"error Observation.subject: reference leads to type Group; expected Patient"},
		},
		{
			"by its type element", observation(target("http://example.org/named"), named), with(`{"type":"Group","display":"x"}`, ""),
			[]string{"error Observation.subject: reference leads to type Group; expected http://example.org/named"},
		},
		{"to what is not at hand", observation(target("http://example.org/named"), named), with(`{"reference":"Patient/1"}`, ""), nil},
		{"to what does not tell", observation(target("http://example.org/named"), named), with(`{"reference":"urn:oid:1.2.3"}`, ""), nil},
		{
			"contained and not of the profile", observation(target("http://example.org/named"), named), with(`{"reference":"#a"}`, `,"contained":[{"resourceType":"Patient","id":"a"}]`),
			[]string{"error Observation.subject: the Patient that the reference leads to does not keep to the profile; expected http://example.org/named"},
		},
		{"contained and of the profile", observation(target("http://example.org/named"), named), with(`{"reference":"#a"}`, `,"contained":[{"resourceType":"Patient","id":"a","name":[{"text":"A"}]}]`), nil},
		{"to an unknown profile", observation(target("http://example.org/none")), with(`{"reference":"Group/1"}`, ""), nil},
		{
			"within a Bundle", inBundle, bundle(`{"resourceType":"Patient","id":"1","active":true}`),
			[]string{
				"error Bundle.entry[2].resource.subject: the Patient that the reference leads to does not keep to the profile; expected http://example.org/named",
				"error Bundle.entry[2].resource.focus[0]: the Patient that the reference leads to does not keep to the profile; expected http://example.org/named",
			},
		},
		{
			"within a Bundle, one of two", inBundle, bundle(`{"resourceType":"Patient","id":"1","name":[{"text":"A"}]}`),
			[]string{"error Bundle.entry[2].resource.focus[0]: the Patient that the reference leads to does not keep to the profile; expected http://example.org/named"},
		},
		{
			"elsewhere and wanted contained", observation(`{"path":"Observation.subject","type":[{"code":"Reference","aggregation":["contained"]}]}`), with(`{"reference":"Patient/1"}`, ""),
			[]string{"error Observation.subject: the reference leads out of the resource; expected what it leads to to be contained"},
		},
		{
			"contained and wanted elsewhere", observation(`{"path":"Observation.subject","type":[{"code":"Reference","aggregation":["referenced","bundled"]}]}`), with(`{"reference":"#a"}`, `,"contained":[{"resourceType":"Patient","id":"a"}]`),
			[]string{"error Observation.subject: what the reference leads to is contained; the profile wants it elsewhere"},
		},
		{
			"not in the Bundle and wanted there",
			[]string{
				structure("http://example.org/p", "Bundle", ""),
				structure("http://example.org/o", "Observation", `{"path":"Observation.subject","type":[{"code":"Reference","aggregation":["bundled"]}]},{"path":"Observation.focus","type":[{"code":"Reference","aggregation":["bundled"]}]}`),
			},
			strings.Replace(bundle(`{"resourceType":"Patient","id":"1"}`), `"Patient/1"}`, `"Patient/2"}`, 1),
			[]string{"error Bundle.entry[2].resource.subject: what the reference leads to is not in the Bundle; the profile wants it there"},
		},
		{
			"a circle of references ends",
			observation(`{"path":"Observation.hasMember","type":[{"code":"Reference","targetProfile":["http://example.org/p"]}]},{"path":"Observation.value[x]","min":1}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueBoolean":true,"hasMember":[{"reference":"#a"}],"contained":[
				{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},"valueBoolean":true,"hasMember":[{"reference":"#a"},{"reference":"#b"}]},
				{"resourceType":"Observation","id":"b","status":"final","code":{"text":"x"},"hasMember":[{"reference":"#"}]}]}`,
			[]string{"error Observation.hasMember[0]: the Observation that the reference leads to does not keep to the profile; expected http://example.org/p"},
		},
	} {
		c.run(t)
	}
}

func TestClaims(t *testing.T) {
	for _, c := range []checkCase{
		{
			"a claimed profile that is not known is information", patient(``), `{"resourceType":"Patient","meta":{"profile":["http://example.org/none"]}}`,
			[]string{"information Patient: profile http://example.org/none is not checked: not known here"},
		},
		{
			"a claimed profile of another type is a fault", append(patient(``), structure("http://example.org/o", "Observation", "")),
			`{"resourceType":"Patient","meta":{"profile":["http://example.org/o"]}}`,
			[]string{"error Patient: found type Patient; the profile that it claims is for Observation"},
		},
		{"the type of R4 itself", patient(``), `{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/Patient"]}}`, nil},
		{
			"entries and contained resources claim for themselves",
			append(patient(`{"path":"Patient.active","min":1}`), structure("http://example.org/b", "Bundle", "")),
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"List","status":"current","mode":"working","contained":[
				{"resourceType":"Patient","id":"a","meta":{"profile":["http://example.org/p"]}}]}},{"resource":{"resourceType":"Patient","meta":{"profile":["http://example.org/p"]}}}]}`,
			[]string{
				"error Bundle.entry[0].resource.contained[0]: found 0 of element active; expected at least 1",
				"error Bundle.entry[1].resource: found 0 of element active; expected at least 1",
			},
		},
		{
			"what is asked twice is reported once", patient(`{"path":"Patient.active","min":1}`),
			`{"resourceType":"Patient","meta":{"profile":["http://example.org/p","http://example.org/p"]}}`,
			[]string{"error Patient: found 0 of element active; expected at least 1"},
		},
		{
			"a profile on a type", append(observation(`{"path":"Observation.valueQuantity","type":[{"code":"Quantity","profile":["http://example.org/q"]}]}`), structure("http://example.org/q", "Quantity", `{"path":"Quantity.unit","min":1}`)),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1}}`,
			[]string{"error Observation.value.ofType(Quantity): found 0 of element unit; expected at least 1"},
		},
		{
			"one of several profiles on a type",
			append(observation(`{"path":"Observation.valueQuantity","type":[{"code":"Quantity","profile":["http://example.org/q","http://example.org/r"]}]}`),
				structure("http://example.org/q", "Quantity", `{"path":"Quantity.unit","min":1}`), structure("http://example.org/r", "Quantity", `{"path":"Quantity.code","min":1}`)),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1}}`,
			[]string{"error Observation.value.ofType(Quantity): the Quantity keeps to none of the 2 profiles that are allowed here"},
		},
		{
			"the wrong type of resource",
			[]string{structure("http://example.org/p", "Bundle", `{"path":"Bundle.entry.resource","type":[{"code":"Patient"}]}`)},
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"List","status":"current","mode":"working"}}]}`,
			[]string{"error Bundle.entry[0].resource: found type List; expected Patient"},
		},
	} {
		c.run(t)
	}
}

func TestExtensions(t *testing.T) {
	size := `{"resourceType":"StructureDefinition","url":"http://example.org/size","kind":"complex-type","type":"Extension","derivation":"constraint",
		"context":[{"type":"element","expression":"Patient"},{"type":"element","expression":"HumanName.family"},{"type":"extension","expression":"http://example.org/outer"}],
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension","differential":{"element":[
		{"path":"Extension.url","fixedUri":"http://example.org/size"},{"path":"Extension.value[x]","min":1,"type":[{"code":"integer"}]}]}}`
	ext := func(url, value string) string { return `{"url":"` + url + `",` + value + `}` }
	for _, c := range []checkCase{
		{
			"a known extension is checked wherever it is", append(patient(""), size),
			`{"resourceType":"Patient","extension":[` + ext("http://example.org/size", `"valueString":"x"`) + `,` + ext("http://example.org/other", `"valueString":"x"`) + `]}`,
			[]string{"error Patient.extension[0].value.ofType(string): type string is not one that the profile allows for value"},
		},
		{
			"in its contexts", append(patient(""), size),
			`{"resourceType":"Patient","name":[{"family":"x","_family":{"extension":[` + ext("http://example.org/size", `"valueInteger":1`) + `]}}],
				"extension":[` + ext("http://example.org/outer", `"extension":[`+ext("http://example.org/size", `"valueInteger":1`)+`]`) + `]}`, nil,
		},
		{
			"out of its contexts", append(patient(""), size),
			`{"resourceType":"Patient","name":[{"extension":[` + ext("http://example.org/size", `"valueInteger":1`) + `]}]}`,
			[]string{"error Patient.name[0].extension[0]: extension is not for use here; expected Patient, HumanName.family, http://example.org/outer"},
		},
		{
			"a slice of an extension", append(patient(`{"path":"Patient.extension","sliceName":"size","min":1,"type":[{"code":"Extension","profile":["http://example.org/size"]}]}`), size),
			`{"resourceType":"Patient","extension":[` + ext("http://example.org/other", `"valueString":"x"`) + `]}`,
			[]string{"error Patient: found 0 of slice size of extension; expected at least 1"},
		},
		{
			"a slice of an extension that is not known counts by its url", patient(`{"path":"Patient.extension","sliceName":"none","max":"1","type":[{"code":"Extension","profile":["http://example.org/none"]}]}`),
			`{"resourceType":"Patient","extension":[` + ext("http://example.org/none", `"valueString":"x"`) + `,` + ext("http://example.org/none", `"valueString":"x"`) + `]}`,
			[]string{"error Patient: found 2 of slice none of extension; expected at most 1"},
		},
		{
			"an extension of R4", patient(""),
			`{"resourceType":"Patient","extension":[` + ext("http://hl7.org/fhir/StructureDefinition/patient-birthPlace", `"valueString":"x"`) + `]}`,
			[]string{"error Patient.extension[0].value.ofType(string): type string is not one that the profile allows for value"},
		},
		{
			"an extension of a primitive", patient(`{"path":"Patient.birthDate.extension","sliceName":"time","min":1,"type":[{"code":"Extension","profile":["http://hl7.org/fhir/StructureDefinition/patient-birthTime"]}]}`),
			`{"resourceType":"Patient","birthDate":"1970-01-01"}`,
			[]string{"error Patient.birthDate: found 0 of slice time of extension; expected at least 1"},
		},
	} {
		c.run(t)
	}
}

func TestConformsToServesOthers(t *testing.T) {
	c := profiles.NewChecker(profiles.NewSet(registry(t, patient(`{"path":"Patient.name","min":1}`)...)))
	for _, x := range []struct {
		resource, url   string
		conforms, known bool
	}{
		{`{"resourceType":"Patient","name":[{"text":"A"}]}`, "http://example.org/p", true, true},
		{`{"resourceType":"Patient","active":true}`, "http://example.org/p", false, true},
		{`{"resourceType":"Patient","active":true}`, "http://example.org/none", false, false},
		{`{"resourceType":"Patient","active":true}`, "http://hl7.org/fhir/StructureDefinition/DomainResource", true, true},
		{`{"resourceType":"Patient","active":true}`, "http://hl7.org/fhir/StructureDefinition/Group", false, true},
	} {
		tr, root := tree(t, []byte(x.resource))
		if conforms, known := c.ConformsTo(tr, root, x.url); conforms != x.conforms || known != x.known {
			t.Errorf("%s, %s: got %v, %v", x.resource, x.url, conforms, known)
		}
	}
}
