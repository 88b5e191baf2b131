package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/load"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
)

// nlpBenchFlags are the flags of `bench nlp`.
type nlpBenchFlags struct {
	load.NLPOptions
	in          string
	patients    int
	terminology []string
}

func newBenchNLPCommand(g *globals) *cobra.Command {
	f := &nlpBenchFlags{}
	c := &cobra.Command{
		Use:   "nlp [flags]",
		Short: "Read clinical notes on one core",
		Long: `Measures, on one core and in turn: notes read with their entities in memory; the same
from base64 to the entities as JSON; and a plain reader that finds the same terms by a
map, without context, attributes and codes. Then how long the compiled dictionary takes to load, in
processes of its own. Rates are of the notes' text, by processor time.

The notes are those of a generated population, or of --in: DocumentReferences or plain
texts, one a line. The dictionary is the core lexicon, and what --terminology names:
files of official releases, folders or zip archives of them.`,
		Example: "  fhirlake bench nlp --runs 5\n  fhirlake bench nlp --in DocumentReference.ndjson --terminology icd10cm-order-2026.txt",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if err := f.prepare(); err != nil {
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
			f.Report = func(what string, value float64) { fmt.Fprintf(c.ErrOrStderr(), "%s: %.1f\n", what, value) }
			res, err := load.NLP(c.Context(), f.NLPOptions)
			switch {
			case err != nil:
				return err
			case g.json:
				return printJSON(c.OutOrStdout(), res)
			}
			return printNLP(c.OutOrStdout(), res)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.in, "in", "", "NDJSON of DocumentReferences, or texts, one a line, in place of generated notes")
	fs.IntVar(&f.patients, "patients", 50, "size of the population whose notes are read")
	fs.StringSliceVar(&f.terminology, "terminology", nil, "`FILE` of an official release that the dictionary has too; may be given again")
	fs.IntVar(&f.Runs, "runs", 3, "runs of each; the medians are quoted")
	fs.Float64Var(&f.Seconds, "seconds", 1, "processor time of a run, at least; the notes are read again until then")
	fs.StringVar(&f.Work, "work", "", "folder for temporary files (default: the system's)")
	return c
}

func (f *nlpBenchFlags) check() error {
	switch {
	case f.patients < 1:
		return usageError("--patients %d is not positive", f.patients)
	case f.Runs < 1:
		return usageError("--runs %d is not positive", f.Runs)
	case !(f.Seconds >= 0):
		return usageError("--seconds must not be negative")
	}
	return nil
}

// prepare gathers the notes and the terms.
func (f *nlpBenchFlags) prepare() error {
	var err error
	if f.in == "" {
		f.Notes, err = load.GeneratedNotes(1, f.patients)
	} else {
		f.Notes, err = readNotes(f.in)
	}
	if err != nil {
		return err
	}
	if len(f.Notes) == 0 {
		return fmt.Errorf("input %s: it has no notes; expected DocumentReferences with attachments of text, or texts, one a line", f.in)
	}
	f.Terms = nlp.CoreTerms()
	if len(f.terminology) == 0 {
		return nil
	}
	releases, err := release.Find(f.terminology, "")
	if err != nil {
		return err
	}
	for i := range releases {
		if err := releases[i].Read(nil, func(t terminology.Term) { f.Terms = append(f.Terms, t) }); err != nil {
			return err
		}
	}
	return nil
}

func readNotes(name string) ([]load.Note, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	notes, err := load.ReadNotes(in)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", name, err)
	}
	return notes, nil
}

func printNLP(out io.Writer, r *load.NLPResult) error {
	fmt.Fprintf(out, "%s notes, %s of text; dictionary of %s terms; %s entities, %s as JSON\n\n", formatCount(int64(r.Notes)),
		formatBytes(r.TextBytes), formatCount(int64(r.Terms)), formatCount(r.Entities), formatBytes(r.EncodedBytes))
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "one core\tmedian MB/s\tslowest to fastest\truns")
	for i := range r.Rates {
		rate := &r.Rates[i]
		low, high := rate.Spread()
		var runs []string
		for _, v := range rate.Runs {
			runs = append(runs, fmt.Sprintf("%.1f", v))
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f to %.1f\t%s\n", rate.What, rate.Median, low, high, strings.Join(runs, ", "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var runs []string
	for _, v := range r.Load.Millis {
		runs = append(runs, fmt.Sprintf("%.1f", v))
	}
	fmt.Fprintf(out, "\nthe plain twin finds %s phrases\ndictionary: a file of %s, compiled in %.0f ms, loaded in %.1f ms (%s)", formatCount(r.PlainPhrases),
		formatBytes(r.FileBytes), r.CompileMillis, r.Load.MedianMillis, strings.Join(runs, ", "))
	if r.Load.ResidentBytes >= 0 {
		fmt.Fprintf(out, ", %s more resident", formatBytes(r.Load.ResidentBytes))
	}
	fmt.Fprintln(out)
	return nil
}

// newNLPLoadCommand is the process that bench nlp measures the load in.
func newNLPLoadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nlp-load FILE", Short: "Load a compiled dictionary", Hidden: true,
		Example: "  fhirlake bench nlp-load index",
		Args:    exactly(1, "FILE, a compiled dictionary"),
		RunE: func(c *cobra.Command, args []string) error {
			res, err := load.LoadDictionary(args[0])
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), res)
		},
	}
}
