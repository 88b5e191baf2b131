package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// program is what the tests start as processes: $FHIRLAKE_BIN, else the test
// binary under the name fhirlake (see TestMain).
func program(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("FHIRLAKE_BIN"); bin != "" {
		return bin
	}
	bin, err := exec.LookPath("fhirlake")
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// testRoot is a root that a test has commands work on.
type testRoot struct {
	t   *testing.T
	bin string
	dir string
}

func newTestRoot(t *testing.T) testRoot {
	t.Helper()
	r := testRoot{t, program(t), filepath.Join(t.TempDir(), "lake")}
	r.run("datastore", "create", "default")
	return r
}

// copied gives the same root at another place.
func (r testRoot) copied() testRoot {
	r.t.Helper()
	to := testRoot{r.t, r.bin, filepath.Join(r.t.TempDir(), "lake")}
	if err := os.CopyFS(to.dir, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	return to
}

func (r testRoot) command(args ...string) *exec.Cmd {
	return exec.Command(r.bin, append([]string{"--root", r.dir}, args...)...)
}

// run runs a command that must exit with 0 and gives its standard output.
func (r testRoot) run(args ...string) []byte {
	r.t.Helper()
	return r.finish(r.command(args...))
}

func (r testRoot) finish(c *exec.Cmd) []byte {
	r.t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		r.t.Fatalf("%s: %v\n%s%s", strings.Join(c.Args[1:], " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

// load imports and gives the figures of --json.
func (r testRoot) load(args ...string) importSummary {
	r.t.Helper()
	return r.figures(r.command(append([]string{"import", "--json"}, args...)...))
}

func (r testRoot) figures(c *exec.Cmd) importSummary {
	r.t.Helper()
	var s importSummary
	if err := json.Unmarshal(r.finish(c), &s); err != nil {
		r.t.Fatal(err)
	}
	if s.Imported+s.Unchanged+s.Duplicates+s.Rejected != s.Resources {
		r.t.Errorf("the counts do not add up: %+v", s.ImportResult)
	}
	return s
}

// state is what SQL shows of some resource types: how many, which ids, which
// versions.
func (r testRoot) state(types []string) string {
	r.t.Helper()
	var q []string
	for _, name := range types {
		q = append(q, `SELECT '`+name+`' AS type, count(*) AS n, sum(meta.versionId::INT) AS versions,
			bit_xor(hash(id, meta.versionId)) AS ids FROM "`+name+`"`)
	}
	return string(r.run("sql", "--format", "csv", strings.Join(q, " UNION ALL ")))
}

// expectSound demands that fsck finds no damage, and with clean no leftover.
func (r testRoot) expectSound(clean bool) {
	r.t.Helper()
	var rep struct {
		Findings []struct{ Path, Found string }
	}
	if err := json.Unmarshal(r.run("fsck", "--json"), &rep); err != nil {
		r.t.Fatal(err)
	}
	if clean && len(rep.Findings) > 0 {
		r.t.Errorf("fsck: %v", rep.Findings)
	}
}

// expectNamedFiles demands that the data store's folder has the files that the
// current manifest names, and no other.
func (r testRoot) expectNamedFiles() {
	r.t.Helper()
	dir := r.datastore()
	current, err := os.ReadFile(filepath.Join(dir, "CURRENT"))
	if err != nil {
		r.t.Fatal(err)
	}
	manifest := "snapshot/" + strings.TrimSpace(string(current))
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := snapshot.ParseManifest(text)
	if err != nil {
		r.t.Fatal(err)
	}
	want := []string{"CURRENT", manifest}
	for _, f := range m.Files() {
		want = append(want, f.Path)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, fileNames(r.t, dir)); diff != "" {
		r.t.Errorf("files (-named by the manifest +on disk):\n%s", diff)
	}
	if left := fileNames(r.t, filepath.Join(r.dir, "tmp")); len(left) > 0 {
		r.t.Errorf("temporary files are left: %v", left)
	}
}

// datastore is the folder of the only data store; it may not exist yet.
func (r testRoot) datastore() string {
	r.t.Helper()
	records, err := filepath.Glob(filepath.Join(r.dir, "catalog", "datastores", "*.json"))
	if err != nil || len(records) != 1 {
		r.t.Fatalf("data stores: %v, %v", records, err)
	}
	return filepath.Join(r.dir, "datastores", strings.TrimSuffix(filepath.Base(records[0]), ".json"))
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	files, err := filesBelow(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
