//go:build slow && unix

package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/gen"
)

// memoryLimit is what an import may have resident at most, whatever its input.
const memoryLimit = 1 << 30

// expectBounded states the memory, and logs it with the rate, which is a figure
// and no assertion.
func expectBounded(t *testing.T, what string, s importSummary) {
	t.Helper()
	t.Logf("%s: %s, %s resources in %.1f s, %.0f MB/s, peak memory %s", what, formatBytes(s.Bytes), formatCount(s.Resources),
		s.Seconds, s.MegabytesPerSecond, formatBytes(s.PeakRSSBytes))
	if s.PeakRSSBytes > memoryLimit {
		t.Errorf("%s: peak memory %s, want %s at most", what, formatBytes(s.PeakRSSBytes), formatBytes(memoryLimit))
	}
}

// TestSoakPopulations imports half a gigabyte and five times as much as one: the
// memory must not grow with the input. Then the same again, which changes nothing.
func TestSoakPopulations(t *testing.T) {
	for _, patients := range []int{420, 2100} {
		t.Run(fmt.Sprintf("%d patients", patients), func(t *testing.T) {
			in := filepath.Join(t.TempDir(), "population")
			st, err := gen.Generate(context.Background(), gen.Options{Patients: patients, Seed: 5, Out: in})
			if err != nil {
				t.Fatal(err)
			}
			r := newTestRoot(t)
			first := r.load(in)
			expectBounded(t, "first import", first)
			if first.Imported != st.Resources || first.Bytes != st.Bytes {
				t.Errorf("imported %d resources of %d bytes, want %d of %d", first.Imported, first.Bytes, st.Resources, st.Bytes)
			}
			again := r.load(in)
			expectBounded(t, "the same again", again)
			if again.Unchanged != st.Resources || again.Snapshot != first.Snapshot {
				t.Errorf("unchanged %d, snapshot %d; want %d, %d", again.Unchanged, again.Snapshot, st.Resources, first.Snapshot)
			}
			var all []string
			for _, name := range gen.Types() {
				all = append(all, `SELECT count(*) AS n FROM "`+name+`"`)
			}
			n := r.run("sql", "--format", "csv", "SELECT sum(n) AS n FROM ("+strings.Join(all, " UNION ALL ")+")")
			if want := fmt.Sprintf("n\n%d\n", st.Resources); string(n) != want {
				t.Errorf("SQL counts %s, want %s", n, want)
			}
			r.expectSound(true)
			r.expectNamedFiles()
		})
	}
}

// TestSoakHugeLines imports attachments of 170 MB a line amid small resources.
func TestSoakHugeLines(t *testing.T) {
	const huge, size = 4, 170_000_000
	plain := filepath.Join(t.TempDir(), "attachments.ndjson")
	if err := writeAttachments(plain, huge, size, false); err != nil {
		t.Fatal(err)
	}
	packed := plain + ".gz"
	if err := writeAttachments(packed, huge, size, true); err != nil {
		t.Fatal(err)
	}
	for name, input := range map[string]string{"plain": plain, "gzip": packed, "pipe": "-"} {
		t.Run(name, func(t *testing.T) {
			r := newTestRoot(t)
			c := r.command("import", "--json", input)
			if input == "-" {
				f, err := os.Open(packed)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				c.Stdin = f
			}
			s := r.figures(c)
			expectBounded(t, name, s)
			if s.Imported != huge*101 {
				t.Errorf("imported %d, want %d", s.Imported, huge*101)
			}
			again := r.load(plain)
			expectBounded(t, "the same again", again)
			if again.Unchanged != huge*101 {
				t.Errorf("the same again: unchanged %d, want %d", again.Unchanged, huge*101)
			}
			n := r.run("sql", "--format", "csv", `SELECT count(*) AS n FROM "Binary" WHERE contentType = 'application/pdf'`)
			if want := fmt.Sprintf("n\n%d\n", huge); string(n) != want {
				t.Errorf("SQL counts %s, want %s", n, want)
			}
			r.expectSound(true)
		})
	}
}

// writeAttachments writes Binary resources whose lines have some size bytes, with
// a hundred small resources before each.
func writeAttachments(name string, huge, size int, compressed bool) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if compressed {
		z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
		if err != nil {
			return err
		}
		defer z.Close()
		w.Reset(z)
	}
	// Bytes that compress about as well as a scanned page.
	page := make([]byte, 3<<16)
	for i, x := 0, uint32(1); i < len(page); i++ {
		if x = x*1664525 + 1013904223; i%4 > 0 {
			page[i] = byte(x >> 24)
		}
	}
	text := base64.StdEncoding.EncodeToString(page)
	for i := range huge {
		for j := range 100 {
			fmt.Fprintf(w, `{"resourceType":"Basic","id":"basic-%d-%d","code":{"text":"small"}}`+"\n", i, j)
		}
		fmt.Fprintf(w, `{"resourceType":"Binary","id":"binary-%d","contentType":"application/pdf","data":"`, i)
		for n := 0; n < size; n += len(text) {
			w.WriteString(text)
		}
		w.WriteString("\"}\n")
	}
	return w.Flush()
}
