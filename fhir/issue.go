package fhir

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Pos is a place in the input.
type Pos struct {
	File   string // as the user named it, or the path below the folder that they named
	Line   int64  // physical line, from 1; blank lines count
	Offset int64  // byte offset of the line in the uncompressed file, from 0
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Severity of an issue (FHIR R4 value set issue-severity).
type Severity uint8

// The severities, the worst first.
const (
	Fatal Severity = iota
	Error
	Warning
	Information
)

var severityNames = [...]string{"fatal", "error", "warning", "information"}

func (s Severity) String() string { return severityNames[s] }

// ParseSeverity reads what String gives.
func ParseSeverity(name string) (Severity, bool) {
	i := slices.Index(severityNames[:], name)
	return Severity(max(i, 0)), i >= 0
}

// The issue codes in use (FHIR R4 value set issue-type).
const (
	CodeInvalid   = "invalid"
	CodeStructure = "structure"
	CodeRequired  = "required"
	CodeValue     = "value"
	CodeInvariant = "invariant"
	CodeUnknown   = "code-invalid"
	CodeTooLong   = "too-long"
	CodeDuplicate = "duplicate"
	CodeNotFound  = "not-found"
)

// Issue is one fault of one record; the job goes on.
type Issue struct {
	Severity    Severity
	Code        string // one of the Code constants
	Expression  string // FHIRPath of the element at fault: Patient.name[0].family
	Column      int32  // byte in the line, from 1; 0 when unknown
	Diagnostics string // one sentence, lower case; no content but the value at fault, cut to 80 bytes
	Constraint  string // key of the invariant that failed: "pat-1"; "" for none
	Profile     string // canonical URL of the profile that asks for it; "" for the base definitions
}

// maxQuoted is how many bytes of a value stand in a message.
const maxQuoted = 80

// Cut shortens a value for a message, at a character's edge.
func Cut[T []byte | string](value T) string {
	if len(value) <= maxQuoted {
		return string(value)
	}
	n := maxQuoted
	for n > maxQuoted-utf8.UTFMax && !utf8.RuneStart(value[n]) {
		n--
	}
	return string(value[:n]) + "..."
}

// RecordError is a failure of the job that one record caused.
type RecordError struct {
	Pos   Pos
	Stage string
	Err   error
}

func (e *RecordError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Pos, e.Stage, e.Err) }

func (e *RecordError) Unwrap() error { return e.Err }
