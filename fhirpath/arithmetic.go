package fhirpath

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// compileArithmetic compiles + - * / div mod & (N1, 6.6).
func (c *compiler) compileArithmetic(e *expr) *plan {
	a, b := c.scoped(e.Args[0]), c.scoped(e.Args[1])
	if e.Op == opConcat {
		return c.concat(e, a, b)
	}
	if a.empty || b.empty {
		return nothing(e)
	}
	s := static{}
	if a.only(KindInteger) && b.only(KindInteger) && e.Op != opDivide {
		s = system(KindInteger)
	}
	return fromGetter(e, s, func() getter {
		x, y := a.get(), b.get()
		return func(ev *Evaluator) (Value, bool) {
			v, ok := x(ev)
			if ev.err != nil {
				return Value{}, false
			}
			w, ok2 := y(ev)
			if !ok || !ok2 {
				return Value{}, false
			}
			return ev.arithmetic(e, v, w)
		}
	})
}

// concat is &: an empty operand is the empty string (N1, 6.6.7).
func (c *compiler) concat(e *expr, a, b *plan) *plan {
	return fromGetter(e, system(KindString), func() getter {
		x, y := a.get(), b.get()
		return func(ev *Evaluator) (Value, bool) {
			v, _ := x(ev)
			if ev.err != nil {
				return Value{}, false
			}
			w, _ := y(ev)
			if ev.err != nil {
				return Value{}, false
			}
			n, ok := ev.reserve(v.textSize() + w.textSize())
			if !ok {
				return Value{}, false
			}
			ev.text = w.AppendString(v.AppendString(ev.text))
			return ev.newString(ev.textFrom(n)), true
		}
	})
}

func (ev *Evaluator) arithmetic(e *expr, a, b Value) (Value, bool) {
	ka, kb := a.systemKind(), b.systemKind()
	switch {
	case numeric(ka) && numeric(kb):
		return ev.numberArithmetic(e, a, b, ka, kb)
	case e.Op == opPlus && ka == KindString && kb == KindString:
		x, ok := ev.stringOf(a)
		y, ok2 := ev.stringOf(b)
		if !ok || !ok2 {
			return Value{}, false
		}
		n, ok := ev.reserve(len(x) + len(y))
		if !ok {
			return Value{}, false
		}
		ev.text = append(append(ev.text, x...), y...)
		return ev.newString(ev.textFrom(n)), true
	case (datelike(ka) || ka == KindTime) && kb == KindQuantity && (e.Op == opPlus || e.Op == opMinus):
		return ev.shiftTime(e, a, b)
	case ka == KindQuantity || kb == KindQuantity:
		x, ok := ev.quantityOf(a)
		y, ok2 := ev.quantityOf(b)
		if ok && ok2 {
			return ev.quantityArithmetic(e, x, y)
		}
		if (ka == KindQuantity || numeric(ka)) && (kb == KindQuantity || numeric(kb)) {
			return Value{}, false
		}
	}
	ev.fail(e, "'%s' cannot take %s and %s", opNames[e.Op], a.TypeName(), b.TypeName())
	return Value{}, false
}

var opNames = map[opKind]string{
	opPlus: "+", opMinus: "-", opTimes: "*", opDivide: "/", opDiv: "div", opMod: "mod",
}

func (ev *Evaluator) numberArithmetic(e *expr, a, b Value, ka, kb Kind) (Value, bool) {
	if ka != KindDecimal && kb != KindDecimal && e.Op != opDivide {
		x, ok := ev.integer(a)
		y, ok2 := ev.integer(b)
		if !ok || !ok2 {
			return Value{}, false
		}
		kind := KindInteger
		if ka == KindLong || kb == KindLong {
			kind = KindLong
		}
		return integerArithmetic(e.Op, kind, x, y)
	}
	x, ok := ev.number(a)
	y, ok2 := ev.number(b)
	if !ok || !ok2 || !ev.spend(costArithmetic) {
		return Value{}, false
	}
	d, ok := decimalArithmetic(e.Op, x, y)
	if !ok {
		return Value{}, false
	}
	if e.Op == opDiv {
		n, fits := d.Int64()
		return Value{kind: KindInteger, num: n}, fits && int64(int32(n)) == n
	}
	return ev.newDecimal(d), true
}

// integerArithmetic gives empty for what does not fit (N1, 6.6).
func integerArithmetic(op opKind, kind Kind, x, y int64) (Value, bool) {
	var n int64
	ok := true
	switch op {
	case opPlus:
		n = x + y
		ok = (n > x) == (y > 0)
	case opMinus:
		n = x - y
		ok = (n < x) == (y > 0)
	case opTimes:
		n = x * y
		ok = x == 0 || n/x == y && (x != -1 || y != -1<<63)
	case opDiv, opMod:
		switch {
		case y == 0:
			return Value{}, false
		case y == -1 && op == opDiv:
			n, ok = -x, x != -1<<63
		case y == -1:
			n = 0
		case op == opDiv:
			n = x / y
		default:
			n = x % y
		}
	}
	if kind == KindInteger && int64(int32(n)) != n {
		ok = false
	}
	return Value{kind: kind, num: n}, ok
}

func decimalArithmetic(op opKind, x, y decimal.Decimal) (decimal.Decimal, bool) {
	switch op {
	case opPlus:
		return x.Add(y)
	case opMinus:
		return x.Sub(y)
	case opTimes:
		return x.Mul(y)
	case opDivide:
		return x.Quo(y)
	case opDiv:
		return x.Div(y)
	}
	return x.Mod(y)
}

// quantityArithmetic adds in the finer of the two units, and multiplies units (N1,
// 6.6.1 to 6.6.4).
func (ev *Evaluator) quantityArithmetic(e *expr, x, y quantity) (Value, bool) {
	if !ev.spend(costUnits) {
		return Value{}, false
	}
	switch e.Op {
	case opPlus, opMinus:
		x, y, ok := inFinerUnit(x, y)
		if !ok {
			return Value{}, false
		}
		d, ok := decimalArithmetic(e.Op, x.dec, y.dec)
		x.dec = d
		return ev.newQuantity(x), ok
	case opTimes, opDivide:
		d, ok := decimalArithmetic(e.Op, x.dec, y.dec)
		if !ok {
			return Value{}, false
		}
		x.dec, y.dec = d, d
		switch {
		case y.isNumber():
			return ev.newQuantity(x), true
		case x.isNumber() && e.Op == opTimes:
			return ev.newQuantity(y), true
		}
		u, ok := x.ucumCode(false)
		w, ok2 := y.ucumCode(false)
		if !ok || !ok2 || len(u)+len(w) > maxUnit || !ucum.Valid(u) || !ucum.Valid(w) {
			return Value{}, false
		}
		join := ucum.AppendProduct
		if e.Op == opDivide {
			join = ucum.AppendQuotient
		}
		return ev.newQuantity(quantity{dec: d, unit: join(nil, u, w)}), true
	}
	ev.fail(e, "'%s' cannot take quantities", opNames[e.Op])
	return Value{}, false
}

// maxUnit is how long the code of a product of units may be.
const maxUnit = 1000

// isNumber tells whether multiplying by q leaves the other's unit as it is.
func (q *quantity) isNumber() bool { return bytes.Equal(q.unit, unity) && !q.calendar && !q.opaque }

// inFinerUnit converts one of two quantities to the unit of the other, so that
// both have the finer one.
func inFinerUnit(x, y quantity) (a, b quantity, ok bool) {
	if x.sameUnit(&y) {
		return x, y, true
	}
	one := func(q quantity) quantity {
		q.dec = decimal.FromInt(1)
		return q
	}
	c, known := compareQuantities(one(x), one(y), false)
	if !known {
		return x, y, false
	}
	if c > 0 {
		x.dec, ok = convertDefinite(x, y)
		x.unit, x.calendar = y.unit, y.calendar
		return x, y, ok
	}
	y.dec, ok = convertDefinite(y, x)
	return x, y, ok
}

// convertDefinite gives the amount of q in the unit of another quantity. Calendar
// years and months convert to one another only.
func convertDefinite(q, to quantity) (decimal.Decimal, bool) {
	if q.sameUnit(&to) {
		return q.dec, true
	}
	if q.calendar && to.calendar {
		u, ok := temporal.UnitByName(string(q.unit))
		w, ok2 := temporal.UnitByName(string(to.unit))
		if ok && ok2 && u == temporal.Years && w == temporal.Months {
			return inMonths(q.dec, u)
		}
	}
	u, ok := q.ucumCode(false)
	w, ok2 := to.ucumCode(false)
	if !ok || !ok2 {
		return decimal.Decimal{}, false
	}
	return ucum.Convert(q.dec, u, w)
}

// shiftTime adds a duration to a date or time (N1, 6.7): a calendar duration, or
// one in UCUM seconds, minutes, hours, days or weeks, which are the same.
func (ev *Evaluator) shiftTime(e *expr, a, b Value) (Value, bool) {
	t, ok := ev.temporalOf(a)
	q, ok2 := ev.quantityOf(b)
	if !ok || !ok2 {
		return Value{}, false
	}
	unit, ok := durationUnit(q)
	if !ok {
		ev.fail(e, "'%s' is no duration that a date or time can be moved by; expected a calendar duration or the unit wk, d, h, min, s or ms", q.unit)
		return Value{}, false
	}
	d := q.dec
	if unit == temporal.Seconds && !q.calendar {
		// The official suite drops the fraction of a UCUM second; N1 only says so
		// of the longer units, whose fractions Add drops.
		d = d.Truncate()
	}
	if e.Op == opMinus {
		d = d.Neg()
	}
	r, ok := t.Add(d, unit)
	if !ok {
		return Value{}, false
	}
	return ev.newTemporal(r), true
}

// durationUnit gives the unit that a quantity moves a date or time by. The name of
// a calendar duration may stand between quotes.
func durationUnit(q quantity) (temporal.Unit, bool) {
	if u, ok := temporal.UnitByName(string(q.unit)); ok {
		return u, true
	}
	u, ok := temporal.UnitByUCUM(string(q.unit))
	return u, ok && !q.opaque
}

// compileUnary compiles the signs, which bind less tightly than a path. The
// least number of a range has its sign in the literal.
func (c *compiler) compileUnary(e *expr) *plan {
	operand := e.Args[0]
	if e.Op == opMinus && operand.Kind == exprLiteral && (operand.Lit == litInteger || operand.Lit == litLong) {
		return constant(e, c.integer(operand, "-"+operand.Text))
	}
	a := c.scoped(operand)
	return fromGetter(e, a.static, func() getter {
		x := a.get()
		return func(ev *Evaluator) (Value, bool) {
			v, ok := x(ev)
			if !ok {
				return Value{}, false
			}
			return ev.signed(e, v)
		}
	})
}

func (ev *Evaluator) signed(e *expr, v Value) (Value, bool) {
	kind := v.systemKind()
	switch {
	case kind == KindInteger || kind == KindLong:
		n, ok := ev.integer(v)
		if !ok || e.Op != opMinus {
			return Value{kind: kind, num: n}, ok
		}
		return integerArithmetic(opMinus, kind, 0, n)
	case kind == KindDecimal:
		d, ok := ev.number(v)
		if e.Op == opMinus {
			d = d.Neg()
		}
		return ev.newDecimal(d), ok
	case kind == KindQuantity:
		q, ok := ev.quantityOf(v)
		if e.Op == opMinus {
			q.dec = q.dec.Neg()
		}
		return ev.newQuantity(q), ok
	}
	ev.fail(e, "%s has no sign; expected a number or a quantity", v.TypeName())
	return Value{}, false
}
