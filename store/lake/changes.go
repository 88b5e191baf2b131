package lake

import (
	"errors"
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

// Deletions calls f for every resource whose last version is a deletion, from a time in UTC
// microseconds on, until it returns an error; in no order. Those whose last version is no
// longer kept are not among them.
func (w *View) Deletions(since int64, f func(t r4.TypeID, id string, updated int64) error) error {
	err := w.Changes(func(c *Change) error {
		if c.Method != delta.Delete || c.Updated < since {
			return nil
		}
		return f(c.Type, c.ID, c.Updated)
	})
	if err != nil {
		return err
	}
	for i := range w.v.m.Layers {
		ids, err := snapshot.OpenIDs(w.l.snap.Dir(), w.v.m.Layers[i].IDs.Path)
		if err != nil {
			return err
		}
		err = ids.Each(func(e *snapshot.Entry) error {
			if !e.Deleted || e.Withdrawn || e.Updated < since {
				return nil
			}
			return w.deletion(e, f)
		})
		if err = errors.Join(err, ids.Close()); err != nil {
			return err
		}
	}
	return nil
}

// deletion calls f when e is the last version of its resource.
func (w *View) deletion(e *snapshot.Entry, f func(t r4.TypeID, id string, updated int64) error) error {
	last, found, err := w.v.latest(e.Key)
	if err != nil || !found || last.Version != e.Version || last.Address != e.Address {
		return err
	}
	seg := w.v.m.ByOrdinal(e.Address.Segment)
	if seg == nil {
		return nil
	}
	t := r4.ResourceTypeByName([]byte(seg.ResourceType))
	var id string
	err = w.l.withLine(seg, int64(e.Address.Row), func(line []byte) error {
		h, err := snapshot.ReadHead(line, false)
		id = string(h.ID)
		return err
	})
	if err != nil {
		return err
	}
	later, ok, err := w.delta.Latest(t, id, nil)
	if err != nil || ok && later.Seq > w.v.m.FoldedSeq && later.Number > e.Version {
		return err // Changes has what became of it
	}
	return f(t, id, e.Updated)
}
