package delta

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Commit writes entries as one durable, atomic batch and sets their Seq and
// Updated, which is the time of the commit. stamp, unless it is nil, is called
// with that time when the batch's place in the order of commits is certain, and
// sets what depends on it: JSON has meta.lastUpdated in it. It must be quick, for
// other commits wait meanwhile, and must not call the store. Its error ends the
// commit.
//
// Concurrent calls share an fsync. The caller sees to it that a version is
// written once and the numbers of a resource rise. Commit returns ErrNoSpace,
// ErrReadOnly, ErrClosed or a *DuplicateKeyError, wrapped; then nothing was
// written, but for ErrReadOnly, after which a batch may turn up whole when the
// store is opened anew.
func (s *Store) Commit(entries []Entry, stamp func(updated int64) error) error {
	return s.apply(entries, true, func() error {
		// The clock may fall; the order of commits does not.
		now := max(s.opts.Now().UnixMilli()*1000, s.updated)
		for i := range entries {
			entries[i].Updated = now
		}
		if stamp == nil {
			return nil
		}
		return stamp(now)
	})
}

// Apply is Commit for entries that have their times already: those are whole
// milliseconds, not before the last commit's and not falling. Without sync it
// returns early: the entries become durable, and readable, with the next synced
// batch or Sync.
func (s *Store) Apply(entries []Entry, sync bool) error {
	return s.apply(entries, sync, func() error {
		last := s.updated
		for i := range entries {
			if at := entries[i].Updated; at < last || at%1000 != 0 {
				return fmt.Errorf("delta entry: time %d after %d, want whole milliseconds that do not fall", at, last)
			}
			last = entries[i].Updated
		}
		return nil
	})
}

// Sync makes all durable, and readable, that was applied before.
func (s *Store) Sync() error {
	return s.write(true, func(b *pebble.Batch) (uint64, error) { return s.seq, b.LogData(nil, nil) })
}

func (s *Store) apply(entries []Entry, sync bool, prepare func() error) error {
	if len(entries) == 0 {
		return nil
	}
	err := s.write(sync, func(b *pebble.Batch) (uint64, error) {
		if err := prepare(); err != nil {
			return 0, err
		}
		size := 0
		for i := range entries {
			e := &entries[i]
			if err := e.check(); err != nil {
				return 0, err
			}
			if err := s.checkIdempotency(entries, i); err != nil {
				return 0, err
			}
			if size += valueSize(e); size > MaxBatch {
				return 0, fmt.Errorf("delta batch: more than %d bytes", MaxBatch)
			}
			e.Seq = s.seq + uint64(i) + 1
			if err := put(b, e); err != nil {
				return 0, err
			}
		}
		last := &entries[len(entries)-1]
		var mark [markSize]byte
		if err := b.LogData(appendMark(mark[:0], s.durable.Load(), last.Seq), nil); err != nil {
			return 0, err
		}
		s.seq, s.updated = last.Seq, last.Updated
		return last.Seq, nil
	})
	var dup *DuplicateKeyError
	if errors.As(err, &dup) && dup.seq > s.durable.Load() {
		// What it names may still be on its way to the disk (rule 2).
		if err := s.Sync(); err != nil {
			return err
		}
	}
	return err
}

// put adds the rows of an entry to a batch, built in the batch's own memory.
func put(b *pebble.Batch, e *Entry) error {
	var key [maxKey]byte
	k := appendVersionKey(key[:0], e.Type, e.ID, e.Number)
	op := b.SetDeferred(len(k), valueSize(e))
	copy(op.Key, k)
	appendValue(op.Value[:0], k, e)
	if err := op.Finish(); err != nil {
		return err
	}
	var buf [changeSize + maxKey]byte
	change := appendChange(buf[:0], e)
	if err := b.Set(appendSeqKey(key[:0], e.Seq), change, nil); err != nil {
		return err
	}
	if err := b.Set(appendTypeKey(key[:0], e.Type, e.Seq), nil, nil); err != nil {
		return err
	}
	if e.Idempotency.Key == "" {
		return nil
	}
	return putIdempotency(b, e, change)
}

// write fills a batch, which is empty at first, and gives it to the engine. fill
// runs alone and tells which Seq is the last in the log then. With sync, write
// waits for the disk, outside of the lock, so that one fsync serves all who wait.
func (s *Store) write(sync bool, fill func(*pebble.Batch) (seq uint64, err error)) error {
	if err := s.enter(); err != nil {
		return fmt.Errorf("write delta store: %w", err)
	}
	b := s.db.NewBatch()
	seq, err := fill(b)
	if err == nil {
		s.sinceLook += int64(b.Len())
		if sync {
			err = s.db.ApplyNoSyncWait(b, pebble.Sync)
		} else {
			err = s.db.Apply(b, pebble.NoSync)
		}
		if err != nil {
			s.guard.fail(err)
		}
	}
	<-s.writing
	if err != nil {
		return fmt.Errorf("write delta store: %w", errors.Join(err, b.Close()))
	}
	if sync {
		if err := b.SyncWait(); err != nil {
			s.guard.fail(err)
		}
	}
	if err := s.guard.failure(); err != nil {
		return fmt.Errorf("write delta store: %w", err) // the engine knows nothing of it
	}
	if sync {
		raise(&s.durable, seq)
	}
	return b.Close()
}

// raise makes a at least v.
func raise(a *atomic.Uint64, v uint64) {
	for old := a.Load(); old < v && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// lookEvery is how many bytes are written between looks at the disk's free space
// and the engine's backlog.
const lookEvery = 256 << 10

// enter takes the writers' lock, or tells why nothing is written now.
func (s *Store) enter() error {
	select {
	case s.writing <- struct{}{}:
	default:
		if err := s.waitToWrite(); err != nil {
			return err
		}
	}
	err := s.refusal()
	if err == nil && (s.sinceLook >= lookEvery || s.guard.full.Load()) {
		s.sinceLook = 0
		if err = s.guard.room(); err == nil {
			err = s.awaitBacklog()
		}
	}
	if err != nil {
		<-s.writing
	}
	return err
}

// refusal tells why the store takes no writes, whatever the room.
func (s *Store) refusal() error {
	select {
	case <-s.guard.closing:
		return ErrClosed
	default:
		return s.guard.failure()
	}
}

// awaitBacklog holds writers back while too much waits for the disk. The engine
// would do it itself, but on a full disk it would hold them for ever.
func (s *Store) awaitBacklog() error {
	for {
		m := s.db.Metrics()
		if m.MemTable.Size < uint64(s.opts.Memory/2) && m.Levels[0].Sublevels < maxSublevels {
			return nil
		}
		time.Sleep(backlogPause)
		if err := s.refusal(); err != nil {
			return err
		}
		if s.guard.full.Load() {
			return ErrNoSpace
		}
	}
}

func (s *Store) waitToWrite() error {
	tick := time.NewTicker(fullPause)
	defer tick.Stop()
	for {
		select {
		case s.writing <- struct{}{}:
			return nil
		case <-tick.C:
			if err := s.refusal(); err != nil {
				return err
			}
			if s.guard.full.Load() {
				return ErrNoSpace
			}
		}
	}
}
