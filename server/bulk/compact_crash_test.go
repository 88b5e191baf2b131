package bulk

import (
	"context"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/store/compact"
)

// TestACompactionThatStopsAtAnyStep stops it at every step that makes its work visible
// and removes what was. The next process finds the old state or the new one, each with
// everything in it, and the next compaction brings it to its end.
func TestACompactionThatStopsAtAnyStep(t *testing.T) {
	m := newModel(t, 3)
	m.kept = compact.Retention{}
	for range 3 {
		m.load()
		for range 15 {
			m.write()
			m.now = m.now.Add(time.Millisecond)
		}
		m.now = m.now.Add(time.Second)
	}
	m.compactWith(CompactOptions{})
	m.load()
	for range 40 {
		m.write()
		m.now = m.now.Add(time.Millisecond)
	}
	m.check()
	if err := m.lake.Close(); err != nil {
		t.Fatal(err)
	}
	job := func(m *model) error {
		_, err := Compact(context.Background(), CompactOptions{Lake: m.lake, Whole: true, Now: m.clock, NewID: m.f.opts.NewID})
		return err
	}
	running := func(m *model) { // what it shows and takes is right
		m.write()
		m.check()
	}
	m.stopAtEveryStep(job, running, func(m *model) {
		m.write()
		m.compactWith(CompactOptions{})
		if n := m.lake.Delta().Stats().Entries; n > 0 {
			m.t.Errorf("%d versions are left in the delta", n)
		}
	})
}

// TestTheIndexDoesNotGrowByBeingMerged merges the same versions many times: an entry takes
// no more bytes for it.
func TestTheIndexDoesNotGrowByBeingMerged(t *testing.T) {
	m := newModel(t, 8)
	for range 400 {
		m.write()
	}
	var first float64
	for n := range 25 {
		m.now = m.now.Add(time.Second)
		for range 3 {
			m.write()
		}
		m.compactWith(CompactOptions{Whole: true})
		man, release, err := m.f.store.Current()
		if err != nil {
			t.Fatal(err)
		}
		release()
		layer := man.Layers[0]
		perEntry := float64(layer.IDs.Bytes) / float64(layer.Entries)
		if n == 0 {
			first = perEntry
		}
		if perEntry > first+2 { // a wider field for time and one for rows
			t.Fatalf("%.1f bytes an entry after %d merges, %.1f after one", perEntry, n+1, first)
		}
	}
	m.check()
}
