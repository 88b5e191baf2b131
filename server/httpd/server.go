// Package httpd owns the HTTP server of the process: its listener, TLS, limits of time
// and size, the life from readiness to a shutdown that finishes what was accepted, and
// what is the same for all requests: an id, a line of the log, a metric, an answer when
// a handler panics. What requests mean is left to the handlers that it is given.
//
// Logs and metrics have no patient data: they name the interaction and the resource
// type, never a logical id, a query or anything else that a client wrote but its
// request id, which may have only the characters of one.
//
// Read [Server] first.
package httpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Options of a server; zero values are usable.
type Options struct {
	Log *slog.Logger // nil: slog.Default()
	// Observe is told of every exchange when it has ended; nil: nobody is.
	Observe func(Exchange)
	// Ready says why requests cannot be served yet, for /readyz; nil: they can.
	Ready func() error
	// Metrics answers /metrics; nil: nothing does.
	Metrics http.Handler
	// Guard lets requests through to the handlers; nil: all come in.
	Guard func(http.Handler) http.Handler
	// TLS is the certificate; nil: the server speaks plain HTTP.
	TLS *Certificate

	HeaderTimeout time.Duration // to read the header of a request; 0: 10 s
	ReadTimeout   time.Duration // to read a request; 0: 60 s
	WriteTimeout  time.Duration // from the header of a request to the end of its answer; 0: 120 s
	IdleTimeout   time.Duration // between requests of a connection; 0: 120 s
	MaxHeader     int           // bytes of a request's header; 0: 64 KiB
	// ShutdownTimeout is how long accepted requests may take after the server was told
	// to end; 0: 30 s.
	ShutdownTimeout time.Duration
}

// ErrCutOff says that requests were still running when the time for a shutdown was
// over, so that their work was cancelled.
var ErrCutOff = errors.New("requests were cut off: the time to shut down was over")

// stopTimeout is how long cancelled requests may take to say so.
const stopTimeout = 5 * time.Second

// Server serves one address. Handlers are added before Serve.
type Server struct {
	o        Options
	exact    map[string]http.Handler
	below    []subtree
	draining atomic.Bool
}

// subtree is a handler of all paths that begin with a prefix.
type subtree struct {
	prefix string
	http.Handler
}

// New makes a server with /healthz, /readyz and /metrics.
func New(o Options) *Server {
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Observe == nil {
		o.Observe = func(Exchange) {}
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 10*time.Second)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 60*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 120*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 120*time.Second)
	o.MaxHeader = cmp.Or(o.MaxHeader, 64<<10)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, 30*time.Second)
	s := &Server{o: o, exact: map[string]http.Handler{}}
	s.Handle("/healthz", reading(healthy))
	s.Handle("/readyz", reading(s.ready))
	if o.Metrics != nil {
		s.Handle("/metrics", reading(o.Metrics.ServeHTTP))
	}
	return s
}

// Handle adds the handler of a path, or of all below it when it ends in a slash and is not
// the slash alone. Paths
// go to handlers as they are: [http.ServeMux] would redirect those that are not clean,
// which FHIR's clients do not expect.
func (s *Server) Handle(path string, h http.Handler) {
	if strings.HasSuffix(path, "/") && path != "/" {
		s.below = append(s.below, subtree{path, h})
		return
	}
	s.exact[path] = h
}

// route gives a request to its handler.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if h := s.exact[r.URL.Path]; h != nil {
		h.ServeHTTP(w, r)
		return
	}
	for _, t := range s.below {
		if strings.HasPrefix(r.URL.Path, t.prefix) {
			t.ServeHTTP(w, r)
			return
		}
	}
	unknown(w, r)
}

// Serve accepts connections of l until ctx ends, and then finishes the requests that
// it has accepted. The context of a request does not end with ctx, but when the time
// to shut down is over; the error is then [ErrCutOff].
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := s.server(requests)
	if s.o.TLS != nil {
		l = tls.NewListener(l, server.TLSConfig)
	}
	failed := make(chan error, 1) // has room, so that the goroutine ends whoever reads it
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	wait, done := context.WithTimeout(requests, s.o.ShutdownTimeout)
	defer done()
	err := server.Shutdown(wait)
	if err == nil {
		return nil
	}
	cancel()
	wait, done = context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer done()
	if err := server.Shutdown(wait); err != nil {
		server.Close()
	}
	return ErrCutOff
}

func (s *Server) server(requests context.Context) *http.Server {
	var handler http.Handler = http.HandlerFunc(s.route)
	if s.o.Guard != nil {
		handler = s.o.Guard(handler)
	}
	h := &http.Server{
		Handler:           s.observed(handler),
		ReadHeaderTimeout: s.o.HeaderTimeout,
		ReadTimeout:       s.o.ReadTimeout,
		WriteTimeout:      s.o.WriteTimeout,
		IdleTimeout:       s.o.IdleTimeout,
		MaxHeaderBytes:    s.o.MaxHeader,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		Protocols:         &http.Protocols{},
	}
	h.Protocols.SetHTTP1(true)
	h.Protocols.SetHTTP2(true)
	if s.o.TLS == nil {
		h.Protocols.SetUnencryptedHTTP2(true)
	} else {
		h.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: s.o.TLS.get,
			NextProtos:     []string{"h2", "http/1.1"},
		}
	}
	return h
}
