package parquet

import (
	"encoding/binary"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// leaf encodes a leaf and its twins. own has the leaf's column in each piece of
// the row group, nil where it is absent; levels the nearest one on its path.
func (e *encoder) leaf(n *columnar.Node, own, levels []*columnar.Column) {
	e.raw, e.packed, e.index, e.segs = e.raw[:0], e.packed[:0], e.index[:0], e.segs[:0]
	for _, c := range levels {
		e.segs = append(e.segs, segmentOf(n, c))
	}
	c := columnOf(n, -1, e.segs)
	if c.values == 0 {
		e.nulls(&c)
		return
	}
	var merged bool
	e.index, merged = e.dict.merge(e.index, own)
	switch {
	case n.Role == columnar.RoleBoolean:
		e.booleans(&c, own)
	case n.Role == columnar.RoleInteger:
		e.integers(&c, own, merged)
	case merged:
		pages := e.strings(&c)
		e.twinsOfDictionary(&c, pages)
	default:
		e.plainStrings(&c, own)
		e.twinsOfPlain(&c, own)
	}
}

// nulls writes a leaf without values, twins included: the same page for all.
func (e *encoder) nulls(c *column) {
	pages := e.nullPages(c)
	e.write(c, pages, statistics{})
	for i := range c.node.Role.Twins() {
		c.twin = i
		e.write(c, pages, statistics{})
	}
}

// strings writes the merged dictionary and its indices, and gives the pages.
func (e *encoder) strings(c *column) []page {
	at := len(e.raw)
	e.raw = appendStrings(e.raw, e.dict.entries)
	pages := []page{e.dictionaryPage(at, len(e.dict.entries))}
	pages = append(pages, e.indexPages(c, e.index, len(e.dict.entries))...)
	var b bounds
	for _, v := range e.dict.entries {
		b.add(v)
	}
	e.write(c, pages, b.statistics())
	return pages
}

// plainStrings writes values one by one as DELTA_LENGTH_BYTE_ARRAY: the lengths
// first, then all bytes, which in a plain piece are one copy.
func (e *encoder) plainStrings(c *column, own []*columnar.Column) {
	var b bounds
	weight := func(i int) int { return plainSize(own[i]) }
	pages := e.plainPages(c, encDeltaLength, weight, func(from, to int) {
		e.ints = e.ints[:0]
		for _, col := range own[from:to] {
			if col != nil {
				col.Each(func(v []byte) {
					e.ints = append(e.ints, int64(len(v)))
					b.add(v)
				})
			}
		}
		e.raw = appendDelta(e.raw, e.ints)
		for _, col := range own[from:to] {
			switch {
			case col == nil:
			case col.Plain:
				e.raw = append(e.raw, col.Data...)
			default:
				col.Each(func(v []byte) { e.raw = append(e.raw, v...) })
			}
		}
	})
	e.write(c, pages, b.statistics())
}

// plainSize is roughly the size of a piece's values written one by one.
func plainSize(c *columnar.Column) int {
	if c == nil || c.Distinct == 0 {
		return 0
	}
	return len(c.Data) / c.Distinct * c.Values
}

func (e *encoder) booleans(c *column, own []*columnar.Column) {
	pages := e.plainPages(c, encPlain, nil, func(from, to int) {
		var bit, acc byte
		for _, col := range own[from:to] {
			if col == nil {
				continue
			}
			col.Each(func(v []byte) {
				if v[0] == 't' {
					acc |= 1 << bit
				}
				if bit++; bit == 8 {
					e.raw = append(e.raw, acc)
					bit, acc = 0, 0
				}
			})
		}
		if bit > 0 {
			e.raw = append(e.raw, acc)
		}
	})
	e.write(c, pages, statistics{})
}

func (e *encoder) integers(c *column, own []*columnar.Column, merged bool) {
	var lowest, highest int32
	first := true
	add := func(v []byte) {
		i64, _ := strconv.ParseInt(string(v), 10, 32) // the stage checked it
		i := int32(i64)
		if first || i < lowest {
			lowest = i
		}
		if first || i > highest {
			highest = i
		}
		first = false
		e.raw = binary.LittleEndian.AppendUint32(e.raw, uint32(i))
	}
	var pages []page
	if merged {
		at := len(e.raw)
		for _, v := range e.dict.entries {
			add(v)
		}
		pages = append(pages, e.dictionaryPage(at, len(e.dict.entries)))
		pages = append(pages, e.indexPages(c, e.index, len(e.dict.entries))...)
	} else {
		pages = e.plainPages(c, encPlain, nil, func(from, to int) {
			for _, col := range own[from:to] {
				if col != nil {
					col.Each(add)
				}
			}
		})
	}
	e.write(c, pages, statistics{
		binary.LittleEndian.AppendUint32(nil, uint32(lowest)), binary.LittleEndian.AppendUint32(nil, uint32(highest)),
	})
}
