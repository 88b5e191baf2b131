package ndjson

import (
	"bytes"
	"fmt"
	"io"

	"github.com/fhirlake/fhirlake/pipeline"
)

const (
	// slack is read beyond the end of a range at once: it holds the rest of the
	// last line almost always.
	slack = 32 << 10
	// tail is kept free at the end of every buffer, for a line end that the file
	// lacks and the padding that a batch promises.
	tail = pipeline.Padding + 1
	// window is the step of a search for the end of a long line.
	window = 256 << 10
)

// readRange makes the block of the lines that start in the unit's range: no
// other unit is needed to know them (invariant 1).
func (r *reader) readRange() error {
	u, limit := r.unit, r.source.opt.MaxLine
	if r.source.closedNow() {
		return errClosed
	}
	blk := r.source.buffers.get()
	blk.relative = true
	// One byte more at the front tells whether a line starts at from.
	lo := max(u.from-1, 0)
	want := int(min(u.size, u.to+slack) - lo)
	blk.data = fit(blk.data[:0], want)[:want]
	if err := readFull(u, blk.data, lo); err != nil {
		return err
	}
	in := int(u.to - lo) // length of what belongs to the range
	start := 0
	if u.from > 0 {
		if start = bytes.IndexByte(blk.data[:in], '\n') + 1; start == 0 || start == in {
			r.source.buffers.put(blk)
			return nil // no line starts here
		}
	}
	p := position{file: u.file, line: 1, offset: lo + int64(start)}
	first := p.offset
	if u.from == 0 {
		n := markLen(blk.data)
		start += n
		p.offset += int64(n)
	}
	var long *block
	end := bytes.IndexByte(blk.data[in-1:], '\n')
	switch {
	case end >= 0:
		blk.data = blk.data[:in+end]
	case lo+int64(want) == u.size:
		blk.data = append(blk.data, '\n') // the last line has no end
	default:
		// The last line goes on behind the slack.
		lineStart := max(start, bytes.LastIndexByte(blk.data[:in], '\n')+1)
		length, err := r.lineLength(lo+int64(lineStart), lo+int64(want))
		if err != nil {
			return err
		}
		stop := lo + int64(lineStart) + length // of the line end, or the file's
		switch {
		case length > int64(limit):
			blk.data = blk.data[:lineStart]
			p.split(blk, start, limit)
			blk.reject(&p, length, limit)
			p.line++
			p.offset = min(stop+1, u.size)
			start = lineStart // all split
		case length >= int64(r.source.opt.BatchSize):
			blk.data = blk.data[:lineStart]
			long = &block{relative: true, deferred: length, offset: lo + int64(lineStart), lines: 1}
			long.input = min(stop+1, u.size) - long.offset
		default:
			blk.data = fit(blk.data, int(stop-lo))[:stop-lo]
			if err := readFull(u, blk.data[want:], lo+int64(want)); err != nil {
				return err
			}
			blk.data = append(blk.data, '\n')
		}
	}
	p.split(blk, start, limit)
	blk.lines = p.line - 1
	blk.input = min(p.offset, u.size) - first
	if blk.input > 0 {
		if err := r.source.push(u, blk); err != nil {
			return err
		}
	}
	if long != nil {
		return r.source.push(u, long)
	}
	return nil
}

// lineLength finds the end of the line that starts at start and has none before
// from. The bytes are not kept.
func (r *reader) lineLength(start, from int64) (int64, error) {
	if r.scratch == nil {
		r.scratch = make([]byte, window)
	}
	for size := r.unit.size; from < size; {
		if r.source.closedNow() {
			return 0, errClosed
		}
		w := r.scratch[:min(window, size-from)]
		if err := readFull(r.unit, w, from); err != nil {
			return 0, err
		}
		if i := bytes.IndexByte(w, '\n'); i >= 0 {
			return from + int64(i) - start, nil
		}
		from += int64(len(w))
	}
	return from - start, nil
}

// load reads a deferred line. It runs in Next, so that only one such line is in
// memory beside those that the runner has admitted (invariant 3).
func (b *block) load(u *unit, limit int) error {
	b.data = make([]byte, b.deferred, b.deferred+tail)
	if err := readFull(u, b.data, b.offset); err != nil {
		return err
	}
	b.data = append(b.data, '\n')
	p := position{file: u.file, line: 1, offset: b.offset}
	p.split(b, 0, limit)
	return nil
}

// fit gives data capacity for n bytes and the tail.
func fit(data []byte, n int) []byte {
	if cap(data) >= n+tail {
		return data
	}
	return append(make([]byte, 0, n+tail), data...)
}

// readFull reads buf at offset off of a file that must have so much (invariant 4).
func readFull(u *unit, buf []byte, off int64) error {
	n, err := u.handle.ReadAt(buf, off)
	switch {
	case n == len(buf):
		return nil
	case err == io.EOF:
		return &ChangedError{Name: u.file.Name, What: fmt.Sprintf("it ends at byte %d and had %d bytes", off+int64(n), u.size)}
	default:
		return readError(u.file.Name, off+int64(n), err)
	}
}

func (s *Source) closedNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
