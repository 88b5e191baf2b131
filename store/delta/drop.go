package delta

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// dropAtOnce is how many entries go with one batch, for a writer waits so long.
const dropAtOnce = 512

// Drop removes the entries up to the given Seq, which must be durable: a published
// snapshot has them now. It goes in small batches, the oldest first, so that
// writers hardly wait and at no moment a resource seems to have an older version
// than the newest that is left. When it ends early, by ctx or an error, the rest
// goes with the next Drop. One Drop runs at a time.
//
// Rows of versions are deleted one by one: their order is by resource, and a range
// of them could have one that was committed this moment. The rows that are ordered
// by Seq go as ranges.
func (s *Store) Drop(ctx context.Context, upTo uint64) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	s.drop.Lock()
	defer s.drop.Unlock()
	if last := s.durable.Load(); upTo > last {
		return fmt.Errorf("drop from delta store: up to %d, but %d is the last", upTo, last)
	}
	floor := s.floor.Load()
	if upTo <= floor {
		return nil
	}
	var updated int64
	for floor < upTo {
		if err := ctx.Err(); err != nil {
			return err
		}
		changes, err := s.nextChanges(floor, upTo)
		if err != nil {
			return damaged("drop from delta store", err)
		}
		if len(changes) == 0 {
			return fmt.Errorf("drop from delta store: %w: commits after %d are missing", ErrCorrupt, floor)
		}
		last := &changes[len(changes)-1]
		if err := s.dropVersions(changes); err != nil {
			return err
		}
		floor, updated = last.Seq, last.Updated
		s.floor.Store(floor)
	}
	return s.write(true, func(b *pebble.Batch) (uint64, error) {
		if err := b.DeleteRange(appendSeqKey(nil, 0), appendSeqKey(nil, upTo+1), nil); err != nil {
			return 0, err
		}
		for _, t := range r4.ResourceTypes() {
			// Also types that only a Drop had which ended early.
			if ok, err := s.hasType(t, upTo); err != nil {
				return 0, err
			} else if !ok {
				continue
			}
			if err := b.DeleteRange(appendTypeKey(nil, t, 0), appendTypeKey(nil, t, upTo+1), nil); err != nil {
				return 0, err
			}
		}
		return s.seq, b.Set(keyFloor, floorValue(upTo, updated), nil)
	})
}

// Reclaim gives back the disk that dropped entries take until the engine merges their
// tables by itself, and makes an end of their bytes in tables. It reads and writes all
// that is in the store.
func (s *Store) Reclaim(ctx context.Context) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	if err := s.refusal(); err != nil {
		return fmt.Errorf("reclaim delta store: %w", err)
	}
	if err := s.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		return damaged("reclaim delta store", err)
	}
	return nil
}

// hasType tells whether there is a row of a type up to a Seq.
func (s *Store) hasType(t r4.TypeID, upTo uint64) (ok bool, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendTypeKey(nil, t, 0), UpperBound: appendTypeKey(nil, t, upTo+1)})
	if err != nil {
		return false, err
	}
	ok = it.First()
	return ok, errors.Join(it.Error(), it.Close())
}

// nextChanges reads what the first commits after a Seq brought.
func (s *Store) nextChanges(after, upTo uint64) (changes []Change, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendSeqKey(nil, after+1), UpperBound: appendSeqKey(nil, upTo+1)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(changes) < dropAtOnce; ok = it.Next() {
		seq, err := seqOf(it.Key())
		if err != nil {
			return nil, err
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		var c Change
		if err := parseChange(seq, v, &c); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// dropVersions removes the versions of some changes and raises the floor.
func (s *Store) dropVersions(changes []Change) error {
	return s.write(false, func(b *pebble.Batch) (uint64, error) {
		var key [maxKey]byte
		for i := range changes {
			c := &changes[i]
			if err := b.Delete(appendVersionKey(key[:0], c.Type, c.ID, c.Number), nil); err != nil {
				return 0, err
			}
		}
		last := &changes[len(changes)-1]
		return s.seq, b.Set(keyFloor, floorValue(last.Seq, last.Updated), nil)
	})
}
