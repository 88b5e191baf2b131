package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/load"
	"github.com/fhirlake/fhirlake/server/bulk"
)

func newBenchExportCommand(g *globals) *cobra.Command {
	o := load.ExportOptions{DuckDB: true}
	memory := byteSize(512 << 20)
	c := &cobra.Command{
		Use:   "export [flags] [INPUT...]",
		Short: "Export a data store in all formats, and DuckDB's COPY of its columns to JSON",
		Long: `Runs fhirlake export of the data store of --root, or of INPUT imported into one that is thrown
away, in each format, and DuckDB's own COPY of the exported Parquet files to JSON, in turn,
each in a process of its own. Rates are of the NDJSON that the files stand for. The store
is in the page cache; what is written is synced by the exports and not by DuckDB.`,
		Example: "  fhirlake bench export --runs 3\n  fhirlake generate --patients 1000 --out pop && fhirlake bench export pop",
		RunE: func(c *cobra.Command, args []string) error {
			for _, f := range o.Formats {
				if _, err := bulk.ParseExportFormat(f); err != nil {
					return usageError("--formats: %w", err)
				}
			}
			var err error
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			if o.Work, err = os.MkdirTemp(o.Work, "fhirlake-bench-"); err != nil {
				return err
			}
			defer os.RemoveAll(o.Work)
			o.Inputs, o.Root = args, g.root
			if len(args) == 0 {
				o.Datastore = g.datastore
			}
			o.Args = []string{"--memory", memory.String()}
			o.Report = func(format string, r load.ImportRun) {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %.2f s, %.0f MB/s\n", format, r.Seconds, r.MegabytesPerSecond)
			}
			res, err := load.CompareExport(c.Context(), o)
			if err != nil {
				return err
			}
			if g.json {
				return printJSON(c.OutOrStdout(), res)
			}
			return printExports(c.OutOrStdout(), res)
		},
	}
	fs := c.Flags()
	fs.StringSliceVar(&o.Formats, "formats", []string{"ndjson", "ndjson.zst", "ndjson.gz", "parquet"}, "formats, with commas between")
	fs.IntVar(&o.Runs, "runs", 1, "runs of each; the medians are quoted")
	fs.BoolVar(&o.DuckDB, "duckdb", true, "run DuckDB's COPY too")
	fs.StringVar(&o.Work, "work", "", "folder for temporary stores and outputs (default: the system's)")
	fs.Var(&memory, "memory", "memory that each export may use")
	return c
}

func printExports(out io.Writer, c *load.ExportComparison) error {
	fmt.Fprintf(out, "%s resources, %s as NDJSON\n\n", formatCount(c.Resources), formatBytes(c.Bytes))
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tseconds\tMB/s\tresources/s\tpeak memory\twritten\t")
	for _, f := range c.Formats {
		for _, r := range f.Runs {
			fmt.Fprintf(w, "%s\t%.2f\t%.0f\t%s\t%s\t%s\t\n", f.Format, r.Seconds, r.MegabytesPerSecond,
				formatCount(int64(r.ResourcesPerSecond)), formatBytes(r.PeakRSSBytes), formatBytes(r.DiskBytes))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprint(out, "\nmedian MB/s:")
	for i, f := range c.Formats {
		if i > 0 {
			fmt.Fprint(out, ",")
		}
		fmt.Fprintf(out, " %s %.0f", f.Format, f.Median)
	}
	fmt.Fprintln(out)
	return nil
}

// newDuckDBExportCommand is the process that bench export measures.
func newDuckDBExportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "duckdb-export --out DIR PARQUET", Short: "DuckDB's COPY of Parquet files to JSON", Hidden: true,
		Example: "  fhirlake bench duckdb-export --out json parquet",
		Args:    exactly(1, "PARQUET, the folder of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			res, err := load.ExportWithDuckDB(c.Context(), args[0], out)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), res)
		},
	}
	c.Flags().StringVar(&out, "out", ".", "folder for the files")
	return c
}
