package httpd

import (
	"errors"
	"io"
	"net/http"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
)

var errDraining = errors.New("the server is shutting down")

// reading refuses all methods but GET and HEAD.
func reading(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "not-supported", "only GET and HEAD")
			return
		}
		h(w, r)
	})
}

// healthy answers as long as the process serves at all.
func healthy(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// ready answers 200 once requests are served, and 503 before and during a shutdown.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	err := s.o.Ready()
	if s.draining.Load() {
		err = errDraining
	}
	if err != nil {
		plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// unknown answers what no handler is there for.
func unknown(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusNotFound, fhir.CodeNotFound, "nothing is served here; FHIR is at /datastore/<id>/r4/")
}

// refuse answers with an OperationOutcome of one issue.
func refuse(w http.ResponseWriter, status int, code, diagnostics string) {
	h := w.Header()
	h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(outcome.Append(nil, []fhir.Issue{{Severity: fhir.Error, Code: code, Diagnostics: diagnostics}}, outcome.At{}))
}
