// Package owner is how a command sends its work to the process that owns the root,
// when that is a server: the requests that go over the server's address, who may make
// them, and how progress and the result come back. What the work is, is the command's.
//
// One request is one operation:
//
//	POST /_owner/1/<operation>
//	Authorization: Bearer <token of the lock>
//	Content-Type: application/x-ndjson
//
// Its body is a line of JSON, the parameters, and after it the standard input, for an
// operation that reads it. The answer is NDJSON, one [event] a line, that arrives while
// the work goes on; the last line has the result or the failure.
//
// The requests are for programs of the user who owns the root, on the same machine:
//
//  1. The token is random, is made anew at each start, and is in the lock alone, which
//     only that user can read.
//  2. The request must name the announced address as its Host and come from this
//     machine; a page in a browser can do neither, nor set the content type, without
//     a permission that is never given.
//  3. A command talks TLS to the very certificate that the lock names.
//
// Read [Handler] and [Client] first.
package owner

import (
	"encoding/json"
	"fmt"
)

// Protocol is the version of the requests, a part of their path.
const Protocol = "1"

// Prefix is where a [Handler] is mounted.
const Prefix = "/_owner/"

// cancelName is the operation that cancels another one.
const cancelName = "cancel"

// contentType of requests and answers.
const contentType = "application/x-ndjson"

// The headers that say which program it is, for errors, and which run of an operation.
const (
	versionHeader   = "Fhirlake-Version"
	operationHeader = "Fhirlake-Operation"
)

// event is one line of an answer; one of its fields is set.
type event struct {
	Alive    bool            `json:"alive,omitempty"` // nothing to say, but still there
	Progress json.RawMessage `json:"progress,omitempty"`
	Note     string          `json:"note,omitempty"`   // for people
	Output   []byte          `json:"output,omitempty"` // the next bytes of what the command writes
	Result   json.RawMessage `json:"result,omitempty"`
	Failure  *Failure        `json:"failure,omitempty"`
}

// Failure is the error that an operation ended with.
type Failure struct {
	Message string `json:"message"`
	Code    int    `json:"code"` // exit code of the command
}

func (f *Failure) Error() string { return f.Message }

// UnavailableError says that the owner could not be asked, or did not answer to the end.
type UnavailableError struct {
	Owner string // who it is, for people
	Err   error
	// Begun says that the work may have begun, so that it may be done or not.
	Begun bool
}

func (e *UnavailableError) Error() string {
	if e.Begun {
		return fmt.Sprintf("%s ended before the work did (%v); run the command again: what is done already is not done twice", e.Owner, e.Err)
	}
	return fmt.Sprintf("%s owns the root and does not answer (%v); wait until it does, or stop it", e.Owner, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// VersionError says that the owner is a program of another version.
type VersionError struct{ Owner, Theirs, Ours string }

func (e *VersionError) Error() string {
	theirs := e.Theirs
	if theirs == "" {
		theirs = "another version"
	}
	return fmt.Sprintf("%s owns the root and is fhirlake %s, this is fhirlake %s, and they cannot work together; use the same version, or stop it",
		e.Owner, theirs, e.Ours)
}
