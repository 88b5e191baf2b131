package query_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const everything = query.Terminology | query.Narrative | query.Content | query.Near | query.VersionBelow | query.Inside | query.ReferenceOrder | query.FirstStored | query.Entities

var now = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// parse reads `Type?query`, `?query`, `Patient/1/Type?query` or `Patient/1/*?query`.
func parse(p *query.Parser, text string, strict bool) (*query.Query, error) {
	path, raw, _ := strings.Cut(text, "?")
	r := query.Request{Raw: []string{raw}, Strict: strict, Bases: []string{"http://localhost/r4/"}, Now: now}
	parts := strings.Split(path, "/")
	if len(parts) == 3 {
		r.Compartment = &query.Compartment{Type: r4.ResourceTypeByName([]byte(parts[0])), ID: parts[1]}
	}
	r.Type = r4.ResourceTypeByName([]byte(parts[len(parts)-1]))
	return p.Parse(r)
}

func parser() *query.Parser { return &query.Parser{Parameters: search.R4(), Features: everything} }

// TestTrees compares trees, self links and issues with testdata/*.txt: a comment, a
// search, `----`, and what it becomes.
func TestTrees(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			old, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for i, block := range strings.Split(strings.TrimRight(string(old), "\n"), "\n\n") {
				if i > 0 {
					out.WriteString("\n")
				}
				input, _, _ := strings.Cut(block, "\n----")
				lines := strings.Split(strings.TrimSpace(input), "\n")
				fmt.Fprintf(&out, "%s\n----\n", strings.TrimSpace(input))
				out.WriteString(shown(lines[len(lines)-1]))
			}
			if *update {
				if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(old), out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// shown gives the tree of a search, or what it is refused with. The tests of a line are
// lenient; one that begins with ! is strict.
func shown(line string) string {
	line, strict := strings.CutPrefix(line, "!")
	q, err := parse(parser(), line, strict)
	if err != nil {
		var b strings.Builder
		var f *outcome.Fault
		if !errors.As(err, &f) {
			return "no fault: " + err.Error() + "\n"
		}
		for _, i := range f.Issues {
			fmt.Fprintf(&b, "refused, %s: %s\n", i.Code, i.Diagnostics)
		}
		return b.String()
	}
	s := q.String()
	if _, raw, _ := strings.Cut(line, "?"); q.Self() != raw {
		s += "self " + q.Self() + "\n"
	}
	for _, i := range q.Issues {
		s += fmt.Sprintf("%s, %s: %s\n", i.Severity, i.Code, i.Diagnostics)
	}
	return s
}

func TestSearchesOfTheOracleAreRead(t *testing.T) {
	f, err := os.Open(filepath.Join(testdata(t), "search-oracle", "synthea-120.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &query.Parser{Parameters: search.R4()}
	n := 0
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		fields := strings.Split(scanner.Text(), "\t")
		if len(fields) != 3 || fields[0] == "type" {
			continue
		}
		n++
		if _, err := parse(p, fields[0]+"?"+fields[1], true); err != nil {
			t.Errorf("%s?%s: %v", fields[0], fields[1], err)
		}
	}
	if n != 30 {
		t.Errorf("%d searches, want 30", n)
	}
}

// testdata gives the folder of shared test data.
func testdata(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("FHIRLAKE_TESTDATA")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no test data: %v", err)
		}
		t.Skipf("no test data: %v", err)
	}
	return dir
}
