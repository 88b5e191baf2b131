package lake

import (
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// View is a fixed state of the data store, for those who read all of it: SQL, export.
type View struct {
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
	return &View{v: v, delta: snap}, nil
}

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
func (w *View) Changes(f func(*Change) error) error {
	var last snapshot.Key
	for e, err := range w.delta.Resources(0) {
		if err != nil {
			return err
		}
		if snapshot.Key(e.Key) == last {
			continue // an older version
		}
		last = e.Key
		s, found, err := w.v.latest(e.Key)
		if err != nil {
			return err
		}
		if found && s.Version >= e.Number {
			continue // an import has overtaken it, or it is folded in
		}
		if err := f(&Change{Entry: *e, Replaced: s.Address, HasRow: found && !s.Deleted}); err != nil {
			return err
		}
	}
	return nil
}
