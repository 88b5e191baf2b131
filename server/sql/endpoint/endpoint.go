// Package endpoint answers SQL over HTTP: POST /datastore/{id}/sql with a query, and its
// result as Arrow, JSON, NDJSON, CSV or Parquet, as a stream. What a query sees and may do
// is package sql's.
//
// Read [Handler] first.
package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/sql"
	"github.com/fhirlake/fhirlake/store/duck"
)

// ErrNoDataStore says that there is no data store with an id.
var ErrNoDataStore = errors.New("no such data store")

// Options of the endpoint. Zero values are usable but for State.
type Options struct {
	// State opens the data store with an id for a query. The error is [ErrNoDataStore], or a
	// failure. It may wait for the turn of the query, until ctx ends.
	State func(ctx context.Context, id string) (*sql.State, error)

	Timeout time.Duration // of a query with the reading of its result; 0: 10 minutes
	Log     *slog.Logger  // is told the cause of an answer 500; nil: slog.Default()
}

// Handler serves /datastore/{datastore}/sql. It is safe for concurrent use.
type Handler struct{ o Options }

var _ http.Handler = (*Handler)(nil)

// New makes a handler.
func New(o Options) *Handler {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Handler{o}
}

// dataStoreOf gives the id of the data store that a path asks for by SQL.
func dataStoreOf(path string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/datastore/")
	if !ok {
		return "", false
	}
	id, rest, _ = strings.Cut(rest, "/")
	return id, rest == "sql"
}

// Before gives a handler that answers queries itself and leaves all else to next.
func (h *Handler) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := dataStoreOf(r.URL.Path); ok {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// maxQuery bounds the body of a request.
const maxQuery = 1 << 20

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A result may take as long as the query may; how long a request may take to come stays.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.o.Timeout + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.refuse(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Timeout)
	defer cancel()
	q, err := readQuery(w, r)
	if err != nil {
		h.refuse(w, err)
		return
	}
	id, _ := dataStoreOf(r.URL.Path)
	st, err := h.o.State(ctx, id)
	if err != nil {
		h.refuse(w, err)
		return
	}
	defer st.Close() // its error is that of files that were read only
	out := &result{w: w, contentType: contentTypes[q.Format]}
	if _, err := st.Write(ctx, out, q); err != nil {
		if !out.sent {
			h.refuse(w, err)
			return
		}
		// The status is out. A connection that ends before the result does is what every
		// client notices.
		h.tell(err)
		panic(http.ErrAbortHandler)
	}
	if err := out.flush(); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
}

// contentTypes are those of the answers.
var contentTypes = map[duck.Format]string{
	duck.JSONText: "application/json",
	duck.NDJSON:   "application/x-ndjson",
	duck.CSV:      "text/csv; charset=utf-8; header=present",
	duck.Parquet:  "application/vnd.apache.parquet",
	duck.Arrow:    "application/vnd.apache.arrow.stream",
}

// formats are the media types that clients ask for, the one that */* means first.
var formats = []struct {
	mediaType string
	format    duck.Format
}{
	{"application/json", duck.JSONText},
	{"application/x-ndjson", duck.NDJSON},
	{"application/ndjson", duck.NDJSON},
	{"application/jsonl", duck.NDJSON},
	{"text/csv", duck.CSV},
	{"application/vnd.apache.arrow.stream", duck.Arrow},
	{"application/vnd.apache.parquet", duck.Parquet},
}

// request is a query as JSON.
type request struct {
	Query  string `json:"query"`
	Format string `json:"format"`
}

// readQuery reads a query: the text itself, or JSON with its text and format.
func readQuery(w http.ResponseWriter, r *http.Request) (q sql.Query, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return q, outcome.Faultf(outcome.NotAllowed, "%s is not for queries; send them by POST", r.Method)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuery))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return q, outcome.Faultf(outcome.TooLarge, "the query has more than %d bytes", maxQuery)
	case err != nil:
		return q, outcome.Faultf(outcome.Malformed, "the query did not come whole")
	}
	format := r.URL.Query().Get("format")
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		var in request
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return q, outcome.Faultf(outcome.Malformed, `the body is not as expected, {"query": "SELECT ...", "format": "arrow"}: %v`, err)
		}
		q.Text = in.Query
		if in.Format != "" {
			format = in.Format
		}
	case r.Header.Get("Content-Type") == "", kind == "text/plain", kind == "application/sql", kind == "application/x-www-form-urlencoded":
		q.Text = string(body) // what curl sends with --data is called a form
	default:
		return q, outcome.Faultf(outcome.Unsupported, "a query of the type %q is not understood; send text/plain, application/sql or application/json", r.Header.Get("Content-Type"))
	}
	if strings.TrimSpace(q.Text) == "" {
		return q, outcome.Faultf(outcome.Malformed, "the query is empty")
	}
	if format == "" {
		q.Format, err = accepted(r.Header.Values("Accept"))
		return q, err
	}
	if q.Format, err = duck.ParseFormat(format); err != nil || contentTypes[q.Format] == "" {
		return q, outcome.Faultf(outcome.NotAcceptable, "format %q is not one of arrow, json, ndjson, csv, parquet", format)
	}
	return q, nil
}

// accepted gives the format that an Accept header (RFC 9110, 12.5.1) likes best; of those that it
// likes as well, the first of formats.
func accepted(header []string) (duck.Format, error) {
	type wish struct {
		mediaType string
		q         float64
	}
	var wishes []wish
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		x := wish{kind, 1}
		if text, ok := params["q"]; ok {
			if x.q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		wishes = append(wishes, x)
	}
	if len(wishes) == 0 {
		return formats[0].format, nil
	}
	// What is said of a media type more exactly counts more.
	exactness := func(w wish) int { return 2 - strings.Count(w.mediaType, "*") }
	slices.SortStableFunc(wishes, func(a, b wish) int { return exactness(b) - exactness(a) })
	best, bestQ := duck.Format(""), 0.0
	for _, f := range formats {
		group, _, _ := strings.Cut(f.mediaType, "/")
		i := slices.IndexFunc(wishes, func(w wish) bool {
			return w.mediaType == f.mediaType || w.mediaType == group+"/*" || w.mediaType == "*/*"
		})
		if i >= 0 && wishes[i].q > bestQ {
			best, bestQ = f.format, wishes[i].q
		}
	}
	if best == "" {
		return "", outcome.Faultf(outcome.NotAcceptable, "no result is of a type that the client accepts; there are application/json, application/x-ndjson, text/csv, application/vnd.apache.arrow.stream and application/vnd.apache.parquet")
	}
	return best, nil
}

// result is the body of an answer. What comes first is kept for a moment: a query that fails
// early still gets a status that says so.
type result struct {
	w           http.ResponseWriter
	contentType string
	first       []byte
	sent        bool
}

const firstBytes = 64 << 10

// Write implements [io.Writer].
func (o *result) Write(p []byte) (int, error) {
	if !o.sent && len(o.first)+len(p) < firstBytes {
		o.first = append(o.first, p...)
		return len(p), nil
	}
	if err := o.flush(); err != nil {
		return 0, err
	}
	return o.w.Write(p)
}

// flush sends what was kept.
func (o *result) flush() error {
	if o.sent {
		return nil
	}
	o.sent = true
	o.w.Header().Set("Content-Type", o.contentType)
	o.w.Header().Set("Cache-Control", "no-store")
	o.w.WriteHeader(http.StatusOK)
	_, err := o.w.Write(o.first)
	o.first = nil
	return err
}

// refuse answers with an OperationOutcome.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	f := h.fault(err)
	w.Header().Set("Content-Type", "application/fhir+json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.Status())
	w.Write(f.Append(nil)) // a client that has gone misses it
}

func (h *Handler) fault(err error) *outcome.Fault {
	var f *outcome.Fault
	var q *duck.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, ErrNoDataStore):
		return outcome.Faultf(outcome.NotFound, "there is no data store with this id")
	case errors.Is(err, context.DeadlineExceeded):
		return outcome.Faultf(outcome.TooCostly, "the query took longer than %s", h.o.Timeout)
	case errors.As(err, &q):
		return outcome.Faultf(outcome.Malformed, "%s", sentence(q))
	}
	h.tell(err)
	return outcome.Faultf(outcome.Internal, "the query could not be run")
}

// sentence is what a query's author is told.
func sentence(q *duck.Error) string {
	return strings.ReplaceAll(fmt.Sprint(q), "give it more with --memory, or ask for less", "ask for less")
}

// tell logs a failure of ours, without the query.
func (h *Handler) tell(err error) {
	var q *duck.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &q) {
		return // the client's going, or its own fault
	}
	h.o.Log.Error("sql", "error", err)
}
