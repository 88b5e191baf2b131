package delta

import (
	"fmt"
	"iter"
	"sort"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A Snapshot is the store as it was at one moment, for compaction, history and
// backup: what is written or dropped later does not change it. It keeps what it
// shows on disk, so it is closed soon. It is safe for concurrent use.
type Snapshot struct {
	s     *Store
	view  *pebble.Snapshot
	upTo  uint64 // the last Seq that is shown
	floor uint64 // the last Seq that was dropped

	closed atomic.Bool
}

// Snapshot takes a view of all that is durable now.
func (s *Store) Snapshot() (*Snapshot, error) {
	end, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	v := &Snapshot{s: s, upTo: s.durable.Load()} // before the view, which then has all up to it
	v.view = s.db.NewSnapshot()
	if v.floor, _, err = readFloor(v.view); err != nil {
		v.view.Close()
		return nil, damaged("snapshot of the delta store", err)
	}
	s.snapshots.Add(1)
	return v, nil
}

// Close lets go of the view. No iteration may be under way. A second Close does
// nothing but return ErrClosed.
func (v *Snapshot) Close() error {
	if v.closed.Swap(true) {
		return ErrClosed
	}
	defer v.s.snapshots.Add(-1)
	return v.view.Close()
}

// Seq returns the Seq of the last entry of the view.
func (v *Snapshot) Seq() uint64 { return v.upTo }

// Dropped returns the Seq up to which entries were dropped before the view.
func (v *Snapshot) Dropped() uint64 { return v.floor }

// Latest is [Store.Latest] of this view.
func (v *Snapshot) Latest(t r4.TypeID, id string, dst []byte) (Entry, bool, error) {
	return readVersion(v.view, v.upTo, t, id, 1<<32-1, false, dst)
}

// ByNumber is [Store.ByNumber] of this view.
func (v *Snapshot) ByNumber(t r4.TypeID, id string, number uint32, dst []byte) (Entry, bool, error) {
	return readVersion(v.view, v.upTo, t, id, number, true, dst)
}

// Resource iterates over the versions of one resource, the newest first. An
// error is given once, as the last pair. JSON and the data of Beside of an entry are the
// engine's memory, and valid until the next step.
func (v *Snapshot) Resource(t r4.TypeID, id string) iter.Seq2[*Entry, error] {
	return v.versions(appendResourcePrefix(nil, t, id))
}

// Resources iterates over all versions of all resources of type t, or of all types
// when t is 0: types by name, in them ids by their bytes, in them numbers falling.
// For errors and memory see [Snapshot.Resource].
func (v *Snapshot) Resources(t r4.TypeID) iter.Seq2[*Entry, error] {
	prefix := []byte{spaceVersion}
	if t != 0 {
		prefix = append(append(prefix, r4.TypeAt(t).Name...), 0)
	}
	return v.versions(prefix)
}

func (v *Snapshot) versions(prefix []byte) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		fail := func(err error) { yield(nil, damaged("read delta store", err)) }
		it, err := v.view.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
		if err != nil {
			fail(err)
			return
		}
		defer it.Close()
		var e Entry
		var id []byte // of e, to make one string for all versions of a resource
		for ok := it.First(); ok; ok = it.Next() {
			value, err := it.ValueAndErr()
			if err == nil {
				err = parseValue(it.Key(), value, &e)
			}
			if err != nil {
				fail(err)
				return
			}
			if e.Seq > v.upTo {
				continue
			}
			t, i, n, err := parseVersionKey(it.Key())
			if err != nil {
				fail(err)
				return
			}
			if string(id) != string(i) {
				id = append(id[:0], i...)
				e.ID = string(i)
			}
			e.Type, e.Number = t, n
			if !yield(&e, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			fail(err)
		}
	}
}

// after returns the first key behind all that begin with prefix, which ends in
// something less than 0xff.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	end[len(end)-1]++
	return end
}

// A Range chooses commits.
type Range struct {
	Type   r4.TypeID // 0: all
	After  uint64    // the Seq after which it begins
	Before uint64    // the Seq before which it ends; 0: no end
	Newest bool      // the newest first
}

// Changes iterates over the versions that were committed in a range, without
// their contents. An error is given once, as the last pair.
func (v *Snapshot) Changes(r Range) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if err := v.changes(r, func(c Change) bool { return yield(c, nil) }); err != nil {
			yield(Change{}, damaged("read delta store", err))
		}
	}
}

func (v *Snapshot) changes(r Range, yield func(Change) bool) error {
	low, high := max(r.After, v.floor)+1, v.upTo+1
	if r.Before != 0 {
		high = min(high, r.Before)
	}
	if low >= high {
		return nil
	}
	bounds := pebble.IterOptions{LowerBound: appendSeqKey(nil, low), UpperBound: appendSeqKey(nil, high)}
	if r.Type != 0 {
		bounds = pebble.IterOptions{LowerBound: appendTypeKey(nil, r.Type, low), UpperBound: appendTypeKey(nil, r.Type, high)}
	}
	it, err := v.view.NewIter(&bounds)
	if err != nil {
		return err
	}
	defer it.Close()
	first, next := it.First, it.Next
	if r.Newest {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		seq, err := seqOf(it.Key())
		if err != nil {
			return err
		}
		var c Change
		if r.Type != 0 {
			c, err = v.change(seq)
		} else {
			var value []byte
			if value, err = it.ValueAndErr(); err == nil {
				err = parseChange(seq, value, &c)
			}
		}
		if err != nil {
			return err
		}
		if !yield(c) {
			return nil
		}
	}
	return it.Error()
}

// change reads what one Seq brought.
func (v *Snapshot) change(seq uint64) (c Change, err error) {
	value, closer, err := v.view.Get(appendSeqKey(nil, seq))
	if err != nil {
		return c, fmt.Errorf("%w: commit %d: %w", ErrCorrupt, seq, err)
	}
	defer closer.Close()
	return c, parseChange(seq, value, &c)
}

// Commits iterates over the entries that were committed in a range. For errors and
// memory see [Snapshot.Resource].
func (v *Snapshot) Commits(r Range) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		var e Entry
		var failed error
		err := v.changes(r, func(c Change) bool {
			var more bool
			more, failed = v.entry(c, &e, func() bool { return yield(&e, nil) })
			return more && failed == nil
		})
		if failed != nil {
			err = failed
		}
		if err != nil {
			yield(nil, damaged("read delta store", err))
		}
	}
}

// entry reads the entry of a change into e, for the duration of use.
func (v *Snapshot) entry(c Change, e *Entry, use func() bool) (bool, error) {
	var buf [maxKey]byte
	key := appendVersionKey(buf[:0], c.Type, c.ID, c.Number)
	value, closer, err := v.view.Get(key)
	if err != nil {
		return false, fmt.Errorf("%w: the version of commit %d: %w", ErrCorrupt, c.Seq, err)
	}
	defer closer.Close()
	if err := parseValue(key, value, e); err != nil {
		return false, err
	}
	if e.Seq != c.Seq {
		return false, fmt.Errorf("%w: commit %d leads to commit %d", ErrCorrupt, c.Seq, e.Seq)
	}
	e.Type, e.ID, e.Number = c.Type, c.ID, c.Number
	return use(), nil
}

// SeqAt returns the last Seq whose entry was committed at or before a time, in UTC
// microseconds, or Dropped when all are later. Times do not fall with Seq (rule 3),
// so it halves.
func (v *Snapshot) SeqAt(at int64) (uint64, error) {
	var failed error
	n := sort.Search(int(v.upTo-v.floor), func(i int) bool {
		c, err := v.change(v.floor + 1 + uint64(i))
		if err != nil {
			failed = err
			return true
		}
		return c.Updated > at
	})
	if failed != nil {
		return 0, damaged("read delta store", failed)
	}
	return v.floor + uint64(n), nil
}
