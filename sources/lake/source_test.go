package lake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func micros(second int) int64 { return epoch.Add(time.Duration(second) * time.Second).UnixMicro() }

// stored is the text of a version of a resource, written some seconds after the epoch.
func stored(t r4.TypeID, id string, number, second int) string {
	return fmt.Sprintf(`{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"}}`,
		t, id, number, fhir.FormatInstant(time.UnixMicro(micros(second))))
}

// keyOf is a key that shows what it is of.
func keyOf(t r4.TypeID, id string) snapshot.Key {
	var k snapshot.Key
	k[0] = uint64(t)
	for _, c := range []byte(id) {
		k[1] = k[1]<<8 | uint64(c)
	}
	return k
}

// world is a data store of segments without an index and a delta.
type world struct {
	t       *testing.T
	dir     string
	builder *snapshot.Builder
	rows    []compact.Rows
	now     time.Time
	delta   *delta.Store
}

func newWorld(t *testing.T) *world {
	n := 0
	dir := t.TempDir()
	return &world{t: t, dir: dir, builder: snapshot.NewBuilder(dir, &snapshot.Manifest{}, func() string {
		n++
		return fmt.Sprint("segment-", n)
	})}
}

// segment writes lines, some to a frame, all alive.
func (w *world) segment(typ r4.TypeID, perFrame int, lines ...string) *compact.Rows {
	w.t.Helper()
	w.builder.Roll(typ.String())
	s := w.builder.Open(typ.String())
	out, err := s.Create(snapshot.ResourcesFile)
	if err != nil {
		w.t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer z.Close()
	var frames []snapshot.Frame
	for from := 0; from < len(lines); from += perFrame {
		some := lines[from:min(from+perFrame, len(lines))]
		text := strings.Join(some, "\n") + "\n"
		c := z.EncodeAll([]byte(text), nil)
		frames = append(frames, snapshot.Frame{Compressed: uint32(len(c)), Uncompressed: uint32(len(text)), Rows: uint32(len(some))})
		if _, err := out.Write(c); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := out.Write(snapshot.AppendFrameTables(nil, frames)); err != nil {
		w.t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		w.t.Fatal(err)
	}
	s.Rows = int64(len(lines))
	seg := s.Segment
	alive := roaring.New()
	alive.AddRange(0, uint64(len(lines)))
	w.rows = append(w.rows, compact.Rows{Segment: &seg, Alive: alive, Deleted: roaring.New()})
	return &w.rows[len(w.rows)-1]
}

// keep writes values of a kind beside some rows of the last segment.
func (w *world) keep(typ r4.TypeID, kind beside.Kind, values map[uint32]string) {
	w.t.Helper()
	seg := w.rows[len(w.rows)-1].Segment
	var f snapshot.File
	out, err := w.builder.ByOrdinal(seg.Ordinal).CreateAnnotations(kind, 1, &f)
	if err != nil {
		w.t.Fatal(err)
	}
	var text []byte
	var first uint32
	n := uint32(0)
	for row := range uint32(seg.Rows) {
		data, ok := values[row]
		if !ok {
			continue
		}
		if n == 0 {
			first = row
		}
		text = append(snapshot.AppendAnnotationRow(text, row), snapshot.AppendAnnotation(nil, typ, []byte("x"), 1, []byte(data))...)
		n++
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer z.Close()
	c := z.EncodeAll(text, nil)
	frames := []snapshot.AnnotationFrame{{First: first, Frame: snapshot.Frame{Compressed: uint32(len(c)), Uncompressed: uint32(len(text)), Rows: n}}}
	_, err = out.Write(append(c, snapshot.AppendAnnotationTables(nil, frames)...))
	if err = errors.Join(err, out.Close()); err != nil {
		w.t.Fatal(err)
	}
	seg.Annotations = append(seg.Annotations, snapshot.Annotation{Kind: kind, Rows: int64(n), File: f})
}

// commit writes a version of the delta.
func (w *world) commit(typ r4.TypeID, id string, number, second int, method delta.Method, kept ...beside.Value) {
	w.t.Helper()
	if w.delta == nil {
		var err error
		w.delta, err = delta.Open(filepath.Join(w.dir, "delta"), delta.Options{Reserve: -1, Memory: 1, Now: func() time.Time { return w.now }})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { w.delta.Close() })
	}
	w.now = time.UnixMicro(micros(second))
	e := delta.Entry{Version: delta.Version{Type: typ, ID: id, Number: uint32(number), Key: keyOf(typ, id), Content: uint64(10 * number), Method: method}}
	if method != delta.Delete {
		e.JSON = []byte(stored(typ, id, number, second))
	} else {
		e.Content = 0
	}
	e.Beside = kept
	if err := w.delta.Commit([]delta.Entry{e}, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(change func(*Options)) *Source {
	w.t.Helper()
	o := Options{Dir: w.dir, Rows: w.rows, Key: keyOf, Skip: func(*delta.Entry) bool { return false }}
	if w.delta != nil {
		snap, err := w.delta.Snapshot()
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { snap.Close() })
		o.Delta = snap
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// told is what a test sees of the records: one line each.
func told(t *testing.T, s *Source) (lines []string, err error) {
	t.Helper()
	err = pipetest.Collect(context.Background(), s, func(b *pipeline.Batch) {
		if !b.Stored {
			t.Error("a batch is not said to be stored")
		}
		kept := b.Kept
		for i := range b.Records {
			r := &b.Records[i]
			var head struct{ id, typ string }
			h, err := snapshot.ReadHead(b.Line(r), true)
			if err != nil {
				t.Error(err)
			}
			head.id, head.typ = string(h.ID), string(h.ResourceType)
			line := fmt.Sprintf("%s/%s v%d", head.typ, head.id, r.Version)
			if typ, _ := r4.TypeByName(head.typ); r.Key != keyOf(typ, head.id) {
				t.Errorf("%s has the key of another", line)
			}
			if at, err := h.Updated(); err != nil || at != r.Updated {
				t.Errorf("%s: time %d, its text says %d, %v", line, r.Updated, at, err)
			}
			if n, err := h.Version(); err != nil || n != r.Version {
				t.Errorf("%s: its text says version %d, %v", line, n, err)
			}
			if r.Replaces {
				line += fmt.Sprintf(" was %d:%d", r.BaseSegment, r.BaseRow)
			} else {
				line += fmt.Sprintf(" content %d", r.Content)
			}
			if r.Deleted {
				line += " deleted"
			}
			for ; len(kept) > 0 && kept[0].Record == i; kept = kept[1:] {
				line += fmt.Sprintf(" %s %s", kept[0].Kind, kept[0].Data)
			}
			lines = append(lines, line)
		}
		if len(kept) > 0 {
			t.Errorf("%d kept texts have no record", len(kept))
		}
	})
	return lines, errors.Join(err, s.Close())
}

func expect(t *testing.T, s *Source, want ...string) {
	t.Helper()
	got, err := told(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestRowsComeByTypeAndTime(t *testing.T) {
	w := newWorld(t)
	w.segment(r4.TypePatient, 2, stored(r4.TypePatient, "a", 1, 1), stored(r4.TypePatient, "b", 1, 1), stored(r4.TypePatient, "a", 2, 5))
	w.segment(r4.TypeBasic, 1, stored(r4.TypeBasic, "c", 1, 9))
	w.segment(r4.TypePatient, 5, stored(r4.TypePatient, "d", 1, 1), stored(r4.TypePatient, "e", 1, 5), stored(r4.TypePatient, "e", 2, 7))
	w.commit(r4.TypePatient, "f", 1, 5, delta.Create)
	w.commit(r4.TypeBasic, "c", 2, 9, delta.Update)
	w.commit(r4.TypePatient, "a", 3, 9, delta.Update)
	expect(t, w.open(nil),
		"Basic/c v1 was 1:0", "Basic/c v2 content 20", // of one time the delta is the last
		"Patient/a v1 was 0:0", "Patient/b v1 was 0:1", "Patient/d v1 was 2:0", // of one time by segment and row
		"Patient/a v2 was 0:2", "Patient/e v1 was 2:1", "Patient/f v1 content 10",
		"Patient/e v2 was 2:2", "Patient/a v3 content 30")
}

func TestDeletionsAreRows(t *testing.T) {
	w := newWorld(t)
	rows := w.segment(r4.TypePatient, 2, stored(r4.TypePatient, "a", 1, 1), stored(r4.TypePatient, "a", 2, 2))
	rows.Deleted.Add(1)
	w.commit(r4.TypePatient, "b", 1, 3, delta.Create)
	w.commit(r4.TypePatient, "b", 2, 4, delta.Delete)
	expect(t, w.open(nil), "Patient/a v1 was 0:0", "Patient/a v2 was 0:1 deleted", "Patient/b v1 content 10", "Patient/b v2 content 0 deleted")
}

func TestWhatIsLeftOut(t *testing.T) {
	w := newWorld(t)
	rows := w.segment(r4.TypePatient, 1, stored(r4.TypePatient, "a", 1, 1), stored(r4.TypePatient, "a", 2, 2), stored(r4.TypePatient, "a", 3, 3))
	rows.Alive.Remove(1)
	none := w.segment(r4.TypePatient, 1, stored(r4.TypePatient, "z", 1, 1))
	none.Alive.Clear()
	if err := os.Remove(filepath.Join(w.dir, filepath.FromSlash(none.Segment.Resources.Path))); err != nil {
		t.Fatal(err) // a segment without a row that lives is not opened
	}
	for n := range 3 {
		w.commit(r4.TypePatient, "b", n+1, 4+n, delta.Update)
	}
	w.commit(r4.TypePatient, "c", 1, 9, delta.Create)
	expect(t, w.open(func(o *Options) {
		o.After = 1
		o.Skip = func(e *delta.Entry) bool { return e.ID == "c" }
	}), "Patient/a v1 was 0:0", "Patient/a v3 was 0:2", "Patient/b v2 content 20", "Patient/b v3 content 30")
}

func TestValuesStayBesideTheirRows(t *testing.T) {
	w := newWorld(t)
	rows := w.segment(r4.TypePatient, 2,
		stored(r4.TypePatient, "a", 1, 1), stored(r4.TypePatient, "b", 1, 1), stored(r4.TypePatient, "c", 1, 1), stored(r4.TypePatient, "d", 1, 1))
	// A table is no business of rows: what is in it is made anew.
	rows.Segment.Annotations = append(rows.Segment.Annotations, snapshot.Annotation{Kind: snapshot.Entities, Rows: 9, File: snapshot.File{Path: "files/none.parquet"}})
	w.keep(r4.TypePatient, beside.Issues, map[uint32]string{0: `["of a"]`, 1: `["of b"]`, 3: `["of d"]`})
	w.keep(r4.TypePatient, beside.NLP, map[uint32]string{0: `{"of":"a"}`, 2: `{"of":"c"}`, 3: `{"of":"d"}`})
	w.keep(r4.TypePatient, "other", map[uint32]string{1: `1`, 3: `3`})
	rows.Alive.Remove(0)
	w.segment(r4.TypePatient, 2, stored(r4.TypePatient, "e", 1, 1))
	w.keep(r4.TypePatient, beside.NLP, map[uint32]string{0: `{"of":"e"}`})
	w.segment(r4.TypePatient, 2, stored(r4.TypePatient, "f", 1, 1))
	w.commit(r4.TypePatient, "g", 1, 2, delta.Create, beside.Value{Kind: beside.Issues, Data: []byte(`["of g"]`)}, beside.Value{Kind: beside.NLP, Data: []byte(`{"of":"g"}`)})
	w.commit(r4.TypePatient, "h", 1, 3, delta.Create)
	w.commit(r4.TypePatient, "i", 1, 4, delta.Create, beside.Value{Kind: beside.NLP, Data: []byte(`{"of":"i"}`)})
	expect(t, w.open(nil), `Patient/b v1 was 0:1 issues ["of b"] other 1`, `Patient/c v1 was 0:2 nlp {"of":"c"}`,
		`Patient/d v1 was 0:3 issues ["of d"] nlp {"of":"d"} other 3`, `Patient/e v1 was 1:0 nlp {"of":"e"}`, "Patient/f v1 was 2:0",
		`Patient/g v1 content 10 issues ["of g"] nlp {"of":"g"}`, "Patient/h v1 content 10", `Patient/i v1 content 10 nlp {"of":"i"}`)
}

func TestNothingToRead(t *testing.T) {
	expect(t, newWorld(t).open(nil))
}

// TestWhatIsDamagedIsNamed has a file that cannot be what was written. A compaction ends
// with an error that says where to look.
func TestWhatIsDamagedIsNamed(t *testing.T) {
	line := func(id string, second int) string { return stored(r4.TypePatient, id, 1, second) }
	for name, c := range map[string]struct {
		lines  []string
		damage func(t *testing.T, file string, rows *compact.Rows)
		want   string
	}{
		"a line that is no JSON": {lines: []string{line("a", 1), line("b", 1), `{"resourceType":`}, want: "row 2: "},
		"a line of another type": {lines: []string{line("a", 1), stored(r4.TypeBasic, "b", 1, 1)}, want: "row 1: "},
		"a line without version": {lines: []string{`{"resourceType":"Patient","id":"a","meta":{"lastUpdated":"2026-01-02T03:04:05.000Z"}}`}, want: "row 0: "},
		"version 0":              {lines: []string{line("a", 1), stored(r4.TypePatient, "b", 0, 1)}, want: "row 1: "},
		"a time that is none":    {lines: []string{line("a", 1), strings.Replace(line("b", 1), "2026-01", "2026-13", 1)}, want: "row 1: "},
		"rows out of order":      {lines: []string{line("a", 1), line("b", 3), line("c", 2)}, want: "row 2: the rows are not in the order of time"},
		"a frame with a line more than its table says": {
			lines: []string{line("a", 1), line("b", 1) + "\n" + line("x", 1), line("c", 1)}, want: "frame 0 ends before row 3, its table says 2",
		},
		"fewer rows than the manifest says": {
			lines:  []string{line("a", 1)},
			damage: func(_ *testing.T, _ string, rows *compact.Rows) { rows.Segment.Rows = 2 }, want: "it has 1 rows, the manifest says 2",
		},
		"a file that is cut": {
			lines: []string{line("a", 1), line("b", 1)}, want: "the seek table at the end is missing",
			damage: func(t *testing.T, file string, _ *compact.Rows) {
				if err := os.Truncate(file, 30); err != nil {
					t.Fatal(err)
				}
			},
		},
		"a frame with another byte": {
			lines: []string{line("a", 1), line("b", 1), line("c", 1)}, want: "frame ",
			damage: func(t *testing.T, file string, _ *compact.Rows) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				b[20] ^= 0x10
				if err := os.WriteFile(file, b, 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
		"a file that is gone": {
			lines: []string{line("a", 1)}, want: "no such file",
			damage: func(t *testing.T, file string, _ *compact.Rows) {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pipetest.CheckGoroutines(t)
			w := newWorld(t)
			rows := w.segment(r4.TypePatient, 2, c.lines...)
			rel := rows.Segment.Resources.Path
			if c.damage != nil {
				c.damage(t, filepath.Join(w.dir, filepath.FromSlash(rel)), rows)
			}
			_, err := told(t, w.open(nil))
			if err == nil || !strings.Contains(err.Error(), rel) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant an error with %s and %q", err, rel, c.want)
			}
		})
	}
}

func TestContract(t *testing.T) {
	var one, two []string
	for i := range 9000 {
		one = append(one, stored(r4.TypePatient, fmt.Sprint("p", i), 1, i/10))
		two = append(two, stored(r4.TypePatient, fmt.Sprint("q", i), 1, i/7))
	}
	pipetest.TestSource(t, func(t *testing.T) pipeline.Source {
		w := newWorld(t)
		w.segment(r4.TypePatient, 100, one...)
		w.segment(r4.TypePatient, 150, two...)
		w.segment(r4.TypeBasic, 2, stored(r4.TypeBasic, "c", 1, 9))
		return w.open(nil)
	})
}

// TestContractOfADelta is TestContract with a delta besides.
func TestContractOfADelta(t *testing.T) {
	w := newWorld(t)
	w.segment(r4.TypeObservation, 2, stored(r4.TypeObservation, "o", 1, 1))
	w.commit(r4.TypeBasic, "b", 1, 2, delta.Create)
	w.commit(r4.TypePatient, "p", 1, 3, delta.Create)
	pipetest.TestSource(t, func(*testing.T) pipeline.Source { return w.open(nil) })
}

func TestTracesAreRowsThatAreNotCurrent(t *testing.T) {
	w := newWorld(t)
	s, err := snapshot.Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	p := r4.TypePatient
	w.segment(p, 2, stored(p, "victim", 1, 1), stored(p, "a", 1, 1), stored(p, "b", 1, 1))
	w.segment(p, 2, stored(p, "victim", 2, 2), stored(p, "c", 1, 2))
	w.segment(r4.TypeBasic, 2, stored(r4.TypeBasic, "victim", 1, 1), stored(r4.TypeBasic, "c", 1, 2))
	w.segment(p, 1, stored(p, "d", 1, 2), stored(p, "e", 1, 2), stored(p, "victim", 3, 2))
	m := &snapshot.Manifest{}
	for i := range w.rows {
		m.Segments = append(m.Segments, *w.rows[i].Segment)
	}
	supersede := func(segment int, rows ...uint32) {
		b := roaring.BitmapOf(rows...)
		text, err := b.ToBytes()
		if err != nil {
			t.Fatal(err)
		}
		var f snapshot.File
		out, err := snapshot.CreateFile(w.dir, fmt.Sprintf("files/%d.superseded", segment), &f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		seg := &m.Segments[segment]
		seg.Superseded, seg.Current = &f, seg.Rows-int64(len(rows))
	}
	supersede(0, 0, 2)
	supersede(1, 1) // not the row of the victim, which is current
	supersede(2, 0) // of another type
	supersede(3, 0, 2)
	of := func(id string) bool { return id == "victim" }
	got, err := Traces(context.Background(), s, m, "Patient", of)
	if diff := cmp.Diff([]uint32{0, 3}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Traces(ctx, s, m, "Patient", of); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone: %v", err)
	}
}
