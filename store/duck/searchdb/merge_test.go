package searchdb_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// built makes an index file of segments.
func built(t *testing.T, path string, segments ...uint32) string {
	t.Helper()
	var runs []*postings.Run
	for _, n := range segments {
		r, err := postings.WriteRun(fmt.Sprintf("%s.run%d", path, n), sample(t, n, 300+int(n)*20))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Remove()
		runs = append(runs, r)
	}
	if err := searchdb.Build(context.Background(), runs, searchdb.BuildOptions{Path: path, TempDir: path + ".tmp", Threads: 2}); err != nil {
		t.Fatal(err)
	}
	return path
}

// dumpFile gives the rows of each table of an index file, as they lie.
func dumpFile(t *testing.T, db *searchdb.DB, path string) map[string][]string {
	t.Helper()
	s, err := db.NewState(context.Background(), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := map[string][]string{}
	for _, table := range postings.Tables {
		all[table.Name] = dump(t, s, `SELECT t::VARCHAR FROM $."`+table.Name+`" t`)
		keys := `SELECT row(` + strings.Join(table.Order, ",") + `)::VARCHAR FROM $."` + table.Name + `" t`
		if d := cmp.Diff(dump(t, s, keys+` ORDER BY `+strings.Join(table.Order, ",")), dump(t, s, keys)); d != "" {
			t.Errorf("table %s is not in its order (-want +got):\n%s", table.Name, d)
		}
		slices.Sort(all[table.Name])
	}
	return all
}

// TestMergeIsWhatABuildOfTheSameSegmentsMakes compares the two.
func TestMergeIsWhatABuildOfTheSameSegmentsMakes(t *testing.T) {
	db, err := searchdb.Open(context.Background(), searchdb.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tests := []struct {
		name   string
		inputs [][2][]uint32 // kept and dropped
		memory int64
	}{
		{"two files", [][2][]uint32{{{0, 3}, nil}, {{1, 2}, nil}}, 64 << 20},
		{"a file without a segment", [][2][]uint32{{{0, 2, 3, 7}, {1, 5, 6}}}, 64 << 20},
		{"three files, all without some", [][2][]uint32{{{0, 4}, {2}}, {{1}, {5, 9}}, {{3, 8}, {6, 7}}}, 64 << 20},
		{"a file that is kept with one of which nothing is", [][2][]uint32{{{0}, nil}, {nil, {1, 2}}}, 64 << 20},
		{"little memory", [][2][]uint32{{{0, 4}, {2}}, {{1}, nil}, {{3}, nil}}, 24 << 20},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			var inputs []searchdb.Input
			var keep []uint32
			for i, x := range test.inputs {
				keep = append(keep, x[0]...)
				path := built(t, filepath.Join(dir, fmt.Sprintf("it's %d.duckdb", i)), slices.Concat(x[0], x[1])...)
				inputs = append(inputs, searchdb.Input{Path: path, Keep: x[0], Drop: x[1]})
			}
			o := searchdb.BuildOptions{Path: filepath.Join(dir, "merged.duckdb"), TempDir: filepath.Join(dir, "tmp"), Threads: 2, Memory: test.memory}
			n, err := searchdb.Merge(context.Background(), inputs, o)
			if err != nil {
				t.Fatal(err)
			}
			want := dumpFile(t, db, built(t, filepath.Join(dir, "built.duckdb"), keep...))
			got := dumpFile(t, db, o.Path)
			for _, table := range postings.Tables {
				if len(want[table.Name]) == 0 {
					t.Errorf("table %s has no rows", table.Name)
				}
				if d := cmp.Diff(want[table.Name], got[table.Name]); d != "" {
					t.Errorf("table %s (-built +merged):\n%s", table.Name, d)
				}
			}
			if n != int64(len(want["resource"])) {
				t.Errorf("%d resources, want %d", n, len(want["resource"]))
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != len(inputs)+2 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestMergeLeavesNothingAfterAnError(t *testing.T) {
	dir := t.TempDir()
	good := built(t, filepath.Join(dir, "a.duckdb"), 0)
	bad := filepath.Join(dir, "b.duckdb")
	if err := os.WriteFile(bad, []byte("no index"), 0o644); err != nil {
		t.Fatal(err)
	}
	damaged := built(t, filepath.Join(dir, "c.duckdb"), 1)
	text, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	for i := 3 * 4096; i < len(text); i += 64 << 10 { // behind the headers, in every block
		text[i] ^= 0xff
	}
	if err := os.WriteFile(damaged, text, 0o644); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		path string
	}{{"no DuckDB file", context.Background(), bad}, {"damaged blocks", context.Background(), damaged}, {"cut off", ended, good}} {
		o := searchdb.BuildOptions{Path: filepath.Join(dir, "x.duckdb"), TempDir: filepath.Join(dir, "tmp")}
		if _, err := searchdb.Merge(test.ctx, []searchdb.Input{{Path: good, Keep: []uint32{0}}, {Path: test.path, Keep: []uint32{1}}}, o); err == nil {
			t.Errorf("%s: it was merged", test.name)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 3 {
			t.Errorf("%s: left behind: %v", test.name, left)
		}
	}
}
