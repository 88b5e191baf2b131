package lake

import (
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Import is what a bulk import needs of a lake that others write to meanwhile
// (docs/decisions/0018): the versions as they were when it began, and the moment in
// which it is published.
type Import struct {
	l      *Lake
	view   *view
	seq    uint64 // the last commit when it began
	recent map[snapshot.Key]Current
}

// Current is the current version of a resource as an import sees it.
type Current struct {
	Number  uint32 // 0: there never was one
	Content uint64
	Deleted bool
	// Row is the row of the snapshot that is the current one there, if HasRow, and
	// which a newer version supersedes.
	Row    snapshot.Address
	HasRow bool
}

// BeginImport fixes the state that an import starts from. The caller closes it, and
// until then nobody else publishes. It keeps some 80 bytes in memory for each resource
// that is in the delta: compaction before an import is time well spent.
func (l *Lake) BeginImport() (*Import, error) {
	snap, err := l.delta.Snapshot() // before the view: invariant 2
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	i := &Import{l: l, view: v, seq: snap.Seq(), recent: map[snapshot.Key]Current{}}
	for e, err := range snap.Resources(0) {
		if err != nil {
			i.Close()
			return nil, err
		}
		if _, ok := i.recent[e.Key]; !ok { // the newest version comes first
			i.recent[e.Key] = currentOf(e)
		}
	}
	return i, nil
}

func currentOf(e *delta.Entry) Current {
	return Current{Number: e.Number, Content: e.Content, Deleted: e.Method == delta.Delete}
}

// Base is the snapshot that the import builds on.
func (i *Import) Base() *snapshot.Manifest { return i.view.m }

// Close lets the state go.
func (i *Import) Close() {
	if i.view != nil {
		i.view.done()
		i.view = nil
	}
}

// NewLookup gives a func that finds the versions that were current when the import
// began. The func belongs to one goroutine; both slices have the same length.
func (i *Import) NewLookup() func(keys [][2]uint64, current []Current) error {
	var (
		lookup  = i.view.index.NewLookup()
		ks      []snapshot.Key
		entries []snapshot.Entry
		found   []bool
	)
	return func(keys [][2]uint64, current []Current) error {
		ks = ks[:0]
		for _, k := range keys {
			ks = append(ks, k)
		}
		if cap(entries) < len(ks) {
			entries, found = make([]snapshot.Entry, len(ks)), make([]bool, len(ks))
		}
		entries, found = entries[:len(ks)], found[:len(ks)]
		if err := lookup.Latest(ks, entries, found); err != nil {
			return err
		}
		for n, k := range ks {
			current[n] = merge(entries[n], found[n], i.recent[k])
		}
		return nil
	}
}

// merge lays what the delta has of a resource over what the snapshot has: the greater
// number is the newer version (invariant 1), the row is the snapshot's.
func merge(e snapshot.Entry, found bool, d Current) Current {
	if !found {
		return d
	}
	c := Current{Number: e.Version, Content: e.Content, Deleted: e.Deleted}
	if d.Number >= c.Number {
		c = d
	}
	if !e.Deleted {
		c.Row, c.HasRow = e.Address, true
	}
	return c
}

// Moment is the state in which an import is published: nobody commits.
type Moment struct {
	Seq     uint64    // the last commit; the manifest gets it as DeltaSeq
	Updated time.Time // for what is stamped now: not before any commit
	// Written has the current versions of all resources that were written since the
	// import began. The numbers and times that the import gave those are void.
	Written map[snapshot.Key]Current
}

// Publish stops commits, calls f, which publishes in the lake's snapshot store, and
// shows what was published. After an error of f commits go on as if nothing had
// happened. The error is snapshot.ErrConflict when something was published since the
// import began.
func (i *Import) Publish(f func(*Moment) error) error {
	l := i.l
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if l.view.Load() == nil {
		return ErrClosed
	}
	m, err := i.moment()
	if err != nil {
		return err
	}
	if err := f(m); err != nil {
		return err
	}
	if err := l.Published(); err != nil {
		return fmt.Errorf("the import is published, and cannot be shown: %w", err)
	}
	return nil
}

// moment finds what was written since the import began. Nobody commits.
func (i *Import) moment() (*Moment, error) {
	snap, err := i.l.delta.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	if i.l.view.Load().m.Number != i.view.m.Number {
		return nil, snapshot.ErrConflict
	}
	m := &Moment{Seq: snap.Seq(), Written: map[snapshot.Key]Current{}}
	at := i.l.time().UnixMilli() * microsPerMilli
	for c, err := range snap.Changes(delta.Range{After: i.seq, Newest: true}) {
		if err != nil {
			return nil, err
		}
		at = max(at, c.Updated)
		if _, ok := m.Written[c.Key]; ok {
			continue
		}
		e, ok, err := snap.Latest(c.Type, c.ID, nil)
		if err == nil && !ok {
			err = fmt.Errorf("publish: a %s that was written is missing", c.Type)
		}
		if err != nil {
			return nil, err
		}
		s, found, err := i.view.latest(c.Key)
		if err != nil {
			return nil, err
		}
		m.Written[c.Key] = merge(s, found, currentOf(&e))
	}
	// No commit after this one is earlier (invariant 3).
	i.l.floor.Store(max(at, i.l.floor.Load()))
	m.Updated = time.UnixMicro(at).UTC()
	return m, nil
}

const microsPerMilli = 1000
