package search_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
)

// TestOracle asks the queries of another server's tests: the counts must be right, and
// the pages must have as many different resources.
func TestOracle(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(corpus.Folder(t, "search-oracle"), "synthea-120.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, nil, corpus.Folder(t, "synthea-120"))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(lines) != 30 {
		t.Fatalf("%d queries, want 30", len(lines))
	}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		want, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		name := f[0] + "?" + f[1]
		t.Run(name[:min(len(name), 60)], func(t *testing.T) {
			p, err := s.search(f[0], f[1]+"&_summary=count")
			if err != nil {
				t.Fatal(err)
			}
			if p.Total != int64(want) || len(p.Matches) > 0 {
				t.Errorf("total %d with %d resources, want %d without any", p.Total, len(p.Matches), want)
			}
			size := 50
			if testing.Short() || want > 1000 {
				size = 1000
			}
			ids, _ := s.walk(f[0], f[1]+"&_count="+strconv.Itoa(size))
			distinct := map[string]bool{}
			for _, id := range ids {
				distinct[id] = true
			}
			if len(ids) != want || len(distinct) != want {
				t.Errorf("%d resources of which %d are different, want %d", len(ids), len(distinct), want)
			}
		})
	}
}
