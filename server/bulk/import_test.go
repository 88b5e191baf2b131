package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/gen"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var clock = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fixture is a root of a test with its default data store.
type fixture struct {
	t     *testing.T
	opts  ImportOptions
	store *snapshot.Store
}

// newLake opens a fresh root whose ids and keys do not depend on chance.
func newLake(t *testing.T) *fixture {
	t.Helper()
	r, err := root.Open(filepath.Join(t.TempDir(), "lake"), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c, err := catalog.Open(r, catalog.Options{Random: rand.NewChaCha8([32]byte{2}), Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Open(r.DatastoreDir(d.ID))
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, store: s, opts: ImportOptions{
		Root: r, Catalog: c, Datastore: d,
		Now: func() time.Time { return clock }, NewID: SeededUUIDs([32]byte{1}),
	}}
}

// load imports inputs and fails the test on an error.
func (l *fixture) load(inputs ...string) *ImportResult {
	l.t.Helper()
	res, err := l.try(l.opts, inputs...)
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

func (l *fixture) try(o ImportOptions, inputs ...string) (*ImportResult, error) {
	o.Inputs = inputs
	return Import(context.Background(), o)
}

// current gives every current resource as "Type/id" to its stored line.
func (l *fixture) current() map[string]string {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	defer release()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		l.t.Fatal(err)
	}
	defer d.Close()
	out := map[string]string{}
	for i := range m.Segments {
		seg := &m.Segments[i]
		gone, err := l.store.Superseded(seg)
		if err != nil {
			l.t.Fatal(err)
		}
		r, err := snapshot.OpenResources(l.store.Dir(), seg.Resources.Path)
		if err != nil {
			l.t.Fatal(err)
		}
		err = d.Each(r, func(row int64, line []byte) error {
			if gone != nil && gone.Contains(uint32(row)) {
				return nil
			}
			var id struct{ ResourceType, ID string }
			if err := json.Unmarshal(line, &id); err != nil {
				return fmt.Errorf("row %d: %w", row, err)
			}
			key := id.ResourceType + "/" + id.ID
			if _, twice := out[key]; twice {
				return fmt.Errorf("%s is current twice", key)
			}
			out[key] = string(line)
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
		r.Close()
	}
	return out
}

// write makes a file of lines and gives its path.
func write(t *testing.T, name string, lines ...string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// counts are the numbers of a result that a test states.
func counts(r *ImportResult) string {
	return fmt.Sprintf("resources %d, imported %d, unchanged %d, duplicates %d, rejected %d; snapshot %d",
		r.Resources, r.Imported, r.Unchanged, r.Duplicates, r.Rejected, r.Snapshot)
}

func expect(t *testing.T, r *ImportResult, want string) {
	t.Helper()
	if diff := cmp.Diff(want, counts(r)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestImportIsAnUpsertByTypeAndID(t *testing.T) {
	l := newLake(t)
	a1 := `{"resourceType":"Basic","id":"a","code":{"text":"1"}}`
	a2 := `{"resourceType":"Basic","id":"a","code":{"text":"2"}}`
	b := `{"resourceType":"Basic","id":"b","code":{"text":"1"}}`
	version := func(key string) string {
		var r struct{ Meta struct{ VersionID string } }
		if err := json.Unmarshal([]byte(l.current()[key]), &r); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		return r.Meta.VersionID
	}

	expect(t, l.load(write(t, "1.ndjson", a1, b)), "resources 2, imported 2, unchanged 0, duplicates 0, rejected 0; snapshot 1")
	expect(t, l.load(write(t, "1.ndjson", a1, b)), "resources 2, imported 0, unchanged 2, duplicates 0, rejected 0; snapshot 1")
	expect(t, l.load(write(t, "2.ndjson", a2, b)), "resources 2, imported 1, unchanged 1, duplicates 0, rejected 0; snapshot 2")
	if v := version("Basic/a"); v != "2" {
		t.Errorf("a has version %s, want 2", v)
	}
	// The last line wins; a line that is as the store has it changes nothing.
	expect(t, l.load(write(t, "3.ndjson", a1, a2, b)), "resources 3, imported 0, unchanged 2, duplicates 1, rejected 0; snapshot 2")
	expect(t, l.load(write(t, "4.ndjson", a2, a1)), "resources 2, imported 1, unchanged 0, duplicates 1, rejected 0; snapshot 3")
	if v := version("Basic/a"); v != "3" {
		t.Errorf("a has version %s, want 3", v)
	}
	// What was stored comes back: exported resources are unchanged.
	var lines []string
	for _, line := range l.current() {
		lines = append(lines, line)
	}
	expect(t, l.load(write(t, "5.ndjson", lines...)), "resources 2, imported 0, unchanged 2, duplicates 0, rejected 0; snapshot 3")
}

func TestRejectedRecordsDoNotStopTheRest(t *testing.T) {
	l := newLake(t)
	report := t.TempDir()
	l.opts.Report = report
	res := l.load(write(t, "mixed.ndjson",
		`{"resourceType":"Basic","id":"a","code":{"text":"1"}}`,
		``,
		`{"resourceType":"Basic","id":"b"}`,
		`{"resourceType":"Basic","code":{"text":"no id"}}`,
		`{"resourceType":"Basic","id":"c","code":{"text":"1"}`,
		`{"resourceType":"Basic","id":"d","code":{"text":"1"}}`))
	expect(t, res, "resources 5, imported 2, unchanged 0, duplicates 0, rejected 3; snapshot 1")
	b, err := os.ReadFile(filepath.Join(report, "FAILURE", "mixed.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int64
	for _, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		var f struct{ LineID int64 }
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, f.LineID)
	}
	if diff := cmp.Diff([]int64{3, 4, 5}, lines); diff != "" {
		t.Errorf("rejected lines (-want +got):\n%s", diff)
	}
	var m map[string]any
	b, err = os.ReadFile(filepath.Join(report, "Manifest.json"))
	if err != nil || json.Unmarshal(b, &m) != nil {
		t.Fatalf("Manifest.json: %v %s", err, b)
	}
	if m["numberOfResourcesWithCustomerError"] != 3.0 || m["numberOfResourcesScanned"] != 5.0 {
		t.Errorf("Manifest.json: %v", m)
	}
}

func TestFailedImportLeavesNothing(t *testing.T) {
	l := newLake(t)
	l.load(write(t, "1.ndjson", `{"resourceType":"Basic","id":"a","code":{"text":"1"}}`))
	before := tree(t, l.store.Dir())

	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	for i := range 50_000 {
		fmt.Fprintf(w, `{"resourceType":"Basic","id":"x%d","code":{"text":"%d"}}`+"\n", i, i*7919)
	}
	w.Close()
	broken := filepath.Join(t.TempDir(), "broken.ndjson.gz")
	if err := os.WriteFile(broken, z.Bytes()[:z.Len()*2/3], 0o644); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tc := range map[string]struct {
		ctx   context.Context
		input string
		want  string
	}{
		"missing file":   {context.Background(), filepath.Join(t.TempDir(), "none.ndjson"), "none.ndjson"},
		"empty folder":   {context.Background(), t.TempDir(), "ndjson"},
		"truncated gzip": {context.Background(), broken, "broken.ndjson.gz"},
		"cancelled":      {cancelled, write(t, "2.ndjson", `{"resourceType":"Basic","id":"z","code":{"text":"1"}}`), "cancel"},
	} {
		o := l.opts
		o.Inputs = []string{tc.input}
		o.Report = t.TempDir()
		_, err := Import(tc.ctx, o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one that names %q", name, err, tc.want)
		}
		if diff := cmp.Diff(before, tree(t, l.store.Dir())); diff != "" {
			t.Errorf("%s: the data store changed (-before +after):\n%s", name, diff)
		}
		if left := tree(t, o.Report); len(left) > 0 {
			t.Errorf("%s: the report has %v", name, left)
		}
	}
	jobs, err := l.opts.Catalog.Jobs(l.opts.Datastore.ID)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for _, j := range jobs {
		states[j.Status]++
	}
	// A wrong path is no job, nor is what was cancelled before it began.
	if diff := cmp.Diff(map[string]int{catalog.JobCompleted: 1, catalog.JobFailed: 1}, states); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

// tree gives the files below dir with the hash of their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[rel] = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSameBytesWithOneAndManyWorkers(t *testing.T) {
	in := filepath.Join(t.TempDir(), "pop")
	if _, err := gen.Generate(context.Background(), gen.Options{Patients: 12, Seed: 3, Out: in}); err != nil {
		t.Fatal(err)
	}
	var faulty []string
	for i := range 2000 {
		faulty = append(faulty, fmt.Sprintf(`{"resourceType":"Patient","id":"faulty-%d","odd-%d":1}`, i, i))
	}
	with := write(t, "faulty.ndjson", faulty...)
	var first map[string]string
	for _, workers := range []int{1, 4, 3} {
		l := newLake(t)
		l.opts.Workers = workers
		l.opts.Level, l.opts.Notes = validate.Minimal, readBy(notes.Builtin(nlp.CoreIndex()))
		if res := l.load(in, with); res.WithIssues < 2000 {
			t.Errorf("%d resources with issues, want the 2000 faulty ones", res.WithIssues)
		}
		got := tree(t, l.store.Dir())
		for _, kind := range []string{"issues", "nlp"} {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(name string) bool { return strings.HasSuffix(name, ".1."+kind+".zst") }) {
				t.Errorf("there are no annotations of kind %s", kind)
			}
		}
		if first == nil {
			first = got
			continue
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%d workers (-one +many):\n%s", workers, diff)
		}
	}
}
