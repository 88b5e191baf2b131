package profile

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Profile is an expanded StructureDefinition. It is immutable.
type Profile struct {
	URL        string
	Version    string
	Type       r4.TypeID // what its instances are
	Root       *Element
	Definition *StructureDefinition
	Resource   Resource
}

// Element is one element of a profile, or one slice of it. Its constraints are
// those of the profile, and of the base for what the profile leaves open.
type Element struct {
	ID        string         // Observation.component:systolic.value[x]
	Name      string         // last step of the path, without slice: value[x]; the type for the root
	SliceName string         // "" when it is no slice; a/b for a slice b of the slice a
	Props     []r4.ElementID // the JSON properties that hold it: many for a choice, or when its parent has many types; none for the root
	Base      Range          // cardinality in base R4
	Range     Range          // cardinality; of a slice, how many values are in it

	Types       []TypeRef // the allowed types; empty for those of the base
	Fixed       *Value
	Pattern     *Value
	MinValue    *Value
	MaxValue    *Value
	MaxLength   int // characters; 0 for no limit
	Binding     *Binding
	Constraints []Constraint

	Slicing  *Slicing   // how Slices are told apart; nil when there are none
	Slices   []*Element // in the order of the definition, see invariant 1
	Children []*Element

	root  r4.TypeID // of the root: the profile's type
	outer *Element  // of a slice: what it is a slice of

	derivations int // of the root: how many lie between the profile and base R4
}

// Range is a cardinality; Max is [r4.Unbounded] for "*".
type Range struct{ Min, Max int }

// ValueTypes gives the types that values of the element may have. Abstract types
// stand for themselves.
func (e *Element) ValueTypes() []r4.TypeID {
	if e.root != 0 {
		return []r4.TypeID{e.root}
	}
	var out []r4.TypeID
	add := func(t r4.TypeID) {
		if t != 0 && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	refs := e.typeRefs()
	for _, p := range e.Props {
		t := r4.ElementAt(p).Type
		if len(refs) == 0 || allows(refs, t) {
			add(t)
		}
	}
	// Resource stands for what the profile narrows it to.
	if slices.Contains(out, r4.TypeResource) && len(refs) > 0 {
		out = out[:0]
		for _, ref := range refs {
			t, _ := r4.TypeByName(ref.Code)
			add(t)
		}
	}
	return out
}

// typeRefs gives the allowed types, those of the unsliced element for a slice
// that says nothing of them.
func (e *Element) typeRefs() []TypeRef {
	for ; e.outer != nil && len(e.Types) == 0; e = e.outer {
	}
	return e.Types
}

// allows tells whether refs name t. Backbone elements go by the name of their
// abstract base in definitions, and System types stand for primitives.
func allows(refs []TypeRef, t r4.TypeID) bool {
	d := r4.TypeAt(t)
	for _, ref := range refs {
		code := strings.TrimPrefix(ref.Code, coreURL)
		switch {
		case code == d.Name, strings.HasPrefix(code, "http://hl7.org/fhirpath/"),
			d.Kind == r4.KindBackbone && (code == "BackboneElement" || code == "Element"):
			return true
		case t == r4.TypeResource || t == r4.TypeDomainResource:
			if x, ok := r4.TypeByName(code); ok && r4.TypeAt(x).Kind == r4.KindResource {
				return true
			}
		}
	}
	return false
}

// TypeRef finds what the element says of a type that it allows; nil when it says
// nothing.
func (e *Element) TypeRef(t r4.TypeID) *TypeRef {
	for i := range e.Types {
		if e.Types[i].Code == r4.TypeAt(t).Name {
			return &e.Types[i]
		}
	}
	return nil
}

// Child finds the child of a name, as a path says it: "code", "value" or
// "value[x]" for a choice, "valueQuantity" for a variant, which is the slice of
// it. It gives nil when the profile says nothing of it.
func (e *Element) Child(name string) *Element {
	for _, c := range e.Children {
		if c.Name == name || len(c.Name) == len(name)+3 && c.Name[:len(name)] == name && c.Name[len(name):] == "[x]" {
			return c
		}
	}
	for _, c := range e.Children {
		if !strings.HasSuffix(c.Name, "[x]") {
			continue
		}
		for _, s := range c.Slices {
			if len(s.Props) == 1 && r4.ElementAt(s.Props[0]).Name == name {
				return s
			}
		}
	}
	return nil
}

// Slice finds a slice by its name, re-slices too.
func (e *Element) Slice(name string) *Element {
	for _, s := range e.Slices {
		if s.SliceName == name {
			return s
		}
		if n := len(s.SliceName); len(name) > n && name[n] == '/' && name[:n] == s.SliceName {
			return s.Slice(name)
		}
	}
	return nil
}

// IsChoice tells whether the element is value[x] or the like.
func (e *Element) IsChoice() bool { return strings.HasSuffix(e.Name, "[x]") }

// clone copies the tree; what is immutable is shared.
func (e *Element) clone() *Element {
	c := *e
	c.Constraints = slices.Clone(e.Constraints)
	c.Slices = cloneAll(e.Slices)
	for _, s := range c.Slices {
		s.outer = &c
	}
	c.Children = cloneAll(e.Children)
	return &c
}

func cloneAll(list []*Element) []*Element {
	if list == nil {
		return nil
	}
	out := make([]*Element, len(list))
	for i, e := range list {
		out[i] = e.clone()
	}
	return out
}

// propsOf gives the properties that name names in the values of types: one for
// each type that has it, all variants for a choice. variant tells that name is a
// shortcut such as valueQuantity, and choice is then value[x].
func propsOf(types []r4.TypeID, name string) (props []r4.ElementID, choice string, variant bool) {
	group, isChoice := strings.CutSuffix(name, "[x]")
	for _, t := range types {
		for _, t := range concrete(t) {
			if isChoice {
				first := r4.TypeAt(t).FirstElement
				for i, el := range r4.Elements(t) {
					if el.Choice == group {
						props = append(props, first+r4.ElementID(i))
					}
				}
				continue
			}
			if p := t.ElementByName(name); p != 0 && p != r4.ElementResourceType {
				props = append(props, p)
				if c := r4.ElementAt(p).Choice; c != "" {
					choice, variant = c+"[x]", true
				}
			}
		}
	}
	return props, choice, variant
}

// concrete gives the types whose elements values of t have: for the abstract
// resource types those derived from them, for a primitive Element, since its id and
// extensions are there.
func concrete(t r4.TypeID) []r4.TypeID {
	if r4.TypeAt(t).Kind == r4.KindPrimitive {
		return []r4.TypeID{r4.TypeElement}
	}
	switch t {
	case r4.TypeResource:
		return r4.ResourceTypes()
	case r4.TypeDomainResource:
		var out []r4.TypeID
		for _, x := range r4.ResourceTypes() {
			if r4.TypeAt(x).Base == t {
				out = append(out, x)
			}
		}
		return out
	}
	return []r4.TypeID{t}
}

// unsliced gives the element that a slice is of, by way of re-slices.
func (e *Element) unsliced() *Element {
	for e.outer != nil {
		e = e.outer
	}
	return e
}

// Outer gives what a slice is a slice of; nil for what is no slice.
func (e *Element) Outer() *Element { return e.outer }
