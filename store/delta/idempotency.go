package delta

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// An idempotency key lies in two rows: under the key, with its expiry and the
// change that it brought, and under its expiry, to find what has expired.

func putIdempotency(b *pebble.Batch, e *Entry, change []byte) error {
	var key [1 + 8 + MaxIdempotencyKey]byte
	v := binary.LittleEndian.AppendUint64(nil, uint64(e.Idempotency.Expires))
	v = append(binary.LittleEndian.AppendUint64(v, e.Seq), change...)
	if err := b.Set(appendIdemKey(key[:0], e.Idempotency.Key), v, nil); err != nil {
		return err
	}
	return b.Set(appendExpiryKey(key[:0], e.Idempotency.Expires, e.Idempotency.Key), nil, nil)
}

// lookIdempotency gives what a key was used for and when it expires.
func (s *Store) lookIdempotency(key string) (c Change, expires int64, ok bool, err error) {
	var buf [1 + MaxIdempotencyKey]byte
	v, closer, err := s.db.Get(appendIdemKey(buf[:0], key))
	if errors.Is(err, pebble.ErrNotFound) {
		return c, 0, false, nil
	}
	if err != nil {
		return c, 0, false, damaged("read an idempotency key", err)
	}
	defer closer.Close()
	if len(v) < 16 {
		return c, 0, false, fmt.Errorf("%w: an idempotency key is cut short", ErrCorrupt)
	}
	err = parseChange(binary.LittleEndian.Uint64(v[8:]), v[16:], &c)
	return c, int64(binary.LittleEndian.Uint64(v)), err == nil, err
}

// checkIdempotency refuses an entry whose key was used before, in the store or
// earlier in the batch.
func (s *Store) checkIdempotency(batch []Entry, i int) error {
	key := batch[i].Idempotency.Key
	if key == "" {
		return nil
	}
	for j := range batch[:i] {
		if o := &batch[j]; o.Idempotency.Key == key {
			return &DuplicateKeyError{Index: i, Type: o.Type, ID: o.ID, Number: o.Number}
		}
	}
	c, expires, ok, err := s.lookIdempotency(key)
	if err != nil || !ok || expires <= s.opts.Now().UnixMicro() {
		return err
	}
	return &DuplicateKeyError{Index: i, Type: c.Type, ID: c.ID, Number: c.Number, seq: c.Seq}
}

// purgeAtOnce is how many expired keys go with one batch.
const purgeAtOnce = 256

// PurgeIdempotency removes the idempotency keys that have expired and tells how
// many. An expired key hinders nothing, so this is about room only.
func (s *Store) PurgeIdempotency(ctx context.Context) (removed int, err error) {
	end, err := s.begin()
	if err != nil {
		return 0, err
	}
	defer end()
	for {
		n := 0
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		err := s.write(false, func(b *pebble.Batch) (_ uint64, err error) {
			n, err = s.purge(b)
			return s.seq, err
		})
		removed += n
		if err != nil || n < purgeAtOnce {
			return removed, err
		}
	}
}

// purge adds the removal of some expired keys to b.
func (s *Store) purge(b *pebble.Batch) (n int, err error) {
	now := s.opts.Now().UnixMicro()
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceExpiry},
		UpperBound: appendExpiryKey(nil, now+1, ""),
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && n < purgeAtOnce; ok = it.Next() {
		if len(it.Key()) < 9 {
			return n, fmt.Errorf("%w: the expiry of an idempotency key is cut short", ErrCorrupt)
		}
		key := string(it.Key()[9:])
		_, expires, found, err := s.lookIdempotency(key)
		if err != nil {
			return n, err
		}
		if found && expires <= now { // else it was used anew since
			if err := b.Delete(appendIdemKey(nil, key), nil); err != nil {
				return n, err
			}
		}
		if err := b.Delete(it.Key(), nil); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
