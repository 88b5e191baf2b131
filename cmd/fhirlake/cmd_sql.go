package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

func newSQLCommand(g *globals) *cobra.Command {
	var format, output string
	memory := byteSize(1 << 30)
	c := &cobra.Command{
		Use:   "sql [flags] QUERY",
		Short: "Ask SQL over the current resources",
		Long: `Sql runs one read-only query of DuckDB's SQL. There is a view for each resource
type, named as the type ("Group" and "Binary" need their quotes), with the current
resources, one row each: columns and nesting as in FHIR JSON. Beside a decimal x there is
x__decimal, beside a date d there are d__start and d__end, and a reference has
reference__type and reference__id. DESCRIBE Patient lists the columns.

The query sees the data store's files and nothing else. With - it is read from
standard input.`,
		Example: `  fhirlake sql "SELECT count(*) FROM Patient"
  fhirlake sql --format parquet -o bp.parquet "SELECT * FROM Observation WHERE code.text = 'Blood pressure'"
  fhirlake sql - < query.sql`,
		Args: exactly(1, "a QUERY, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if g.json && !c.Flags().Changed("format") {
				format = string(duck.NDJSON)
			}
			f, err := duck.ParseFormat(format)
			if err != nil {
				return usageError("--%w", err)
			}
			query := args[0]
			if query == "-" {
				b, err := io.ReadAll(c.InOrStdin())
				if err != nil {
					return fmt.Errorf("read the query from standard input: %w", err)
				}
				query = string(b)
			}
			if strings.TrimSpace(query) == "" {
				return usageError("the query is empty; see `%s --help`", c.CommandPath())
			}
			if f == duck.Parquet && output == "" && isTerminal(c.OutOrStdout()) {
				return usageError("--format parquet is not for a terminal; add -o FILE")
			}
			return runSQL(c, g, query, f, output, int64(memory))
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table, csv, json, ndjson or parquet")
	c.Flags().StringVarP(&output, "output", "o", "", "file for the result instead of standard output")
	c.Flags().Var(&memory, "memory", "memory that the query may use; beyond it spills to disk")
	return c
}

func runSQL(c *cobra.Command, g *globals, query string, f duck.Format, output string, memory int64) error {
	l, err := openBeside(g)
	if err != nil {
		return err
	}
	defer l.Close()
	store, err := snapshot.Open(l.root.DatastoreDir(l.datastore.ID))
	if err != nil {
		return err
	}
	m, release, err := store.Current()
	if err != nil {
		return err
	}
	defer release()
	temp, remove, err := l.root.TempDir()
	if err != nil {
		return err
	}
	defer remove()
	db, err := duck.Open(c.Context(), duck.Options{Store: store, Manifest: m, MemoryLimit: memory, TempDir: temp})
	if err != nil {
		return err
	}
	defer db.Close()
	if output == "" {
		_, err = db.Write(c.Context(), c.OutOrStdout(), query, f, terminalWidth(c.OutOrStdout()))
		return err
	}
	return writeFile(output, func(w io.Writer) error {
		_, err := db.Write(c.Context(), w, query, f, 0)
		return err
	})
}

// writeFile writes a file under a temporary name beside its own, so that what is
// there stays until the new content is whole. A link keeps its place, and a pipe
// or device is written as it is: renaming would put a file where it stood.
func writeFile(name string, write func(io.Writer) error) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		return writeThrough(name, write)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	defer os.Remove(f.Name())
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

func writeThrough(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("write result: %w", cerr)
	}
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is how wide a table may be; 0 when it goes to a file or pipe.
func terminalWidth(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	n, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil {
		return 0
	}
	return n
}
