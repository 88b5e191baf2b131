package remote

import (
	"fmt"
	"strings"
)

// Error says why a text was not read. It has nothing of the text, nothing that the service
// wrote but the name of its error, and no credentials.
type Error struct {
	Operation string
	Status    int    // of HTTP; 0: there was no answer
	Type      string // the name of the service's error, "" when it gave none
	Attempts  int
	Found     string // one sentence, lower case
	Err       error  // nil, or what the system said
}

func (e *Error) Error() string {
	s := e.Operation + ": " + e.Found
	switch {
	case e.Type != "":
		s += fmt.Sprintf(": %s (%d)", e.Type, e.Status)
	case e.Status != 0:
		s += fmt.Sprintf(" (%d)", e.Status)
	}
	if e.Attempts > 1 {
		s += fmt.Sprintf(", %d attempts", e.Attempts)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// errorType takes the name out of what a service says of an error: "a.b#Name",
// "Name:http://...". What is no name is "".
func errorType(s string) string {
	if _, after, ok := strings.Cut(s, "#"); ok {
		s = after
	}
	s, _, _ = strings.Cut(s, ":")
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return ""
	}
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' {
			return ""
		}
	}
	return s
}
