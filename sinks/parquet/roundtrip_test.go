package parquet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	arrowfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/parquet"
)

// rows reads a file back with arrow-go: one nested map for each row, without
// what is null.
func rows(tb testing.TB, name string) []map[string]any {
	tb.Helper()
	f, err := arrowfile.OpenParquetFile(name, false)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	defer f.Close()
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		tb.Fatal(err)
	}
	table, err := r.ReadTable(context.Background())
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	defer table.Release()
	all := make([]map[string]any, table.NumRows())
	for i := range all {
		all[i] = map[string]any{}
	}
	for c := range int(table.NumCols()) {
		at := 0
		for _, part := range table.Column(c).Data().Chunks() {
			for i := range part.Len() {
				if v := valueAt(part, i); v != nil {
					all[at][table.Schema().Field(c).Name] = v
				}
				at++
			}
		}
	}
	return all
}

func valueAt(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Struct:
		m := map[string]any{}
		for f := range a.NumField() {
			if v := valueAt(a.Field(f), i); v != nil {
				m[a.DataType().(*arrow.StructType).Field(f).Name] = v
			}
		}
		return m
	case *array.List:
		start, end := a.ValueOffsets(i)
		l := make([]any, 0, end-start)
		for j := start; j < end; j++ {
			l = append(l, valueAt(a.ListValues(), int(j)))
		}
		return l
	case *array.String:
		return a.Value(i)
	case *array.Boolean:
		return a.Value(i)
	case *array.Int32:
		return json.Number(strconv.Itoa(int(a.Value(i))))
	case *array.Timestamp:
		return int64(a.Value(i))
	case *array.Decimal128:
		return a.Value(i).ToString(columnar.DecimalScale)
	}
	panic(fmt.Sprintf("no value of %T", a))
}

// checker compares a resource with its row, every leaf of both.
type checker struct {
	t        *testing.T
	overflow map[string]any
	used     int // of overflow
	leaves   int
}

func (c *checker) fail(path, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
}

func (c *checker) resource(want, row map[string]any) {
	c.t.Helper()
	c.overflow, c.used = map[string]any{}, 0
	if text, ok := row["overflow__json"].(string); ok {
		c.overflow = decode(c.t, text)
	}
	delete(row, "overflow__json")
	name := want["resourceType"].(string)
	if row["resourceType"] != name {
		c.fail(name, "resourceType is %v", row["resourceType"])
	}
	delete(row, "resourceType")
	delete(want, "resourceType")
	meta, _ := row["meta"].(map[string]any)
	if meta["versionId"] != "1" || meta["lastUpdated"] != "2024-02-29T12:30:45.678Z" ||
		meta["lastUpdated__start"] != clock.UnixMicro() || meta["lastUpdated__end"] != clock.UnixMicro()+1000 {
		c.fail(name, "meta is %v", meta)
	}
	for _, k := range []string{"versionId", "lastUpdated", "lastUpdated__start", "lastUpdated__end"} {
		delete(meta, k)
	}
	if m, ok := want["meta"].(map[string]any); ok {
		delete(m, "versionId")
		delete(m, "lastUpdated")
	} else if len(meta) == 0 {
		delete(row, "meta")
	}
	t, _ := r4.TypeByName(name)
	c.object(name, "", t, want, row, true)
	if c.used != len(c.overflow) {
		c.fail(name, "%d of %d values in the overflow text are not in the resource: %v", len(c.overflow)-c.used, len(c.overflow), c.overflow)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (c *checker) object(at, path string, t r4.TypeID, want, row map[string]any, root bool) {
	c.t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		key := join(path, k)
		if v, ok := c.overflow[key]; ok {
			c.used++
			c.json(at+"."+key, want[k], v)
			continue
		}
		got, ok := row[k]
		delete(row, k)
		if !ok && !hollow(want[k], &got) {
			c.fail(at+"."+key, "is missing")
			continue
		}
		el := t.ElementByName(k)
		if el == 0 {
			c.json(at+"."+key, want[k], got)
			continue
		}
		c.value(at, key, r4.ElementAt(el), want[k], got, row, root)
	}
	for k, v := range row {
		c.fail(at+"."+join(path, k), "is %v in the columns only", v)
	}
}

// hollow gives the row of a group that has no column, because all that it
// contains is in the overflow text.
func hollow(want any, got *any) bool {
	switch want := want.(type) {
	case map[string]any:
		*got = map[string]any{}
		return true
	case []any:
		items := make([]any, len(want))
		for i := range want {
			items[i] = map[string]any{}
		}
		*got = items
		return true
	}
	return false
}

func (c *checker) json(path string, want, got any) {
	c.t.Helper()
	c.leaves++
	if text, ok := got.(string); ok {
		var v any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err == nil && cmp.Equal(want, v) {
			return
		}
	}
	if !cmp.Equal(want, got) {
		c.fail(path, "want %v, have %v", want, got)
	}
}

// value compares the value of an element. Its twins are taken out of row.
func (c *checker) value(at, path string, el *r4.Element, want, got any, row map[string]any, root bool) {
	c.t.Helper()
	twins := map[string]any{}
	for _, suffix := range []string{"__start", "__end", "__decimal", "__type", "__id"} {
		if v, ok := row[el.Name+suffix]; ok {
			twins[suffix] = v
			delete(row, el.Name+suffix)
		}
	}
	list, isList := want.([]any)
	if _, isText := got.(string); isText && isList {
		c.json(at+"."+path, want, got)
		return
	}
	if !isList {
		c.item(at, path, el, want, got, twins, root)
		return
	}
	gotList, _ := got.([]any)
	if len(gotList) != len(list) {
		c.fail(at+"."+path, "has %d items, not %d", len(gotList), len(list))
		return
	}
	for i := range list {
		one := map[string]any{}
		for suffix, v := range twins {
			if l := v.([]any); l[i] != nil {
				one[suffix] = l[i]
			}
		}
		item := fmt.Sprintf("%s[%d]", path, i)
		if v, ok := c.overflow[item]; ok {
			c.used++
			c.json(at+"."+item, list[i], v)
			continue
		}
		c.item(at, item, el, list[i], gotList[i], one, root)
	}
}

func (c *checker) item(at, path string, el *r4.Element, want, got any, twins map[string]any, root bool) {
	c.t.Helper()
	if object, ok := want.(map[string]any); ok {
		m, ok := got.(map[string]any)
		if !ok {
			c.json(at+"."+path, want, got)
			return
		}
		if text, ok := m["json"].(string); ok && root && el.Type == r4.TypeExtension {
			c.json(at+"."+path, want, text)
			for k := range c.overflow { // what is there besides
				if strings.HasPrefix(k, path+".") {
					c.used++
				}
			}
			return
		}
		c.object(at, path, el.Type, object, m, false)
		return
	}
	c.leaves++
	text := got
	if n, ok := want.(json.Number); ok && r4.TypeAt(el.Type).Primitive == r4.PrimitiveDecimal {
		want = n.String()
	}
	if !cmp.Equal(want, text) {
		c.fail(at+"."+path, "want %v, have %v", want, text)
	}
	if s, ok := want.(string); ok {
		c.twins(at+"."+path, el, []byte(s), twins)
	}
}

// twins checks that there are twins where the text has them; their values are
// the business of package columnar.
func (c *checker) twins(path string, el *r4.Element, text []byte, got map[string]any) {
	c.t.Helper()
	want := map[string]any{}
	switch r4.TypeAt(el.Type).Primitive {
	case r4.PrimitiveDate, r4.PrimitiveDateTime, r4.PrimitiveInstant:
		if start, end, ok := columnar.Span(text); ok {
			want["__start"], want["__end"] = start, end
		}
	case r4.PrimitiveDecimal:
		if v, ok := decimalText(string(text)); ok {
			want["__decimal"] = v
		}
	default:
		if el.Owner == r4.TypeReference && el.Name == "reference" {
			if typ, id, ok := columnar.ReferenceParts(text); ok {
				want["__type"], want["__id"] = string(typ), string(id)
			}
		}
	}
	if !cmp.Equal(want, got) {
		c.fail(path, "twins of %s: %s", text, cmp.Diff(want, got))
	}
}

func decode(tb testing.TB, text string) map[string]any {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		tb.Fatalf("%v in %s", err, text)
	}
	return m
}

// check compares what the store holds with the batches' pending records, which
// name the rows that they became.
func check(t *testing.T, st *store, all []*pipeline.Batch) (leaves int) {
	t.Helper()
	files := map[uint32][]map[string]any{}
	for _, s := range st.builder.Segments() {
		r := rows(t, filepath.Join(st.dir, s.Columns.Path))
		if int64(len(r)) != s.Rows {
			t.Fatalf("%s has %d rows, the segment says %d", s.Columns.Path, len(r), s.Rows)
		}
		files[s.Ordinal] = r
	}
	c := checker{t: t}
	n := 0
	for _, b := range all {
		for i := range b.Records {
			if r := &b.Records[i]; r.Status == pipeline.Pending {
				c.resource(decode(t, string(b.Line(r))), files[r.Segment][r.Row])
				n++
			}
		}
	}
	for _, r := range files {
		n -= len(r)
	}
	if n != 0 {
		t.Errorf("%d records are in no row", n)
	}
	return c.leaves
}

func TestEveryLeafOfRealResourcesIsInTheColumns(t *testing.T) {
	for _, set := range []string{"r4-examples", "synthea-small"} {
		t.Run(set, func(t *testing.T) {
			files := testdata(t, set)
			var text []byte
			for _, name := range slices.Sorted(maps.Keys(files)) {
				text = append(append(text, bytes.TrimSpace(files[name])...), '\n')
			}
			all := batches(t, text, 300_000)
			st := write(t, all, parquet.Options{GroupRows: 500}, inOrder(t))
			t.Logf("%d leaves, %d segments, %d decimals without twin", check(t, st, all), len(st.builder.Segments()), st.sink.DecimalsWithoutTwin())
		})
	}
}
