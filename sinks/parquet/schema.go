package parquet

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// element is a node of a file's schema.
type element struct {
	node     *columnar.Node
	children []*element
}

// schemaOf makes the tree of a file's schema from its leaves, which are in
// schema order.
func schemaOf(l *columnar.Layout, leaves []*columnar.Node) *element {
	root := &element{node: l.Root}
	var chain []*columnar.Node
	for _, leaf := range leaves {
		chain = chain[:0]
		for n := leaf; n.Parent != nil; n = n.Parent {
			chain = append(chain, n)
		}
		at := root
		for _, n := range slices.Backward(chain) {
			if k := len(at.children); k == 0 || at.children[k-1].node != n {
				at.children = append(at.children, &element{node: n})
			}
			at = at.children[len(at.children)-1]
		}
	}
	return root
}

// fields is the number of Parquet fields that the element adds to its parent.
func (e *element) fields() int { return max(1, e.node.Leaves()) }

// count is the number of schema elements of the tree.
func (e *element) count() int {
	n := e.fields()
	if e.node.List {
		n *= 3
	}
	for _, c := range e.children {
		n += c.count()
	}
	return n
}

func (e *element) childFields() int {
	n := 0
	for _, c := range e.children {
		n += c.fields()
	}
	return n
}

func (e *element) write(t *thrift) {
	n := e.node
	e.writeField(t, n.Name, -1, n.ID)
	for i, suffix := range n.Role.Twins() {
		e.writeField(t, n.Name+suffix, i, n.ID+2+2*int32(i))
	}
	for _, c := range e.children {
		c.write(t)
	}
}

// writeField writes one field: the three levels of a list, a group or a leaf.
func (e *element) writeField(t *thrift, name string, twin int, id int32) {
	repetition := repOptional
	if e.node.Required {
		repetition = repRequired
	}
	if e.node.List {
		t.begin()
		t.i32(3, repetition)
		t.str(4, name)
		t.i32(5, 1)
		t.i32(6, convertedList)
		t.i32(9, int(id))
		t.structField(10)
		t.structField(3)
		t.end()
		t.end()
		t.end()
		t.begin()
		t.i32(3, repRepeated)
		t.str(4, "list")
		t.i32(5, 1)
		t.end()
		name, id, repetition = "element", id+1, repOptional
	}
	t.begin()
	switch {
	case e.node.Parent == nil:
		t.str(4, name)
		t.i32(5, e.childFields())
	case e.node.Leaf():
		writeLeaf(t, name, repetition, kindOf(e.node.Role, twin), int(id))
	default:
		t.i32(3, repetition)
		t.str(4, name)
		t.i32(5, e.childFields())
		t.i32(9, int(id))
	}
	t.end()
}

func writeLeaf(t *thrift, name string, repetition int, k kind, id int) {
	t.i32(1, physical[k])
	if k == kindDecimal {
		t.i32(2, 16)
	}
	t.i32(3, repetition)
	t.str(4, name)
	switch k {
	case kindString:
		t.i32(6, convertedUTF8)
		t.i32(9, id)
		t.structField(10)
		t.structField(1)
		t.end()
		t.end()
	case kindDecimal:
		t.i32(6, convertedDecimal)
		t.i32(7, columnar.DecimalScale)
		t.i32(8, 38)
		t.i32(9, id)
		t.structField(10)
		t.structField(5)
		t.i32(1, columnar.DecimalScale)
		t.i32(2, 38)
		t.end()
		t.end()
	case kindTimestamp:
		// UTC by definition, but not marked as adjusted to it: SQL engines then
		// show and compare plain timestamps, whatever zone a session is in. The
		// converted type would say adjusted, so there is none.
		t.i32(9, id)
		t.structField(10)
		t.structField(8)
		t.boolean(1, false)
		t.structField(2)
		t.structField(2) // MICROS
		t.end()
		t.end()
		t.end()
		t.end()
	default:
		t.i32(9, id)
	}
}

// pathOf gives the path of a column from the root of the schema.
func pathOf(n *columnar.Node, twin int) []string {
	var path []string
	for at := n; at.Parent != nil; at = at.Parent {
		if at.List {
			path = append(path, "element", "list")
		}
		name := at.Name
		if at == n && twin >= 0 {
			name += n.Role.Twins()[twin]
		}
		path = append(path, name)
	}
	slices.Reverse(path)
	return path
}
