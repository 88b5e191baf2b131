package fhirpath

import "github.com/fhirlake/fhirlake/fhir/decimal"

// numberFunctions are those of numbers (N1, 5.7).
var numberFunctions = map[string]function{
	"abs": onNumber(func(ev *Evaluator, v Value, d decimal.Decimal) (Value, bool) {
		return ev.like(v, d.Abs()), true
	}),
	"ceiling":  toInteger(decimal.Decimal.Ceiling),
	"floor":    toInteger(decimal.Decimal.Floor),
	"truncate": toInteger(decimal.Decimal.Truncate),
	"exp":      toDecimal(decimal.Decimal.Exp),
	"ln":       toDecimal(decimal.Decimal.Ln),
	"sqrt":     toDecimal(decimal.Decimal.Sqrt),
	"log": withNumber(func(ev *Evaluator, _ Value, d, base decimal.Decimal) (Value, bool) {
		if !ev.spend(costSeries) {
			return Value{}, false
		}
		r, ok := d.Log(base)
		return ev.newDecimal(r), ok
	}),
	"power": withNumber(func(ev *Evaluator, v Value, d, exponent decimal.Decimal) (Value, bool) {
		if !ev.spend(costSeries) {
			return Value{}, false
		}
		r, ok := d.Power(exponent)
		if n, whole := r.Int64(); ok && v.systemKind() == KindInteger && whole && exponent.IsInt() && int64(int32(n)) == n {
			return Integer(n), true
		}
		return ev.newDecimal(r), ok
	}),
	"round": scalar(0, 1, static{}, func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		d, ok := ev.needNumber(e, v)
		if !ok {
			return Value{}, false
		}
		places := int64(0)
		if args[0].kind != KindNone {
			if places, ok = ev.needInteger(e, args[0]); !ok {
				return Value{}, false
			}
			if places < 0 || places > 1000 {
				ev.fail(e, "round to %d places; expected 0 to 1000", places)
				return Value{}, false
			}
		}
		return ev.like(v, d.Round(int(places))), true
	}),
	"sum": aggregateNumbers(opPlus),
	"min": extreme(-1),
	"max": extreme(1),
	"avg": {0, 0, buildAverage},
}

// needNumber gives the number that v is, or that a quantity has.
func (ev *Evaluator) needNumber(e *expr, v Value) (decimal.Decimal, bool) {
	if d, ok := ev.number(v); ok {
		return d, true
	}
	if q, ok := ev.quantityOf(v); ok {
		return q.dec, true
	}
	if k := v.systemKind(); !numeric(k) && k != KindQuantity {
		ev.fail(e, "function %s cannot take %s; expected a number", e.Name, v.TypeName())
	}
	return decimal.Decimal{}, false
}

// like gives d as a value of v's kind.
func (ev *Evaluator) like(v Value, d decimal.Decimal) Value {
	switch kind := v.systemKind(); kind {
	case KindInteger, KindLong:
		if n, ok := d.Int64(); ok {
			return Value{kind: kind, num: n}
		}
	case KindQuantity:
		if q, ok := ev.quantityOf(v); ok {
			q.dec = d
			return ev.newQuantity(q)
		}
	}
	return ev.newDecimal(d)
}

func onNumber(f func(ev *Evaluator, v Value, d decimal.Decimal) (Value, bool)) function {
	return scalar(0, 0, static{}, func(ev *Evaluator, e *expr, v Value, _ [3]Value) (Value, bool) {
		d, ok := ev.needNumber(e, v)
		if !ok {
			return Value{}, false
		}
		return f(ev, v, d)
	})
}

func toInteger(f func(decimal.Decimal) decimal.Decimal) function {
	return onNumber(func(ev *Evaluator, v Value, d decimal.Decimal) (Value, bool) {
		r := f(d)
		if v.systemKind() == KindQuantity {
			return ev.like(v, r), true
		}
		n, ok := r.Int64()
		return Integer(n), ok && int64(int32(n)) == n
	})
}

func toDecimal(f func(decimal.Decimal) (decimal.Decimal, bool)) function {
	return onNumber(func(ev *Evaluator, _ Value, d decimal.Decimal) (Value, bool) {
		if !ev.spend(costSeries) {
			return Value{}, false
		}
		r, ok := f(d)
		return ev.newDecimal(r), ok
	})
}

func withNumber(f func(ev *Evaluator, v Value, d, arg decimal.Decimal) (Value, bool)) function {
	return scalar(1, 1, static{}, func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		d, ok := ev.needNumber(e, v)
		if !ok {
			return Value{}, false
		}
		arg, ok := ev.needNumber(e, args[0])
		if !ok {
			return Value{}, false
		}
		return f(ev, v, d, arg)
	})
}

// aggregateNumbers makes sum: the items one after the other through an operator;
// empty for none.
func aggregateNumbers(op opKind) function {
	return function{0, 0, func(_ *compiler, e *expr, input *plan) *plan {
		add := *e
		add.Op = op
		return fold(e, input, func(ev *Evaluator, a, b Value) (Value, bool) { return ev.arithmetic(&add, a, b) })
	}}
}

// extreme makes min (-1) and max (1).
func extreme(sign int) function {
	return function{0, 0, func(_ *compiler, e *expr, input *plan) *plan {
		return fold(e, input, func(ev *Evaluator, a, b Value) (Value, bool) {
			c, known := ev.order(e, b, a)
			if !known {
				return Value{}, false
			}
			if c == sign {
				return b, true
			}
			return a, true
		})
	}}
}

func fold(e *expr, input *plan, f func(ev *Evaluator, a, b Value) (Value, bool)) *plan {
	return fromGetter(e, static{}, func() getter {
		gather := input.gather()
		return func(ev *Evaluator) (Value, bool) { return ev.fold(gather(ev), f) }
	})
}

// fold takes the items from an index on off the stack, one after the other through
// f; empty for none.
func (ev *Evaluator) fold(from int, f func(ev *Evaluator, a, b Value) (Value, bool)) (Value, bool) {
	items := ev.items[from:]
	ev.items = ev.items[:from]
	if ev.err != nil || len(items) == 0 {
		return Value{}, false
	}
	result, ok := items[0], true
	for _, v := range items[1:] {
		if result, ok = f(ev, result, v); !ok {
			return Value{}, false
		}
	}
	return result, true
}

func buildAverage(_ *compiler, e *expr, input *plan) *plan {
	add, divide := *e, *e
	add.Op, divide.Op = opPlus, opDivide
	return fromGetter(e, static{}, func() getter {
		gather := input.gather()
		return func(ev *Evaluator) (Value, bool) {
			from := gather(ev)
			n := int64(len(ev.items) - from)
			sum, ok := ev.fold(from, func(ev *Evaluator, a, b Value) (Value, bool) { return ev.arithmetic(&add, a, b) })
			if !ok {
				return Value{}, false
			}
			return ev.arithmetic(&divide, sum, Integer(n))
		}
	})
}
