package bulk

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// indexed is a model of a data store of n imports with the index.
func indexed(t *testing.T, seed uint64, n int) *model {
	t.Helper()
	m := newModel(t, seed)
	m.types = modelTypes[:3]
	m.f.opts.SearchIndex = true
	for range n {
		m.load()
		m.now = m.now.Add(time.Second)
	}
	return m
}

func (m *model) published() *snapshot.Manifest {
	m.t.Helper()
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	release()
	return man
}

// expectNoTextsLeft checks that each text of the index is that of a row.
func (m *model) expectNoTextsLeft() {
	m.t.Helper()
	for _, t := range postings.Tables {
		for i, u := range t.Uses() {
			if i == 0 && m.countInIndex(`SELECT count(*) FROM $."`+t.Name+`"`) == 0 {
				m.t.Errorf("table %s has no rows", t.Name)
			}
			if n := m.countInIndex(`SELECT count(*) FROM $."` + u.Table + `" WHERE "` + u.Column + `" NOT IN (SELECT hash FROM $."` + t.Name + `") AND "` + u.Column + `" <> 0`); n > 0 {
				m.t.Errorf("%d rows of %s have a text that is not in %s", n, u.Table, t.Name)
			}
		}
	}
	if n := m.countInIndex(`SELECT count(*) FROM $.value WHERE hash NOT IN (SELECT code FROM $.token) AND hash NOT IN (SELECT uri FROM $.uri)`); n > 0 {
		m.t.Errorf("%d texts of values are of no use", n)
	}
	if n := m.countInIndex(`SELECT count(*) FROM $.words WHERE hash NOT IN (SELECT words FROM $.string)`); n > 0 {
		m.t.Errorf("%d texts of words are of no use", n)
	}
}

// expectNoneGone checks that no index file has rows of segments that are gone.
func (m *model) expectNoneGone() {
	m.t.Helper()
	man := m.published()
	for _, x := range man.Search {
		if len(x.Gone) > 0 {
			m.t.Errorf("%s has rows of segments %v, which are gone", x.File.Path, x.Gone)
		}
	}
	if n := m.countInIndex(`SELECT count(*) FROM $.resource`); man.Search != nil && int64(n) != man.Search[0].Resources && len(man.Search) == 1 {
		m.t.Errorf("%d resources are in the index, and the manifest says %d", n, man.Search[0].Resources)
	}
}

func TestCompactionMergesIndexFiles(t *testing.T) {
	m := indexed(t, 31, 9)
	for range 20 {
		m.write()
	}
	before := len(m.published().Search)
	if before < 9 {
		t.Fatalf("%d index files after nine imports", before)
	}
	res := m.compactWith(CompactOptions{Whole: true})
	if res.Before.IndexFiles != before || res.After.IndexFiles != 1 || res.After.IndexBytes >= res.Before.IndexBytes {
		t.Errorf("got %+v", *res)
	}
	m.expectNoneGone()
	m.expectNoTextsLeft()
	m.expectIndexed()
	got := m.searchable()
	m.reindex(ReindexOptions{Whole: true})
	if d := cmp.Diff(m.searchable(), got); d != "" {
		t.Errorf("(-reindex +merge):\n%s", d)
	}
	m.check()
	m.expectNoLeftovers()
}

// onlyIndexFiles is a model of a data store with one layer and one segment of each type, of
// which each has its own index file.
func onlyIndexFiles(t *testing.T, seed uint64) *model {
	t.Helper()
	m := newModel(t, seed)
	m.types = modelTypes[:3]
	for range 3 {
		m.load()
		m.now = m.now.Add(time.Second)
	}
	m.compactWith(CompactOptions{Whole: true})
	man := m.published()
	var indexes []snapshot.SearchIndex
	for i := range man.Segments {
		o := ReindexOptions{Lake: m.lake, NewID: m.f.opts.NewID}
		made, err := o.index(context.Background(), man, []*snapshot.Segment{&man.Segments[i]}, rowsOf{table: search.R4()}, &ReindexResult{})
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, made...)
	}
	if len(indexes) != 3 {
		t.Fatalf("%d index files", len(indexes))
	}
	if _, err := m.f.store.Publish(nil, snapshot.PublishOptions{Now: m.now, KeepVersions: true, Search: indexes}); err != nil {
		t.Fatal(err)
	}
	if err := m.lake.Published(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIndexFilesAreMergedWhereNothingElseIs(t *testing.T) {
	m := onlyIndexFiles(t, 32)
	want := m.searchable()
	before := m.published()
	res := m.compactWith(CompactOptions{})
	if res.Snapshot != before.Number+1 || res.Rewritten != 0 || res.Before.IndexFiles != 3 || res.After.IndexFiles != 1 {
		t.Errorf("got %+v", *res)
	}
	after := m.published()
	if d := cmp.Diff(before.Segments, after.Segments); d != "" {
		t.Errorf("segments (-before +after):\n%s", d)
	}
	if d := cmp.Diff(before.Layers, after.Layers); d != "" {
		t.Errorf("layers (-before +after):\n%s", d)
	}
	if d := cmp.Diff(want, m.searchable()); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	if res := m.compactWith(CompactOptions{}); res.Snapshot != after.Number {
		t.Errorf("it was merged already, and %+v", *res)
	}
	m.check()
	m.expectNoLeftovers()
}

// TestIndexFilesStayFew imports and compacts many times: with n resources there are some
// log3(n) files, and no more than half of what a file has is of segments that are gone.
func TestIndexFilesStayFew(t *testing.T) {
	m := newModel(t, 33)
	m.f.opts.SearchIndex = true
	most := 0
	for range 25 {
		m.load()
		m.now = m.now.Add(time.Second)
		if m.rng.IntN(3) == 0 {
			continue
		}
		m.compactWith(CompactOptions{})
		man := m.published()
		most = max(most, len(man.Search))
		live, rows := int64(0), int64(0)
		for _, x := range man.Search {
			rows += x.Resources
		}
		for i := range man.Segments {
			live += man.Segments[i].Rows
		}
		if limit := math.Log(float64(rows))/math.Log(3) + 1; float64(len(man.Search)) > limit {
			t.Errorf("%d index files of %d resources", len(man.Search), rows)
		}
		if rows > 2*live {
			t.Errorf("index files have %d resources, segments %d", rows, live)
		}
		m.expectIndexed()
	}
	m.check()
	m.expectNoLeftovers()
}

// TestMergingThatStopsAtAnyStep finds the old files or the new one after each, and the same
// rows of what is current in both.
func TestMergingThatStopsAtAnyStep(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *model{
		"with all else": func(t *testing.T) *model {
			m := indexed(t, 40, 1) // of which the segments of two types stay
			m.compactWith(CompactOptions{})
			for i := range 20 {
				m.writeTo(Resource{r4.TypeObservation, fmt.Sprintf("r%d", i)})
			}
			return m
		},
		"alone": func(t *testing.T) *model { return onlyIndexFiles(t, 37) },
	} {
		t.Run(name, func(t *testing.T) {
			m := start(t)
			if err := m.lake.Close(); err != nil {
				t.Fatal(err)
			}
			job := func(m *model) error {
				res, err := Compact(context.Background(), CompactOptions{Lake: m.lake, Now: m.clock, NewID: m.f.opts.NewID})
				if err == nil && res.After.IndexFiles != 1 {
					err = fmt.Errorf("the compaction left %d index files", res.After.IndexFiles)
				}
				return err
			}
			m.stopAtEveryStep(job, func(*model) {}, func(m *model) {
				m.expectIndexed()
				m.compactWith(CompactOptions{})
				m.expectIndexed()
				m.expectNoneGone()
				if n := len(m.published().Search); n != 1 {
					m.t.Errorf("%d index files", n)
				}
			})
		})
	}
}

// TestMergingThatFails leaves the old state, and says what mends it.
func TestMergingThatFails(t *testing.T) {
	m := onlyIndexFiles(t, 35)
	before := m.published()
	if err := os.Truncate(m.f.store.Path(&before.Search[1].File), 5000); err != nil {
		t.Fatal(err)
	}
	_, err := Compact(context.Background(), CompactOptions{Lake: m.lake, Now: m.clock, NewID: m.f.opts.NewID})
	if err == nil || !strings.Contains(err.Error(), "reindex --whole") || m.number() != before.Number {
		t.Fatalf("manifest %d, %v", m.number(), err)
	}
	m.reindex(ReindexOptions{Whole: true})
	m.compactWith(CompactOptions{Whole: true})
	m.expectIndexed()
	m.check()
	m.expectNoLeftovers()
}

// TestWhatIsAllDeletedStaysIndexed: the data store still counts as one that is indexed.
func TestWhatIsAllDeletedStaysIndexed(t *testing.T) {
	m := newModel(t, 36)
	m.f.opts.SearchIndex = true
	m.importing(nil, patient("a", "x"))
	m.f.opts.SearchIndex = false
	if _, err := m.lake.Commit(context.Background(), []lake.Write{{Type: r4.TypePatient, ID: "a", Method: delta.Delete}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m.now = m.now.Add(time.Second)
		m.compactWith(CompactOptions{})
	}
	if !isIndexed(m.published()) {
		t.Error("it is not indexed any more")
	}
	m.importing(nil, patient("b", "y"))
	m.expectIndexed()
}
