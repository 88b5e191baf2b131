package rest

import (
	"net/url"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// target is what a URL below the base of a data store names.
type target struct {
	kind      targetKind
	typ       r4.TypeID
	member    r4.TypeID // of targetCompartment, the type that is searched; 0 for all
	id        string
	version   string // as it is written
	file      string // of an export
	operation string // without the dollar sign
}

type targetKind uint8

const (
	targetSystem targetKind = iota // the base
	targetMetadata
	targetSystemHistory
	targetType
	targetTypeHistory
	targetInstance
	targetInstanceHistory
	targetVersion
	targetOperation
	targetSearch      // _search
	targetCompartment // Type/id/Type
	targetLater       // Transaction/id: a request that is answered later
	targetExport      // export/job
	targetExportFile  // export/job/file
	targetImport      // import/job
	numTargets
)

// allows are the methods that each kind of target may take. Which a type takes is
// asked of package capability.
var allows = [numTargets]string{
	targetSystem:          "GET, HEAD, POST",
	targetMetadata:        "GET, HEAD",
	targetSystemHistory:   "GET, HEAD",
	targetType:            "GET, HEAD, POST, PUT, PATCH, DELETE",
	targetTypeHistory:     "GET, HEAD",
	targetInstance:        "GET, HEAD, PUT, PATCH, DELETE",
	targetInstanceHistory: "GET, HEAD",
	targetVersion:         "GET, HEAD",
	targetOperation:       "GET, HEAD, POST",
	targetSearch:          "POST",
	targetCompartment:     "GET, HEAD",
	targetLater:           "GET, HEAD, DELETE",
	targetExport:          "GET, HEAD, DELETE",
	targetExportFile:      "GET, HEAD",
	targetImport:          "GET, HEAD, DELETE",
}

// laterPath is no resource type of R4. Amazon HealthLake has it.
const laterPath = "Transaction"

// readTarget reads a path below the base, without a slash in front.
func readTarget(path string) (t target, err error) {
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return target{kind: targetSystem}, nil
	}
	first, rest, more := strings.Cut(path, "/")
	switch {
	case first[:min(1, len(first))] == "$" && !more:
		return target{kind: targetOperation, operation: first[1:]}, nil
	case first == laterPath && more && rest != "" && !strings.Contains(rest, "/"):
		return target{kind: targetLater, id: rest}, nil
	case first == importPath && more && rest != "" && !strings.Contains(rest, "/"):
		return target{kind: targetImport, id: rest}, nil
	case first == exportPath && more && rest != "":
		job, file, more := strings.Cut(rest, "/")
		switch {
		case !more:
			return target{kind: targetExport, id: job}, nil
		case !strings.Contains(file, "/"):
			return target{kind: targetExportFile, id: job, file: file}, nil
		}
	case more:
	case first == "metadata":
		return target{kind: targetMetadata}, nil
	case first == "_history":
		return target{kind: targetSystemHistory}, nil
	case first == "_search":
		return target{kind: targetSearch}, nil
	}
	if t.typ = r4.ResourceTypeByName([]byte(first)); t.typ == 0 {
		return target{}, outcome.Faultf(outcome.NotFound, "'%s' is no resource type of R4, nor anything else that is here", clip(first))
	}
	if !more {
		t.kind = targetType
		return t, nil
	}
	second, rest, more := strings.Cut(rest, "/")
	if !more {
		switch {
		case second == "_history":
			t.kind = targetTypeHistory
		case second == "_search":
			t.kind = targetSearch
		case strings.HasPrefix(second, "$"):
			t.kind, t.operation = targetOperation, second[1:]
		default:
			t.kind, t.id = targetInstance, second
		}
		return t, nil
	}
	t.id = second
	third, rest, more := strings.Cut(rest, "/")
	switch {
	case third == "_history" && !more:
		t.kind = targetInstanceHistory
	case third == "_history":
		var operation string
		t.kind = targetVersion
		if t.version, operation, more = strings.Cut(rest, "/"); !more {
			return t, nil
		}
		if !strings.HasPrefix(operation, "$") || strings.Contains(operation, "/") {
			return target{}, outcome.Faultf(outcome.NotFound, "there is nothing at '%s'", clip(path))
		}
		t.kind, t.operation = targetOperation, operation[1:]
	case strings.HasPrefix(third, "$") && !more:
		t.kind, t.operation = targetOperation, third[1:]
	case !more && (third == "*" || r4.ResourceTypeByName([]byte(third)) != 0):
		t.kind, t.member = targetCompartment, r4.ResourceTypeByName([]byte(third))
	default:
		return target{}, outcome.Faultf(outcome.NotFound, "there is nothing at '%s'", clip(path))
	}
	return t, nil
}

// checkSlashes refuses a path in which a slash is escaped: no id has one, and it must
// not divide the path either.
func checkSlashes(escaped string) error {
	if strings.Contains(escaped, "%2F") || strings.Contains(escaped, "%2f") {
		return outcome.Faultf(outcome.NotFound, "there is nothing at '%s': an id has no slash", clip(escaped))
	}
	return nil
}

// readURL reads the URL of an entry of a Bundle: relative to the base, or below it. raw
// is its query as it stands.
func readURL(text, base string) (t target, raw string, query url.Values, err error) {
	rest, ok := strings.CutPrefix(text, base)
	if path, _, _ := strings.Cut(text, "?"); !ok && strings.Contains(path, "://") {
		return target{}, "", nil, outcome.Faultf(outcome.Malformed, "URL '%s' is not below the base of this data store", clip(text))
	}
	path, raw, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "?")
	if err := checkSlashes(path); err != nil {
		return target{}, "", nil, err
	}
	if path, err = url.PathUnescape(path); err == nil {
		query, err = parseQuery(raw)
	}
	if err != nil {
		return target{}, "", nil, outcome.Faultf(outcome.Malformed, "URL '%s' cannot be read", clip(text))
	}
	t, err = readTarget(path)
	return t, raw, query, err
}

// clip bounds what a message repeats of its input.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// validID: [A-Za-z0-9\-\.]{1,64} (FHIR R4, 2.24.0.1)
func validID(id string) bool {
	for _, c := range []byte(id) {
		if c-'0' > 9 && c|0x20-'a' > 25 && c != '-' && c != '.' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 64
}
