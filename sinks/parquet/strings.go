package parquet

import (
	"encoding/binary"
	"math/bits"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// Strings that are not in a dictionary are written with the lengths first
// (DELTA_LENGTH_BYTE_ARRAY), which leaves the bytes of a plain piece one copy,
// or, where neighbours begin alike, with what each shares with the one before
// left out (DELTA_BYTE_ARRAY).

// plainStrings writes the values of a leaf one by one.
func (e *encoder) plainStrings(c *column, own []*columnar.Column) {
	e.begin(c)
	weight := func(i int) int { return plainSize(own[i]) }
	if c.node.Role == columnar.RoleReference || alike(own) {
		e.pages(c, encDeltaStrings, weight, func(from, to int) { e.frontCode(own[from:to]) })
	} else {
		e.pages(c, encDeltaLength, weight, func(from, to int) { e.lengthsFirst(own[from:to]) })
	}
	e.end(statistics{})
}

// plainSize is roughly the size of a piece's values written one by one.
func plainSize(c *columnar.Column) int {
	if c == nil || c.Distinct == 0 {
		return 0
	}
	return len(c.Data) / c.Distinct * c.Values
}

func (e *encoder) lengthsFirst(own []*columnar.Column) {
	e.lengths = e.lengths[:0]
	for _, col := range own {
		switch {
		case col == nil:
		case col.Plain:
			last := uint32(0)
			for _, end := range col.Ends {
				e.lengths = append(e.lengths, int64(end-last))
				last = end
			}
		default:
			col.Each(func(v []byte) { e.lengths = append(e.lengths, int64(len(v))) })
		}
	}
	e.raw = appendDelta(e.raw, e.lengths)
	for _, col := range own {
		switch {
		case col == nil:
		case col.Plain:
			e.raw = append(e.raw, col.Data...)
		default:
			col.Each(func(v []byte) { e.raw = append(e.raw, v...) })
		}
	}
}

func (e *encoder) frontCode(own []*columnar.Column) {
	e.lengths, e.prefixes, e.text = e.lengths[:0], e.prefixes[:0], e.text[:0]
	var last []byte
	for _, col := range own {
		if col == nil {
			continue
		}
		col.Each(func(v []byte) {
			n := shared(last, v)
			e.prefixes = append(e.prefixes, int64(n))
			e.lengths = append(e.lengths, int64(len(v)-n))
			e.text = append(e.text, v[n:]...)
			last = v
		})
	}
	e.raw = appendDelta(e.raw, e.prefixes)
	e.raw = appendDelta(e.raw, e.lengths)
	e.raw = append(e.raw, e.text...)
}

// alike tells whether neighbours, among the first values of each piece, share
// enough to leave it out.
func alike(own []*columnar.Column) bool {
	const sample = 64
	values, common, size := 0, 0, 0
	for _, c := range own {
		if c == nil {
			continue
		}
		var last []byte
		for i := range min(c.Distinct, sample) {
			v := c.Entry(i)
			common += shared(last, v)
			size += len(v)
			values++
			last = v
		}
	}
	return common >= 4*values && 6*common >= size
}

// shared is the length of the common beginning of a and b.
func shared(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
