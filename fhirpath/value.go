package fhirpath

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// Kind tells what a Value is.
type Kind uint8

// The kinds of values. Those from KindBoolean to KindQuantity are values of the
// types of the same name in the namespace System.
const (
	KindNone     Kind = iota
	KindNode          // an element of a tree: a FHIR type
	KindBoolean       //
	KindInteger       //
	KindLong          //
	KindDecimal       //
	KindString        //
	KindDate          //
	KindDateTime      //
	KindTime          //
	KindQuantity      //
	KindTypeInfo      // what type() gives
)

var kindNames = [...]string{
	"", "", "Boolean", "Integer", "Long", "Decimal", "String", "Date", "DateTime", "Time", "Quantity", "TypeInfo",
}

// Value is one item of a collection. It belongs to the Evaluator that made it and
// is valid until its next evaluation. The zero Value is no item.
//
// A primitive element that has an id or extensions but no value is a node too:
// its node is then its twin.
type Value struct {
	tree   *fhir.Tree  // of a node
	data   *datum      // what does not fit here: text, decimal, temporal, quantity
	num    int64       // boolean (0, 1), integer, long
	node   fhir.NodeID // of a node: itself, or its twin when it has no value
	parent fhir.NodeID // of a node: the object that holds it, where its twin lies; NoNode for a root
	kind   Kind
	typ    r4.TypeID // of a node
}

// datum holds the value of a String, Decimal, Date, DateTime, Time, Quantity or
// TypeInfo. It is immutable once its Value is handed on.
type datum struct {
	text     []byte          // String; UCUM code or calendar unit of a Quantity; namespace of a TypeInfo
	name     string          // of a TypeInfo
	dec      decimal.Decimal // Decimal, Quantity
	time     temporal.Value  // Date, DateTime, Time
	calendar bool            // the unit of the Quantity is a calendar duration
	opaque   bool            // the unit of the Quantity is not one of UCUM
}

// Kind gives the kind of v.
func (v Value) Kind() Kind { return v.kind }

// Node gives the element that v is; the tree is nil when it is none. Where
// [Value.HasValue] is false for a primitive, the node is its `_` twin.
func (v Value) Node() (*fhir.Tree, fhir.NodeID) {
	if v.kind != KindNode {
		return nil, fhir.NoNode
	}
	return v.tree, v.node
}

// Type gives the FHIR type of an element, 0 for values of System types.
func (v Value) Type() r4.TypeID { return v.typ }

// TypeName gives the qualified name of the type: FHIR.code, System.Integer.
func (v Value) TypeName() string {
	switch {
	case v.kind == KindNode:
		return "FHIR." + typeName(v.typ)
	case v.kind == KindNone:
		return ""
	}
	return "System." + kindNames[v.kind]
}

// typeName is the name of a FHIR type for type(): that of a backbone element is
// BackboneElement, since its own has no name in the specification.
func typeName(t r4.TypeID) string {
	if r4.TypeAt(t).Kind == r4.KindBackbone {
		if base := r4.TypeAt(t).Base; base != 0 {
			return base.String()
		}
	}
	return t.String()
}

// HasValue tells whether v is a value of a System type or a primitive element
// that has one (FHIR R4, FHIRPath: hasValue).
func (v Value) HasValue() bool {
	switch v.kind {
	case KindNone, KindTypeInfo:
		return false
	case KindNode:
		k := v.tree.Nodes[v.node].Kind
		return k >= fhir.KindString
	}
	return true
}

// Boolean gives the value of a boolean; ok is false for anything else.
func (v Value) Boolean() (value, ok bool) {
	switch v.kind {
	case KindBoolean:
		return v.num != 0, true
	case KindNode:
		switch v.tree.Nodes[v.node].Kind {
		case fhir.KindTrue:
			return true, true
		case fhir.KindFalse:
			return false, true
		}
	}
	return false, false
}

// AppendString appends what toString() gives (N1, 5.5.8): the value of a
// primitive, a number without exponent. Of anything else nothing is appended.
func (v Value) AppendString(dst []byte) []byte {
	switch v.kind {
	case KindNode:
		switch nd := &v.tree.Nodes[v.node]; {
		case nd.Kind < fhir.KindString:
		case nd.Kind == fhir.KindNumber && bytes.ContainsAny(v.tree.Raw(v.node), "eE"):
			if d, ok := decimal.Parse(v.tree.Raw(v.node)); ok {
				return d.Append(dst)
			}
			return append(dst, v.tree.Raw(v.node)...)
		case nd.Kind != fhir.KindString || nd.Flags&fhir.FlagEscaped == 0:
			return append(dst, v.tree.Raw(v.node)...)
		default:
			return fhir.AppendUnescaped(dst, v.tree.Raw(v.node))
		}
		return dst
	case KindBoolean:
		if v.num != 0 {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case KindInteger, KindLong:
		return appendInt(dst, v.num)
	case KindDecimal:
		return v.data.dec.Append(dst)
	case KindString:
		return append(dst, v.data.text...)
	case KindDate, KindDateTime, KindTime:
		return v.data.time.Append(dst)
	case KindQuantity:
		dst = append(v.data.dec.Append(dst), ' ')
		if v.data.calendar {
			return append(dst, v.data.text...)
		}
		return append(append(append(dst, '\''), v.data.text...), '\'')
	}
	return dst
}

// textSize is about as many bytes as AppendString appends, and no fewer for a text.
func (v Value) textSize() int {
	switch v.kind {
	case KindNode:
		return len(v.tree.Raw(v.node))
	case KindString:
		return len(v.data.text)
	}
	return 32
}

// AppendJSON appends the JSON of v: of an element as it stands in its resource, of
// a Quantity as the FHIR datatype, of dates and times the string. A primitive
// element that has no value is null, as it is in an array of a resource; what else
// it has is to be asked for, by id and extension.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case KindNone:
		return append(dst, "null"...)
	case KindNode:
		if !v.HasValue() && r4.TypeAt(v.typ).Kind == r4.KindPrimitive {
			return append(dst, "null"...)
		}
		return append(dst, v.tree.JSON(v.node)...)
	case KindBoolean, KindInteger, KindLong, KindDecimal:
		return v.AppendString(dst)
	case KindQuantity:
		return v.appendQuantity(dst)
	case KindTypeInfo:
		dst = fhir.AppendQuoted(append(dst, `{"namespace":`...), string(v.data.text))
		dst = fhir.AppendQuoted(append(dst, `,"name":`...), v.data.name)
		return append(dst, '}')
	}
	return fhir.AppendQuoted(dst, string(v.AppendString(nil)))
}

func (v Value) appendQuantity(dst []byte) []byte {
	dst = v.data.dec.Append(append(dst, `{"value":`...))
	unit := string(v.data.text)
	if v.data.calendar {
		dst = fhir.AppendQuoted(append(dst, `,"unit":`...), unit)
		if code := calendarCode(unit); code != "" {
			dst = fhir.AppendQuoted(append(dst, `,"system":"http://unitsofmeasure.org","code":`...), code)
		}
		return append(dst, '}')
	}
	dst = fhir.AppendQuoted(append(dst, `,"unit":`...), unit)
	if v.data.opaque {
		return append(dst, '}')
	}
	dst = fhir.AppendQuoted(append(dst, `,"system":"http://unitsofmeasure.org","code":`...), unit)
	return append(dst, '}')
}

// Constructors of values that outlive an evaluation: variables and the results of
// user functions.

// String makes a System.String.
func String(s string) Value { return Value{kind: KindString, data: &datum{text: []byte(s)}} }

// Boolean makes a System.Boolean.
func Boolean(b bool) Value {
	v := Value{kind: KindBoolean}
	if b {
		v.num = 1
	}
	return v
}

// Integer makes a System.Integer.
func Integer(n int64) Value { return Value{kind: KindInteger, num: n} }

// Decimal makes a System.Decimal.
func Decimal(d decimal.Decimal) Value { return Value{kind: KindDecimal, data: &datum{dec: d}} }

// Temporal makes a System.Date, DateTime or Time.
func Temporal(t temporal.Value) Value {
	return Value{kind: kindOfTime(t.Kind()), data: &datum{time: t}}
}

// Quantity makes a System.Quantity with a UCUM unit.
func Quantity(d decimal.Decimal, unit string) Value {
	return Value{kind: KindQuantity, data: &datum{dec: d, text: []byte(unit)}}
}

// Node makes an item of an element that is no primitive, such as a resource.
func Node(t *fhir.Tree, n fhir.NodeID) Value {
	return Value{kind: KindNode, tree: t, node: n, parent: fhir.NoNode, typ: t.Nodes[n].Type}
}

func kindOfTime(k temporal.Kind) Kind {
	switch k {
	case temporal.Date:
		return KindDate
	case temporal.DateTime:
		return KindDateTime
	}
	return KindTime
}
