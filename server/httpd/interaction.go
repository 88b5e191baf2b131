package httpd

import (
	"net/http"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// interaction is what a request is, in words that have no data of the request: FHIR's
// codes of interactions (FHIR R4, value set type-restful-interaction and
// system-restful-interaction) for those of FHIR.
type interaction struct {
	name      string
	datastore string // id; "" for none
	resource  string // resource type; "" for none
}

// Describe names a request in words that have no data of it: the interaction, the id of
// the data store and the resource type.
func Describe(method, path string) (interaction, datastore, resource string) {
	in := interactionOf(method, path)
	return in.name, in.datastore, in.resource
}

// interactionOf tells by method and path what a request is. It is exact for requests
// that are served; of others it says what they resemble.
func interactionOf(method, path string) interaction {
	rest, ok := strings.CutPrefix(path, "/datastore/")
	if !ok {
		return interaction{name: surface(path)}
	}
	id, rest, _ := strings.Cut(rest, "/")
	in := interaction{name: "other"}
	if catalog.IsID(id) {
		in.datastore = id
	}
	base, rest, _ := strings.Cut(rest, "/")
	if base == "sql" && rest == "" {
		in.name = "sql"
	}
	if base != "r4" {
		return in
	}
	if rest == "" || rest[0] == '?' {
		in.name = whole(method)
		return in
	}
	first, rest, more := strings.Cut(rest, "/")
	switch {
	case first == "metadata":
		in.name = "capabilities"
	case first == "Transaction":
		in.name = "async" // the answer to a bundle that was to be answered later
	case first == "import":
		in.name = "import" // the state of a job
	case first == "export":
		in.name = "export" // the state of a job, or one of its files
	case first == "_history":
		in.name = "history-system"
	case first == "_search":
		in.name = "search-system"
	case strings.HasPrefix(first, "$"):
		in.name = "operation"
	default:
		t, ok := r4.TypeByName(first)
		if !ok || !t.IsResourceType() {
			return in
		}
		in.resource = t.String()
		in.name = ofType(method, rest, more)
	}
	return in
}

// surface names what is not FHIR.
func surface(path string) string {
	switch {
	case path == "/healthz" || path == "/readyz":
		return "health"
	case path == "/metrics":
		return "metrics"
	case path == "/":
		return "control"
	case strings.HasPrefix(path, "/_owner/"):
		return "owner"
	}
	return "other"
}

// whole names what is done with the base of a data store.
func whole(method string) string {
	switch method {
	case http.MethodPost:
		return "bundle" // batch or transaction: the body tells
	case http.MethodGet, http.MethodHead:
		return "search-system"
	}
	return "other"
}

// ofType names what is done with [type] or, with more, with [type]/rest.
func ofType(method, rest string, more bool) string {
	id, rest, deeper := strings.Cut(rest, "/")
	switch {
	case !more || id == "":
		switch method {
		case http.MethodPost:
			return "create"
		case http.MethodGet, http.MethodHead:
			return "search-type"
		case http.MethodPut:
			return "update"
		case http.MethodPatch:
			return "patch"
		case http.MethodDelete:
			return "delete"
		}
		return "other"
	case id == "_search":
		return "search-type"
	case id == "_history":
		return "history-type"
	case id[0] == '$' || deeper && strings.HasPrefix(rest, "$"):
		return "operation"
	case !deeper:
		return ofInstance(method)
	case rest == "_history":
		return "history-instance"
	case strings.HasPrefix(rest, "_history/"):
		if strings.Contains(rest, "$") {
			return "operation"
		}
		return "vread"
	case (method == http.MethodGet || method == http.MethodHead) && (rest == "*" || isResourceType(rest)): // a compartment
		return "search-type"
	}
	return "other"
}

func isResourceType(name string) bool {
	t, ok := r4.TypeByName(name)
	return ok && t.IsResourceType()
}

func ofInstance(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return "read"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	return "other"
}
