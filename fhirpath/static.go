package fhirpath

import (
	"slices"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// typeOf is one type: of the namespace System (kind) or FHIR (fhir). The name
// Quantity without namespace means both.
type typeOf struct {
	kind Kind
	fhir r4.TypeID
}

func (t typeOf) String() string {
	if t.fhir != 0 {
		return t.fhir.String()
	}
	return kindNames[t.kind]
}

// static is what is known of an expression's result before it runs.
type static struct {
	types     []typeOf // what its items may be; nil when it may be anything
	many      bool     // it may have more than one item
	unordered bool     // the order of its items has no meaning
	empty     bool     // it has never an item
}

func system(k Kind) static { return static{types: []typeOf{{kind: k}}} }

// any tells that nothing is known of the types.
func (s *static) any() bool { return s.types == nil }

// only tells whether all items are of kind k.
func (s *static) only(k Kind) bool {
	return len(s.types) == 1 && s.types[0].kind == k
}

// fhirType gives the only FHIR type that items may have, or 0.
func (s *static) fhirType() r4.TypeID {
	if len(s.types) == 1 {
		return s.types[0].fhir
	}
	return 0
}

// resolveType finds the type that a specifier names. The unqualified name of a
// FHIR type goes before one of System, as FHIR R4 has it (FHIRPath: types).
func resolveType(name string) (spec typeOf, ok bool) {
	ns, base, qualified := strings.Cut(name, ".")
	if !qualified {
		ns, base = "", name
	}
	if ns == "" || ns == "FHIR" {
		if id, found := r4.TypeByName(base); found && r4.TypeAt(id).Kind != r4.KindBackbone {
			spec.fhir = id
			ok = true
		}
	}
	if ns == "System" || ns == "" && (!ok || base == "Quantity") {
		for k := KindBoolean; k <= KindQuantity; k++ {
			if kindNames[k] == base {
				spec.kind = k
				return spec, true
			}
		}
		if ns == "System" {
			return typeOf{kind: KindNone}, true // no item has such a type
		}
	}
	return spec, ok
}

// derives tells whether FHIR type t is base or specialises it.
func derives(t, base r4.TypeID) bool {
	for ; t != 0; t = r4.TypeAt(t).Base {
		if t == base {
			return true
		}
	}
	return false
}

// isType tells whether v is of the type, specialisations included.
func (v Value) isType(spec typeOf) bool {
	if v.kind != KindNode {
		return spec.kind != KindNone && v.kind == spec.kind
	}
	return spec.fhir != 0 && derives(v.typ, spec.fhir)
}

// asType is isType for as and ofType, where a primitive has to be of the very
// type: a code is no string there.
func (v Value) asType(spec typeOf) bool {
	if v.kind == KindNode && v.typ != spec.fhir && r4.TypeAt(v.typ).Kind == r4.KindPrimitive {
		return false
	}
	return v.isType(spec)
}

// span is a run of elements of one type: a single element, or all variants of a
// choice, which are consecutive. The zero span has none.
type span struct {
	first r4.ElementID
	count uint16
	max   uint16
}

// spanOf finds the elements that name gives in type t: `value` all variants of
// value[x]. The names of variants are no names of FHIRPath.
func spanOf(t r4.TypeID, name string) span {
	elements := r4.Elements(t)
	first := r4.TypeAt(t).FirstElement
	for i := range elements {
		el := &elements[i]
		if el.Choice != "" {
			if el.Choice != name {
				continue
			}
			n := 1
			for i+n < len(elements) && elements[i+n].Choice == name {
				n++
			}
			return span{first + r4.ElementID(i), uint16(n), el.Max}
		}
		if el.Name == name {
			return span{first + r4.ElementID(i), 1, el.Max}
		}
	}
	return span{}
}

// spansOf gives, by type, the elements that a name has anywhere.
func spansOf(name string) []span {
	if s, ok := spanCache.Load(name); ok {
		return s.([]span)
	}
	spans := make([]span, r4.NumTypes())
	found := false
	for t := 1; t < len(spans); t++ {
		spans[t] = spanOf(r4.TypeID(t), name)
		found = found || spans[t].count != 0
	}
	if !found {
		return nil // a name of the user's is not worth keeping
	}
	spanCache.Store(name, spans)
	return spans
}

var spanCache sync.Map // string -> []span; as many entries as R4 has element names

// typesOf gives the types of the elements of a span.
func (s span) typesOf() []typeOf {
	var types []typeOf
	for i := range s.count {
		t := typeOf{fhir: r4.ElementAt(s.first + r4.ElementID(i)).Type}
		if abstractResource(t.fhir) {
			return nil
		}
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// abstractResource tells that an element of this type holds any resource.
func abstractResource(t r4.TypeID) bool {
	return t == r4.TypeResource || t == r4.TypeDomainResource
}
