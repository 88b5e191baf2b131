package fhirpath

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// timeFunctions are those of dates and times (N1, 5.9.2, and FHIRPath 2.0 ballot),
// and of precision, which numbers have too.
var timeFunctions = map[string]function{
	"now":       clock(temporal.DateTime),
	"today":     clock(temporal.Date),
	"timeOfDay": clock(temporal.Time),

	"lowBoundary": scalar(0, 1, static{}, func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		return ev.boundary(e, v, args[0], decimal.Decimal.LowBoundary, temporal.Value.LowBoundary)
	}),
	"highBoundary": scalar(0, 1, static{}, func(ev *Evaluator, e *expr, v Value, args [3]Value) (Value, bool) {
		return ev.boundary(e, v, args[0], decimal.Decimal.HighBoundary, temporal.Value.HighBoundary)
	}),
	"precision": scalar(0, 0, integerResult, func(ev *Evaluator, e *expr, v Value, _ [3]Value) (Value, bool) {
		if t, ok := ev.temporalOf(v); ok {
			return Integer(int64(t.Digits())), true
		}
		d, ok := ev.needNumber(e, v)
		return Integer(int64(d.Places())), ok
	}),

	"yearOf":        component(temporal.Year, temporal.Value.Year),
	"monthOf":       component(temporal.Month, temporal.Value.Month),
	"dayOf":         component(temporal.Day, temporal.Value.Day),
	"hourOf":        component(temporal.Hour, temporal.Value.Hour),
	"minuteOf":      component(temporal.Minute, temporal.Value.Minute),
	"secondOf":      component(temporal.Second, temporal.Value.Second),
	"millisecondOf": component(temporal.Millisecond, temporal.Value.Millisecond),
	"dateOf": onTime(system(KindDate), func(ev *Evaluator, t temporal.Value) (Value, bool) {
		d, ok := t.ToDate()
		return ev.newTemporal(d), ok
	}),
	"timeOf": onTime(system(KindTime), func(ev *Evaluator, t temporal.Value) (Value, bool) {
		_, text, ok := bytes.Cut(t.Append(nil), []byte{'T'})
		if i := bytes.IndexAny(text, "Z+-"); i >= 0 {
			text = text[:i]
		}
		t, isTime := temporal.Parse(temporal.Time, text)
		return ev.newTemporal(t), ok && isTime
	}),
	"timezoneOffsetOf": onTime(system(KindDecimal), func(ev *Evaluator, t temporal.Value) (Value, bool) {
		hours, ok := decimal.FromInt(int64(t.Offset())).Quo(decimal.FromInt(60))
		return ev.newDecimal(hours), ok && t.HasZone()
	}),
}

func clock(kind temporal.Kind) function {
	return function{0, 0, func(_ *compiler, e *expr, _ *plan) *plan {
		return fromGetter(e, system(kindOfTime(kind)), func() getter {
			return func(ev *Evaluator) (Value, bool) { return ev.newTemporal(temporal.FromTime(ev.Now(), kind)), true }
		})
	}}
}

// boundary is the least or greatest value that v may stand for at a precision:
// digits after the point of a number, digits of a date or time.
func (ev *Evaluator) boundary(e *expr, v, precision Value,
	number func(decimal.Decimal, int) (decimal.Decimal, bool), time func(temporal.Value, int) (temporal.Value, bool),
) (Value, bool) {
	want := int64(-1)
	given := precision.kind != KindNone
	if given {
		var ok bool
		if want, ok = ev.needInteger(e, precision); !ok || want < 0 || want > 1000 {
			return Value{}, false
		}
	}
	if t, ok := ev.temporalOf(v); ok {
		if !given {
			want = int64(t.BoundaryDigits())
		}
		r, ok := time(t, int(want))
		return ev.newTemporal(r), ok
	}
	d, ok := ev.needNumber(e, v)
	if !ok {
		return Value{}, false
	}
	if !given {
		want = int64(d.BoundaryPlaces())
	}
	r, ok := number(d, int(want))
	if q, isQuantity := ev.quantityOf(v); ok && isQuantity && v.systemKind() == KindQuantity {
		q.dec = r
		return ev.newQuantity(q), true
	}
	return ev.newDecimal(r), ok
}

func onTime(result static, f func(ev *Evaluator, t temporal.Value) (Value, bool)) function {
	return scalar(0, 0, result, func(ev *Evaluator, e *expr, v Value, _ [3]Value) (Value, bool) {
		t, ok := ev.temporalOf(v)
		if !ok {
			if !datelike(v.systemKind()) && v.systemKind() != KindTime {
				ev.fail(e, "function %s cannot take %s; expected a date or time", e.Name, v.TypeName())
			}
			return Value{}, false
		}
		return f(ev, t)
	})
}

// component gives a part of a date or time, empty where its precision ends before.
func component(precision temporal.Precision, part func(temporal.Value) int) function {
	return onTime(integerResult, func(_ *Evaluator, t temporal.Value) (Value, bool) {
		ok := t.Precision() >= precision && (t.Kind() != temporal.Time || precision >= temporal.Hour)
		return Integer(int64(part(t))), ok
	})
}
