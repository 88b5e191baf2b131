package delta

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A Problem is one thing that is wrong with a store on disk.
type Problem struct {
	File string // the damaged file, where one is known
	Err  error
}

func (p Problem) Error() string {
	if p.File == "" {
		return p.Err.Error()
	}
	return p.File + ": " + p.Err.Error()
}

// Checked tells how much a check has seen.
type Checked struct {
	Tables  int
	Entries uint64
}

// Check reads all of the closed store in dir and reports what is damaged: tables
// and logs whose checksums are wrong, and rows that do not agree. It changes
// nothing. It returns ErrLocked while the store is open (see [Store.Check]) and an
// error when the check cannot be done.
//
// What no check can tell from a batch that was never acknowledged is damage at the
// very end of the last log of a store that was not closed.
func Check(ctx context.Context, dir string, o Options, report func(Problem)) (Checked, error) {
	s, err := open(dir, o, true)
	if errors.Is(err, ErrLocked) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return Checked{}, err
	}
	if err != nil {
		report(problem(err))
		return Checked{}, nil
	}
	defer s.Close()
	tables, err := s.checkTables(ctx, report)
	if err != nil {
		return Checked{Tables: tables}, err
	}
	done, err := s.Check(ctx, report)
	done.Tables = tables
	return done, err
}

// problem makes a Problem of an error, with the file where it names one.
func problem(err error) Problem {
	var d *damage
	if errors.As(err, &d) {
		return Problem{File: d.file, Err: fmt.Errorf("%w: %w", ErrCorrupt, d.cause)}
	}
	return Problem{Err: err}
}

// checkTables verifies the checksum of each block of each table, whether or not
// something still reads it.
func (s *Store) checkTables(ctx context.Context, report func(Problem)) (n int, err error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return 0, fmt.Errorf("check delta store: %w", err)
	}
	seen := map[string]bool{}
	for _, level := range levels {
		for _, t := range level {
			name := fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum))
			if seen[name] {
				continue
			}
			seen[name] = true
			if err := ctx.Err(); err != nil {
				return n, err
			}
			n++
			if err := s.checkTable(ctx, s.opts.fs.PathJoin(s.dir, name)); err != nil {
				report(problem(&damage{name, err}))
			}
		}
	}
	return n, nil
}

func (s *Store) checkTable(ctx context.Context, name string) error {
	f, err := s.opts.fs.Open(name)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	o := s.opts.pebble(s.guard, true)
	o.EnsureDefaults()
	r, err := sstable.NewReader(ctx, readable, o.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(checkBlocks(ctx, r, readable), r.Close())
}

// checkBlocks verifies the checksum of all blocks. The engine's own
// ValidateBlockChecksums leaves out value blocks, where older versions lie.
func checkBlocks(ctx context.Context, r *sstable.Reader, from objstorage.Readable) error {
	l, err := r.Layout()
	if err != nil {
		return err
	}
	blocks := []block.Handle{l.TopIndex, l.RangeDel, l.RangeKey, l.ValueIndex, l.Properties, l.MetaIndex, l.BlobReferenceIndex}
	blocks = append(append(blocks, l.Index...), l.ValueBlock...)
	for i := range l.Data {
		blocks = append(blocks, l.Data[i].Handle)
	}
	for i := range l.Filter {
		blocks = append(blocks, l.Filter[i].Handle)
	}
	slices.SortFunc(blocks, func(a, b block.Handle) int { return cmp.Compare(a.Offset, b.Offset) })
	var buf []byte
	for _, b := range blocks {
		if b.Length == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n := int(b.Length) + block.TrailerLen
		buf = slices.Grow(buf[:0], n)[:n]
		if err := from.ReadAt(ctx, buf, int64(b.Offset)); err != nil {
			return err
		}
		if err := block.ValidateChecksum(block.ChecksumTypeCRC32c, buf, b); err != nil {
			return err
		}
	}
	return nil
}

// Check walks through all entries of an open store and reports where they do not
// agree with their checksums or with one another. Writing goes on meanwhile.
func (s *Store) Check(ctx context.Context, report func(Problem)) (Checked, error) {
	v, err := s.Snapshot()
	if err != nil {
		return Checked{}, fmt.Errorf("check delta store: %w", err)
	}
	defer v.Close()
	c := checker{ctx: ctx, v: v, report: report, seen: make([]uint64, (v.upTo-v.floor)/64+1)}
	for _, walk := range []func() error{c.versions, c.commits, c.types, c.idempotency} {
		if err := walk(); err != nil {
			if ctx.Err() != nil {
				return c.done, ctx.Err()
			}
			report(problem(engineError(err))) // the rest of the space cannot be read
		}
	}
	return c.done, nil
}

// checker is one walk through a view. A walk returns an error when it cannot go on
// in its space; what is wrong with one row it reports.
type checker struct {
	ctx    context.Context
	v      *Snapshot
	report func(Problem)
	done   Checked
	seen   []uint64 // a bit for each Seq above the floor that has a version
}

func (c *checker) fault(format string, args ...any) {
	c.report(problem(fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)))
}

// rows calls visit for each row of a space.
func (c *checker) rows(space byte, visit func(key, value []byte)) error {
	it, err := c.v.view.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%1024 == 0 && c.ctx.Err() != nil {
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		visit(it.Key(), value)
	}
	return errors.Join(c.ctx.Err(), it.Error(), it.Close())
}

// versions checks that each version agrees with its checksum, that no Seq has two,
// and that Seq rises with the numbers of a resource.
func (c *checker) versions() error {
	var last []byte // prefix of the version before
	var newer uint64
	return c.rows(spaceVersion, func(key, value []byte) {
		var e Entry
		_, _, number, err := parseVersionKey(key)
		if err == nil {
			err = parseValue(key, value, &e)
		}
		if err != nil {
			c.fault("%w", err)
			return
		}
		if e.Seq > c.v.upTo {
			return
		}
		c.done.Entries++
		if e.Seq <= c.v.floor {
			c.fault("the version of commit %d is there, but up to %d all were dropped", e.Seq, c.v.floor)
			return
		}
		prefix := key[:splitKey(key)]
		if string(prefix) == string(last) && e.Seq >= newer {
			c.fault("version %d of commit %d has a newer one of commit %d", number, e.Seq, newer)
		}
		last, newer = append(last[:0], prefix...), e.Seq
		at := e.Seq - c.v.floor - 1
		if c.seen[at/64]&(1<<(at%64)) != 0 {
			c.fault("commit %d has two versions", e.Seq)
		}
		c.seen[at/64] |= 1 << (at % 64)
	})
}

// commits checks that no Seq is missing, that times do not fall, and that each
// commit leads to its version.
func (c *checker) commits() error {
	next, last := c.v.floor+1, int64(0)
	err := c.rows(spaceSeq, func(key, value []byte) {
		seq, err := seqOf(key)
		if err != nil {
			c.fault("%w", err)
			return
		}
		if seq <= c.v.floor || seq > c.v.upTo {
			return
		}
		if seq != next {
			c.fault("commits %d to %d are missing", next, seq-1)
		}
		next = seq + 1
		var ch Change
		if err := parseChange(seq, value, &ch); err != nil {
			c.fault("%w", err)
			return
		}
		if ch.Updated < last {
			c.fault("commit %d is of an earlier time than the one before", seq)
		}
		last = ch.Updated
		if at := seq - c.v.floor - 1; c.seen[at/64]&(1<<(at%64)) == 0 {
			c.fault("commit %d has no version", seq)
			return
		}
		var e Entry
		_, err = c.v.entry(ch, &e, func() bool {
			if e.Updated != ch.Updated || e.Key != ch.Key {
				c.fault("commit %d and its version differ", seq)
			}
			return true
		})
		if err != nil {
			c.fault("%w", err)
		}
	})
	if err == nil && next <= c.v.upTo {
		c.fault("commits %d to %d are missing", next, c.v.upTo)
	}
	return err
}

// types checks that the order of each type has the commits of that type, all of
// them and no other.
func (c *checker) types() error {
	count := uint64(0)
	err := c.rows(spaceType, func(key, _ []byte) {
		seq, err := seqOf(key)
		if err != nil {
			c.fault("%w", err)
			return
		}
		if seq <= c.v.floor || seq > c.v.upTo {
			return
		}
		count++
		ch, err := c.v.change(seq)
		if err != nil {
			c.fault("%w", err)
		} else if name := key[1 : len(key)-9]; string(name) != r4.TypeAt(ch.Type).Name {
			c.fault("commit %d is listed under another type", seq)
		}
	})
	if want := c.v.upTo - c.v.floor; err == nil && count != want {
		c.fault("%d commits are listed by type, and %d there are", count, want)
	}
	return err
}

func (c *checker) idempotency() error {
	return c.rows(spaceIdem, func(_, value []byte) {
		if len(value) < 16 {
			c.fault("an idempotency key is cut short")
			return
		}
		var ch Change
		if err := parseChange(binary.LittleEndian.Uint64(value[8:]), value[16:], &ch); err != nil {
			c.fault("an idempotency key: %w", err)
		}
	})
}
