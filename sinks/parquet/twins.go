package parquet

import (
	"encoding/binary"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// twinsOfDictionary writes the twins of a leaf with a merged dictionary, whose
// chunk is chunks[base]. They are derived from its entries; where all entries
// have them, the data pages of the leaf serve the twins as they are, compressed
// bytes included: only the dictionary page differs.
func (e *encoder) twinsOfDictionary(c *column, base int) {
	r := c.node.Role
	if len(r.Twins()) == 0 {
		return
	}
	t := &e.twin
	t.reset()
	for _, v := range e.dict.entries {
		t.derive(r, v)
	}
	of, index, entries := *c, e.index, len(e.dict.entries)
	if t.failed > 0 {
		t.valid, t.index = t.valid[:0], t.index[:0]
		for _, i := range e.index {
			t.valid = append(t.valid, t.ok[i])
			if t.ok[i] {
				t.index = append(t.index, i)
			}
		}
		index = t.index
		of = columnOf(c.node, 0, t.mask(c))
		if of.values == 0 {
			e.nullTwins(&of, c.values)
			return
		}
	}
	e.countFailed(r, c.values-of.values)
	for twin := range r.Twins() {
		of.twin = twin
		if r == columnar.RoleReference && twin == 0 {
			e.referenceTypes(&of, t.translate(index))
			continue
		}
		e.begin(&of)
		st := e.appendEntries(r, twin)
		if t.failed == 0 {
			e.endShared(&e.chunks[base], entries, st)
			continue
		}
		e.endDictionary(entries)
		e.indexPages(&of, index, entries)
		e.end(st)
	}
}

// nullTwins writes the twins of a leaf none of whose values has any.
func (e *encoder) nullTwins(c *column, values int) {
	e.countFailed(c.node.Role, values)
	for twin := range c.node.Role.Twins() {
		c.twin = twin
		e.nulls(c)
	}
}

func (e *encoder) countFailed(r columnar.Role, n int) {
	if r == columnar.RoleDecimal {
		e.failed += int64(n)
	}
}

// appendEntries appends the derived entries as PLAIN and gives their bounds.
func (e *encoder) appendEntries(r columnar.Role, twin int) statistics {
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
	at := 0
	for _, n := range t.idLengths {
		e.raw = binary.LittleEndian.AppendUint32(e.raw, uint32(n))
		e.raw = append(e.raw, t.ids[at:at+int(n)]...)
		at += int(n)
	}
	return statistics{}
}

// referenceTypes writes the column of types, which has its own dictionary.
func (e *encoder) referenceTypes(c *column, index []uint32) {
	var b bounds
	e.begin(c)
	for _, v := range e.twin.typeNames {
		e.raw = binary.LittleEndian.AppendUint32(e.raw, uint32(len(v)))
		e.raw = append(e.raw, v...)
		b.add(v)
	}
	e.endDictionary(len(e.twin.typeNames))
	e.indexPages(c, index, len(e.twin.typeNames))
	e.end(b.statistics())
}

// twinsOfPlain writes the twins of a leaf without a dictionary.
func (e *encoder) twinsOfPlain(c *column, own []*columnar.Column) {
	r := c.node.Role
	if len(r.Twins()) == 0 {
		return
	}
	t := &e.twin
	t.reset()
	for _, col := range own {
		if col != nil {
			col.Each(func(v []byte) { t.derive(r, v) })
		}
	}
	of := *c
	if t.failed > 0 {
		t.valid = append(t.valid[:0], t.ok...)
		of = columnOf(c.node, 0, t.mask(c))
		if of.values == 0 {
			e.nullTwins(&of, c.values)
			return
		}
		t.compact()
	}
	e.countFailed(r, c.values-of.values)
	for twin := range r.Twins() {
		of.twin = twin
		e.plainTwin(&of, r, twin)
	}
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
	weight := func(i int) int { return 32 * c.segs[i].values }
	if r == columnar.RoleReference && twin == 0 {
		e.referenceTypes(c, t.types)
		return
	}
	e.begin(c)
	var st statistics
	switch r {
	case columnar.RoleTime:
		st = t.timeBounds(twin)
		e.pages(c, encDelta, weight, func(from, to int) {
			lo, hi := take(from, to)
			e.raw = appendDelta(e.raw, t.times[twin][lo:hi])
		})
	case columnar.RoleDecimal:
		st = t.decimalBounds()
		e.pages(c, encPlain, weight, func(from, to int) {
			lo, hi := take(from, to)
			for i := lo; i < hi; i++ {
				e.raw = append(e.raw, t.decimals[i][:]...)
			}
		})
	default:
		text := t.ids
		e.pages(c, encDeltaLength, weight, func(from, to int) {
			lo, hi := take(from, to)
			size := int64(0)
			for _, n := range t.idLengths[lo:hi] {
				size += n
			}
			e.raw = appendDelta(e.raw, t.idLengths[lo:hi])
			e.raw = append(e.raw, text[:size]...)
			text = text[size:]
		})
	}
	e.end(st)
}
