package profile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// outline lists the elements of a tree with what is said of them.
func outline(e *profile.Element, depth int, b *strings.Builder) {
	fmt.Fprintf(b, "%s%s", strings.Repeat(" ", depth), e.Name)
	if e.SliceName != "" {
		fmt.Fprintf(b, ":%s", e.SliceName)
	}
	if len(e.Props) > 0 {
		fmt.Fprintf(b, " %d..%s", e.Range.Min, profile.FormatMax(e.Range.Max))
	}
	for _, t := range e.Types {
		b.WriteString(" " + t.Code)
	}
	if e.Fixed != nil {
		fmt.Fprintf(b, " fixed %s", e.Fixed.JSON)
	}
	if e.Pattern != nil {
		fmt.Fprintf(b, " pattern %s", e.Pattern.JSON)
	}
	if e.Slicing != nil {
		for _, d := range e.Slicing.Discriminator {
			fmt.Fprintf(b, " by %s %s", d.Type, d.Path)
		}
	}
	b.WriteByte('\n')
	for _, s := range e.Slices {
		outline(s, depth+1, b)
	}
	for _, c := range e.Children {
		outline(c, depth+1, b)
	}
}

func TestExpansion(t *testing.T) {
	for _, c := range []struct {
		name        string
		definitions []string // the last is expanded
		want        string
	}{
		{
			"a differential is merged over the profile that it is derived from",
			[]string{
				structure("http://example.org/a", "Patient", "Patient", `{"id":"Patient.name","path":"Patient.name","min":1},{"path":"Patient.birthDate","min":1}`),
				structure("http://example.org/b", "Patient", "http://example.org/a", `{"path":"Patient.name","max":"1"},{"path":"Patient.name.family","min":1}`),
			},
			"Patient\n name 1..1\n  family 1..1\n birthDate 1..1\n",
		},
		{
			"a shortcut is a slice of the choice",
			[]string{structure("http://example.org/o", "Observation", "Observation",
				`{"path":"Observation.value[x]","type":[{"code":"Quantity"},{"code":"string"}]},{"path":"Observation.valueQuantity","min":1},{"path":"Observation.valueQuantity.code","min":1}`)},
			"Observation\n value[x] 0..1 Quantity string by type $this\n  value[x]:valueQuantity 1..*\n   code 1..1\n",
		},
		{
			"the id and the shortcut mean the same slice",
			[]string{structure("http://example.org/o", "Observation", "Observation",
				`{"id":"Observation.value[x]:valueQuantity","path":"Observation.value[x]","sliceName":"valueQuantity","min":1},{"path":"Observation.valueQuantity.unit","min":1}`)},
			"Observation\n value[x] 0..1 by type $this\n  value[x]:valueQuantity 1..*\n   unit 1..1\n",
		},
		{
			"without ids an element is in the slice before it",
			[]string{structure("http://example.org/o", "Observation", "Observation",
				`{"path":"Observation.component","slicing":{"discriminator":[{"type":"value","path":"code"}],"rules":"open"}},
				{"path":"Observation.component","sliceName":"a","min":1},{"path":"Observation.component.code","patternCodeableConcept":{"text":"a"}},
				{"path":"Observation.component","sliceName":"b"},{"path":"Observation.component.code","patternCodeableConcept":{"text":"b"}},{"path":"Observation.status","fixedCode":"final"}`)},
			"Observation\n component 0..* by value code\n  component:a 1..*\n   code 1..1 pattern {\"text\":\"a\"}\n" +
				"  component:b 0..*\n   code 1..1 pattern {\"text\":\"b\"}\n status 1..1 fixed \"final\"\n",
		},
		{
			"a slice of the base is found by the id alone, and can be sliced again",
			[]string{
				structure("http://example.org/a", "Patient", "Patient",
					`{"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
					{"id":"Patient.identifier:x","path":"Patient.identifier","sliceName":"x"}`),
				structure("http://example.org/b", "Patient", "http://example.org/a",
					`{"id":"Patient.identifier:x","path":"Patient.identifier","sliceName":"x","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"open"}},
					{"id":"Patient.identifier:x/y","path":"Patient.identifier","sliceName":"x/y","max":"1"},{"id":"Patient.identifier:x/y.use","path":"Patient.identifier.use","fixedCode":"old"},
					{"id":"Patient.identifier:x.value","path":"Patient.identifier.value","min":1}`),
			},
			"Patient\n identifier 0..* by value system\n  identifier:x 0..* by value use\n   identifier:x/y 0..1\n    use 0..1 fixed \"old\"\n   value 1..1\n",
		},
		{
			"extensions are sliced by url, and primitives have them",
			[]string{structure("http://example.org/e", "Patient", "Patient",
				`{"id":"Patient.birthDate.extension:time","path":"Patient.birthDate.extension","sliceName":"time","min":1,"type":[{"code":"Extension","profile":["http://hl7.org/fhir/StructureDefinition/patient-birthTime"]}]}`)},
			"Patient\n birthDate 0..1\n  extension 0..* by value url\n   extension:time 1..* Extension\n",
		},
		{
			"a content reference leads to the elements that it names, not to the profile's",
			[]string{structure("http://example.org/p", "Parameters", "Parameters",
				`{"path":"Parameters.parameter.name","fixedString":"a"},{"path":"Parameters.parameter.part.name","fixedString":"b"}`)},
			"Parameters\n parameter 0..*\n  name 1..1 fixed \"a\"\n  part 0..*\n   name 1..1 fixed \"b\"\n",
		},
		{
			"a resource within a resource has the elements of its type",
			[]string{structure("http://example.org/p", "Bundle", "Bundle",
				`{"path":"Bundle.entry.resource","type":[{"code":"Patient"}]},{"path":"Bundle.entry.resource.birthDate","min":1},{"path":"Bundle.link.relation","fixedString":"self"}`)},
			"Bundle\n entry 0..*\n  resource 0..1 Patient\n   birthDate 1..1\n link 0..*\n  relation 1..1 fixed \"self\"\n",
		},
		{
			"a snapshot is taken as it is",
			[]string{`{"resourceType":"StructureDefinition","url":"http://example.org/s","kind":"resource","type":"Patient","baseDefinition":"http://example.org/unknown",
				"snapshot":{"element":[{"path":"Patient"},{"path":"Patient.name","min":1,"max":"*"}]},"differential":{"element":[{"path":"Patient.name","min":1}]}}`},
			"Patient\n name 1..*\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := registry(t, c.definitions...)
			all := r.Resources()
			p, err := r.Profile(all[len(all)-1].URL)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			outline(p.Root, 0, &b)
			if d := cmp.Diff(c.want, b.String()); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestDefinitionsAtFaultAreNamed(t *testing.T) {
	patient := func(elements string) []string {
		return []string{structure("http://example.org/p", "Patient", "Patient", elements)}
	}
	chain := make([]string, 100)
	for i := range chain {
		chain[i] = structure(fmt.Sprintf("http://example.org/%d", i), "Patient", fmt.Sprintf("http://example.org/%d", i+1), "")
	}
	chain[99] = structure("http://example.org/99", "Patient", "Patient", "")
	for _, c := range []struct {
		name        string
		definitions []string // the first is at fault
		want        string
	}{
		{"element that is not there", patient(`{"id":"Patient.nme","path":"Patient.nme"}`), "element Patient.nme: Patient has no element 'nme'"},
		{"element below a primitive", patient(`{"path":"Patient.birthDate.year"}`), "date has no element 'year'"},
		{"path of another type", patient(`{"path":"Person.name"}`), "path 'Person.name' does not begin with the type Patient"},
		{"min above max", patient(`{"path":"Patient.name","min":2,"max":"1"}`), "min 2 is more than max 1"},
		{"max wider than the base", patient(`{"path":"Patient.birthDate","max":"*"}`), "max * is more than the 1 of its base"},
		{"min wider than the base", []string{structure("http://example.org/p", "Observation", "Observation", `{"path":"Observation.status","min":0}`)}, "min 0 is less than the 1 of its base"},
		{"max that is no number", patient(`{"path":"Patient.name","max":"many"}`), "max 'many' is neither a number nor '*'"},
		{"type that is none", patient(`{"path":"Patient.name","type":[{"code":"HumanNames"}]}`), "type 'HumanNames' is no type of R4"},
		{"type that the base does not allow", patient(`{"path":"Patient.deceased[x]","type":[{"code":"Quantity"}]}`), "none of its types is one that its base allows"},
		{"discriminator that leads nowhere", patient(`{"path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"colour"}],"rules":"open"}}`), "discriminator path 'colour' leads nowhere: HumanName has no element 'colour'"},
		{"discriminator that is not understood", patient(`{"path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"where(use='old')"}],"rules":"open"}}`), "is not understood"},
		{"discriminator of no type", patient(`{"path":"Patient.name","slicing":{"discriminator":[{"type":"guess","path":"use"}],"rules":"open"}}`), "discriminator type 'guess'"},
		{"pattern of no type", patient(`{"path":"Patient.name","patternThing":1}`), "'patternThing' names no type"},
		{"type of its own", []string{structure("http://example.org/p", "Patience", "Patient", "")}, "its type 'Patience' is no type of R4"},
		{"base of another type", []string{structure("http://example.org/p", "Patient", "Observation", "")}, "its type is Patient, but its base is of type Observation"},
		{"base that is not there", []string{structure("http://example.org/p", "Patient", "http://example.org/none", "")}, "its base http://example.org/none is not known here"},
		{"base at fault", []string{structure("http://example.org/p", "Patient", "http://example.org/q", ""), structure("http://example.org/q", "Patient", "Patient", `{"path":"Patient.x"}`)}, "its base cannot be used"},
		{"circle", []string{structure("http://example.org/p", "Patient", "http://example.org/q", ""), structure("http://example.org/q", "Patient", "http://example.org/p", "")}, "derived from itself"},
		{"too many derivations", chain, "more than 64 derivations"},
		{"too many steps", []string{structure("http://example.org/p", "Parameters", "Parameters", `{"path":"Parameters.parameter`+strings.Repeat(".part", 80)+`"}`)}, "path has 82 steps"},
		{"fixed value that the base fixes otherwise", []string{
			structure("http://example.org/p", "Patient", "http://example.org/q", `{"path":"Patient.gender","fixedCode":"male"}`),
			structure("http://example.org/q", "Patient", "Patient", `{"path":"Patient.gender","fixedCode":"female"}`),
		}, `value is fixed to "male", but its base fixes it to "female"`},
		{"not JSON of a definition", []string{`{"resourceType":"StructureDefinition","url":"http://example.org/p","differential":[]}`}, "cannot unmarshal array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := registry(t, c.definitions...)
			_, err := r.Profile(r.Resources()[0].URL)
			var d *profile.DefinitionError
			if !errors.As(err, &d) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s", err, c.want)
			}
			if len(r.Check()) == 0 {
				t.Error("Check finds nothing")
			}
		})
	}
}

func TestAProfileHasALimitOfElements(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"open"}}`)
	for i := range 10_001 {
		fmt.Fprintf(&b, `,{"path":"Patient.name","sliceName":"s%d"}`, i)
	}
	r := registry(t, structure("http://example.org/p", "Patient", "Patient", b.String()))
	if _, err := r.Profile("http://example.org/p"); err == nil || !strings.Contains(err.Error(), "more than 10000 elements") {
		t.Errorf("got %v", err)
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string][]profile.Step{
		"$this":       nil,
		"coding.code": {{Name: "coding"}, {Name: "code"}},
		"value[x]":    {{Name: "value"}},
		"extension('http://example.org/a.b').value.ofType(Coding)": {
			{Kind: profile.StepExtension, Name: "http://example.org/a.b"}, {Name: "value"}, {Kind: profile.StepOfType, Type: r4.TypeCoding},
		},
		"$this.resolve().code": {{Kind: profile.StepResolve}, {Name: "code"}},
	} {
		got, err := profile.ParsePath(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", path, d)
		}
	}
	for _, path := range []string{"a..b", "a.", "first()", "extension('x'", "ofType(Nothing)", "a b('", ".", "resolve()x", strings.Repeat("a.", 100) + "a"} {
		if got, err := profile.ParsePath(path); err == nil {
			t.Errorf("%q gives %v", path, got)
		}
	}
}
