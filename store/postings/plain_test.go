package postings_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/postings"
)

// rowsOfAllTables makes n rows of each table of values, with the borders of each type.
func rowsOfAllTables(t *testing.T, n int) *postings.Rows {
	h, err := postings.NewHasher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	rows, v := &postings.Rows{}, &search.Values{}
	for i := range n {
		at := search.Row{Record: int32(i), Group: search.GroupID(i%3) * (math.MaxUint32 / 2), Part: uint32(i % 5)}
		text := v.AddString(strings.Repeat("ä", i%40))
		rows.AddResource(postings.Resource{
			Type: r4.TypePatient, Version: math.MaxUint32, At: postings.At(7, uint32(i)), Key: math.MaxUint64 - uint64(i), Updated: -int64(i), ID: strings.Repeat("x", i%65),
		})
		v.Tokens = append(v.Tokens, search.Token{Row: at, Code: text, System: v.AddString("urn:s"), Implied: i%3 == 0})
		v.Strings = append(v.Strings, search.String{Row: at, Folded: text, Exact: text, Word: i%7 == 0})
		v.Dates = append(v.Dates, search.Date{Row: at, Range: search.Range{Start: search.Earliest, End: int64(i)}})
		v.Numbers = append(v.Numbers, search.Number{Row: at, Interval: search.Interval{Low: -0.5 * float64(i), High: math.Inf(1)}})
		v.Quantities = append(v.Quantities, search.Quantity{Row: at, Interval: search.Interval{Low: 1, High: float64(i)}, Code: text})
		v.References = append(v.References, search.Reference{Row: at, Type: r4.TypePatient, ID: v.AddString("a"), Version: text})
		v.URIs = append(v.URIs, search.URI{Row: at, Value: text})
	}
	rows.Add(h, v, func(i int32) (postings.Address, bool) { return postings.At(7, uint32(i)), true })
	return rows
}

// A run is read by another implementation of Parquet, and has what the rows have; the
// ranges by which a reader skips are those of the rows.
func TestRunsAreParquet(t *testing.T) {
	for name, n := range map[string]int{"one row": 1, "a full row group": 16 << 10, "several row groups": 40_001} {
		t.Run(name, func(t *testing.T) {
			rows := rowsOfAllTables(t, n)
			run, err := postings.WriteRun(filepath.Join(t.TempDir(), "run"), rows)
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range postings.Tables {
				if table.Rows(rows) == 0 {
					continue
				}
				f, err := file.OpenParquetFile(run.Path(table.Name), false)
				if err != nil {
					t.Fatalf("%s: %v", table.Name, err)
				}
				if got, want := f.NumRows(), int64(table.Rows(rows)); got != want || got != run.Rows[table.Name] {
					t.Errorf("%s: %d rows, want %d, the run says %d", table.Name, got, want, run.Rows[table.Name])
				}
				at := 0
				for g := range f.NumRowGroups() {
					rg := f.RowGroup(g)
					for c, column := range table.Columns {
						got := readColumn(t, rg, c)
						want := make([]any, rg.NumRows())
						for i := range want {
							want[i] = valueOf(table, rows, at+i, c)
						}
						if !slices.Equal(want, got) {
							d := cmp.Diff(want, got)
							t.Fatalf("%s.%s, row group %d (-want +got):\n%s", table.Name, column.Name, g, d)
						}
						if table.Grouped && column.Name == "grp" {
							wantRange(t, rg, c, want[0].(int32), want[len(want)-1].(int32))
						}
					}
					at += int(rg.NumRows())
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A run of several parts has the rows of all of them; what is given up leaves no file.
func TestRunsGrowByParts(t *testing.T) {
	dir := t.TempDir()
	w := postings.NewRunWriter(filepath.Join(dir, "run"))
	var want []any
	for _, n := range []int{3, 0, 20_000} {
		rows := rowsOfAllTables(t, n)
		if err := w.Add(rows); err != nil {
			t.Fatal(err)
		}
		for i := range rows.Resources {
			want = append(want, int64(rows.Resources[i].Key))
		}
	}
	run, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	f, err := file.OpenParquetFile(run.Path("resource"), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for g := range f.NumRowGroups() {
		got = append(got, readColumn(t, f.RowGroup(g), 2)...)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(want, got) {
		t.Errorf("%d keys read, %d written, or others", len(got), len(want))
	}
	counted := int64(0)
	for _, n := range run.Groups["token"] {
		counted += n
	}
	if w.Parts() != 3 || counted != 20_003 || run.Rows["token"] != counted {
		t.Errorf("%d parts, %d tokens by group, %d in all; want 3 and 20003", w.Parts(), counted, run.Rows["token"])
	}

	given := postings.NewRunWriter(filepath.Join(dir, "given-up"))
	if err := given.Add(rowsOfAllTables(t, 2)); err != nil {
		t.Fatal(err)
	}
	given.Discard()
	if left, err := filepath.Glob(filepath.Join(dir, "given-up*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func wantRange(t *testing.T, rg *file.RowGroupReader, c int, low, high int32) {
	t.Helper()
	chunk, err := rg.MetaData().ColumnChunk(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := chunk.Statistics()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.(*metadata.Int32Statistics); got.Min() != low || got.Max() != high {
		t.Errorf("groups from %d to %d, the statistics say %d to %d", uint32(low), uint32(high), uint32(got.Min()), uint32(got.Max()))
	}
}

// valueOf gives a value as its physical type in Parquet has it.
func valueOf(t *postings.Table, rows *postings.Rows, i, c int) any {
	bits, text := t.Value(rows, i, c)
	switch t.Columns[c].Type {
	case postings.Bool:
		return bits != 0
	case postings.Uint32:
		return int32(bits)
	case postings.Float:
		return math.Float64frombits(bits)
	case postings.Text:
		return text
	}
	return int64(bits)
}

func readColumn(t *testing.T, rg *file.RowGroupReader, c int) (all []any) {
	t.Helper()
	r, err := rg.Column(c)
	if err != nil {
		t.Fatal(err)
	}
	n := rg.NumRows()
	switch r := r.(type) {
	case *file.BooleanColumnChunkReader:
		return values(t, n, r.ReadBatch, func(v bool) any { return v })
	case *file.Int32ColumnChunkReader:
		return values(t, n, r.ReadBatch, func(v int32) any { return v })
	case *file.Int64ColumnChunkReader:
		return values(t, n, r.ReadBatch, func(v int64) any { return v })
	case *file.Float64ColumnChunkReader:
		return values(t, n, r.ReadBatch, func(v float64) any { return v })
	case *file.ByteArrayColumnChunkReader:
		return values(t, n, r.ReadBatch, func(v parquet.ByteArray) any { return string(v) })
	}
	t.Fatalf("a column reader of type %T", r)
	return nil
}

func values[T any](t *testing.T, n int64, read func(int64, []T, []int16, []int16) (int64, int, error), as func(T) any) (all []any) {
	t.Helper()
	buf := make([]T, n)
	if total, _, err := read(n, buf, nil, nil); err != nil || total != n {
		t.Fatalf("read %d values of %d: %v", total, n, err)
	}
	for _, v := range buf {
		all = append(all, as(v))
	}
	return all
}
