package compact

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ago is a time so long before now, in microseconds.
func ago(d time.Duration) int64 { return now.Add(-d).UnixMicro() }

func key(n int) snapshot.Key { return snapshot.Key{uint64(n) << 40, uint64(n)} }

// state is a manifest with id indexes, as jobs make it one after another.
type state struct {
	t   *testing.T
	dir string
	m   snapshot.Manifest
	n   int // files
}

func newState(t *testing.T) *state { return &state{t: t, dir: t.TempDir()} }

// segment adds a segment; its ordinal is given.
func (s *state) segment(resourceType string, rows int64) uint32 {
	n := s.m.NextSegment
	s.m.NextSegment++
	s.m.Segments = append(s.m.Segments, snapshot.Segment{Ordinal: n, ResourceType: resourceType, Rows: rows, Current: rows})
	return n
}

// layer adds a layer of a new manifest, or one more of the last one.
func (s *state) layer(more bool, first uint32, entries ...snapshot.Entry) {
	s.t.Helper()
	if !more {
		s.m.Number++
	}
	slices.SortFunc(entries, func(a, b snapshot.Entry) int {
		return cmp.Or(cmp.Compare(a.Key[0], b.Key[0]), cmp.Compare(b.Version, a.Version))
	})
	var f snapshot.File
	s.n++
	bounds := snapshot.IDBounds{
		Entries: int64(len(entries)), LastSegment: 1000, Row: 1 << 20, Version: 1 << 20, LastUpdated: now.UnixMicro(), Flags: true,
	}
	w, err := snapshot.CreateIDs(s.dir, fmt.Sprintf("index/%d.ids", s.n), bounds, &f)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range entries {
		if err := w.Add(&entries[i]); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.m.Layers = append(s.m.Layers, snapshot.Layer{Number: s.m.Number, Entries: int64(len(entries)), IDs: f, FirstSegment: first})
}

// fill adds a layer with one segment of n rows, which are versions of keys from the given
// one on.
func (s *state) fill(resourceType string, from, n int) {
	s.t.Helper()
	ordinal := s.segment(resourceType, int64(n))
	s.layer(false, ordinal, versions(ordinal, from, n, 1)...)
}

// versions gives one version of each of n keys, in rows from 0 on.
func versions(segment uint32, from, n int, number uint32) (es []snapshot.Entry) {
	for i := range n {
		es = append(es, snapshot.Entry{
			Key: key(from + i), Version: number, Address: snapshot.Address{Segment: segment, Row: uint32(i)}, Updated: ago(time.Hour),
		})
	}
	return es
}

func (s *state) plan(o Options) *Plan {
	s.t.Helper()
	x, err := snapshot.OpenIndex(s.dir, &s.m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { x.Close() })
	o.Manifest, o.Index, o.Now = &s.m, x, now
	p, err := New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// text is the layers and segments that a plan takes: segments as ordinal=rows that live.
func text(p *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d layers", p.Layers)
	for _, r := range p.Rows {
		fmt.Fprintf(&b, " %d=%d", r.Segment.Ordinal, r.Alive.GetCardinality())
	}
	return b.String()
}

func folding(n int64) map[string]int64 { return map[string]int64{"Patient": n} }

func TestWhatAPlanTakes(t *testing.T) {
	for name, c := range map[string]struct {
		build func(s *state)
		o     Options
		want  string
	}{
		"an empty store":                 {func(*state) {}, Options{}, "0 layers"},
		"an empty store as a whole":      {func(*state) {}, Options{Whole: true, Erase: map[snapshot.Key]bool{key(1): true}}, "0 layers"},
		"the first fold":                 {func(*state) {}, Options{Commits: folding(7)}, "0 layers"},
		"one layer":                      {func(s *state) { s.fill("Patient", 0, 10) }, Options{}, "0 layers"},
		"one layer as a whole":           {func(s *state) { s.fill("Patient", 0, 10) }, Options{Whole: true}, "0 layers"},
		"a fold over a large layer":      {func(s *state) { s.fill("Patient", 0, 21) }, Options{Commits: folding(10)}, "0 layers"},
		"a fold over twice its size":     {func(s *state) { s.fill("Patient", 0, 20) }, Options{Commits: folding(10)}, "1 layers 0=20"},
		"of another type its rows stay":  {func(s *state) { s.fill("Basic", 0, 20) }, Options{Commits: folding(10)}, "1 layers"},
		"two layers of near size":        {func(s *state) { s.fill("Basic", 0, 20); s.fill("Patient", 20, 10) }, Options{}, "2 layers"},
		"two layers, the older is large": {func(s *state) { s.fill("Patient", 0, 21); s.fill("Patient", 30, 10) }, Options{}, "0 layers"},
		"the larger the merged the more they take": {func(s *state) {
			s.fill("Patient", 0, 300)
			s.fill("Patient", 300, 60)
			s.fill("Patient", 400, 20)
			s.fill("Patient", 500, 10)
		}, Options{Commits: folding(6)}, "3 layers 1=60 2=20 3=10"},
		"as a whole": {func(s *state) {
			s.fill("Patient", 0, 300)
			s.fill("Patient", 300, 6)
		}, Options{Whole: true}, "2 layers 0=300 1=6"},
		"only those of a type that has another small one": {func(s *state) {
			s.fill("Patient", 0, 30)
			s.fill("Basic", 100, 30)
			s.fill("Patient", 200, 30)
		}, Options{}, "3 layers 0=30 2=30"},
		"no segment that is large": {func(s *state) {
			s.fill("Patient", 0, smallRows+1)
			s.fill("Patient", 200_000, smallRows)
			s.fill("Patient", 400_000, smallRows)
		}, Options{}, "3 layers 1=61440 2=61440"},
		"both layers of an import": {func(s *state) {
			s.fill("Basic", 0, 100)
			s.fill("Patient", 100, 40)
			s.layer(true, 1, snapshot.Entry{Key: key(100), Version: 2, Address: snapshot.Address{Segment: s.segment("Patient", 1)}})
		}, Options{Commits: folding(1)}, "2 layers 1=40 2=1"},
		"all layers of which is not known what they begin with": {func(s *state) {
			s.fill("Basic", 0, 1000)
			s.layer(false, 0, versions(s.segment("Basic", 100), 2000, 100, 1)...)
			s.layer(false, 0, versions(s.segment("Patient", 10), 3000, 10, 1)...)
			s.fill("Patient", 4000, 5)
		}, Options{Commits: folding(5)}, "4 layers 0=1000 1=100 2=10 3=5"},
		"none of them when a newer one is enough": {func(s *state) {
			s.layer(false, 0, versions(s.segment("Basic", 1000), 0, 1000, 1)...)
			s.fill("Patient", 4000, 5)
		}, Options{Commits: folding(5)}, "1 layers 1=5"},
		"a layer with rows that are dead": {func(s *state) {
			s.layer(false, 0, versions(s.segment("Patient", 23), 0, 20, 1)...)
			s.fill("Basic", 100, 10)
		}, Options{}, "2 layers 0=20"},
		"a tenth of dead rows is not too many": {func(s *state) {
			s.layer(false, 0, versions(s.segment("Patient", 20), 0, 18, 1)...)
			s.fill("Basic", 100, 10)
		}, Options{}, "2 layers"},
		"as a whole one dead row is": {func(s *state) {
			s.layer(false, 0, versions(s.segment("Patient", 20), 0, 19, 1)...)
		}, Options{Whole: true}, "1 layers 0=19"},
		"a segment that has no version any more": {func(s *state) {
			s.segment("Patient", 1)
			s.layer(false, 0, versions(s.segment("Basic", 10), 0, 10, 1)...)
			s.fill("Observation", 100, 9)
		}, Options{}, "2 layers 0=0"},
		"what is erased, in the oldest layer": {func(s *state) {
			s.fill("Patient", 0, 1000)
			s.fill("Basic", 2000, 10)
			s.fill("Basic", 3000, 1)
		}, Options{Erase: map[snapshot.Key]bool{key(7): true}}, "3 layers 0=999 1=10 2=1"},
		"what is erased, in the newest layer": {func(s *state) {
			s.fill("Patient", 0, 1000)
			s.fill("Basic", 2000, 10)
		}, Options{Erase: map[snapshot.Key]bool{key(2005): true}}, "1 layers 1=9"},
		"what is erased and is all of a segment": {func(s *state) {
			s.fill("Patient", 0, 100)
			s.fill("Basic", 2000, 1)
		}, Options{Erase: map[snapshot.Key]bool{key(2000): true}}, "1 layers 1=0"},
		"what is erased and is not there": {func(s *state) { s.fill("Patient", 0, 100) }, Options{Erase: map[snapshot.Key]bool{key(2000): true}}, "0 layers"},
		"traces of what is erased": {func(s *state) {
			s.fill("Basic", 0, 1000)
			s.fill("Patient", 2000, 100)
			s.fill("Basic", 3000, 10)
		}, Options{Traces: []uint32{1}}, "2 layers 1=100"},
		"traces in the first of the segments of a layer": {func(s *state) {
			s.fill("Basic", 0, 1000)
			first := s.segment("Patient", 100)
			s.layer(false, first, append(versions(first, 2000, 100, 1), versions(s.segment("Observation", 100), 3000, 100, 1)...)...)
		}, Options{Traces: []uint32{1}}, "1 layers 1=100"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(t)
			c.build(s)
			p := s.plan(c.o)
			if got := text(p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if p.Empty() != strings.HasPrefix(c.want, "0 layers") {
				t.Errorf("Empty is %v", p.Empty())
			}
			layers, segments := p.Drops()
			if len(layers) != p.Layers || len(segments) != len(p.Rows) {
				t.Errorf("drops layers %v and segments %v", layers, segments)
			}
			for _, n := range segments {
				if !p.Rewritten(n) {
					t.Errorf("segment %d is dropped and not written anew", n)
				}
			}
		})
	}
}

// supersede says of segments that rows are not current.
func (s *state) supersede(ordinal uint32, rows int64) { s.m.ByOrdinal(ordinal).Current -= rows }

func TestSupersededRowsAreAReasonToLookAtAllLayers(t *testing.T) {
	for name, c := range map[string]struct {
		retention Retention
		old, kept int64
		all       bool
	}{
		"all versions are kept":               {Retention{}, 500, 0, false},
		"a tenth of all rows":                 {Retention{Versions: 1}, 100, 0, false},
		"more than a tenth":                   {Retention{Versions: 1}, 101, 0, true},
		"by age":                              {Retention{Age: time.Hour}, 101, 0, true},
		"no more than a tenth above the last": {Retention{Versions: 2}, 500, 400, false},
		"more than a tenth above the last":    {Retention{Versions: 2}, 501, 400, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(t)
			s.fill("Patient", 0, 900)
			s.fill("Basic", 2000, 100)
			s.supersede(0, c.old)
			p := s.plan(Options{Retention: c.retention, Kept: c.kept})
			if p.All() != c.all {
				t.Errorf("all layers: %v, want %v", p.All(), c.all)
			}
		})
	}
}

// TestKeep is the retention of the versions of one resource.
func TestKeep(t *testing.T) {
	// From the newest: written 1 minute, 1 hour, 2 hours and 3 days ago.
	written := []time.Duration{time.Minute, time.Hour, 2 * time.Hour, 72 * time.Hour}
	all := make([]snapshot.Entry, len(written))
	for i, d := range written {
		all[i] = snapshot.Entry{Version: uint32(len(written) - i), Updated: ago(d)}
	}
	for name, c := range map[string]struct {
		r    Retention
		want int
	}{
		"all":                              {Retention{}, 4},
		"one":                              {Retention{Versions: 1}, 1},
		"three":                            {Retention{Versions: 3}, 3},
		"more than there are":              {Retention{Versions: 9}, 4},
		"replaced less than a minute ago":  {Retention{Age: time.Minute - time.Second}, 1},
		"replaced a minute ago, not more":  {Retention{Age: time.Minute}, 2},
		"replaced in the last hour":        {Retention{Age: time.Hour}, 3},
		"replaced in the last day":         {Retention{Age: 24 * time.Hour}, 4},
		"the stricter one: number":         {Retention{Age: 24 * time.Hour, Versions: 2}, 2},
		"the stricter one: age":            {Retention{Age: time.Minute, Versions: 3}, 2},
		"below nothing is as if it is not": {Retention{Age: -time.Hour, Versions: -1}, 4},
	} {
		if got := c.r.Keep(all, now); len(got) != c.want {
			t.Errorf("%s: %d versions, want %d", name, len(got), c.want)
		}
		if c.r.All() != (c.r.Versions <= 0 && c.r.Age <= 0) {
			t.Errorf("%s: All is %v", name, c.r.All())
		}
	}
	deleted := slices.Clone(all)
	deleted[0].Deleted = true
	if got := (Retention{Versions: 1}).Keep(deleted, now); len(got) != 1 || !got[0].Deleted {
		t.Errorf("the current version is a deletion: kept %v", got)
	}
	if got := (Retention{Versions: 1}).Keep(nil, now); len(got) != 0 {
		t.Errorf("of nothing: kept %v", got)
	}
}

// TestAVersionIsKeptBesideWhatIsFoldedIn: a version that what is in the delta pushes out is
// not written anew.
func TestAVersionIsKeptBesideWhatIsFoldedIn(t *testing.T) {
	entries := func(numbers ...uint32) (es []snapshot.Entry) {
		for _, n := range numbers {
			es = append(es, snapshot.Entry{Key: key(1), Version: n, Updated: ago(time.Duration(100-n) * time.Minute)})
		}
		return es
	}
	for name, c := range map[string]struct {
		r          Retention
		old, fresh []snapshot.Entry
		want       []snapshot.Entry
	}{
		"nothing is folded in": {Retention{Versions: 2}, entries(3, 2, 1), nil, entries(3, 2)},
		"one":                  {Retention{Versions: 2}, entries(3, 2, 1), entries(4), entries(3)},
		"as many as are kept":  {Retention{Versions: 2}, entries(3, 2, 1), entries(5, 4), nil},
		"an import has overtaken what is folded in": {Retention{Versions: 2}, entries(9, 2), entries(4, 3), entries(9)},
		"the same version":                          {Retention{Versions: 2}, entries(3, 2, 1), entries(3), entries(3, 2)},
		"all are kept":                              {Retention{}, entries(3, 2, 1), entries(4), entries(3, 2, 1)},
		"by age, since the old":                     {Retention{Age: 94 * time.Minute}, entries(3, 2, 1), entries(6), entries(3)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(t)
			s.fill("Patient", 50, 5)
			p := s.plan(Options{Retention: c.r, Fresh: map[snapshot.Key][]snapshot.Entry{key(1): c.fresh}})
			got := slices.Clone(p.KeepOld(c.old))
			if diff := gocmp.Diff(c.want, got); len(c.want)+len(got) > 0 && diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAliveAndDeletedRows(t *testing.T) {
	s := newState(t)
	n := s.segment("Patient", 6)
	at := func(k int, version, row uint32, deleted bool) snapshot.Entry {
		return snapshot.Entry{
			Key: key(k), Version: version, Address: snapshot.Address{Segment: n, Row: row},
			Updated: ago(time.Duration(10-version) * time.Hour), Deleted: deleted,
		}
	}
	s.layer(false, n, at(1, 1, 0, false), at(1, 2, 2, false), at(1, 3, 3, true), at(2, 1, 5, false), at(3, 7, 1, false))
	s.layer(true, n, snapshot.Entry{Key: key(3), Version: 7, Withdrawn: true})
	p := s.plan(Options{Whole: true, Retention: Retention{Versions: 2}})
	if got := text(p); got != "2 layers 0=3" {
		t.Fatalf("got %s", got)
	}
	r := p.Rows[0]
	if diff := gocmp.Diff([][]uint32{{2, 3, 5}, {3}}, [][]uint32{r.Alive.ToArray(), r.Deleted.ToArray()}); diff != "" {
		t.Errorf("alive and deleted rows (-want +got):\n%s", diff)
	}
	want := snapshot.IDBounds{
		Entries: 3, FirstSegment: n, LastSegment: n, Row: 5, Version: 3, FirstUpdated: ago(9 * time.Hour), LastUpdated: ago(7 * time.Hour), Flags: true,
	}
	if diff := gocmp.Diff(want, p.Bounds); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}
	if p.Versions() != 3 || !p.All() {
		t.Errorf("%d versions, all layers %v", p.Versions(), p.All())
	}
}

// TestLayersGrowByAFactor adds layers of random sizes and merges as plans say: what is
// left is few, each more than twice the size of the next newer one.
func TestLayersGrowByAFactor(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newState(t)
	next, total := 0, 0
	for range 40 {
		n := 1 + rng.IntN(30)
		s.fill("Patient", next, n)
		next += n
		total += n
		p := s.plan(Options{})
		if p.Layers > 0 { // merge, keeping the segments
			kept := len(s.m.Layers) - p.Layers
			var all []snapshot.Entry
			m, err := p.Merged()
			if err != nil {
				t.Fatal(err)
			}
			for {
				group, err := m.Next()
				if err != nil {
					t.Fatal(err)
				}
				if group == nil {
					break
				}
				all = append(all, group...)
			}
			first := s.m.Layers[kept].FirstSegment
			s.m.Layers = s.m.Layers[:kept:kept]
			s.m.Number++
			s.layer(false, first, all...)
		}
		sum := int64(0)
		for i, l := range s.m.Layers {
			if i > 0 && s.m.Layers[i-1].Entries <= growth*l.Entries {
				t.Fatalf("a layer of %d entries lies under one of %d", s.m.Layers[i-1].Entries, l.Entries)
			}
			sum += l.Entries
		}
		if sum != int64(total) {
			t.Fatalf("%d entries, want %d", sum, total)
		}
	}
}
