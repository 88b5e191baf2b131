package ndjson

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// format is how an input is compressed. The content tells, not the name.
type format uint8

const (
	plain format = iota
	gzipFormat
	zstdFormat
)

func (f format) String() string { return [...]string{"plain", "gzip", "zstd"}[f] }

// formatOf looks at the first four bytes of an input, or fewer.
func formatOf(head []byte) format {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952
		return gzipFormat
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878, 3.1.1
		return zstdFormat
	case len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.HasPrefix(head[1:], []byte{0x2a, 0x4d, 0x18}): // 3.1.2, skippable
		return zstdFormat
	}
	return plain
}

// maxWindow is the largest zstd window that is accepted, that of `zstd --long`.
const maxWindow = 128 << 20

// open finds the format and sets text.
func (st *stream) open() error {
	if st.buf == nil {
		st.buf = bufio.NewReaderSize(nil, 128<<10)
	}
	st.buf.Reset(st.raw)
	head, err := st.buf.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	switch st.format = formatOf(head); st.format {
	case gzipFormat:
		if st.gzip == nil {
			st.gzip = new(gzip.Reader)
		}
		st.text = st.gzip
		return st.gzip.Reset(st.buf)
	case zstdFormat:
		if st.zstd == nil {
			// One goroutine: other readers use the other cores.
			st.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return err
			}
		}
		st.text = st.zstd
		return st.zstd.Reset(st.buf)
	}
	st.text = st.buf
	return nil
}

// fault says where in which file a read failed.
func (st *stream) fault(err error) error {
	name := st.file.Name
	switch {
	case st.raw.err != nil && errors.Is(err, st.raw.err):
		return readError(name, st.raw.n, err)
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
		return fmt.Errorf("%s: the %s data ends too early, after byte %d of the file and line %d of the text: %w",
			name, st.format, st.raw.n, st.lines(), io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%s: the %s data is broken near byte %d of the file, after line %d of the text: %w",
		name, st.format, st.raw.n-int64(st.buf.Buffered()), st.lines(), err)
}

// lines counts the whole lines that have been read.
func (st *stream) lines() int64 {
	n := st.line - 1
	if st.blk != nil && st.start <= len(st.blk.data) {
		n += int64(bytes.Count(st.blk.data[st.start:], []byte{'\n'}))
	}
	return n
}

// rawReader counts what is read of an input as it is stored.
type rawReader struct {
	r     io.Reader
	n     int64
	total *atomic.Int64
	err   error // of r, but for io.EOF
}

func (r *rawReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	r.total.Add(int64(n))
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
