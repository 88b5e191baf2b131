// Package control is the control plane: HealthLake's operations over data stores, jobs and
// tags, in its wire protocol (AWS JSON 1.0), so that its clients work unchanged. It is the only
// package that knows AWS's error codes. Who may call is decided before a request comes here;
// data stores and jobs themselves are those of store/catalog and server/jobs.
//
// Read [Handler] first.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// contentType is that of requests and answers.
const contentType = "application/x-amz-json-1.0"

// targetPrefix begins the header that names the operation.
const targetPrefix = "HealthLake."

// maxBody bounds a request; the largest allowed one has 200 tags of 400 characters.
const maxBody = 1 << 20

// Options of a handler.
type Options struct {
	Catalog *catalog.Catalog
	Jobs    *jobs.Manager
	// Delete closes and deletes a data store.
	Delete func(id string) (*catalog.DataStore, error)
	// PreloadWait is how long the creation of a data store may wait until it is filled, so
	// that who sees it ACTIVE finds its resources; 0: 20 s.
	PreloadWait time.Duration
	Log         *slog.Logger // nil: nowhere
}

// Handler answers POST /. It is safe for concurrent use.
type Handler struct{ o Options }

var _ http.Handler = (*Handler)(nil)

// New makes a handler.
func New(o Options) *Handler {
	if o.PreloadWait == 0 {
		o.PreloadWait = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{o}
}

// operation does one of the operations with the body of a request.
type operation func(h *Handler, ctx context.Context, body []byte) (any, error)

// typed makes an operation of a func over decoded requests.
func typed[R any](f func(h *Handler, ctx context.Context, r *R) (any, error)) operation {
	return func(h *Handler, ctx context.Context, body []byte) (any, error) {
		r := new(R)
		if err := json.Unmarshal(body, r); err != nil {
			return nil, badJSON(err)
		}
		return f(h, ctx, r)
	}
}

var operations = map[string]operation{
	"CreateFHIRDatastore":   typed((*Handler).createDatastore),
	"DescribeFHIRDatastore": typed((*Handler).describeDatastore),
	"ListFHIRDatastores":    typed((*Handler).listDatastores),
	"UpdateFHIRDatastore":   typed((*Handler).updateDatastore),
	"DeleteFHIRDatastore":   typed((*Handler).deleteDatastore),
	"StartFHIRImportJob":    typed((*Handler).startImport),
	"DescribeFHIRImportJob": typed((*Handler).describeImport),
	"ListFHIRImportJobs":    typed((*Handler).listImports),
	"StartFHIRExportJob":    typed((*Handler).startExport),
	"DescribeFHIRExportJob": typed((*Handler).describeExport),
	"ListFHIRExportJobs":    typed((*Handler).listExports),
	"TagResource":           typed((*Handler).tag),
	"UntagResource":         typed((*Handler).untag),
	"ListTagsForResource":   typed((*Handler).listTags),
}

// OperationOf names the operation that a request asks for; "" when it names none that is
// known. What asks may be decided by it.
func OperationOf(r *http.Request) string {
	name, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if operations[name] == nil {
		return ""
	}
	return name
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	answer, err := h.serve(r)
	status := http.StatusOK
	if err != nil {
		f := h.faultOf(err)
		status, answer = f.status, f
		if f.kind == internal {
			h.o.Log.Error("control plane", "operation", OperationOf(r), "error", err)
		}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"__type":"InternalServerException","Message":"an error of this server"}`)
		h.o.Log.Error("control plane: encode the answer", "operation", OperationOf(r), "error", err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(text)
}

func (h *Handler) serve(r *http.Request) (any, error) {
	name := OperationOf(r)
	switch media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case r.Method != http.MethodPost || r.Header.Get("X-Amz-Target") == "":
		return nil, &fault{kind: unknownOperation, Message: "POST with the header X-Amz-Target: HealthLake.<Operation> is served here; FHIR is at /datastore/<id>/r4/"}
	case name == "":
		return nil, &fault{kind: unknownOperation, Message: "there is no such operation"}
	case err != nil || media != contentType && media != "application/x-amz-json-1.1":
		return nil, &fault{kind: serialization, Message: "the Content-Type must be " + contentType}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, &fault{kind: serialization, Message: "the body could not be read"}
	case len(body) > maxBody:
		return nil, &fault{kind: validation, Message: "the body is larger than 1 MiB"}
	case len(body) == 0:
		body = []byte("{}")
	}
	return operations[name](h, r.Context(), body)
}

// The codes of errors.
const (
	validation       = "ValidationException"
	notFound         = "ResourceNotFoundException"
	conflict         = "ConflictException"
	internal         = "InternalServerException"
	unknownOperation = "UnknownOperationException"
	serialization    = "SerializationException"
)

// fault is an error as clients see it.
type fault struct {
	kind    string
	status  int
	Message string
}

func (f *fault) Error() string { return f.kind + ": " + f.Message }

// MarshalJSON implements json.Marshaler. The command line of AWS reads the code from the body
// alone.
func (f *fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"Message"`
	}{f.kind, f.Message})
}

// faultOf makes a fault of any error. What is not the client's to mend says nothing more.
func (h *Handler) faultOf(err error) *fault {
	var f *fault
	switch {
	case errors.As(err, &f):
	case errors.Is(err, catalog.ErrNotFound):
		f = &fault{kind: notFound, Message: err.Error()}
	case errors.Is(err, catalog.ErrInvalid):
		f = &fault{kind: validation, Message: err.Error()}
	case errors.Is(err, catalog.ErrBusy):
		f = &fault{kind: conflict, Message: err.Error() + "; wait until it has ended, or cancel it"}
	case errors.Is(err, jobs.ErrNoKind):
		f = &fault{kind: unknownOperation, Message: "this server does not run such jobs"}
	default:
		f = &fault{kind: internal, Message: "an error of this server; its log says more"}
	}
	f.status = http.StatusBadRequest
	if f.kind == internal {
		f.status = http.StatusInternalServerError
	}
	return f
}

// badJSON says what is wrong with a body, without its content.
func badJSON(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &fault{kind: serialization, Message: "the value of " + wrong.Field + " has the wrong type: " + wrong.Value}
	}
	return &fault{kind: serialization, Message: "the body is no JSON object of this operation"}
}
