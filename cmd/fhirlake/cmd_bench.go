package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/load"
)

func newBenchCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		Short:   "Measure fhirlake on your own data",
		Example: "  fhirlake bench import export/\n  fhirlake bench read export/",
		Args:    subcommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newBenchImportCommand(g), newBenchExportCommand(g), newDuckDBExportCommand(), newBenchReadCommand(g), newBenchWriteCommand(g), newBenchMixedCommand(g), newBenchSearchCommand(g), newDuckDBCopyCommand(), newBenchNLPCommand(g), newNLPLoadCommand())
	return c
}

func newBenchImportCommand(g *globals) *cobra.Command {
	o := load.ImportOptions{DuckDB: true}
	f := &importFlags{}
	c := &cobra.Command{
		Use:   "import [flags] INPUT...",
		Short: "Import into an empty store, and DuckDB's COPY to Parquet over the same files",
		Long: `Runs the import into an empty store that is thrown away, and DuckDB's own
COPY (SELECT * FROM read_ndjson(...)) TO ... (FORMAT parquet) over the same files,
in turn, each in a process of its own, and prints both with their ratio. DuckDB
needs plain or gzip NDJSON files with one resource type each. --validation says what
the import checks, --search-index whether it indexes; run it with both in turn to see
what one costs.

Times are of whole processes, from start to exit.`,
		Example: "  fhirlake generate --patients 1000 --out pop && fhirlake bench import --runs 3 pop",
		Args:    atLeast(1, "INPUT: files or folders of NDJSON"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			var err error
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			if o.Work, err = os.MkdirTemp(o.Work, "fhirlake-bench-"); err != nil {
				return err
			}
			defer os.RemoveAll(o.Work)
			o.Inputs = args
			o.Args = []string{"--validation", f.validation, "--workers", fmt.Sprint(f.workers), "--memory", f.memory.String(), "--search-index", f.searchIndex}
			o.Report = func(what string, r load.ImportRun) {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %.2f s, %.0f MB/s\n", what, r.Seconds, r.MegabytesPerSecond)
			}
			res, err := load.CompareImport(c.Context(), o)
			if err != nil {
				return err
			}
			if g.json {
				return printJSON(c.OutOrStdout(), res)
			}
			return printComparison(c.OutOrStdout(), res, f)
		},
	}
	f.register(c)
	c.Flags().IntVar(&o.Runs, "runs", 1, "runs of each; the medians are quoted")
	c.Flags().BoolVar(&o.DuckDB, "duckdb", true, "run DuckDB's COPY too")
	c.Flags().StringVar(&o.Work, "work", "", "folder for temporary stores (default: the system's)")
	return c
}

func printComparison(out io.Writer, c *load.ImportComparison, f *importFlags) error {
	fmt.Fprintf(out, "%d files, %s; validation %s, search index %s\n\n", c.Files, formatBytes(c.Bytes), f.validation, f.searchIndex)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tseconds\tMB/s\tresources/s\tpeak memory\ton disk\tbytes/resource\t")
	var notes []string
	for _, t := range []struct {
		name string
		runs []load.ImportRun
	}{{"fhirlake import", c.Fhirlake}, {"DuckDB COPY", c.DuckDB}} {
		for _, r := range t.runs {
			fmt.Fprintf(w, "%s\t%.2f\t%.1f\t%s\t%s\t%s\t%.0f\t\n", t.name, r.Seconds, r.MegabytesPerSecond,
				formatCount(int64(r.ResourcesPerSecond)), formatBytes(r.PeakRSSBytes), formatBytes(r.DiskBytes),
				float64(r.DiskBytes)/float64(max(r.Resources, 1)))
			if r.Note != "" {
				notes = append(notes, t.name+": "+r.Note)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nmedian: fhirlake %.1f MB/s", c.Median.Fhirlake)
	if c.Median.Ratio > 0 {
		fmt.Fprintf(out, ", DuckDB %.1f MB/s, ratio %.1f", c.Median.DuckDB, c.Median.Ratio)
	}
	fmt.Fprintln(out)
	for _, n := range notes {
		fmt.Fprintln(out, n)
	}
	return nil
}

// newDuckDBCopyCommand is the process that bench import measures.
func newDuckDBCopyCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "duckdb-copy --out DIR FILE...", Short: "DuckDB's COPY of NDJSON files to Parquet", Hidden: true,
		Example: "  fhirlake bench duckdb-copy --out parquet Patient.ndjson",
		Args:    atLeast(1, "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			res, err := load.CopyWithDuckDB(c.Context(), args, out)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), res)
		},
	}
	c.Flags().StringVar(&out, "out", ".", "folder for the Parquet files")
	return c
}
