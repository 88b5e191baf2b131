package fhirpath

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// How an expression becomes closures
//
// Results are not collected and handed up: they are handed on. A part of an
// expression is compiled with the closure that takes its items (its continuation,
// [cont]), so `name.given` becomes a loop over the names whose body is a loop over
// the given names whose body is whatever takes them; a where is an if in that
// body. No collection is made for a path, and first() and exists() stop the loops
// by returning false.
//
// What is known of the types at compile time decides which closure it is. A
// member of a known type compares element ids, of an unknown type it finds them in
// a table by type. What can be one item only has a [getter], so that an operator
// on two of them is two calls and a comparison. Conditions have closures of their
// own ([cond]), which never make a Value of true and false.
//
// Only what needs a whole collection at once (distinct, last, union, = between
// several items) gathers it, on a stack in the Evaluator that all share.
type (
	// run evaluates an expression from ev.this and hands its items on. False
	// means stop: whoever took the items wants no more, or there is an error.
	run func(ev *Evaluator) bool
	// cont takes one item; false means stop.
	cont func(ev *Evaluator, v Value) bool
	// getter evaluates an expression that has at most one item. More are an
	// error of the evaluation.
	getter func(ev *Evaluator) (Value, bool)
	// cond evaluates an expression as a condition.
	cond func(ev *Evaluator) ternary
)

// ternary is a truth value of three-valued logic (N1, 6.5).
type ternary uint8

const (
	isEmpty ternary = iota
	isFalse
	isTrue
)

func ternaryOf(b bool) ternary {
	if b {
		return isTrue
	}
	return isFalse
}

func (t ternary) not() ternary {
	switch t {
	case isTrue:
		return isFalse
	case isFalse:
		return isTrue
	}
	return isEmpty
}

// plan is a compiled part of an expression, before it is joined to what takes
// its items.
type plan struct {
	static
	at *expr

	// each joins it to the continuation. Always set.
	each func(k cont) run
	// single and holds are faster ways, where there are any.
	single func() getter
	holds  func() cond
	// constant is set when the value is known.
	constant *Value

	// A plan that treats each item of input by itself says so: each(k) is
	// input.each(step(k)). The programs of a Set share such steps by their text.
	input *plan
	step  func(k cont) cont
	key   string
	span  span // of a member step, when the type of input is known

	isThis bool    // it is $this
	parts  []*plan // of a union, the operands
	list   []Value // of a union of constants, the values

	usesIndex bool // $index is used in it
}

// get gives the getter of a plan.
func (p *plan) get() getter {
	if p.constant != nil {
		v := *p.constant
		return func(*Evaluator) (Value, bool) { return v, true }
	}
	if p.single != nil {
		return p.single()
	}
	at := p.at
	r := p.each(func(ev *Evaluator, v Value) bool {
		if ev.slot.n++; ev.slot.n > 1 {
			ev.fail(at, "found several items; expected one at most")
			return false
		}
		ev.slot.v = v
		return true
	})
	return func(ev *Evaluator) (Value, bool) {
		saved := ev.slot
		ev.slot = slot{}
		r(ev)
		v, ok := ev.slot.v, ev.slot.n == 1 && ev.err == nil
		ev.slot = saved
		return v, ok
	}
}

// test gives the condition of a plan, by the rules for singletons (N1, 4.5): a
// boolean is itself, any other single item is true.
func (p *plan) test() cond {
	if p.holds != nil {
		return p.holds()
	}
	get := p.get()
	return func(ev *Evaluator) ternary {
		v, ok := get(ev)
		if !ok {
			return isEmpty
		}
		if b, isBool := v.Boolean(); isBool {
			return ternaryOf(b)
		}
		if v.kind == KindNode && v.typ == r4.TypeBoolean {
			return isEmpty // extensions only
		}
		return isTrue
	}
}

// gather gives a closure that appends the items to ev.items and returns where
// they begin. Whoever calls it cuts ev.items back to there.
func (p *plan) gather() func(ev *Evaluator) int {
	at := p.at
	r := p.each(func(ev *Evaluator, v Value) bool { return ev.push(at, v) })
	return func(ev *Evaluator) int {
		from := len(ev.items)
		r(ev)
		return from
	}
}

// fromGetter makes the plan of what is one item at most.
func fromGetter(e *expr, s static, get func() getter) *plan {
	s.many = false
	return &plan{
		static: s, at: e,
		single: get,
		each: func(k cont) run {
			g := get()
			return func(ev *Evaluator) bool {
				if v, ok := g(ev); ok {
					return k(ev, v)
				}
				return ev.err == nil
			}
		},
	}
}

// fromCond makes the plan of a condition.
func fromCond(e *expr, holds func() cond) *plan {
	p := fromGetter(e, system(KindBoolean), func() getter {
		c := holds()
		return func(ev *Evaluator) (Value, bool) {
			switch c(ev) {
			case isTrue:
				return Value{kind: KindBoolean, num: 1}, ev.err == nil
			case isFalse:
				return Value{kind: KindBoolean}, ev.err == nil
			}
			return Value{}, false
		}
	})
	p.holds = holds
	return p
}

// fromStep makes the plan of what treats each item by itself.
func fromStep(e *expr, s static, input *plan, key string, step func(k cont) cont) *plan {
	return &plan{
		static: s, at: e, input: input, step: step, key: key,
		each: func(k cont) run { return input.each(step(k)) },
	}
}

func constant(e *expr, v Value) *plan {
	p := fromGetter(e, system(v.kind), func() getter {
		return func(*Evaluator) (Value, bool) { return v, true }
	})
	p.constant = &v
	return p
}

func nothing(e *expr) *plan {
	return &plan{
		static: static{empty: true}, at: e,
		each:   func(cont) run { return func(*Evaluator) bool { return true } },
		single: func() getter { return func(*Evaluator) (Value, bool) { return Value{}, false } },
	}
}

// compiler holds what compiling one expression needs.
type compiler struct {
	source string
	Options
	root      static   // what the focus is
	this      static   // what $this is
	lambda    bool     // within an argument that runs for each item
	whole     bool     // paths start at a whole collection, Evaluator.whole
	total     bool     // within aggregate
	variables []string // defined by defineVariable so far
	usesIndex bool     // $index occurred in the lambda being compiled
	nodes     int      // compiled so far
}

// maxNodes bounds the work of the compiler, since the argument of repeat() is
// compiled for each set of types that it may run on.
const maxNodes = 200_000

// Compile compiles an expression. An error is an [*Error].
func Compile(expression string, o Options) (*Program, error) {
	p, err := compile(expression, o)
	if err != nil {
		return nil, err
	}
	prog := &Program{source: expression, static: p.static}
	prog.run = p.each(func(ev *Evaluator, v Value) bool {
		if len(ev.result) >= ev.env.MaxItems {
			ev.fail(p.at, "the result has more than %d items", ev.env.MaxItems)
			return false
		}
		ev.result = append(ev.result, v)
		return true
	})
	prog.cond = p.test()
	return prog, nil
}

func compile(expression string, o Options) (*plan, error) {
	depth := o.MaxDepth
	if depth == 0 {
		depth = defaultMaxDepth
	}
	e, perr := parse(expression, depth)
	if perr != nil {
		return nil, perr
	}
	c := &compiler{source: expression, Options: o}
	if o.Type != 0 && !abstractResource(o.Type) {
		c.this = static{types: []typeOf{{fhir: o.Type}}}
	}
	c.root = c.this
	return c.catch(e)
}

const defaultMaxDepth = 100

// catch compiles e; the compiler's own panics with an *Error become its error.
func (c *compiler) catch(e *expr) (p *plan, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			r.Expression = c.source
			err = r
		default:
			panic(r)
		}
	}()
	return c.compile(e), nil
}

// refuse ends the compilation with an error at e.
func (c *compiler) refuse(e *expr, format string, args ...any) {
	panic(&Error{Pos: e.Pos, End: e.End, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) compile(e *expr) *plan {
	if c.nodes++; c.nodes > maxNodes {
		c.refuse(e, "the expression nests too many calls of repeat()")
	}
	switch e.Kind {
	case exprNull:
		return nothing(e)
	case exprLiteral:
		return constant(e, c.literal(e))
	case exprThis:
		return c.compileThis(e)
	case exprIndex:
		if !c.lambda {
			return nothing(e)
		}
		c.usesIndex = true
		return fromGetter(e, system(KindInteger), func() getter {
			return func(ev *Evaluator) (Value, bool) { return Integer(ev.index), true }
		})
	case exprTotal:
		return c.compileTotal(e)
	case exprVariable:
		return c.compileVariable(e)
	case exprMember:
		return c.compileMember(e)
	case exprCall:
		return c.compileCall(e)
	case exprIndexer:
		return c.compileIndexer(e)
	case exprUnary:
		return c.compileUnary(e)
	case exprTypeTest:
		return c.compileTypeTest(e, c.scoped(e.Args[0]), c.typeNamed(e, e.Name), e.Op == opIs)
	default:
		return c.compileBinary(e)
	}
}

// scoped compiles an operand or an argument: the variables that it defines are
// its own.
func (c *compiler) scoped(e *expr) *plan {
	defined := len(c.variables)
	p := c.compile(e)
	c.variables = c.variables[:defined]
	return p
}

// compileThis is $this, and where a path without a start begins.
func (c *compiler) compileThis(e *expr) *plan {
	if c.whole {
		return fromList(e, c.this, func(ev *Evaluator) []Value { return ev.whole })
	}
	p := fromGetter(e, c.this, func() getter {
		return func(ev *Evaluator) (Value, bool) { return ev.this, ev.this.kind != KindNone }
	})
	p.isThis = true
	return p
}

func (c *compiler) literal(e *expr) Value {
	switch e.Lit {
	case litBoolean:
		return Boolean(e.Text == "true")
	case litString:
		return String(e.Text)
	case litInteger, litLong:
		return c.integer(e, e.Text)
	case litDecimal:
		return Decimal(c.number(e))
	case litDate:
		return c.temporal(e, temporal.Date)
	case litDateTime:
		return c.temporal(e, temporal.DateTime)
	case litTime:
		return c.temporal(e, temporal.Time)
	}
	v := Quantity(c.number(e), e.Unit)
	v.data.calendar = e.Calendar
	return v
}

// integer gives the value of the digits, with their sign, of literal e.
func (c *compiler) integer(e *expr, digits string) Value {
	kind := KindInteger
	if e.Lit == litLong {
		kind = KindLong
	}
	n, ok := parseInt(digits)
	if !ok || kind == KindInteger && int64(int32(n)) != n {
		c.refuse(e, "'%.20s' is beyond the range of %s", digits, kindNames[kind])
	}
	return Value{kind: kind, num: n}
}

func (c *compiler) number(e *expr) decimal.Decimal {
	d, ok := decimal.Parse([]byte(e.Text))
	if !ok {
		c.refuse(e, "'%.20s' is beyond the range of a number", e.Text)
	}
	return d
}

func (c *compiler) temporal(e *expr, kind temporal.Kind) Value {
	t, ok := temporal.Parse(kind, []byte(e.Text))
	if !ok {
		c.refuse(e, "'%s' is not a date or time of the calendar", e.Text)
	}
	return Temporal(t)
}

// inLambda compiles the argument of a function that runs once for each item,
// with that item as $this.
func (c *compiler) inLambda(e *expr, item static) *plan {
	saved := *c
	item.many = false
	c.this, c.lambda, c.whole, c.usesIndex = item, true, false, false
	p := c.scoped(e)
	p.usesIndex = c.usesIndex
	c.this, c.lambda, c.whole, c.usesIndex = saved.this, saved.lambda, saved.whole, saved.usesIndex
	return p
}

// onWhole compiles the argument of a function that runs once, on the whole input:
// $this and its paths start there.
func (c *compiler) onWhole(e *expr, items static) *plan {
	this, whole := c.this, c.whole
	c.this, c.whole = items, true
	p := c.scoped(e)
	c.this, c.whole = this, whole
	return p
}

// fromList makes the plan of items that are known when it runs.
func fromList(e *expr, s static, list func(ev *Evaluator) []Value) *plan {
	return &plan{
		static: s, at: e,
		each: func(k cont) run {
			return func(ev *Evaluator) bool {
				values := list(ev)
				if !ev.spend(len(values)) {
					return false
				}
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
