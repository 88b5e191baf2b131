package validate_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// dataFolder finds a folder of test data, or skips the test.
func dataFolder(tb testing.TB, name string) string {
	tb.Helper()
	for _, root := range []string{os.Getenv("FHIRLAKE_TESTDATA"), "../../../shared/data"} {
		if root == "" {
			continue
		}
		dir := filepath.Join(root, name)
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("no test data %s: set FHIRLAKE_TESTDATA", name)
	}
	tb.Skipf("no test data %s: set FHIRLAKE_TESTDATA", name)
	return ""
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		tb.Fatal(err)
	}
	return b
}

// files reads all NDJSON of a folder by file name without extensions.
func files(tb testing.TB, dir string) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.ndjson*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		out[name] = readFile(tb, path)
	}
	return out
}

func sortedNames(m map[string][]byte) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// eachLine calls do with the offsets of every line that is not blank.
func eachLine(data []byte, do func(line int, start, end uint32)) {
	line := 0
	for s := 0; s < len(data); {
		e := bytes.IndexByte(data[s:], '\n')
		if e < 0 {
			e = len(data) - s
		}
		line++
		if len(bytes.TrimSpace(data[s:s+e])) > 0 {
			do(line, uint32(s), uint32(s+e))
		}
		s += e + 1
	}
}

// both parses and validates one resource.
type both struct {
	p    *parse.Parser
	v    *validate.Validator
	tree fhir.Tree
}

func newBoth(tb testing.TB, o validate.Options) *both {
	tb.Helper()
	v, err := validate.NewValidator(o)
	if err != nil {
		tb.Fatal(err)
	}
	return &both{p: parse.NewParser(), v: v}
}

// issues gives those of parse, then those of validate.
func (b *both) issues(data []byte, start, end uint32) []fhir.Issue {
	b.tree.Reset(data)
	res := b.p.Parse(&b.tree, start, end)
	issues := append([]fhir.Issue(nil), res.Issues...)
	if res.Root != fhir.NoNode {
		issues = append(issues, b.v.Validate(&b.tree, res.Root)...)
	}
	return issues
}

func (b *both) text(text string) []fhir.Issue { return b.issues([]byte(text), 0, uint32(len(text))) }

func failed(issues []fhir.Issue) bool {
	for _, is := range issues {
		if is.Severity <= fhir.Error {
			return true
		}
	}
	return false
}
