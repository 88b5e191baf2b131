package columnar

import (
	"bytes"
	"hash/maphash"
)

// Field is a column of a flat layout.
type Field struct {
	Name     string
	Role     Role // RoleString, RoleDouble or RoleCount
	Required bool
}

// Flat makes the layout of a table that is no resource type: each row has one value of
// each field, or none. Field ids count from 1. format and version are what the metadata
// of a file says.
func Flat(name, format string, version int, fields ...Field) *Layout {
	l := &Layout{Name: name, Format: format, Version: version}
	l.Root = l.add(Node{Name: name})
	for i, f := range fields {
		n := Node{Name: f.Name, ID: int32(i) + 1, Role: f.Role, Required: f.Required, Parent: l.Root, Scope: l.Root}
		if !f.Required {
			n.Def = 1
		}
		l.core = append(l.core, l.add(n))
	}
	return l
}

// FlatBuilder makes pieces of a flat layout. It belongs to one goroutine and keeps its
// memory. Between two calls of Seal every column gets the same number of values; nulls
// count.
type FlatBuilder struct {
	layout *Layout
	cols   []flatColumn
}

// NewFlatBuilder makes a builder; columns are numbered as the fields of l.
func NewFlatBuilder(l *Layout) *FlatBuilder {
	b := &FlatBuilder{layout: l, cols: make([]flatColumn, len(l.core))}
	for i := range b.cols {
		b.cols[i].node = l.core[i]
		b.cols[i].reset()
	}
	return b
}

// Text appends n times a value to a column of RoleString, or the text of a number to one
// of RoleDouble.
func (b *FlatBuilder) Text(col int, v []byte, n int) {
	c := &b.cols[col]
	at := c.find(v)
	for range n {
		c.index = append(c.index, at)
	}
	c.present(1, n)
}

// Count appends n times a value to a column of RoleCount.
func (b *FlatBuilder) Count(col int, v uint32, n int) {
	c := &b.cols[col]
	for range n {
		c.counts = append(c.counts, v)
	}
	c.present(1, n)
}

// Null appends n times nothing to a column that is not required.
func (b *FlatBuilder) Null(col, n int) { b.cols[col].present(0, n) }

// Rows is how many rows the first column has.
func (b *FlatBuilder) Rows() int { return b.cols[0].rows }

// Seal ends the piece: it copies the columns out of the builder into memory that is just
// as large as they are.
func (b *FlatBuilder) Seal() *Piece {
	size, columns, u16, u32 := 0, 1, 0, 0
	for i := range b.cols {
		c := &b.cols[i]
		if c.values() == 0 {
			continue
		}
		columns++
		if c.values() < c.rows {
			size += len(c.def)
		}
		size += len(c.data)
		u32 += len(c.ends) + len(c.counts)
		switch n := len(c.ends); {
		case n <= 1:
		case n <= 1<<8:
			size += len(c.index)
		case n <= 1<<16:
			u16 += len(c.index)
		default:
			u32 += len(c.index)
		}
	}
	p := NewPiece(b.layout, columns, size, u16, u32)
	p.Rows = b.Rows()
	p.Columns = append(p.Columns, Column{Node: b.layout.Root, Slots: p.Rows})
	for i := range b.cols {
		c := &b.cols[i]
		if c.values() > 0 {
			p.Columns = append(p.Columns, c.seal(p))
		}
		c.reset()
	}
	p.Leaves = len(p.Columns) - 1
	return p
}

// flatColumn is the column that is being built: numbers, or the different texts and for
// each value which it is.
type flatColumn struct {
	node *Node
	rows int
	def  []uint8 // of a column that is not required

	counts []uint32

	data   []byte
	ends   []uint32
	index  []uint32
	next   []uint32 // by entry: what came after it the last time
	hashes []uint32
	table  []uint32 // open addressing: 1 + entry, 0 is free
	last   uint32
}

// keepValues is how many values of a column a builder keeps memory for: an unusual batch
// must not leave its memory with every worker.
const keepValues = 1 << 17

func (c *flatColumn) reset() {
	if max(cap(c.index), cap(c.counts), cap(c.def)) > keepValues || cap(c.data) > 8*keepValues {
		*c = flatColumn{node: c.node}
	}
	room := 16
	for room < 2*len(c.ends) {
		room *= 2
	}
	c.rows, c.def, c.counts = 0, c.def[:0], c.counts[:0]
	c.data, c.ends, c.index, c.next, c.hashes, c.last = c.data[:0], c.ends[:0], c.index[:0], c.next[:0], c.hashes[:0], 0
	if cap(c.table) < room {
		c.table = make([]uint32, room)
		return
	}
	c.table = c.table[:room]
	clear(c.table)
}

func (c *flatColumn) values() int { return len(c.counts) + len(c.index) }

// present notes whether the next n rows have a value.
func (c *flatColumn) present(def uint8, n int) {
	c.rows += n
	if c.node.Required {
		return
	}
	for range n {
		c.def = append(c.def, def)
	}
}

func (c *flatColumn) entry(i uint32) []byte {
	if i == 0 {
		return c.data[:c.ends[0]]
	}
	return c.data[c.ends[i-1]:c.ends[i]]
}

// seed decides where a text sits in a table, and nothing that comes out depends on that.
var seed = maphash.MakeSeed()

// find gives the entry of a text. Texts come in patterns, so the first guess is what came
// after the last one the time before.
func (c *flatColumn) find(v []byte) uint32 {
	if len(c.ends) > 0 {
		if guess := c.next[c.last]; bytes.Equal(c.entry(guess), v) {
			c.last = guess
			return guess
		}
	}
	h := uint32(maphash.Bytes(seed, v))
	mask := uint32(len(c.table) - 1)
	at := h & mask
	for ; c.table[at] != 0; at = (at + 1) & mask {
		if i := c.table[at] - 1; c.hashes[i] == h && bytes.Equal(c.entry(i), v) {
			c.next[c.last], c.last = i, i
			return i
		}
	}
	i := uint32(len(c.ends))
	c.table[at] = i + 1
	c.data = append(c.data, v...)
	c.ends, c.hashes, c.next = append(c.ends, uint32(len(c.data))), append(c.hashes, h), append(c.next, i)
	if 2*len(c.ends) > len(c.table) {
		c.grow()
	}
	c.next[c.last], c.last = i, i
	return i
}

func (c *flatColumn) grow() {
	room := 4 * len(c.table)
	if cap(c.table) < room {
		c.table = make([]uint32, room)
	}
	c.table = c.table[:room]
	clear(c.table)
	mask := uint32(room - 1)
	for i, h := range c.hashes {
		at := h & mask
		for c.table[at] != 0 {
			at = (at + 1) & mask
		}
		c.table[at] = uint32(i) + 1
	}
}

func (c *flatColumn) seal(p *Piece) Column {
	s := Column{Node: c.node, Slots: c.rows, DefAll: c.node.Def, Values: c.values()}
	if s.Values < c.rows {
		s.Def = p.TakeBytes(len(c.def))
		copy(s.Def, c.def)
	}
	if c.node.Role == RoleCount {
		s.Counts = p.TakeU32(len(c.counts))
		copy(s.Counts, c.counts)
		return s
	}
	s.Distinct = len(c.ends)
	s.Data, s.Ends = p.TakeBytes(len(c.data)), p.TakeU32(len(c.ends))
	copy(s.Data, c.data)
	copy(s.Ends, c.ends)
	switch {
	case s.Distinct == 1:
	case s.Distinct <= 1<<8:
		s.Index8 = p.TakeBytes(len(c.index))
		for i, x := range c.index {
			s.Index8[i] = uint8(x)
		}
	case s.Distinct <= 1<<16:
		s.Index16 = p.TakeU16(len(c.index))
		for i, x := range c.index {
			s.Index16[i] = uint16(x)
		}
	default:
		s.Index32 = p.TakeU32(len(c.index))
		copy(s.Index32, c.index)
	}
	return s
}
