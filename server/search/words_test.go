package search_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestWordsAreFoundInPages: of many that have a word rarely, each comes once, in the order of
// a sort as well, and the total is theirs.
func TestWordsAreFoundInPages(t *testing.T) {
	s := newStore(t, nil)
	s.lenient = true
	var b strings.Builder
	for i := range 3000 {
		word := "hay"
		if i%100 == 7 {
			word = "needle"
		}
		fmt.Fprintf(&b, `{"resourceType":"Basic","id":"b%04d","code":{"text":"%s"}}`+"\n", i, word)
	}
	s.load(s.file(b.String()))
	s.put(map[string]string{"Basic/written": `"code":{"text":"needle"}`, "Basic/b0007": `"code":{"text":"hay"}`})
	for _, text := range []string{"_content=needle&_count=4", "_content=needle&_sort=-_id&_count=7", "_content=needle&_total=accurate", "_content=needle,hay&_content=NEEDLE&_count=1"} {
		ids, pages := s.walk("Basic", text)
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(ids) != 30 || len(seen) != 30 || !seen["Basic/written"] || seen["Basic/b0007"] || strings.Contains(text, "_count=4") && pages != 8 {
			t.Errorf("%s gives %d in %d pages, of them %d different", text, len(ids), pages, len(seen))
		}
	}
	p, err := s.search("Basic", "_content=needle&_summary=count")
	if err != nil || p.Total != 30 {
		t.Errorf("the total is %v, %v", p, err)
	}
}
