package parquet

import (
	"bytes"
	"hash/maphash"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// A dictionary is refused when it would be larger than this.
const maxDictionaryBytes = 4 << 20

var seed = maphash.MakeSeed() // where a value sits in a table, which no output depends on

// dictionary merges the different values of the pieces of a row group.
type dictionary struct {
	entries [][]byte // alias the pieces
	hashes  []uint32
	table   []uint32 // 1 + position in entries, 0 is free
	bytes   int
	remap   []uint32
}

func (d *dictionary) reset(expected int) {
	room := 64
	for room < 2*expected {
		room *= 2
	}
	clear(d.entries)
	d.entries, d.hashes, d.bytes = d.entries[:0], d.hashes[:0], 0
	d.resize(room)
}

func (d *dictionary) resize(room int) {
	if cap(d.table) < room {
		d.table = make([]uint32, room)
		return
	}
	d.table = d.table[:room]
	clear(d.table)
}

func (d *dictionary) find(v []byte) uint32 {
	h := uint32(maphash.Bytes(seed, v))
	mask := uint32(len(d.table) - 1)
	at := h & mask
	for ; d.table[at] != 0; at = (at + 1) & mask {
		if i := d.table[at] - 1; d.hashes[i] == h && bytes.Equal(d.entries[i], v) {
			return i
		}
	}
	d.entries = append(d.entries, v)
	d.hashes = append(d.hashes, h)
	d.bytes += len(v)
	d.table[at] = uint32(len(d.entries))
	if 2*len(d.entries) > len(d.table) {
		d.resize(4 * len(d.table))
		mask = uint32(len(d.table) - 1)
		for i, h := range d.hashes {
			at := h & mask
			for d.table[at] != 0 {
				at = (at + 1) & mask
			}
			d.table[at] = uint32(i) + 1
		}
	}
	return uint32(len(d.entries) - 1)
}

// merge appends the dictionary indices of all values of the columns to index.
// It gives up, and says so, when a dictionary does not pay.
func (d *dictionary) merge(index []uint32, cols []*columnar.Column) ([]uint32, bool) {
	values, distinct, plain := 0, 0, 0
	for _, c := range cols {
		if c != nil {
			values += c.Values
			distinct += c.Distinct
			if c.Plain {
				plain += c.Values
			}
		}
	}
	if 2*plain > values || values > 64 && 3*distinct > 2*values {
		return index, false
	}
	d.reset(min(distinct, 1<<14))
	for _, c := range cols {
		if c == nil {
			continue
		}
		if d.bytes > maxDictionaryBytes {
			return index, false
		}
		if c.Plain {
			c.Each(func(v []byte) { index = append(index, d.find(v)) })
			continue
		}
		d.remap = d.remap[:0]
		for i := range c.Distinct {
			d.remap = append(d.remap, d.find(c.Entry(i)))
		}
		index = c.AppendIndex(index, d.remap)
	}
	return index, values <= 64 || 3*len(d.entries) <= 2*values
}
