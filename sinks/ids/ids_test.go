package ids

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)

// write gives records to a new sink in batches of a few, runs its tasks and
// commits it.
func write(t *testing.T, dir string, records []pipeline.Record, withdrawn ...snapshot.Entry) Result {
	t.Helper()
	ctx := context.Background()
	s := New(dir, "index/1.ids")
	s.Withdraw(withdrawn)
	run := func(tasks []pipeline.Task, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			if err := task.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if task.Done != nil {
				if err := task.Done(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for len(records) > 0 {
		n := min(1000, len(records))
		for i := range records[:n] {
			records[i].Updated = now.UnixMilli() * 1000
		}
		run(s.Write(ctx, &pipeline.Batch{Records: records[:n]}))
		records = records[n:]
	}
	run(s.Flush(ctx))
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Result()
}

func rows(r Result, segment uint32) []uint32 {
	if b := r.Superseded[segment]; b != nil {
		return b.ToArray()
	}
	return nil
}

func TestEachResourceIsSettledOnce(t *testing.T) {
	rec := func(key uint64, content uint64, row uint32) pipeline.Record {
		return pipeline.Record{Key: [2]uint64{key, key}, Content: content, Segment: 7, Row: row, Version: 1}
	}
	changed := rec(3, 30, 2)
	changed.Replaces, changed.BaseSegment, changed.BaseRow, changed.Version = true, 1, 5, 4
	same := pipeline.Record{Key: [2]uint64{4, 4}, Content: 40, Status: pipeline.Unchanged, Replaces: true, BaseSegment: 1, BaseRow: 6, Version: 2}
	// Key 5 came changed and then again as the store has it: nothing changes.
	there := rec(5, 50, 3)
	there.Replaces, there.BaseSegment, there.BaseRow, there.Version = true, 1, 7, 2
	back := pipeline.Record{Key: [2]uint64{5, 5}, Content: 51, Status: pipeline.Unchanged, Replaces: true, BaseSegment: 1, BaseRow: 7, Version: 1}
	rejected := pipeline.Record{Status: pipeline.Rejected}

	dir := t.TempDir()
	got := write(t, dir, []pipeline.Record{
		rec(9, 1, 0), rejected, rec(2, 20, 1), changed, same, there, back, rec(9, 2, 4), rec(9, 3, 5),
	})
	if got.Entries != 3 || got.Unchanged != 2 || got.Duplicates != 3 {
		t.Errorf("got %d entries, %d unchanged, %d duplicates, want 3 2 3", got.Entries, got.Unchanged, got.Duplicates)
	}
	if diff := cmp.Diff([]uint32{0, 3, 4}, rows(got, 7)); diff != "" {
		t.Errorf("superseded rows of the new segment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint32{5}, rows(got, 1)); diff != "" {
		t.Errorf("superseded rows of the old segment (-want +got):\n%s", diff)
	}
	x, err := snapshot.OpenIDs(dir, got.IDs.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var all []snapshot.Entry
	if err := x.Each(func(e *snapshot.Entry) error { all = append(all, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	at := now.Truncate(time.Millisecond).UnixMicro()
	want := []snapshot.Entry{
		{Key: snapshot.Key{2, 2}, Content: 20, Address: snapshot.Address{Segment: 7, Row: 1}, Version: 1, Updated: at},
		{Key: snapshot.Key{3, 3}, Content: 30, Address: snapshot.Address{Segment: 7, Row: 2}, Version: 4, Updated: at},
		{Key: snapshot.Key{9, 9}, Content: 3, Address: snapshot.Address{Segment: 7, Row: 5}, Version: 1, Updated: at},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestDerivedResourcesCountForNoInput(t *testing.T) {
	rec := func(key uint64, row uint32, derived bool) pipeline.Record {
		return pipeline.Record{Key: [2]uint64{key, key}, Content: key, Segment: 7, Row: row, Version: 1, Derived: derived}
	}
	same := rec(3, 0, true)
	same.Status = pipeline.Unchanged
	records := []pipeline.Record{
		rec(1, 0, false), rec(2, 1, true), same,
		rec(4, 2, true), rec(4, 3, true), // of two documents' versions in one job
		rec(5, 4, false), rec(5, 5, true), // one that came with the input too
		rec(6, 6, true), rec(6, 7, false),
	}
	for _, more := range []int{0, 3 * runEntries} { // also through the file that runs are spilled to
		all := slices.Clone(records)
		for i := range more {
			all = append(all, rec(100+uint64(i), 100+uint32(i), i%2 == 0))
		}
		got := write(t, t.TempDir(), all)
		half := int64(more / 2)
		if got.Entries != 5+int64(more) || got.Derived != 3+half || got.Unchanged != 0 || got.Duplicates != 1 {
			t.Errorf("%d more: %d entries, %d of them derived, %d unchanged, %d duplicates", more, got.Entries, got.Derived, got.Unchanged, got.Duplicates)
		}
		if diff := cmp.Diff([]uint32{2, 4, 6}, rows(got, 7)); diff != "" {
			t.Errorf("superseded rows (-want +got):\n%s", diff)
		}
	}
}

func TestWhatIsWithdrawnComesAfterTheVersionOfItsKey(t *testing.T) {
	rec := func(key uint64, version uint32) pipeline.Record {
		return pipeline.Record{Key: [2]uint64{key, key}, Segment: 7, Version: version}
	}
	gone := func(key uint64, version uint32) snapshot.Entry {
		return snapshot.Entry{Key: snapshot.Key{key, key}, Version: version}
	}
	for name, c := range map[string]struct {
		records   []pipeline.Record
		withdrawn []snapshot.Entry
		want      string
	}{
		"nothing":   {},
		"only that": {withdrawn: []snapshot.Entry{gone(5, 3), gone(2, 1)}, want: "2/1- 5/3- "},
		"both": {
			records:   []pipeline.Record{rec(5, 9), rec(3, 4)},
			withdrawn: []snapshot.Entry{gone(9, 1), gone(5, 8), gone(1, 1)}, want: "1/1- 3/4 5/9 5/8- 9/1- ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			res := write(t, dir, c.records, c.withdrawn...)
			if res.Entries != int64(len(c.records)) || res.Withdrawn != int64(len(c.withdrawn)) {
				t.Errorf("%d entries and %d withdrawn", res.Entries, res.Withdrawn)
			}
			got := ""
			if res.IDs.Path != "" {
				x, err := snapshot.OpenIDs(dir, res.IDs.Path)
				if err != nil {
					t.Fatal(err)
				}
				defer x.Close()
				err = x.Each(func(e *snapshot.Entry) error {
					got += fmt.Sprintf("%d/%d", e.Key[0], e.Version)
					if e.Withdrawn {
						got += "-"
					}
					got += " "
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNothingNewWritesNoIndex(t *testing.T) {
	dir := t.TempDir()
	got := write(t, dir, []pipeline.Record{{Status: pipeline.Unchanged}, {Status: pipeline.Rejected}})
	if got.IDs.Path != "" || got.Unchanged != 1 {
		t.Errorf("got %+v, want no file and one unchanged", got)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "index")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestManyRunsMergeLikeOneMap(t *testing.T) {
	if testing.Short() {
		t.Skip("writes several runs to disk")
	}
	const n = 4*runEntries + 1234
	rng := rand.New(rand.NewPCG(3, 4))
	records := make([]pipeline.Record, n)
	last := map[[2]uint64]int{}
	for i := range records {
		key := [2]uint64{rng.Uint64N(n) * 0x9E3779B97F4A7C15, 0}
		records[i] = pipeline.Record{Key: key, Content: uint64(i), Segment: 1, Row: uint32(i), Version: 1}
		last[key] = i
	}
	dir := t.TempDir()
	got := write(t, dir, records)
	if got.Entries != int64(len(last)) || got.Duplicates != int64(n-len(last)) {
		t.Fatalf("%d entries and %d duplicates, want %d and %d", got.Entries, got.Duplicates, len(last), n-len(last))
	}
	if c := got.Superseded[1].GetCardinality(); c != uint64(n-len(last)) {
		t.Errorf("%d rows superseded, want %d", c, n-len(last))
	}
	x, err := snapshot.OpenIDs(dir, got.IDs.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	err = x.Each(func(e *snapshot.Entry) error {
		if want := last[e.Key]; e.Address.Row != uint32(want) || e.Content != uint64(want) {
			t.Fatalf("key %x has row %d, want %d", e.Key, e.Address.Row, want)
		}
		if got.Superseded[1].Contains(e.Address.Row) {
			t.Fatalf("row %d is current and superseded", e.Address.Row)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "index"))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v, want the index alone", left, err)
	}
}

func TestCloseWithoutCommitLeavesNoFile(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := New(dir, "index/1.ids")
	records := make([]pipeline.Record, (keepRuns+1)*runEntries)
	for i := range records {
		records[i].Key[0] = uint64(i)
	}
	tasks, err := s.Write(ctx, &pipeline.Batch{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if err := task.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "index")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestSortEntriesIsSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for name, key := range map[string]func(i int) snapshot.Key{
		"spread":    func(int) snapshot.Key { return snapshot.Key{rng.Uint64(), rng.Uint64()} },
		"few":       func(int) snapshot.Key { return snapshot.Key{rng.Uint64N(3) << 62, rng.Uint64N(2)} },
		"one":       func(int) snapshot.Key { return snapshot.Key{1, 2} },
		"backwards": func(i int) snapshot.Key { return snapshot.Key{^uint64(i), 0} },
	} {
		from := make([]entry, 5000)
		for i := range from {
			from[i] = entry{key: key(i), seq: uint64(i)}
		}
		want := slices.Clone(from)
		slices.SortFunc(want, compareEntries)
		to := make([]entry, len(from))
		sortEntries(to, from)
		if !slices.Equal(to, want) {
			t.Errorf("%s: not sorted as by comparison", name)
		}
	}
}

func BenchmarkSortEntries(b *testing.B) {
	rng := rand.New(rand.NewPCG(8, 9))
	entries := make([]entry, runEntries)
	for i := range entries {
		entries[i] = entry{key: snapshot.Key{rng.Uint64(), rng.Uint64()}, seq: uint64(i)}
	}
	from, to := make([]entry, runEntries), make([]entry, runEntries)
	b.Run("distribution", func(b *testing.B) {
		for b.Loop() {
			copy(from, entries)
			sortEntries(to, from)
		}
	})
	b.Run("comparison", func(b *testing.B) {
		for b.Loop() {
			copy(from, entries)
			slices.SortFunc(from, compareEntries)
		}
	})
}

func TestContract(t *testing.T) {
	pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
		dir := t.TempDir()
		return pipetest.SinkSetup{Sink: New(dir, "index/1.ids"), Result: pipetest.Files(dir)}
	}, func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", strings.Repeat("{}\n", 5000), 4<<10)
	}, numbered{})
}

// numbered gives records keys and versions by their lines.
type numbered struct{}

func (numbered) Name() string                        { return "numbered" }
func (numbered) NewWorker() (pipeline.Worker, error) { return numbered{}, nil }
func (numbered) Process(_ context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		r.Key = [2]uint64{uint64(r.Line) * 0x9E3779B97F4A7C15, uint64(r.Line)}
		r.Version, r.Updated, r.Row = 1, now.UnixMilli()*1000, uint32(r.Line)
	}
	return nil
}
