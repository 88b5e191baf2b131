package search_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/server/bulk"
)

// TestReleaseHoldsNothingOfWhatWasFolded: states share rows, also with those that a newer
// snapshot has folded while others were written.
func TestReleaseHoldsNothingOfWhatWasFolded(t *testing.T) {
	s := newStore(t, nil)
	s.put(map[string]string{"Patient/victim": `"name":[{"family":"hush"}]`, "Patient/a": `"name":[{"family":"known"}]`})
	p, err := s.search("Patient", "_count=1")
	if err != nil {
		t.Fatal(err)
	}
	s.put(map[string]string{"Patient/victim": ""})
	var beside sync.Once
	_, err = bulk.Compact(t.Context(), bulk.CompactOptions{Lake: s.lake, Whole: true, SearchIndex: true, Now: func() time.Time {
		beside.Do(func() {
			s.put(map[string]string{"Patient/b": `"name":[{"family":"later"}]`})
			s.want("Patient", "family=later", "b")
		})
		return time.Now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	words := func() []string {
		all, err := s.index.Words(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	if got, want := words(), []string{"hush", "known", "later"}; !slices.Equal(got, want) {
		t.Fatalf("in memory are %q, want %q: the test tells nothing", got, want)
	}
	s.index.Release()
	if got, want := words(), []string{"later"}; !slices.Equal(got, want) {
		t.Errorf("in memory are %q, want %q", got, want)
	}
	s.want("Patient", "family=hush")
	s.want("Patient", "", "a", "b")
	if _, err := s.search("Patient", "_count=1&_page="+p.Next); err == nil {
		t.Error("a page of before is there")
	}
}
