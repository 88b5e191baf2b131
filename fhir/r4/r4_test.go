package r4_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// element finds an element by type and JSON name and fails the test without it.
func element(t *testing.T, typ, name string) *r4.Element {
	t.Helper()
	id, ok := r4.TypeByName(typ)
	if !ok {
		t.Fatalf("no type %s", typ)
	}
	e := id.ElementByName(name)
	if e == 0 {
		t.Fatalf("%s has no element %s", typ, name)
	}
	return r4.ElementAt(e)
}

func choices(t *testing.T, typ, choice string) []string {
	t.Helper()
	id, ok := r4.TypeByName(typ)
	if !ok {
		t.Fatalf("no type %s", typ)
	}
	var names []string
	for _, e := range r4.Elements(id) {
		if e.Choice == choice {
			names = append(names, e.Name)
		}
	}
	return names
}

func TestThereAre146ConcreteResourceTypes(t *testing.T) {
	list := r4.ResourceTypes()
	if len(list) != 146 {
		t.Fatalf("%d resource types", len(list))
	}
	var names []string
	for _, id := range list {
		d := r4.TypeAt(id)
		if d.Kind != r4.KindResource || d.Abstract || !id.IsResourceType() {
			t.Errorf("%s is no concrete resource type", d.Name)
		}
		if got := r4.ResourceTypeByName([]byte(d.Name)); got != id {
			t.Errorf("ResourceTypeByName(%s) = %v", d.Name, got)
		}
		if got := r4.ResourceTypeByName([]byte(d.Name + "x")); got != 0 {
			t.Errorf("ResourceTypeByName(%sx) = %v", d.Name, got)
		}
		names = append(names, d.Name)
	}
	if !slices.IsSorted(names) {
		t.Error("resource types are not sorted by name")
	}
	for _, name := range []string{"", "Resource", "DomainResource", "HumanName", "patient", "string"} {
		if got := r4.ResourceTypeByName([]byte(name)); got != 0 {
			t.Errorf("ResourceTypeByName(%q) = %v, want none", name, got)
		}
	}
}

func TestEveryTypeIsFoundByItsName(t *testing.T) {
	kinds := map[r4.Kind]int{}
	for i := 1; i < r4.NumTypes(); i++ {
		id := r4.TypeID(i)
		d := r4.TypeAt(id)
		if got, ok := r4.TypeByName(d.Name); !ok || got != id {
			t.Errorf("TypeByName(%s) = %v, %v", d.Name, got, ok)
		}
		if (d.Kind == r4.KindPrimitive) != (d.Primitive != r4.PrimitiveNone) {
			t.Errorf("%s: kind %v with primitive %v", d.Name, d.Kind, d.Primitive)
		}
		kinds[d.Kind]++
	}
	want := map[r4.Kind]int{r4.KindPrimitive: 20, r4.KindDatatype: 41, r4.KindResource: 148, r4.KindBackbone: len(r4TypesOfKind(r4.KindBackbone))}
	for k, n := range want {
		if kinds[k] != n {
			t.Errorf("%d types of kind %v, want %d", kinds[k], k, n)
		}
	}
	for _, name := range []string{"", "Foo", "Patient.name", "patient", "zzz"} {
		if id, ok := r4.TypeByName(name); ok {
			t.Errorf("TypeByName(%q) = %v", name, id)
		}
	}
}

func r4TypesOfKind(k r4.Kind) []r4.TypeID {
	var list []r4.TypeID
	for i := 1; i < r4.NumTypes(); i++ {
		if r4.TypeAt(r4.TypeID(i)).Kind == k {
			list = append(list, r4.TypeID(i))
		}
	}
	return list
}

func TestElements(t *testing.T) {
	const many = r4.Unbounded
	for _, c := range []struct {
		typ, name string
		want      r4.TypeID
		min, max  uint16
	}{
		{"Patient", "id", r4.TypeId, 0, 1},
		{"Patient", "meta", r4.TypeMeta, 0, 1},
		{"Patient", "contained", r4.TypeResource, 0, many},
		{"Patient", "name", r4.TypeHumanName, 0, many},
		{"Patient", "birthDate", r4.TypeDate, 0, 1},
		{"Patient", "contact", r4.TypePatientContact, 0, many},
		{"Patient.contact", "id", r4.TypeString, 0, 1},
		{"Patient.contact", "modifierExtension", r4.TypeExtension, 0, many},
		{"Patient.link", "other", r4.TypeReference, 1, 1},
		{"Element", "id", r4.TypeString, 0, 1},
		{"Extension", "url", r4.TypeUri, 1, 1},
		{"Narrative", "div", r4.TypeXhtml, 1, 1},
		{"Narrative", "status", r4.TypeCode, 1, 1},
		{"Observation", "code", r4.TypeCodeableConcept, 1, 1},
		{"Observation", "valueQuantity", r4.TypeQuantity, 0, 1},
		{"Bundle.entry", "resource", r4.TypeResource, 0, 1},
		{"Bundle.entry", "link", r4.TypeBundleLink, 0, many},
		{"Parameters.parameter", "resource", r4.TypeResource, 0, 1},
		{"Parameters.parameter", "part", r4.TypeParametersParameter, 0, many},
		{"Questionnaire.item", "item", r4.TypeQuestionnaireItem, 0, many},
		{"Timing", "repeat", r4.TypeTimingRepeat, 0, 1},
		{"Binary", "data", r4.TypeBase64Binary, 0, 1},
		{"MedicationRequest", "medicationReference", r4.TypeReference, 1, 1},
	} {
		t.Run(c.typ+"."+c.name, func(t *testing.T) {
			e := element(t, c.typ, c.name)
			if e.Type != c.want || e.Min != c.min || e.Max != c.max {
				t.Errorf("got %v %d..%d, want %v %d..%d", e.Type, e.Min, e.Max, c.want, c.min, c.max)
			}
			if e.Owner.String() != c.typ {
				t.Errorf("owner is %v", e.Owner)
			}
		})
	}
}

func TestChoicesExpandToOneElementForEachType(t *testing.T) {
	for _, c := range []struct {
		typ, choice string
		want        int
	}{
		{"Observation", "value", 11},
		{"Extension", "value", 50},
		{"ElementDefinition", "defaultValue", 50},
		{"Patient", "deceased", 2},
		{"MedicationRequest", "medication", 2},
	} {
		names := choices(t, c.typ, c.choice)
		if len(names) != c.want {
			t.Errorf("%s.%s[x]: %d elements %v, want %d", c.typ, c.choice, len(names), names, c.want)
		}
		for _, n := range names {
			if element(t, c.typ, n).Slot != element(t, c.typ, names[0]).Slot {
				t.Errorf("%s.%s has a slot of its own", c.typ, n)
			}
		}
	}
}

func TestSlotsAndRequiredMaskAgreeWithElements(t *testing.T) {
	total := 2
	for i := 1; i < r4.NumTypes(); i++ {
		d := r4.TypeAt(r4.TypeID(i))
		var mask, seen uint64
		for j, e := range r4.Elements(r4.TypeID(i)) {
			if e.Slot >= d.NumSlots || d.NumSlots > 64 {
				t.Errorf("%s: slot %d of %d", e.Path, e.Slot, d.NumSlots)
			}
			if e.Owner != r4.TypeID(i) {
				t.Errorf("%s: owner %v", e.Path, e.Owner)
			}
			if e.Min > 0 {
				mask |= 1 << e.Slot
			}
			if seen&(1<<e.Slot) != 0 && e.Choice == "" {
				t.Errorf("%s shares a slot and is no choice", e.Path)
			}
			seen |= 1 << e.Slot
			if e.Type == 0 {
				t.Errorf("%s has no type", e.Path)
			}
			if id := d.FirstElement + r4.ElementID(j); r4.ElementAt(id).Name != e.Name {
				t.Errorf("%s is not element %d", e.Path, id)
			}
		}
		if mask != d.RequiredMask {
			t.Errorf("%s: RequiredMask %b, want %b", d.Name, d.RequiredMask, mask)
		}
		total += int(d.NumElements)
	}
	if total != r4.NumElements() {
		t.Errorf("the types have %d elements, want %d", total, r4.NumElements())
	}
}

func TestLookupRoundTripsAndRejectsMangledNames(t *testing.T) {
	for i := 1; i < r4.NumTypes(); i++ {
		id := r4.TypeID(i)
		known := map[string]r4.ElementID{}
		if r4.TypeAt(id).Kind == r4.KindResource {
			known["resourceType"] = r4.ElementResourceType
		}
		for j, e := range r4.Elements(id) {
			known[e.Name] = r4.TypeAt(id).FirstElement + r4.ElementID(j)
		}
		check := func(key string) {
			if got := r4.Lookup(id, []byte(key)); got != known[key] {
				t.Errorf("Lookup(%v, %q) = %d, want %d", id, key, got, known[key])
			}
		}
		check("")
		check("resourceType")
		check("id\x00")
		for name := range known {
			check(name)
			check("_" + name)
			check(name + "x")
			check(name + "\x00")
			check(name[1:])
			check(name[:len(name)-1])
			for p := range len(name) {
				b := []byte(name)
				b[p] ^= 0x20
				check(string(b))
				b[p] ^= 0x21
				check(string(b))
			}
		}
	}
	if got := r4.Lookup(r4.TypeID(0xFFFF), []byte("id")); got != 0 {
		t.Errorf("Lookup of a type out of range = %d", got)
	}
}

func TestResourceTypeIsAPropertyOfResourcesOnly(t *testing.T) {
	e := r4.ElementAt(r4.ElementResourceType)
	if e.Name != "resourceType" || e.Owner != 0 || uint64(1)<<e.Slot != 0 {
		t.Errorf("got %+v", e)
	}
	if got := r4.Lookup(r4.TypePatient, []byte("resourceType")); got != r4.ElementResourceType {
		t.Errorf("Patient: %d", got)
	}
	if got := r4.Lookup(r4.TypeHumanName, []byte("resourceType")); got != 0 {
		t.Errorf("HumanName: %d", got)
	}
}

func TestReferenceTargets(t *testing.T) {
	got := element(t, "Patient", "generalPractitioner").Targets
	want := []r4.TypeID{r4.TypeOrganization, r4.TypePractitioner, r4.TypePractitionerRole}
	if !slices.Equal(got, want) {
		t.Errorf("Patient.generalPractitioner: %v", got)
	}
	if got := element(t, "Observation", "focus").Targets; got != nil {
		t.Errorf("Observation.focus: %v, want any", got)
	}
	if got := element(t, "QuestionnaireResponse", "questionnaire").Targets; !slices.Equal(got, []r4.TypeID{r4.TypeQuestionnaire}) {
		t.Errorf("QuestionnaireResponse.questionnaire: %v", got)
	}
}

// The tables must be data of the binary. A package with work to do at start
// shows up in the runtime's trace of init functions.
func TestTablesNeedNoInit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "init runtime @") {
		t.Skip("the runtime gave no trace")
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "init github.com/fhirlake/fhirlake/fhir/r4 @") {
			t.Error(line)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	keys := [][]byte{
		[]byte("resourceType"), []byte("id"), []byte("meta"), []byte("text"), []byte("identifier"),
		[]byte("name"), []byte("birthDate"), []byte("multipleBirthInteger"),
	}
	b.ReportAllocs()
	found := r4.ElementID(0)
	for b.Loop() {
		for _, k := range keys {
			found += r4.Lookup(r4.TypePatient, k)
		}
	}
	if found == 0 {
		b.Fatal("nothing found")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/lookup")
}

func BenchmarkResourceTypeByName(b *testing.B) {
	keys := [][]byte{[]byte("Patient"), []byte("Observation"), []byte("MedicationRequest"), []byte("List")}
	b.ReportAllocs()
	for b.Loop() {
		for _, k := range keys {
			if r4.ResourceTypeByName(k) == 0 {
				b.Fatal("not found")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/lookup")
}
