package lake

import (
	"fmt"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// View is a fixed state of the data store, for those who read all of it: SQL, export.
type View struct {
	l     *Lake
	v     *view
	delta *delta.Snapshot
}

// View fixes the current state. The caller closes it.
func (l *Lake) View() (*View, error) {
	snap, err := l.delta.Snapshot() // before the view: invariant 2
	if err != nil {
		return nil, err
	}
	v, err := l.acquire()
	if err != nil {
		snap.Close()
		return nil, err
	}
	return &View{l: l, v: v, delta: snap}, nil
}

// Hold keeps the snapshot part of the state until release is called, also after Close:
// who has seen the changes and still reads files needs the delta no more, and what
// compaction drops from it is not kept on disk for his sake.
func (w *View) Hold() (release func()) {
	w.v.users.Add(1) // it is not closed: w uses it
	return sync.OnceFunc(w.v.done)
}

// Seq is the last commit of the state.
func (w *View) Seq() uint64 { return w.delta.Seq() }

// Close lets the state go.
func (w *View) Close() error {
	w.v.done()
	return w.delta.Close()
}

// Manifest is the snapshot part of the state. Its files are held until Close.
func (w *View) Manifest() *snapshot.Manifest { return w.v.m }

// Change is a resource whose current version is in the delta.
type Change struct {
	delta.Entry // of a deletion, with the method Delete and without JSON
	// Replaced is the row that the snapshot still counts as current, if HasRow. Who
	// reads rows leaves it out.
	Replaced snapshot.Address
	HasRow   bool
}

// Changes calls f for every resource whose current version is in the delta, in the
// order of type and id, until it returns an error. The Change is valid during the call.
// The rows of the manifest that are current, without those that changes replace, and
// the changes that are no deletions are together the current resources.
func (w *View) Changes(f func(*Change) error) error { return w.ChangesOf(0, f) }

// ChangesOf is Changes of the resources of one type; 0 is all types.
func (w *View) ChangesOf(t r4.TypeID, f func(*Change) error) error {
	var last snapshot.Key
	for e, err := range w.delta.Resources(t) {
		if err != nil {
			return err
		}
		if snapshot.Key(e.Key) == last {
			continue // an older version
		}
		last = e.Key
		if err := w.change(e, f); err != nil {
			return err
		}
	}
	return nil
}

// ChangesAfter is Changes of the resources that were written after a commit, in the order
// of their last commits. Commits that left the delta are not among them: the commit must
// be one of a View of the same manifest.
func (w *View) ChangesAfter(seq uint64, f func(*Change) error) error {
	var buf []byte
	for c, err := range w.delta.Changes(delta.Range{After: seq}) {
		if err != nil {
			return err
		}
		e, ok, err := w.delta.Latest(c.Type, c.ID, buf[:0])
		if err == nil && !ok {
			err = fmt.Errorf("read changes: a %s that was written is missing", c.Type)
		}
		if err != nil {
			return err
		}
		if e.Seq != c.Seq {
			continue // it is written again, later
		}
		if err := w.change(&e, f); err != nil {
			return err
		}
		if cap(e.JSON) <= keepText {
			buf = e.JSON
		}
	}
	return nil
}

// change calls f when e is the current version of its resource.
func (w *View) change(e *delta.Entry, f func(*Change) error) error {
	if e.Seq <= w.v.m.FoldedSeq {
		return nil // the snapshot has it, or has erased it
	}
	s, found, err := w.v.latest(e.Key)
	if err != nil || found && s.Version >= e.Number {
		return err // an import has overtaken it
	}
	return f(&Change{Entry: *e, Replaced: s.Address, HasRow: found && !s.Deleted})
}
