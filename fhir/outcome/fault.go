package outcome

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
)

// Kind is why an interaction is refused: it gives the HTTP status (FHIR R4,
// 3.1.0.1.9 and the sections of each interaction) and the code of the issue.
type Kind uint8

// The kinds of faults.
const (
	Malformed       Kind = iota // 400: request or resource cannot be understood, or breaks the rules of R4
	Unauthenticated             // 401: nobody knows who asks
	Forbidden                   // 403: who asks may not
	NotFound                    // 404: no such resource, version, type or data store
	NotAllowed                  // 405: the resource does not take the method
	NotAcceptable               // 406: no format that the client accepts
	Conflict                    // 409: the resource is in a state that does not allow it
	Duplicate                   // 409: the request was done before
	Gone                        // 410: deleted
	Stale                       // 412: a condition of the request does not hold
	TooLarge                    // 413: the body is longer than the limit
	Unsupported                 // 415: a format or encoding of the body that is not known
	Unprocessable               // 422: a profile or a rule of this server is broken
	TooCostly                   // 422: what is asked for takes more work than the limit
	Throttled                   // 429: too many requests of one client
	Internal                    // 500: our fault
	NotSupported                // 501: a part of FHIR that is not there
	Unavailable                 // 503: too busy, or not able to write, at present
	Expired                     // 503: the request took longer than the limit
	Full                        // 507: no space left
	numKinds
)

// kinds: the codes are of FHIR R4's value set issue-type.
var kinds = [numKinds]struct {
	status int
	code   string
}{
	Malformed:       {http.StatusBadRequest, fhir.CodeInvalid},
	Unauthenticated: {http.StatusUnauthorized, "login"},
	Forbidden:       {http.StatusForbidden, "forbidden"},
	NotFound:        {http.StatusNotFound, fhir.CodeNotFound},
	NotAllowed:      {http.StatusMethodNotAllowed, "not-supported"},
	NotAcceptable:   {http.StatusNotAcceptable, "not-supported"},
	Conflict:        {http.StatusConflict, "conflict"},
	Duplicate:       {http.StatusConflict, fhir.CodeDuplicate},
	Gone:            {http.StatusGone, "deleted"},
	Stale:           {http.StatusPreconditionFailed, "conflict"},
	TooLarge:        {http.StatusRequestEntityTooLarge, fhir.CodeTooLong},
	Unsupported:     {http.StatusUnsupportedMediaType, "not-supported"},
	Unprocessable:   {http.StatusUnprocessableEntity, "processing"},
	TooCostly:       {http.StatusUnprocessableEntity, "too-costly"},
	Throttled:       {http.StatusTooManyRequests, "throttled"},
	Internal:        {http.StatusInternalServerError, "exception"},
	NotSupported:    {http.StatusNotImplemented, "not-supported"},
	Unavailable:     {http.StatusServiceUnavailable, "transient"},
	Expired:         {http.StatusServiceUnavailable, "timeout"},
	Full:            {http.StatusInsufficientStorage, "no-store"},
}

// Status is the HTTP status of the kind.
func (k Kind) Status() int { return kinds[k].status }

// Code is the code of an issue of the kind.
func (k Kind) Code() string { return kinds[k].code }

// Fault is why an interaction is refused, as its sender is told. It is an error.
type Fault struct {
	Kind   Kind
	Issues []fhir.Issue // at least one
}

// Faultf makes a fault with one issue, whose diagnostics are formatted: one sentence,
// lower case, with no content but the value at fault.
func Faultf(k Kind, format string, args ...any) *Fault {
	return &Fault{k, []fhir.Issue{{Severity: fhir.Error, Code: k.Code(), Diagnostics: fmt.Sprintf(format, args...)}}}
}

// Rejected makes the fault of a resource that has these issues: [Unprocessable] when
// every error among them is one of a profile (FHIR R4, 3.1.0.8), else [Malformed].
func Rejected(issues []fhir.Issue) *Fault {
	kind := Unprocessable
	for i := range issues {
		if issues[i].Severity <= fhir.Error && issues[i].Profile == "" {
			kind = Malformed
		}
	}
	return &Fault{kind, issues}
}

// At names the element at fault, in FHIRPath, for the issues that name none, and
// returns the fault.
func (f *Fault) At(expression string) *Fault {
	for i := range f.Issues {
		if f.Issues[i].Expression == "" {
			f.Issues[i].Expression = expression
		}
	}
	return f
}

// Status is the HTTP status of the answer.
func (f *Fault) Status() int { return f.Kind.Status() }

// Append appends the OperationOutcome.
func (f *Fault) Append(dst []byte) []byte { return Append(dst, f.Issues, At{}) }

func (f *Fault) Error() string {
	var b strings.Builder
	for i := range f.Issues {
		if i > 0 {
			b.WriteString("; ")
		}
		if f.Issues[i].Expression != "" {
			b.WriteString(f.Issues[i].Expression + ": ")
		}
		b.WriteString(f.Issues[i].Diagnostics)
	}
	return b.String()
}
