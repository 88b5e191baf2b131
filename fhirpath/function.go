package fhirpath

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// function is a function of the language. Its arguments are compiled by build,
// which knows whether they run once for each item or once.
type function struct {
	min, max int // arguments
	build    func(c *compiler, e *expr, input *plan) *plan
}

// functions are all of the language, by name. It is filled by init, since building
// an argument comes back here.
var functions map[string]function

func init() {
	functions = map[string]function{}
	for _, group := range []map[string]function{
		collectionFunctions, lambdaFunctions, textFunctions, numberFunctions, conversionFunctions, timeFunctions, fhirFunctions,
	} {
		for name, f := range group {
			functions[name] = f
		}
	}
}

// compileCall compiles a call. Without input it is one on $this.
func (c *compiler) compileCall(e *expr) *plan {
	for i := range c.Functions {
		if c.Functions[i].Name == e.Name {
			return c.userFunction(e, &c.Functions[i])
		}
	}
	f, ok := functions[e.Name]
	if !ok {
		c.refuse(&expr{Pos: e.At, End: e.At + len(e.Name)}, "unknown function '%s'%s", e.Name, nearFunction(e.Name))
	}
	if n := len(e.Args); n < f.min || n > f.max {
		c.refuse(e, "function %s has %d arguments; expected %s", e.Name, n, arity(f.min, f.max))
	}
	return f.build(c, e, c.input(e))
}

func (c *compiler) input(e *expr) *plan {
	if e.Input == nil {
		return c.compileThis(e)
	}
	return c.compile(e.Input)
}

// userFunction compiles a call of a function that the user defines.
func (c *compiler) userFunction(e *expr, f *Function) *plan {
	if n := len(e.Args); n < f.MinArgs || n > f.MaxArgs {
		c.refuse(e, "function %s has %d arguments; expected %s", e.Name, n, arity(f.MinArgs, f.MaxArgs))
	}
	parts := []*plan{c.input(e)}
	for i, a := range e.Args {
		if f.TypeArgs {
			c.typeArgument(e, i)
			parts = append(parts, constant(a, String(typeSpecifier(a))))
		} else {
			parts = append(parts, c.scoped(a))
		}
	}
	return fromItems(e, static{many: true}, func() func(ev *Evaluator) {
		gathers := make([]func(*Evaluator) int, len(parts))
		for i, p := range parts {
			gathers[i] = p.gather()
		}
		return func(ev *Evaluator) {
			base := len(ev.items)
			starts := make([]int, 0, len(parts)+1)
			for _, g := range gathers {
				if starts = append(starts, g(ev)); ev.err != nil {
					return
				}
			}
			starts = append(starts, len(ev.items))
			lists := make([][]Value, len(parts))
			for i := range lists {
				lists[i] = slices.Clone(ev.items[starts[i]:starts[i+1]])
			}
			ev.items = ev.items[:base]
			result, err := f.Call(ev, lists[0], lists[1:])
			if err != nil {
				ev.fail(e, "%v", err)
				return
			}
			for _, v := range result {
				if !ev.push(e, v) {
					return
				}
			}
		}
	})
}

// scalar makes a function of one item, whose arguments are single items too. When
// one of them is empty, so is the result.
func scalar(minArgs, maxArgs int, result static, f func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool)) function {
	return function{minArgs, maxArgs, func(c *compiler, e *expr, input *plan) *plan {
		var args []*plan
		for _, a := range e.Args {
			args = append(args, c.scoped(a))
		}
		return scalarPlan(e, result, input, args, f)
	}}
}

func scalarPlan(e *expr, result static, input *plan, args []*plan, f func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool)) *plan {
	return fromGetter(e, result, func() getter {
		x := input.get()
		gets := make([]getter, len(args))
		for i, a := range args {
			gets[i] = a.get()
		}
		return func(ev *Evaluator) (Value, bool) {
			v, ok := x(ev)
			if ev.err != nil {
				return Value{}, false
			}
			var values [3]Value
			for i, g := range gets {
				w, found := g(ev)
				if ev.err != nil {
					return Value{}, false
				}
				values[i], ok = w, ok && found
			}
			if !ok {
				return Value{}, false
			}
			return f(ev, e, v, values)
		}
	})
}

// textFunction is scalar on a String.
func textFunction(minArgs, maxArgs int, result static, f func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool)) function {
	call := func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		s, ok := ev.stringOf(v)
		if !ev.read(len(s)) {
			return Value{}, false
		}
		if !ok {
			if v.systemKind() == KindNone || v.HasValue() {
				ev.fail(e, "function %s cannot take %s; expected a String", e.Name, v.TypeName())
			}
			return Value{}, false
		}
		return f(ev, e, s, args)
	}
	return function{minArgs, maxArgs, func(c *compiler, e *expr, input *plan) *plan {
		c.wantText(e, input)
		var args []*plan
		for _, a := range e.Args {
			args = append(args, c.scoped(a))
		}
		return scalarPlan(e, result, input, args, call)
	}}
}

// wantText refuses, in strict mode, an input of which no item can be a String.
func (c *compiler) wantText(e *expr, input *plan) {
	if !c.Strict || input.any() {
		return
	}
	for _, t := range input.types {
		if t.kind == KindString || t.fhir != 0 && r4.TypeAt(t.fhir).Kind == r4.KindPrimitive {
			return
		}
	}
	c.refuse(e, "function %s cannot take %s; expected a String", e.Name, input.types[0])
}

// needText gives the text of an argument.
func (ev *Evaluator) needText(e *expr, v Value) ([]byte, bool) {
	s, ok := ev.stringOf(v)
	if !ok {
		ev.fail(e, "an argument of %s is %s; expected a String", e.Name, v.TypeName())
	}
	return s, ok
}

// needInteger gives the number of an argument.
func (ev *Evaluator) needInteger(e *expr, v Value) (int64, bool) {
	n, ok := ev.integer(v)
	if !ok {
		ev.fail(e, "an argument of %s is %s; expected an Integer", e.Name, v.TypeName())
	}
	return n, ok
}
