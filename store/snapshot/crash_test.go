package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/disk"
)

// crashFS stops before step number at, or in the middle of it: from then on
// nothing reaches the disk, as when the process dies.
type crashFS struct {
	disk.OS
	at, step int
	torn     bool
}

var errCrash = errors.New("crash")

func (c *crashFS) next() (dead bool, tear bool) {
	c.step++
	return c.step > c.at, c.step == c.at+1 && c.torn
}

func (c *crashFS) MkdirAll(dir string) error {
	if dead, _ := c.next(); dead {
		return errCrash
	}
	return c.OS.MkdirAll(dir)
}

func (c *crashFS) WriteFile(name string, data []byte) error {
	dead, tear := c.next()
	if tear {
		c.OS.WriteFile(name, data[:len(data)/2])
	}
	if dead {
		return errCrash
	}
	return c.OS.WriteFile(name, data)
}

func (c *crashFS) Rename(from, to string) error {
	if dead, _ := c.next(); dead {
		return errCrash
	}
	return c.OS.Rename(from, to)
}

func (c *crashFS) SyncDir(dir string) error {
	if dead, _ := c.next(); dead {
		return errCrash
	}
	return c.OS.SyncDir(dir)
}

func (c *crashFS) Remove(name string) error {
	if dead, _ := c.next(); dead {
		return errCrash
	}
	return c.OS.Remove(name)
}

// third is the publication that the crash tests stop; it uses all that a
// publication can have. ids tells reruns apart, as random UUIDs do.
func third(t *testing.T, s *Store, fs disk.FS, ids string) error {
	t.Helper()
	b := NewBuilder(s.Dir(), current(t, s), testIDs(ids))
	addSegment(t, b, "Patient", 4)
	s.fs = fs
	defer func() { s.fs = disk.OS{} }()
	_, err := s.Publish(b, PublishOptions{
		JobID: "j3", Now: testNow, IDs: addIDs(t, s.Dir(), ids), Entries: 4,
		Superseded: map[uint32]*roaring.Bitmap{0: rows(1), 1: rows(2, 3), 3: rows(0), 4: rows(1)},
	})
	return err
}

func shape(m *Manifest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", m.Number)
	for _, s := range m.Segments {
		fmt.Fprintf(&b, " %d=%d/%d", s.Ordinal, s.Current, s.Rows)
	}
	return b.String()
}

func TestCrashAtEachStepOfPublication(t *testing.T) {
	const before, after = "2: 0=1/3 1=5/5 3=1/2", "3: 1=3/5 4=3/4"
	count := &crashFS{at: 1 << 30}
	s := openStore(t, t.TempDir())
	twoLayers(t, s)
	if err := third(t, s, count, "third"); err != nil {
		t.Fatal(err)
	}
	if got := shape(current(t, s)); got != after {
		t.Fatalf("without a crash: %s", got)
	}
	seen := map[string]int{}
	for _, torn := range []bool{false, true} {
		for at := range count.step {
			name := fmt.Sprintf("step %d of %d, torn %v", at, count.step, torn)
			dir := t.TempDir()
			s := openStore(t, dir)
			twoLayers(t, s)
			if err := third(t, s, &crashFS{at: at, torn: torn}, "third"); !errors.Is(err, errCrash) {
				t.Fatalf("%s: got %v", name, err)
			}
			s = openStore(t, dir)
			got := shape(current(t, s))
			seen[got]++
			if got != before && got != after {
				t.Fatalf("%s: a state in between: %s", name, got)
			}
			if _, err := s.Sweep(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m := current(t, s)
			if left, err := s.Unreferenced(m); err != nil || len(left) > 0 {
				t.Fatalf("%s: left after the sweep: %v, %v", name, left, err)
			}
			for _, f := range m.Files() {
				if err := s.Verify(&f); err != nil {
					t.Fatalf("%s: %s: %v", name, f.Path, err)
				}
			}
			if got == before {
				if err := third(t, s, disk.OS{}, "again"); err != nil {
					t.Fatalf("%s: run again: %v", name, err)
				}
				if got := shape(current(t, s)); got != after {
					t.Fatalf("%s: run again: %s", name, got)
				}
			}
		}
	}
	if seen[before] == 0 || seen[after] == 0 {
		t.Errorf("the steps did not cover both states: %v", seen)
	}
}

func TestCrashAtEachStepOfSweep(t *testing.T) {
	for at := 0; ; at++ {
		dir := t.TempDir()
		s := openStore(t, dir)
		twoLayers(t, s)
		if err := third(t, s, disk.OS{}, "third"); err != nil {
			t.Fatal(err)
		}
		s.fs = &crashFS{at: at}
		_, err := s.Sweep()
		s = openStore(t, dir)
		m := current(t, s)
		for _, f := range m.Files() {
			if err := s.Verify(&f); err != nil {
				t.Fatalf("step %d: %s: %v", at, f.Path, err)
			}
		}
		if _, err := s.Sweep(); err != nil {
			t.Fatalf("step %d: sweep again: %v", at, err)
		}
		if left, _ := s.Unreferenced(m); len(left) > 0 {
			t.Fatalf("step %d: left: %v", at, left)
		}
		if err == nil {
			return
		}
	}
}
