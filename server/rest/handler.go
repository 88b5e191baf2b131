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
	"sync/atomic"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/auth"
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
	Bodies     int64         // bytes of requests' bodies in memory, further ones get 503; 0: 256 MiB
	Timeout    time.Duration // of a request, from its header to its answer; 0: 60 s
	SlowSearch time.Duration // searches that take as long are logged, without values; 0: 1 s

	// Guarded says that a guard is before the handler: a request without a principal is
	// refused.
	Guarded bool

	Jobs *Jobs // runs exports; nil: nobody does

	Now   func() time.Time // nil: time.Now
	NewID func() string    // ids of created resources; nil: random UUIDs
	Log   *slog.Logger     // is told the cause of an answer 500; nil: slog.Default()
}

// Handler serves /datastore/{id}/r4 and what is below it. It is safe for concurrent
// use. Who ends it calls [Handler.Close] before the data stores are closed.
type Handler struct {
	o      Options
	mux    *http.ServeMux
	turns  chan struct{} // holds one token for each request at work
	since  time.Time     // when it was made
	desk   *desk
	bodies atomic.Int64 // bytes in memory

	conditions locks // of the criteria of conditional writes

	mu      sync.Mutex
	clients map[string]int // requests at work, by address
}

// New makes a handler.
func New(o Options) *Handler {
	o.Concurrent = cmp.Or(o.Concurrent, 256)
	o.Bodies = cmp.Or(o.Bodies, 256<<20)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.SlowSearch = cmp.Or(o.SlowSearch, time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = newUUID
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h := &Handler{o: o, mux: http.NewServeMux(), turns: make(chan struct{}, o.Concurrent), since: o.Now(), clients: map[string]int{}, desk: newDesk()}
	// The base answers with and without a slash, and never by a redirect.
	h.mux.HandleFunc("/datastore/{datastore}/r4", h.serve)
	h.mux.HandleFunc("/datastore/{datastore}/r4/{path...}", h.serve)
	h.mux.HandleFunc("/", h.unknown)
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/"), "/") {
		if part == "" || part == "." || part == ".." {
			h.unknown(w, r) // the mux would redirect
			return
		}
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
	out, err := x.take()
	if err != nil {
		x.refuse(err)
	} else {
		x.answer(out)
	}
}

// take reads the request and runs it. A turn is taken when the whole request is there,
// and held while something of the data store is read, so that clients that send or
// receive slowly hold none. The exchange gives all back at its end.
func (x *exchange) take() (*reply, error) {
	h, r := x.h, x.r
	if err := x.admit(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Timeout)
	x.cancel = cancel
	if err := x.readCall(ctx); err != nil {
		return nil, err
	}
	select {
	case h.turns <- struct{}{}:
		x.hasTurn = true
	default:
		return nil, outcome.Faultf(outcome.Unavailable, "the server is busy with %d requests; try again soon", h.o.Concurrent)
	}
	if c := &x.call; c.isReindex() {
		return x.later()
	} else if c.prefer.async && c.kind == targetSystem && r.Method == http.MethodPost {
		return x.later()
	}
	out, err := x.call.run()
	if err != nil || out.write == nil || out.whole {
		x.leave()
	}
	return out, err
}

// leave gives the turn back.
func (x *exchange) leave() {
	if x.hasTurn {
		<-x.h.turns
		x.hasTurn = false
	}
}

// admit counts the request of a client, or says that it has too many.
func (x *exchange) admit() error {
	h := x.h
	if h.o.PerClient == 0 {
		return nil
	}
	client := x.r.RemoteAddr
	if host, _, err := net.SplitHostPort(client); err == nil {
		client = host
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients[client] >= h.o.PerClient {
		return outcome.Faultf(outcome.Throttled, "this address has %d requests at work; wait for one to end", h.o.PerClient)
	}
	h.clients[client]++
	x.client = client
	return nil
}

// dismiss is the end of what admit counted.
func (x *exchange) dismiss() {
	h := x.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients[x.client]--; h.clients[x.client] == 0 {
		delete(h.clients, x.client)
	}
}

// readCall reads the request into the call of the exchange.
func (x *exchange) readCall(ctx context.Context) error {
	r := x.r
	id := r.PathValue("datastore")
	who := auth.From(r.Context())
	if who == nil && x.h.o.Guarded {
		return outcome.Faultf(outcome.Unauthenticated, "nobody knows who asks")
	}
	access := who.In(id)
	if err := access.Enter(); err != nil {
		return err
	}
	ds, err := x.h.o.DataStore(id)
	if errors.Is(err, ErrNoDataStore) {
		return outcome.Faultf(outcome.NotFound, "there is no data store '%s'", clip(id))
	}
	if err != nil {
		return err
	}
	c := &x.call
	*c = call{ctx: ctx, h: x.h, ds: ds, datastore: id, base: x.h.base(r) + "/datastore/" + id + "/r4", access: access, method: r.Method, header: r.Header, text: &x.text}
	if c.target, err = readTarget(r.PathValue("path")); err == nil {
		err = checkSlashes(r.URL.RawPath)
	}
	if err != nil {
		return err
	}
	if r.URL.RawQuery != "" {
		if c.query, err = parseQuery(r.URL.RawQuery); err != nil {
			return err
		}
		c.raw = r.URL.RawQuery
	}
	c.prefer = readPrefer(r.Header)
	if c.kind != targetExportFile { // it is what it is
		if err := x.negotiate(c.typ, c.query); err != nil {
			return err
		}
	}
	if err := c.allowed(); err != nil {
		return err // before the body is read
	}
	if err := c.authorize(); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if c.body, err = x.readBody(c); err != nil {
			return err
		}
		if c.kind == targetSearch {
			return x.readForm(c)
		}
	}
	return nil
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
	if err := c.checkQuery("mode"); err != nil {
		return nil, err
	}
	switch mode := c.query.Get("mode"); mode {
	case "", "full", "normative": // of R4 all that it says is normative, but for search
	case "terminology":
		return nil, outcome.Faultf(outcome.NotSupported, "parameter mode: there is no terminology service")
	default:
		return nil, outcome.Faultf(outcome.Malformed, "parameter mode: '%s' is none of full, normative, terminology", clip(mode))
	}
	known, err := c.ds.parameters(c.ctx)
	if err != nil {
		return nil, err
	}
	server := capability.Server{
		Version: c.h.o.Version, Base: c.base, Date: c.h.since, Erase: c.ds.eraser != nil, Search: c.ds.options.Search != nil, Jobs: c.h.o.Jobs != nil,
	}
	if known != nil {
		server.Parameters = known
	}
	return &reply{status: http.StatusOK, resource: true, json: capability.Statement(server)}, nil
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
