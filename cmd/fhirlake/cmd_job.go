package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/store/catalog"
)

func newJobCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "job",
		Short:   "List, describe and cancel jobs",
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
				all, err := listJobsWork.runBeside(c, g, g.datastore)
				if err != nil {
					return err
				}
				return g.listJobs(c.OutOrStdout(), all)
			},
		},
		newJobDescribeCommand(g),
		&cobra.Command{
			Use: "cancel JOB-ID", Short: "End a job that was submitted to a server",
			Long: `Cancel ends a job that a client has submitted to a server. One that waits has ended when
cancel returns. One at work ends soon after, and nothing of it is seen; if it was done at
that moment it is COMPLETED. A job of a command ends with the command.`,
			Example: "  fhirlake job cancel 0123456789abcdef0123456789abcdef",
			Args:    exactly(1, "a JOB-ID"),
			RunE: func(c *cobra.Command, args []string) error {
				j, err := cancelJobWork.run(c, g, nil, args[0])
				if err != nil {
					return err
				}
				return g.showJob(c.OutOrStdout(), &j)
			},
		},
	)
	return c
}

func newJobDescribeCommand(g *globals) *cobra.Command {
	files := false
	c := &cobra.Command{
		Use: "describe JOB-ID", Short: "Show one job",
		Example: "  fhirlake job describe 0123456789abcdef0123456789abcdef\n  fhirlake job describe --files 0123456789abcdef0123456789abcdef",
		Args:    exactly(1, "a JOB-ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if files {
				all, err := jobFilesWork.runBeside(c, g, args[0])
				if err != nil {
					return err
				}
				return g.showJobFiles(c.OutOrStdout(), all)
			}
			j, err := describeJobWork.runBeside(c, g, args[0])
			if err != nil {
				return err
			}
			return g.showJob(c.OutOrStdout(), &j)
		},
	}
	c.Flags().BoolVar(&files, "files", false, "show what the job, submitted to a server, has made of each of its inputs")
	return c
}

// listJobsWork lists the jobs of the data store of a name or id.
var listJobsWork = work[string, []*catalog.Job]{
	name: "job-list",
	do: func(_ context.Context, l *lake, _ *session, datastore string) ([]*catalog.Job, error) {
		d, err := l.catalog.Find(datastore)
		if err != nil {
			return nil, err
		}
		if l.jobs != nil {
			return l.jobs.Jobs(d.ID)
		}
		return l.catalog.Jobs(d.ID)
	},
}

var describeJobWork = work[string, catalog.Job]{
	name: "job-describe",
	do: func(_ context.Context, l *lake, _ *session, id string) (catalog.Job, error) {
		describe := l.catalog.Job
		if l.jobs != nil {
			describe = l.jobs.Job
		}
		j, err := describe(id)
		if err != nil {
			return catalog.Job{}, err
		}
		return *j, nil
	},
}

var jobFilesWork = work[string, []catalog.JobFile]{
	name: "job-files",
	do: func(_ context.Context, l *lake, _ *session, id string) ([]catalog.JobFile, error) {
		if _, err := l.catalog.Job(id); err != nil {
			return nil, err
		}
		if l.jobs != nil {
			return l.jobs.Files(id)
		}
		return l.catalog.JobFiles(id)
	},
}

// cancelJobWork ends a job. Without a server no job is at work that a server would go on with.
var cancelJobWork = work[string, catalog.Job]{
	name: "job-cancel",
	do: func(_ context.Context, l *lake, _ *session, id string) (catalog.Job, error) {
		m := l.jobs
		if m == nil {
			m = jobs.New(jobs.Options{Catalog: l.catalog})
		}
		j, err := m.Cancel(id)
		if err != nil {
			return catalog.Job{}, err
		}
		return *j, nil
	},
}

func (g *globals) showJobFiles(out io.Writer, all []catalog.JobFile) error {
	if g.json {
		if all == nil {
			all = []catalog.JobFile{}
		}
		return printJSON(out, struct {
			Files []catalog.JobFile `json:"files"`
		}{all})
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATUS\tACCEPTED\tREJECTED")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, f.Status, formatCount(f.Accepted), formatCount(f.Rejected))
	}
	return w.Flush()
}

func (g *globals) listJobs(out io.Writer, all []*catalog.Job) error {
	if g.json {
		list := struct {
			Imports []catalog.JobProperties `json:"ImportJobPropertiesList"`
			Exports []catalog.JobProperties `json:"ExportJobPropertiesList"`
		}{[]catalog.JobProperties{}, []catalog.JobProperties{}}
		for _, j := range all {
			switch j.Kind {
			case catalog.Import, catalog.Preload:
				list.Imports = append(list.Imports, j.JobProperties)
			case catalog.Export:
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
		if j.Kind != catalog.Export {
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
