package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fhirlake/fhirlake/server/sql"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/root"
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

The query sees the data store's files and nothing else, and every write and deletion
that was answered before it began. With - it is read from standard input.

When a server owns the root the query runs in it, with a share of its memory unless
--memory says how much. Otherwise the command runs it, and owns the root for the moment
that it takes to read what is in no snapshot yet. While another command owns the root
for long, an import without a server, the result is that of the last snapshot, and a
line on standard error says so.`,
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
			if (f == duck.Parquet || f == duck.Arrow) && output == "" && isTerminal(c.OutOrStdout()) {
				return usageError("--format %s is not for a terminal; add -o FILE", f)
			}
			p := sqlParams{Datastore: g.datastore, Query: query, Format: f}
			if c.Flags().Changed("memory") {
				p.Memory = int64(memory)
			}
			if output == "" {
				p.Width = terminalWidth(c.OutOrStdout())
				return runSQL(c, g, p, int64(memory), c.OutOrStdout())
			}
			return writeFile(output, func(w io.Writer) error { return runSQL(c, g, p, int64(memory), w) })
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table, csv, json, ndjson, parquet or arrow (a stream)")
	c.Flags().StringVarP(&output, "output", "o", "", "file for the result instead of standard output")
	c.Flags().Var(&memory, "memory", "memory that the query may use; beyond it spills to disk")
	return c
}

// sqlParams say what to ask. Memory is in bytes; 0: what the server gives.
type sqlParams struct {
	Datastore string      `json:"datastore"`
	Query     string      `json:"query"`
	Format    duck.Format `json:"format"`
	Width     int         `json:"width"`
	Memory    int64       `json:"memory"`
}

func (p *sqlParams) run(ctx context.Context, st *sql.State, w io.Writer) (int64, error) {
	rows, err := st.Write(ctx, w, sql.Query{Text: p.Query, Format: p.Format, Width: p.Width, Memory: p.Memory})
	return rows, errors.Join(err, st.Close())
}

// sqlWork runs a query in a server. Its result is the number of rows; they go to the
// output.
var sqlWork = work[sqlParams, int64]{
	name: "sql",
	do: func(ctx context.Context, l *lake, s *session, p sqlParams) (int64, error) {
		d, err := l.catalog.Find(p.Datastore)
		if err != nil {
			return 0, err
		}
		st, err := l.sql.State(ctx, d.ID)
		if err != nil {
			return 0, err
		}
		return p.run(ctx, st, s.out)
	},
}

// runSQL has the server that owns the root run a query, or runs it here.
func runSQL(c *cobra.Command, g *globals, p sqlParams, memory int64, w io.Writer) error {
	if o, owned := root.FindOwner(g.root); owned && o.Address != "" {
		_, err := sqlWork.send(c, o, nil, w, p)
		return err
	}
	l, err := openBeside(g)
	if err != nil {
		return err
	}
	st, err := l.openSQL(c, g, sql.Options{TempDir: l.root.TempDir, Memory: memory})
	var owned *root.OwnedError
	if errors.As(err, &owned) { // by a server that has come meanwhile
		_, err = sqlWork.send(c, owned.Owner, nil, w, p)
		return errors.Join(err, l.Close())
	}
	if err == nil {
		_, err = p.run(c.Context(), st, w)
	}
	return errors.Join(err, l.Close())
}

// openSQL opens the data store for a query here. What it has in the delta only the owner
// can read, so the command is the owner for as long as that takes. The error is a
// [*root.OwnedError] when a server owns the root.
func (l *lake) openSQL(c *cobra.Command, g *globals, o sql.Options) (*sql.State, error) {
	dir := l.root.DatastoreDir(l.datastore.ID)
	store, err := snapshot.Open(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "delta")); errors.Is(err, fs.ErrNotExist) {
		return sql.Snapshot(store, o) // nobody but imports ever wrote to it
	}
	st, err := deltaSQL(c.Context(), g, l.datastore.ID, o)
	var owned *root.OwnedError
	switch {
	case errors.As(err, &owned) && owned.Owner.Address == "", errors.Is(err, root.ErrNotWritable):
		fmt.Fprintf(c.ErrOrStderr(), "the result is that of the last snapshot; what was written or deleted one by one since then is not seen: %v\n", err)
		return sql.Snapshot(store, o)
	case err != nil:
		return nil, err
	}
	return st, nil
}

// ownerTimeout is how long a query waits for a command that owns the root: another query
// has it for a moment, an import for longer.
const ownerTimeout = 3 * time.Second

// deltaSQL owns the root until all of a data store's delta is read.
func deltaSQL(ctx context.Context, g *globals, id string, o sql.Options) (*sql.State, error) {
	wait := time.After(ownerTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		own, err := openRoot(g, true)
		if err == nil {
			l, err := own.stores.Lake(id)
			if err != nil {
				return nil, errors.Join(err, own.Close())
			}
			st, err := sql.Once(ctx, l, o)
			return st, errors.Join(err, own.Close())
		}
		var owned *root.OwnedError
		if !errors.As(err, &owned) || owned.Owner.Address != "" {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-wait:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
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
