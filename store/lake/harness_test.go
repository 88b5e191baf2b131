package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var secret = []byte(strings.Repeat("k", 32))

// clock is a time that tests move.
type clock struct{ t time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.t }

func (c *clock) tick(d time.Duration) { c.t = c.t.Add(d) }

func openLake(t testing.TB, dir string, c *clock) *Lake {
	t.Helper()
	l, err := Open(dir, Options{Secret: secret, Now: c.now, FrameCache: 1 << 20, OpenFiles: 4, Delta: delta.Options{Memory: 1, Reserve: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// text is a stored resource whose content is one number.
func text(t r4.TypeID, id string, number uint32, updated string, content uint64) string {
	return fmt.Sprintf(`{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},"x":%d}`, t, id, number, updated, content)
}

// put is a write of a resource whose content is one number; 0 deletes it.
func put(t r4.TypeID, id string, content uint64) Write {
	w := Write{Type: t, ID: id, Content: content, Method: delta.Update}
	if content == 0 {
		w.Method = delta.Delete
		return w
	}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return append(dst, text(t, id, number, updated, content)...)
	}
	return w
}

func commitOne(t testing.TB, l *Lake, w Write) Outcome {
	t.Helper()
	out, err := l.Commit(context.Background(), []Write{w})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// row is a version on its way into a segment.
type row struct {
	typ     r4.TypeID
	id      string
	version delta.Version
	json    string
	lost    bool // against a later line of its import: a row without an entry
	stale   bool // superseded by what is known when it is written
}

// layer writes segments and an id index, as an import or a compaction does.
type layer struct {
	t       testing.TB
	l       *Lake
	base    *snapshot.Manifest
	builder *snapshot.Builder
	entries []snapshot.Entry
	old     map[uint32]*roaring.Bitmap
	frame   int // bytes of lines that end a frame
}

var segmentNames atomic.Int64

func newLayer(t testing.TB, l *Lake, base *snapshot.Manifest) *layer {
	return &layer{frame: 500, t: t, l: l, base: base, old: map[uint32]*roaring.Bitmap{}, builder: snapshot.NewBuilder(l.Snapshot().Dir(), base, func() string {
		return fmt.Sprintf("segment-%d", segmentNames.Add(1))
	})}
}

func (y *layer) supersede(a snapshot.Address) {
	if y.old[a.Segment] == nil {
		y.old[a.Segment] = roaring.New()
	}
	y.old[a.Segment].Add(a.Row)
}

// add writes one segment of rows of one type, in frames of a few lines.
func (y *layer) add(rows []row) {
	y.t.Helper()
	y.builder.Roll(rows[0].typ.String())
	s := y.builder.Open(rows[0].typ.String())
	columns, err := s.Create(snapshot.ColumnsFile)
	if err != nil {
		y.t.Fatal(err)
	}
	fmt.Fprint(columns, "columns")
	out, err := s.Create(snapshot.ResourcesFile)
	if err != nil {
		y.t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		y.t.Fatal(err)
	}
	var frames []snapshot.Frame
	var b []byte
	first := 0
	for i, r := range rows {
		b = append(append(b, r.json...), '\n')
		at := snapshot.Address{Segment: s.Ordinal, Row: uint32(i)}
		if r.stale || r.lost || r.version.Method == delta.Delete {
			y.supersede(at)
		}
		if !r.lost {
			v := r.version
			y.entries = append(y.entries, snapshot.Entry{
				Key: v.Key, Content: v.Content, Address: at, Version: v.Number, Updated: v.Updated, Deleted: v.Method == delta.Delete,
			})
		}
		if len(b) < y.frame && i+1 < len(rows) {
			continue
		}
		c := z.EncodeAll(b, nil)
		frames = append(frames, snapshot.Frame{Compressed: uint32(len(c)), Uncompressed: uint32(len(b)), Rows: uint32(i + 1 - first)})
		if _, err := out.Write(c); err != nil {
			y.t.Fatal(err)
		}
		b, first = b[:0], i+1
	}
	if _, err := out.Write(snapshot.AppendFrameTables(nil, frames)); err != nil {
		y.t.Fatal(err)
	}
	s.Rows = int64(len(rows))
	if err := errors.Join(out.Close(), columns.Close()); err != nil {
		y.t.Fatal(err)
	}
}

// annotate writes values of a kind beside rows of the last segment, one a frame.
func (y *layer) annotate(kind beside.Kind, values map[uint32]string) {
	y.t.Helper()
	segments := y.builder.Segments()
	s := segments[len(segments)-1]
	a := snapshot.Annotation{Kind: kind, Rows: int64(len(values))}
	out, err := s.CreateAnnotations(kind, y.base.Number+1, &a.File)
	if err != nil {
		y.t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		y.t.Fatal(err)
	}
	var frames []snapshot.AnnotationFrame
	for _, row := range slices.Sorted(maps.Keys(values)) {
		line := snapshot.AppendAnnotation(snapshot.AppendAnnotationRow(nil, row), r4.TypePatient, []byte("x"), 1, []byte(values[row]))
		c := z.EncodeAll(line, nil)
		frames = append(frames, snapshot.AnnotationFrame{First: row, Frame: snapshot.Frame{Compressed: uint32(len(c)), Uncompressed: uint32(len(line)), Rows: 1}})
		if _, err := out.Write(c); err != nil {
			y.t.Fatal(err)
		}
	}
	_, err = out.Write(snapshot.AppendAnnotationTables(nil, frames))
	if err = errors.Join(err, out.Close()); err != nil {
		y.t.Fatal(err)
	}
	s.Annotations = append(s.Annotations, a)
}

// index writes the entries so far and forgets them.
func (y *layer) index(name string) (f snapshot.File, n int64) {
	y.t.Helper()
	if len(y.entries) == 0 {
		return f, 0
	}
	slices.SortFunc(y.entries, func(a, b snapshot.Entry) int {
		return cmp.Or(cmp.Compare(a.Key[0], b.Key[0]), cmp.Compare(a.Key[1], b.Key[1]), cmp.Compare(b.Version, a.Version))
	})
	b := snapshot.IDBounds{
		Entries: int64(len(y.entries)), LastSegment: math.MaxUint32, Row: 1 << 20, Version: 1 << 20,
		FirstUpdated: 0, LastUpdated: 1 << 52 / 1000 * 1000, Flags: true,
	}
	w, err := snapshot.CreateIDs(y.l.Snapshot().Dir(), "index/"+name+".ids", b, &f)
	if err != nil {
		y.t.Fatal(err)
	}
	for i := range y.entries {
		if err := w.Add(&y.entries[i]); err != nil {
			y.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		y.t.Fatal(err)
	}
	n = int64(len(y.entries))
	y.entries = nil
	return f, n
}

// fold moves what the delta has into the snapshot, as compaction does.
func fold(t testing.TB, l *Lake) {
	t.Helper()
	m, release, err := l.Snapshot().Current()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	snap, err := l.Delta().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	byType := map[r4.TypeID][]row{}
	newest := map[snapshot.Key]uint32{}
	var seq uint64
	for e, err := range snap.Commits(delta.Range{After: m.FoldedSeq}) {
		if err != nil {
			t.Fatal(err)
		}
		r := row{typ: e.Type, id: e.ID, version: e.Version, json: string(e.JSON)}
		if e.Method == delta.Delete {
			r.json = fmt.Sprintf(`{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"}}`,
				e.Type, e.ID, e.Number, fhir.FormatInstant(time.UnixMicro(e.Updated)))
		}
		byType[e.Type] = append(byType[e.Type], r)
		newest[e.Key], seq = e.Number, e.Seq
	}
	if seq == 0 {
		return
	}
	y := newLayer(t, l, m)
	v, err := l.acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer v.done()
	overtaken := map[snapshot.Key]bool{}
	for k, n := range newest {
		e, ok, err := v.latest(k)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case ok && e.Version > n: // by an import: the entry of the latest comes first
			overtaken[k] = true
			y.entries = append(y.entries, e)
		case ok && !e.Deleted:
			y.supersede(e.Address)
		}
	}
	for _, typ := range sortedTypes(byType) {
		rows := byType[typ]
		for i := range rows {
			k := snapshot.Key(rows[i].version.Key)
			rows[i].stale = overtaken[k] || rows[i].version.Number < newest[k]
		}
		y.add(rows)
	}
	f, n := y.index("fold-" + strconv.FormatUint(seq, 10))
	_, err = l.Snapshot().Publish(y.builder, snapshot.PublishOptions{
		Now: l.now(), IDs: f, Entries: n, Superseded: y.old, KeepVersions: true, FoldedSeq: seq,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Published(); err != nil {
		t.Fatal(err)
	}
	if err := l.Delta().Drop(context.Background(), seq); err != nil {
		t.Fatal(err)
	}
}

func sortedTypes[V any](m map[r4.TypeID]V) []r4.TypeID {
	var all []r4.TypeID
	for typ := range m {
		all = append(all, typ)
	}
	slices.Sort(all)
	return all
}

// imported is a resource of an import.
type imported struct {
	typ     r4.TypeID
	id      string
	content uint64
}

// importing is a job: begun at one time and published at another, in between which
// others write.
type importing struct {
	t     testing.TB
	i     *Import
	at    time.Time
	lines []imported
}

// publish does what server/bulk does: versions as of the job's start, and those that
// were written meanwhile once more.
func (p *importing) publish() {
	t, l := p.t, p.i.l
	t.Helper()
	y := newLayer(t, l, p.i.Base())
	lookup := p.i.NewLookup()
	last := map[snapshot.Key]int{}
	for n, line := range p.lines {
		last[l.Key(line.typ, line.id)] = n
	}
	version := func(line imported, c Current, at time.Time) row {
		v := delta.Version{
			Type: line.typ, ID: line.id, Number: c.Number + 1, Updated: at.UnixMicro(), Content: line.content,
			Key: l.Key(line.typ, line.id), Method: delta.Update,
		}
		return row{typ: line.typ, id: line.id, version: v, json: text(line.typ, line.id, v.Number, fhir.FormatInstant(at), line.content)}
	}
	byType := map[r4.TypeID][]row{}
	origin := map[snapshot.Key]imported{}
	for n, line := range p.lines {
		k := l.Key(line.typ, line.id)
		c := make([]Current, 1)
		if err := lookup([][2]uint64{k}, c); err != nil {
			t.Fatal(err)
		}
		r := version(line, c[0], p.at)
		r.lost = last[k] != n
		if !r.lost && c[0].Content == line.content && !c[0].Deleted && c[0].Number > 0 {
			continue
		}
		if !r.lost && c[0].HasRow {
			y.supersede(c[0].Row)
		}
		if !r.lost {
			origin[k] = line
		}
		byType[line.typ] = append(byType[line.typ], r)
	}
	for _, typ := range sortedTypes(byType) {
		y.add(byType[typ])
	}
	err := p.i.Publish(func(m *Moment) error {
		first := slices.Clone(y.entries)
		f, n := y.index(fmt.Sprintf("import-%d", segmentNames.Add(1)))
		again := map[r4.TypeID][]row{}
		for _, e := range first {
			c, ok := m.Written[e.Key]
			if !ok {
				continue
			}
			y.supersede(e.Address)
			y.entries = append(y.entries, snapshot.Entry{Key: e.Key, Version: e.Version, Withdrawn: true})
			if line := origin[e.Key]; c.Deleted || c.Content != line.content {
				again[line.typ] = append(again[line.typ], version(line, c, m.Updated))
			}
		}
		for _, typ := range sortedTypes(again) {
			y.add(again[typ])
		}
		f2, n2 := y.index(fmt.Sprintf("again-%d", segmentNames.Add(1)))
		if len(first) == 0 {
			return nil
		}
		_, err := l.Snapshot().Publish(y.builder, snapshot.PublishOptions{
			Now: p.at, IDs: f, Entries: n, Corrections: f2, CorrectionEntries: n2,
			Superseded: y.old, KeepVersions: true, DeltaSeq: m.Seq,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.i.Close()
}
