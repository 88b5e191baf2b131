package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/blob"
)

// crowd is an output whose files end when several are open to be ended.
type crowd struct {
	until int
	fail  string // the name of a file that cannot be written
	met   chan struct{}

	mu        sync.Mutex
	names     []string
	now, most int
	closed    map[string]int
	aborted   []string
}

func (c *crowd) Create(name string) (blob.File, error) {
	c.names = append(c.names, name)
	return &crowdFile{of: c, name: name}, nil
}
func (*crowd) Publish() error { return nil }
func (*crowd) Discard() error { return nil }

type crowdFile struct {
	of   *crowd
	name string
	n    int
}

func (f *crowdFile) Write(p []byte) (int, error) {
	if f.name == f.of.fail {
		return 0, errors.New("no room")
	}
	f.n += len(p)
	return len(p), nil
}

func (f *crowdFile) Close() error {
	c := f.of
	c.mu.Lock()
	if c.now++; c.now == c.until {
		close(c.met)
		c.until = -1
	}
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	<-c.met
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	c.closed[f.name] = f.n
	return nil
}

func (f *crowdFile) Abort() error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.of.aborted = append(f.of.aborted, f.name)
	return nil
}

// reportOf writes a report of some inputs, and gives the sizes of its files by their last names.
func reportOf(t *testing.T, inputs int) (dir string, sizes map[string]int) {
	t.Helper()
	dir, sizes = t.TempDir(), map[string]int{}
	write := func(name, as string, n int) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, n), 0o644); err != nil {
			t.Fatal(err)
		}
		sizes[as] = n
	}
	for i := range inputs {
		name := fmt.Sprintf("SUCCESS/Patient-%03d.ndjson", i)
		write(name+".part", name, i)
	}
	write("Manifest.json", "Manifest.json", 7)
	write("manifest.json", "manifest.json", 8)
	return dir, sizes
}

// TestCopyingGoesTogether checks that files of a report are copied several at a time, and that the manifests are made last.
func TestCopyingGoesTogether(t *testing.T) {
	dir, sizes := reportOf(t, 50)
	out := &crowd{until: 4, met: make(chan struct{}), closed: map[string]int{}}
	if err := copyAll(t.Context(), out, dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sizes, out.closed); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if out.most < 4 || out.most > copiesAtOnce {
		t.Errorf("%d files at a time, want 4 to %d", out.most, copiesAtOnce)
	}
	if last := out.names[len(out.names)-2:]; !slices.Equal(last, []string{"Manifest.json", "manifest.json"}) {
		t.Errorf("made last: %q", last)
	}
}

func TestCopyingEndsWithAnError(t *testing.T) {
	dir, _ := reportOf(t, 50)
	met := make(chan struct{})
	close(met)
	t.Run("of a file", func(t *testing.T) {
		out := &crowd{fail: "SUCCESS/Patient-007.ndjson", met: met, closed: map[string]int{}}
		if err := copyAll(t.Context(), out, dir); err == nil || err.Error() != "no room" {
			t.Errorf("error: %v", err)
		}
		if got := len(out.closed) + len(out.aborted); got != len(out.names) || !slices.Contains(out.aborted, out.fail) {
			t.Errorf("of %d files %d were closed, and %q aborted", len(out.names), len(out.closed), out.aborted)
		}
	})
	t.Run("of who asked", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out := &crowd{met: met, closed: map[string]int{}}
		if err := copyAll(ctx, out, dir); !errors.Is(err, context.Canceled) || len(out.names) > 0 {
			t.Errorf("error: %v, %d files", err, len(out.names))
		}
	})
}
