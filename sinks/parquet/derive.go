package parquet

import (
	"bytes"
	"encoding/binary"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// twinScratch holds derived values: an entry for each text that derive was
// given. The entry of a text without twins is zero and not ok.
type twinScratch struct {
	ok        []bool
	failed    int
	times     [2][]int64 // start and end
	decimals  [][16]byte
	ids       []byte // ids of references, one after the other
	idLengths []int64
	types     []uint32 // of references: positions in typeNames
	typeNames [][]byte

	valid []bool   // by value: it has twins
	index []uint32 // scratch for indices
	segs  []segment
}

// memory is about what the scratch holds.
func (t *twinScratch) memory() int {
	return cap(t.ids) + 8*(cap(t.idLengths)+cap(t.times[0])+cap(t.times[1])) + 16*cap(t.decimals) + 4*(cap(t.types)+cap(t.index)) + 2*cap(t.ok)
}

func (t *twinScratch) reset() {
	t.ok, t.failed = t.ok[:0], 0
	t.times[0], t.times[1], t.decimals = t.times[0][:0], t.times[1][:0], t.decimals[:0]
	t.ids, t.idLengths, t.types, t.typeNames = t.ids[:0], t.idLengths[:0], t.types[:0], t.typeNames[:0]
}

func (t *twinScratch) derive(r columnar.Role, v []byte) {
	var ok bool
	switch r {
	case columnar.RoleTime:
		var start, end int64
		if start, end, ok = columnar.Span(v); !ok {
			start, end = 0, 0
		}
		t.times[0], t.times[1] = append(t.times[0], start), append(t.times[1], end)
	case columnar.RoleDecimal:
		var d [16]byte
		d, ok = columnar.Decimal38(v)
		t.decimals = append(t.decimals, d)
	case columnar.RoleReference:
		var typ, id []byte
		at := uint32(0)
		if typ, id, ok = columnar.ReferenceParts(v); ok {
			at = t.typeIndex(typ)
		}
		t.types = append(t.types, at)
		t.ids = append(t.ids, id...)
		t.idLengths = append(t.idLengths, int64(len(id)))
	}
	if !ok {
		t.failed++
	}
	t.ok = append(t.ok, ok)
}

// typeIndex gives the position of a type's name, trying that of the entry
// before first.
func (t *twinScratch) typeIndex(name []byte) uint32 {
	if n := len(t.types); n > 0 && len(t.typeNames) > 0 {
		if last := t.types[n-1]; bytes.Equal(t.typeNames[last], name) {
			return last
		}
	}
	for i, k := range t.typeNames {
		if bytes.Equal(k, name) {
			return uint32(i)
		}
	}
	t.typeNames = append(t.typeNames, name)
	return uint32(len(t.typeNames) - 1)
}

// translate gives the type of each of index, entries of a dictionary.
func (t *twinScratch) translate(index []uint32) []uint32 {
	mapped := make([]uint32, len(index))
	for i, x := range index {
		mapped[i] = t.types[x]
	}
	return mapped
}

// mask gives the levels of twins that some values lack: one less where a value
// is not valid.
func (t *twinScratch) mask(c *column) []segment {
	t.segs = t.segs[:0]
	valid := t.valid
	for _, s := range c.segs {
		m := s
		bad := 0
		for _, ok := range valid[:s.values] {
			if !ok {
				bad++
			}
		}
		if bad > 0 {
			m.values -= bad
			m.def = maskDef(s, c.node.Def, valid)
		}
		valid = valid[s.values:]
		t.segs = append(t.segs, m)
	}
	return t.segs
}

func maskDef(s segment, maxDef uint8, valid []bool) []byte {
	def := make([]byte, s.slots)
	at := 0
	for i := range def {
		d := s.defAll
		if s.def != nil {
			d = s.def[i]
		}
		if d == maxDef {
			if !valid[at] {
				d--
			}
			at++
		}
		def[i] = d
	}
	return def
}

// compact drops the entries that are not ok.
func (t *twinScratch) compact() {
	n := 0
	for i, ok := range t.ok {
		if !ok {
			continue
		}
		switch {
		case len(t.decimals) > 0:
			t.decimals[n] = t.decimals[i]
		case len(t.types) > 0:
			t.types[n], t.idLengths[n] = t.types[i], t.idLengths[i]
		default:
			t.times[0][n], t.times[1][n] = t.times[0][i], t.times[1][i]
		}
		t.ok[n] = true
		n++
	}
	t.ok = t.ok[:n]
	t.times[0], t.times[1] = t.times[0][:min(n, len(t.times[0]))], t.times[1][:min(n, len(t.times[1]))]
	t.decimals = t.decimals[:min(n, len(t.decimals))]
	t.types, t.idLengths = t.types[:min(n, len(t.types))], t.idLengths[:min(n, len(t.idLengths))]
}

func (t *twinScratch) timeBounds(twin int) statistics {
	var lowest, highest int64
	first := true
	for i, v := range t.times[twin] {
		if !t.ok[i] {
			continue
		}
		if first {
			lowest, highest, first = v, v, false
		}
		lowest, highest = min(lowest, v), max(highest, v)
	}
	return statistics{
		binary.LittleEndian.AppendUint64(nil, uint64(lowest)), binary.LittleEndian.AppendUint64(nil, uint64(highest)),
	}
}

func (t *twinScratch) decimalBounds() statistics {
	var lowest, highest *[16]byte
	for i := range t.decimals {
		if !t.ok[i] {
			continue
		}
		d := &t.decimals[i]
		if lowest == nil || lessDecimal(d, lowest) {
			lowest = d
		}
		if highest == nil || lessDecimal(highest, d) {
			highest = d
		}
	}
	return statistics{append([]byte{}, lowest[:]...), append([]byte{}, highest[:]...)}
}

// lessDecimal compares big-endian two's complement numbers.
func lessDecimal(a, b *[16]byte) bool {
	if x, y := int8(a[0]), int8(b[0]); x != y {
		return x < y
	}
	return bytes.Compare(a[1:], b[1:]) < 0
}
