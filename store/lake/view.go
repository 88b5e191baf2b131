package lake

import (
	"sync"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// view is one published state, open for reading. It lives while it is the lake's
// current one or someone uses it, and holds the manifest for as long: no file of it is
// swept.
type view struct {
	m       *snapshot.Manifest
	release func()
	index   *snapshot.Index
	lookups sync.Pool // of *snapshot.Lookup
	users   atomic.Int64
}

func (l *Lake) openView(old *view) (*view, error) {
	m, release, err := l.snap.Current()
	if err != nil {
		return nil, err
	}
	index := &snapshot.Index{}
	if old != nil {
		index = old.index
	}
	if index, err = index.Next(l.snap.Dir(), m); err != nil {
		release()
		return nil, err
	}
	v := &view{m: m, release: release, index: index}
	v.lookups.New = func() any { return index.NewLookup() }
	v.users.Store(1)
	return v, nil
}

// Published makes the lake show what was published last. Readers see the old state or
// the new one, each whole; files of the old one are held until its last reader is
// done. Who publishes calls it before anything leaves the delta (invariant 2).
func (l *Lake) Published() error {
	l.swap.Lock()
	defer l.swap.Unlock()
	old := l.view.Load()
	v, err := l.openView(old)
	if err != nil {
		return err
	}
	l.view.Store(v)
	if l.shown != nil {
		close(l.shown)
		l.shown = nil
	}
	if v.m.Number > 0 {
		l.floor.Store(max(l.floor.Load(), v.m.CreatedAt.UnixMicro()))
	}
	if old != nil {
		old.done()
	}
	live := func(ordinal uint32) bool { return v.m.ByOrdinal(ordinal) != nil }
	l.files.keep(v.m)
	l.frames.keep(live)
	l.spans.keep(live)
	return nil
}

// NextShown gives a channel that is closed when readers see another manifest than now.
func (l *Lake) NextShown() <-chan struct{} {
	l.swap.Lock()
	defer l.swap.Unlock()
	if l.shown == nil {
		l.shown = make(chan struct{})
	}
	return l.shown
}

// Shown is the number of the manifest that readers see; 0 when there is none.
func (l *Lake) Shown() int64 {
	if v := l.view.Load(); v != nil {
		return v.m.Number
	}
	return 0
}

// acquire gives the current view, which the caller lets go with done.
func (l *Lake) acquire() (*view, error) {
	for {
		v := l.view.Load()
		if v == nil {
			return nil, ErrClosed
		}
		// A view without users is closed, and no longer the current one.
		if n := v.users.Load(); n > 0 && v.users.CompareAndSwap(n, n+1) {
			return v, nil
		}
	}
}

func (v *view) done() {
	if v.users.Add(-1) == 0 {
		v.index.Close() // files that were read only: an error has nothing to say
		v.release()
	}
}

func (v *view) latest(k snapshot.Key) (snapshot.Entry, bool, error) {
	l := v.lookups.Get().(*snapshot.Lookup)
	defer v.lookups.Put(l)
	return l.One(k)
}

func (v *view) versions(dst []snapshot.Entry, k snapshot.Key) ([]snapshot.Entry, error) {
	l := v.lookups.Get().(*snapshot.Lookup)
	defer v.lookups.Put(l)
	return l.Versions(dst, k)
}
