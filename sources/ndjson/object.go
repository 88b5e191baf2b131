package ndjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// An Object is one input: a file, or an object of a bucket or another server. Its
// methods may be called from several goroutines.
type Object interface {
	Name() string // as messages and reports name it
	Size() int64  // when it was listed; -1 when it cannot be known
	Open(ctx context.Context) (Handle, error)
}

// A Handle is an open [Object]. Either Read is used, by one goroutine, or
// ReadAt, by many; never ReadAt when the size is not known. Unchanged is asked
// when all has been read: it gives a [ChangedError] when the object is not what
// was listed. Errors of Open and Unchanged name the object; those of reads need
// not, and one that does has a method Place() string, so that it is not named twice.
type Handle interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Unchanged() error
}

// ChangedError says that an input changed while it was read.
type ChangedError struct {
	Name string
	What string
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s: the file changed while it was read: %s; start again when nothing writes to it", e.Name, e.What)
}

// Place is the object.
func (e *ChangedError) Place() string { return e.Name }

// readError says which object could not be read, and where in it.
func readError(name string, at int64, err error) error {
	var placed interface{ Place() string }
	if errors.As(err, &placed) {
		return err
	}
	return fmt.Errorf("%s: read at byte %d: %w", name, at, err)
}

// localFile is a regular file.
type localFile struct {
	name, path string
	info       fs.FileInfo // when it was listed
}

func (f *localFile) Name() string { return f.name }
func (f *localFile) Size() int64  { return f.info.Size() }

func (f *localFile) Open(context.Context) (Handle, error) {
	h, err := os.Open(f.path)
	if err != nil {
		return nil, inputError(f.path, err)
	}
	open := &openFile{File: h, of: f}
	if err := open.Unchanged(); err != nil {
		h.Close()
		return nil, err
	}
	return open, nil
}

type openFile struct {
	*os.File
	of *localFile
}

func (f *openFile) Unchanged() error {
	now, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", f.of.name, err)
	}
	was := f.of.info
	switch {
	case now.Size() != was.Size():
		return &ChangedError{Name: f.of.name, What: fmt.Sprintf("it had %d bytes and now has %d", was.Size(), now.Size())}
	case !now.ModTime().Equal(was.ModTime()):
		return &ChangedError{Name: f.of.name, What: "it was written at " + now.ModTime().UTC().Format("2006-01-02T15:04:05.000Z")}
	}
	return nil
}

// pipe is an input that can only be read once, from start to end.
type pipe struct {
	name string
	open func() (io.ReadCloser, error)
}

func (p *pipe) Name() string { return p.name }
func (p *pipe) Size() int64  { return -1 }

func (p *pipe) Open(ctx context.Context) (Handle, error) {
	h := &openPipe{ctx: ctx, pieces: make(chan piece)}
	go h.pump(p.open)
	return h, nil
}

// openPipe reads in a goroutine of its own, since the read of a pipe cannot be
// interrupted: when the source is closed first, that goroutine alone stays until
// the writer writes or closes.
type openPipe struct {
	ctx    context.Context // ends with Close of the source
	pieces chan piece      // no buffer: a piece's memory is used again
	rest   []byte
	err    error
}

type piece struct {
	data []byte
	err  error
}

func (h *openPipe) pump(open func() (io.ReadCloser, error)) {
	send := func(p piece) bool {
		select {
		case h.pieces <- p:
			return true
		case <-h.ctx.Done():
			return false
		}
	}
	r, err := open()
	if err != nil {
		send(piece{err: err})
		return
	}
	defer r.Close()
	// Two buffers: one is read while the other is filled.
	var bufs [2][128 << 10]byte
	for i := 0; ; i ^= 1 {
		n, err := r.Read(bufs[i][:])
		if !send(piece{bufs[i][:n], err}) || err != nil {
			return
		}
	}
}

func (h *openPipe) Read(p []byte) (int, error) {
	for len(h.rest) == 0 {
		if h.err != nil {
			return 0, h.err
		}
		select {
		case c := <-h.pieces:
			h.rest, h.err = c.data, c.err
		case <-h.ctx.Done():
			return 0, h.ctx.Err()
		}
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

func (h *openPipe) ReadAt([]byte, int64) (int, error) {
	return 0, errors.New("a pipe cannot be read at an offset")
}

func (h *openPipe) Close() error     { return nil }
func (h *openPipe) Unchanged() error { return nil }
