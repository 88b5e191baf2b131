package bulk

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// decode reads JSON with numbers as their text, so that comparison is exact.
func decode(t *testing.T, line []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %.200s", err, line)
	}
	return v
}

// withoutVersion removes what the store sets.
func withoutVersion(v map[string]any) map[string]any {
	if m, ok := v["meta"].(map[string]any); ok {
		delete(m, "versionId")
		delete(m, "lastUpdated")
		if len(m) == 0 {
			delete(v, "meta")
		}
	}
	return v
}

// eachLine calls f for every line of the gzip NDJSON files in dir.
func eachLine(t *testing.T, dir string, f func(file string, n int, line []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s (%v)", dir, err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(z, 1<<20)
		for n := 1; ; n++ {
			line, err := r.ReadBytes('\n')
			if line = bytes.TrimSpace(line); len(line) > 0 {
				f(filepath.Base(name), n, line)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		file.Close()
	}
}

// TestEveryResourceComesBack imports real data and compares what the store has
// with every input line by value, decimals by their digits. What a level of
// validation rejects is in package validate's tests; here the faulty come back too.
func TestEveryResourceComesBack(t *testing.T) {
	for _, set := range []string{"synthea-small", "r4-examples"} {
		t.Run(set, func(t *testing.T) {
			dir := corpus.Folder(t, set)
			l := newLake(t)
			report := t.TempDir()
			l.opts.Report = report
			res := l.minimal(dir)
			rejected := rejects(t, report)
			golden(t, "not-stored-"+set+".txt", strings.Join(rejected, ""))
			if int(res.Rejected) != len(rejected) || res.Imported+res.Rejected != res.Resources || res.Duplicates+res.Unchanged != 0 {
				t.Errorf("%s, and %d failure lines", counts(res), len(rejected))
			}
			stored := l.current()
			refused := 0
			eachLine(t, dir, func(file string, n int, line []byte) {
				want := withoutVersion(decode(t, line))
				key := fmt.Sprintf("%s/%s", want["resourceType"], want["id"])
				text, ok := stored[key]
				if !ok {
					refused++
					return
				}
				if got := withoutVersion(decode(t, []byte(text))); !reflect.DeepEqual(want, got) {
					t.Errorf("%s:%d %s (-input +stored):\n%s", file, n, key, cmp.Diff(want, got))
				}
				delete(stored, key)
			})
			if refused != len(rejected) || len(stored) > 0 {
				t.Errorf("%d lines are not stored, %d were rejected; %d stored resources were in no line", refused, len(rejected), len(stored))
			}
		})
	}
}

// rejects lists the failure lines of a report: file, line and diagnostics.
func rejects(t *testing.T, report string) []string {
	t.Helper()
	var out []string
	files, err := filepath.Glob(filepath.Join(report, "FAILURE", "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		for _, f := range failures(t, name) {
			s := fmt.Sprintf("%s:%d\n", strings.TrimSuffix(filepath.Base(name), ".ndjson"), f.LineID)
			for _, is := range f.UpdateResourceResponse.JSONBlob.Issue {
				s += fmt.Sprintf("  %s %s %v: %s\n", is.Severity, is.Code, is.Expression, is.Diagnostics)
			}
			out = append(out, s)
		}
	}
	return out
}

type failure struct {
	LineID                 int64
	UpdateResourceResponse struct {
		JSONBlob struct {
			ResourceType string
			Issue        []struct {
				Severity, Code, Diagnostics string
				Expression                  []string
			}
		}
		StatusCode int
	}
}

func failures(t *testing.T, name string) []failure {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []failure
	for _, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		var f failure
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%s: %v: %s", name, err, line)
		}
		out = append(out, f)
	}
	return out
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	p := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it:\n%s", p, diff)
	}
}

// amplified makes a damaged data set with the amplify tool beside the data.
func amplified(t *testing.T, args ...string) string {
	t.Helper()
	data := corpus.Folder(t, "synthea-small")
	tool := filepath.Join(data, "..", "..", "tools", "amplify")
	if !exists(tool) {
		t.Skipf("the amplify tool is not beside the conformance data")
	}
	bin := filepath.Join(t.TempDir(), "amplify")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = tool
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build amplify: %v\n%s", err, out)
	}
	dir := filepath.Join(t.TempDir(), "amplified")
	run := exec.Command(bin, append([]string{"-in", data, "-out", dir}, args...)...)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("amplify: %v\n%s", err, out)
	}
	return dir
}

// policy is what becomes of the damaged lines for which the specification leaves
// the choice (docs/decisions/0005-what-import-takes.md).
var policy = map[string]string{
	"wrong-file-type":    "accept",
	"missing-id":         "reject",
	"dangling-reference": "accept",
	"duplicate-id":       "duplicate",
	"duplicate-line":     "duplicate",
	"deep-nesting":       "accept",
	"huge-line":          "accept",
}

// TestEveryDamagedLineGetsWhatItDeserves imports data with ten lines of each of 32
// kinds of damage: each is rejected or taken as its kind demands, at its line and
// offset, and no other line is touched.
func TestEveryDamagedLineGetsWhatItDeserves(t *testing.T) {
	dir := amplified(t, "-fault", "all:10")
	type fault struct {
		File, Kind, Expect string
		Line, Offset       int64
	}
	var faults []fault
	b, err := os.ReadFile(filepath.Join(dir, "manifest.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		var f fault
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		if f.Expect == "policy" {
			f.Expect = policy[f.Kind]
		}
		kinds[f.Kind]++
		faults = append(faults, f)
	}
	if len(kinds) < 32 {
		t.Errorf("the manifest has %d kinds of damage, want 32", len(kinds))
	}
	files, err := filepath.Glob(filepath.Join(dir, "[A-Z]*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLake(t)
	report := t.TempDir()
	l.opts.Report = report
	res := l.load(files...)

	got := map[string]string{} // file:line -> diagnostics
	for _, name := range files {
		base := filepath.Base(name)
		p := filepath.Join(report, "FAILURE", base)
		if !exists(p) {
			continue
		}
		for _, f := range failures(t, p) {
			got[fmt.Sprintf("%s:%d", base, f.LineID)] = f.UpdateResourceResponse.JSONBlob.Issue[0].Diagnostics
		}
	}
	if int64(len(got)) != res.Rejected {
		t.Errorf("%d lines have a failure, the job counts %d", len(got), res.Rejected)
	}
	duplicates := 0
	for _, f := range faults {
		key := fmt.Sprintf("%s:%d", f.File, f.Line)
		text, rejected := got[key]
		delete(got, key)
		if f.Expect == "duplicate" {
			duplicates++
		}
		if rejected != (f.Expect == "reject") {
			t.Errorf("%s %s: rejected %v (%s), want %s", key, f.Kind, rejected, text, f.Expect)
		}
		if rejected && !strings.Contains(text, fmt.Sprintf("byte offset %d)", f.Offset)) {
			t.Errorf("%s %s: %q does not name byte offset %d", key, f.Kind, text, f.Offset)
		}
	}
	for key, text := range got {
		t.Errorf("%s is undamaged and was rejected: %s", key, text)
	}
	if res.Duplicates != int64(duplicates) {
		t.Errorf("%d duplicates, want %d", res.Duplicates, duplicates)
	}
}
