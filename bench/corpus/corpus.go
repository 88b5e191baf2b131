// Package corpus finds and reads the public data that conformance tests and
// benchmarks run on: official examples, test suites, synthetic populations. The
// data is no part of the project; CONTRIBUTING.md says where it comes from.
//
// Read [Folder] first.
package corpus

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// Folder finds a folder of the data: below $FHIRLAKE_TESTDATA, else below
// shared/data beside the checkout. Where there is none, the test is skipped and
// says so; under CI=true it fails.
func Folder(tb testing.TB, name string) string {
	tb.Helper()
	for _, root := range []string{os.Getenv("FHIRLAKE_TESTDATA"), beside(tb)} {
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

// beside is shared/data beside the checkout that the test runs in.
func beside(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", "data")
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Read gives the content of a file, unzipped when its name ends in .gz. The slice
// has room for a parser that reads whole words.
func Read(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			tb.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			tb.Fatal(err)
		}
	}
	return append(b, make([]byte, 16)...)[:len(b)]
}

// Files reads all NDJSON of a folder, by file name without extensions.
func Files(tb testing.TB, dir string) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.ndjson*"))
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		files[name] = Read(tb, path)
	}
	return files
}

// Names gives the names of files in order.
func Names(files map[string][]byte) []string {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// EachLine calls do for each line that is not blank, with its number from 1 and
// its offsets in data.
func EachLine(data []byte, do func(line int, start, end uint32)) {
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
