package bulk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/disk"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// stopFS stops before step number at, or in the middle of it: from then on nothing
// reaches the disk, as when the process dies.
type stopFS struct {
	disk.OS
	at, step int
	torn     bool
	writes   map[int]bool // the steps that write a file, which may be torn
}

var errStopped = errors.New("stopped")

func (s *stopFS) do(f, half func() error) error {
	if half != nil && s.writes != nil {
		s.writes[s.step] = true
	}
	s.step++
	switch {
	case s.step <= s.at:
		return f()
	case s.step == s.at+1 && s.torn && half != nil:
		half()
	}
	return errStopped
}

func (s *stopFS) MkdirAll(dir string) error {
	return s.do(func() error { return s.OS.MkdirAll(dir) }, nil)
}

func (s *stopFS) WriteFile(name string, data []byte) error {
	return s.do(func() error { return s.OS.WriteFile(name, data) }, func() error { return s.OS.WriteFile(name, data[:len(data)/2]) })
}

func (s *stopFS) Rename(from, to string) error {
	return s.do(func() error { return s.OS.Rename(from, to) }, nil)
}

func (s *stopFS) SyncDir(dir string) error {
	return s.do(func() error { return s.OS.SyncDir(dir) }, nil)
}

func (s *stopFS) Remove(name string) error {
	return s.do(func() error { return s.OS.Remove(name) }, nil)
}

// copied gives a model of a copy of the data store, which nobody has open.
func (m *model) copied(t *testing.T) *model {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(to, os.DirFS(m.f.store.Dir())); err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	f, c := *m.f, *m
	f.store, f.t = store, t
	c.f, c.t, c.all, c.last = &f, t, maps.Clone(m.all), maps.Clone(m.last)
	for r := range c.all {
		c.all[r] = maps.Clone(c.all[r])
	}
	c.open()
	t.Cleanup(func() { c.lake.Close() })
	return &c
}

// reopen is a new process.
func (m *model) reopen() {
	m.t.Helper()
	if err := m.lake.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.open()
}

func (m *model) number() int64 {
	m.t.Helper()
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	defer release()
	return man.Number
}

// TestACompactionThatStopsAtAnyStep stops it at every step that makes its work visible
// and removes what was. The next process finds the old state or the new one, each with
// everything in it, and the next compaction brings it to its end.
func TestACompactionThatStopsAtAnyStep(t *testing.T) {
	m := newModel(t, 3)
	m.kept = compact.Retention{}
	for range 3 {
		m.load()
		for range 15 {
			m.write()
			m.now = m.now.Add(time.Millisecond)
		}
		m.now = m.now.Add(time.Second)
	}
	m.compactWith(CompactOptions{})
	m.load()
	for range 40 {
		m.write()
		m.now = m.now.Add(time.Millisecond)
	}
	m.check()
	if err := m.lake.Close(); err != nil {
		t.Fatal(err)
	}
	before := m.number()
	options := func(m *model) CompactOptions {
		return CompactOptions{Lake: m.lake, Whole: true, Now: m.clock, NewID: m.f.opts.NewID}
	}

	count := m.copied(t)
	steps := &stopFS{at: 1 << 30, writes: map[int]bool{}}
	count.lake.Snapshot().SetFS(steps)
	if _, err := Compact(context.Background(), options(count)); err != nil {
		t.Fatal(err)
	}
	seen := map[bool]int{}
	for at := range steps.step {
		for _, torn := range []bool{false, true} {
			if torn && !steps.writes[at] {
				continue
			}
			t.Run(fmt.Sprintf("step %d of %d, torn %v", at, steps.step, torn), func(t *testing.T) {
				m := m.copied(t)
				m.lake.Snapshot().SetFS(&stopFS{at: at, torn: torn})
				if _, err := Compact(context.Background(), options(m)); !errors.Is(err, errStopped) {
					t.Fatalf("got %v", err)
				}
				m.stopped = true
				// The process goes on for a while: what it shows and takes is right.
				m.write()
				m.check()
				m.reopen()
				m.check()
				after := m.number()
				if after != before && after != before+1 {
					t.Fatalf("manifest %d follows %d", after, before)
				}
				seen[after != before]++
				m.write()
				m.compactWith(CompactOptions{})
				if n := m.lake.Delta().Stats().Entries; n > 0 {
					t.Errorf("%d versions are left in the delta", n)
				}
				m.check()
				m.expectNoLeftovers()
			})
		}
	}
	if seen[false] == 0 || seen[true] == 0 {
		t.Errorf("the steps did not cover both states: %v", seen)
	}
}

// expectNoLeftovers sweeps, as an owner of a root does at its start, and looks for files
// that no manifest names.
func (m *model) expectNoLeftovers() {
	m.t.Helper()
	if err := m.lake.Close(); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.f.store.Sweep(); err != nil {
		m.t.Fatal(err)
	}
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	defer release()
	if left, err := m.f.store.Unreferenced(man); err != nil || len(left) > 0 {
		m.t.Errorf("left are %v, %v", left, err)
	}
}

// TestTheIndexDoesNotGrowByBeingMerged merges the same versions many times: an entry takes
// no more bytes for it.
func TestTheIndexDoesNotGrowByBeingMerged(t *testing.T) {
	m := newModel(t, 8)
	for range 400 {
		m.write()
	}
	var first float64
	for n := range 25 {
		m.now = m.now.Add(time.Second)
		for range 3 {
			m.write()
		}
		m.compactWith(CompactOptions{Whole: true})
		man, release, err := m.f.store.Current()
		if err != nil {
			t.Fatal(err)
		}
		release()
		layer := man.Layers[0]
		perEntry := float64(layer.IDs.Bytes) / float64(layer.Entries)
		if n == 0 {
			first = perEntry
		}
		if perEntry > first+2 { // a wider field for time and one for rows
			t.Fatalf("%.1f bytes an entry after %d merges, %.1f after one", perEntry, n+1, first)
		}
	}
	m.check()
}
