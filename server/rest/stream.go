package rest

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/fhirlake/fhirlake/fhir/outcome"
)

// stream is where a long body is written, piece by piece. Its first error stays.
type stream struct {
	w   io.Writer
	err error
}

func (s *stream) bytes(b []byte) error {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	return s.err
}

func (s *stream) text(t string) { s.bytes([]byte(t)) }

const (
	// streamBuffer is how much of a body is gathered before the answer begins: an error
	// until then is still told.
	streamBuffer = 64 << 10
	// maxGathered is how long a body can be that must be whole in memory: one that is
	// indented, or within another.
	maxGathered = 32 << 20
)

var streamBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, streamBuffer) }}

// stream writes a body as it comes to be.
func (x *exchange) stream(out *reply) {
	if x.pretty {
		body, err := gather(out, maxGathered)
		if err != nil {
			x.refuse(err)
			return
		}
		x.send(out.status, indented(body))
		return
	}
	begun := &begun{x: x, status: out.status}
	b := streamBuffers.Get().(*bufio.Writer)
	defer streamBuffers.Put(b)
	b.Reset(begun)
	s := &stream{w: b}
	err := out.write(s)
	if err == nil {
		err = s.err
	}
	switch {
	case err != nil && !begun.yes:
		x.refuse(err)
	case err != nil:
		// The client must not take what it has for the whole.
		x.h.o.Log.ErrorContext(x.r.Context(), "answer cut off", "error", err)
		panic(http.ErrAbortHandler)
	default:
		b.Flush() // nobody is left to be told of an error
		begun.end()
	}
}

// begun is the body of an answer that is being written: the first bytes begin it.
type begun struct {
	x      *exchange
	status int
	yes    bool
	zip    *gzip.Writer
}

func (b *begun) Write(p []byte) (int, error) {
	if !b.yes {
		b.yes = true
		h := b.x.w.Header()
		h.Set("Content-Type", contentJSON)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Add("Vary", "Accept-Encoding")
		if b.x.zips() && len(p) >= zipFrom {
			h.Set("Content-Encoding", "gzip")
			b.zip = gzipWriter.Get().(*gzip.Writer)
			b.zip.Reset(b.x.w)
		}
		b.x.w.WriteHeader(b.status)
	}
	if b.zip != nil {
		return b.zip.Write(p)
	}
	return b.x.w.Write(p)
}

func (b *begun) end() {
	if b.zip != nil {
		b.zip.Close()
		gzipWriter.Put(b.zip)
	}
}

// gather makes the body of a reply in memory, up to a limit.
func gather(out *reply, limit int) ([]byte, error) {
	if out.write == nil {
		return out.json, nil
	}
	var b bytes.Buffer
	s := &stream{w: &bounded{&b, limit}}
	if err := out.write(s); err != nil {
		return nil, err
	}
	return b.Bytes(), s.err
}

// bounded refuses what is beyond its limit.
type bounded struct {
	b     *bytes.Buffer
	limit int
}

func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > w.limit {
		return 0, outcome.Faultf(outcome.TooCostly, "the answer has more than %d bytes; ask for fewer with _count", w.limit)
	}
	return w.b.Write(p)
}
