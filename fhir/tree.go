package fhir

import "github.com/fhirlake/fhirlake/fhir/r4"

// NodeKind is the JSON kind of a node's value.
type NodeKind uint8

// The kinds of JSON values.
const (
	KindNull NodeKind = iota
	KindObject
	KindArray
	KindString
	KindNumber
	KindTrue
	KindFalse
)

// NodeFlags carries facts of a node that the parser found on its way.
type NodeFlags uint8

const (
	// FlagEscaped marks a string that has at least one backslash: its span is
	// not its value, use [Tree.AppendString].
	FlagEscaped NodeFlags = 1 << iota
	// FlagTwin marks the `_name` companion of a primitive element: Element is
	// that of the primitive, the value is an object (or array of objects and
	// nulls) with id and extension.
	FlagTwin
	// FlagUnknown marks a member that its type does not have; Element is 0.
	FlagUnknown
)

// NodeID is an index of Tree.Nodes.
type NodeID = int32

// NoNode is the NodeID of nothing.
const NoNode NodeID = -1

// Node is one JSON value of a resource. An array is a node of its own whose
// children are its items; the items carry the same Element as the array.
type Node struct {
	Element r4.ElementID // the property that holds the value; 0 for the root of a record
	Type    r4.TypeID    // type of the value; the concrete resource type for a resource
	Kind    NodeKind
	Flags   NodeFlags
	_       uint16
	Start   uint32 // first byte of the value in Tree.Data; for a string, after the quote
	End     uint32 // byte after the value; for a string, the closing quote
	Next    uint32 // index of the node after this subtree
}

// Tree is the element tree of all records of one batch. It belongs to one
// goroutine at a time. Resetting it keeps the memory.
type Tree struct {
	Data  []byte // the JSON text; spans of Nodes are offsets in it
	Nodes []Node
}

// Reset empties the tree and gives it new text.
func (t *Tree) Reset(data []byte) {
	t.Data = data
	t.Nodes = t.Nodes[:0]
}

// Raw gives the bytes of a value as they stand in the text: for a string the
// part between the quotes, escapes and all. The result aliases Data.
func (t *Tree) Raw(n NodeID) []byte {
	nd := &t.Nodes[n]
	return t.Data[nd.Start:nd.End]
}

// JSON gives the whole JSON text of a value, quotes included. It aliases Data.
func (t *Tree) JSON(n NodeID) []byte {
	nd := &t.Nodes[n]
	if nd.Kind == KindString {
		return t.Data[nd.Start-1 : nd.End+1]
	}
	return t.Data[nd.Start:nd.End]
}

// FirstChild gives the first child of n, or NoNode.
func (t *Tree) FirstChild(n NodeID) NodeID {
	if c := n + 1; uint32(c) < t.Nodes[n].Next {
		return c
	}
	return NoNode
}

// NextSibling gives the node after c under the same parent, or NoNode.
func (t *Tree) NextSibling(parent, c NodeID) NodeID {
	if s := t.Nodes[c].Next; s < t.Nodes[parent].Next {
		return NodeID(s)
	}
	return NoNode
}

// Child finds the child of object n that holds element e and is not its `_`
// twin, or NoNode.
func (t *Tree) Child(n NodeID, e r4.ElementID) NodeID {
	end := t.Nodes[n].Next
	for c := uint32(n) + 1; c < end; c = t.Nodes[c].Next {
		if nd := &t.Nodes[c]; nd.Element == e && nd.Flags&FlagTwin == 0 {
			return NodeID(c)
		}
	}
	return NoNode
}

// String gives the decoded value of a string node. Without escapes it aliases
// Data, else it is appended to buf, which must not be in use elsewhere.
func (t *Tree) String(n NodeID, buf []byte) []byte {
	if t.Nodes[n].Flags&FlagEscaped == 0 {
		return t.Raw(n)
	}
	return AppendUnescaped(buf, t.Raw(n))
}
