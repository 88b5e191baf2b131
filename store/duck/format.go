package duck

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Format is the form of a result.
type Format string

// The formats.
const (
	Table    Format = "table"
	CSV      Format = "csv"
	JSONText Format = "json"
	NDJSON   Format = "ndjson"
	Parquet  Format = "parquet"
	Arrow    Format = "arrow" // a stream of Arrow's IPC format
)

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	switch f := Format(strings.ToLower(s)); f {
	case Table, CSV, JSONText, NDJSON, Parquet, Arrow:
		return f, nil
	}
	return "", fmt.Errorf("format %q is not one of table, csv, json, ndjson, parquet, arrow", s)
}

// Write runs a query and writes its result. width is that of the terminal a
// table is for: wide values are cut to it; 0 cuts nothing. It returns the
// number of rows, -1 for Parquet.
func (d *DB) Write(ctx context.Context, w io.Writer, query string, f Format, width int) (int64, error) {
	if f == Parquet {
		return -1, d.WriteParquet(ctx, w, query)
	}
	if f == Arrow {
		return d.WriteArrow(ctx, w, query)
	}
	rows, err := d.Query(ctx, query)
	if err != nil {
		return 0, err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	var n int64
	switch f {
	case CSV:
		n, err = rows.csv(b)
	case JSONText:
		n, err = rows.json(b, "[\n", ",\n", "\n]\n", "[]\n")
	case NDJSON:
		n, err = rows.json(b, "", "\n", "\n", "")
	case Table:
		n, err = rows.table(b, width)
	default:
		_, err = ParseFormat(string(f))
	}
	if e := rows.Close(); err == nil {
		err = e
	}
	if e := b.Flush(); err == nil {
		err = e
	}
	return n, err
}

// csv follows RFC 4180, with line feeds alone. NULL is an empty field; an empty
// text is quoted, so that the two differ.
func (r *Rows) csv(w *bufio.Writer) (n int64, err error) {
	for i, c := range r.Columns {
		if i > 0 {
			w.WriteByte(',')
		}
		csvField(w, c.Name)
	}
	w.WriteByte('\n')
	for row := r.Next(); row != nil; row = r.Next() {
		for i, v := range row {
			if i > 0 {
				w.WriteByte(',')
			}
			if !v.Null {
				csvField(w, v.Text)
			} else if len(row) == 1 {
				continue // an empty line: readers take it as one empty field
			}
		}
		if err := w.WriteByte('\n'); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func csvField(w *bufio.Writer, s string) {
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") {
		w.WriteString(s)
		return
	}
	w.WriteByte('"')
	w.WriteString(strings.ReplaceAll(s, `"`, `""`))
	w.WriteByte('"')
}

func (r *Rows) json(w *bufio.Writer, open, between, closing, none string) (n int64, err error) {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		text, err := json.Marshal(c.Name)
		if err != nil {
			return 0, err
		}
		names[i] = string(text)
	}
	for row := r.Next(); row != nil; row = r.Next() {
		if n == 0 {
			w.WriteString(open)
		} else {
			w.WriteString(between)
		}
		n++
		for i, v := range row {
			if i == 0 {
				w.WriteByte('{')
			} else {
				w.WriteByte(',')
			}
			w.WriteString(names[i])
			w.WriteByte(':')
			if err := jsonValue(w, r.Columns[i].Kind, v); err != nil {
				return n, err
			}
		}
		if err := w.WriteByte('}'); err != nil {
			return n, err
		}
	}
	if n == 0 {
		closing = none
	}
	_, err = w.WriteString(closing)
	return n, err
}

func jsonValue(w *bufio.Writer, k Kind, v Value) error {
	switch {
	case v.Null:
		w.WriteString("null")
		return nil
	case k == Number && !json.Valid([]byte(v.Text)): // nan and inf are no JSON
	case k != Text:
		w.WriteString(v.Text)
		return nil
	}
	e := json.NewEncoder(trimNewline{w})
	e.SetEscapeHTML(false)
	return e.Encode(v.Text)
}

// trimNewline drops the line end that json.Encoder adds.
type trimNewline struct{ w *bufio.Writer }

func (t trimNewline) Write(p []byte) (int, error) {
	_, err := t.w.Write([]byte(strings.TrimSuffix(string(p), "\n")))
	return len(p), err
}

// tableRows is how many rows the widths of a table are measured on. A table is
// for reading; more rows than this come in parts, each with its own widths.
const tableRows = 10000

func (r *Rows) table(w *bufio.Writer, width int) (n int64, err error) {
	var part [][]string
	for row := r.Next(); row != nil; row = r.Next() {
		cells := make([]string, len(row))
		for i, v := range row {
			if v.Null {
				cells[i] = "NULL"
			} else {
				cells[i] = oneLine(v.Text)
			}
		}
		if part = append(part, cells); len(part) == tableRows {
			if err := r.tablePart(w, part, width); err != nil {
				return n, err
			}
			part = part[:0]
		}
		n++
	}
	if r.err != nil {
		return n, nil // Close tells
	}
	if len(part) > 0 || n == 0 {
		err = r.tablePart(w, part, width)
	}
	word := "rows"
	if n == 1 {
		word = "row"
	}
	fmt.Fprintf(w, "%d %s\n", n, word)
	return n, err
}

func oneLine(s string) string {
	return strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`, "\x1b", `\e`).Replace(s)
}

func (r *Rows) tablePart(w *bufio.Writer, part [][]string, width int) error {
	widths := make([]int, len(r.Columns))
	for i, c := range r.Columns {
		widths[i] = utf8.RuneCountInString(c.Name)
		for _, row := range part {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	shrink(widths, width)
	rule := func(left, cross, right string) {
		w.WriteString(left)
		for i, n := range widths {
			if i > 0 {
				w.WriteString(cross)
			}
			w.WriteString(strings.Repeat("─", n+2))
		}
		w.WriteString(right + "\n")
	}
	line := func(cells func(int) string, right func(int) bool) {
		for i, n := range widths {
			s := cut(cells(i), n)
			pad := strings.Repeat(" ", n-utf8.RuneCountInString(s))
			if right(i) {
				s = pad + s
			} else {
				s += pad
			}
			w.WriteString("│ " + s + " ")
		}
		w.WriteString("│\n")
	}
	rule("┌", "┬", "┐")
	line(func(i int) string { return r.Columns[i].Name }, func(int) bool { return false })
	rule("├", "┼", "┤")
	for _, row := range part {
		line(func(i int) string { return row[i] }, func(i int) bool { return r.Columns[i].Kind == Number })
	}
	rule("└", "┴", "┘")
	return nil
}

// shrink makes the widest columns narrower until the table fits the terminal,
// or until all are as narrow as is of use.
func shrink(widths []int, terminal int) {
	const least = 8
	total := 1
	for _, n := range widths {
		total += n + 3
	}
	for terminal > 0 && total > terminal {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			return
		}
		by := max(1, min(total-terminal, widths[widest]/8))
		widths[widest] -= by
		total -= by
	}
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// WriteParquet runs a query and writes its result as Parquet. DuckDB's own
// writer does it, with its types and on all threads, into a file of ours, since
// Parquet cannot be streamed through it.
func (d *DB) WriteParquet(ctx context.Context, w io.Writer, query string) error {
	if d.result == "" {
		return errors.New("write Parquet: no temporary folder")
	}
	if d.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.o.Timeout)
		defer cancel()
	}
	s, err := d.prepare(ctx, query)
	if err != nil {
		return explain(ctx, err)
	}
	if s.explain {
		return &Error{Message: "EXPLAIN has no Parquet form"}
	}
	f, err := d.copyOut(ctx, s)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}

// copyOut has DuckDB write the result of a query and gives the file, which has lost its
// name already: the next result need not wait until this one was sent.
func (d *DB) copyOut(ctx context.Context, s *statement) (*os.File, error) {
	d.resultMu.Lock()
	defer d.resultMu.Unlock()
	defer os.Remove(d.result)
	err := d.engine.exec(ctx, "COPY "+wrapped("FROM "+wrapped(s.text))+" TO "+quote(d.result)+
		" (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)")
	if err != nil {
		return nil, explain(ctx, err)
	}
	f, err := os.Open(d.result)
	if err != nil {
		return nil, fmt.Errorf("write Parquet: %w", err)
	}
	return f, nil
}
