package shred

import (
	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// column builds one node of a piece. It belongs to a builder and keeps its
// memory from batch to batch.
type column struct {
	node   *columnar.Node
	parent *column
	scope  *column // the list or root whose slots it shares; for a list, the one that it is in
	gen    uint32  // the builder's generation in which it was begun
	role   columnar.Role
	list   bool
	maxDef uint8
	maxRep uint8

	first r4.ElementID // of the group's type
	kids  []*column    // by element, from first
	twins []*column    // the same for `_` members; nil until one was seen

	def  []uint8
	rep  []uint8 // of a list and of the root
	done int     // slots of scope that a list has caught up with
	pos  int     // in the sealed piece

	values
}

func (b *builder) newColumn(n *columnar.Node, parent *column) *column {
	c := &column{node: n, parent: parent, role: n.Role, list: n.List, maxDef: n.Def, maxRep: n.Rep}
	c.scope = parent
	if parent != nil && !parent.list && parent.parent != nil {
		c.scope = parent.scope
	}
	if n.Role == columnar.RoleGroup {
		t := r4.TypeAt(n.Type)
		c.first, c.kids = t.FirstElement, make([]*column, t.NumElements)
	}
	return c
}

// begin makes c part of the current piece. It refuses when the piece has as
// many leaves as it may have.
func (b *builder) begin(c *column) bool {
	if n := c.node.Leaves(); n > 0 {
		if b.leaves+n > columnar.MaxLeaves && !c.node.Required && c != b.overflow {
			return false
		}
		b.leaves += n
		c.values.reset()
	}
	c.gen = b.gen
	c.def, c.rep, c.done = c.def[:0], c.rep[:0], 0
	b.present = append(b.present, c)
	return true
}

// catchUp gives a node that is no list the levels that it missed before slot.
func (c *column) catchUp(slot int) {
	if at := len(c.def); at < slot {
		c.def = append(c.def, c.parent.def[at:slot]...)
	}
}

// catchUpList does it for a list, whose own slots follow those of its scope.
func (c *column) catchUpList(slot int) {
	if at := c.done; at < slot {
		c.def = append(c.def, c.parent.def[at:slot]...)
		c.rep = append(c.rep, c.scope.rep[at:slot]...)
		c.done = slot
	}
}

// finish catches up to the end of the piece. Parents finish first.
func (c *column) finish() {
	switch {
	case c.parent == nil:
	case c.list:
		c.catchUpList(len(c.parent.def))
	default:
		c.catchUp(len(c.parent.def))
	}
}

// kid finds the column of a member of group c, making it at first sight. It is
// nil for what the group's type does not have.
func (b *builder) kid(c *column, e r4.ElementID, twin bool) *column {
	i := int(e) - int(c.first)
	if uint(i) >= uint(len(c.kids)) {
		return nil
	}
	if twin && c.twins == nil {
		c.twins = make([]*column, len(c.kids))
	}
	at := &c.kids[i]
	if twin {
		at = &c.twins[i]
	}
	if *at == nil {
		n := b.layout.Child(c.node, e, twin)
		if n == nil {
			return nil
		}
		*at = b.columnOf(n, c)
	}
	return *at
}

// columnOf gives the builder's only column for a node.
func (b *builder) columnOf(n *columnar.Node, parent *column) *column {
	c := b.byNode[n]
	if c == nil {
		c = b.newColumn(n, parent)
		b.byNode[n] = c
	}
	return c
}
