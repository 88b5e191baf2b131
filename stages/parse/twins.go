package parse

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// twin reads the value of `_x`, where x is element e.
func (p *Parser) twin(i int, e r4.ElementID, m *member) int {
	d := p.d
	if m.form != formArray {
		if i < len(d) && d[i] == '{' {
			return p.object(i, e, r4.TypeElement, fhir.FlagTwin)
		}
		return p.wrongKind(i, e, "an object with id or extension")
	}
	if i >= len(d) || d[i] != '[' {
		return p.wrongKind(i, e, "an array of objects and nulls")
	}
	at := p.open(e, r4.TypeElement, fhir.KindArray, fhir.FlagTwin, i)
	if p.depth++; p.depth > MaxDepth {
		return p.tooDeep(i)
	}
	c := byte(',')
	if i = p.space(i + 1); i < len(d) && d[i] == ']' {
		p.structure(int(p.nodes[at].Start), 0, "array is empty; expected at least one item")
		c = ']'
	}
	for c == ',' {
		if len(p.nodes) == cap(p.nodes) {
			p.grow()
		}
		i = p.space(i)
		switch end, kind := literal(d, i); {
		case end >= 0 && kind == fhir.KindNull:
			p.leaf(e, r4.TypeElement, fhir.KindNull, fhir.FlagTwin, i, end)
			i = end
		case i < len(d) && d[i] == '{':
			i = p.object(i, e, r4.TypeElement, fhir.FlagTwin)
		default:
			i = p.wrongKind(i, e, "an object with id or extension, or null")
		}
		if i < 0 {
			return i
		}
		if i, c = p.separator(i, ']'); i < 0 {
			return i
		}
		if c == ',' {
			i++
		}
	}
	i++
	p.closed(at, i)
	return i
}

// checkTwins checks the object p.nodes[at], now complete, for what twins and
// nulls must keep to: the arrays of a primitive and of its twin are equally long,
// and each place is filled in one of them (FHIR R4, JSON representation).
//
// Each array is looked for its partner, so a text that repeats a member many times
// would take quadratic time; it has more issues than are kept by then.
func (p *Parser) checkTwins(at int) {
	end := uint32(len(p.nodes))
	for c := uint32(at) + 1; c < end && !p.full(); c = after(p.nodes, c) {
		n := &p.nodes[c]
		if n.Kind != fhir.KindArray || n.Element == 0 {
			continue
		}
		twin := n.Flags&fhir.FlagTwin != 0
		if !twin && p.table.members[n.Element].item != formPrimitive {
			continue
		}
		other := p.partner(at, c)
		switch {
		case other == 0:
			p.gaps(c, 0)
		case twin: // seen from the primitive's side
		default:
			if a, b := p.count(c), p.count(other); a != b {
				p.structure(int(p.nodes[other].Start), n.Element, "the array of the element has %d items and its '_' companion %d; expected equally many", a, b)
			} else {
				p.gaps(c, other)
			}
		}
	}
}

// partner finds the twin of the primitive array a or the reverse, or 0.
func (p *Parser) partner(at int, a uint32) uint32 {
	end := uint32(len(p.nodes))
	for c := uint32(at) + 1; c < end; c = after(p.nodes, c) {
		if c != a && p.nodes[c].Element == p.nodes[a].Element && p.nodes[c].Kind == fhir.KindArray &&
			(p.nodes[c].Flags^p.nodes[a].Flags)&fhir.FlagTwin != 0 {
			return c
		}
	}
	return 0
}

// after gives the node after the subtree of c, which may be the last and open.
func after(nodes []fhir.Node, c uint32) uint32 {
	if n := nodes[c].Next; n != 0 {
		return n
	}
	return uint32(len(nodes))
}

func (p *Parser) count(a uint32) int {
	n := 0
	for c := a + 1; c < p.nodes[a].Next; c = p.nodes[c].Next {
		n++
	}
	return n
}

// gaps reports the items that are null in array a and, if b is one, in b.
func (p *Parser) gaps(a, b uint32) {
	d := b + 1
	i := 0
	for c := a + 1; c < p.nodes[a].Next; c = p.nodes[c].Next {
		null := p.nodes[c].Kind == fhir.KindNull
		if b != 0 {
			null = null && p.nodes[d].Kind == fhir.KindNull
			d = p.nodes[d].Next
		}
		if null {
			p.nullItem(c, i)
		}
		i++
	}
}
