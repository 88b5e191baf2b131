package bulk

import (
	"fmt"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/store/lake"
)

// TestAPageByPageHistoryHasEachVersionOnceWhileLayersAreMerged reads a history whose
// versions nearly all have one time, and compacts between the pages: rows move into other
// segments, and commits of the same time become rows.
func TestAPageByPageHistoryHasEachVersionOnceWhileLayersAreMerged(t *testing.T) {
	m := newModel(t, 1)
	var lines []string
	for i := range 3000 {
		lines = append(lines, patient(fmt.Sprint("p", i), "x"),
			fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"c"}}`, i))
	}
	m.store("p1", "before") // at the time of the import
	m.importing(nil, lines...)
	m.store("p2", "after") // too
	m.store("q", "after")

	want := map[string]bool{"Patient/p1/2": true, "Patient/p2/2": true, "Patient/q/1": true}
	for i := range 3000 {
		want[fmt.Sprintf("Patient/p%d/1", i)] = true
		want[fmt.Sprintf("Observation/o%d/1", i)] = true
	}
	got := map[string]int{}
	q := lake.HistoryQuery{Count: 700}
	for page := 1; ; page++ {
		next, _, err := m.lake.History(q, func(r *lake.Resource) error {
			got[fmt.Sprintf("%s/%s/%d", r.Type, r.ID, r.Number)]++
			return nil
		})
		if err != nil {
			t.Fatalf("page %d: %v", page, err)
		}
		if q.After = next; next == "" {
			break
		}
		m.now = m.now.Add(time.Second)
		m.store("p3", fmt.Sprint("page ", page)) // later: on no page any more
		m.compactWith(CompactOptions{Whole: page%3 == 0})
	}
	for name := range want {
		if got[name] != 1 {
			t.Errorf("%s is there %d times", name, got[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d versions, want %d", len(got), len(want))
	}
}
