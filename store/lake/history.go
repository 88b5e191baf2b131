package lake

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// HistoryQuery asks for versions, the newest first (FHIR R4, RESTful API, 3.1.0.10).
type HistoryQuery struct {
	Type r4.TypeID // 0: of all types
	ID   string    // "": of all resources of the type

	Since int64     // earliest meta.lastUpdated, UTC microseconds; 0: all
	At    TimeRange // only versions that were the current one at some time in it
	Count int       // versions of a page, at most; 0: 100
	After Token     // what the page before gave
}

// TimeRange is from From up to, but without, To, UTC microseconds. The zero one is all
// time.
type TimeRange struct{ From, To int64 }

// defaultCount is the size of a page that says none.
const defaultCount = 100

// History calls f for the versions of one page, deletions among them, until it returns
// an error; the Resource is valid during the call. next is "" when that was all. total
// is how many versions the query has on all pages, -1 when that is not known, which it
// is for one resource only. The error is [ErrNotFound] when the resource that is asked
// for never existed, [ErrToken], what f returned, or a failure.
//
// Versions come in the order of meta.lastUpdated, those of one resource in the order of
// their numbers. What is written while a client reads page after page does not move
// what comes later: no version that was there at the first page is left out or given
// twice.
func (l *Lake) History(q HistoryQuery, f func(*Resource) error) (next Token, total int64, err error) {
	if q.Count <= 0 {
		q.Count = defaultCount
	}
	if q.At == (TimeRange{}) {
		q.At.From = math.MinInt64
	}
	if q.At.To == 0 {
		q.At.To = math.MaxInt64
	}
	after, err := q.After.place()
	if err != nil {
		return "", 0, err
	}
	snap, err := l.delta.Snapshot() // before the view: invariant 2
	if err != nil {
		return "", 0, err
	}
	defer snap.Close()
	v, err := l.acquire()
	if err != nil {
		return "", 0, err
	}
	defer v.done()
	r := &reading{l: l, v: v, delta: snap}
	if q.ID != "" {
		return r.instance(&q, after, f)
	}
	h := &timeline{reading: r, q: &q, after: after, f: f}
	next, err = h.run()
	return next, -1, err
}

// reading is a consistent view of delta and snapshot.
type reading struct {
	l     *Lake
	v     *view
	delta *delta.Snapshot
	found []snapshot.Entry
	text  []byte
}

// historyItem is a version and where its text lies. Of one in the delta, content and
// method may be missing.
type historyItem struct {
	delta.Version
	row snapshot.Address
	far bool // the text is in the snapshot, at row; else in the delta
}

// versions gives all versions of one resource, the newest first.
func (r *reading) versions(t r4.TypeID, id string) ([]historyItem, error) {
	var all []historyItem
	for e, err := range r.delta.Resource(t, id) {
		if err != nil {
			return nil, err
		}
		all = append(all, historyItem{Version: e.Version})
	}
	var err error
	if r.found, err = r.v.versions(r.found[:0], r.l.Key(t, id)); err != nil {
		return nil, err
	}
	for i := range r.found {
		e := &r.found[i]
		if r.v.m.ByOrdinal(e.Address.Segment) != nil { // else it is no longer kept
			all = append(all, historyItem{Version: version(e, t, id), row: e.Address, far: true})
		}
	}
	// Where both have a number, what the delta has is the same or, until it is folded
	// in, the right one.
	slices.SortStableFunc(all, func(a, b historyItem) int { return cmp.Compare(b.Number, a.Number) })
	return slices.CompactFunc(all, func(a, b historyItem) bool { return a.Number == b.Number }), nil
}

// wants tells whether a query asks for a version that was the current one until the
// time until.
func (q *HistoryQuery) wants(updated, until int64) bool {
	return updated >= q.Since && updated < q.At.To && until > q.At.From
}

func (r *reading) instance(q *HistoryQuery, after *place, f func(*Resource) error) (Token, int64, error) {
	all, err := r.versions(q.Type, q.ID)
	if err != nil {
		return "", 0, err
	}
	if len(all) == 0 {
		return "", 0, ErrNotFound
	}
	until := int64(math.MaxInt64)
	all = slices.DeleteFunc(all, func(h historyItem) bool {
		wanted := q.wants(h.Updated, until)
		until = h.Updated
		return !wanted
	})
	total := int64(len(all))
	if after != nil {
		all = slices.DeleteFunc(all, func(h historyItem) bool { return h.Number >= after.number })
	}
	for i := range all {
		if i == q.Count {
			return tokenOf(&all[i-1]), total, nil
		}
		if err := r.emit(&all[i], f); err != nil {
			return "", 0, err
		}
	}
	return "", total, nil
}

func tokenOf(h *historyItem) Token {
	return (&place{h.Updated, h.Key, h.Number}).token()
}

// emit reads the text of a version and calls f.
func (r *reading) emit(h *historyItem, f func(*Resource) error) error {
	res := Resource{Version: h.Version}
	if h.far {
		if h.Method != delta.Delete {
			if err := r.l.load(r.v, &res, h.row, r.text[:0]); err != nil {
				return err
			}
		}
	} else {
		e, ok, err := r.delta.ByNumber(h.Type, h.ID, h.Number, r.text[:0])
		if err == nil && !ok {
			err = fmt.Errorf("read history: version %d of a %s is missing", h.Number, h.Type)
		}
		if err != nil {
			return err
		}
		res = Resource{Version: e.Version, JSON: e.JSON, Beside: e.Beside}
	}
	if res.JSON != nil {
		r.text = res.JSON
	}
	return f(&res)
}
