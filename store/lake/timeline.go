package lake

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// # The history of a type, and of all
//
// The commits of the delta and the rows of each segment are in the order of time, so a
// history is a merge of them, read backwards. Versions of one time are a group. Where
// they lie changes when the delta is folded in and segments are merged, so a group is in
// an order that never changes, that of key and number. A small group is sorted. The rows
// of an import have one time and may be millions: such a group is found by the id
// indexes, which are in the order of keys, from the place on where the page before ended.

// timeline is one page of the history of a type or of all.
type timeline struct {
	*reading
	q     *HistoryQuery
	after *place
	f     func(*Resource) error

	commits  recent
	segments []*tail
	given    int
	last     historyItem
}

// sameTime is how many rows of one time are sorted. It is more than are committed in a
// millisecond, and few enough to be in memory for a page. Of more rows the order is the
// same, so it does not matter on which side a group is for which page.
const sameTime = 4096

// errFull ends a page: there is at least one version more.
var errFull = errors.New("the page is full")

func (h *timeline) run() (Token, error) {
	bound := h.q.At.To - 1
	if h.after != nil {
		bound = min(bound, h.after.updated)
	}
	if err := h.open(bound); err != nil {
		return "", err
	}
	for {
		at, err := h.newest()
		if err != nil || at == math.MinInt64 || at < h.q.Since {
			return "", err
		}
		switch err := h.group(at); {
		case errors.Is(err, errFull):
			return tokenOf(&h.last), nil
		case err != nil:
			return "", err
		}
	}
}

// open finds what there is up to the time bound.
func (h *timeline) open(bound int64) error {
	for i := range h.v.m.Segments {
		seg := &h.v.m.Segments[i]
		typ, ok := r4.TypeByName(seg.ResourceType)
		if !ok || h.q.Type != 0 && h.q.Type != typ {
			continue
		}
		span, err := h.l.span(seg)
		if err != nil {
			return err
		}
		t := &tail{l: h.l, seg: seg, typ: typ, end: seg.Rows, span: span, at: span.last}
		if err := t.before(bound); err != nil {
			return err
		}
		h.segments = append(h.segments, t)
	}
	var err error
	h.commits, err = newRecent(h.delta, h.q.Type, bound, h.v.m.FoldedSeq)
	return err
}

// newest gives the time of the next group; MinInt64 when there is none.
func (h *timeline) newest() (int64, error) {
	at := int64(math.MinInt64)
	c, err := h.commits.peek()
	if err != nil {
		return 0, err
	}
	if c != nil {
		at = c.Updated
	}
	for _, t := range h.segments {
		if t.end > 0 {
			at = max(at, t.at)
		}
	}
	return at, nil
}

// group gives all versions of one time, or those after the place where the page
// begins, and takes them off.
func (h *timeline) group(at int64) error {
	var items []historyItem
	for {
		c, err := h.commits.peek()
		if err != nil {
			return err
		}
		if c == nil || c.Updated != at {
			break
		}
		items = append(items, *c)
		h.commits.take()
	}
	var runs []run
	rows := int64(0)
	for _, t := range h.segments {
		if t.end == 0 || t.at != at {
			continue
		}
		r := run{t: t, to: t.end}
		if err := t.before(at - 1); err != nil {
			return err
		}
		r.from = t.end
		runs = append(runs, r)
		rows += r.to - r.from
	}
	var after *historyItem
	if h.after != nil && h.after.updated == at {
		after = &historyItem{Version: delta.Version{Key: h.after.key, Number: h.after.number}}
	}
	if rows > sameTime {
		return h.inKeys(at, items, after)
	}
	for _, r := range runs {
		for row := r.from; row < r.to; row++ {
			it, ok, err := h.row(r.t, row)
			if err != nil {
				return err
			}
			if ok {
				items = append(items, it)
			}
		}
	}
	return h.sorted(items, after)
}

// run is the rows of one time in a segment: from up to to.
type run struct {
	t        *tail
	from, to int64
}

// sorted gives those versions of one time that come after another one, by key and
// falling number.
func (h *timeline) sorted(items []historyItem, after *historyItem) error {
	slices.SortFunc(items, compareItems)
	for i := range items {
		if after != nil && compareItems(items[i], *after) <= 0 {
			continue
		}
		if err := h.give(&items[i]); err != nil {
			return err
		}
	}
	return nil
}

func compareItems(a, b historyItem) int {
	return cmp.Or(cmp.Compare(a.Key[0], b.Key[0]), cmp.Compare(a.Key[1], b.Key[1]), cmp.Compare(b.Number, a.Number))
}

// inKeys does what sorted does, with what the delta has of a time and all that the
// snapshot has of it.
func (h *timeline) inKeys(at int64, commits []historyItem, after *historyItem) error {
	var from snapshot.Key
	if after != nil {
		from = after.Key
	}
	merge, err := h.v.index.MergeFrom(from)
	if err != nil {
		return err
	}
	slices.SortFunc(commits, compareItems)
	for {
		versions, err := merge.Next()
		if err != nil {
			return err
		}
		if versions == nil {
			return h.sorted(commits, after)
		}
		for i := range versions {
			e := &versions[i]
			seg := h.v.m.ByOrdinal(e.Address.Segment)
			if e.Updated != at || seg == nil || h.q.Type != 0 && h.q.Type.String() != seg.ResourceType {
				continue
			}
			it := historyItem{Version: delta.Version{Key: e.Key, Number: e.Version}}
			before, _ := slices.BinarySearchFunc(commits, it, compareItems)
			if err := h.sorted(commits[:before], after); err != nil {
				return err
			}
			commits = commits[before:]
			if after != nil && compareItems(it, *after) <= 0 {
				continue
			}
			if it, err = h.itemOf(e, seg); err != nil {
				return err
			}
			if err := h.give(&it); err != nil {
				return err
			}
		}
	}
}

// itemOf reads of which resource an entry of the id index is.
func (h *timeline) itemOf(e *snapshot.Entry, seg *snapshot.Segment) (historyItem, error) {
	typ, _ := r4.TypeByName(seg.ResourceType)
	var id string
	err := h.l.withLine(seg, int64(e.Address.Row), func(line []byte) error {
		head, err := snapshot.ReadHead(line, false)
		if id = string(head.ID); err == nil && h.l.Key(typ, id) != e.Key {
			err = fmt.Errorf("another resource than the id index says: %w", snapshot.ErrLine)
		}
		return err
	})
	if err != nil {
		return historyItem{}, rowError(seg, int64(e.Address.Row), err)
	}
	return historyItem{Version: version(e, typ, id), row: e.Address, far: true}, nil
}

// row gives the version in a row; ok is false when the row is none: it lost against
// another row of its import.
func (h *timeline) row(t *tail, row int64) (it historyItem, ok bool, err error) {
	var id string
	err = h.l.withLine(t.seg, row, func(line []byte) error {
		head, err := snapshot.ReadHead(line, false)
		id = string(head.ID)
		return err
	})
	if err != nil {
		return historyItem{}, false, rowError(t.seg, row, err)
	}
	at := snapshot.Address{Segment: t.seg.Ordinal, Row: uint32(row)}
	k := h.l.Key(t.typ, id)
	e, ok, err := h.v.latest(k)
	if err != nil || !ok {
		return historyItem{}, false, err
	}
	if e.Address != at {
		if h.found, err = h.v.versions(h.found[:0], k); err != nil {
			return historyItem{}, false, err
		}
		i := slices.IndexFunc(h.found, func(e snapshot.Entry) bool { return e.Address == at })
		if i < 0 {
			return historyItem{}, false, nil
		}
		e = h.found[i]
	}
	return historyItem{Version: version(&e, t.typ, id), row: at, far: true}, true, nil
}

// give calls the reader's func for a version, if the query asks for it.
func (h *timeline) give(it *historyItem) error {
	until := int64(math.MaxInt64)
	if h.q.At.From > math.MinInt64 {
		all, err := h.versions(it.Type, it.ID)
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].Number <= it.Number {
				break
			}
			until = all[i].Updated
		}
	}
	if !h.q.wants(it.Updated, until) {
		return nil
	}
	if h.given == h.q.Count {
		return errFull
	}
	h.given++
	h.last = *it
	return h.emit(it, h.f)
}

// recent reads the commits of the delta backwards, some at a time.
type recent struct {
	delta *delta.Snapshot
	which delta.Range // that are not read yet
	items []historyItem
	at    int
	ended bool
}

// recentStep is how many commits are read at once.
const recentStep = 256

// newRecent begins at the newest commit with a time up to bound. Commits up to folded
// are in the snapshot too, and read there.
func newRecent(snap *delta.Snapshot, t r4.TypeID, bound int64, folded uint64) (recent, error) {
	last, err := snap.SeqAt(bound)
	return recent{
		delta: snap, which: delta.Range{Type: t, After: folded, Before: last + 1, Newest: true}, ended: last <= folded,
	}, err
}

// peek gives the next commit; nil when there is none.
func (c *recent) peek() (*historyItem, error) {
	if c.at == len(c.items) && !c.ended {
		c.items, c.at = c.items[:0], 0
		for ch, err := range c.delta.Changes(c.which) {
			if err != nil {
				return nil, err
			}
			c.items = append(c.items, historyItem{Version: delta.Version{
				Type: ch.Type, ID: ch.ID, Number: ch.Number, Updated: ch.Updated, Key: ch.Key,
			}})
			if c.which.Before = ch.Seq; len(c.items) == recentStep {
				break
			}
		}
		c.ended = len(c.items) < recentStep || c.which.Before == 0
	}
	if c.at == len(c.items) {
		return nil, nil
	}
	return &c.items[c.at], nil
}

func (c *recent) take() { c.at++ }
