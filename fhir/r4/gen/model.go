package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	structureURL    = "http://hl7.org/fhir/StructureDefinition/"
	fhirTypeURL     = structureURL + "structuredefinition-fhir-type"
	bestPracticeURL = structureURL + "elementdefinition-bestpractice"
	maxSlots        = 64
)

// model mirrors the tables of package r4 while they are built; references are
// pointers and names until every type and element has its number.
type model struct {
	types       []*typ // index is the TypeID; 0 is none
	byName      map[string]*typ
	elements    []*element // index is the ElementID; 0 is none, 1 is resourceType
	constraints []constraint
	codeSets    []codeSet
	codeSetOf   map[string]int // by value set URL; 0 for one that cannot be expanded
}

type typ struct {
	id          int
	name        string
	kind        string // name of the Kind constant
	abstract    bool
	base        string
	constraints []int
	elements    []*element
	slots       int
	required    uint64
}

type element struct {
	id                    int
	name, path            string
	owner                 *typ
	typ                   string
	min, max, slot        int
	choice                string
	targets               []string
	strength, valueSet    string
	codeSet               int
	isModifier, isSummary bool
	constraints           []int
}

type constraint struct {
	key, path, human, expression string
	warning, bestPractice        bool
}

// buildModel numbers the types so that each kind is a range: primitives,
// datatypes, the concrete resource types, the abstract ones, backbone elements.
func buildModel(d *definitions) (*model, error) {
	m := &model{
		types:       []*typ{{}},
		byName:      map[string]*typ{},
		elements:    []*element{{}, {name: "resourceType", path: "resourceType", typ: "code", min: 1, max: 1, slot: maxSlots, isSummary: true}},
		constraints: []constraint{{}},
	}
	var primitives, datatypes, resources, abstract []string
	for _, name := range slices.Sorted(maps.Keys(d.structures)) {
		switch s := d.structures[name]; {
		case s.Kind == "primitive-type":
			primitives = append(primitives, name)
		case s.Kind == "complex-type":
			datatypes = append(datatypes, name)
		case s.Abstract:
			abstract = append(abstract, name)
		default:
			resources = append(resources, name)
		}
	}
	if len(resources) != 146 || len(primitives) != 20 {
		return nil, fmt.Errorf("%d resource types and %d primitives, want 146 and 20", len(resources), len(primitives))
	}
	order := slices.Concat(primitives, datatypes, resources, abstract)
	kinds := map[string]string{"primitive-type": "KindPrimitive", "complex-type": "KindDatatype", "resource": "KindResource"}
	for _, name := range order {
		s := d.structures[name]
		m.addType(&typ{name: name, kind: kinds[s.Kind], abstract: s.Abstract, base: strings.TrimPrefix(s.BaseDefinition, structureURL)})
	}
	for _, name := range order {
		if err := m.addStructure(d.structures[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return m, m.finish()
}

func (m *model) addType(t *typ) {
	t.id = len(m.types)
	m.types = append(m.types, t)
	m.byName[t.name] = t
}

// addStructure adds the elements of one definition, each to the type of its
// parent path. Primitives have none: their value is the JSON value itself, and
// the id and the extensions of a twin are those of Element.
func (m *model) addStructure(s *structureDefinition) error {
	for i := range s.Snapshot.Element {
		e := &s.Snapshot.Element[i]
		own, err := m.ownConstraints(s, e)
		if err != nil {
			return err
		}
		dot := strings.LastIndexByte(e.Path, '.')
		if dot < 0 {
			m.byName[s.Type].constraints = own
			continue
		}
		if s.Kind == "primitive-type" {
			continue
		}
		owner := m.byName[e.Path[:dot]]
		if owner == nil {
			return fmt.Errorf("%s has no parent type", e.Path)
		}
		if len(e.Type) == 1 && (e.Type[0].Code == "BackboneElement" || e.Type[0].Code == "Element") {
			m.addType(&typ{name: e.Path, kind: "KindBackbone", base: e.Type[0].Code, constraints: own})
			own = nil
		}
		if err := m.addElement(owner, e, e.Path[dot+1:], own); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return nil
}

// addElement adds the JSON properties of one element: one, or one for each type
// of a choice.
func (m *model) addElement(owner *typ, e *elementDefinition, last string, own []int) error {
	maximum := 0xFFFF
	if e.Max != "*" {
		n, err := strconv.Atoi(e.Max)
		if err != nil || n < 1 {
			return fmt.Errorf("max %q", e.Max)
		}
		maximum = n
	}
	el := element{
		name: last, path: e.Path, owner: owner, min: e.Min, max: maximum, slot: owner.slots,
		isModifier: e.IsModifier, isSummary: e.IsSummary, constraints: own,
	}
	owner.slots++
	if owner.slots > maxSlots {
		return fmt.Errorf("more than %d slots", maxSlots)
	}
	if e.Min > 0 {
		owner.required |= 1 << el.slot
	}
	valueSet, _, _ := strings.Cut(e.Binding.ValueSet, "|")
	if e.ContentReference != "" {
		if len(e.Type) != 0 {
			return fmt.Errorf("content reference besides a type")
		}
		el.typ = strings.TrimPrefix(e.ContentReference, "#")
		owner.elements = append(owner.elements, &el)
		return nil
	}
	choice, isChoice := strings.CutSuffix(last, "[x]")
	if len(e.Type) == 0 || len(e.Type) > 1 && !isChoice {
		return fmt.Errorf("%d types", len(e.Type))
	}
	for _, t := range e.Type {
		v := el
		v.typ = t.Code
		switch {
		case owner.kind == "KindResource" && last == "id":
			// The definitions carry the type string here, a fault of
			// 4.0.1: the specification makes the logical id an id.
			v.typ = "id"
		case strings.HasPrefix(t.Code, "http://hl7.org/fhirpath/System."):
			v.typ = ""
			for _, x := range t.Extension {
				if x.URL == fhirTypeURL {
					v.typ = x.ValueURL
				}
			}
		case m.byName[e.Path] != nil && m.byName[e.Path].kind == "KindBackbone":
			v.typ = e.Path
		}
		if isChoice {
			v.choice = choice
			v.name = choice + upperFirst(t.Code)
		}
		for _, p := range t.TargetProfile {
			name, ok := strings.CutPrefix(p, structureURL)
			if !ok || m.byName[name] == nil {
				return fmt.Errorf("target %s is no type", p)
			}
			v.targets = append(v.targets, name)
		}
		if slices.Contains(v.targets, "Resource") {
			v.targets = nil // any
		}
		slices.Sort(v.targets)
		if e.Binding.Strength != "" && bindable(t.Code) {
			v.strength, v.valueSet = e.Binding.Strength, valueSet
		}
		owner.elements = append(owner.elements, &v)
	}
	return nil
}

// bindable tells which types of a choice a binding applies to
// (ElementDefinition.binding).
func bindable(code string) bool {
	switch code {
	case "code", "Coding", "CodeableConcept", "Quantity", "string", "uri":
		return true
	}
	return false
}

// ownConstraints registers the constraints of an element and returns their
// indices. The definitions repeat constraints of a type at each use of it, with
// the type as the source; those copies are dropped. The root of a type keeps
// what it inherits, but for ele-1, which holds everywhere.
func (m *model) ownConstraints(s *structureDefinition, e *elementDefinition) ([]int, error) {
	root := e.Path == s.Type
	var list []int
	for _, c := range e.Constraint {
		if c.Source != "" && (!root || c.Source == structureURL+"Element" && s.Type != "Element") {
			continue
		}
		if c.Expression == "" || c.Severity != "error" && c.Severity != "warning" {
			return nil, fmt.Errorf("constraint %s of %s has no expression or severity", c.Key, e.Path)
		}
		n := constraint{key: c.Key, path: e.Path, human: c.Human, expression: c.Expression, warning: c.Severity == "warning"}
		if source, ok := strings.CutPrefix(c.Source, structureURL); ok {
			n.path = source
		}
		for _, x := range c.Extension {
			n.bestPractice = n.bestPractice || x.URL == bestPracticeURL && x.ValueBoolean
		}
		i := slices.IndexFunc(m.constraints, func(o constraint) bool {
			o.path = n.path
			return o == n
		})
		if i < 0 {
			i = len(m.constraints)
			m.constraints = append(m.constraints, n)
		}
		list = append(list, i)
	}
	slices.Sort(list)
	return list, nil
}

// finish numbers the elements and checks every reference.
func (m *model) finish() error {
	for _, t := range m.types[1:] {
		if t.base != "" && m.byName[t.base] == nil {
			return fmt.Errorf("base %s of %s is no type", t.base, t.name)
		}
		if t.kind == "KindBackbone" && len(t.elements) < 3 {
			return fmt.Errorf("%s has no elements of its own", t.name)
		}
		for _, e := range t.elements {
			if m.byName[e.typ] == nil {
				return fmt.Errorf("type %q of %s is no type", e.typ, e.path)
			}
			e.id = len(m.elements)
			m.elements = append(m.elements, e)
		}
	}
	if len(m.elements) > 0xFFFF {
		return fmt.Errorf("%d elements do not fit an ElementID", len(m.elements))
	}
	return nil
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// constant is the name of the Go constant of a type: TypeBundleEntry. It keeps
// the letters of the specification (TypeUri), since TypeID is the Go type.
func constant(name string) string {
	if name == "" {
		return "0"
	}
	var b strings.Builder
	b.WriteString("Type")
	for part := range strings.SplitSeq(name, ".") {
		b.WriteString(upperFirst(part))
	}
	return b.String()
}
