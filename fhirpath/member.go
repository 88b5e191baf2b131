package fhirpath

import (
	"unicode"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// compileMember compiles a name: a member of each item of its input, or at the
// start of a path the type of the focus or a member of it.
func (c *compiler) compileMember(e *expr) *plan {
	if e.Input == nil {
		if p := c.leadingType(e); p != nil {
			return p
		}
		return c.member(e, c.compileThis(e))
	}
	return c.member(e, c.compile(e.Input))
}

// leadingType compiles the `Patient` of Patient.name (N1, 3): the focus when it
// is of the type. It is nil for a name that is no type.
func (c *compiler) leadingType(e *expr) *plan {
	first, _ := utf8.DecodeRuneInString(e.Name)
	if !unicode.IsUpper(first) {
		return nil
	}
	id, ok := r4.TypeByName(e.Name)
	if !ok {
		return nil
	}
	if t := c.this.fhirType(); t != 0 {
		if derives(t, id) {
			return c.compileThis(e)
		}
		if c.Strict {
			c.refuse(e, "the focus is of type %s; expected a path from there, found '%s'", t, e.Name)
		}
		return nothing(e)
	}
	step := func(k cont) cont {
		return func(ev *Evaluator, v Value) bool {
			if v.kind == KindNode && derives(v.typ, id) {
				return k(ev, v)
			}
			return true
		}
	}
	s := static{types: []typeOf{{fhir: id}}}
	if abstractResource(id) {
		s.types = nil
	}
	return fromStep(e, s, c.compileThis(e), "type:"+e.Name, step)
}

// member compiles `input.name`.
func (c *compiler) member(e *expr, input *plan) *plan {
	if input.empty {
		return nothing(e)
	}
	s := static{many: input.many, unordered: input.unordered}
	if t := input.fhirType(); t != 0 && input.constant == nil {
		sp := spanOf(t, e.Name)
		if r4.TypeAt(t).Kind == r4.KindPrimitive {
			sp = spanOf(r4.TypeElement, e.Name)
		}
		if sp.count == 0 {
			c.unknownMember(e, t.String(), t)
			return nothing(e)
		}
		s.types = sp.typesOf()
		s.many = s.many || sp.max != 1
		if r4.TypeAt(t).Kind != r4.KindPrimitive {
			return c.memberOf(e, s, input, sp)
		}
		return c.memberOfAny(e, s, input)
	}
	if input.any() {
		s.many = true
		if spansOf(e.Name) == nil && !typeInfoMember(e.Name) {
			c.unknownMember(e, "any type", 0)
			return nothing(e)
		}
		return c.memberOfAny(e, s, input)
	}
	found, anything := false, false
	for _, t := range input.types {
		switch {
		case t.kind == KindTypeInfo && typeInfoMember(e.Name):
			found = true
			s.types = append(s.types, typeOf{kind: KindString})
		case t.kind == KindQuantity && quantityMember(e.Name) != nil:
			found = true
			s.types = append(s.types, quantityMember(e.Name)...)
		case t.fhir != 0:
			sp := spanOf(t.fhir, e.Name)
			if r4.TypeAt(t.fhir).Kind == r4.KindPrimitive {
				sp = spanOf(r4.TypeElement, e.Name)
			}
			if sp.count == 0 {
				continue
			}
			found = true
			s.many = s.many || sp.max != 1
			types := sp.typesOf()
			s.types, anything = unite(s.types, types), anything || types == nil
		}
	}
	if !found {
		var like r4.TypeID
		if len(input.types) == 1 {
			like = input.types[0].fhir
		}
		c.unknownMember(e, input.types[0].String(), like)
		return nothing(e)
	}
	if anything {
		s.types = nil
	}
	return c.memberOfAny(e, s, input)
}

// unknownMember refuses a name that type t does not have, in strict mode.
func (c *compiler) unknownMember(e *expr, of string, t r4.TypeID) {
	if !c.Strict {
		return
	}
	near := ""
	if t != 0 {
		near = nearMember(t, e.Name)
	}
	c.refuse(&expr{Pos: e.At, End: e.End}, "'%s' is no element of %s%s", e.Name, of, near)
}

// memberOf compiles a member of a type that is known.
func (c *compiler) memberOf(e *expr, s static, input *plan, sp span) *plan {
	p := fromStep(e, s, input, e.Name, func(k cont) cont { return stepSpan(sp, k) })
	p.span = sp
	if !s.many {
		p.single = func() getter {
			get := input.get()
			return func(ev *Evaluator) (Value, bool) {
				v, ok := get(ev)
				if !ok {
					return v, false
				}
				return only(v, sp)
			}
		}
	}
	return p
}

// memberOfAny compiles a member of what may be of several types.
func (c *compiler) memberOfAny(e *expr, s static, input *plan) *plan {
	spans := spansOf(e.Name)
	name := e.Name
	return fromStep(e, s, input, e.Name, func(k cont) cont {
		return func(ev *Evaluator, v Value) bool {
			if v.kind != KindNode {
				return systemMember(ev, v, name, k)
			}
			if spans == nil {
				return true
			}
			if r4.TypeAt(v.typ).Kind == r4.KindPrimitive {
				w, ok := v.twin()
				if !ok {
					return true
				}
				return children(ev, w, spans[r4.TypeElement], k)
			}
			return children(ev, v, spans[v.typ], k)
		}
	})
}

// stepSpan hands on the elements of a span of each object.
func stepSpan(sp span, k cont) cont {
	if sp.max == 1 {
		return func(ev *Evaluator, v Value) bool {
			if w, ok := only(v, sp); ok {
				return k(ev, w)
			}
			return true
		}
	}
	return func(ev *Evaluator, v Value) bool { return children(ev, v, sp, k) }
}

// only finds the element of a span that is there once at most.
func only(v Value, sp span) (Value, bool) {
	if v.kind != KindNode {
		return Value{}, false
	}
	nodes := v.tree.Nodes
	end := nodes[v.node].Next
	if nodes[v.node].Kind != fhir.KindObject {
		return Value{}, false
	}
	for c := uint32(v.node) + 1; c < end; {
		nd := &nodes[c]
		if uint16(nd.Element-sp.first) < sp.count {
			if nd.Flags&fhir.FlagTwin == 0 {
				if nd.Kind <= fhir.KindNull {
					return Value{}, false
				}
				return Value{kind: KindNode, typ: nd.Type, tree: v.tree, node: fhir.NodeID(c), parent: v.node}, true
			}
			if w, ok := v.lonelyTwin(fhir.NodeID(c)); ok {
				return w, true
			}
		}
		c = nd.Next
	}
	return Value{}, false
}

// lonelyTwin gives the primitive without value whose twin c is. It is false when
// the primitive has a value.
func (v Value) lonelyTwin(c fhir.NodeID) (Value, bool) {
	e := v.tree.Nodes[c].Element
	if v.tree.Child(v.node, e) != fhir.NoNode {
		return Value{}, false
	}
	return Value{kind: KindNode, typ: r4.ElementAt(e).Type, tree: v.tree, node: c, parent: v.node}, true
}

// children hands on the elements of a span of an object.
func children(ev *Evaluator, v Value, sp span, k cont) bool {
	nodes := v.tree.Nodes
	if nodes[v.node].Kind != fhir.KindObject {
		return true
	}
	end, visited := nodes[v.node].Next, 0
	for c := uint32(v.node) + 1; c < end; {
		nd := &nodes[c]
		next := nd.Next
		if uint16(nd.Element-sp.first) < sp.count && !child(ev, v, fhir.NodeID(c), k) {
			return false
		}
		c = next
		visited++
	}
	return ev.spend(visited)
}

// child hands on the items of member c of object v.
func child(ev *Evaluator, v Value, c fhir.NodeID, k cont) bool {
	nodes := v.tree.Nodes
	nd := &nodes[c]
	if nd.Flags&fhir.FlagTwin != 0 {
		return twinChild(ev, v, c, k)
	}
	switch nd.Kind {
	case fhir.KindArray:
		i := 0
		end := nd.Next
		for d := uint32(c) + 1; d < end; d = nodes[d].Next {
			item := &nodes[d]
			w := Value{kind: KindNode, typ: item.Type, tree: v.tree, node: fhir.NodeID(d), parent: v.node}
			if item.Kind == fhir.KindNull {
				if w.node = twinItem(v.tree, v.node, nd.Element, i); w.node == fhir.NoNode {
					i++
					continue
				}
				w.typ = r4.ElementAt(nd.Element).Type
			}
			if !k(ev, w) {
				return false
			}
			i++
		}
		return ev.spend(i)
	case fhir.KindNull:
		return true
	}
	return k(ev, Value{kind: KindNode, typ: nd.Type, tree: v.tree, node: c, parent: v.node})
}

// twinChild hands on the primitives without value that member c, a twin, is of;
// those with a value are handed on where the value stands.
func twinChild(ev *Evaluator, v Value, c fhir.NodeID, k cont) bool {
	w, ok := v.lonelyTwin(c)
	if !ok {
		return true
	}
	nodes := v.tree.Nodes
	if nodes[c].Kind != fhir.KindArray {
		return k(ev, w)
	}
	end := nodes[c].Next
	for d := uint32(c) + 1; d < end; d = nodes[d].Next {
		if w.node = fhir.NodeID(d); nodes[d].Kind == fhir.KindObject && !k(ev, w) {
			return false
		}
	}
	return true
}

// twin gives the object with the id and the extensions of a primitive.
func (v Value) twin() (Value, bool) {
	nodes := v.tree.Nodes
	w := v
	w.typ = r4.TypeElement
	if nodes[v.node].Kind == fhir.KindObject {
		return w, true // it has no value, so it is its twin
	}
	if v.parent == fhir.NoNode {
		return w, false
	}
	e := nodes[v.node].Element
	end := nodes[v.parent].Next
	for c := uint32(v.parent) + 1; c < end; c = nodes[c].Next {
		if nodes[c].Element != e || nodes[c].Flags&fhir.FlagTwin == 0 {
			continue
		}
		if w.node = fhir.NodeID(c); nodes[c].Kind == fhir.KindArray {
			w.node = item(nodes, w.node, v.position())
		}
		return w, w.node != fhir.NoNode && nodes[w.node].Kind == fhir.KindObject
	}
	return w, false
}

// position gives the index of v in the array that holds it.
func (v Value) position() int {
	nodes := v.tree.Nodes
	a := v.tree.Child(v.parent, nodes[v.node].Element)
	i := 0
	for d := uint32(a) + 1; fhir.NodeID(d) < v.node; d = nodes[d].Next {
		i++
	}
	return i
}

// twinItem gives the object at index i of the twin of array e, or NoNode.
func twinItem(t *fhir.Tree, object fhir.NodeID, e r4.ElementID, i int) fhir.NodeID {
	nodes := t.Nodes
	end := nodes[object].Next
	for c := uint32(object) + 1; c < end; c = nodes[c].Next {
		if nodes[c].Element == e && nodes[c].Flags&fhir.FlagTwin != 0 && nodes[c].Kind == fhir.KindArray {
			if d := item(nodes, fhir.NodeID(c), i); d != fhir.NoNode && nodes[d].Kind == fhir.KindObject {
				return d
			}
		}
	}
	return fhir.NoNode
}

// item gives item i of array a, or NoNode.
func item(nodes []fhir.Node, a fhir.NodeID, i int) fhir.NodeID {
	end := nodes[a].Next
	for d := uint32(a) + 1; d < end; d = nodes[d].Next {
		if i == 0 {
			return fhir.NodeID(d)
		}
		i--
	}
	return fhir.NoNode
}
