package postings

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/fhirlake/fhirlake/fhir/search"
)

// Run is a set of rows on disk, on its way into an index: a Parquet file for each table
// that has rows, next to one another. Rows of values are sorted by their group, so that
// who builds a part of the groups reads little else.
type Run struct {
	base string
	// Rows has the number of rows by table name, and Groups those of values by group.
	Rows   map[string]int64
	Groups map[string]map[search.GroupID]int64
}

// Path gives the file of a table.
func (r *Run) Path(table string) string { return r.base + "." + table }

// Remove removes the files.
func (r *Run) Remove() {
	for _, t := range Tables {
		os.Remove(r.Path(t.Name)) // a leftover does no harm: the next owner sweeps it
	}
}

// runGroup is how many rows of a run are skipped at once.
const runGroup = 16 << 10

// WriteRun writes rows to files whose names begin with base; it changes their order.
func WriteRun(base string, r *Rows) (*Run, error) {
	byGroup(r.Tokens, func(x *Token) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Strings, func(x *String) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Dates, func(x *Date) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Numbers, func(x *Number) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Quantities, func(x *Quantity) search.GroupID { return x.Group }, &r.order)
	byGroup(r.References, func(x *Reference) search.GroupID { return x.Group }, &r.order)
	byGroup(r.URIs, func(x *URI) search.GroupID { return x.Group }, &r.order)
	run := &Run{base: base, Rows: map[string]int64{}, Groups: map[string]map[search.GroupID]int64{}}
	for _, t := range Tables {
		n := t.Rows(r)
		if n == 0 {
			continue
		}
		run.Rows[t.Name] = int64(n)
		if t.Grouped {
			run.Groups[t.Name] = t.groups(r, n)
		}
		if err := t.write(run.Path(t.Name), r, n); err != nil {
			run.Remove()
			return nil, fmt.Errorf("write run of the search index: %w", err)
		}
	}
	return run, nil
}

// byGroup orders rows by their groups, those of one group in any order. It counts
// instead of comparing, since there are a few hundred groups, and moves rows in place:
// a second copy of a run would be garbage of many megabytes each time. to is a buffer.
func byGroup[T any](rows []T, group func(*T) search.GroupID, to *[]uint32) {
	number := map[search.GroupID]uint32{} // of a group, as they come
	var counts []uint32
	dest := slices.Grow((*to)[:0], len(rows))[:len(rows)] // first the number, then the place of each row
	*to = dest
	for i := range rows {
		g := group(&rows[i])
		n, ok := number[g]
		if !ok {
			n = uint32(len(counts))
			number[g], counts = n, append(counts, 0)
		}
		dest[i] = n
		counts[n]++
	}
	at := uint32(0)
	for _, g := range slices.Sorted(maps.Keys(number)) { // counts become the next places
		n := number[g]
		at, counts[n] = at+counts[n], at
	}
	for i, n := range dest {
		dest[i] = counts[n]
		counts[n]++
	}
	for i := range dest {
		for j := dest[i]; j != uint32(i); j = dest[i] {
			rows[i], rows[j] = rows[j], rows[i]
			dest[i], dest[j] = dest[j], j
		}
	}
}

// groups counts the rows of each group; r is sorted by it.
func (t *Table) groups(r *Rows, n int) map[search.GroupID]int64 {
	groups := map[search.GroupID]int64{}
	for from, i := 0, 1; i <= n; i++ {
		if g := t.integer[0](r, from); i == n || t.integer[0](r, i) != g {
			groups[search.GroupID(g)] = int64(i - from)
			from = i
		}
	}
	return groups
}

func (t *Table) write(name string, r *Rows, n int) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	w := file.NewParquetWriter(f, t.schema(), file.WithWriterProps(parquet.NewWriterProperties(parquet.WithDictionaryDefault(false))))
	var buf columnBuffer
	for from := 0; from < n && err == nil; from += runGroup {
		var g file.SerialRowGroupWriter
		if g, err = w.AppendRowGroupChecked(); err == nil {
			err = t.writeGroup(g, &buf, r, from, min(from+runGroup, n))
		}
	}
	if e := w.Close(); err == nil { // which closes f
		err = e
	}
	return err
}

func (t *Table) schema() *schema.GroupNode {
	var fields schema.FieldList
	for _, c := range t.Columns {
		fields = append(fields, schema.MustPrimitive(c.node()))
	}
	return schema.MustGroup(schema.NewGroupNode(t.Name, parquet.Repetitions.Required, fields, -1))
}

func (c *Column) node() (*schema.PrimitiveNode, error) {
	required := parquet.Repetitions.Required
	switch c.Type {
	case Bool:
		return schema.NewBooleanNode(c.Name, required, -1), nil
	case Uint32:
		return schema.NewPrimitiveNodeLogical(c.Name, required, schema.NewIntLogicalType(32, false), parquet.Types.Int32, 0, -1)
	case Uint64:
		return schema.NewPrimitiveNodeLogical(c.Name, required, schema.NewIntLogicalType(64, false), parquet.Types.Int64, 0, -1)
	case Int64:
		return schema.NewInt64Node(c.Name, required, -1), nil
	case Float:
		return schema.NewFloat64Node(c.Name, required, -1), nil
	}
	return schema.NewPrimitiveNodeLogical(c.Name, required, schema.StringLogicalType{}, parquet.Types.ByteArray, 0, -1)
}

// columnBuffer has the values of one column of a row group.
type columnBuffer struct {
	i32  []int32
	i64  []int64
	f64  []float64
	bool []bool
	text []parquet.ByteArray
}

func (t *Table) writeGroup(g file.SerialRowGroupWriter, b *columnBuffer, r *Rows, from, to int) error {
	for c := range t.Columns {
		w, err := g.NextColumn()
		if err != nil {
			return err
		}
		t.fill[c](b, r, from, to)
		switch w := w.(type) {
		case *file.Int32ColumnChunkWriter:
			_, err = w.WriteBatch(b.i32, nil, nil)
		case *file.Int64ColumnChunkWriter:
			_, err = w.WriteBatch(b.i64, nil, nil)
		case *file.Float64ColumnChunkWriter:
			_, err = w.WriteBatch(b.f64, nil, nil)
		case *file.BooleanColumnChunkWriter:
			_, err = w.WriteBatch(b.bool, nil, nil)
		case *file.ByteArrayColumnChunkWriter:
			_, err = w.WriteBatch(b.text, nil, nil)
		}
		if e := w.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return g.Close()
}

// fill sets b to a column of rows.
func fill[T any](b *columnBuffer, c *column[T], rows []T) {
	b.i32, b.i64, b.f64, b.bool, b.text = b.i32[:0], b.i64[:0], b.f64[:0], b.bool[:0], b.text[:0]
	switch c.typ {
	case Uint32:
		for i := range rows {
			b.i32 = append(b.i32, int32(c.integer(&rows[i])))
		}
	case Uint64, Int64:
		for i := range rows {
			b.i64 = append(b.i64, int64(c.integer(&rows[i])))
		}
	case Float:
		for i := range rows {
			b.f64 = append(b.f64, math.Float64frombits(c.integer(&rows[i])))
		}
	case Bool:
		for i := range rows {
			b.bool = append(b.bool, c.integer(&rows[i]) != 0)
		}
	case Text:
		for i := range rows {
			b.text = append(b.text, parquet.ByteArray(c.text(&rows[i])))
		}
	}
}
