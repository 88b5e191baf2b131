package validate

import (
	"fmt"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// A class says what the walk does with a node of an element.
type class uint8

const (
	classNone     class = iota // nothing
	classLeaf                  // a primitive value that some rule is for
	classObject                // every object that is no resource
	classResource              // a resource inside of another
)

// A checkKind names the rule, written for it, that an element or its type has.
type checkKind uint8

const (
	checkNone checkKind = iota
	checkReference
	checkCodes
	checkExtension
	checkPeriod
	checkQuantity
	checkAttachment
	checkBundle
	checkSystem
	checkCanonical
	checkElementID
	checkXHTML
	checkLanguage
	checkMIME
	checkFormat
	checkCurrency
)

// plan is what the walk needs of an element, or of a resource type.
type plan struct {
	shapes    span // in table.shapes
	functions span // in table.functions
	programs  span // in table.programs
	targets   *targets
	codes     uint16       // required code set of a CodeableConcept, 0 for none
	required  uint64       // slots that must be there
	contained r4.ElementID // of a resource type, 0 for none
	check     checkKind
	resource  bool
}

// targets are the resource types that a reference may lead to; nil means any.
type targets [3]uint64

func (t *targets) allows(typ r4.TypeID) bool {
	i := uint(typ - r4.ResourceTypes()[0])
	return t == nil || t[i/64]>>(i%64)&1 != 0
}

// function is an [invariant] that runs for the objects that have a member of the
// slots in needs, or for all when that is 0.
type function struct {
	constraint uint16
	needs      uint64
	holds      func(v *Validator, n int32) bool
}

type program struct {
	constraint uint16
	program    *fhirpath.Program
}

type table struct {
	classes   []class // by element
	slots     []uint8 // by element; 64 for no slot
	plans     []plan  // by element
	resources []plan  // by type
	shapes    []shape
	functions []function
	programs  []program
}

// The tables are made once, at the first [NewValidator].
var (
	withoutBestPractices = sync.OnceValues(func() (*table, error) { return newTable(false) })
	withBestPractices    = sync.OnceValues(func() (*table, error) { return newTable(true) })
)

func tables(bestPractices bool) (*table, error) {
	if bestPractices {
		return withBestPractices()
	}
	return withoutBestPractices()
}

func newTable(bestPractices bool) (*table, error) {
	t := &table{
		classes:   make([]class, r4.NumElements()),
		slots:     make([]uint8, r4.NumElements()),
		plans:     make([]plan, r4.NumElements()),
		resources: make([]plan, r4.NumTypes()),
	}
	t.slots[0] = 64
	for i := 1; i < r4.NumElements(); i++ {
		e := r4.ElementAt(r4.ElementID(i))
		t.slots[i] = e.Slot
		if r4.ElementID(i) == r4.ElementResourceType {
			continue
		}
		p := &t.plans[i]
		p.check, p.codes, p.targets = checkOf(r4.ElementID(i)), requiredCodes(e), targetsOf(e)
		typ := r4.TypeAt(e.Type)
		if err := t.plan(p, e.Type, bestPractices, e.Constraints, typ.Constraints); err != nil {
			return nil, err
		}
		switch {
		case e.Type == r4.TypeResource:
			t.classes[i] = classResource
		case typ.Primitive == r4.PrimitiveNone:
			t.classes[i] = classObject
		case *p != (plan{}):
			t.classes[i] = classLeaf
		}
	}
	for _, typ := range r4.ResourceTypes() {
		p := &t.resources[typ]
		p.resource = true
		p.contained = typ.ElementByName("contained")
		if typ == r4.TypeBundle {
			p.check = checkBundle
		}
		if err := t.plan(p, typ, bestPractices, r4.TypeAt(typ).Constraints); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// plan finds out how each constraint of a value of type typ is checked.
func (t *table) plan(p *plan, typ r4.TypeID, bestPractices bool, lists ...[]uint16) error {
	p.shapes.from, p.functions.from, p.programs.from = int32(len(t.shapes)), int32(len(t.functions)), int32(len(t.programs))
	for _, list := range lists {
		for _, c := range list {
			d := r4.ConstraintAt(c)
			if checkedElsewhere[d.Key] != "" || d.BestPractice && !bestPractices {
				continue
			}
			if shapes := shapesOf(d, typ); shapes != nil {
				for _, s := range shapes {
					s.constraint = c
					t.shapes = append(t.shapes, s)
				}
				continue
			}
			if f, ok := invariantOf(d); ok {
				t.functions = append(t.functions, function{c, slotsOf(typ, f.when), f.holds})
				continue
			}
			compiled, err := fhirpath.Compile(d.Expression, fhirpath.Options{Type: typ})
			if err != nil {
				return fmt.Errorf("compile constraint %s of %s: %w", d.Key, d.Path, err)
			}
			t.programs = append(t.programs, program{c, compiled})
		}
	}
	p.required = r4.TypeAt(typ).RequiredMask
	p.shapes.to, p.functions.to, p.programs.to = int32(len(t.shapes)), int32(len(t.functions)), int32(len(t.programs))
	return nil
}

// checkOf gives the rule of element id.
func checkOf(id r4.ElementID) checkKind {
	e := r4.ElementAt(id)
	switch e.Type {
	case r4.TypeReference:
		return checkReference
	case r4.TypeCodeableConcept:
		if requiredCodes(e) != 0 {
			return checkCodes
		}
	case r4.TypeExtension:
		return checkExtension
	case r4.TypePeriod:
		return checkPeriod
	case r4.TypeQuantity, r4.TypeAge, r4.TypeCount, r4.TypeDistance, r4.TypeDuration:
		return checkQuantity
	case r4.TypeAttachment:
		return checkAttachment
	case r4.TypeXhtml:
		return checkXHTML
	case r4.TypeCanonical:
		return checkCanonical
	case r4.TypeCode:
		switch e.Binding.ValueSet {
		case "http://hl7.org/fhir/ValueSet/languages", "http://hl7.org/fhir/ValueSet/all-languages":
			return checkLanguage
		case "http://hl7.org/fhir/ValueSet/mimetypes":
			switch e.Owner {
			case r4.TypeAttachment, r4.TypeBinary, r4.TypeSignature:
				return checkMIME
			}
			return checkFormat
		case "http://hl7.org/fhir/ValueSet/currencies":
			return checkCurrency
		}
	}
	switch {
	case id == elCodingSystem || id == elIdentifierSys:
		return checkSystem
	case e.Name == "id" && r4.TypeAt(e.Owner).Kind != r4.KindResource && e.Owner != r4.TypeElementDefinition:
		// The ids of ElementDefinition are unique within a list of them: sdf-16, sdf-17.
		return checkElementID
	}
	return checkNone
}

func requiredCodes(e *r4.Element) uint16 {
	if e.Binding.Strength == r4.BindingRequired && e.Type == r4.TypeCodeableConcept {
		return e.Binding.CodeSet
	}
	return 0
}

func targetsOf(e *r4.Element) *targets {
	if e.Type != r4.TypeReference || len(e.Targets) == 0 {
		return nil
	}
	t := new(targets)
	for _, typ := range e.Targets {
		if !typ.IsResourceType() {
			return nil // Reference(Any)
		}
		i := uint(typ - r4.ResourceTypes()[0])
		t[i/64] |= 1 << (i % 64)
	}
	return t
}

// slotsOf gives the slots of the named elements of a type. A choice goes by its
// name without the type. The names are those of this package, so a wrong one is a
// bug of it.
func slotsOf(typ r4.TypeID, names string) (m uint64) {
	for name := range strings.FieldsSeq(names) {
		before := m
		for _, e := range r4.Elements(typ) {
			if e.Name == name || e.Choice == name {
				m |= 1 << e.Slot
			}
		}
		if m == before {
			panic("validate: no element " + name + " in " + typ.String())
		}
	}
	return m
}
