package patch

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The value of an operation is a value[x], a resource, or parts that are the elements of
// a type that value[x] does not have.

// valueOf finds the value[x] of a parameter and its twin.
func (p *FHIRPath) valueOf(n fhir.NodeID) (v, twin fhir.NodeID) {
	v, twin = fhir.NoNode, fhir.NoNode
	for c := p.tree.FirstChild(n); c != fhir.NoNode; c = p.tree.NextSibling(n, c) {
		switch nd := &p.tree.Nodes[c]; {
		case nd.Element == 0 || r4.ElementAt(nd.Element).Choice != "value":
		case nd.Flags&fhir.FlagTwin != 0:
			twin = c
		default:
			v = c
		}
	}
	return v, twin
}

// valueType gives the type of the value[x] of a parameter, 0 when it has none.
func (p *FHIRPath) valueType(n fhir.NodeID) r4.TypeID {
	v, twin := p.valueOf(n)
	if v = max(v, twin); v == fhir.NoNode {
		return 0
	}
	return r4.ElementAt(p.tree.Nodes[v].Element).Type
}

// element finds the element of a type by its name, for a choice by that and the type of
// the value; 0 when there is none.
func (p *FHIRPath) element(t r4.TypeID, name string, n fhir.NodeID) r4.ElementID {
	if e := t.ElementByName(name); e != 0 {
		return e
	}
	if vt := p.valueType(n); vt != 0 {
		if e := t.ElementByName(name + upper(vt.String())); e != 0 && r4.ElementAt(e).Choice == name {
			return e
		}
	}
	return 0
}

// pair makes the element of type t that parameter n describes.
func (p *FHIRPath) pair(n fhir.NodeID, t r4.TypeID) (out pair, why string) {
	v, twin := p.valueOf(n)
	if v != fhir.NoNode {
		if out.value, why = p.json(v); why != "" {
			return pair{}, why
		}
	}
	if twin != fhir.NoNode {
		if out.twin, why = p.json(twin); why != "" {
			return pair{}, why
		}
	}
	if out != (pair{}) {
		return out, ""
	}
	if r := p.tree.Child(n, elResource); r != fhir.NoNode {
		out.value, why = p.json(r)
		return out, why
	}
	parts := p.tree.Child(n, elPart)
	if parts == fhir.NoNode {
		return pair{}, "the operation has no value"
	}
	out.value, why = p.object(parts, t)
	return out, why
}

func (p *FHIRPath) json(n fhir.NodeID) (*value, string) {
	v, err := readValue(p.tree.JSON(n))
	if err != nil {
		return nil, err.Error()
	}
	return v, ""
}

// object makes an object of type t of parts, each the element that its name says.
func (p *FHIRPath) object(parts fhir.NodeID, t r4.TypeID) (object *value, why string) {
	var order []r4.ElementID
	elements := map[r4.ElementID][]pair{}
	for c := p.tree.FirstChild(parts); c != fhir.NoNode; c = p.tree.NextSibling(parts, c) {
		name := p.textOf(c, elName)
		e := p.element(t, name, c)
		if e == 0 {
			return nil, fmt.Sprintf("a %s has no element '%s'", t, clip(name))
		}
		before, twice := elements[e]
		switch {
		case !twice:
			order = append(order, e)
		case !r4.ElementAt(e).Repeats():
			return nil, fmt.Sprintf("element '%s' occurs twice, and there can be one only", r4.ElementAt(e).Name)
		}
		x, why := p.pair(c, r4.ElementAt(e).Type)
		if why != "" {
			return nil, why
		}
		elements[e] = append(before, x)
	}
	object = &value{kind: fhir.KindObject}
	for _, e := range order {
		save(object, r4.ElementAt(e).Name, elements[e], r4.ElementAt(e).Repeats())
	}
	return object, ""
}
