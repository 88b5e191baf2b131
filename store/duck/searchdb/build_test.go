package searchdb

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/postings"
)

func TestGroupsAreSortedInPartsThatFitMemory(t *testing.T) {
	runs := []*postings.Run{
		{Groups: map[string]map[search.GroupID]int64{"token": {1: 10, 5: 10, 9: 200}}},
		{Groups: map[string]map[search.GroupID]int64{"token": {5: 30, 7: 49, 1<<32 - 1: 1}, "date": {6: 1}}},
	}
	got := ranges(postings.Tables[1], runs, 100*rowMemory)
	want := []part{{1, 7}, {9, 9}, {1<<32 - 1, 1<<32 - 1}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(part{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
