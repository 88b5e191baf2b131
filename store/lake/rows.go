package lake

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Rows are the rows of the snapshot part of a state, for those who know addresses. They
// and their manifest's files are held until Close, the delta is not. It is safe for
// concurrent use.
type Rows struct {
	l       *Lake
	v       *view
	release func()
}

// Rows holds the rows of the state, also after the View is closed.
func (w *View) Rows() *Rows { return &Rows{w.l, w.v, w.Hold()} }

// Close lets the rows go.
func (r *Rows) Close() { r.release() }

// Manifest says which rows there are.
func (r *Rows) Manifest() *snapshot.Manifest { return r.v.m }

// Read gives the resource of a row, current or not. Its JSON is appended to dst and valid
// until dst is used again. Of its Version the hash of the content is not there.
func (r *Rows) Read(a snapshot.Address, dst []byte) (Resource, error) {
	seg := r.v.m.ByOrdinal(a.Segment)
	if seg == nil {
		return Resource{}, fmt.Errorf("read row %d of segment %d: the manifest has no such segment", a.Row, a.Segment)
	}
	t := r4.ResourceTypeByName([]byte(seg.ResourceType))
	var e snapshot.Entry
	var id string
	err := r.l.withLine(seg, int64(a.Row), func(line []byte) error {
		h, err := snapshot.ReadHead(line, true)
		if err == nil {
			id = string(h.ID)
			e = snapshot.Entry{Key: r.l.Key(t, id), Address: a}
			if e.Version, err = h.Version(); err == nil {
				e.Updated, err = h.Updated()
			}
		}
		if err != nil {
			return rowError(seg, int64(a.Row), err)
		}
		return nil
	})
	if err != nil {
		return Resource{}, err
	}
	return r.l.fromSnapshot(r.v, &e, t, id, dst)
}

// Line calls f with the text of a row as it is stored, current or not; it is valid during
// the call.
func (r *Rows) Line(a snapshot.Address, f func(line []byte) error) error {
	seg := r.v.m.ByOrdinal(a.Segment)
	if seg == nil {
		return fmt.Errorf("read row %d of segment %d: the manifest has no such segment", a.Row, a.Segment)
	}
	return r.l.withLine(seg, int64(a.Row), f)
}

// Latest gives the latest versions that the rows' manifest has of some keys.
func (r *Rows) Latest(keys []snapshot.Key) (entries []snapshot.Entry, found []bool, err error) {
	entries, found = make([]snapshot.Entry, len(keys)), make([]bool, len(keys))
	l := r.v.lookups.Get().(*snapshot.Lookup)
	defer r.v.lookups.Put(l)
	return entries, found, l.Latest(keys, entries, found)
}
