package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/store/catalog"
)

func newJobCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "job",
		Short:   "List and describe jobs",
		Example: "  fhirlake job list",
		Args:    subcommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the jobs of the data store",
			Example: "  fhirlake job list --json",
			Args:    exactly(0, "no arguments"),
			RunE: func(c *cobra.Command, _ []string) error {
				l, err := openBeside(g)
				if err != nil {
					return err
				}
				defer l.Close()
				all, err := l.catalog.Jobs(l.datastore.ID)
				if err != nil {
					return err
				}
				return g.listJobs(c.OutOrStdout(), all)
			},
		},
		&cobra.Command{
			Use: "describe JOB-ID", Short: "Show one job",
			Example: "  fhirlake job describe 0123456789abcdef0123456789abcdef",
			Args:    exactly(1, "a JOB-ID"),
			RunE: func(c *cobra.Command, args []string) error {
				return withRoot(g, func(l *lake) error {
					j, err := l.catalog.Job(args[0])
					if err != nil {
						return err
					}
					return g.showJob(c.OutOrStdout(), j)
				})
			},
		},
	)
	return c
}

func (g *globals) listJobs(out io.Writer, all []*catalog.Job) error {
	if g.json {
		list := struct {
			Imports []catalog.JobProperties `json:"ImportJobPropertiesList"`
			Exports []catalog.JobProperties `json:"ExportJobPropertiesList"`
		}{[]catalog.JobProperties{}, []catalog.JobProperties{}}
		for _, j := range all {
			if j.Kind == catalog.Import {
				list.Imports = append(list.Imports, j.JobProperties)
			} else {
				list.Exports = append(list.Exports, j.JobProperties)
			}
		}
		return printJSON(out, list)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tSTATUS\tSUBMITTED\tRESOURCES\tREJECTED")
	for _, j := range all {
		var scanned, rejected int64
		if j.Progress != nil {
			scanned, rejected = j.Progress.ScannedResources, j.Progress.RejectedResources
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, j.Kind, j.Status,
			j.SubmitTime.Format("2006-01-02 15:04:05 MST"), formatCount(scanned), formatCount(rejected))
	}
	return w.Flush()
}

func (g *globals) showJob(out io.Writer, j *catalog.Job) error {
	if g.json {
		if j.Kind == catalog.Import {
			return printJSON(out, struct {
				Properties catalog.JobProperties `json:"ImportJobProperties"`
			}{j.JobProperties})
		}
		return printJSON(out, struct {
			Properties catalog.JobProperties `json:"ExportJobProperties"`
		}{j.JobProperties})
	}
	fmt.Fprintf(out, "id         %s\nkind       %s\nstatus     %s\nsubmitted  %s\n", j.ID, j.Kind, j.Status, j.SubmitTime.Format("2006-01-02 15:04:05 MST"))
	if len(j.Inputs) > 0 {
		fmt.Fprintf(out, "inputs     %s\n", strings.Join(j.Inputs, " "))
	}
	if j.ValidationLevel != "" {
		fmt.Fprintf(out, "validation %s\n", j.ValidationLevel)
	}
	if !j.EndTime.IsZero() {
		fmt.Fprintf(out, "ended      %s\n", j.EndTime.Format("2006-01-02 15:04:05 MST"))
	}
	if p := j.Progress; p != nil {
		fmt.Fprintf(out, "resources  %s scanned, %s imported, %s rejected\nrate       %.0f MB/s\n",
			formatCount(p.ScannedResources), formatCount(p.ImportedResources), formatCount(p.RejectedResources), p.MegabytesPerSecond)
	}
	if j.WithIssues > 0 {
		fmt.Fprintf(out, "issues     in %s of the imported resources\n", formatCount(j.WithIssues))
	}
	if j.Message != "" {
		fmt.Fprintf(out, "message    %s\n", j.Message)
	}
	return nil
}
