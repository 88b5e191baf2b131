package rest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/store/lake"
)

// ErrNoDataStore says that there is no data store with an id.
var ErrNoDataStore = errors.New("no such data store")

// Options of the interface. Zero values are usable but for DataStore.
type Options struct {
	// DataStore gives the data store with an id. The error is [ErrNoDataStore], or a
	// failure. It is called for every request, also with ids that nobody gave out.
	DataStore func(id string) (*DataStore, error)

	// BaseURL is what comes before /datastore in absolute URLs, without a slash at the
	// end. "": what the request was sent to.
	BaseURL string
	Version string // of the program, for the CapabilityStatement

	Concurrent int           // requests at once, further ones get 503; 0: 256
	PerClient  int           // requests at once of one address, further ones get 429; 0: no limit
	Timeout    time.Duration // of a request, from its header to its answer; 0: 60 s

	Now   func() time.Time // nil: time.Now
	NewID func() string    // ids of created resources; nil: random UUIDs
	Log   *slog.Logger     // is told the cause of an answer 500; nil: slog.Default()
}

// Handler serves /datastore/{id}/r4 and what is below it. It is safe for concurrent
// use.
type Handler struct {
	o     Options
	mux   *http.ServeMux
	turns chan struct{} // holds one token for each request at work
	since time.Time     // when it was made

	mu      sync.Mutex
	clients map[string]int // requests at work, by address
}

// New makes a handler.
func New(o Options) *Handler {
	o.Concurrent = cmp.Or(o.Concurrent, 256)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = newUUID
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h := &Handler{o: o, mux: http.NewServeMux(), turns: make(chan struct{}, o.Concurrent), since: o.Now(), clients: map[string]int{}}
	// The base answers with and without a slash, and never by a redirect.
	h.mux.HandleFunc("/datastore/{datastore}/r4", h.serve)
	h.mux.HandleFunc("/datastore/{datastore}/r4/{path...}", h.serve)
	h.mux.HandleFunc("/", h.unknown)
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; strings.Contains(p, "//") || strings.Contains(p, "/./") || strings.Contains(p, "/../") {
		h.unknown(w, r) // the mux would redirect
		return
	}
	h.mux.ServeHTTP(w, r)
}

// unknown answers for paths that are not those of a data store.
func (h *Handler) unknown(w http.ResponseWriter, r *http.Request) {
	x := begin(h, w, r)
	defer x.end()
	x.refuse(outcome.Faultf(outcome.NotFound, "there is nothing at this path; expected /datastore/{id}/r4/..."))
}

// serve answers one request.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	x := begin(h, w, r)
	defer x.end()
	leave, f := h.enter(r)
	if f != nil {
		w.Header().Set("Retry-After", "1")
		x.refuse(f)
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Timeout)
	defer cancel()
	out, err := x.interact(ctx)
	if err != nil {
		x.refuse(err)
		return
	}
	x.answer(out)
}

// enter takes a turn, or says why there is none.
func (h *Handler) enter(r *http.Request) (leave func(), f *outcome.Fault) {
	select {
	case h.turns <- struct{}{}:
	default:
		return nil, outcome.Faultf(outcome.Unavailable, "the server is busy with %d requests; try again soon", h.o.Concurrent)
	}
	if h.o.PerClient == 0 {
		return h.leave, nil
	}
	client := r.RemoteAddr
	if host, _, err := net.SplitHostPort(client); err == nil {
		client = host
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients[client] >= h.o.PerClient {
		h.leave()
		return nil, outcome.Faultf(outcome.Throttled, "this address has %d requests at work; wait for one to end", h.o.PerClient)
	}
	h.clients[client]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.clients[client]--; h.clients[client] == 0 {
			delete(h.clients, client)
		}
		h.leave()
	}, nil
}

func (h *Handler) leave() { <-h.turns }

// interact reads the request into a call and runs it.
func (x *exchange) interact(ctx context.Context) (*reply, error) {
	r := x.r
	id := r.PathValue("datastore")
	ds, err := x.h.o.DataStore(id)
	if errors.Is(err, ErrNoDataStore) {
		return nil, outcome.Faultf(outcome.NotFound, "there is no data store '%s'", clip(id))
	}
	if err != nil {
		return nil, err
	}
	c := &x.call
	*c = call{ctx: ctx, h: x.h, ds: ds, base: x.h.base(r) + "/datastore/" + id + "/r4", method: r.Method, header: r.Header, text: &x.text}
	if c.target, err = readTarget(r.PathValue("path")); err != nil {
		return nil, err
	}
	if r.URL.RawQuery != "" {
		if c.query, err = parseQuery(r.URL.RawQuery); err != nil {
			return nil, err
		}
	}
	c.prefer = readPrefer(r.Header)
	if err := x.negotiate(c.typ, c.query); err != nil {
		return nil, err
	}
	if err := c.allowed(); err != nil {
		return nil, err // before the body is read
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if c.body, err = x.readBody(c); err != nil {
			return nil, err
		}
	}
	return c.run()
}

// base is what absolute URLs begin with.
func (h *Handler) base(r *http.Request) string {
	switch {
	case h.o.BaseURL != "":
		return h.o.BaseURL
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// metadata gives the CapabilityStatement (FHIR R4, 3.1.0.13).
func (c *call) metadata() (*reply, error) {
	return &reply{status: http.StatusOK, resource: true, json: capability.Statement(capability.Server{
		Version: c.h.o.Version, Base: c.base, Date: c.h.since, Erase: c.ds.eraser != nil,
	})}, nil
}

// faultOf says what an error means to the client. What is none of its faults is logged
// and told as such.
func (h *Handler) faultOf(ctx context.Context, err error) *outcome.Fault {
	var f *outcome.Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, lake.ErrNoSpace):
		return outcome.Faultf(outcome.Full, "no space is left for the data store: nothing was written")
	case errors.Is(err, lake.ErrReadOnly):
		return outcome.Faultf(outcome.Unavailable, "the data store takes no writes at present: a write failed before")
	case errors.Is(err, lake.ErrClosed):
		return outcome.Faultf(outcome.Unavailable, "the data store is being closed")
	case errors.Is(err, context.DeadlineExceeded):
		return outcome.Faultf(outcome.Expired, "the request took longer than %s", h.o.Timeout)
	case errors.Is(err, context.Canceled):
		return outcome.Faultf(outcome.Expired, "the request was canceled")
	}
	h.o.Log.ErrorContext(ctx, "request failed", "error", err)
	return outcome.Faultf(outcome.Internal, "an error of this server; its log has more")
}
