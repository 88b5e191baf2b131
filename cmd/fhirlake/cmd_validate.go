package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func newValidateCommand(g *globals) *cobra.Command {
	var profiles []string
	c := &cobra.Command{
		Use:   "validate [flags] FILE...",
		Short: "Check resources against the R4 definitions",
		Long: `Validate reads resources like import does (NDJSON or single JSON documents,
files, folders, globs, or - for standard input) and writes one OperationOutcome,
a line of NDJSON, for each faulty resource. It stores nothing.

The exit code is 3 when a resource has an error.`,
		Example: `  fhirlake validate Patient.ndjson
  fhirlake validate - < bundle.json`,
		Args: atLeast(1, "FILE: files, folders, globs, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(profiles) > 0 {
				return usageError("--profile is not available in this version; resources are checked against base R4")
			}
			src, err := ndjson.Open(c.Context(), args, ndjson.Options{Stdin: c.InOrStdin()})
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fig, err := pipeline.Run(c.Context(), pipeline.Config{
				Source: src,
				Stages: []pipeline.Stage{parse.New()},
				Sinks:  []pipeline.Sink{reject.NewOutcomes(out)},
			})
			if err != nil {
				return err
			}
			if g.json {
				err = printJSON(out, struct {
					Resources int64 `json:"resources"`
					Faulty    int64 `json:"faulty"`
				}{fig.Records, fig.Rejected})
			} else {
				_, err = fmt.Fprintf(c.ErrOrStderr(), "%s resources, %s faulty\n", formatCount(fig.Records), formatCount(fig.Rejected))
			}
			if err != nil {
				return err
			}
			if fig.Rejected > 0 {
				return exitError{code: exitRejected}
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&profiles, "profile", nil, "canonical URL of a profile to check as well")
	return c
}
