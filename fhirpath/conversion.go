package fhirpath

import (
	"bytes"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// conversionFunctions are toX and convertsToX (N1, 5.5).
var conversionFunctions = func() map[string]function {
	m := map[string]function{
		"toQuantity":         {0, 1, buildToQuantity},
		"convertsToQuantity": {0, 1, buildConvertsToQuantity},
	}
	for kind, f := range map[Kind]func(ev *Evaluator, v Value) (Value, bool){
		KindBoolean:  (*Evaluator).toBoolean,
		KindInteger:  (*Evaluator).toInteger,
		KindLong:     (*Evaluator).toLong,
		KindDecimal:  (*Evaluator).toDecimal,
		KindString:   (*Evaluator).toText,
		KindDate:     func(ev *Evaluator, v Value) (Value, bool) { return ev.toTemporal(v, temporal.Date) },
		KindDateTime: func(ev *Evaluator, v Value) (Value, bool) { return ev.toTemporal(v, temporal.DateTime) },
		KindTime:     func(ev *Evaluator, v Value) (Value, bool) { return ev.toTemporal(v, temporal.Time) },
	} {
		m["to"+kindNames[kind]] = scalar(0, 0, system(kind), func(ev *Evaluator, _ *expr, v Value, _ [3]Value) (Value, bool) {
			return f(ev, v)
		})
		m["convertsTo"+kindNames[kind]] = scalar(0, 0, booleanResult, func(ev *Evaluator, _ *expr, v Value, _ [3]Value) (Value, bool) {
			_, ok := f(ev, v)
			return Boolean(ok), true
		})
	}
	return m
}()

func (ev *Evaluator) toBoolean(v Value) (Value, bool) {
	switch kind := v.systemKind(); {
	case kind == KindBoolean:
		b, ok := v.Boolean()
		return Boolean(b), ok
	case numeric(kind):
		d, ok := ev.number(v)
		one, zero := d.Cmp(decimal.FromInt(1)) == 0, d.Sign() == 0
		return Boolean(one), ok && (one || zero)
	}
	s, _ := ev.stringOf(v)
	switch strings.ToLower(string(s)) {
	case "true", "t", "yes", "y", "1", "1.0":
		return Boolean(true), true
	case "false", "f", "no", "n", "0", "0.0":
		return Boolean(false), true
	}
	return Value{}, false
}

func (ev *Evaluator) toInteger(v Value) (Value, bool) {
	r, ok := ev.toLong(v)
	r.kind = KindInteger
	return r, ok && int64(int32(r.num)) == r.num
}

func (ev *Evaluator) toLong(v Value) (Value, bool) {
	if n, ok := ev.integer(v); ok {
		return Value{kind: KindLong, num: n}, true
	}
	if b, ok := v.Boolean(); ok {
		return Value{kind: KindLong, num: Boolean(b).num}, true
	}
	if v.systemKind() != KindString {
		return Value{}, false
	}
	s, _ := ev.stringOf(v)
	digits := bytes.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || len(digits) == 0 || len(bytes.Trim(digits, "0123456789")) > 0 {
		return Value{}, false
	}
	n, ok := parseInt(string(s))
	return Value{kind: KindLong, num: n}, ok
}

func (ev *Evaluator) toDecimal(v Value) (Value, bool) {
	if d, ok := ev.number(v); ok {
		return ev.newDecimal(d), true
	}
	if b, ok := v.Boolean(); ok {
		return ev.newDecimal(decimal.FromInt(Boolean(b).num)), true
	}
	if v.systemKind() != KindString {
		return Value{}, false
	}
	s, _ := ev.stringOf(v)
	d, ok := textDecimal(s)
	return ev.newDecimal(d), ok
}

// textDecimal reads (\+|-)?\d+(\.\d+)?, without an exponent.
func textDecimal(s []byte) (decimal.Decimal, bool) {
	s = bytes.TrimPrefix(s, []byte("+"))
	if bytes.ContainsAny(s, "eE+") {
		return decimal.Decimal{}, false
	}
	sign := bytes.HasPrefix(s, []byte("-"))
	s = bytes.TrimPrefix(s, []byte("-"))
	for len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		s = s[1:] // a number of JSON has no zeros in front
	}
	d, ok := decimal.Parse(s)
	if sign {
		d = d.Neg()
	}
	return d, ok
}

func (ev *Evaluator) toText(v Value) (Value, bool) {
	if v.kind == KindString {
		return v, true
	}
	if q, ok := ev.quantityOf(v); ok && v.systemKind() == KindQuantity {
		return ev.madeString(ev.newQuantity(q).AppendString(nil))
	}
	if !v.HasValue() || v.systemKind() == KindNone {
		return Value{}, false
	}
	return ev.madeString(v.AppendString(nil))
}

func (ev *Evaluator) toTemporal(v Value, kind temporal.Kind) (Value, bool) {
	if t, ok := ev.temporalOf(v); ok {
		switch {
		case t.Kind() == kind:
		case kind == temporal.Date && t.Kind() == temporal.DateTime:
			t, ok = t.ToDate()
		case kind == temporal.DateTime && t.Kind() == temporal.Date:
			t, ok = t.ToDateTime()
		default:
			ok = false
		}
		return ev.newTemporal(t), ok
	}
	if v.systemKind() != KindString {
		return Value{}, false
	}
	s, ok := ev.stringOf(v)
	if !ok {
		return Value{}, false
	}
	t, ok := temporal.Parse(kind, s)
	if !ok && kind == temporal.Date {
		if t, ok = temporal.Parse(temporal.DateTime, s); ok {
			t, ok = t.ToDate()
		}
	}
	return ev.newTemporal(t), ok
}

// toQuantity converts a number, a boolean, or a text such as `4.5 'mg'` and `4 days`.
func (ev *Evaluator) toQuantity(v Value) (quantity, bool) {
	if q, ok := ev.quantityOf(v); ok {
		return q, true
	}
	if b, ok := v.Boolean(); ok {
		return quantity{dec: decimal.FromInt(Boolean(b).num), unit: unity}, true
	}
	if v.systemKind() != KindString {
		return quantity{}, false
	}
	s, _ := ev.stringOf(v)
	number, unit, _ := bytes.Cut(s, []byte(" "))
	unit = bytes.TrimLeft(unit, " \t\r\n")
	if i := bytes.IndexByte(number, '\''); i > 0 {
		number, unit = s[:i], s[i:]
	}
	d, ok := textDecimal(number)
	if !ok {
		return quantity{}, false
	}
	switch n := len(unit); {
	case n == 0:
		return quantity{dec: d, unit: unity}, true
	case n > 2 && unit[0] == '\'' && unit[n-1] == '\'':
		code := unit[1 : n-1]
		return quantity{dec: d, unit: code}, ucum.Valid(code)
	}
	_, ok = temporal.UnitByName(string(unit))
	return quantity{dec: d, unit: unit, calendar: true}, ok
}

// quantityArgument is the conversion to the unit that the argument names.
func (ev *Evaluator) quantityArgument(e *expr, v Value, args [3]Value) (Value, bool) {
	q, ok := ev.toQuantity(v)
	if !ok {
		return Value{}, false
	}
	if len(e.Args) == 1 {
		text, ok := ev.needText(e, args[0])
		if !ok {
			return Value{}, false
		}
		to := quantity{unit: bytes.Trim(text, "'")}
		_, to.calendar = temporal.UnitByName(string(to.unit))
		d, ok := convertDefinite(q, to)
		if !ok {
			return Value{}, false
		}
		to.dec = d
		q = to
	}
	return ev.newQuantity(q), true
}

func buildToQuantity(c *compiler, e *expr, input *plan) *plan {
	return scalar(0, 1, system(KindQuantity), (*Evaluator).quantityArgument).build(c, e, input)
}

func buildConvertsToQuantity(c *compiler, e *expr, input *plan) *plan {
	return scalar(0, 1, booleanResult, func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		_, ok := ev.quantityArgument(e, v, args)
		return Boolean(ok), ev.err == nil
	}).build(c, e, input)
}
