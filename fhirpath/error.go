package fhirpath

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is a fault of an expression: one of its text, of its grammar, or of what
// it says about the model. Its place is a span of the expression.
type Error struct {
	Expression string
	Pos, End   int    // bytes of Expression; End is after the last one, and equals Pos at the end of the text
	Message    string // one sentence, lower case: what was found and what was expected
}

// errorAt makes the Error of a span.
func errorAt(expression string, pos, end int, format string, args ...any) *Error {
	return &Error{expression, pos, end, fmt.Sprintf(format, args...)}
}

// Error gives one line: line and column of the place, both from 1, and the
// message. Columns count characters.
func (e *Error) Error() string {
	line, start := e.line()
	column := utf8.RuneCountInString(e.Expression[start:e.Pos]) + 1
	return fmt.Sprintf("%d:%d: %s", line, column, e.Message)
}

// line gives the number of the line that holds the place, from 1, and the byte
// where it starts.
func (e *Error) line() (number, start int) {
	before := e.Expression[:e.Pos]
	return strings.Count(before, "\n") + 1, strings.LastIndexByte(before, '\n') + 1
}

// detailWidth is how many characters of a line Detail shows on either side of
// the place.
const detailWidth = 60

// Detail shows the line of the expression that holds the place, and carets under
// it. It has two lines, the last without a line feed; what a long line has far
// from the place is left out.
func (e *Error) Detail() string {
	_, start := e.line()
	text, _, _ := strings.Cut(e.Expression[start:], "\n")
	text = strings.TrimSuffix(text, "\r")
	pos := min(e.Pos-start, len(text))
	end := min(max(e.End-start, pos), len(text))
	before, at, after := []rune(text[:pos]), []rune(text[pos:end]), []rune(text[end:])

	var shown, carets strings.Builder
	if cut := len(before) - detailWidth; cut > 0 {
		before = append([]rune("..."), before[cut:]...)
	}
	for _, r := range before {
		r = printable(r)
		shown.WriteRune(r)
		if r != '\t' {
			r = ' '
		}
		carets.WriteRune(r)
	}
	room := 2 * detailWidth
	for i, r := range append(at, after...) {
		if i == room {
			shown.WriteString("...")
			break
		}
		shown.WriteRune(printable(r))
	}
	carets.WriteString(strings.Repeat("^", min(max(len(at), 1), room)))
	return shown.String() + "\n" + carets.String()
}

// printable replaces what would move a terminal's cursor.
func printable(r rune) rune {
	if r != '\t' && !unicode.IsPrint(r) {
		return '?'
	}
	return r
}
