package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

func newExportCommand(g *globals) *cobra.Command {
	p := exportParams{Memory: 512 << 20}
	var types []string
	var since, until, format string
	c := &cobra.Command{
		Use:   "export [flags] OUTPUT",
		Short: "Write the current resources into files",
		Long: `Export writes the current resources of one moment, as they are shown when they are
read, into a folder that is new or empty, or below s3://bucket/prefix, where nothing is yet: OUTPUT/<Type>/<Type>-<snapshot>-0-<n>.ndjson, files of
one resource type each. Reads, writes and imports go on meanwhile. Nothing is seen in
the folder before all is there.

When a server owns the root the export runs in it and has what was written last. While another
command owns the root for long, an import without a server, the export is that of the last
snapshot, and a line on standard error says so.

With --format ndjson.zst what is stored is copied as it is, which is by far the fastest.

DocumentReferences have what their notes say in an extension that is some twelve times as long as they are.
With --nlp off they come without it, as they were received.`,
		Example: `  fhirlake export out/
  fhirlake export --types Patient,Observation --format ndjson.gz out/
  fhirlake export --since 2026-01-01T00:00:00Z --json out/
  fhirlake export --nlp off --format ndjson.zst out/
  fhirlake export --format parquet s3://my-bucket/lake/`,
		Args: exactly(1, "OUTPUT, a folder or s3://bucket/prefix"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if p.Format, err = bulk.ParseExportFormat(format); err != nil {
				return usageError("--%w", err)
			}
			if p.NLP != "on" && p.NLP != "off" {
				return usageError("--nlp %q is neither on nor off", p.NLP)
			}
			if p.Types, err = parseTypes(types); err != nil {
				return err
			}
			if p.Since, err = parseInstant("since", since); err != nil {
				return err
			}
			if p.Until, err = parseInstant("until", until); err != nil {
				return err
			}
			limitMemory(int64(p.Memory))
			p.Datastore, p.Output = g.datastore, args[0]
			return runExport(c, g, p)
		},
	}
	fs := c.Flags()
	fs.StringSliceVar(&types, "types", nil, "resource types, with commas between; all when it is not given")
	fs.StringVar(&since, "since", "", "only what was written at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z")
	fs.StringVar(&until, "until", "", "only what was written before this time")
	fs.StringVar(&format, "format", string(bulk.ExportNDJSON), "ndjson, ndjson.gz, ndjson.zst or parquet")
	fs.StringVar(&p.NLP, "nlp", "on", "on, or off: without the extension that says what was found in notes")
	fs.IntVar(&p.Workers, "workers", 0, "goroutines that read and compress (0: one for each core)")
	fs.Var(&p.Memory, "memory", "memory that the process may use")
	return c
}

// parseTypes checks the names of resource types.
func parseTypes(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		name = strings.TrimSpace(name)
		if r4.ResourceTypeByName([]byte(name)) == 0 {
			return nil, usageError("--types: %q is no resource type of R4; names are written as in Patient", name)
		}
		out = append(out, name)
	}
	return out, nil
}

// parseInstant reads the time of a flag; "" is none.
func parseInstant(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError("--%s %q is no time; write a date as 2026-01-31 (UTC), or an instant as 2026-01-31T12:00:00Z", flag, text)
}

// exportParams say what to export.
type exportParams struct {
	Datastore string            `json:"datastore"`
	Output    string            `json:"output"`
	Format    bulk.ExportFormat `json:"format"`
	Types     []string          `json:"types,omitempty"`
	Since     time.Time         `json:"since,omitzero"`
	Until     time.Time         `json:"until,omitzero"`
	NLP       string            `json:"nlp"`
	Workers   int               `json:"workers"`
	Memory    byteSize          `json:"memory"`
}

// exportDone is the result of the job and of the process that ran it.
type exportDone struct {
	*bulk.ExportResult
	PeakRSSBytes int64 `json:"peakRSSBytes"`
}

var exportWork = work[exportParams, exportDone]{
	name: "export",
	do: func(ctx context.Context, l *lake, s *session, p exportParams) (exportDone, error) {
		d, err := l.catalog.Find(p.Datastore)
		if err != nil {
			return exportDone{}, err
		}
		if s.memory > 0 {
			p.Memory = byteSize(min(int64(p.Memory), s.memory))
		}
		if p.Workers == 0 {
			p.Workers = cores
		}
		o := bulk.ExportOptions{
			Format: p.Format, Since: p.Since, Until: p.Until, TempDir: l.root.TempDir,
			Workers: p.Workers, Memory: int64(p.Memory) / 4, Monitor: &pipeline.Monitor{}, WithoutNotes: p.NLP == "off",
		}
		if len(p.Types) > 0 {
			wanted := map[r4.TypeID]bool{}
			for _, name := range p.Types {
				wanted[r4.ResourceTypeByName([]byte(name))] = true
			}
			o.Types = func(t r4.TypeID) bool { return wanted[t] }
		}
		if s.lake != nil {
			if o.Lake, err = s.lake(d.ID); err != nil {
				return exportDone{}, err
			}
		}
		if o.Lake == nil {
			if o.Store, err = snapshot.Open(l.root.DatastoreDir(d.ID)); err != nil {
				return exportDone{}, err
			}
		}
		if o.Output, err = l.output(ctx, p.Output); err != nil {
			return exportDone{}, err
		}
		if s.watch != nil {
			stop := s.watch(func() progress { return progressOf(o.Monitor.Figures()) })
			defer stop()
		}
		res, err := bulk.Export(ctx, o)
		return exportDone{res, peakRSS()}, err
	},
	abroad: func(p exportParams) (exportParams, error) {
		paths, err := absolute([]string{p.Output})
		p.Output = paths[0]
		return p, err
	},
}

// output is a local folder or a place in a bucket.
func (l *lake) output(ctx context.Context, name string) (blob.Output, error) {
	if !blob.IsURI(name) {
		return blob.NewFolder(name)
	}
	u, err := blob.ParseURI(name)
	if err != nil {
		return nil, err
	}
	return l.blobs.Output(ctx, u, blob.OutputOptions{})
}

func runExport(c *cobra.Command, g *globals, p exportParams) error {
	done, err := exportWork.run(c, g, nil, p)
	var owned *root.OwnedError
	if errors.As(err, &owned) || errors.Is(err, root.ErrNotWritable) {
		fmt.Fprintf(c.ErrOrStderr(), "the export is that of the last snapshot; what was written or deleted one by one since then is not seen: %v\n", err)
		done, err = exportWork.runBeside(c, g, p)
	}
	if err != nil {
		return err
	}
	s := exportSummary{exportDone: done, Seconds: time.Since(started).Seconds()}
	s.MegabytesPerSecond = float64(s.Bytes) / 1e6 / s.Seconds
	s.ResourcesPerSecond = float64(s.Resources) / s.Seconds
	return g.showExported(c.OutOrStdout(), &s, p.Output)
}

// exportSummary is the result of the command.
type exportSummary struct {
	exportDone
	Seconds            float64 `json:"seconds"` // from the start of the process
	MegabytesPerSecond float64 `json:"megabytesPerSecond"`
	ResourcesPerSecond float64 `json:"resourcesPerSecond"`
}

func (g *globals) showExported(out io.Writer, s *exportSummary, output string) error {
	if g.json {
		return printJSON(out, s)
	}
	_, err := fmt.Fprintf(out, "%s resources, %s as NDJSON, in %.1f s: %.0f MB/s, %s resources/s, peak memory %s\nwrote %s files, %s, to %s; snapshot %d\n",
		formatCount(s.Resources), formatBytes(s.Bytes), s.Seconds, s.MegabytesPerSecond, formatCount(int64(s.ResourcesPerSecond)),
		formatBytes(s.PeakRSSBytes), formatCount(int64(len(s.Files))), formatBytes(s.Written), output, s.Snapshot)
	return err
}
