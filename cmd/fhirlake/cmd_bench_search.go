package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/load"
)

func newBenchSearchCommand(g *globals) *cobra.Command {
	f := &requestFlags{}
	o := load.SearchOptions{}
	c := &cobra.Command{
		Use:   "search [flags] [INPUT...]",
		Short: "Search over HTTP, and scans by SQL for the same",
		Long: `Searches the data store of --root, through the server that owns the root or one that it
starts, over connections that are kept. With INPUT it imports the inputs into a root that
is thrown away, and searches that. The values that are searched for are chosen from the
data, always alike, and a value comes again only when all others had their turn.

Pages have 50 resources and one client, counts none; the last search is of pages of 20
with the numbers of clients of --clients. Some of the questions are also asked by SQL of
the snapshot's Parquet files, which stay open and warm: how many match both ways is
compared, and how long it takes. So what was written since the last compaction must not
match: run fhirlake compact before.

Client and server share the machine. Times are those that the clients see.`,
		Example: "  fhirlake bench search\n  fhirlake bench search --seconds 3 --json export/",
		RunE: func(c *cobra.Command, args []string) error {
			if o.Scans < 0 {
				return usageError("--scans must not be negative")
			}
			f.Inputs = args
			o.Root, o.Datastore = g.root, g.datastore
			o.Reported = func(r load.SearchRun) {
				fmt.Fprintf(c.ErrOrStderr(), "%s, %d clients: %s requests/s, p50 %.2f ms\n",
					r.Operation, r.Clients, formatCount(int64(r.RequestsPerSecond)), r.Latency.P50)
			}
			var res *load.SearchResult
			err := f.prepare(c, false, func(ctx context.Context, r load.RequestOptions) (err error) {
				o.RequestOptions = r
				res, err = load.Search(ctx, o)
				return err
			})
			switch {
			case err != nil:
				return err
			case g.json:
				return printJSON(c.OutOrStdout(), res)
			}
			return printSearches(c.OutOrStdout(), res)
		},
	}
	fs := c.Flags()
	fs.IntSliceVar(&f.Clients, "clients", []int{8}, "numbers of clients of the pages of 20, one after another")
	fs.Float64Var(&f.Seconds, "seconds", 5, "length of each measurement")
	fs.Float64Var(&f.WarmUp, "warm-up", 1, "seconds of requests before it that do not count")
	fs.StringVar(&o.Only, "only", "", "measure the searches whose name has this text")
	fs.IntVar(&o.Scans, "scans", 5, "how many questions of each search are also asked by SQL; 0: none")
	fs.StringVar(&f.URL, "url", "", "URL of the data store where it is served, when not by the owner of the root")
	fs.StringVar(&f.Work, "work", "", "folder for the temporary root (default: the system's)")
	f.patients = 1
	return c
}

func printSearches(out io.Writer, res *load.SearchResult) error {
	fmt.Fprintf(out, "%s resources\n", formatCount(res.Resources))
	if res.PeakRSSBytes > 0 {
		fmt.Fprintf(out, "peak memory of the server %s\n", formatBytes(res.PeakRSSBytes))
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tclients\trequests/s\tp50 ms\tp90 ms\tp99 ms\tmatches\tKB\tscan ms\tfactor\t")
	for _, r := range res.Runs {
		scan, factor := "", ""
		if r.Scan != nil {
			scan, factor = fmt.Sprintf("%.0f", r.Scan.Milliseconds), fmt.Sprintf("%.1f", r.Scan.Factor)
		}
		l := r.Latency
		fmt.Fprintf(w, "%s\t%d\t%s\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%s\t%s\t\n", r.Operation, r.Clients,
			formatCount(int64(r.RequestsPerSecond)), l.P50, l.P90, l.P99, r.Matches, r.Bytes/1e3, scan, factor)
	}
	return w.Flush()
}
