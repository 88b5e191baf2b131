package ndjson

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// reader is what a reader goroutine keeps from unit to unit.
type reader struct {
	source  *Source
	ctx     context.Context // ends with Close
	unit    *unit
	blk     *block // being filled, for inputs read from start to end
	scratch []byte

	buf  *bufio.Reader
	gzip *gzip.Reader
	zstd *zstd.Decoder
}

func (r *reader) close() {
	if r.zstd != nil {
		r.zstd.Close()
	}
}

// readInputs reads the unit's inputs one after the other. Small ones share a
// block.
func (r *reader) readInputs() error {
	r.blk = r.source.buffers.get()
	for _, in := range r.unit.inputs {
		if err := r.readInput(in); err != nil {
			return err
		}
	}
	blk := r.blk
	r.blk = nil
	return r.emit(blk)
}

// emit pushes a block, unless there is nothing in it.
func (r *reader) emit(blk *block) error {
	if blk.input == 0 && len(blk.records) == 0 {
		r.source.buffers.put(blk)
		return nil
	}
	return r.source.push(r.unit, blk)
}

func (r *reader) readInput(in input) (err error) {
	h, err := in.Open(r.ctx)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := h.Close(); err == nil {
			err = cerr
		}
	}()
	raw := &rawReader{r: h, total: &r.source.read}
	st := stream{
		reader: r, raw: raw,
		batch: r.source.opt.BatchSize, limit: r.source.opt.MaxLine,
		position: position{file: in.file, line: 1},
	}
	if err := st.open(); err != nil {
		return st.fault(err)
	}
	// A file is judged by its first bytes: let enough of them into the block.
	have := len(r.blk.data)
	if have > 0 && have+int(min(max(in.Size(), 0), int64(st.batch))) > st.batch || have > st.batch/2 && st.format != plain {
		if err := r.emit(r.blk); err != nil {
			return err
		}
		r.blk = r.source.buffers.get()
	}
	st.start = len(r.blk.data)
	if err := st.read(); err != nil {
		return err
	}
	if size := in.Size(); size >= 0 && raw.n != size {
		return &ChangedError{Name: in.Name(), What: fmt.Sprintf("it had %d bytes and now has %d", size, raw.n)}
	}
	return h.Unchanged()
}

// stream reads one input from start to end into the reader's block. Decisions
// are taken on full buffers only, so they do not depend on how many bytes a
// Read happened to give (invariant 1).
type stream struct {
	*reader
	position
	raw          *rawReader
	text         io.Reader // uncompressed
	format       format
	batch, limit int
	start        int // index in blk.data of the first byte that is not split
	eof          bool
}

func (st *stream) read() error {
	if err := st.fill(st.batch); err != nil {
		return err
	}
	if n := markLen(st.blk.data[st.start:]); n > 0 {
		st.start += n
		st.offset += int64(n)
		st.blk.input += int64(n)
	}
	if looksLikeDocument(st.blk.data[st.start:]) {
		if done, err := st.document(); done || err != nil {
			return err
		}
	}
	for {
		st.splitLines()
		if st.eof {
			st.lastLine()
			return nil
		}
		if st.start > 0 || len(st.blk.records) > 0 {
			if err := st.cut(); err != nil {
				return err
			}
		} else if err := st.longLine(); err != nil {
			return err
		}
		if err := st.fill(st.batch); err != nil {
			return err
		}
	}
}

// splitLines makes records of the whole lines in the block.
func (st *stream) splitLines() {
	before := st.offset
	st.start = st.split(st.blk, st.start, st.limit)
	st.blk.input += st.offset - before
}

// lastLine makes a record of what is left when the input has ended.
func (st *stream) lastLine() {
	if st.start < len(st.blk.data) {
		st.blk.data = append(st.blk.data, '\n')
		st.splitLines()
		st.blk.input--
	}
}

// fill reads until the block has n bytes or the input ends.
func (st *stream) fill(n int) error {
	st.blk.data = fit(st.blk.data, n)
	for len(st.blk.data) < n && !st.eof {
		if st.ctx.Err() != nil {
			return errClosed
		}
		m, err := st.text.Read(st.blk.data[len(st.blk.data):n])
		st.blk.data = st.blk.data[:len(st.blk.data)+m]
		switch {
		case err == nil:
		case err != io.EOF:
			return st.fault(err)
		case m == 0: // some readers give it with the last bytes, some later: always later here
			st.eof = true
		}
	}
	return nil
}

// cut ends the block before start and begins the next one with the rest.
func (st *stream) cut() error {
	old, next := st.blk, st.source.buffers.get()
	rest := old.data[st.start:]
	next.data = append(fit(next.data, len(rest)), rest...)
	old.data = old.data[:st.start]
	st.blk, st.start = next, 0
	return st.emit(old)
}

// longLine reads on to the end of a line that fills the block, and makes a block
// of it alone.
func (st *stream) longLine() error {
	for from := len(st.blk.data); ; {
		if from > st.limit {
			return st.skipLine()
		}
		if err := st.grow(); err != nil {
			return err
		}
		if i := bytes.IndexByte(st.blk.data[from:], '\n'); i >= 0 {
			if from+i > st.limit {
				return st.skipLine()
			}
			st.splitLines()
			return st.cut()
		}
		if st.eof {
			return nil // a last line without an end
		}
		from = len(st.blk.data)
	}
}

// grow reads one batch size more into the block. The buffer grows by a factor
// of 4, so little is copied; the part that is not used yet costs no memory,
// since the system gives fresh pages when they are touched.
func (st *stream) grow() error {
	data := st.blk.data
	n := len(data) + st.batch
	if cap(data) < n+tail {
		if err := st.source.waitTurn(st.unit); err != nil {
			return err
		}
		more := max(min(4*cap(data), st.limit+2*st.batch), n)
		st.blk.data = fit(data, more)
	}
	return st.fill(n)
}

// skipLine drops a line that is longer than the limit, in little memory.
func (st *stream) skipLine() error {
	blk := st.source.buffers.get()
	blk.issues, blk.input = st.blk.issues, st.blk.input
	rest := st.blk.data
	var length, end int64 // of the line and of its end
	for {
		i := bytes.IndexByte(rest, '\n')
		if i >= 0 {
			length += int64(i)
			rest, end = rest[i+1:], 1
			break
		}
		length += int64(len(rest))
		rest = nil
		if st.eof {
			break
		}
		blk.data = blk.data[:0]
		st.blk = blk // lets the big buffer go
		if err := st.fill(st.batch); err != nil {
			return err
		}
		rest = blk.data
	}
	keep := append([]byte(nil), rest...)
	blk.data = blk.data[:0]
	blk.reject(&st.position, length, st.limit)
	blk.data = append(blk.data, keep...)
	st.blk, st.start = blk, 0
	st.line++
	st.offset += length + end
	blk.input += length + end
	return nil
}

// document reads the rest of the input as one JSON document and makes one record
// of it. done is false when it turned out to be something else; the bytes read
// are then in the block.
func (st *stream) document() (done bool, err error) {
	var scan jsonScan
	for at := st.start; ; {
		n := scan.feed(st.blk.data[at:])
		if scan.broken || scan.closed && !blank(st.blk.data[at+n:]) {
			return false, nil
		}
		at = len(st.blk.data)
		if size := at - st.start; size > st.limit {
			return false, fmt.Errorf("%s: the file is one JSON document and longer than %d bytes; write it as NDJSON, one resource a line, or allow longer lines", st.file.Name, st.limit)
		}
		if st.eof {
			break
		}
		if st.start > 0 { // let the files before go
			at -= st.start
			if err := st.cut(); err != nil {
				return false, err
			}
		}
		if err := st.grow(); err != nil {
			return false, err
		}
	}
	text := st.blk.data[st.start:]
	blanks := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
	st.line += int64(bytes.Count(text[:blanks], []byte{'\n'}))
	first := bytes.LastIndexByte(text[:blanks], '\n') + 1
	st.blk.input += int64(len(text))
	st.blk.data = st.blk.data[:st.start+compact(text)]
	st.blk.records = append(st.blk.records, pipeline.Record{
		File: st.file, Line: st.line, Offset: st.offset + int64(first), Entry: -1, Document: true,
		Start: uint32(st.start), End: uint32(len(st.blk.data)), Root: fhir.NoNode,
	})
	st.blk.data = append(st.blk.data, '\n')
	return true, nil
}
