package fhirpath

import (
	"bytes"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// The values of primitive elements and of Quantities convert to System types where
// an operator or a function wants one (FHIR R4, FHIRPath).

// systemKinds gives, by primitive, the System type that it converts to.
var systemKinds = [...]Kind{
	r4.PrimitiveNone:         KindNone,
	r4.PrimitiveBoolean:      KindBoolean,
	r4.PrimitiveInteger:      KindInteger,
	r4.PrimitiveUnsignedInt:  KindInteger,
	r4.PrimitivePositiveInt:  KindInteger,
	r4.PrimitiveDecimal:      KindDecimal,
	r4.PrimitiveString:       KindString,
	r4.PrimitiveMarkdown:     KindString,
	r4.PrimitiveCode:         KindString,
	r4.PrimitiveID:           KindString,
	r4.PrimitiveURI:          KindString,
	r4.PrimitiveURL:          KindString,
	r4.PrimitiveCanonical:    KindString,
	r4.PrimitiveOID:          KindString,
	r4.PrimitiveUUID:         KindString,
	r4.PrimitiveBase64Binary: KindString,
	r4.PrimitiveDate:         KindDate,
	r4.PrimitiveDateTime:     KindDateTime,
	r4.PrimitiveInstant:      KindDateTime,
	r4.PrimitiveTime:         KindTime,
	r4.PrimitiveXHTML:        KindString,
}

// systemKind gives the kind of the System value that v is or converts to;
// KindNone when it converts to none.
func (v Value) systemKind() Kind {
	if v.kind != KindNode {
		return v.kind
	}
	return systemKindOf(v.typ)
}

func systemKindOf(t r4.TypeID) Kind { return kindsByType[t] }

// kindsByType has what systemKindOf gives.
var kindsByType = func() []Kind {
	kinds := make([]Kind, r4.NumTypes())
	for i := range kinds {
		t := r4.TypeID(i)
		if d := r4.TypeAt(t); d.Kind == r4.KindPrimitive {
			kinds[i] = systemKinds[d.Primitive]
		} else if derives(t, r4.TypeQuantity) {
			kinds[i] = KindQuantity
		}
	}
	return kinds
}()

// integer gives the value of an Integer or Long.
func (ev *Evaluator) integer(v Value) (int64, bool) {
	switch v.kind {
	case KindInteger, KindLong:
		return v.num, true
	case KindNode:
		if v.systemKind() == KindInteger && v.HasValue() {
			return parseInt(string(v.tree.Raw(v.node)))
		}
	}
	return 0, false
}

// number gives the value of an Integer, Long or Decimal.
func (ev *Evaluator) number(v Value) (decimal.Decimal, bool) {
	switch v.kind {
	case KindInteger, KindLong:
		return decimal.FromInt(v.num), true
	case KindDecimal:
		return v.data.dec, ev.spend(costDecimal)
	case KindNode:
		if v.tree.Nodes[v.node].Kind == fhir.KindNumber {
			text := v.tree.Raw(v.node)
			if len(text) > 20 && !ev.spend(len(text)) {
				return decimal.Decimal{}, false
			}
			return decimal.Parse(text)
		}
	}
	return decimal.Decimal{}, false
}

// temporalOf gives the value of a Date, DateTime or Time.
func (ev *Evaluator) temporalOf(v Value) (temporal.Value, bool) {
	switch v.kind {
	case KindDate, KindDateTime, KindTime:
		return v.data.time, true
	case KindNode:
		var kind temporal.Kind
		switch systemKindOf(v.typ) {
		case KindDate:
			kind = temporal.Date
		case KindDateTime:
			kind = temporal.DateTime
		case KindTime:
			kind = temporal.Time
		default:
			return temporal.Value{}, false
		}
		text, ok := ev.stringOf(v)
		if !ok {
			return temporal.Value{}, false
		}
		return temporal.Parse(kind, text)
	}
	return temporal.Value{}, false
}

// quantity is the value of a System.Quantity.
type quantity struct {
	dec      decimal.Decimal
	unit     []byte
	calendar bool // unit is a calendar duration: year, months ...
	opaque   bool // unit is of no system that is known, or only a text
}

// sameUnit tells whether two units are written alike, whatever their system.
func (q *quantity) sameUnit(r *quantity) bool {
	return bytes.Equal(q.unit, r.unit) && q.calendar == r.calendar
}

var (
	ucumSystem = []byte("http://unitsofmeasure.org")
	unity      = []byte("1")
)

// quantityOf gives the value of a Quantity. Numbers are quantities of unit 1.
func (ev *Evaluator) quantityOf(v Value) (quantity, bool) {
	if v.kind == KindQuantity {
		return quantity{v.data.dec, v.data.text, v.data.calendar, v.data.opaque}, true
	}
	if d, ok := ev.number(v); ok {
		return quantity{dec: d, unit: unity}, true
	}
	if v.kind != KindNode || !derives(v.typ, r4.TypeQuantity) {
		return quantity{}, false
	}
	return ev.elementQuantity(v)
}

// elementQuantity reads a FHIR Quantity. One with a comparator is no single value
// and does not convert.
func (ev *Evaluator) elementQuantity(v Value) (quantity, bool) {
	var q quantity
	var code, unit, sys []byte
	found := false
	t := v.tree
	for c := t.FirstChild(v.node); c != fhir.NoNode; c = t.NextSibling(v.node, c) {
		nd := &t.Nodes[c]
		if nd.Element == 0 || nd.Flags&fhir.FlagTwin != 0 {
			continue
		}
		w := Value{kind: KindNode, tree: t, node: c, typ: nd.Type}
		switch r4.ElementAt(nd.Element).Name {
		case "value":
			q.dec, found = ev.number(w)
		case "comparator":
			return q, false
		case "unit":
			unit, _ = ev.stringOf(w)
		case "code":
			code, _ = ev.stringOf(w)
		case "system":
			sys, _ = ev.stringOf(w)
		}
	}
	switch {
	case bytes.Equal(sys, ucumSystem) && code != nil:
		q.unit = code
	case code == nil && unit == nil:
		q.unit = unity
	case code != nil:
		q.unit, q.opaque = code, true
	default:
		q.unit, q.opaque = unit, true
	}
	return q, found
}

func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
