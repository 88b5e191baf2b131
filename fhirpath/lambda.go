package fhirpath

import (
	"math"
	"slices"
)

// lambdaFunctions run an argument for each item, with that item as $this.
var lambdaFunctions = map[string]function{
	"where":     {1, 1, buildWhere},
	"select":    {1, 1, buildSelect},
	"all":       {1, 1, buildAll},
	"exists":    {0, 1, buildExists},
	"repeat":    {1, 1, buildRepeat},
	"aggregate": {1, 2, buildAggregate},
	"iif":       {2, 3, buildIif},
	"sort":      {0, math.MaxInt32, buildSort},
	"trace":     {1, 2, buildTrace},

	"defineVariable": {1, 2, buildDefineVariable},
}

// enter makes v the item that a lambda runs on.
func (ev *Evaluator) enter(v Value) Value {
	saved := ev.this
	ev.this = v
	return saved
}

// buildWhere: the items for which the criteria are true (N1, 5.2.1).
func buildWhere(c *compiler, e *expr, input *plan) *plan {
	if input.empty {
		return nothing(e)
	}
	crit := c.inLambda(e.Args[0], input.static)
	step := func(k cont) cont {
		test, cost := crit.test(), crit.at.size()
		return func(ev *Evaluator, v Value) bool {
			saved := ev.enter(v)
			r := test(ev)
			ev.this = saved
			if !ev.spend(cost) || ev.err != nil {
				return false
			}
			return r != isTrue || k(ev, v)
		}
	}
	if crit.usesIndex {
		return indexed(e, input.static, input, step)
	}
	return fromStep(e, input.static, input, c.text(e, "where"), step)
}

// text is the key of a step by its arguments as they are written.
func (c *compiler) text(e *expr, name string) string {
	key := name
	for _, a := range e.Args {
		key += "(" + c.source[a.Pos:a.End] + ")"
	}
	return key
}

// indexed makes the plan of a lambda that uses $index: step is given each item
// with ev.index set, and what it hands on gets the index from outside again.
func indexed(e *expr, s static, input *plan, step func(k cont) cont) *plan {
	return &plan{
		static: s, at: e,
		each: func(k cont) run {
			gather := input.gather()
			body := step(func(ev *Evaluator, v Value) bool {
				inner := ev.index
				f := ev.frames[len(ev.frames)-1]
				ev.frames = ev.frames[:len(ev.frames)-1]
				ev.index = f.index
				ok := k(ev, v)
				ev.index = inner
				ev.frames = append(ev.frames, f)
				return ok
			})
			return func(ev *Evaluator) bool {
				from := gather(ev)
				ev.frames = append(ev.frames, frame{index: ev.index})
				saved := ev.index
				ok, to := ev.err == nil, len(ev.items)
				for i := from; ok && i < to; i++ {
					ev.index = int64(i - from)
					ok = body(ev, ev.items[i])
				}
				ev.index = saved
				ev.frames = ev.frames[:len(ev.frames)-1]
				ev.drop(from, to)
				return ok
			}
		},
	}
}

// projection makes the step that hands on what p gives for each item.
func projection(p *plan, k cont) cont {
	cost := p.at.size()
	body := p.each(func(ev *Evaluator, w Value) bool {
		// Outside of the lambda $this is what it was.
		inner := ev.this
		f := ev.frames[len(ev.frames)-1]
		ev.frames = ev.frames[:len(ev.frames)-1]
		ev.this = f.this
		ok := k(ev, w)
		ev.this = inner
		ev.frames = append(ev.frames, f)
		return ok
	})
	return func(ev *Evaluator, v Value) bool {
		if !ev.spend(cost) {
			return false
		}
		ev.frames = append(ev.frames, frame{this: ev.this})
		saved := ev.enter(v)
		ok := body(ev)
		ev.this = saved
		ev.frames = ev.frames[:len(ev.frames)-1]
		return ok
	}
}

// buildSelect: what the projection gives for each item (N1, 5.2.2).
func buildSelect(c *compiler, e *expr, input *plan) *plan {
	if input.empty {
		return nothing(e)
	}
	p := c.inLambda(e.Args[0], input.static)
	s := p.static
	s.many = s.many || input.many
	s.unordered = s.unordered || input.unordered
	step := func(k cont) cont { return projection(p, k) }
	if p.usesIndex {
		return indexed(e, s, input, step)
	}
	return fromStep(e, s, input, c.text(e, "select"), step)
}

// buildAll: the criteria are true for each item; true for none (N1, 5.1.3).
func buildAll(c *compiler, e *expr, input *plan) *plan {
	crit := c.inLambda(e.Args[0], input.static)
	return fromCond(e, func() cond {
		test, cost := crit.test(), crit.at.size()
		step := func(cont) cont {
			return func(ev *Evaluator, v Value) bool {
				saved := ev.enter(v)
				r := test(ev)
				ev.this = saved
				return ev.spend(cost) && ev.err == nil && r == isTrue
			}
		}
		p := input.each
		if crit.usesIndex {
			p = indexed(e, input.static, input, step).each
			r := p(nil)
			return func(ev *Evaluator) ternary { return ternaryOf(r(ev)) }
		}
		r := p(step(nil))
		return func(ev *Evaluator) ternary { return ternaryOf(r(ev)) }
	})
}

// buildExists: there are items, or some that the criteria hold for (N1, 5.1.2).
func buildExists(c *compiler, e *expr, input *plan) *plan {
	if len(e.Args) == 1 {
		input = buildWhere(c, e, input)
	}
	return fromCond(e, func() cond { return existence(input, isTrue, isFalse) })
}

// existence tells some or none by whether the plan hands on an item.
func existence(p *plan, some, none ternary) cond {
	if p.empty {
		return func(*Evaluator) ternary { return none }
	}
	if p.single != nil {
		get := p.single()
		return func(ev *Evaluator) ternary {
			if _, ok := get(ev); ok {
				return some
			}
			return none
		}
	}
	r := p.each(func(*Evaluator, Value) bool { return false })
	return func(ev *Evaluator) ternary {
		if r(ev) {
			return none
		}
		return some
	}
}

// buildRepeat: the items of the projection, and its items of these, and so on,
// each once (N1, 5.2.3).
func buildRepeat(c *compiler, e *expr, input *plan) *plan {
	if input.empty {
		return nothing(e)
	}
	item, strict := input.static, c.Strict
	// The projection runs on its own results too: compile it for their types, and
	// only then ask whether one of them has the elements that it names.
	c.Strict = false
	p := c.inLambda(e.Args[0], item)
	for !item.any() && !p.empty && (p.any() || !subset(p.types, item.types)) {
		if item.types = unite(item.types, p.types); p.any() {
			item.types = nil
		}
		p = c.inLambda(e.Args[0], item)
	}
	if c.Strict = strict; strict {
		p = c.inLambda(e.Args[0], item)
	}
	s := static{types: p.types, many: true, unordered: true}
	return fromItems(e, s, func() func(ev *Evaluator) {
		first := projection(p, func(ev *Evaluator, v Value) bool { return ev.push(e, v) })
		r := input.each(first)
		return func(ev *Evaluator) {
			from := len(ev.items)
			if !r(ev) {
				return
			}
			seen := seen{from: from}
			kept := seen.keep(ev, from)
			for next := from; next < kept; {
				upto := kept
				for ; next < upto; next++ {
					if !first(ev, ev.items[next]) {
						return
					}
				}
				kept = seen.keep(ev, upto)
			}
		}
	})
}

// unite gives the types of a and b.
func unite(a, b []typeOf) []typeOf {
	all := slices.Clone(a)
	for _, t := range b {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

func subset(a, b []typeOf) bool {
	for _, t := range a {
		if !slices.Contains(b, t) {
			return false
		}
	}
	return true
}

// buildAggregate: the aggregator runs for each item with the result so far as
// $total (N1, 7.1).
func buildAggregate(c *compiler, e *expr, input *plan) *plan {
	var initial *plan
	if len(e.Args) == 2 {
		initial = c.scoped(e.Args[1])
	} else {
		initial = nothing(e)
	}
	saved := c.total
	c.total = true
	p := c.inLambda(e.Args[0], input.static)
	c.total = saved
	return fromItems(e, static{many: true}, func() func(ev *Evaluator) {
		items, start, body, cost := input.gather(), initial.gather(), p.gather(), p.at.size()
		return func(ev *Evaluator) {
			from := items(ev)
			to := len(ev.items)
			if ev.err != nil {
				return
			}
			start(ev)
			total := slices.Clone(ev.items[to:])
			ev.items = ev.items[:to]
			outerTotal, outerThis, outerIndex := ev.total, ev.this, ev.index
			for i := from; i < to && ev.err == nil && ev.spend(cost+len(total)); i++ {
				ev.total, ev.this, ev.index = total, ev.items[i], int64(i-from)
				body(ev)
				total = slices.Clone(ev.items[to:])
				ev.items = ev.items[:to]
			}
			ev.total, ev.this, ev.index = outerTotal, outerThis, outerIndex
			ev.items = append(ev.items[:from], total...)
		}
	})
}

// compileTotal is $total.
func (c *compiler) compileTotal(e *expr) *plan {
	if !c.total {
		c.refuse(e, "$total has a value within aggregate() only")
	}
	return fromList(e, static{many: true}, func(ev *Evaluator) []Value { return ev.total })
}

// buildIif: one of two, evaluated only when it is the one (N1, 5.5.1). With an
// input, that is $this, and at most one item.
func buildIif(c *compiler, e *expr, input *plan) *plan {
	compileArg := c.scoped
	if e.Input != nil {
		compileArg = func(a *expr) *plan {
			p := c.inLambda(a, input.static)
			c.usesIndex = c.usesIndex || p.usesIndex // it is that of the loop around
			return p
		}
	}
	crit, then := compileArg(e.Args[0]), compileArg(e.Args[1])
	other := nothing(e)
	if len(e.Args) == 3 {
		other = compileArg(e.Args[2])
	}
	if c.Strict && !crit.any() && !crit.empty && !mayBeBoolean(&crit.static) {
		c.refuse(e.Args[0], "the criterion is %s; expected a Boolean", crit.types[0])
	}
	s := static{many: then.many || other.many, unordered: then.unordered || other.unordered}
	switch {
	case then.empty:
		s.types = other.types
	case other.empty:
		s.types = then.types
	case !then.any() && !other.any():
		s.types = unite(then.types, other.types)
	}
	return fromItems(e, s, func() func(ev *Evaluator) {
		get := crit.get()
		yes, no := then.gather(), other.gather()
		choose := func(ev *Evaluator) {
			v, ok := get(ev)
			b, isBool := v.Boolean()
			switch {
			case ev.err != nil:
			case ok && !isBool && v.systemKind() != KindBoolean:
				ev.fail(e.Args[0], "the criterion is %s; expected a Boolean", v.TypeName())
			case ok && b:
				yes(ev)
			default:
				no(ev)
			}
		}
		if e.Input == nil {
			return choose
		}
		x := input.get()
		return func(ev *Evaluator) {
			v, _ := x(ev)
			if ev.err != nil {
				return
			}
			saved := ev.enter(v)
			choose(ev)
			ev.this = saved
		}
	})
}

func mayBeBoolean(s *static) bool {
	return slices.ContainsFunc(s.types, func(t typeOf) bool {
		return t.kind == KindBoolean || t.fhir != 0 && systemKindOf(t.fhir) == KindBoolean
	})
}

// buildSort: by the keys, each in rising order, or falling with a minus before it;
// without keys by the items (FHIRPath 3.0 draft, 4.1.26). Items without a key come
// first either way.
func buildSort(c *compiler, e *expr, input *plan) *plan {
	type key struct {
		p       *plan
		falling bool
	}
	var keys []key
	for _, a := range e.Args {
		k := key{}
		if a.Kind == exprUnary && a.Op == opMinus {
			a, k.falling = a.Args[0], true
		}
		k.p = c.inLambda(a, input.static)
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		keys = append(keys, key{p: c.inLambda(&expr{Kind: exprThis, Pos: e.Pos, End: e.End}, input.static)})
	}
	s := input.static
	s.unordered = false
	return fromItems(e, s, func() func(ev *Evaluator) {
		gather := input.gather()
		gets, cost := make([]getter, len(keys)), 0
		for i, k := range keys {
			gets[i], cost = k.p.get(), cost+k.p.at.size()
		}
		return func(ev *Evaluator) {
			from := gather(ev)
			type row struct {
				item Value
				keys []Value
			}
			rows := make([]row, 0, len(ev.items)-from)
			this, index := ev.this, ev.index
			for i, v := range ev.items[from:] {
				r := row{item: v}
				ev.this, ev.index = v, int64(i)
				for _, g := range gets {
					w, _ := g(ev)
					r.keys = append(r.keys, w)
				}
				if !ev.spend(cost) || ev.err != nil {
					break
				}
				rows = append(rows, r)
			}
			ev.this, ev.index = this, index
			if ev.err != nil {
				return
			}
			slices.SortStableFunc(rows, func(a, b row) int {
				for i := range keys {
					if o := ev.sortOrder(e, a.keys[i], b.keys[i], keys[i].falling); o != 0 {
						return o
					}
				}
				return 0
			})
			for i, r := range rows {
				ev.items[from+i] = r.item
			}
		}
	})
}

func (ev *Evaluator) sortOrder(e *expr, a, b Value, falling bool) int {
	switch {
	case !ev.spend(1) || ev.err != nil || a.kind == KindNone && b.kind == KindNone:
		return 0
	case a.kind == KindNone:
		return -1
	case b.kind == KindNone:
		return 1
	}
	o, _ := ev.order(e, a, b)
	if falling {
		return -o
	}
	return o
}

// buildTrace hands its input on, after telling the environment (N1, 5.9.1).
func buildTrace(c *compiler, e *expr, input *plan) *plan {
	name := c.scoped(e.Args[0])
	var projected *plan
	if len(e.Args) == 2 {
		projected = c.inLambda(e.Args[1], input.static)
	}
	s := input.static
	return fromItems(e, s, func() func(ev *Evaluator) {
		gather, label := input.gather(), name.get()
		var step cont
		if projected != nil {
			step = projection(projected, func(ev *Evaluator, v Value) bool { return ev.push(e, v) })
		}
		return func(ev *Evaluator) {
			from := gather(ev)
			to := len(ev.items)
			if ev.env.Trace == nil || ev.err != nil {
				return
			}
			text := ""
			if v, ok := label(ev); ok {
				text = string(v.AppendString(nil))
			}
			if step == nil {
				ev.env.Trace(text, ev.items[from:to])
				return
			}
			index := ev.index
			for i := from; i < to && ev.err == nil; i++ {
				ev.index = int64(i - from)
				step(ev, ev.items[i])
			}
			if ev.index = index; ev.err == nil {
				ev.env.Trace(text, ev.items[to:])
			}
			ev.items = ev.items[:to]
		}
	})
}

// buildDefineVariable hands its input on; in what follows in the path, %name is
// the value of the expression, or the input (FHIRPath 2.0 ballot).
func buildDefineVariable(c *compiler, e *expr, input *plan) *plan {
	if e.Args[0].Kind != exprLiteral || e.Args[0].Lit != litString {
		c.refuse(e.Args[0], "the name of a variable has to be a text between quotes")
	}
	name := e.Args[0].Text
	if standardVariable(name) || slices.Contains(c.variables, name) || slices.Contains(c.Variables, name) {
		c.refuse(e.Args[0], "variable %%%s is defined already", name)
	}
	var value *plan
	if len(e.Args) == 2 {
		value = c.onWhole(e.Args[1], input.static)
	}
	c.variables = append(c.variables, name)
	return &plan{
		static: input.static, at: e,
		each: func(k cont) run {
			items := input.gather()
			values := func(_ *Evaluator, from int) int { return from }
			if value != nil {
				gather := value.gather()
				values = func(ev *Evaluator, from int) int {
					outer := ev.whole
					ev.whole = slices.Clone(ev.items[from:])
					at := gather(ev)
					ev.whole = outer
					return at
				}
			}
			return func(ev *Evaluator) bool {
				from := items(ev)
				to := len(ev.items)
				if ev.err != nil {
					return false
				}
				at := values(ev, from)
				outer, had := ev.define(name, slices.Clone(ev.items[at:]))
				ev.items = ev.items[:to]
				ok := ev.err == nil
				for i := from; ok && i < to; i++ {
					ok = k(ev, ev.items[i])
				}
				ev.drop(from, to)
				if delete(ev.variables, name); had {
					ev.variables[name] = outer
				}
				return ok
			}
		},
	}
}

// define gives a variable its values, and returns those that it had.
func (ev *Evaluator) define(name string, values []Value) (outer []Value, had bool) {
	if ev.variables == nil {
		ev.variables = map[string][]Value{}
	}
	outer, had = ev.variables[name]
	ev.variables[name] = values
	return outer, had
}
