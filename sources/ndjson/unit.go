package ndjson

import (
	"context"
	"fmt"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// input is an object with its place in the order of inputs.
type input struct {
	Object
	file *pipeline.File
}

// unit is a piece of work for one reader.
type unit struct {
	inputs []input // to be read from start to end, one after the other

	// Or a byte range of one file: the lines that start in [from, to).
	handle   Handle // shared by the ranges of the file; closed after the last
	file     *pipeline.File
	size     int64
	from, to int64
	last     bool // the last range of the file

	// The rest is guarded by Source.mu until done.
	blocks []*block
	done   bool
	err    error
}

// block is what becomes a batch.
type block struct {
	data    []byte
	records []pipeline.Record
	issues  []pipeline.RecordIssue
	input   int64

	relative bool  // Line counts from the start of the block, which has so many lines:
	lines    int64 // for files read by ranges

	// When deferred > 0 the block is one long line of that many bytes without
	// its end, at this offset of its unit's file, still to be read.
	deferred int64
	offset   int64
}

func (b *block) size() int64 { return int64(cap(b.data)) }

// reject adds a record for a line that was longer than the limit.
func (b *block) reject(p *position, length int64, limit int) {
	n := uint32(len(b.data))
	b.records = append(b.records, pipeline.Record{
		File: p.file, Line: p.line, Offset: p.offset, Entry: -1,
		Start: n, End: n, Root: fhir.NoNode, Status: pipeline.Rejected,
	})
	b.issues = append(b.issues, pipeline.RecordIssue{
		Record: len(b.records) - 1,
		Issue: fhir.Issue{
			Severity: fhir.Fatal, Code: fhir.CodeTooLong,
			Diagnostics: fmt.Sprintf("the line has %d bytes, the limit is %d", length, limit),
		},
	})
}

// buffers keeps the memory of blocks.
type buffers struct {
	size, keep int
	mu         sync.Mutex
	free       []*block
}

func (l *buffers) get() *block {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		return b
	}
	return &block{data: make([]byte, 0, l.size)}
}

// put takes a block back whose buffers are not used any more.
func (l *buffers) put(b *block) {
	if cap(b.data) < l.size || cap(b.data) > 2*l.size {
		return // none, or that of a long line
	}
	*b = block{data: b.data[:0], records: b.records[:0]}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < l.keep {
		l.free = append(l.free, b)
	}
}

// plan cuts the inputs into units, in order.
func (s *Source) plan(ctx context.Context) {
	var (
		group []input
		bytes int64
	)
	flush := func() bool {
		if len(group) == 0 {
			return true
		}
		u := &unit{inputs: group}
		group, bytes = nil, 0
		return s.add(u)
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.planned = true
		s.ready.Broadcast()
		s.room.Broadcast()
	}()
	for i, o := range s.objects {
		in := input{o, &pipeline.File{Name: o.Name(), Index: i}}
		size := o.Size()
		weight := size
		if d, ok := o.(distant); ok {
			weight = max(size, d.requestCost())
		}
		if size < 0 || weight > int64(s.opt.BatchSize) || bytes+weight > int64(s.opt.BatchSize) {
			if !flush() {
				return
			}
		}
		group = append(group, in)
		bytes += weight
		if size >= 0 && size <= int64(s.opt.BatchSize) {
			continue
		}
		if size > rangesFrom*int64(s.opt.BatchSize) {
			handled, ok := s.planRanges(ctx, in)
			if !ok {
				return
			}
			if handled {
				group, bytes = nil, 0
				continue
			}
		}
		if !flush() {
			return
		}
	}
	flush()
}

// rangesFrom is how many batches a file must fill to be read by ranges.
const rangesFrom = 4

// planRanges makes units of a big file if it is plain lines. ok is false when
// the source is closed.
func (s *Source) planRanges(ctx context.Context, in input) (handled, ok bool) {
	fail := func(h Handle, err error) (bool, bool) {
		return true, s.add(&unit{handle: h, done: true, err: err})
	}
	h, err := in.Open(ctx)
	if err != nil {
		return fail(nil, err)
	}
	size := in.Size()
	plain, err := looksPlain(h, size, s.opt.BatchSize)
	if err != nil {
		return fail(h, readError(in.Name(), 0, err))
	}
	if !plain {
		h.Close() // a reader opens it again: compressed, a document, or hard to tell
		return false, true
	}
	step := int64(s.opt.BatchSize)
	for from := int64(0); from < size; from += step {
		u := &unit{handle: h, file: in.file, size: size, from: from, to: min(from+step, size)}
		u.last = u.to == size
		if !s.add(u) {
			h.Close()
			return true, false
		}
	}
	return true, true
}

// add appends a unit when there is room. It is false when the source is closed.
func (s *Source) add(u *unit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	// So many that a reader finds one when it has finished, with some to spare
	// for units of very unlike cost.
	for !s.closed && len(s.units) >= 4*s.opt.Readers {
		s.room.Wait()
	}
	if s.closed {
		return false
	}
	s.units = append(s.units, u)
	if u.done {
		s.ready.Signal()
	}
	s.room.Broadcast()
	return true
}

// readUnits is a reader goroutine.
func (s *Source) readUnits(ctx context.Context) {
	r := reader{source: s, ctx: ctx}
	defer r.close()
	for {
		u := s.takeUnit()
		if u == nil {
			return
		}
		r.unit = u
		var err error
		if u.handle != nil {
			err = r.readRange()
		} else {
			err = r.readInputs()
		}
		s.mu.Lock()
		u.done, u.err = true, err
		s.ready.Signal()
		s.mu.Unlock()
	}
}

func (s *Source) takeUnit() *unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return nil
		}
		for s.fresh < len(s.units) {
			u := s.units[s.fresh]
			s.fresh++
			if !u.done { // born with an error
				return u
			}
		}
		if s.planned {
			return nil
		}
		s.room.Wait()
	}
}

// push hands a block to Next; it waits while too much is read ahead (invariant
// 3). The unit that Next reads may always have one block waiting, else a
// read-ahead of later units could stop everything.
func (s *Source) push(u *unit, b *block) error {
	n := b.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		first := s.units[0] == u
		limit := s.opt.ReadAhead
		if !first {
			limit -= limit / 4 // keep some for the one that is needed now
		}
		if s.queued+n <= limit || first && len(u.blocks) == 0 {
			u.blocks = append(u.blocks, b)
			s.queued += n
			if first {
				s.ready.Signal()
			}
			return nil
		}
		s.room.Wait()
	}
	return errClosed
}

// waitTurn waits until Next has taken everything before the block that u is
// about to make, and asks for it: its caller has room for more then.
func (s *Source) waitTurn(u *unit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		if s.wanted && s.units[0] == u && len(u.blocks) == 0 {
			return nil
		}
		s.room.Wait()
	}
	return errClosed
}
