package fhirpath

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

func (c *compiler) compileBinary(e *expr) *plan {
	switch e.Op {
	case opAnd, opOr, opXor, opImplies:
		return c.compileLogic(e)
	case opUnion:
		return c.union(e, c.scoped(e.Args[0]), c.scoped(e.Args[1]))
	case opEqual, opNotEqual, opEquivalent, opNotEquiv:
		return c.compileEquality(e)
	case opLess, opLessEq, opGreater, opGreaterEq:
		return c.compileOrder(e)
	case opIn:
		return c.membership(e, c.scoped(e.Args[0]), c.scoped(e.Args[1]))
	case opContains:
		return c.membership(e, c.scoped(e.Args[1]), c.scoped(e.Args[0]))
	}
	return c.compileArithmetic(e)
}

// compileLogic compiles and, or, xor, implies (N1, 6.5).
func (c *compiler) compileLogic(e *expr) *plan {
	a, b := c.scoped(e.Args[0]), c.scoped(e.Args[1])
	return fromCond(e, func() cond {
		x, y := a.test(), b.test()
		switch e.Op {
		case opAnd:
			return func(ev *Evaluator) ternary { return and(ev, x, y) }
		case opOr:
			return func(ev *Evaluator) ternary { return or(ev, x, y) }
		case opXor:
			return func(ev *Evaluator) ternary {
				l := x(ev)
				if l == isEmpty || ev.err != nil {
					return isEmpty
				}
				r := y(ev)
				if r == isEmpty {
					return isEmpty
				}
				return ternaryOf(l != r)
			}
		}
		return func(ev *Evaluator) ternary {
			l := x(ev)
			if l == isFalse || ev.err != nil {
				return isTrue
			}
			r := y(ev)
			if l == isEmpty && r == isFalse {
				return isEmpty
			}
			if l == isEmpty && r == isEmpty {
				return isEmpty
			}
			return r
		}
	})
}

func and(ev *Evaluator, x, y cond) ternary {
	l := x(ev)
	if l == isFalse || ev.err != nil {
		return isFalse
	}
	r := y(ev)
	if r == isFalse || l == isTrue {
		return r
	}
	return isEmpty
}

func or(ev *Evaluator, x, y cond) ternary {
	l := x(ev)
	if l == isTrue || ev.err != nil {
		return isTrue
	}
	r := y(ev)
	if r == isTrue || l == isFalse {
		return r
	}
	return isEmpty
}

// compileEquality compiles = != ~ !~ (N1, 6.1).
func (c *compiler) compileEquality(e *expr) *plan {
	a, b := c.scoped(e.Args[0]), c.scoped(e.Args[1])
	equivalent := e.Op == opEquivalent || e.Op == opNotEquiv
	negate := e.Op == opNotEqual || e.Op == opNotEquiv
	var holds func() cond
	switch {
	case !equivalent && b.constant != nil && b.constant.kind == KindString && !a.many && !a.empty:
		holds = func() cond { return equalsText(a, b.constant.data.text) }
	case a.many || b.many:
		holds = func() cond { return equalCollections(a, b, equivalent) }
	default:
		holds = func() cond { return equalSingles(a, b, equivalent) }
	}
	if !negate {
		return fromCond(e, holds)
	}
	return fromCond(e, func() cond {
		h := holds()
		return func(ev *Evaluator) ternary { return h(ev).not() }
	})
}

// equalsText is `path = 'text'`, the commonest comparison of all.
func equalsText(a *plan, text []byte) cond {
	get := a.get()
	return func(ev *Evaluator) ternary {
		v, ok := get(ev)
		if !ok {
			return isEmpty
		}
		if v.systemKind() != KindString {
			return isFalse
		}
		s, ok := ev.stringOf(v)
		if !ok {
			return isEmpty // extensions only
		}
		return ternaryOf(ev.sameText(s, text))
	}
}

func equalSingles(a, b *plan, equivalent bool) cond {
	x, y := a.get(), b.get()
	return func(ev *Evaluator) ternary {
		v, ok := x(ev)
		if ev.err != nil {
			return isEmpty
		}
		w, ok2 := y(ev)
		switch {
		case ev.err != nil:
			return isEmpty
		case equivalent && !ok && !ok2:
			return isTrue
		case equivalent && ok != ok2:
			return isFalse
		case !ok || !ok2:
			return isEmpty
		case equivalent:
			return ternaryOf(ev.equivalent(v, w))
		}
		return ev.equal(v, w)
	}
}

func equalCollections(a, b *plan, equivalent bool) cond {
	x, y := a.gather(), b.gather()
	return func(ev *Evaluator) ternary {
		from := x(ev)
		if ev.err != nil {
			return isEmpty
		}
		mid := y(ev)
		left, right := ev.items[from:mid], ev.items[mid:]
		r := isEmpty
		switch {
		case ev.err != nil:
		case equivalent:
			r = ternaryOf(ev.equivalentItems(left, right))
		case len(left) == 0 || len(right) == 0:
		default:
			r = ev.equalItems(left, right)
		}
		ev.items = ev.items[:from]
		return r
	}
}

// equalItems: the same items in the same order (N1, 6.1.1).
func (ev *Evaluator) equalItems(a, b []Value) ternary {
	if len(a) != len(b) {
		return isFalse
	}
	r := isTrue
	for i := range a {
		switch ev.equal(a[i], b[i]) {
		case isFalse:
			return isFalse
		case isEmpty:
			r = isEmpty
		}
	}
	return r
}

// equivalentItems: the same items in any order (N1, 6.1.2).
func (ev *Evaluator) equivalentItems(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	used := make([]bool, len(b))
	for _, v := range a {
		found := false
		for j, w := range b {
			if !ev.spend(1) {
				return false
			}
			if !used[j] && ev.equivalent(v, w) {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// membership compiles `a in b` (N1, 6.4.2 and 6.4.3).
func (c *compiler) membership(e *expr, a, b *plan) *plan {
	return fromCond(e, func() cond {
		get := a.get()
		r := b.each(func(ev *Evaluator, v Value) bool {
			return ev.equal(ev.slot.v, v) != isTrue
		})
		return func(ev *Evaluator) ternary {
			wanted, ok := get(ev)
			if !ok {
				return isEmpty
			}
			saved := ev.slot
			ev.slot = slot{v: wanted}
			found := !r(ev)
			ev.slot = saved
			return ternaryOf(found)
		}
	})
}

// union compiles `a | b`: both without repetitions (N1, 6.4.1).
func (c *compiler) union(e *expr, a, b *plan) *plan {
	s := static{many: true, unordered: a.unordered || b.unordered, types: a.types}
	switch {
	case a.empty:
		s.types = b.types
	case b.empty:
	case a.any() || b.any():
		s.types = nil
	default:
		s.types = unite(a.types, b.types)
	}
	s.empty = a.empty && b.empty
	if (a.empty || b.empty) && !(a.many || b.many) {
		s.many = false
	}
	parts := slices.Concat(a.operands(), b.operands())
	if values, ok := knownUnion(parts); ok {
		return fixedList(e, s, values)
	}
	p := fromItems(e, s, func() func(ev *Evaluator) {
		gathers := make([]func(*Evaluator) int, len(parts))
		for i, q := range parts {
			gathers[i] = q.gather()
		}
		return func(ev *Evaluator) {
			from := len(ev.items)
			for _, g := range gathers {
				if g(ev); ev.err != nil {
					return
				}
			}
			ev.distinct(from)
		}
	})
	p.parts = parts
	return p
}

// operands gives the parts of a union, and of anything else itself.
func (p *plan) operands() []*plan {
	if p.parts != nil {
		return p.parts
	}
	return []*plan{p}
}

// knownUnion gives the distinct values of plans that are all constant.
func knownUnion(parts []*plan) ([]Value, bool) {
	ev := NewEvaluator(Environment{})
	ev.begin(Focus{Node: fhir.NoNode})
	for _, p := range parts {
		switch {
		case p.constant != nil:
			ev.items = append(ev.items, *p.constant)
		case p.list != nil:
			ev.items = append(ev.items, p.list...)
		default:
			return nil, false
		}
	}
	ev.distinct(0)
	return ev.items, true
}

// fixedList makes the plan of several values that are known.
func fixedList(e *expr, s static, values []Value) *plan {
	return &plan{
		static: s, at: e, list: values,
		each: func(k cont) run {
			return func(ev *Evaluator) bool {
				for _, v := range values {
					if !k(ev, v) {
						return false
					}
				}
				return true
			}
		},
	}
}

// fromItems makes the plan of what gathers its whole result: fill appends it to
// ev.items.
func fromItems(e *expr, s static, fill func() func(ev *Evaluator)) *plan {
	return &plan{
		static: s, at: e,
		each: func(k cont) run {
			f := fill()
			return func(ev *Evaluator) bool {
				from := len(ev.items)
				f(ev)
				ok, to := ev.err == nil, len(ev.items)
				for i := from; ok && i < to; i++ {
					ok = k(ev, ev.items[i])
				}
				ev.drop(from, to)
				return ok
			}
		},
	}
}

// drop takes the items of a collection off the stack. What lies above them was
// pushed by whoever took them, for a collection further down, and stays.
func (ev *Evaluator) drop(from, to int) {
	ev.items = ev.items[:from+copy(ev.items[from:], ev.items[to:])]
}

// compileIndexer compiles `input[i]` (N1, 5.3.1).
func (c *compiler) compileIndexer(e *expr) *plan {
	input, index := c.compile(e.Input), c.scoped(e.Args[0])
	if c.Strict && input.unordered {
		c.refuse(e, "an index needs items in an order, which children() and descendants() do not have")
	}
	s := input.static
	s.many = false
	return fromGetter(e, s, func() getter {
		get := index.get()
		r := input.each(func(ev *Evaluator, v Value) bool {
			if ev.pick > 0 {
				ev.pick--
				return true
			}
			ev.slot = slot{v, 1}
			return false
		})
		return func(ev *Evaluator) (Value, bool) {
			i, ok := get(ev)
			if !ok {
				return Value{}, false
			}
			n, ok := ev.integer(i)
			if !ok {
				ev.fail(e.Args[0], "the index is %s; expected an Integer", i.TypeName())
				return Value{}, false
			}
			if n < 0 {
				return Value{}, false
			}
			return ev.pickFrom(r, n)
		}
	})
}

// pickFrom gives item n of what r hands to the continuation of an indexer.
func (ev *Evaluator) pickFrom(r run, n int64) (Value, bool) {
	saved, pick := ev.slot, ev.pick
	ev.slot, ev.pick = slot{}, n
	r(ev)
	got := ev.slot
	ev.slot, ev.pick = saved, pick
	return got.v, got.n == 1 && ev.err == nil
}

// compileTypeTest compiles `input is T` and `input as T`, as operators and as
// functions (N1, 6.3).
func (c *compiler) compileTypeTest(e *expr, input *plan, spec typeOf, is bool) *plan {
	if is && input.key == resolveKey && spec.fhir != 0 {
		return resolvesTo(e, input.input, spec)
	}
	if is {
		return fromGetter(e, system(KindBoolean), func() getter {
			get := input.get()
			return func(ev *Evaluator) (Value, bool) {
				v, ok := get(ev)
				return Boolean(v.isType(spec)), ok
			}
		})
	}
	if c.LenientAs {
		return c.ofType(e, input, spec)
	}
	return fromGetter(e, static{types: c.narrowed(e, input, spec)}, func() getter {
		get := input.get()
		return func(ev *Evaluator) (Value, bool) {
			v, ok := get(ev)
			return v, ok && v.asType(spec)
		}
	})
}

// ofType keeps the items of a type (N1, 5.2.4).
func (c *compiler) ofType(e *expr, input *plan, spec typeOf) *plan {
	if input.empty {
		return nothing(e)
	}
	s := static{types: c.narrowed(e, input, spec), many: input.many, unordered: input.unordered}
	p := fromStep(e, s, input, "ofType:"+spec.String(), func(k cont) cont {
		return func(ev *Evaluator, v Value) bool {
			if v.asType(spec) {
				return k(ev, v)
			}
			return true
		}
	})
	if !input.many {
		p.single = func() getter {
			get := input.get()
			return func(ev *Evaluator) (Value, bool) {
				v, ok := get(ev)
				return v, ok && v.asType(spec)
			}
		}
	}
	return narrowChoice(p, input, spec)
}

// narrowChoice turns value.ofType(Quantity) into the member valueQuantity.
func narrowChoice(p, input *plan, spec typeOf) *plan {
	if input.span.count < 2 || input.input == nil || spec.fhir == 0 {
		return p
	}
	narrow := span{max: input.span.max}
	for i := range input.span.count {
		e := input.span.first + r4.ElementID(i)
		t := r4.ElementAt(e).Type
		if t == spec.fhir {
			narrow.first, narrow.count = e, 1
		} else if derives(t, spec.fhir) && r4.TypeAt(t).Kind != r4.KindPrimitive {
			return p // several variants qualify
		}
	}
	if narrow.count == 0 {
		return p
	}
	q := fromStep(p.at, p.static, input.input, "variant:"+r4.ElementAt(narrow.first).Name, func(k cont) cont { return stepSpan(narrow, k) })
	q.span = narrow
	if !p.many {
		q.single = func() getter {
			get := input.input.get()
			return func(ev *Evaluator) (Value, bool) {
				v, ok := get(ev)
				if !ok {
					return v, false
				}
				return only(v, narrow)
			}
		}
	}
	return q
}

// narrowed gives what is known of the types of items of input that are of spec.
func (c *compiler) narrowed(e *expr, input *plan, spec typeOf) []typeOf {
	if abstractResource(spec.fhir) {
		return nil
	}
	if spec.kind == KindNone && spec.fhir == 0 {
		return []typeOf{spec}
	}
	if spec.kind != KindNone && spec.fhir != 0 {
		return []typeOf{{fhir: spec.fhir}, {kind: spec.kind}}
	}
	return []typeOf{spec}
}
