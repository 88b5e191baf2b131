package parquet

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// leaf encodes a leaf and its twins. own has the leaf's column in each piece of
// the row group, nil where it is absent; levels the nearest one on its path.
func (e *encoder) leaf(n *columnar.Node, own, levels []*columnar.Column) {
	e.index, e.segs = e.index[:0], e.segs[:0]
	for _, c := range levels {
		e.segs = append(e.segs, segmentOf(n, c))
	}
	c := columnOf(n, -1, e.segs)
	if c.values == 0 {
		e.nulls(&c)
		e.nullTwins(&c, 0)
		return
	}
	if n.Role == columnar.RoleBoolean {
		e.booleans(&c, own)
		return
	}
	if n.Role == columnar.RoleCount {
		e.counts(&c, own)
		return
	}
	var merged bool
	e.index, merged = e.dict.merge(e.index, own)
	switch {
	case n.Role == columnar.RoleInteger:
		e.integers(&c, own, merged)
	case n.Role == columnar.RoleDouble:
		e.doubles(&c, own, merged)
	case merged:
		e.strings(&c)
		e.twinsOfDictionary(&c, len(e.chunks)-1)
	default:
		e.plainStrings(&c, own)
		e.twinsOfPlain(&c, own)
	}
}

// nulls writes a column without values.
func (e *encoder) nulls(c *column) {
	e.begin(c)
	e.pages(c, encPlain, nil, nil)
	e.end(statistics{})
}

// strings writes the merged dictionary and its indices.
func (e *encoder) strings(c *column) {
	var b bounds
	e.begin(c)
	for _, v := range e.dict.entries {
		e.raw = binary.LittleEndian.AppendUint32(e.raw, uint32(len(v)))
		e.raw = append(e.raw, v...)
		b.add(v)
	}
	e.endDictionary(len(e.dict.entries))
	e.indexPages(c, e.index, len(e.dict.entries))
	e.end(b.statistics())
}

func (e *encoder) booleans(c *column, own []*columnar.Column) {
	e.begin(c)
	e.pages(c, encPlain, nil, func(from, to int) {
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
	e.end(statistics{})
}

func (e *encoder) integers(c *column, own []*columnar.Column, merged bool) {
	var lowest, highest int32
	first := true
	e.numbers(c, own, merged, func(v []byte) {
		i64, _ := strconv.ParseInt(string(v), 10, 32) // the stage checked it
		i := int32(i64)
		if first {
			lowest, highest, first = i, i, false
		}
		lowest, highest = min(lowest, i), max(highest, i)
		e.raw = binary.LittleEndian.AppendUint32(e.raw, uint32(i))
	})
	e.end(statistics{
		binary.LittleEndian.AppendUint32(nil, uint32(lowest)), binary.LittleEndian.AppendUint32(nil, uint32(highest)),
	})
}

func (e *encoder) doubles(c *column, own []*columnar.Column, merged bool) {
	lowest, highest := math.Inf(1), math.Inf(-1)
	e.numbers(c, own, merged, func(v []byte) {
		f, _ := strconv.ParseFloat(string(v), 64) // who made the piece checked it
		lowest, highest = min(lowest, f), max(highest, f)
		e.raw = binary.LittleEndian.AppendUint64(e.raw, math.Float64bits(f))
	})
	// Of two zeros statistics have the one that is further out (Parquet format, ColumnOrder).
	if lowest == 0 {
		lowest = math.Copysign(0, -1)
	}
	if highest == 0 {
		highest = 0
	}
	e.end(statistics{
		binary.LittleEndian.AppendUint64(nil, math.Float64bits(lowest)), binary.LittleEndian.AppendUint64(nil, math.Float64bits(highest)),
	})
}

// numbers writes the pages of numbers that a piece has as text; add appends one to raw.
func (e *encoder) numbers(c *column, own []*columnar.Column, merged bool, add func(v []byte)) {
	e.begin(c)
	if merged {
		for _, v := range e.dict.entries {
			add(v)
		}
		e.endDictionary(len(e.dict.entries))
		e.indexPages(c, e.index, len(e.dict.entries))
		return
	}
	e.pages(c, encPlain, nil, func(from, to int) {
		for _, col := range own[from:to] {
			if col != nil {
				col.Each(add)
			}
		}
	})
}

// counts writes numbers that mostly rise, or are small.
func (e *encoder) counts(c *column, own []*columnar.Column) {
	lowest, highest := uint32(math.MaxUint32), uint32(0)
	e.begin(c)
	e.pages(c, encDelta, nil, func(from, to int) {
		e.lengths = e.lengths[:0]
		for _, col := range own[from:to] {
			if col == nil {
				continue
			}
			for _, v := range col.Counts {
				lowest, highest = min(lowest, v), max(highest, v)
				e.lengths = append(e.lengths, int64(v))
			}
		}
		e.raw = appendDelta(e.raw, e.lengths)
	})
	e.end(statistics{binary.LittleEndian.AppendUint32(nil, lowest), binary.LittleEndian.AppendUint32(nil, highest)})
}
