package httpd

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Exchange is one request with its answer, without any of their content.
type Exchange struct {
	ID          string // of the request
	Interaction string // see docs/operations.md
	DataStore   string // id; "" for none
	Type        string // resource type; "" for none
	Status      int
	Duration    time.Duration // from the header of the request to the end of the handler
	Received    int64         // bytes of the body, as far as it was read
	Sent        int64         // bytes of the body of the answer
}

// RequestIDHeader carries the id of a request, in both directions.
const RequestIDHeader = "X-Request-Id"

// observed gives every request an id, and tells log and observer of it when it has
// ended. A handler that panics becomes an answer 500, when it has not answered yet.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := requestID(r)
		// Handlers see the id that the answer has, not one that was refused.
		r.Header.Set(RequestIDHeader, id)
		w.Header().Set(RequestIDHeader, id)
		in := interactionOf(r.Method, r.URL.Path)
		x := &recorder{ResponseWriter: w}
		x.body.ReadCloser = r.Body
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &x.body
		}
		ended := false
		defer func() {
			var fault any
			if !ended {
				fault = recover()
				s.panicked(x, id, fault)
			}
			e := Exchange{id, in.name, in.datastore, in.resource, x.code(), time.Since(start), x.body.n.Load(), x.sent}
			s.o.Observe(e)
			s.log(r, &e)
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
		}()
		next.ServeHTTP(x, r)
		ended = true
	})
}

// panicked answers for a handler that did not. The text of a panic may hold data, so
// the log has its type and where it came from.
func (s *Server) panicked(x *recorder, id string, fault any) {
	if fault == http.ErrAbortHandler {
		return
	}
	s.o.Log.Error("panic", "request", id, "fault", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
	if x.status == 0 {
		refuse(x, http.StatusInternalServerError, "exception", "an error of this server; its log has more at request "+id)
	}
}

func (s *Server) log(r *http.Request, e *Exchange) {
	level := slog.LevelInfo
	switch {
	case e.Status >= 500:
		level = slog.LevelError
	case e.Interaction == "health" || e.Interaction == "metrics":
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !s.o.Log.Enabled(ctx, level) {
		return
	}
	s.o.Log.LogAttrs(ctx, level, "request",
		slog.String("request", e.ID),
		slog.String("interaction", e.Interaction),
		slog.String("datastore", e.DataStore),
		slog.String("type", e.Type),
		slog.Int("status", e.Status),
		slog.Duration("duration", e.Duration),
		slog.Int64("received", e.Received),
		slog.Int64("sent", e.Sent))
}

// requestID is what the client calls its request, when that has the form of an id
// (FHIR R4, 3.1.0.18), or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get(RequestIDHeader)
	if len(id) == 0 || len(id) > 64 {
		return rand.Text()
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return rand.Text()
		}
	}
	return id
}

// recorder counts what goes through it. It is made anew for each request, since an
// operation that was cancelled may still read the body.
type recorder struct {
	http.ResponseWriter
	status int
	sent   int64
	body   counted
}

// Unwrap serves [http.ResponseController].
func (x *recorder) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader implements [http.ResponseWriter]; informational answers do not count.
func (x *recorder) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (x *recorder) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(b)
	x.sent += int64(n)
	return n, err
}

// code is the status that the client sees.
func (x *recorder) code() int {
	if x.status == 0 {
		return http.StatusOK
	}
	return x.status
}

// counted counts the bytes that are read.
type counted struct {
	io.ReadCloser
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.n.Add(int64(n))
	return n, err
}
