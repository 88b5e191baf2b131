package fhir

import (
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// AppendPath appends the FHIRPath of node n below the record's root, as messages
// name elements: Patient.name[0].family, Observation.value.ofType(Quantity) for
// the variant of a choice, a `_` twin as the element that it is of. An unknown
// member is named as its parent. The cost is that of the nodes before n, which an
// issue may have.
func (t *Tree) AppendPath(buf []byte, root, n NodeID) []byte {
	cur := root
	buf = append(buf, t.Nodes[cur].Type.String()...)
	for cur != n {
		index, c := 0, cur+1
		for NodeID(t.Nodes[c].Next) <= n {
			c = NodeID(t.Nodes[c].Next)
			index++
		}
		e := t.Nodes[c].Element
		switch {
		case e == 0:
			return buf
		case t.Nodes[cur].Kind == KindArray:
			buf = strconv.AppendInt(append(buf, '['), int64(index), 10)
			buf = append(buf, ']')
		default:
			buf = AppendPathStep(buf, e)
		}
		cur = c
	}
	return buf
}

// AppendPathStep appends the step of element e: `.birthDate`, and
// `.value.ofType(Quantity)` for the variant of a choice.
func AppendPathStep(buf []byte, e r4.ElementID) []byte {
	el := r4.ElementAt(e)
	buf = append(buf, '.')
	if el.Choice == "" {
		return append(buf, el.Name...)
	}
	buf = append(append(buf, el.Choice...), ".ofType("...)
	return append(append(buf, el.Type.String()...), ')')
}
