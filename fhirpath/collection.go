package fhirpath

import (
	"hash/maphash"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
)

// collectionFunctions work on their input as a whole (N1, 5.1, 5.3 and 5.4).
var collectionFunctions = map[string]function{
	"empty": {0, 0, func(_ *compiler, e *expr, input *plan) *plan {
		return fromCond(e, func() cond { return existence(input, isFalse, isTrue) })
	}},
	"not": {0, 0, func(_ *compiler, e *expr, input *plan) *plan {
		return fromCond(e, func() cond {
			h := input.test()
			return func(ev *Evaluator) ternary { return h(ev).not() }
		})
	}},
	"count":      {0, 0, buildCount},
	"first":      {0, 0, buildFirst},
	"single":     {0, 0, buildSingle},
	"last":       {0, 0, slicing(func(items []Value, _ int64) []Value { return items[max(0, len(items)-1):] })},
	"tail":       {0, 0, slicing(func(items []Value, _ int64) []Value { return items[min(1, len(items)):] })},
	"skip":       {1, 1, slicing(func(items []Value, n int64) []Value { return items[min(max(n, 0), int64(len(items))):] })},
	"take":       {1, 1, slicing(func(items []Value, n int64) []Value { return items[:min(max(n, 0), int64(len(items)))] })},
	"distinct":   {0, 0, buildDistinct},
	"isDistinct": {0, 0, buildIsDistinct},
	"allTrue":    {0, 0, quantifier(true, true)},
	"allFalse":   {0, 0, quantifier(true, false)},
	"anyTrue":    {0, 0, quantifier(false, true)},
	"anyFalse":   {0, 0, quantifier(false, false)},
	"subsetOf": {1, 1, func(c *compiler, e *expr, input *plan) *plan {
		return buildSubset(e, input, c.scoped(e.Args[0]))
	}},
	"supersetOf": {1, 1, func(c *compiler, e *expr, input *plan) *plan {
		return buildSubset(e, c.scoped(e.Args[0]), input)
	}},
	"union": {1, 1, func(c *compiler, e *expr, input *plan) *plan {
		return c.union(e, input, c.scoped(e.Args[0]))
	}},
	"combine":   {1, 2, buildCombine},
	"intersect": {1, 1, filterBy(true)},
	"exclude":   {1, 1, filterBy(false)},
	"coalesce":  {1, 100, buildCoalesce},
	"ofType": {1, 1, func(c *compiler, e *expr, input *plan) *plan {
		return c.ofType(e, input, c.typeArgument(e, 0))
	}},
	"is": {1, 1, func(c *compiler, e *expr, input *plan) *plan {
		return c.compileTypeTest(e, input, c.typeArgument(e, 0), true)
	}},
	"as": {1, 1, func(c *compiler, e *expr, input *plan) *plan {
		return c.compileTypeTest(e, input, c.typeArgument(e, 0), false)
	}},
}

// typeArgument reads argument i of a call, which is the name of a type.
func (c *compiler) typeArgument(e *expr, i int) typeOf {
	name := typeSpecifier(e.Args[i])
	if name == "" {
		c.refuse(e.Args[i], "expected the name of a type")
	}
	return c.typeNamed(e.Args[i], name)
}

// typeNamed gives the type of a name that stands at e.
func (c *compiler) typeNamed(e *expr, name string) typeOf {
	spec, ok := resolveType(name)
	if !ok {
		c.refuse(e, "'%s' is no type of FHIR R4 or System", name)
	}
	return spec
}

// typeSpecifier gives the qualified name that a path of one or two names spells.
func typeSpecifier(a *expr) string {
	switch {
	case a.Kind == exprMember && a.Input == nil:
		return a.Name
	case a.Kind == exprMember && a.Input.Kind == exprMember && a.Input.Input == nil:
		return a.Input.Name + "." + a.Name
	}
	return ""
}

func buildCount(_ *compiler, e *expr, input *plan) *plan {
	return fromGetter(e, system(KindInteger), func() getter {
		r := input.each(func(ev *Evaluator, _ Value) bool {
			ev.count++
			return true
		})
		return func(ev *Evaluator) (Value, bool) {
			saved := ev.count
			ev.count = 0
			r(ev)
			n := ev.count
			ev.count = saved
			return Integer(n), ev.err == nil
		}
	})
}

// buildFirst hands on the first item and stops its input there.
func buildFirst(c *compiler, e *expr, input *plan) *plan {
	if c.Strict && input.unordered {
		c.refuse(e, "first() needs items in an order, which children() and descendants() do not have")
	}
	s := input.static
	return fromGetter(e, s, func() getter {
		if input.single != nil {
			return input.single()
		}
		r := input.each(func(ev *Evaluator, v Value) bool {
			ev.slot = slot{v, 1}
			return false
		})
		return func(ev *Evaluator) (Value, bool) { return ev.pickFrom(r, 0) }
	})
}

// buildSingle: the only item; several are an error (N1, 5.3.2).
func buildSingle(_ *compiler, e *expr, input *plan) *plan {
	return fromGetter(e, input.static, func() getter { return input.get() })
}

// slicing makes the functions that keep a part of their input (N1, 5.3). The
// argument, if there is one, is an integer.
func slicing(part func(items []Value, n int64) []Value) func(c *compiler, e *expr, input *plan) *plan {
	return func(c *compiler, e *expr, input *plan) *plan {
		if c.Strict && input.unordered {
			c.refuse(e, "%s() needs items in an order, which children() and descendants() do not have", e.Name)
		}
		var arg *plan
		if len(e.Args) == 1 {
			arg = c.scoped(e.Args[0])
		}
		return fromItems(e, input.static, func() func(ev *Evaluator) {
			gather := input.gather()
			number := func(*Evaluator) (Value, bool) { return Integer(0), true }
			if arg != nil {
				number = arg.get()
			}
			return func(ev *Evaluator) {
				from := gather(ev)
				v, ok := number(ev)
				if !ok || ev.err != nil {
					ev.items = ev.items[:from]
					return
				}
				n, ok := ev.needInteger(e, v)
				if !ok {
					return
				}
				kept := part(ev.items[from:], n)
				ev.items = ev.items[:from+copy(ev.items[from:], kept)]
			}
		})
	}
}

func buildDistinct(_ *compiler, e *expr, input *plan) *plan {
	return fromItems(e, input.static, func() func(ev *Evaluator) {
		gather := input.gather()
		return func(ev *Evaluator) { ev.distinct(gather(ev)) }
	})
}

func buildIsDistinct(_ *compiler, e *expr, input *plan) *plan {
	return fromCond(e, func() cond {
		gather := input.gather()
		return func(ev *Evaluator) ternary {
			from := gather(ev)
			n := len(ev.items)
			ev.distinct(from)
			same := len(ev.items) == n
			ev.items = ev.items[:from]
			return ternaryOf(same)
		}
	})
}

// quantifier makes allTrue and its kin (N1, 5.1.4 to 5.1.7): all or any items are want.
func quantifier(all, want bool) func(c *compiler, e *expr, input *plan) *plan {
	return func(_ *compiler, e *expr, input *plan) *plan {
		return fromCond(e, func() cond {
			gather := input.gather()
			return func(ev *Evaluator) ternary {
				from := gather(ev)
				result := all
				for _, v := range ev.items[from:] {
					b, ok := v.Boolean()
					if !ok {
						ev.fail(e, "function %s cannot take %s; expected a Boolean", e.Name, v.TypeName())
						break
					}
					if (b == want) != all {
						result = !all
					}
				}
				ev.items = ev.items[:from]
				return ternaryOf(result)
			}
		})
	}
}

// buildSubset: all items of a are in b (N1, 5.1.8 and 5.1.9).
func buildSubset(e *expr, a, b *plan) *plan {
	return fromCond(e, func() cond {
		x, y := a.gather(), b.gather()
		return func(ev *Evaluator) ternary {
			from := x(ev)
			mid := y(ev)
			others := seen{from: mid}
			r := true
			for i := from; r && i < mid; i++ {
				_, r = others.find(ev, ev.items[i], len(ev.items))
			}
			ev.items = ev.items[:from]
			return ternaryOf(r)
		}
	})
}

// buildCombine: both, repetitions included (N1, 5.4.2).
func buildCombine(c *compiler, e *expr, input *plan) *plan {
	other := c.scoped(e.Args[0])
	s := static{many: true, unordered: input.unordered || other.unordered}
	if !input.any() && !other.any() {
		s.types = unite(input.types, other.types)
	}
	return &plan{
		static: s, at: e,
		each: func(k cont) run {
			x, y := input.each(k), other.each(k)
			return func(ev *Evaluator) bool { return x(ev) && y(ev) }
		},
	}
}

// filterBy makes intersect and exclude (N1, 5.3.8 and 5.3.9).
func filterBy(in bool) func(c *compiler, e *expr, input *plan) *plan {
	return func(c *compiler, e *expr, input *plan) *plan {
		other := c.scoped(e.Args[0])
		return fromItems(e, input.static, func() func(ev *Evaluator) {
			x, y := input.gather(), other.gather()
			return func(ev *Evaluator) {
				from := x(ev)
				if ev.err != nil {
					return
				}
				mid, to := y(ev), from
				others := seen{from: mid}
				for i := from; i < mid; i++ {
					if _, found := others.find(ev, ev.items[i], len(ev.items)); found == in {
						ev.items[to] = ev.items[i]
						to++
					}
				}
				ev.items = ev.items[:to]
				if in {
					ev.distinct(from)
				}
			}
		})
	}
}

// buildCoalesce: the first argument that has items (FHIRPath 3.0 draft).
func buildCoalesce(c *compiler, e *expr, _ *plan) *plan {
	var args []*plan
	for _, a := range e.Args {
		args = append(args, c.scoped(a))
	}
	return fromItems(e, static{many: true}, func() func(ev *Evaluator) {
		var gathers []func(*Evaluator) int
		for _, a := range args {
			gathers = append(gathers, a.gather())
		}
		return func(ev *Evaluator) {
			for _, g := range gathers {
				if from := g(ev); ev.err != nil || len(ev.items) > from {
					return
				}
			}
		}
	})
}

// distinct drops the items from index from on that equal an earlier one of them.
func (ev *Evaluator) distinct(from int) {
	if ev.err != nil {
		return
	}
	s := seen{from: from}
	s.keep(ev, from)
}

// seen finds equal items. Few are compared one by one; many by a hash under which
// equal items are alike.
type seen struct {
	from   int // index of the first item in ev.items
	hashes map[uint64][]int32
}

// fewItems is how many are compared with one another without a hash.
const fewItems = 24

var hashSeed = maphash.MakeSeed()

// keep drops from ev.items[next:] what equals an earlier item from s.from on, and
// returns where the items end.
func (s *seen) keep(ev *Evaluator, next int) int {
	to := next
	for i := next; i < len(ev.items); i++ {
		v := ev.items[i]
		if h, found := s.find(ev, v, to); !found {
			ev.items[to] = v
			if s.hashes != nil {
				s.hashes[h] = append(s.hashes[h], int32(to))
			}
			to++
		}
		if !ev.spend(1) || ev.err != nil {
			break
		}
	}
	ev.items = ev.items[:to]
	return to
}

// find tells whether v equals one of ev.items[s.from:to]; hash is that of v when
// there are hashes.
func (s *seen) find(ev *Evaluator, v Value, to int) (hash uint64, found bool) {
	if s.hashes == nil {
		if n := to - s.from; n < fewItems {
			ev.spend(n)
			return 0, slices.ContainsFunc(ev.items[s.from:to], func(w Value) bool { return ev.equal(v, w) == isTrue })
		}
		s.hashes = map[uint64][]int32{}
		for i := s.from; i < to; i++ {
			h := ev.hash(ev.items[i])
			s.hashes[h] = append(s.hashes[h], int32(i))
		}
	}
	hash = ev.hash(v)
	for _, i := range s.hashes[hash] {
		if !ev.spend(1) {
			return hash, false
		}
		if ev.equal(v, ev.items[i]) == isTrue {
			return hash, true
		}
	}
	return hash, false
}

// hash is the same for items that are equal.
func (ev *Evaluator) hash(v Value) uint64 {
	switch kind := v.systemKind(); {
	case kind == KindString:
		if s, ok := ev.stringOf(v); ok && ev.read(len(s)) {
			return maphash.Bytes(hashSeed, s)
		}
	case numeric(kind):
		if d, ok := ev.number(v); ok {
			return maphash.Bytes(hashSeed, d.AppendShortest(ev.scratch()))
		}
	case datelike(kind) || kind == KindTime:
		if t, ok := ev.temporalOf(v); ok {
			start, _ := t.Bounds()
			return uint64(start)
		}
	case kind == KindNone && v.kind == KindNode:
		if ev.spend(int(v.tree.Nodes[v.node].Next) - int(v.node)) {
			return hashNode(v.tree, v.node)
		}
	}
	return uint64(v.systemKind())
}

// hashNode sums up what of an element's content does not depend on the order of
// members: the strings in it.
func hashNode(t *fhir.Tree, n fhir.NodeID) uint64 {
	var sum uint64
	for i := n; uint32(i) < t.Nodes[n].Next; i++ {
		if nd := &t.Nodes[i]; nd.Kind == fhir.KindString && nd.Flags&fhir.FlagEscaped == 0 {
			sum += maphash.Bytes(hashSeed, t.Raw(i))
		}
	}
	return sum
}

// scratch gives a buffer for a text that is used at once.
func (ev *Evaluator) scratch() []byte { return ev.text[len(ev.text):] }
