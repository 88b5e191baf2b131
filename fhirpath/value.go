package fhirpath

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Kind tells what a Value is.
type Kind uint8

// The kinds of values. Those from KindBoolean on are values of the System types.
const (
	KindNone     Kind = iota
	KindNode          // an element of a tree: a FHIR type
	KindBoolean       // System.Boolean
	KindInteger       // System.Integer
	KindLong          // System.Long
	KindDecimal       // System.Decimal
	KindString        // System.String
	KindDate          // System.Date
	KindDateTime      // System.DateTime
	KindTime          // System.Time
	KindQuantity      // System.Quantity
	KindTypeInfo      // what type() gives
)

// Value is one item of a collection. It belongs to the Evaluator that made it and
// is valid until its next evaluation. The zero Value is no item.
type Value struct {
	tree   *fhir.Tree  // of a node
	data   *datum      // what does not fit here: text, decimal, temporal, quantity
	num    int64       // boolean (0, 1), integer, long
	node   fhir.NodeID // of a node: itself, or its twin when it has no value
	parent fhir.NodeID // of a node: the object that holds it, where its twin lies
	kind   Kind
	typ    r4.TypeID // of a node
}

// Kind gives the kind of v.
func (v Value) Kind() Kind { return v.kind }

// Node gives the element that v is; the tree is nil when it is none.
func (v Value) Node() (*fhir.Tree, fhir.NodeID) { return v.tree, v.node }
