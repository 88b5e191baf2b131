// Package outcome turns issues into the OperationOutcome resource (FHIR R4,
// 2.28) and the HTTP status that goes with it. It is the only place that does.
package outcome

import (
	"net/http"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
)

// At tells where the resource of an outcome stood in an input. The zero At
// leaves the place out.
type At struct {
	File   string // may be empty
	Line   int64  // physical line, from 1
	Offset int64  // byte offset of the line in the uncompressed input
}

// Append appends the OperationOutcome of issues as compact JSON. With a place,
// every diagnostics text ends in it.
func Append(dst []byte, issues []fhir.Issue, at At) []byte {
	dst = append(dst, `{"resourceType":"OperationOutcome","issue":[`...)
	for i := range issues {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIssue(dst, &issues[i], at)
	}
	return append(dst, `]}`...)
}

func appendIssue(dst []byte, is *fhir.Issue, at At) []byte {
	dst = append(dst, `{"severity":"`...)
	dst = append(dst, is.Severity.String()...)
	dst = append(dst, `","code":"`...)
	dst = append(dst, is.Code...)
	dst = append(dst, '"')
	switch {
	case is.Constraint != "":
		dst = appendDetails(dst, "constraint "+is.Constraint, is.Profile)
	case is.Profile != "":
		dst = appendDetails(dst, "", is.Profile)
	}
	dst = append(dst, `,"diagnostics":`...)
	dst = fhir.AppendQuoted(dst, is.Diagnostics+place(is, at))
	if is.Expression != "" {
		dst = append(dst, `,"expression":[`...)
		dst = fhir.AppendQuoted(dst, is.Expression)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendDetails says which rule of which profile was broken.
func appendDetails(dst []byte, rule, profile string) []byte {
	if profile != "" {
		if rule != "" {
			rule += " of "
		}
		rule += "profile " + profile
	}
	dst = fhir.AppendQuoted(append(dst, `,"details":{"text":`...), rule)
	return append(dst, '}')
}

func place(is *fhir.Issue, at At) string {
	if at.Line == 0 {
		return ""
	}
	s := " ("
	if at.File != "" {
		s += at.File + ", "
	}
	s += "line " + strconv.FormatInt(at.Line, 10)
	if is.Column > 0 {
		s += ", column " + strconv.Itoa(int(is.Column))
	}
	return s + ", byte offset " + strconv.FormatInt(at.Offset, 10) + ")"
}

// Status is the HTTP status of an answer that carries these issues: 400 when
// one of them is an error (FHIR R4, 3.1.0.1.9), else 200.
func Status(issues []fhir.Issue) int {
	for i := range issues {
		if issues[i].Severity <= fhir.Error {
			return http.StatusBadRequest
		}
	}
	return http.StatusOK
}
