package snapshot

import (
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
)

// addSearch writes a search index of some segments.
func addSearch(t *testing.T, s *Store, name string, segments ...uint32) []SearchIndex {
	t.Helper()
	x := SearchIndex{Version: 1, Segments: segments}
	w, err := CreateFile(s.Dir(), SearchRel(name), &x.File)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(name))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return []SearchIndex{x}
}

func TestSearchIndexesFollowTheirSegments(t *testing.T) {
	s := openStore(t, t.TempDir())
	twoLayers(t, s) // segments 0, 1 and 3
	type index struct {
		Path           string
		Segments, Gone []uint32
	}
	publish := func(o PublishOptions) (got []index) {
		t.Helper()
		o.Now = testNow
		m, err := s.Publish(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range current(t, s).Search {
			got = append(got, index{x.File.Path, x.Segments, x.Gone})
		}
		if d := cmp.Diff(m, current(t, s)); d != "" {
			t.Fatalf("the manifest that was published is another one (-published +read):\n%s", d)
		}
		return got
	}
	for _, step := range []struct {
		name      string
		o         PublishOptions
		want      []index
		unindexed []uint32
	}{
		{"none", PublishOptions{KeepVersions: true}, nil, []uint32{0, 1, 3}},
		{"the first", PublishOptions{KeepVersions: true, Search: addSearch(t, s, "a", 0, 1, 2)}, []index{{"index/a.duckdb", []uint32{0, 1}, []uint32{2}}}, []uint32{3}},
		{"another", PublishOptions{KeepVersions: true, Search: addSearch(t, s, "b", 3)}, []index{{"index/a.duckdb", []uint32{0, 1}, []uint32{2}}, {"index/b.duckdb", []uint32{3}, nil}}, nil},
		{"a segment goes", PublishOptions{KeepVersions: true, DropSegments: []uint32{0}}, []index{{"index/a.duckdb", []uint32{1}, []uint32{0, 2}}, {"index/b.duckdb", []uint32{3}, nil}}, nil},
		{"all rows of a segment are superseded", PublishOptions{Superseded: map[uint32]*roaring.Bitmap{3: rows(0, 1)}}, []index{{"index/a.duckdb", []uint32{1}, []uint32{0, 2}}}, nil},
		{"indexed again", PublishOptions{KeepVersions: true, Search: addSearch(t, s, "c", 1), DropSearch: []string{"index/a.duckdb"}}, []index{{"index/c.duckdb", []uint32{1}, nil}}, nil},
	} {
		if d := cmp.Diff(step.want, publish(step.o)); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, d)
		}
		if d := cmp.Diff(step.unindexed, current(t, s).Unindexed(1)); d != "" {
			t.Errorf("%s: not indexed (-want +got):\n%s", step.name, d)
		}
	}
	if got := current(t, s).Unindexed(2); len(got) != 1 {
		t.Errorf("segments without an index of version 2: %v", got)
	}
	if _, err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Unreferenced(current(t, s)); err != nil || len(left) > 0 {
		t.Errorf("files of dropped indexes are left: %v, %v", left, err)
	}
	if err := s.Verify(&current(t, s).Search[0].File); err != nil {
		t.Error(err)
	}
	if _, err := s.Publish(nil, PublishOptions{Now: testNow, KeepVersions: true, Search: addSearch(t, s, "d", 1)}); err == nil {
		t.Error("a segment was covered twice")
	}
}

// TestGroupsOfSearchIndexes: what segments lack, and which files have rows in common.
func TestGroupsOfSearchIndexes(t *testing.T) {
	s := openStore(t, t.TempDir())
	twoLayers(t, s) // segments 0, 1 and 3
	m := current(t, s)
	typ := func(n uint32) string { return m.ByOrdinal(n).ResourceType }
	with := func(x []SearchIndex, partial bool, groups ...string) SearchIndex {
		x[0].Partial, x[0].Groups = partial, map[string][]string{}
		for _, n := range x[0].Segments {
			x[0].Groups[typ(n)] = groups
		}
		return x[0]
	}
	o := PublishOptions{Now: testNow, KeepVersions: true, Search: []SearchIndex{
		with(addSearch(t, s, "a", 0, 1), false, "00000001"),
		with(addSearch(t, s, "b", 3), false, "00000001", "00000002"),
		with(addSearch(t, s, "c", 1), true, "00000002"),
	}}
	if _, err := s.Publish(nil, o); err != nil {
		t.Fatal(err)
	}
	m = current(t, s)
	wanted := map[string][]string{}
	for _, n := range []uint32{0, 1, 3} {
		wanted[typ(n)] = []string{"00000001", "00000002"}
	}
	if d := cmp.Diff(map[uint32][]string{0: {"00000002"}}, m.Lacking(1, wanted)); d != "" {
		t.Errorf("lacking (-want +got):\n%s", d)
	}
	if got := m.Lacking(2, wanted); len(got) != 3 || len(got[3]) != 2 {
		t.Errorf("of version 2 segments lack %v", got)
	}
	if got := m.Unindexed(1); len(got) > 0 {
		t.Errorf("not indexed: %v", got)
	}
	if d := cmp.Diff([]string{"index/c.duckdb", "index/a.duckdb"}, m.SearchWith([]string{"index/c.duckdb"})); d != "" {
		t.Errorf("files with common segments (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"index/b.duckdb"}, m.SearchWith([]string{"index/b.duckdb"})); d != "" {
		t.Errorf("files with common segments (-want +got):\n%s", d)
	}
	none := addSearch(t, s, "d", 0)
	none[0].Partial = true
	if _, err := s.Publish(nil, PublishOptions{Now: testNow, KeepVersions: true, Search: none}); err == nil {
		t.Error("a partial index without groups was published")
	}
}
