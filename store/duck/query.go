package duck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Error is a fault of a query, told to its author.
type Error struct {
	Message string
	Line    int    // 1-based, 0 unknown
	Hint    string // "" when there is none
	cause   error
}

func (e *Error) Error() string {
	s := e.Message
	if e.Line > 1 {
		s += fmt.Sprintf(" (line %d)", e.Line)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives context errors to their callers.
func (e *Error) Unwrap() error { return e.cause }

// Kind is how a value is written in JSON and CSV.
type Kind uint8

// The kinds of columns.
const (
	Text    Kind = iota
	Number       // written bare
	Boolean      // written bare
	JSON         // nested values and JSON columns: the value is JSON text
)

// Column is a column of a result.
type Column struct {
	Name string
	Type string // as DuckDB writes it: VARCHAR, STRUCT(...)
	Kind Kind
}

// Value is one field of a row, as text.
type Value struct {
	Text string
	Null bool
}

// Rows streams a result. It belongs to one goroutine.
type Rows struct {
	Columns []Column
	stream  *stream // nil after Close
	row     []Value
	err     error
	ctx     context.Context // of the query, which lasts until Close
	cancel  context.CancelFunc
}

// Query runs one SELECT-like statement: SELECT, WITH, FROM, VALUES, SUMMARIZE,
// DESCRIBE, SHOW, EXPLAIN. All else is refused (invariant 1). An [Error] is the
// author's fault.
func (d *DB) Query(ctx context.Context, query string) (*Rows, error) {
	cancel := context.CancelFunc(func() {})
	if d.o.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, d.o.Timeout)
	}
	r, err := d.query(ctx, query)
	if err != nil {
		err = explain(ctx, err) // which looks at ctx before it is cancelled
		cancel()
		return nil, err
	}
	r.ctx, r.cancel = ctx, cancel
	return r, nil
}

func (d *DB) query(ctx context.Context, query string) (*Rows, error) {
	s, err := d.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	text := s.text
	r := &Rows{Columns: s.columns}
	if !s.explain {
		text = s.asText()
	}
	if r.stream, err = d.engine.query(ctx, text); err != nil {
		return nil, err
	}
	if s.explain {
		for _, n := range r.stream.columns() {
			r.Columns = append(r.Columns, Column{Name: n, Type: "VARCHAR"})
		}
	}
	r.row = make([]Value, len(r.Columns))
	return r, nil
}

// statement is a checked query.
type statement struct {
	text    string // without a semicolon at its end
	explain bool
	columns []Column
}

// unquoted finds the two resource types that SQL's grammar takes for itself.
var unquoted = regexp.MustCompile(`(?i)\b(?:from|join|describe|summarize)\s+(group|binary)\b`)

var explainPrefix = regexp.MustCompile(`(?is)^\s*explain\s+(analyze\s+)?`)

func (d *DB) prepare(ctx context.Context, query string) (*statement, error) {
	s := &statement{}
	prefix := explainPrefix.FindString(query)
	text, err := d.onlySelect(ctx, query[len(prefix):])
	if err != nil {
		return nil, err
	}
	if err := d.needViews(ctx, text); err != nil {
		return nil, err
	}
	if prefix != "" {
		s.explain, s.text = true, prefix+text
		return s, nil
	}
	s.text = text
	s.columns, err = d.describe(ctx, s.text)
	return s, err
}

// onlySelect lets DuckDB's parser say what the text is: json_serialize_sql
// takes SELECT-like statements alone and gives a tree for each. It returns the
// text without what follows the statement, so that it can stand in parentheses.
func (d *DB) onlySelect(ctx context.Context, text string) (string, error) {
	tree, err := d.parse(ctx, text)
	if err != nil {
		return "", err
	}
	for {
		i := strings.LastIndexByte(text, ';')
		if i < 0 {
			return text, nil
		}
		// Is it the statement's end, or part of a string or comment?
		shorter, err := d.parse(ctx, text[:i])
		if err != nil || shorter != tree {
			return text, nil
		}
		text = text[:i]
	}
}

func (d *DB) parse(ctx context.Context, text string) (tree string, err error) {
	rows, err := d.all(ctx, "SELECT json_serialize_sql("+quote(text)+"::VARCHAR)::VARCHAR", 1)
	if err != nil {
		return "", err
	}
	var p struct {
		Error      bool              `json:"error"`
		Type       string            `json:"error_type"`
		Message    string            `json:"error_message"`
		Position   string            `json:"position"`
		Statements []json.RawMessage `json:"statements"`
	}
	if err := json.Unmarshal([]byte(rows[0][0].Text), &p); err != nil {
		return "", fmt.Errorf("parse query: %w", err)
	}
	switch {
	case p.Error && p.Type == "not implemented":
		return "", &Error{
			Message: "only queries can be run here: SELECT, WITH, FROM, VALUES, SUMMARIZE, DESCRIBE, SHOW or EXPLAIN",
			Hint:    "the data is read-only, and results are written by --output or the caller; PIVOT needs its values named: ON x IN (...)",
		}
	case p.Error:
		e := &Error{Message: p.Message}
		if at, err := strconv.Atoi(p.Position); err == nil && at <= len(text) {
			e.Line = 1 + strings.Count(text[:at], "\n")
		}
		if m := unquoted.FindStringSubmatch(text); m != nil {
			name := strings.ToUpper(m[1][:1]) + strings.ToLower(m[1][1:])
			e.Hint = fmt.Sprintf("%s is a word of SQL: the resource type is written %q, with its quotes", strings.ToUpper(name), name)
		}
		return "", e
	case len(p.Statements) == 0:
		return "", &Error{Message: "the query is empty"}
	case len(p.Statements) > 1:
		return "", &Error{Message: fmt.Sprintf("%d statements where one is expected", len(p.Statements)), Hint: "run them one by one"}
	}
	return string(p.Statements[0]), nil
}

// The query stands in parentheses on lines of its own: a comment at its end
// must not hide the parenthesis, and line numbers are off by one exactly.
func wrapped(text string) string { return "(\n" + text + "\n)" }

func (d *DB) describe(ctx context.Context, text string) ([]Column, error) {
	rows, err := d.all(ctx, "SELECT column_name, column_type FROM (DESCRIBE FROM "+wrapped(text)+")", 2)
	if err != nil {
		return nil, err
	}
	all := make([]Column, len(rows))
	for i, r := range rows {
		all[i] = Column{Name: r[0].Text, Type: r[1].Text, Kind: kindOf(r[1].Text)}
	}
	return all, nil
}

// all gives the rows of a small result of some columns of text.
func (d *DB) all(ctx context.Context, query string, columns int) (rows [][]Value, err error) {
	s, err := d.engine.query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer s.close()
	for {
		row := make([]Value, columns)
		ok, err := s.next(ctx, row)
		if err != nil || !ok {
			return rows, err
		}
		rows = append(rows, row)
	}
}

func kindOf(t string) Kind {
	base, _, _ := strings.Cut(t, "(")
	switch {
	case strings.HasSuffix(t, "]"):
		return JSON
	case base == "STRUCT" || base == "MAP" || base == "UNION" || base == "JSON" || base == "VARIANT":
		return JSON
	case base == "BOOLEAN":
		return Boolean
	}
	switch base {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
		"FLOAT", "DOUBLE", "DECIMAL":
		return Number
	}
	return Text
}

// asText casts every column to text inside DuckDB: its casts and to_json run on
// vectors, keep the order of struct fields and lose no digit of a decimal,
// which the driver's maps and floats would.
func (s *statement) asText() string {
	var names, exprs []string
	for i, c := range s.columns {
		n := "c" + strconv.Itoa(i)
		names = append(names, n)
		if c.Kind == JSON {
			exprs = append(exprs, "to_json("+n+")::VARCHAR")
		} else {
			exprs = append(exprs, n+"::VARCHAR")
		}
	}
	return "SELECT " + strings.Join(exprs, ", ") + " FROM " + wrapped(s.text) + " AS t(" + strings.Join(names, ", ") + ")"
}

// Next gives the next row, valid until the next call; nil at the end or after
// an error, which Close returns.
func (r *Rows) Next() []Value {
	if r.err != nil || r.stream == nil {
		return nil
	}
	ok, err := r.stream.next(r.ctx, r.row)
	if r.err = err; err != nil || !ok {
		return nil
	}
	return r.row
}

// Close ends the query and returns the error that ended Next, if any. Closing twice does
// nothing.
func (r *Rows) Close() error {
	if r.stream == nil {
		return nil
	}
	r.stream.close()
	r.stream = nil
	err := r.err
	if err != nil {
		err = explain(r.ctx, err)
	}
	r.cancel()
	return err
}

var (
	errorKind    = regexp.MustCompile(`^[A-Z][A-Za-z ]* Error: `)
	errorLine    = regexp.MustCompile(`(?m)^LINE (\d+):`)
	missingTable = regexp.MustCompile(`Table with name (\S+) does not exist`)
)

// explain keeps of DuckDB's message the sentence that helps.
func explain(ctx context.Context, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	cause := err
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return &Error{Message: "the query took longer than it may", cause: cause}
	}
	if errors.Is(cause, context.Canceled) {
		return &Error{Message: "the query was cancelled", cause: cause}
	}
	text := err.Error()
	e := &Error{cause: cause}
	if m := errorLine.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		e.Line = n - 1
	}
	if i := strings.Index(text, "\n\nLINE "); i >= 0 {
		text = text[:i]
	}
	if i := errorKind.FindStringIndex(text); i != nil {
		text = text[i[1]:]
	}
	if m := missingTable.FindStringSubmatch(text); m != nil {
		e.Message = fmt.Sprintf("there is no table %s", m[1])
		if near := nearest(strings.Trim(m[1], `"`)); near != "" {
			e.Hint = fmt.Sprintf("did you mean %s?", near)
		} else {
			e.Hint = "tables are named as the resource types: Patient, Observation ..."
		}
		return e
	}
	if strings.Contains(err.Error(), "Out of Memory Error") {
		text, e.Line, e.Hint = "the query needs more memory than it may use", 0, "give it more with --memory, or ask for less"
	}
	e.Message = strings.Join(strings.Fields(text), " ")
	return e
}
