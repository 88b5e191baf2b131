package lake

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Newest reads the newest text of every resource of the state that one of types has and
// want asks for: of one that is deleted, the text that it had before. want and f are
// called by many goroutines at a time, and the line is valid during the call. It reads all
// resources files.
func (w *View) Newest(ctx context.Context, types func(r4.TypeID) bool, want func(line []byte) bool, f func(t r4.TypeID, id string, line []byte) error) error {
	n := &newest{w: w, want: want, f: f, inDelta: map[snapshot.Key]bool{}}
	if err := n.delta(types); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range w.v.m.Segments {
		seg := &w.v.m.Segments[i]
		if t, ok := r4.TypeByName(seg.ResourceType); ok && types(t) {
			g.Go(func() error { return n.segment(ctx, t, seg) })
		}
	}
	return g.Wait()
}

// newest is one reading of all.
type newest struct {
	w       *View
	want    func([]byte) bool
	f       func(r4.TypeID, string, []byte) error
	inDelta map[snapshot.Key]bool // of which the delta has the newest text
}

// delta gives the texts that the delta has. Versions of a resource come the newest first.
func (n *newest) delta(types func(r4.TypeID) bool) error {
	for e, err := range n.w.delta.Resources(0) {
		if err != nil {
			return err
		}
		k := snapshot.Key(e.Key)
		if e.Method == delta.Delete || n.inDelta[k] || !types(e.Type) {
			continue
		}
		// An import may have overtaken it.
		if s, ok, err := n.text(k); err != nil {
			return err
		} else if ok && s.Version > e.Number {
			continue
		}
		n.inDelta[k] = true
		if n.want(e.JSON) {
			if err := n.f(e.Type, e.ID, e.JSON); err != nil {
				return err
			}
		}
	}
	return nil
}

// text gives the newest version in the snapshot that is no deletion.
func (n *newest) text(k snapshot.Key) (snapshot.Entry, bool, error) {
	all, err := n.w.v.versions(nil, k)
	if err != nil {
		return snapshot.Entry{}, false, err
	}
	for i := range all {
		if !all[i].Deleted {
			return all[i], true, nil
		}
	}
	return snapshot.Entry{}, false, nil
}

func (n *newest) segment(ctx context.Context, t r4.TypeID, seg *snapshot.Segment) error {
	l := n.w.l
	x, err := snapshot.OpenResources(l.snap.Dir(), seg.Resources.Path)
	if err != nil {
		return err
	}
	defer x.Close()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Each(x, func(row int64, line []byte) error {
		if row%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !n.want(line) {
			return nil
		}
		h, err := snapshot.ReadHead(line, false)
		if err != nil {
			return rowError(seg, row, err)
		}
		id := string(h.ID)
		k := l.Key(t, id)
		if n.inDelta[k] {
			return nil
		}
		s, ok, err := n.text(k)
		if err != nil || !ok || s.Address != (snapshot.Address{Segment: seg.Ordinal, Row: uint32(row)}) {
			return err
		}
		return n.f(t, id, line)
	})
}
