package shred

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// seal ends the piece: it copies the columns out of the builder, whose memory
// serves the next batch, into one that is just as large as they are.
func (b *builder) seal() *columnar.Piece {
	var size sizes
	for _, c := range b.present {
		c.finish()
		size.add(c)
	}
	p := columnar.NewPiece(b.layout, len(b.present), size.bytes, size.u16, size.u32)
	p.Rows, p.Raw, p.Leaves = b.rows, b.raw, b.leaves
	for i, c := range b.present {
		p.Columns = append(p.Columns, b.sealed(p, c))
		c.pos = i
		if !c.list && c.scope != nil && c.scope.list {
			p.Columns[i].Rep = p.Columns[c.scope.pos].Rep
		}
	}
	b.rows = 0
	b.data, b.nodes = nil, nil
	return p
}

// sizes are the memory that a piece needs at most.
type sizes struct{ bytes, u16, u32 int }

func (s *sizes) add(c *column) {
	s.bytes += len(c.def)
	if c.list {
		s.bytes += len(c.rep)
	}
	if c.role == columnar.RoleGroup {
		return
	}
	s.bytes += c.values.bytes
	s.u32 += len(c.spans)
	switch n := len(c.spans); {
	case c.plain || n <= 1:
	case n <= 1<<8:
		s.bytes += len(c.index)
	case n <= 1<<16:
		s.u16 += len(c.index)
	default:
		s.u32 += len(c.index)
	}
}

func (b *builder) sealed(p *columnar.Piece, c *column) columnar.Column {
	s := columnar.Column{Node: c.node, Slots: len(c.def)}
	if constant(c.def) {
		s.DefAll = c.def[0]
	} else {
		s.Def = p.TakeBytes(len(c.def))
		copy(s.Def, c.def)
	}
	if c.list && !(constant(c.rep) && c.rep[0] == 0) {
		s.Rep = p.TakeBytes(len(c.rep))
		copy(s.Rep, c.rep)
	}
	if c.role == columnar.RoleGroup {
		return s
	}
	s.Values, s.Plain, s.Distinct = c.count(), c.plain, len(c.spans)
	s.Data, s.Ends = p.TakeBytes(c.values.bytes), p.TakeU32(len(c.spans))
	at := 0
	for i, v := range c.spans {
		at += copy(s.Data[at:], b.text(v))
		s.Ends[i] = uint32(at)
	}
	sealIndex(p, &s, c)
	return s
}

// sealIndex stores the indices in the narrowest type that holds them.
func sealIndex(p *columnar.Piece, s *columnar.Column, c *column) {
	switch n := len(c.spans); {
	case c.plain || n <= 1:
	case n <= 1<<8:
		s.Index8 = p.TakeBytes(len(c.index))
		for i, x := range c.index {
			s.Index8[i] = uint8(x)
		}
	case n <= 1<<16:
		s.Index16 = p.TakeU16(len(c.index))
		for i, x := range c.index {
			s.Index16[i] = uint16(x)
		}
	default:
		s.Index32 = p.TakeU32(len(c.index))
		copy(s.Index32, c.index)
	}
}

// constant tells whether all bytes of s, which is not empty, are the same.
func constant(s []byte) bool { return bytes.Equal(s[1:], s[:len(s)-1]) }
