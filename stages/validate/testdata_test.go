package validate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// lines reads the lines of an NDJSON file, plain or gzip.
func lines(tb testing.TB, path string) [][]byte {
	tb.Helper()
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var r io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			tb.Fatal(err)
		}
	}
	var out [][]byte
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<30)
	for s.Scan() {
		if len(bytes.TrimSpace(s.Bytes())) > 0 {
			out = append(out, bytes.Clone(s.Bytes()))
		}
	}
	if err := s.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}
