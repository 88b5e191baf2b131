package parse

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// object reads the object at i, which has type typ and is the value of element e.
func (p *Parser) object(i int, e r4.ElementID, typ r4.TypeID, flags fhir.NodeFlags) int {
	at := p.open(e, typ, fhir.KindObject, flags, i)
	if p.depth++; p.depth > MaxDepth {
		return p.tooDeep(i)
	}
	i++
	if i < len(p.d) && p.d[i] == '"' {
		i = p.members(i, at, typ)
	} else if i = p.space(i); i < len(p.d) && p.d[i] == '}' {
		p.structure(int(p.nodes[at].Start), 0, "object is empty; expected at least one member")
	} else {
		i = p.members(i, at, typ)
	}
	if i < 0 {
		return i
	}
	i++
	p.closed(at, i)
	return i
}

// members reads the members of the object p.nodes[at], which has type typ, from i
// on, and returns the offset of its closing brace.
func (p *Parser) members(i, at int, typ r4.TypeID) int {
	d := p.d
	table := p.table.members
	var seen, twins uint64 // one bit a slot
	var typed, check bool  // resourceType was there; twins or nulls were there
	guess := &p.firsts[typ]
	for {
		if len(p.nodes) == cap(p.nodes) {
			p.grow()
		}
		if i < len(d) && d[i] <= ' ' {
			i = p.space(i)
		}
		id := *guess
		m := &table[id]
		if i+maxGuess <= len(d) && m.begins(load8(d, i), load8(d, i+8)) && (m.size <= 16 || m.ends(d[i:i+int(m.size)])) {
			i += int(m.size)
		} else {
			var twin bool
			key := i
			if i, id, twin = p.key(i, typ); i < 0 {
				return i
			}
			m = &table[id]
			switch {
			case twin:
				if (seen|twins)&m.bit != 0 {
					p.repeatedTwin(key, id, at)
				}
				twins |= m.bit
				check = true
				i = p.twin(i, id, m)
				m = nil
			case id == 0:
				p.unknown(key, at)
				i = p.untyped(i, fhir.FlagUnknown)
				m = nil
			default:
				*guess = id
			}
		}
		if m != nil { // neither a twin nor unknown
			guess = &p.follows[id]
			if (seen|twins)&m.bit != 0 {
				p.repeated(i, id, at, seen&m.bit != 0)
			}
			seen |= m.bit
			if i < len(d) && d[i] <= ' ' {
				i = p.space(i)
			}
			switch m.form {
			case formPrimitive:
				i = p.primitive(i, id, m)
			case formObject:
				if i < len(d) && d[i] == '{' {
					i = p.object(i, id, m.typ, 0)
				} else {
					i = p.wrongKind(i, id, "an object")
				}
			case formArray:
				i = p.array(i, id, m)
				check = check || p.nulls
				p.nulls = false
			case formResource:
				if i < len(d) && d[i] == '{' {
					i = p.resource(i, id)
				} else {
					i = p.wrongKind(i, id, "an object")
				}
			case formResourceType:
				if typed {
					p.structure(i, id, "element 'resourceType' occurs twice")
				}
				typed = true
				guess = &p.seconds[typ]
				i = p.primitive(i, id, m)
			}
		}
		if i < 0 {
			return i
		}
		if i < len(d) && d[i] == ',' {
			i++
			continue
		}
		if i >= len(d) || d[i] != '}' {
			var c byte
			if i, c = p.separator(i, '}'); i < 0 {
				return i
			} else if c == ',' {
				i++
				continue
			}
		}
		break
	}
	if missing := p.table.required[typ] &^ (seen | twins); missing != 0 {
		p.missing(at, typ, missing)
	}
	if check {
		p.checkTwins(at)
	}
	return i
}

// begins tells whether text that begins with the words a and b begins with the
// key of m, as far as 16 bytes tell.
func (m *member) begins(a, b uint64) bool {
	return (a^m.w[0])&m.mask[0]|(b^m.w[1])&m.mask[1] == 0
}

// ends tells whether key ends as the key of m, which has more than 16 bytes.
func (m *member) ends(key []byte) bool {
	end := key[(len(key)-16)&(maxGuess-1):]
	return load8(end, 0) == m.w[2] && load8(end, 8) == m.w[3]
}

// key reads the key at i with its colon, and white space around it, and gives
// its element in typ, 0 when it has none. The key of a twin gives the element
// that it accompanies.
func (p *Parser) key(i int, typ r4.TypeID) (next int, e r4.ElementID, twin bool) {
	s, end, next := p.keyText(i)
	if next < 0 {
		return next, 0, false
	}
	key := p.unescaped(p.d[s:end])
	if len(key) > 0 && key[0] == '_' {
		if e = r4.Lookup(typ, key[1:]); e != 0 && !p.table.members[e].twinless {
			return next, e, true
		}
		return next, 0, false
	}
	e = r4.Lookup(typ, key)
	if e == r4.ElementResourceType && !typ.IsResourceType() {
		e = 0
	}
	return next, e, false
}

// keyText reads the key at i with its colon; the text of the key is d[s:end].
func (p *Parser) keyText(i int) (s, end, next int) {
	d := p.d
	i = p.space(i)
	if i >= len(d) {
		return 0, 0, p.fatal(i, "text ends within an object")
	}
	if d[i] != '"' {
		return 0, 0, p.fatal(i, "found '%s'; expected the name of an element in quotes", p.quote(i))
	}
	s = i + 1
	if end, _ = p.stringEnd(s, s); end < 0 {
		return 0, 0, end
	}
	if i = p.space(end + 1); i >= len(d) {
		return 0, 0, p.fatal(i, "text ends within an object")
	}
	if d[i] != ':' {
		return 0, 0, p.fatal(i, "found '%s'; expected a colon", p.quote(i))
	}
	return s, end, p.space(i + 1)
}

// separator finds the comma or the closing bracket after a value.
func (p *Parser) separator(i int, closing byte) (int, byte) {
	i = p.space(i)
	if i < len(p.d) && (p.d[i] == ',' || p.d[i] == closing) {
		return i, p.d[i]
	}
	what := "object"
	if closing == ']' {
		what = "array"
	}
	if i >= len(p.d) {
		return p.fatal(i, "text ends within an %s", what), 0
	}
	return p.fatal(i, "found '%s'; expected ',' or '%c'", p.quote(i), closing), 0
}

// array reads the array at i, whose items are values of element e.
func (p *Parser) array(i int, e r4.ElementID, m *member) int {
	d := p.d
	if i >= len(d) || d[i] != '[' {
		return p.wrongKind(i, e, "an array")
	}
	at := p.open(e, m.typ, fhir.KindArray, 0, i)
	if p.depth++; p.depth > MaxDepth {
		return p.tooDeep(i)
	}
	i++
	if i < len(d) && d[i] <= ' ' {
		i = p.space(i)
	}
	if i < len(d) && d[i] == ']' {
		p.structure(int(p.nodes[at].Start), 0, "array is empty; expected at least one item")
	} else {
		nulls := false
		for {
			if len(p.nodes) == cap(p.nodes) {
				p.grow()
			}
			switch {
			case m.item == formPrimitive:
				if i+4 <= len(d) && d[i] == 'n' && string(d[i:i+4]) == "null" {
					p.leaf(e, m.typ, fhir.KindNull, 0, i, i+4)
					nulls = true
					i += 4
				} else {
					i = p.primitive(i, e, m)
				}
			case i >= len(d) || d[i] != '{':
				i = p.wrongKind(i, e, "an object")
			case m.item == formResource:
				i = p.resource(i, e)
			default:
				i = p.object(i, e, m.typ, 0)
			}
			if i < 0 {
				return i
			}
			if i >= len(d) || d[i] != ',' {
				if i < len(d) && d[i] == ']' {
					break
				}
				var c byte
				if i, c = p.separator(i, ']'); i < 0 {
					return i
				} else if c == ']' {
					break
				}
			}
			i++
			if i < len(d) && d[i] <= ' ' {
				i = p.space(i)
			}
		}
		p.nulls = nulls
	}
	i++
	p.closed(at, i)
	return i
}

// leaf appends a node without children; who calls it has made room (invariant 5),
// which keeps it small enough to be inlined. The fields are set one by one where the
// node lies: a composite literal goes through the stack, and reading it back by
// wider words than it was written costs more than all else here.
func (p *Parser) leaf(e r4.ElementID, typ r4.TypeID, kind fhir.NodeKind, flags fhir.NodeFlags, start, end int) {
	at := len(p.nodes)
	p.nodes = p.nodes[:at+1]
	n := &p.nodes[at]
	n.Element, n.Type, n.Kind, n.Flags = e, typ, kind, flags
	n.Start, n.End, n.Next = uint32(start), uint32(end), uint32(at)+1
}

// open appends a node that has children to come and returns its index.
func (p *Parser) open(e r4.ElementID, typ r4.TypeID, kind fhir.NodeKind, flags fhir.NodeFlags, start int) int {
	at := len(p.nodes)
	if at == cap(p.nodes) {
		p.grow()
	}
	p.leaf(e, typ, kind, flags, start, start)
	p.nodes[at].Next = 0
	return at
}

//go:noinline
func (p *Parser) grow() { p.nodes = slices.Grow(p.nodes, 1) }

// closed completes the node at, whose value ends before i.
func (p *Parser) closed(at, i int) {
	n := &p.nodes[at]
	n.End, n.Next = uint32(i), uint32(len(p.nodes))
	p.depth--
}
