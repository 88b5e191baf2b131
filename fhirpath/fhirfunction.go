package fhirpath

import (
	"bytes"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// fhirFunctions are those that FHIR adds (R4, FHIRPath: additional functions), and those that know the
// model: type, children, descendants.
var fhirFunctions = map[string]function{
	"hasValue": {0, 0, func(_ *compiler, e *expr, input *plan) *plan {
		return fromCond(e, func() cond {
			get := firstOfTwo(input)
			return func(ev *Evaluator) ternary {
				v, n := get(ev)
				return ternaryOf(n == 1 && v.HasValue())
			}
		})
	}},
	"getValue": {0, 0, func(_ *compiler, e *expr, input *plan) *plan {
		return fromGetter(e, static{}, func() getter {
			get := firstOfTwo(input)
			return func(ev *Evaluator) (Value, bool) {
				v, n := get(ev)
				if n != 1 {
					return Value{}, false
				}
				return ev.systemValue(v)
			}
		})
	}},
	"extension":   {1, 1, buildExtension},
	"resolve":     {0, 0, buildResolve},
	"children":    {0, 0, buildChildren},
	"descendants": {0, 0, buildDescendants},
	"type":        {0, 0, buildType},
	"conformsTo":  scalar(1, 1, booleanResult, conformsTo),
	"memberOf":    scalar(1, 1, booleanResult, memberOf),
	"htmlChecks":  scalar(0, 0, booleanResult, htmlChecks),
	"htmlChecks2": scalar(0, 0, booleanResult, htmlChecks),
	"subsumes":    scalar(1, 1, booleanResult, subsumption),
	"subsumedBy":  scalar(1, 1, booleanResult, subsumption),
	"comparable": scalar(1, 1, booleanResult, func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		x, ok := ev.quantityOf(v)
		y, ok2 := ev.quantityOf(args[0])
		if !ok || !ok2 {
			ev.fail(e, "function comparable cannot take %s and %s; expected Quantities", v.TypeName(), args[0].TypeName())
			return Value{}, false
		}
		_, known := compareQuantities(x, y, false)
		return Boolean(known), true
	}),
}

// firstOfTwo gives the only item of a plan and how many there are, two for more.
func firstOfTwo(p *plan) func(ev *Evaluator) (Value, int) {
	r := p.each(func(ev *Evaluator, v Value) bool {
		ev.slot.n++
		ev.slot.v = v
		return ev.slot.n < 2
	})
	return func(ev *Evaluator) (Value, int) {
		saved := ev.slot
		ev.slot = slot{}
		r(ev)
		got := ev.slot
		ev.slot = saved
		return got.v, got.n
	}
}

// systemValue gives the System value that a primitive has.
func (ev *Evaluator) systemValue(v Value) (Value, bool) {
	if v.kind != KindNode {
		return v, true
	}
	switch kind := v.systemKind(); kind {
	case KindBoolean:
		b, ok := v.Boolean()
		return Boolean(b), ok
	case KindInteger:
		n, ok := ev.integer(v)
		return Integer(n), ok
	case KindDecimal:
		d, ok := ev.number(v)
		return ev.newDecimal(d), ok
	case KindDate, KindDateTime, KindTime:
		t, ok := ev.temporalOf(v)
		return ev.newTemporal(t), ok
	case KindString:
		s, ok := ev.stringOf(v)
		return ev.newString(s), ok
	}
	return Value{}, false
}

var (
	extensionSpans = sync.OnceValue(func() []span { return spansOf("extension") })
	extensionURL   = sync.OnceValue(func() r4.ElementID { return r4.TypeExtension.ElementByName("url") })
)

// buildExtension: extension.where(url = argument).
func buildExtension(c *compiler, e *expr, input *plan) *plan {
	if input.empty {
		return nothing(e)
	}
	url := c.scoped(e.Args[0])
	s := static{types: []typeOf{{fhir: r4.TypeExtension}}, many: true}
	spans := extensionSpans()
	return fromStep(e, s, input, c.text(e, "extension"), func(k cont) cont {
		get := url.get()
		member := extensionURL()
		pick := func(ev *Evaluator, x Value) bool {
			u := x.tree.Child(x.node, member)
			if u == fhir.NoNode {
				return true
			}
			text, ok := ev.stringOf(Value{kind: KindNode, tree: x.tree, node: u, typ: x.tree.Nodes[u].Type})
			wanted, have := get(ev)
			if ev.err != nil {
				return false
			}
			w, isText := ev.stringOf(wanted)
			if !ok || !have || !isText || !bytes.Equal(text, w) {
				return true
			}
			return k(ev, x)
		}
		return func(ev *Evaluator, v Value) bool {
			if v.kind != KindNode {
				return true
			}
			sp := spans[v.typ]
			if r4.TypeAt(v.typ).Kind == r4.KindPrimitive {
				var ok bool
				if v, ok = v.twin(); !ok {
					return true
				}
				sp = spans[r4.TypeElement]
			}
			return sp.count == 0 || children(ev, v, sp, pick)
		}
	})
}

// buildType: the type of each item (N1, 10.1).
func buildType(_ *compiler, e *expr, input *plan) *plan {
	s := system(KindTypeInfo)
	s.many, s.unordered = input.many, input.unordered
	return fromStep(e, s, input, "type()", func(k cont) cont {
		return func(ev *Evaluator, v Value) bool {
			ns, name, _ := strings.Cut(v.TypeName(), ".")
			d := ev.newDatum()
			d.text, d.name = []byte(ns), name
			return k(ev, Value{kind: KindTypeInfo, data: d})
		}
	})
}

// buildChildren: all members of each item (N1, 5.8.1).
func buildChildren(_ *compiler, e *expr, input *plan) *plan {
	return fromStep(e, static{many: true, unordered: true}, input, "children()", func(k cont) cont {
		return func(ev *Evaluator, v Value) bool { return eachChild(ev, v, k) }
	})
}

func eachChild(ev *Evaluator, v Value, k cont) bool {
	if v.kind != KindNode {
		return true
	}
	if r4.TypeAt(v.typ).Kind == r4.KindPrimitive {
		var ok bool
		if v, ok = v.twin(); !ok {
			return true
		}
	}
	nodes := v.tree.Nodes
	if nodes[v.node].Kind != fhir.KindObject {
		return true
	}
	end := nodes[v.node].Next
	for c := uint32(v.node) + 1; c < end; {
		nd := &nodes[c]
		next := nd.Next
		if nd.Element > r4.ElementResourceType && !child(ev, v, fhir.NodeID(c), k) {
			return false
		}
		c = next
	}
	return true
}

// buildDescendants: the children, theirs, and so on (N1, 5.8.2), each before its own.
func buildDescendants(_ *compiler, e *expr, input *plan) *plan {
	return fromStep(e, static{many: true, unordered: true}, input, "descendants()", func(k cont) cont {
		var each cont
		each = func(ev *Evaluator, v Value) bool {
			return ev.spend(1) && k(ev, v) && eachChild(ev, v, each)
		}
		return func(ev *Evaluator, v Value) bool { return eachChild(ev, v, each) }
	})
}

// conformsTo knows the base definitions, the hook the rest.
func conformsTo(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
	url, ok := ev.needText(e, args[0])
	if !ok || v.kind != KindNode {
		return Value{}, false
	}
	if name, base := strings.CutPrefix(string(url), "http://hl7.org/fhir/StructureDefinition/"); base {
		if t, found := r4.TypeByName(name); found {
			return Boolean(derives(v.typ, t)), true
		}
	}
	if ev.env.ConformsTo != nil {
		if conforms, known := ev.env.ConformsTo(v, string(url)); known {
			return Boolean(conforms), true
		}
	}
	ev.fail(e, "profile '%.80s' is not known", url)
	return Value{}, false
}

var codeSetsByURL = sync.OnceValue(func() map[string]*r4.CodeSet {
	m := map[string]*r4.CodeSet{}
	for i := 1; i < r4.NumCodeSets(); i++ {
		s := r4.CodeSetAt(uint16(i))
		m[s.URL] = s
	}
	return m
})

// memberOf asks the hook, and knows the value sets of R4 that can be expanded.
func memberOf(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
	url, ok := ev.needText(e, args[0])
	if !ok {
		return Value{}, false
	}
	if ev.env.MemberOf != nil {
		if in, known := ev.env.MemberOf(v, string(url)); known {
			return Boolean(in), true
		}
	}
	name, _, _ := strings.Cut(string(url), "|")
	set := codeSetsByURL()[name]
	if set == nil {
		return Value{}, false
	}
	if code, isText := ev.stringOf(v); isText {
		return Boolean(set.Contains(code)), true
	}
	if v.kind != KindNode {
		return Value{}, false
	}
	return Boolean(hasCoding(ev, v, set)), true
}

// hasCoding tells whether a Coding, or one of a CodeableConcept, is in the set.
func hasCoding(ev *Evaluator, v Value, set *r4.CodeSet) bool {
	if v.typ == r4.TypeCodeableConcept {
		sp := spanOf(v.typ, "coding")
		return !children(ev, v, sp, func(ev *Evaluator, c Value) bool { return !hasCoding(ev, c, set) })
	}
	code := v.tree.Child(v.node, v.typ.ElementByName("code"))
	sys := v.tree.Child(v.node, v.typ.ElementByName("system"))
	if code == fhir.NoNode {
		return false
	}
	if sys == fhir.NoNode {
		return set.Contains(v.tree.Raw(code))
	}
	return set.ContainsCoding(v.tree.Raw(sys), v.tree.Raw(code))
}

// htmlChecks tells whether the div of a narrative keeps to txt-1 and txt-2.
func htmlChecks(ev *Evaluator, _ *expr, v Value, _ [3]Value) (Value, bool) {
	text, ok := ev.stringOf(v)
	return Boolean(ok && ev.xhtml.Holds(text)), ok
}

// subsumption is of codes of the same system only, where it is equality: no
// hierarchy is known here.
func subsumption(ev *Evaluator, _ *expr, v Value, args [3]Value) (Value, bool) {
	r := ev.equal(v, args[0])
	return Boolean(true), r == isTrue
}
