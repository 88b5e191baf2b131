package load

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/store/duck"
)

// ExportComparison is a store's export in several formats, and DuckDB's COPY of Parquet files with
// the same resources to JSON.
type ExportComparison struct {
	Resources int64        `json:"resources"`
	Bytes     int64        `json:"bytes"` // of the store's NDJSON
	Formats   []ExportRuns `json:"formats"`
}

// ExportRuns are the runs of one format, in turn with those of the others. Rates are of the
// NDJSON that the files stand for.
type ExportRuns struct {
	Format string      `json:"format"`
	Runs   []ImportRun `json:"runs"`
	Median float64     `json:"medianMegabytesPerSecond"`
}

// ExportOptions says what to measure.
type ExportOptions struct {
	Program   string
	Inputs    []string // imported into a store that is thrown away; none: Root is exported
	Root      string
	Datastore string
	Formats   []string
	Args      []string // more flags for export
	Runs      int      // of each; 0: 1
	Work      string   // folder for stores and outputs; removed run by run
	DuckDB    bool     // run DuckDB's COPY to JSON too, of the Parquet files of an export
	Report    func(format string, r ImportRun)
}

// duckDBFormat is how the runs of DuckDB are named.
const duckDBFormat = "DuckDB COPY to JSON"

// CompareExport runs the exports, and DuckDB in turn with them.
func CompareExport(ctx context.Context, o ExportOptions) (*ExportComparison, error) {
	if len(o.Inputs) > 0 {
		o.Root = filepath.Join(o.Work, "lake")
		args := append([]string{"--root", o.Root, "--json", "import", "--search-index", "off"}, o.Inputs...)
		if _, _, err := runProcess(ctx, o.Program, args, 3); err != nil {
			return nil, fmt.Errorf("bench export: import: %w", err)
		}
	}
	e := &exporting{ExportOptions: o, c: &ExportComparison{}}
	if err := e.measure(ctx); err != nil {
		return nil, fmt.Errorf("bench export: %w", err)
	}
	for i := range e.c.Formats {
		f := &e.c.Formats[i]
		f.Median = medianRate(f.Runs)
	}
	return e.c, nil
}

type exporting struct {
	ExportOptions
	c *ExportComparison
}

func (e *exporting) measure(ctx context.Context) error {
	// The first run says how much NDJSON there is, and brings the store into the page cache.
	if _, err := e.export(ctx, "ndjson", filepath.Join(e.Work, "first")); err != nil {
		return err
	}
	parquet := filepath.Join(e.Work, "parquet")
	if e.DuckDB {
		defer os.RemoveAll(parquet)
		if _, err := e.export(ctx, "parquet", parquet); err != nil {
			return err
		}
		parquet = filepath.Join(e.Work, "parquet")
	}
	for range max(e.Runs, 1) {
		for _, f := range e.Formats {
			r, err := e.export(ctx, f, filepath.Join(e.Work, "out"))
			if err != nil {
				return err
			}
			e.add(f, r)
		}
		if !e.DuckDB {
			continue
		}
		r, err := e.duckDB(ctx, parquet)
		if err != nil {
			return err
		}
		e.add(duckDBFormat, r)
	}
	return nil
}

func (e *exporting) add(format string, r ImportRun) {
	if e.Report != nil {
		e.Report(format, r)
	}
	i := slices.IndexFunc(e.c.Formats, func(f ExportRuns) bool { return f.Format == format })
	if i < 0 {
		i = len(e.c.Formats)
		e.c.Formats = append(e.c.Formats, ExportRuns{Format: format})
	}
	e.c.Formats[i].Runs = append(e.c.Formats[i].Runs, r)
}

// export measures one export. Files are kept in the folder parquet alone.
func (e *exporting) export(ctx context.Context, format, dir string) (ImportRun, error) {
	if filepath.Base(dir) != "parquet" {
		defer os.RemoveAll(dir)
	}
	args := append([]string{"--root", e.Root, "--json", "export", "--format", format}, e.Args...)
	if e.Datastore != "" {
		args = append([]string{"--datastore", e.Datastore}, args...)
	}
	text, r, err := runProcess(ctx, e.Program, append(args, dir), 0)
	if err != nil {
		return r, fmt.Errorf("export: %w", err)
	}
	var res struct {
		Resources int64 `json:"resources"`
		Bytes     int64 `json:"bytes"`
		Written   int64 `json:"written"`
	}
	if err := json.Unmarshal(lastLine(text), &res); err != nil {
		return r, fmt.Errorf("export: result: %w", err)
	}
	if format == "ndjson" {
		e.c.Bytes, e.c.Resources = res.Bytes, res.Resources
	}
	e.rate(&r, res.Resources)
	r.DiskBytes = res.Written
	return r, nil
}

func (e *exporting) rate(r *ImportRun, resources int64) {
	r.Resources = resources
	r.MegabytesPerSecond = float64(e.c.Bytes) / 1e6 / r.Seconds
	r.ResourcesPerSecond = float64(resources) / r.Seconds
}

// duckDB measures DuckDB's COPY of Parquet files to JSON, in a process of its own.
func (e *exporting) duckDB(ctx context.Context, parquet string) (ImportRun, error) {
	out := filepath.Join(e.Work, "duckdb")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return ImportRun{}, err
	}
	defer os.RemoveAll(out)
	text, r, err := runProcess(ctx, e.Program, []string{"bench", "duckdb-export", "--out", out, parquet}, 0)
	if err != nil {
		return r, fmt.Errorf("DuckDB: %w", err)
	}
	var res CopyResult
	if err := json.Unmarshal(lastLine(text), &res); err != nil {
		return r, fmt.Errorf("DuckDB: result: %w", err)
	}
	e.rate(&r, res.Rows)
	r.DiskBytes, err = diskUsage(out)
	return r, err
}

// ExportWithDuckDB turns the Parquet files of each resource type below dir into a file of JSON
// lines, as DuckDB's users do. What it writes are rows, not the resources that they were.
func ExportWithDuckDB(ctx context.Context, dir, out string) (*CopyResult, error) {
	db, err := duck.OpenPlain(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	types, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	res := &CopyResult{}
	for _, t := range types {
		if !t.IsDir() || strings.HasPrefix(t.Name(), ".") {
			continue
		}
		n, err := db.Exec(ctx, fmt.Sprintf("COPY (FROM read_parquet(%s, union_by_name = true)) TO %s (FORMAT json)",
			duck.Quote(filepath.Join(dir, t.Name(), "*.parquet")), duck.Quote(filepath.Join(out, t.Name()+".ndjson"))))
		if err != nil {
			return nil, fmt.Errorf("DuckDB COPY of %s: %w", t.Name(), err)
		}
		res.Rows += n
	}
	return res, nil
}
