package search_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSortByOneValueIsInOrder: over index files, what was written since, what has no value
// and what is no longer current, with conditions and without.
func TestSortByOneValueIsInOrder(t *testing.T) {
	s := newStore(t, nil)
	s.lenient = true
	for file := range 2 {
		var lines []string
		for i := range 6 {
			more := fmt.Sprintf(`"effectiveDateTime":"20%d%d-01-01"`, i, file)
			if i == 5 {
				more = `"issued":"2020-01-01T00:00:00Z"`
			}
			lines = append(lines, observation(fmt.Sprintf("f%d-%d", file, i), more))
		}
		s.load(s.file(strings.Join(lines, "\n")))
	}
	s.put(map[string]string{
		"Observation/new":  `"status":"amended","code":{"text":"x"},"effectivePeriod":{"start":"2000-06-01","end":"2045-01-01"}`,
		"Observation/f0-3": `"status":"final","code":{"text":"x"},"effectiveDateTime":"2060-01-01"`,
		"Observation/f1-2": `"status":"final","code":{"text":"x"}`,
	})
	valued := "f0-0 new f1-0 f0-1 f1-1 f0-2 f1-3 f0-4 f1-4 f0-3"
	falling := "f0-3 new f1-4 f0-4 f1-3 f0-2 f1-1 f0-1 f1-0 f0-0"
	none := " f0-5 f1-5 f1-2"
	without := func(ids string) string { return strings.Replace(ids, "new ", "", 1) }
	for _, tt := range []struct{ text, want string }{
		{"_sort=date", valued + none},
		{"_sort=-date", falling + none},
		{"status=final&_sort=date", without(valued) + none},
		{"status=final&_sort=-date", without(falling) + none},
		{"date=ge2010&date=lt2030&status=final&_sort=-date", "f0-2 f1-1 f0-1"},
		{"_sort=_id", "f0-0 f0-1 f0-2 f0-3 f0-4 f0-5 f1-0 f1-1 f1-2 f1-3 f1-4 f1-5 new"},
		{"status=final&_sort=-_id", "f1-5 f1-4 f1-3 f1-2 f1-1 f1-0 f0-5 f0-4 f0-3 f0-2 f0-1 f0-0"},
	} {
		for _, count := range []int{1, 2, 3, 50} {
			text := fmt.Sprintf("%s&_count=%d", tt.text, count)
			ids, _ := s.walk("Observation", text)
			for i := range ids {
				ids[i] = strings.TrimPrefix(ids[i], "Observation/")
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("%s gives %q, want %q", text, got, tt.want)
			}
		}
	}
	// Pages of one code, whose rows lie in order in each part.
	for _, count := range []int{1, 2, 5, 50} {
		ids, _ := s.walk("Observation", fmt.Sprintf("status=final&_count=%d", count))
		if got := len(ids); got != 12 {
			t.Errorf("pages of %d: %d resources, want 12: %v", count, got, ids)
		}
		slices.Sort(ids)
		if n := len(slices.Compact(ids)); n != 12 {
			t.Errorf("pages of %d: %d different resources, want 12", count, n)
		}
	}
}
