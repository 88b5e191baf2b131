package patch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// parameters makes a FHIRPath Patch; of each operation the parts are given as
// name=JSON-members, such as `path="valueString":"Patient.name"`.
func parameters(operations ...string) string {
	for i, o := range operations {
		operations[i] = `{"name":"operation","part":[` + o + `]}`
	}
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(operations, ",") + `]}`
}

func part(name, value string) string { return fmt.Sprintf(`{"name":"%s",%s}`, name, value) }

func op(kind, path string, parts ...string) string {
	all := append([]string{part("type", `"valueCode":"`+kind+`"`), part("path", `"valueString":"`+path+`"`)}, parts...)
	return strings.Join(all, ",")
}

func TestFHIRPathPatch(t *testing.T) {
	typ := func(name string) r4.TypeID {
		id, _ := r4.TypeByName(name)
		return id
	}
	patient := func(rest string) string { return `{"resourceType":"Patient","id":"p1"` + rest + `}` }
	observation := func(rest string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"}` + rest + `}`
	}
	name := func(n string) string { return part("name", `"valueString":"`+n+`"`) }
	value := func(v string) string { return part("value", v) }
	index := func(n string, i int) string { return part(n, fmt.Sprintf(`"valueInteger":%d`, i)) }

	for _, c := range []struct {
		name, doc, patch, want string
	}{
		{"add to the resource", patient(``), parameters(op("add", "Patient", name("birthDate"), value(`"valueDate":"1930-01-01"`))), patient(`,"birthDate":"1930-01-01"`)},
		{"add begins a list", patient(``), parameters(op("add", "Patient", name("name"), value(`"valueHumanName":{"family":"A"}`))), patient(`,"name":[{"family":"A"}]`)},
		{"add goes to the end of a list", patient(`,"name":[{"family":"A"}]`), parameters(op("add", "Patient", name("name"), value(`"valueHumanName":{"family":"B"}`))), patient(`,"name":[{"family":"A"},{"family":"B"}]`)},
		{"add a choice by the type of the value", observation(``), parameters(op("add", "Observation", name("value"), value(`"valueQuantity":{"value":1.50}`))), observation(`,"valueQuantity":{"value":1.50}`)},
		{
			"add a backbone element of parts", patient(``), parameters(op("add", "Patient", name("contact"),
				value(`"part":[`+part("name", `"valueHumanName":{"text":"c"}`)+`,`+part("relationship", `"valueCodeableConcept":{"text":"r1"}`)+`,`+part("relationship", `"valueCodeableConcept":{"text":"r2"}`)+`]`))),
			patient(`,"contact":[{"name":{"text":"c"},"relationship":[{"text":"r1"},{"text":"r2"}]}]`),
		},
		{"add with an extension of the primitive", patient(``), parameters(op("add", "Patient", name("gender"), value(`"valueCode":"male","_valueCode":{"id":"g"}`))), patient(`,"gender":"male","_gender":{"id":"g"}`)},
		{"add to a list of primitives keeps twins in step", patient(`,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]`), parameters(op("add", "Patient.name", name("given"), value(`"valueString":"c"`))), patient(`,"name":[{"given":["a","b","c"],"_given":[null,{"id":"x"},null]}]`)},
		{"a value that R4 has no value[x] for", patient(`,"birthDate":"1930"`), parameters(op("add", "Patient.birthDate", name("extension"), value(`"valueExtension":{"url":"http://x","valueCode":"y"}`))), "400"},
		{"add an extension of parts to a primitive", patient(`,"birthDate":"1930"`), parameters(op("add", "Patient.birthDate", name("extension"), value(`"part":[`+part("url", `"valueUri":"http://x"`)+`,`+part("value", `"valueCode":"y"`)+`]`))), patient(`,"birthDate":"1930","_birthDate":{"extension":[{"url":"http://x","valueCode":"y"}]}`)},
		{"add an extension to an item", patient(`,"name":[{"given":["a","b"]}]`), parameters(op("add", "Patient.name.given[1]", name("id"), value(`"valueString":"i"`))), patient(`,"name":[{"given":["a","b"],"_given":[null,{"id":"i"}]}]`)},
		{"add a contained resource", patient(``), parameters(op("add", "Patient", name("contained"), value(`"resource":{"resourceType":"Basic","id":"c","code":{"text":"t"}}`))), patient(`,"contained":[{"resourceType":"Basic","id":"c","code":{"text":"t"}}]`)},
		{"add what is there", patient(`,"birthDate":"1930"`), parameters(op("add", "Patient", name("birthDate"), value(`"valueDate":"1931"`))), "422 Parameters.parameter[0]: add at path 'Patient': element 'birthDate' is there already, and there can be one only"},
		{"add what R4 does not have", patient(``), parameters(op("add", "Patient", name("colour"), value(`"valueString":"red"`))), "422 Parameters.parameter[0]: add at path 'Patient': a Patient has no element 'colour'"},
		{"add to several", patient(`,"name":[{"family":"A"},{"family":"B"}]`), parameters(op("add", "Patient.name", name("given"), value(`"valueString":"c"`))), "422 Parameters.parameter[0]: add at path 'Patient.name': it finds 2 elements; expected one"},

		{"insert", patient(`,"name":[{"family":"A"},{"family":"B"}]`), parameters(op("insert", "Patient.name", index("index", 1), value(`"valueHumanName":{"family":"X"}`))), patient(`,"name":[{"family":"A"},{"family":"X"},{"family":"B"}]`)},
		{"insert at the end", patient(`,"name":[{"family":"A"}]`), parameters(op("insert", "Patient.name", index("index", 1), value(`"valueHumanName":{"family":"X"}`))), patient(`,"name":[{"family":"A"},{"family":"X"}]`)},
		{"insert into a list that is not there", patient(``), parameters(op("insert", "Patient.name", index("index", 0), value(`"valueHumanName":{"family":"X"}`))), patient(`,"name":[{"family":"X"}]`)},
		{"insert beyond the end", patient(`,"name":[{"family":"A"}]`), parameters(op("insert", "Patient.name", index("index", 2), value(`"valueHumanName":{"family":"X"}`))), "422 Parameters.parameter[0]: insert at path 'Patient.name': the list has 1 elements: the index must not be more"},
		{"insert into a part of a list", patient(`,"name":[{"family":"A"},{"family":"B"}]`), parameters(op("insert", "Patient.name.where(family='A')", index("index", 0), value(`"valueHumanName":{"family":"X"}`))), "422 Parameters.parameter[0]: insert at path 'Patient.name.where(family='A')': it finds something else than one whole list"},
		{"insert into two lists", patient(`,"name":[{"given":["a"]},{"given":["b"]}]`), parameters(op("insert", "Patient.name.given", index("index", 0), value(`"valueString":"X"`))), "422 Parameters.parameter[0]: insert at path 'Patient.name.given': it finds something else than one whole list"},

		{"delete an element", patient(`,"gender":"male","_gender":{"id":"g"},"active":true`), parameters(op("delete", "Patient.gender")), patient(`,"active":true`)},
		{"delete an item", patient(`,"name":[{"family":"A"},{"family":"B"}]`), parameters(op("delete", "Patient.name[0]")), patient(`,"name":[{"family":"B"}]`)},
		{"delete takes what it leaves empty", patient(`,"name":[{"given":["a"]}]`), parameters(op("delete", "Patient.name.given[0]")), patient(``)},
		{"delete a primitive without a value", patient(`,"_birthDate":{"extension":[{"url":"http://x","valueCode":"y"}]}`), parameters(op("delete", "Patient.birthDate")), patient(``)},
		{"delete an item and its twin", patient(`,"name":[{"given":["a",null,"c"],"_given":[null,{"id":"x"},null]}]`), parameters(op("delete", "Patient.name.given[1]")), patient(`,"name":[{"given":["a","c"]}]`)},
		{"delete nothing", patient(``), parameters(op("delete", "Patient.name")), patient(``)},
		{"delete several", patient(`,"name":[{"family":"A"},{"family":"B"}]`), parameters(op("delete", "Patient.name")), "422 Parameters.parameter[0]: delete at path 'Patient.name': it finds 2 elements; expected one"},
		{"delete the resource", patient(``), parameters(op("delete", "Patient")), "422 Parameters.parameter[0]: delete at path 'Patient': it is the resource itself"},

		{"replace", patient(`,"gender":"male","active":true`), parameters(op("replace", "Patient.gender", value(`"valueCode":"female"`))), patient(`,"gender":"female","active":true`)},
		{"replace an item", patient(`,"name":[{"family":"A","use":"old"},{"family":"B"}]`), parameters(op("replace", "Patient.name.where(use='old').family", value(`"valueString":"Z"`))), patient(`,"name":[{"family":"Z","use":"old"},{"family":"B"}]`)},
		{"replace takes the twin along", patient(`,"gender":"male","_gender":{"id":"g"}`), parameters(op("replace", "Patient.gender", value(`"valueCode":"female"`))), patient(`,"gender":"female"`)},
		{"replace a choice by another type", observation(`,"valueString":"s","note":[{"text":"n"}]`), parameters(op("replace", "Observation.value", value(`"valueQuantity":{"value":10.0}`))), observation(`,"valueQuantity":{"value":10.0},"note":[{"text":"n"}]`)},
		{"replace a choice by a type it cannot have", observation(`,"valueString":"s"`), parameters(op("replace", "Observation.value", value(`"valueMoney":{"value":1}`))), "422 Parameters.parameter[0]: replace at path 'Observation.value': value[x] cannot be a Money"},
		{"replace nothing", patient(``), parameters(op("replace", "Patient.gender", value(`"valueCode":"male"`))), "422 Parameters.parameter[0]: replace at path 'Patient.gender': it finds 0 elements; expected one"},

		{"move up", patient(`,"name":[{"family":"A"},{"family":"B"},{"family":"C"}]`), parameters(op("move", "Patient.name", index("source", 2), index("destination", 0))), patient(`,"name":[{"family":"C"},{"family":"A"},{"family":"B"}]`)},
		{"move down", patient(`,"name":[{"family":"A"},{"family":"B"},{"family":"C"}]`), parameters(op("move", "Patient.name", index("source", 0), index("destination", 1))), patient(`,"name":[{"family":"B"},{"family":"A"},{"family":"C"}]`)},
		{"move beyond the end", patient(`,"name":[{"family":"A"}]`), parameters(op("move", "Patient.name", index("source", 0), index("destination", 1))), "422 Parameters.parameter[0]: move at path 'Patient.name': the list has 1 elements: source and destination must be less"},

		{"operations see what those before them did", patient(``), parameters(
			op("add", "Patient", name("name"), value(`"valueHumanName":{"family":"A"}`)),
			op("add", "Patient.name", name("given"), value(`"valueString":"g"`)),
			op("replace", "Patient.name.family", value(`"valueString":"B"`))), patient(`,"name":[{"family":"B","given":["g"]}]`)},
		{"all or none", patient(``), parameters(
			op("add", "Patient", name("active"), value(`"valueBoolean":true`)),
			op("delete", "Patient.name.foo(")), "400"},
		{"a path that errs", patient(`,"name":[{"family":"A"},{"family":"B"}]`), parameters(op("replace", "Patient.where(name.family = 'A' and name.family)", value(`"valueString":"x"`))), "422"},
		{"a path to a computed value", patient(`,"active":true`), parameters(op("replace", "Patient.active.not()", value(`"valueBoolean":true`))), "422 Parameters.parameter[0]: replace at path 'Patient.active.not()': it finds a value that is no element of the resource"},

		{"no Parameters", patient(``), patient(``), "400 a FHIRPath Patch is a Parameters resource, found Patient"},
		{"no operation", patient(``), `{"resourceType":"Parameters"}`, "400 the Parameters have no operation"},
		{"another parameter", patient(``), `{"resourceType":"Parameters","parameter":[{"name":"x","valueString":"y"}]}`, "400 Parameters.parameter[0]: parameter 'x' is not known; expected operation"},
		{"an unknown type", patient(``), parameters(op("merge", "Patient")), "400 Parameters.parameter[0]: type is none of add, insert, delete, replace, move"},
		{"a part that is missing", patient(``), parameters(op("add", "Patient", value(`"valueString":"x"`))), "400 Parameters.parameter[0]: add needs a part 'name'"},
		{"a part twice", patient(``), parameters(op("delete", "Patient", part("type", `"valueCode":"add"`))), "400 Parameters.parameter[0]: part 'type' occurs twice"},
		{"an index that is none", patient(``), parameters(op("insert", "Patient.name", index("index", -1), value(`"valueHumanName":{}`))), "400"},
		{"no JSON", patient(``), `{`, "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind := typ("Patient")
			if strings.Contains(c.doc, "Observation") {
				kind = typ("Observation")
			}
			p, err := ReadFHIRPath([]byte(c.patch), kind)
			var got []byte
			if err == nil {
				got, err = p.Apply([]byte(c.doc), 1000)
			}
			g := shown(t, got, err)
			if len(c.want) == 3 {
				g = g[:3]
			}
			if g != c.want {
				t.Errorf("got  %s\nwant %s", g, c.want)
			}
		})
	}
}

func TestFHIRPathPatchLimits(t *testing.T) {
	big := `{"resourceType":"Patient","id":"` + strings.Repeat("x", 1<<20) + `"}`
	ops := make([]string, 70)
	for i := range ops {
		ops[i] = op("delete", "Patient.name")
	}
	p, err := ReadFHIRPath([]byte(parameters(ops...)), r4.TypePatient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply([]byte(big), 1000); err == nil || !strings.HasPrefix(shown(t, nil, err), "422") {
		t.Errorf("reading 70 MB: %v, want a fault", err)
	}
	p, err = ReadFHIRPath([]byte(parameters(op("add", "Patient", part("name", `"valueString":"language"`), part("value", `"valueString":"`+strings.Repeat("x", 2000)+`"`)))), r4.TypePatient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply([]byte(`{"resourceType":"Patient"}`), 1000); err == nil || !strings.HasPrefix(shown(t, nil, err), "413") {
		t.Errorf("growing by more than the limit: %v, want a fault", err)
	}
}

func FuzzFHIRPathPatch(f *testing.F) {
	f.Add("add", "Patient.name[0]", "given", `"valueString":"x","_valueString":{"id":"i"}`, 0, 1)
	f.Add("insert", "Patient.name.given", "", `"valueString":"x"`, 1, 0)
	f.Add("delete", "Patient.name.given[1]", "", `"valueString":"x"`, 0, 0)
	f.Add("move", "Patient.name.given", "", `"valueString":"x"`, 0, 1)
	f.Add("replace", "Patient.deceased", "", `"part":[{"name":"x","valueString":"y"}]`, 0, 0)
	const doc = `{"resourceType":"Patient","id":"p","name":[{"given":["a",null,"c"],"_given":[null,{"id":"x"}]},{"_given":[{"id":"q"}]}],"deceasedBoolean":true,"_birthDate":{"id":"b"},"contained":[{"resourceType":"Basic","id":"c"}]}`
	f.Fuzz(func(t *testing.T, kind, path, name, value string, i, j int) {
		index := func(n string, i int) string { return part(n, fmt.Sprintf(`"valueInteger":%d`, i)) }
		quoted := strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace
		p, err := ReadFHIRPath([]byte(parameters(op(kind, quoted(path), part("name", `"valueString":"`+quoted(name)+`"`), part("value", value),
			index("index", i), index("source", i), index("destination", j)))), r4.TypePatient)
		if err != nil {
			return
		}
		got, err := p.Apply([]byte(doc), 1<<16)
		if err != nil {
			return
		}
		if _, err := readValue(got); err != nil {
			t.Fatalf("the result %q: %v", got, err)
		}
	})
}
