package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/gen"
	"github.com/fhirlake/fhirlake/bench/load"
)

// requestFlags are the flags of `bench read` and `bench write`.
type requestFlags struct {
	load.RequestOptions
	patients int
}

func (f *requestFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.IntSliceVar(&f.Clients, "clients", []int{1, 8, 64}, "numbers of clients, one after another")
	fs.Float64Var(&f.Seconds, "seconds", 10, "length of each measurement")
	fs.Float64Var(&f.WarmUp, "warm-up", 1, "seconds of requests before it that do not count")
	fs.StringVar(&f.URL, "url", "", "URL of a data store that is served already, such as http://127.0.0.1:8080/datastore/<id>/r4")
	fs.StringVar(&f.Work, "work", "", "folder for the temporary root (default: the system's)")
	fs.IntVar(&f.patients, "patients", 100, "size of the population when there is no INPUT")
}

func (f *requestFlags) check() error {
	for _, n := range f.Clients {
		if n < 1 || n > 10_000 {
			return usageError("--clients %d is not between 1 and 10000", n)
		}
	}
	switch {
	case len(f.Clients) == 0:
		return usageError("--clients names no number")
	case !(f.Seconds > 0) || !(f.WarmUp >= 0):
		return usageError("--seconds and --warm-up must be positive")
	case f.patients < 1:
		return usageError("--patients %d is not positive", f.patients)
	}
	return nil
}

func newBenchReadCommand(g *globals) *cobra.Command {
	f := &requestFlags{}
	c := &cobra.Command{
		Use:   "read [flags] [INPUT...]",
		Short: "Read single resources over HTTP, with many clients",
		Long: `Imports the inputs, or a population that it makes, into a root that is thrown away,
serves it in a process of its own, and reads resources by their ids, chosen from all of
the inputs, over connections that are kept. Each client sends its next request when the
one before is answered. With --url it reads from a server that runs already and has the
inputs.

Client and server share the machine. Times are those that the clients see.`,
		Example: "  fhirlake bench read export/\n  fhirlake bench read --clients 1,8 --json export/",
		RunE: func(c *cobra.Command, args []string) error {
			f.Inputs = args
			if f.URL != "" && len(args) == 0 {
				return usageError("--url needs INPUT: what is read is chosen from it")
			}
			return runBenchRequests(c, g, f, true, load.Read)
		},
	}
	f.register(c)
	return c
}

func newBenchWriteCommand(g *globals) *cobra.Command {
	f := &requestFlags{}
	c := &cobra.Command{
		Use:   "write [flags] [INPUT...]",
		Short: "Write single resources over HTTP, with many clients",
		Long: `Serves a root that is thrown away in a process of its own, into which it has imported
the inputs, if there are any, and writes to it over connections that are kept: creates
of an Observation, then transactions that create a Patient and an Observation. Each
client sends its next request when the one before is answered, and an answer means that
the write is on disk. With --url it writes to a server that runs already.

Client and server share the machine. Times are those that the clients see.`,
		Example: "  fhirlake bench write\n  fhirlake bench write --clients 1,32 --json",
		RunE: func(c *cobra.Command, args []string) error {
			f.Inputs = args
			return runBenchRequests(c, g, f, false, load.Write)
		},
	}
	f.register(c)
	return c
}

func newBenchMixedCommand(g *globals) *cobra.Command {
	f := &requestFlags{}
	c := &cobra.Command{
		Use:   "mixed [flags] [INPUT...]",
		Short: "Import and create over HTTP at the same time",
		Long: `Measures creates of eight clients alone and while the server imports the inputs, and the
import alone and while 500 creates a second come. Each measurement has a server and a
root of its own, which are thrown away. An answer to a create means that it is on disk.

Client, command and server share the machine.`,
		Example: "  fhirlake bench mixed export/",
		RunE: func(c *cobra.Command, args []string) error {
			f.Inputs, f.Clients = args, []int{1}
			var mixed *load.MixedResult
			err := f.prepare(c, true, func(ctx context.Context, o load.RequestOptions) (err error) {
				mixed, err = load.Mixed(ctx, o)
				return err
			})
			switch {
			case err != nil:
				return err
			case g.json:
				return printJSON(c.OutOrStdout(), mixed)
			}
			return printMixed(c.OutOrStdout(), mixed)
		},
	}
	fs := c.Flags()
	fs.Float64Var(&f.Seconds, "seconds", 10, "length of the creates alone")
	fs.Float64Var(&f.WarmUp, "warm-up", 1, "seconds of creates before that, which do not count")
	fs.StringVar(&f.Work, "work", "", "folder for the temporary roots (default: the system's)")
	fs.IntVar(&f.patients, "patients", 1000, "size of the population when there is no INPUT")
	return c
}

func printMixed(out io.Writer, m *load.MixedResult) error {
	_, err := fmt.Fprintf(out, "creates, 8 clients   %s/s alone, %s/s beside an import: %.2f\n"+
		"import               %.0f MB/s alone, %.0f MB/s beside %s creates/s: %.2f\n",
		formatCount(int64(m.CreatesAlone.RequestsPerSecond)), formatCount(int64(m.CreatesBesideAn.RequestsPerSecond)), m.CreateRatio,
		m.ImportAlone.MegabytesPerSecond, m.ImportBesideWrites.MegabytesPerSecond,
		formatCount(int64(m.ImportBesideWrites.CreatesPerSecond)), m.ImportRatio)
	return err
}

// runBenchRequests runs one of the first two and prints what came out.
func runBenchRequests(c *cobra.Command, g *globals, f *requestFlags, populate bool,
	bench func(context.Context, load.RequestOptions) (*load.RequestResult, error),
) error {
	f.Report = func(r load.RequestRun) {
		fmt.Fprintf(c.ErrOrStderr(), "%s, %d clients: %s requests/s, p99 %.2f ms\n",
			r.Operation, r.Clients, formatCount(int64(r.RequestsPerSecond)), r.Latency.P99)
	}
	var res *load.RequestResult
	err := f.prepare(c, populate, func(ctx context.Context, o load.RequestOptions) (err error) {
		res, err = bench(ctx, o)
		return err
	})
	switch {
	case err != nil:
		return err
	case g.json:
		return printJSON(c.OutOrStdout(), res)
	}
	return printRequests(c.OutOrStdout(), res)
}

// prepare calls bench with a folder of its own. With populate, a population takes the
// place of inputs that are not given.
func (f *requestFlags) prepare(c *cobra.Command, populate bool, bench func(context.Context, load.RequestOptions) error) error {
	if err := f.check(); err != nil {
		return err
	}
	var err error
	if f.Program, err = os.Executable(); err != nil {
		return err
	}
	if f.Work, err = os.MkdirTemp(f.Work, "fhirlake-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(f.Work)
	if populate && len(f.Inputs) == 0 {
		f.Inputs = []string{filepath.Join(f.Work, "population")}
		if _, err := gen.Generate(c.Context(), gen.Options{Patients: f.patients, Seed: 1, Out: f.Inputs[0]}); err != nil {
			return err
		}
	}
	return bench(c.Context(), f.RequestOptions)
}

func printRequests(out io.Writer, res *load.RequestResult) error {
	if res.Resources > 0 {
		fmt.Fprintf(out, "%s resources\n", formatCount(res.Resources))
	}
	if res.PeakRSSBytes > 0 {
		fmt.Fprintf(out, "peak memory of the server %s\n", formatBytes(res.PeakRSSBytes))
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tclients\trequests/s\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\t")
	for _, r := range res.Runs {
		l := r.Latency
		fmt.Fprintf(w, "%s\t%d\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", r.Operation, r.Clients,
			formatCount(int64(r.RequestsPerSecond)), l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	return w.Flush()
}
