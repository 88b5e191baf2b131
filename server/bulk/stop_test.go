package bulk

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

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

// stopAtEveryStep runs a job on copies of a data store that nobody has open, and stops it at
// each step that makes its work visible or removes what was, in the middle of a write too.
// Running looks at the process that goes on after that, and then looks at the next one: it
// finds the manifest of before or the one after it.
func (m *model) stopAtEveryStep(job func(m *model) error, running, then func(m *model)) {
	t := m.t
	t.Helper()
	before := m.number()
	count := m.copied(t)
	steps := &stopFS{at: 1 << 30, writes: map[int]bool{}}
	count.lake.Snapshot().SetFS(steps)
	if err := job(count); err != nil {
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
				if err := job(m); !errors.Is(err, errStopped) {
					t.Fatalf("got %v", err)
				}
				m.stopped = true
				running(m)
				m.reopen()
				m.check()
				after := m.number()
				if after != before && after != before+1 {
					t.Fatalf("manifest %d follows %d", after, before)
				}
				seen[after != before]++
				then(m)
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
