package lake

import (
	"iter"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// FirstStored calls f, in order, with the time at which each of some resources was first
// stored: that of the oldest version that is kept; 0 for a resource that is not there.
func (l *Lake) FirstStored(resources iter.Seq2[r4.TypeID, string], f func(updated int64)) error {
	snap, err := l.delta.Snapshot() // before the view: invariant 2
	if err != nil {
		return err
	}
	defer snap.Close()
	v, err := l.acquire()
	if err != nil {
		return err
	}
	defer v.done()
	r := &reading{l: l, v: v, delta: snap}
	for t, id := range resources {
		all, err := r.versions(t, id)
		if err != nil {
			return err
		}
		first := int64(0)
		if len(all) > 0 {
			first = all[len(all)-1].Updated
		}
		f(first)
	}
	return nil
}
