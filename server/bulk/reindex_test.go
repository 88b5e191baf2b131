package bulk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

func (m *model) reindex(o ReindexOptions) *ReindexResult {
	m.t.Helper()
	o.Lake, o.Now, o.NewID = m.lake, m.clock, m.f.opts.NewID
	res, err := Reindex(context.Background(), o)
	if err != nil {
		m.t.Fatal(err)
	}
	return res
}

// openIndex opens all index files of the current manifest, until closing is called.
func (m *model) openIndex() (man *snapshot.Manifest, state *searchdb.State, closing func()) {
	m.t.Helper()
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	var files []string
	for i := range man.Search {
		files = append(files, m.f.store.Path(&man.Search[i].File))
	}
	ctx := context.Background()
	db, err := searchdb.Open(ctx, searchdb.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	state, err = db.NewState(ctx, files)
	if err != nil {
		m.t.Fatal(err)
	}
	return man, state, func() { db.Close(); release() }
}

// searchable gives the rows of the search index that are of current resources, by
// table, those of texts left out.
func (m *model) searchable() map[string][]string {
	m.t.Helper()
	ctx := context.Background()
	man, state, closing := m.openIndex()
	defer closing()
	all := map[string][]string{}
	for _, t := range postings.Tables {
		if t.Texts {
			continue
		}
		rows, err := state.Query(ctx, `SELECT addr, t::VARCHAR FROM `+state.Schema()+`."`+t.Name+`" t`)
		if err != nil {
			m.t.Fatal(err)
		}
		for rows.Next() {
			var at uint64
			var text string
			if err := rows.Scan(&at, &text); err != nil {
				m.t.Fatal(err)
			}
			if m.isCurrent(man, postings.Address(at)) {
				all[t.Name] = append(all[t.Name], text)
			}
		}
		if err := rows.Err(); err != nil {
			m.t.Fatal(err)
		}
		slices.Sort(all[t.Name])
	}
	return all
}

func (m *model) isCurrent(man *snapshot.Manifest, a postings.Address) bool {
	m.t.Helper()
	seg := man.ByOrdinal(a.Segment())
	if seg == nil {
		return false
	}
	gone, err := m.f.store.Superseded(seg)
	if err != nil {
		m.t.Fatal(err)
	}
	return gone == nil || !gone.Contains(a.Row())
}

// expectIndexed checks that every current resource of the snapshot is in the index once.
func (m *model) expectIndexed() {
	m.t.Helper()
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	release()
	if left := man.Unindexed(postings.Version); len(left) > 0 {
		m.t.Errorf("segments %v are in no index", left)
	}
	rows := m.searchable()["resource"]
	if got, want := int64(len(rows)), current(man); got != want || len(slices.Compact(rows)) != len(rows) {
		m.t.Errorf("%d resources are in the index, %d of them different; %d are current", got, len(slices.Compact(rows)), want)
	}
}

func TestReindexMakesTheRowsOfAnImport(t *testing.T) {
	m := newModel(t, 21)
	m.f.opts.SearchIndex = true
	for range 3 { // later ones supersede rows of earlier ones
		m.load()
		m.now = m.now.Add(time.Second)
	}
	m.compactWith(CompactOptions{})
	m.load()
	want := m.searchable()
	if len(want["resource"]) < 10 || len(want["token"]) < 10 || len(want["string"]) < 3 {
		t.Fatalf("too little is indexed: %d resources", len(want["resource"]))
	}
	before := m.number()
	if res := m.reindex(ReindexOptions{}); res.Snapshot != before || res.Segments != 0 {
		t.Errorf("everything was indexed, and it did %+v", *res)
	}
	res := m.reindex(ReindexOptions{Whole: true})
	if res.Snapshot != before+1 || res.Dropped < 2 || res.Resources != int64(len(want["resource"])) {
		t.Errorf("got %+v", *res)
	}
	if d := cmp.Diff(want, m.searchable()); d != "" {
		t.Errorf("(-import +reindex):\n%s", d)
	}
	m.check()
	m.expectNoLeftovers()
}

func TestReindexTakesWhatHasNoIndexOfThisVersion(t *testing.T) {
	m := newModel(t, 22)
	m.load()
	if res := m.reindex(ReindexOptions{}); res.Segments == 0 || res.Dropped != 0 {
		t.Errorf("got %+v", *res)
	}
	m.expectIndexed()
	m.now = m.now.Add(time.Second)
	m.load() // what is added to an indexed data store is indexed
	m.expectIndexed()

	man, release, err := m.f.store.Current()
	if err != nil {
		t.Fatal(err)
	}
	release()
	other := slices.Clone(man.Search[:1])
	other[0].Version = postings.Version + 1
	if _, err := m.f.store.Publish(nil, snapshot.PublishOptions{Now: m.now, KeepVersions: true, DropSearch: []string{other[0].File.Path}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.f.store.Publish(nil, snapshot.PublishOptions{Now: m.now, KeepVersions: true, Search: other}); err != nil {
		t.Fatal(err)
	}
	if err := m.lake.Published(); err != nil {
		t.Fatal(err)
	}
	covered := len(other[0].Segments)
	if res := m.reindex(ReindexOptions{}); res.Dropped != 1 || res.Segments == 0 || res.Segments > covered {
		t.Errorf("of an index of another version with %d segments: %+v", covered, *res)
	}
	m.expectIndexed()
	m.compactWith(CompactOptions{Whole: true})
	m.expectIndexed()
	m.check()
	m.expectNoLeftovers()
}

// TestNothingOfWhatIsErasedStaysInTheIndex erases resources whose rows are in indexes of segments
// that went before, that go now, and that stay.
func TestNothingOfWhatIsErasedStaysInTheIndex(t *testing.T) {
	m := newModel(t, 25)
	m.f.opts.SearchIndex = true
	var lines []string
	for i := range 200 {
		lines = append(lines, patient(fmt.Sprint("p", i), "common"), fmt.Sprintf(`{"resourceType":"Basic","id":"b%d","code":{"text":"kept %d"}}`, i, i))
	}
	m.importing(nil, append(lines, patient("p1000", "Erasmus"))...)
	m.now = m.now.Add(time.Second)
	m.importing(nil, patient("p1001", "Desiderius"), patient("p1000", "Rotterdam"))
	m.expectIndexed()
	m.compactWith(CompactOptions{})
	all := `SELECT count(*) FROM $.resource WHERE id = 'p1000'`
	texts := `SELECT count(*) FROM $.words WHERE folded IN ('erasmus', 'rotterdam')`
	if m.countInIndex(all) == 0 || m.countInIndex(texts) == 0 {
		t.Fatal("the index does not have what is to be erased")
	}
	m.compactWith(CompactOptions{Erase: []Resource{{r4.TypePatient, "p1000"}}})
	if n, texts := m.countInIndex(all), m.countInIndex(texts); n != 0 || texts != 0 {
		t.Errorf("%d rows and %d texts of what was erased are in the index", n, texts)
	}
	if n := m.countInIndex(`SELECT count(*) FROM $.words WHERE folded = 'desiderius'`); n == 0 {
		t.Error("what was not erased is not in the index")
	}
	m.expectIndexed()
	m.checkSound()
	m.expectNoLeftovers()
}

// countInIndex gives the number that a query over all index files says; $ is their schema.
func (m *model) countInIndex(query string) (n int) {
	m.t.Helper()
	ctx := context.Background()
	_, state, closing := m.openIndex()
	defer closing()
	rows, err := state.Query(ctx, strings.ReplaceAll(query, "$", state.Schema()))
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		m.t.Fatal(rows.Err())
	}
	if err := rows.Scan(&n); err != nil {
		m.t.Fatal(err)
	}
	return n
}

func TestReindexOfAnEmptyDataStoreDoesNothing(t *testing.T) {
	m := newModel(t, 23)
	if res := m.reindex(ReindexOptions{Whole: true}); res.Snapshot != 0 || res.Segments != 0 || m.number() != 0 {
		t.Errorf("got %+v", *res)
	}
}

// TestAReindexThatStopsAtAnyStep finds the old index or the new one after each.
func TestAReindexThatStopsAtAnyStep(t *testing.T) {
	m := newModel(t, 24)
	m.f.opts.SearchIndex = true
	m.load()
	m.now = m.now.Add(time.Second)
	m.load()
	want := m.searchable()
	if err := m.lake.Close(); err != nil {
		t.Fatal(err)
	}
	job := func(m *model) error {
		_, err := Reindex(context.Background(), ReindexOptions{Lake: m.lake, Whole: true, Now: m.clock, NewID: m.f.opts.NewID})
		return err
	}
	m.stopAtEveryStep(job, func(*model) {}, func(m *model) {
		if d := cmp.Diff(want, m.searchable()); d != "" {
			m.t.Errorf("(-before +after):\n%s", d)
		}
	})
}
