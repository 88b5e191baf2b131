//go:build slow

package datastores_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/server/datastores"
)

// TestOracleOverHTTP asks the queries of another server's tests: the totals must be
// right, and all pages must have as many different resources; then once more while
// others write, and what is written is folded in.
func TestOracleOverHTTP(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(corpus.Folder(t, "search-oracle"), "synthea-120.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(lines) != 30 {
		t.Fatalf("%d queries, want 30", len(lines))
	}
	s := newSearched(t, corpus.Folder(t, "synthea-120"))
	check := func(t *testing.T) {
		for _, line := range lines {
			f := strings.Split(line, "\t")
			want, err := strconv.Atoi(f[2])
			if err != nil {
				t.Fatal(err)
			}
			search := f[0] + "?" + strings.ReplaceAll(f[1], "|", "%7C")
			b := s.get(s.url + "/" + search + "&_summary=count")
			if b.Total == nil || *b.Total != want || len(b.Entry) > 0 {
				t.Errorf("%.60s: total %v, want %d", search, b.Total, want)
			}
			all := s.walk(search+"&_count=1000&_elements=id", nil)
			n := len(all)
			slices.Sort(all)
			if distinct := len(slices.Compact(all)); n != want || distinct != want {
				t.Errorf("%.60s: %d resources of which %d are different, want %d", search, n, distinct, want)
			}
		}
	}
	t.Run("alone", check)
	t.Run("while others write", func(t *testing.T) {
		written := 0
		end := s.beside(func(n int) error {
			status, err := s.send("PUT", fmt.Sprintf("Basic/b%d", n%50), fmt.Sprintf(`{"resourceType":"Basic","id":"b%d","code":{"text":"%d"}}`, n%50, n))
			if err == nil && status != 200 && status != 201 {
				err = fmt.Errorf("PUT: %d", status)
			}
			written++
			return err
		}, func(n int) error {
			_, err := s.compact.Compact(context.Background(), s.id, datastores.Request{Workers: 1})
			return err
		})
		check(t)
		end()
		if written < 100 {
			t.Errorf("%d writes, want more", written)
		}
	})
}
