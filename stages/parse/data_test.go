package parse_test

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

// files reads all NDJSON of a folder by file name without extensions.
func files(tb testing.TB, dir string) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.ndjson*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		name := filepath.Base(path)
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				tb.Fatal(err)
			}
			if b, err = io.ReadAll(z); err != nil {
				tb.Fatal(err)
			}
			name = strings.TrimSuffix(name, ".gz")
		}
		out[strings.TrimSuffix(name, ".ndjson")] = b
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
