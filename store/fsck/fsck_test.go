package fsck_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

func columns(t *testing.T, rows int) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprint(i))
	}
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(b.NewRecordBatch()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func resources(t *testing.T, rows int) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("{}\n"), rows)
	frame := z.EncodeAll(text, nil)
	return snapshot.AppendFrameTables(frame, []snapshot.Frame{{
		Compressed: uint32(len(frame)), Uncompressed: uint32(len(text)), Rows: uint32(rows),
	}})
}

// annotate writes a file of annotations in one frame, and a table of 9 rows, or so it is said.
func annotate(t *testing.T, seg *snapshot.SegmentBuilder, tableRows int, lines []string) {
	t.Helper()
	table := snapshot.Annotation{Kind: snapshot.Entities, Rows: 9}
	out, err := seg.CreateAnnotations(table.Kind, 1, &table.File)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(columns(t, tableRows))
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	a := snapshot.Annotation{Kind: snapshot.Issues, Rows: 2}
	w, err := seg.CreateAnnotations(a.Kind, 1, &a.File)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n") + "\n"
	frame := z.EncodeAll([]byte(text), nil)
	w.Write(frame)
	w.Write(snapshot.AppendAnnotationTables(nil, []snapshot.AnnotationFrame{{First: 1, Frame: snapshot.Frame{
		Compressed: uint32(len(frame)), Uncompressed: uint32(len(text)), Rows: uint32(len(lines)),
	}}}))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	seg.Annotations = append(seg.Annotations, table, a)
}

// counts says what a test's segment holds, so that a test can make them differ.
type counts struct{ manifest, columns, resources, ids, deletions, table int }

// lake is a root with one data store of one segment, whose first row is
// superseded in a second publication. Two rows are said to be annotated, if lines of
// annotations are given.
func lake(t *testing.T, n counts, annotations ...string) (*root.Root, *catalog.Catalog, *snapshot.Store) {
	t.Helper()
	r, err := root.Open(t.TempDir(), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Open(r.DatastoreDir(d.ID))
	if err != nil {
		t.Fatal(err)
	}
	b := snapshot.NewBuilder(s.Dir(), &snapshot.Manifest{}, func() string { return "u-1" })
	seg := b.Open("Patient")
	seg.Rows = int64(n.manifest)
	for kind, text := range map[snapshot.FileKind][]byte{
		snapshot.ColumnsFile: columns(t, n.columns), snapshot.ResourcesFile: resources(t, n.resources),
	} {
		w, err := seg.Create(kind)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(annotations) > 0 {
		annotate(t, seg, n.table, annotations)
	}
	o := snapshot.PublishOptions{Now: time.Unix(0, 0), Entries: int64(n.manifest)}
	bounds := snapshot.IDBounds{Entries: int64(n.ids), Row: uint32(n.ids), Version: 1, Flags: true}
	ids, err := snapshot.CreateIDs(s.Dir(), "index/1.ids", bounds, &o.IDs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n.ids {
		if err := ids.Add(&snapshot.Entry{Key: snapshot.Key{uint64(i), 1}, Address: snapshot.Address{Row: uint32(i)}, Version: 1, Deleted: i < n.deletions}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ids.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(b, o); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(nil, snapshot.PublishOptions{Now: time.Unix(0, 0), Superseded: map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	return r, c, s
}

func check(t *testing.T, r *root.Root, c *catalog.Catalog) *fsck.Report {
	t.Helper()
	rep, err := fsck.Root(context.Background(), r, c, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

var even = counts{5, 5, 5, 5, 0, 9}

func TestSound(t *testing.T) {
	r, c, _ := lake(t, even)
	rep := check(t, r, c)
	if !rep.OK() || len(rep.Findings) > 0 || rep.DataStores != 1 || rep.Rows != 4 || rep.Files != 5 {
		t.Errorf("%+v", rep)
	}
}

func TestNewRoot(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		r, err := root.Open(filepath.Join(t.TempDir(), "new"), root.Options{Exclusive: exclusive})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c, err := catalog.Open(r, catalog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if rep := check(t, r, c); !rep.OK() || len(rep.Findings) > 0 {
			t.Errorf("%+v", rep)
		}
	}
}

func TestCounts(t *testing.T) {
	tests := []struct {
		name string
		n    counts
		want string
	}{
		{"columns", counts{5, 4, 5, 5, 0, 9}, "u-1.parquet: 4 rows, expected 5 by the manifest"},
		{"resources", counts{5, 5, 6, 5, 0, 9}, "u-1.ndjson.zst: 6 lines, expected 5 by the manifest"},
		{"ids", counts{5, 5, 5, 4, 0, 9}, "index/1.ids: 4 entries, expected 5 by the manifest"},
		{"ids, current", counts{5, 5, 5, 4, 0, 9}, "3 current rows in the id index, expected 4"},
		{"ids, deletions", counts{5, 5, 5, 5, 3, 9}, "u-1.ndjson.zst: 2 deletions count as current, expected none"},
		{"ids, row", counts{5, 5, 5, 6, 0, 9}, "1 entries name rows that are not there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, c, _ := lake(t, tt.n)
			expect(t, check(t, r, c), fsck.Damage, tt.want)
		})
	}
}

func TestAnnotations(t *testing.T) {
	const one, three = `{"row":1,"data":[]}`, `{"row":3,"data":[]}`
	r, c, _ := lake(t, even, one, three)
	if rep := check(t, r, c); !rep.OK() || len(rep.Findings) > 0 || rep.Files != 7 {
		t.Errorf("sound: %+v", rep)
	}
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"count":       {[]string{one}, "u-1.1.issues.zst: 1 annotated rows, expected 2 by the manifest"},
		"outside":     {[]string{one, `{"row":5,"data":[]}`}, "row 5 is annotated, and the segment has 5"},
		"falling":     {[]string{one, `{"row":0,"data":[]}`}, "row 0 after row 1"},
		"no JSON":     {[]string{one, `{"row":3,"data":[}`}, "the line of row 3 is not JSON"},
		"wrong first": {[]string{three, three}, "line 1 of frame 0 is not the one that belongs there"},
	} {
		t.Run(name, func(t *testing.T) {
			r, c, _ := lake(t, even, tc.lines...)
			expect(t, check(t, r, c), fsck.Damage, tc.want)
		})
	}
	r, c, _ = lake(t, counts{5, 5, 5, 5, 0, 8}, one, three)
	expect(t, check(t, r, c), fsck.Damage, "u-1.1.entities.parquet: 8 rows, expected 9 by the manifest")
	for _, name := range []string{"u-1.1.issues.zst", "u-1.1.entities.parquet"} {
		r, c, s := lake(t, even, one, three)
		file := filepath.Join(s.Dir(), "files/Patient", name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text[10] ^= 1
		if err := errors.Join(os.Chmod(file, 0o644), os.WriteFile(file, text, 0o644)); err != nil {
			t.Fatal(err)
		}
		expect(t, check(t, r, c), fsck.Damage, name)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		expect(t, check(t, r, c), fsck.Damage, name+": the file is missing")
	}
}

func expect(t *testing.T, rep *fsck.Report, severity fsck.Severity, want string) {
	t.Helper()
	if rep.OK() == (severity == fsck.Damage) {
		t.Errorf("OK is %v", rep.OK())
	}
	var all []string
	for _, f := range rep.Findings {
		if f.Severity == severity && strings.Contains(f.String(), want) {
			return
		}
		all = append(all, f.String())
	}
	t.Errorf("no %s %q in:\n%s", severity, want, strings.Join(all, "\n"))
}

func TestFiles(t *testing.T) {
	flip := func(name string) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		os.WriteFile(name, text, 0o644)
	}
	add := func(name string) {
		os.MkdirAll(filepath.Dir(name), 0o755)
		os.WriteFile(name, []byte("x"), 0o644)
	}
	tests := []struct {
		name     string
		path     string // below the data store
		change   func(name string)
		severity fsck.Severity
		want     string
	}{
		{"missing", "files/Patient/u-1.parquet", func(n string) { os.Remove(n) }, fsck.Damage, "u-1.parquet: the file is missing"},
		{"a bit", "files/Patient/u-1.parquet", flip, fsck.Damage, "the manifest says xxh64:"},
		{"a bit of the resources", "files/Patient/u-1.ndjson.zst", flip, fsck.Damage, "the manifest says xxh64:"},
		{"a bit of the bitmap", "files/Patient/u-1.2.superseded", flip, fsck.Damage, "u-1.2.superseded: content"},
		{"a bit of the ids", "index/1.ids", flip, fsck.Damage, "1.ids: content"},
		{"cut", "files/Patient/u-1.ndjson.zst", func(n string) { os.Truncate(n, 5) }, fsck.Damage, "5 bytes, the manifest says"},
		{"manifest missing", "snapshot/manifest-2.json", func(n string) { os.Remove(n) }, fsck.Damage, "CURRENT: "},
		{"manifest damaged", "snapshot/manifest-2.json", func(n string) { os.Truncate(n, 9) }, fsck.Damage, "CURRENT: "},
		{"CURRENT damaged", "CURRENT", func(n string) { os.Truncate(n, 3) }, fsck.Damage, "CURRENT does not name a manifest"},
		{"leftover of a crash", "files/Patient/u-9.parquet", add, fsck.Leftover, "u-9.parquet"},
		{"unpublished manifest", "snapshot/manifest-3.json.tmp", add, fsck.Leftover, "manifest-3.json.tmp"},
		{"folder without a record", "../0123/CURRENT", add, fsck.Leftover, "datastores/0123"},
		{"record damaged", "../../catalog/jobs/0123456789abcdef0123456789abcdef.json", add, fsck.Damage, "not JSON"},
		{"unfinished record", "../../catalog/jobs/0123456789abcdef0123456789abcdef.json.tmp", add, fsck.Leftover, "not a record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, c, s := lake(t, even)
			tt.change(filepath.Join(s.Dir(), tt.path))
			expect(t, check(t, r, c), tt.severity, tt.want)
		})
	}
}
