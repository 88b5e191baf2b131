package ids

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// compacting is a snapshot of segments and layers and a compaction of it.
type compacting struct {
	t   *testing.T
	dir string
	m   snapshot.Manifest
}

func newCompacting(t *testing.T) *compacting { return &compacting{t: t, dir: t.TempDir()} }

// segments adds segments with so many rows, all Patients.
func (c *compacting) segments(rows ...int64) {
	for _, n := range rows {
		c.m.Segments = append(c.m.Segments, snapshot.Segment{Ordinal: c.m.NextSegment, ResourceType: "Patient", Rows: n, Current: n})
		c.m.NextSegment++
	}
}

// layer adds a layer; its entries are sorted here.
func (c *compacting) layer(first uint32, entries ...snapshot.Entry) {
	c.t.Helper()
	slices.SortFunc(entries, func(a, b snapshot.Entry) int {
		return cmp.Or(cmp.Compare(a.Key[0], b.Key[0]), cmp.Compare(a.Key[1], b.Key[1]), cmp.Compare(b.Version, a.Version))
	})
	var f snapshot.File
	c.m.Number++
	w, err := snapshot.CreateIDs(c.dir, fmt.Sprintf("index/layer-%d.ids", c.m.Number), snapshot.IDBounds{
		Entries: int64(len(entries)), LastSegment: 1000, Row: 1 << 20, Version: 1 << 20, LastUpdated: at(1 << 30), Flags: true,
	}, &f)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range entries {
		if err := w.Add(&entries[i]); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.m.Layers = append(c.m.Layers, snapshot.Layer{Number: c.m.Number, Entries: int64(len(entries)), IDs: f, FirstSegment: first})
}

func at(second int) int64 { return int64(second) * 1_000_000 }

// e is a version in a row; its time goes by its number.
func e(key uint64, version, segment, row uint32) snapshot.Entry {
	return snapshot.Entry{
		Key: snapshot.Key{key, key}, Version: version, Content: 100*key + uint64(version),
		Address: snapshot.Address{Segment: segment, Row: row}, Updated: at(int(version)),
	}
}

func deleted(e snapshot.Entry) snapshot.Entry { e.Deleted, e.Content = true, 0; return e }

// others are versions of many other keys, so that a layer is large.
func others(segment uint32, from, to uint32) (es []snapshot.Entry) {
	for row := from; row < to; row++ {
		es = append(es, e(1000+uint64(segment)*100_000+uint64(row), 1, segment, row))
	}
	return es
}

// folded is a record of the delta, moved one of a row.
func folded(e snapshot.Entry) pipeline.Record {
	return pipeline.Record{
		Key: e.Key, Content: e.Content, Version: e.Version, Updated: e.Updated, Deleted: e.Deleted,
		Segment: e.Address.Segment, Row: e.Address.Row,
	}
}

func moved(from snapshot.Entry, segment, row uint32) pipeline.Record {
	r := folded(from)
	r.Replaces, r.BaseSegment, r.BaseRow = true, from.Address.Segment, from.Address.Row
	r.Segment, r.Row = segment, row
	return r
}

// run plans and writes; records of the delta count as commits.
func (c *compacting) run(o compact.Options, records ...pipeline.Record) (Result, *compact.Plan, error) {
	c.t.Helper()
	x, err := snapshot.OpenIndex(c.dir, &c.m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { x.Close() })
	o.Manifest, o.Index, o.Now = &c.m, x, time.UnixMicro(at(1<<20))
	o.Commits = map[string]int64{}
	for i := range records {
		if !records[i].Replaces {
			o.Commits["Patient"]++
			o.Overtaken = append(o.Overtaken, records[i].Key)
		}
	}
	p, err := compact.New(o)
	if err != nil {
		c.t.Fatal(err)
	}
	s := NewCompaction(c.dir, "index/new.ids", p)
	ctx := context.Background()
	do := func(tasks []pipeline.Task, err error) {
		c.t.Helper()
		for _, task := range tasks {
			if err == nil {
				err = task.Run(ctx)
			}
			if err == nil {
				err = task.Done()
			}
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	for some := range slices.Chunk(records, 1000) {
		do(s.Write(ctx, &pipeline.Batch{Records: some}))
	}
	do(s.Flush(ctx))
	err = s.Commit(ctx)
	if cerr := s.Close(); cerr != nil {
		c.t.Error(cerr)
	}
	return s.Result(), p, err
}

// index reads the new layer without the keys of others.
func (c *compacting) index(r Result) (all []snapshot.Entry) {
	c.t.Helper()
	if r.IDs.Path == "" {
		return nil
	}
	x, err := snapshot.OpenIDs(c.dir, r.IDs.Path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer x.Close()
	n := int64(0)
	err = x.Each(func(e *snapshot.Entry) error {
		if n++; e.Key[0] < 1000 {
			all = append(all, *e)
		}
		return nil
	})
	if err != nil || n != r.Entries {
		c.t.Errorf("the layer has %d entries, the result says %d, %v", n, r.Entries, err)
	}
	return all
}

// superseded prints the rows of a result: segment:row.
func superseded(r Result) string {
	var all []string
	for n, b := range r.Superseded {
		for _, row := range b.ToArray() {
			all = append(all, fmt.Sprintf("%d:%d", n, row))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestTheVersionsOfACompaction(t *testing.T) {
	for name, c := range map[string]struct {
		build      func(c *compacting)
		o          compact.Options
		records    []pipeline.Record
		layers     int
		want       []snapshot.Entry
		superseded string
	}{
		"the first fold": {
			build:   func(*compacting) {},
			records: []pipeline.Record{folded(e(5, 1, 0, 0)), folded(e(5, 2, 0, 1)), folded(e(4, 1, 0, 2))},
			want:    []snapshot.Entry{e(4, 1, 0, 2), e(5, 2, 0, 1), e(5, 1, 0, 0)}, superseded: "0:0",
		},
		"a new version over an older layer": {
			build:   func(c *compacting) { c.segments(100); c.layer(0, append(others(0, 1, 100), e(5, 1, 0, 0))...) },
			records: []pipeline.Record{folded(e(5, 2, 1, 7))},
			want:    []snapshot.Entry{e(5, 2, 1, 7)}, superseded: "0:0",
		},
		"a deletion over an older layer": {
			build:   func(c *compacting) { c.segments(100); c.layer(0, append(others(0, 1, 100), e(5, 1, 0, 0))...) },
			records: []pipeline.Record{folded(deleted(e(5, 2, 1, 7)))},
			want:    []snapshot.Entry{deleted(e(5, 2, 1, 7))}, superseded: "0:0 1:7",
		},
		"a new version over a deletion in an older layer": {
			build:   func(c *compacting) { c.segments(100); c.layer(0, append(others(0, 1, 100), deleted(e(5, 1, 0, 0)))...) },
			records: []pipeline.Record{folded(e(5, 2, 1, 7))},
			want:    []snapshot.Entry{e(5, 2, 1, 7)},
		},
		"overtaken by an import in an older layer": {
			build:   func(c *compacting) { c.segments(100); c.layer(0, append(others(0, 1, 100), e(5, 4, 0, 0))...) },
			records: []pipeline.Record{folded(e(5, 2, 1, 7)), folded(e(5, 3, 1, 8))},
			want:    []snapshot.Entry{e(5, 4, 0, 0), e(5, 3, 1, 8), e(5, 2, 1, 7)}, superseded: "1:7 1:8",
		},
		"overtaken by an import in a merged layer": {
			build:   func(c *compacting) { c.segments(100_000); c.layer(0, e(5, 4, 0, 0), e(6, 1, 0, 1)) },
			records: []pipeline.Record{folded(e(5, 2, 1, 7)), folded(e(5, 3, 1, 8)), moved(e(5, 4, 0, 0), 1, 0), moved(e(6, 1, 0, 1), 1, 1)},
			layers:  1,
			want:    []snapshot.Entry{e(5, 4, 1, 0), e(5, 3, 1, 8), e(5, 2, 1, 7), e(6, 1, 1, 1)}, superseded: "1:7 1:8",
		},
		"the same number in the delta and in a merged layer": {
			build: func(c *compacting) {
				c.segments(4)
				c.layer(0, e(5, 2, 0, 0), e(6, 1, 0, 1), e(7, 1, 0, 2), e(8, 1, 0, 3))
			},
			records: []pipeline.Record{
				folded(e(5, 2, 1, 9)), folded(e(9, 1, 1, 8)),
				moved(e(5, 2, 0, 0), 1, 0), moved(e(6, 1, 0, 1), 1, 1), moved(e(7, 1, 0, 2), 1, 2), moved(e(8, 1, 0, 3), 1, 3),
			},
			layers: 1,
			want:   []snapshot.Entry{e(5, 2, 1, 9), e(6, 1, 1, 1), e(7, 1, 1, 2), e(8, 1, 1, 3), e(9, 1, 1, 8)}, superseded: "1:0",
		},
		"rows that stay": {
			build: func(c *compacting) {
				c.segments(70_000, 66_000)
				c.layer(0, append(others(0, 2, 70_000), e(5, 1, 0, 0), deleted(e(6, 2, 0, 1)))...)
				c.layer(1, append(others(1, 1, 66_000), e(5, 2, 1, 0))...)
			},
			layers: 2,
			want:   []snapshot.Entry{e(5, 2, 1, 0), e(5, 1, 0, 0), deleted(e(6, 2, 0, 1))},
		},
		"rows that move": {
			build: func(c *compacting) {
				c.segments(2, 2)
				c.layer(0, e(5, 1, 0, 0), e(6, 1, 0, 1))
				c.layer(1, e(5, 2, 1, 0), deleted(e(6, 2, 1, 1)))
			},
			records: []pipeline.Record{
				moved(e(5, 1, 0, 0), 2, 0), moved(e(6, 1, 0, 1), 2, 1), moved(e(5, 2, 1, 0), 2, 2), moved(deleted(e(6, 2, 1, 1)), 2, 3),
			},
			layers: 2,
			want:   []snapshot.Entry{e(5, 2, 2, 2), e(5, 1, 2, 0), deleted(e(6, 2, 2, 3)), e(6, 1, 2, 1)}, superseded: "2:0 2:1 2:3",
		},
		"what is erased": {
			build: func(c *compacting) {
				c.segments(2, 2)
				c.layer(0, e(5, 1, 0, 0), e(6, 1, 0, 1))
				c.layer(1, e(5, 2, 1, 0), e(6, 2, 1, 1))
			},
			o:       compact.Options{Erase: map[snapshot.Key]bool{{5, 5}: true}},
			records: []pipeline.Record{moved(e(6, 1, 0, 1), 2, 0), moved(e(6, 2, 1, 1), 2, 1)},
			layers:  2,
			want:    []snapshot.Entry{e(6, 2, 2, 1), e(6, 1, 2, 0)}, superseded: "2:0",
		},
		"all is erased": {
			build:  func(c *compacting) { c.segments(1); c.layer(0, e(5, 1, 0, 0)) },
			o:      compact.Options{Erase: map[snapshot.Key]bool{{5, 5}: true}},
			layers: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCompacting(t)
			c.build(s)
			res, p, err := s.run(c.o, c.records...)
			if err != nil {
				t.Fatal(err)
			}
			if p.Layers != c.layers {
				t.Fatalf("%d layers are merged, want %d", p.Layers, c.layers)
			}
			if diff := gocmp.Diff(c.want, s.index(res)); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if got := superseded(res); got != c.superseded {
				t.Errorf("superseded are %q, want %q", got, c.superseded)
			}
		})
	}
}

// TestACurrentRowThatStaysIsPushedOut has a retention that keeps no old version of a
// resource, whose segment is not written anew.
func TestACurrentRowThatStaysIsPushedOut(t *testing.T) {
	s := newCompacting(t)
	s.segments(30)
	s.m.Segments[0].ResourceType = "Basic" // the only small one of its type
	s.layer(0, append(others(0, 1, 30), e(5, 1, 0, 0))...)
	records := []pipeline.Record{folded(e(5, 2, 1, 0))}
	for i := range uint64(20) {
		records = append(records, folded(e(6+i, 1, 1, uint32(1+i))))
	}
	res, p, err := s.run(compact.Options{
		Retention: compact.Retention{Versions: 1}, Fresh: map[snapshot.Key][]snapshot.Entry{{5, 5}: {e(5, 2, 0, 0)}},
	}, records...)
	if err != nil {
		t.Fatal(err)
	}
	if p.Layers != 1 || len(p.Rows) != 0 {
		t.Fatalf("%d layers are merged and %d segments written anew, want 1 and none", p.Layers, len(p.Rows))
	}
	if diff := gocmp.Diff([]snapshot.Entry{e(5, 2, 1, 0), e(6, 1, 1, 1)}, s.index(res)[:2]); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if got := superseded(res); got != "0:0" {
		t.Errorf("superseded are %q, want 0:0", got)
	}
}

func TestWhatDoesNotFitIsAnError(t *testing.T) {
	// Both segments are written anew.
	build := func(c *compacting) {
		c.segments(2, 2)
		c.layer(0, e(5, 1, 0, 0), e(6, 1, 0, 1))
		c.layer(1, e(5, 2, 1, 0), deleted(e(6, 2, 1, 1)))
	}
	all := func() []pipeline.Record {
		return []pipeline.Record{
			moved(e(5, 1, 0, 0), 2, 0), moved(e(6, 1, 0, 1), 2, 1), moved(e(5, 2, 1, 0), 2, 2), moved(deleted(e(6, 2, 1, 1)), 2, 3),
		}
	}
	for name, c := range map[string]struct {
		change func(r []pipeline.Record) []pipeline.Record
		want   string
	}{
		"a version without a row":         {func(r []pipeline.Record) []pipeline.Record { return r[:3] }, "row 1 of segment 1 has version 2 of a resource and was not written anew"},
		"a key without any of its rows":   {func(r []pipeline.Record) []pipeline.Record { return []pipeline.Record{r[0], r[2]} }, "was not written anew"},
		"a row of a key without an entry": {func(r []pipeline.Record) []pipeline.Record { return append(r, moved(e(7, 1, 1, 9), 2, 4)) }, "rows of a resource were written anew that has no version"},
		"the same, beside one from the delta": {func(r []pipeline.Record) []pipeline.Record {
			return append(r, moved(e(7, 1, 1, 9), 2, 4), folded(e(7, 2, 2, 5)))
		}, "rows of a resource were written anew that has no version"},
		"a row without an entry of its own":     {func(r []pipeline.Record) []pipeline.Record { return append(r, moved(e(5, 3, 1, 9), 2, 4)) }, "1 rows of a resource were written anew that have no version"},
		"the same row twice":                    {func(r []pipeline.Record) []pipeline.Record { return append(r, moved(e(5, 2, 1, 0), 2, 4)) }, "1 rows of a resource were written anew that have no version"},
		"a row with another version":            {func(r []pipeline.Record) []pipeline.Record { r[2].Version = 9; return r }, "row 0 of segment 1 has version 9, the id index says 2"},
		"a row that is no deletion, but should": {func(r []pipeline.Record) []pipeline.Record { r[3].Deleted = false; return r }, "row 1 of segment 1 has version 2, the id index says 2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCompacting(t)
			build(s)
			_, p, err := s.run(compact.Options{}, c.change(all())...)
			if p.Layers != 2 || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v of %d layers\nwant an error with %q", err, p.Layers, c.want)
			}
		})
	}
}

// TestOneResourceWithVeryManyVersions has so many that its records lie in several runs,
// some of them on disk.
func TestOneResourceWithVeryManyVersions(t *testing.T) {
	const old, fresh = 2*runEntries + 17, runEntries + 1000
	s := newCompacting(t)
	s.segments(old, 3) // a tenth of the first are dead
	var entries []snapshot.Entry
	var records []pipeline.Record
	row := uint32(0)
	for i := range uint32(old) {
		if i%8 != 0 {
			v := e(5, i+1, 0, i)
			entries = append(entries, v)
			records = append(records, moved(v, 2, row))
			row++
		}
	}
	for i := range uint32(fresh) {
		records = append(records, folded(e(5, old+i+1, 2, row)))
		row++
	}
	s.layer(0, entries...)
	res, p, err := s.run(compact.Options{}, records...)
	if err != nil {
		t.Fatal(err)
	}
	if p.Layers != 1 || res.Entries != int64(row) {
		t.Fatalf("%d layers and %d entries, want 1 and %d", p.Layers, res.Entries, row)
	}
	got := s.index(res)
	for i, v := range got {
		if i > 0 && v.Version >= got[i-1].Version {
			t.Fatalf("version %d comes after %d", v.Version, got[i-1].Version)
		}
		if want := row - 1 - uint32(i); v.Address != (snapshot.Address{Segment: 2, Row: want}) {
			t.Fatalf("version %d is at %v, want row %d", v.Version, v.Address, want)
		}
		if isOld := res.Superseded[2].Contains(v.Address.Row); isOld != (i > 0) {
			t.Fatalf("version %d is superseded: %v", v.Version, isOld)
		}
	}
}

// TestTheIndexOfACompactionIsNoLargerThanItsEntries: rows that are written anew are not
// counted twice, in the filter and the buckets.
func TestTheIndexOfACompactionIsNoLargerThanItsEntries(t *testing.T) {
	build := func() (*compacting, []pipeline.Record) {
		s := newCompacting(t)
		s.segments(4000)
		all := others(0, 0, 4000)
		s.layer(0, all...)
		s.segments(200)
		more := others(1, 0, 3000)
		s.layer(1, more...)
		var records []pipeline.Record
		for i, v := range slices.Concat(all, more) {
			records = append(records, moved(v, 2, uint32(i)))
		}
		return s, records
	}
	s, records := build()
	res, _, err := s.run(compact.Options{}, records...)
	if err != nil {
		t.Fatal(err)
	}
	if perEntry := float64(res.IDs.Bytes) / float64(res.Entries); perEntry > 29 {
		t.Errorf("%.1f bytes an entry", perEntry)
	}
}
