package parquet

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// twinScratch is the memory that deriving twins uses again.
type twinScratch struct {
	times    [2][]int64
	decimals [][16]byte
	parts    [2][][]byte
	ok       []bool // by dictionary entry, or by value in a plain column
	valid    []bool // by value
	index    []uint32
	types    []uint32 // by value: the index of its resource type
	segs     []segment
}

// derive fills the scratch with the twins of values, one entry for each. An
// entry that has no twin is not ok and left zero.
func (t *twinScratch) derive(r columnar.Role, each func(f func(v []byte))) (failed int) {
	t.ok = t.ok[:0]
	t.times[0], t.times[1], t.decimals = t.times[0][:0], t.times[1][:0], t.decimals[:0]
	t.parts[0], t.parts[1] = t.parts[0][:0], t.parts[1][:0]
	each(func(v []byte) {
		var ok bool
		switch r {
		case columnar.RoleTime:
			var start, end int64
			start, end, ok = columnar.Span(v)
			t.times[0], t.times[1] = append(t.times[0], start), append(t.times[1], end)
		case columnar.RoleDecimal:
			var d [16]byte
			d, ok = columnar.Decimal38(v)
			t.decimals = append(t.decimals, d)
		case columnar.RoleReference:
			var typ, id []byte
			typ, id, ok = columnar.ReferenceParts(v)
			t.parts[0], t.parts[1] = append(t.parts[0], typ), append(t.parts[1], id)
		}
		if !ok {
			failed++
		}
		t.ok = append(t.ok, ok)
	})
	return failed
}

// twinsOfDictionary writes the twins of a leaf with a merged dictionary. They
// are derived from its entries; where all entries have them, the data pages of
// the leaf serve the twins as they are, compressed bytes included: only the
// dictionary page differs.
func (e *encoder) twinsOfDictionary(c *column, pages []page) {
	r := c.node.Role
	if len(r.Twins()) == 0 {
		return
	}
	t := &e.twin
	entries := e.dict.entries
	index := e.index
	base := *c
	failed := t.derive(r, func(f func(v []byte)) {
		for _, v := range entries {
			f(v)
		}
	})
	data := slices.Clone(pages[1:])
	if failed > 0 {
		t.valid, t.index = t.valid[:0], t.index[:0]
		for _, i := range e.index {
			t.valid = append(t.valid, t.ok[i])
			if t.ok[i] {
				t.index = append(t.index, i)
			}
		}
		index = t.index
		base = columnOf(c.node, 0, t.mask(c))
		if base.values == 0 {
			e.nullTwins(&base, c.values)
			return
		}
		data = e.indexPages(&base, index, len(entries))
	}
	e.failed += e.decimalsFailed(r, c.values-base.values)
	for i := range r.Twins() {
		base.twin = i
		if r == columnar.RoleReference && i == 0 {
			e.referenceTypes(&base, t.remapTypes(index))
			continue
		}
		at := len(e.raw)
		st := e.appendTwin(r, i)
		e.write(&base, append([]page{e.dictionaryPage(at, len(entries))}, data...), st)
	}
}

// nullTwins writes the twins of a leaf none of whose values has any.
func (e *encoder) nullTwins(base *column, values int) {
	e.failed += e.decimalsFailed(base.node.Role, values)
	pages := e.nullPages(base)
	for i := range base.node.Role.Twins() {
		base.twin = i
		e.write(base, pages, statistics{})
	}
}

func (e *encoder) decimalsFailed(r columnar.Role, n int) int64 {
	if r != columnar.RoleDecimal {
		return 0
	}
	return int64(n)
}

// mask gives the levels of twins that some values lack: one less where a value
// is not valid.
func (t *twinScratch) mask(c *column) []segment {
	t.segs = t.segs[:0]
	valid := t.valid
	for _, s := range c.segs {
		m := s
		if bad := count(valid[:s.values], false); bad > 0 {
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

func count(s []bool, what bool) int {
	n := 0
	for _, v := range s {
		if v == what {
			n++
		}
	}
	return n
}

// appendTwin appends the derived entries as PLAIN and gives their bounds.
func (e *encoder) appendTwin(r columnar.Role, twin int) statistics {
	t := &e.twin
	switch r {
	case columnar.RoleTime:
		for _, v := range t.times[twin] {
			e.raw = binary.LittleEndian.AppendUint64(e.raw, uint64(v))
		}
		return t.timeBounds(twin)
	case columnar.RoleDecimal:
		for i := range t.decimals {
			e.raw = append(e.raw, t.decimals[i][:]...)
		}
		return t.decimalBounds()
	}
	e.raw = appendStrings(e.raw, t.parts[twin])
	return t.partBounds(twin)
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

func (t *twinScratch) partBounds(twin int) statistics {
	var b bounds
	for i, v := range t.parts[twin] {
		if t.ok[i] {
			b.add(v)
		}
	}
	return b.statistics()
}

// remapTypes gives the resource types that occur, as they come first, and puts
// the index of its type for each of index, by the entry that it names, into
// t.index.
func (t *twinScratch) remapTypes(index []uint32) (types [][]byte) {
	of := make([]uint32, len(t.ok))
	for i, typ := range t.parts[0] {
		if !t.ok[i] {
			continue
		}
		at := slices.IndexFunc(types, func(k []byte) bool { return bytes.Equal(k, typ) })
		if at < 0 {
			at = len(types)
			types = append(types, typ)
		}
		of[i] = uint32(at)
	}
	mapped := make([]uint32, len(index))
	for i, x := range index {
		mapped[i] = of[x]
	}
	t.types = mapped
	return types
}

// referenceTypes writes the column of types, which has its own dictionary.
func (e *encoder) referenceTypes(c *column, types [][]byte) {
	var b bounds
	for _, v := range types {
		b.add(v)
	}
	at := len(e.raw)
	e.raw = appendStrings(e.raw, types)
	pages := []page{e.dictionaryPage(at, len(types))}
	pages = append(pages, e.indexPages(c, e.twin.types, len(types))...)
	e.write(c, pages, b.statistics())
}

// twinsOfPlain writes the twins of a leaf without a dictionary.
func (e *encoder) twinsOfPlain(c *column, own []*columnar.Column) {
	r := c.node.Role
	if len(r.Twins()) == 0 {
		return
	}
	t := &e.twin
	failed := t.derive(r, func(f func(v []byte)) {
		for _, col := range own {
			if col != nil {
				col.Each(f)
			}
		}
	})
	base := *c
	if failed > 0 {
		t.valid = append(t.valid[:0], t.ok...)
		base = columnOf(c.node, 0, t.mask(c))
		if base.values == 0 {
			e.nullTwins(&base, c.values)
			return
		}
		t.compact()
	}
	e.failed += e.decimalsFailed(r, c.values-base.values)
	for i := range r.Twins() {
		base.twin = i
		e.plainTwin(&base, r, i)
	}
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
		case len(t.parts[0]) > 0:
			t.parts[0][n], t.parts[1][n] = t.parts[0][i], t.parts[1][i]
		default:
			t.times[0][n], t.times[1][n] = t.times[0][i], t.times[1][i]
		}
		t.ok[n] = true
		n++
	}
	t.ok = t.ok[:n]
	for i := range 2 {
		t.times[i] = t.times[i][:min(n, len(t.times[i]))]
		t.parts[i] = t.parts[i][:min(n, len(t.parts[i]))]
	}
	t.decimals = t.decimals[:min(n, len(t.decimals))]
}

// plainTwin writes one twin of a plain leaf from the scratch, which has an
// entry for each value.
func (e *encoder) plainTwin(c *column, r columnar.Role, twin int) {
	t := &e.twin
	at := 0
	take := func(from, to int) (lo, hi int) {
		lo = at
		for i := from; i < to; i++ {
			at += c.segs[i].values
		}
		return lo, at
	}
	weight := func(i int) int { return 16 * c.segs[i].values }
	switch {
	case r == columnar.RoleTime:
		pages := e.plainPages(c, encDelta, weight, func(from, to int) {
			lo, hi := take(from, to)
			e.raw = appendDelta(e.raw, t.times[twin][lo:hi])
		})
		e.write(c, pages, t.timeBounds(twin))
	case r == columnar.RoleDecimal:
		pages := e.plainPages(c, encPlain, weight, func(from, to int) {
			lo, hi := take(from, to)
			for i := lo; i < hi; i++ {
				e.raw = append(e.raw, t.decimals[i][:]...)
			}
		})
		e.write(c, pages, t.decimalBounds())
	case twin == 0:
		index := t.index[:0]
		for i := range t.ok {
			index = append(index, uint32(i))
		}
		t.index = index
		e.referenceTypes(c, t.remapTypes(index))
	default:
		e.plainIDs(c, take)
	}
}

func (e *encoder) plainIDs(c *column, take func(from, to int) (lo, hi int)) {
	t := &e.twin
	weight := func(i int) int { return 36 * c.segs[i].values }
	pages := e.plainPages(c, encDeltaLength, weight, func(from, to int) {
		lo, hi := take(from, to)
		e.ints = e.ints[:0]
		for _, id := range t.parts[1][lo:hi] {
			e.ints = append(e.ints, int64(len(id)))
		}
		e.raw = appendDelta(e.raw, e.ints)
		for _, id := range t.parts[1][lo:hi] {
			e.raw = append(e.raw, id...)
		}
	})
	e.write(c, pages, t.partBounds(1))
}
