package query

import (
	"errors"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
)

// A problem is why a parameter is not read.
type problem struct {
	kind problemKind
	text string
}

type problemKind uint8

const (
	broken     problemKind = iota // against the grammar: always an error
	notOffered                    // not known or not there: an error under strict handling
	tooCostly                     // beyond a limit: always an error, and the only one
)

func (p *problem) Error() string { return p.text }

func malformed(format string, args ...any) *problem {
	return &problem{broken, fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) *problem {
	return &problem{notOffered, fmt.Sprintf(format, args...)}
}

func costly(format string, args ...any) *problem {
	return &problem{tooCostly, fmt.Sprintf(format, args...)}
}

func isUnsupported(err error) bool {
	var p *problem
	return errors.As(err, &p) && p.kind == notOffered
}

// issue makes the issue of a problem of a parameter; name is "" for one of the whole.
func issue(severity fhir.Severity, name string, err error) fhir.Issue {
	i := fhir.Issue{Severity: severity, Code: fhir.CodeInvalid, Diagnostics: err.Error()}
	var p *problem
	if errors.As(err, &p) {
		switch p.kind {
		case notOffered:
			i.Code = outcome.NotSupported.Code()
		case tooCostly:
			i.Code = outcome.TooCostly.Code()
		}
	}
	if name != "" {
		i.Diagnostics = "parameter " + fhir.Cut(name) + ": " + i.Diagnostics
	}
	return i
}

// maxFaults is how many faults one answer tells.
const maxFaults = 20
