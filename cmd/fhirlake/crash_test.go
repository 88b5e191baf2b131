//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/bench/gen"
)

// TestCrash kills imports at a few moments; with the tag slow, at many.
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("starts some thirty processes")
	}
	t.Parallel()
	crash(t, 8, []float64{0.5}, 1)
}

// crash kills imports of a population, into an empty data store and over an
// earlier version of it, at the given shares of their time and at each step of
// publication. Whatever the moment, fsck finds no damage, SQL shows the state
// from before or the new one, and the same import again ends as one that was
// never killed, with no file left over. Each import is killed so many times in a
// row before it may end.
func crash(t *testing.T, patients int, shares []float64, times int) {
	before, after := population(t, patients)
	empty := newTestRoot(t)
	full := empty.copied()
	full.load(before)
	t.Run("first", func(t *testing.T) { killed{t, empty, after, gen.Types()}.at(shares, times) })
	t.Run("replacing", func(t *testing.T) { killed{t, full, after, gen.Types()}.at(shares, times) })
}

// population makes two folders of NDJSON; every third resource of the second is
// another version than in the first.
func population(t *testing.T, patients int) (before, after string) {
	t.Helper()
	before, after = filepath.Join(t.TempDir(), "before"), filepath.Join(t.TempDir(), "after")
	st, err := gen.Generate(context.Background(), gen.Options{Patients: patients, Seed: 11, Out: before})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d resources, %s", st.Resources, formatBytes(st.Bytes))
	if err := os.Mkdir(after, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range fileNames(t, before) {
		text, err := os.ReadFile(filepath.Join(before, name))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		n := 0
		for line := range bytes.Lines(text) {
			if n++; n%3 == 0 {
				line = bytes.Replace(line, []byte(`,`), []byte(`,"implicitRules":"http://example.org/version-2",`), 1)
			}
			out.Write(line)
		}
		if err := os.WriteFile(filepath.Join(after, name), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return before, after
}

// killed is an import that is killed, and the root that it starts from.
type killed struct {
	t     *testing.T
	start testRoot
	input string
	types []string
}

// moment waits until it is time to kill, or until the process has ended.
type moment struct {
	name string
	wait func(r testRoot, ended <-chan struct{})
}

func (k killed) at(shares []float64, times int) {
	k.start.t = k.t
	old := k.start.state(k.types)
	whole := k.start.copied()
	began := time.Now()
	want := whole.load(k.input)
	took := time.Since(began)
	fresh := whole.state(k.types)
	if want.Rejected+want.Duplicates > 0 || old == fresh {
		k.t.Fatalf("the import is not what the test wants: %+v", want.ImportResult)
	}

	number := want.Snapshot
	moments := []moment{
		exists("first Parquet file", "files/Patient/*.parquet"),
		exists("id index", fmt.Sprintf("index/%d-*", number)),
		exists("manifest begun", fmt.Sprintf("snapshot/manifest-%d.json.tmp", number)),
		exists("manifest", fmt.Sprintf("snapshot/manifest-%d.json", number)),
		exists("CURRENT begun", "CURRENT.tmp"),
		published(number),
	}
	for _, share := range shares {
		d := time.Duration(share * float64(took))
		moments = append(moments, moment{fmt.Sprintf("%.0f %% of the time", share*100), func(_ testRoot, ended <-chan struct{}) {
			select {
			case <-time.After(d):
			case <-ended:
			}
		}})
	}
	tally := map[string]int{}
	for _, m := range moments {
		k.t.Run(m.name, func(t *testing.T) {
			r := k.start.copied()
			r.t = t
			for range times {
				if k.kill(r, m) {
					tally["killed"]++
				} else {
					tally["ended before"]++
				}
				r.expectSound(false)
			}
			state := r.state(k.types)
			switch state {
			case old:
				tally["old state"]++
			case fresh:
				tally["new state"]++
			default:
				t.Fatalf("SQL shows neither the old nor the new state:\n%s\nold:\n%s\nnew:\n%s", state, old, fresh)
			}
			again := r.load(k.input)
			expectCounts(t, again, want, state == fresh)
			if got := r.state(k.types); got != fresh {
				t.Errorf("after the same import again SQL shows\n%s\nwant\n%s", got, fresh)
			}
			r.expectSound(true)
			r.expectNamedFiles()
			jobs := completed(r) - completed(k.start)
			if state == old && jobs != 1 || state == fresh && jobs < 2 {
				t.Errorf("%d jobs are COMPLETED; those that published are, whenever they were killed, and no other:\n%s", jobs, r.run("job", "list"))
			}
		})
	}
	k.t.Logf("uninterrupted %v; %v", took.Round(time.Millisecond), tally)
	if tally["killed"] == 0 || tally["old state"] == 0 {
		k.t.Errorf("no import was killed before its end, so nothing was tested: %v", tally)
	}
}

// kill starts the import and kills it, and tells whether it was still running.
func (k killed) kill(r testRoot, m moment) bool {
	r.t.Helper()
	c := r.command("import", "--json", k.input)
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended, result := make(chan struct{}), make(chan error, 1)
	go func() { result <- c.Wait(); close(ended) }()
	m.wait(r, ended)
	c.Process.Kill()
	err := <-result
	if err != nil && c.ProcessState.Exited() {
		r.t.Fatalf("the import failed by itself: %v", err)
	}
	return err != nil
}

// exists waits for a file of the data store that was not there at the start.
func exists(name, pattern string) moment {
	return moment{name, func(r testRoot, ended <-chan struct{}) {
		p := filepath.Join(r.datastore(), filepath.FromSlash(pattern))
		before, _ := filepath.Glob(p)
		poll(ended, func() bool {
			now, _ := filepath.Glob(p)
			return len(now) > len(before)
		})
	}}
}

func published(number int64) moment {
	return moment{"published", func(r testRoot, ended <-chan struct{}) {
		name := filepath.Join(r.datastore(), "CURRENT")
		want := fmt.Sprintf("manifest-%d.json", number)
		poll(ended, func() bool {
			text, _ := os.ReadFile(name)
			return strings.TrimSpace(string(text)) == want
		})
	}}
}

func poll(ended <-chan struct{}, ready func() bool) {
	for !ready() {
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Microsecond):
		}
	}
}

// expectCounts compares the import after the crash with one that was never
// interrupted: where the crash came after publication, all is there already.
func expectCounts(t *testing.T, got, want importSummary, there bool) {
	t.Helper()
	imported, unchanged := want.Imported, want.Unchanged
	if there {
		imported, unchanged = 0, want.Resources
	}
	if got.Resources != want.Resources || got.Imported != imported || got.Unchanged != unchanged || got.Snapshot != want.Snapshot {
		t.Errorf("resources %d, imported %d, unchanged %d, snapshot %d; want %d, %d, %d, %d", got.Resources, got.Imported, got.Unchanged,
			got.Snapshot, want.Resources, imported, unchanged, want.Snapshot)
	}
}

// completed counts the jobs that ended well. None may seem to run: no process is
// there that could.
func completed(r testRoot) int {
	r.t.Helper()
	list := r.run("job", "list")
	if bytes.Contains(list, []byte("IN_PROGRESS")) {
		r.t.Errorf("a job seems to run:\n%s", list)
	}
	return bytes.Count(list, []byte(" COMPLETED "))
}
