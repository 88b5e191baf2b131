package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/sources/bulkdata"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// importFlags are the flags of import that `bench import` has too.
type importFlags struct {
	validation  string
	level       validate.Level // of validation, after check
	nlp         string
	derive      string
	searchIndex string
	workers     int
	memory      byteSize
	report      string
	tokenFile   string // only of import
	readers     readerFlags
}

func (f *importFlags) register(c *cobra.Command) {
	f.memory = 512 << 20
	fs := c.Flags()
	fs.StringVar(&f.validation, "validation", validate.Strict.String(), "strict: against R4 and the profiles that resources claim; structure-only: against R4; minimal: as strict, but faulty resources are stored, their issues beside them")
	fs.StringVar(&f.nlp, "nlp", "", "on or off: read the clinical notes of DocumentReferences (default: what the data store says, which is on for a new one)")
	fs.StringVar(&f.derive, "derive", "", "on or off: make Conditions, Observations and MedicationStatements of what the notes say (default: what the data store says, which is off for a new one)")
	fs.StringVar(&f.searchIndex, "search-index", "on", "on, or off: leave what is imported out of the search index until fhirlake reindex, unless all that the data store has is there already")
	fs.IntVar(&f.workers, "workers", 0, "goroutines that parse and encode (0: one for each core)")
	fs.Var(&f.memory, "memory", "memory that the process may use")
	fs.StringVar(&f.report, "report", "", "folder for the report: what was taken and what was rejected, line by line")
}

// check refuses values that the flags do not have.
func (f *importFlags) check() error {
	var err error
	if f.level, err = validate.ParseLevel(f.validation); err != nil {
		return usageError("--validation: %w", err)
	}
	if f.searchIndex != "on" && f.searchIndex != "off" {
		return usageError("--search-index %q is neither on nor off", f.searchIndex)
	}
	if f.nlp != "" && f.nlp != "on" && f.nlp != "off" {
		return usageError("--nlp %q is neither on nor off", f.nlp)
	}
	if err := f.readers.check(); err != nil {
		return err
	}
	if f.derive != "" && f.derive != "on" && f.derive != "off" {
		return usageError("--derive %q is neither on nor off", f.derive)
	}
	if f.derive == "on" && f.nlp == "off" {
		return usageError("--derive on needs the notes that --nlp off leaves unread")
	}
	if f.workers < 0 {
		return usageError("--workers %d is negative", f.workers)
	}
	if f.memory < 64<<20 {
		return usageError("--memory %s is too little; an import needs 64MiB at least", f.memory.String())
	}
	return nil
}

func newImportCommand(g *globals) *cobra.Command {
	f := &importFlags{}
	c := &cobra.Command{
		Use:   "import [flags] INPUT...",
		Short: "Import FHIR NDJSON into a data store",
		Long: `Import reads FHIR R4 NDJSON from files, folders, globs, buckets or standard input (-),
plain, gzip or zstd, validates every resource and publishes all of it at once
as a new snapshot. Bundles without an id are unwrapped into their entries.

s3://bucket/prefix is an object, or all below the prefix as if it were a folder.
Credentials, region and endpoint come from where AWS clients look for them:
AWS_ACCESS_KEY_ID, ~/.aws/credentials, the role of the instance; AWS_REGION;
AWS_ENDPOINT_URL. When a server owns the root, its own count.

https://host/fhir is another FHIR server: it is asked for its $export (FHIR Bulk Data
Access), and its files are read as they come. A URL may name a Patient or Group
endpoint, or the operation with its parameters.

Resources are stored under their type and id: a new one gets version 1, a
changed one the next version, an identical one nothing. Lines that are no valid
resource are rejected and counted, the rest goes in; --report says which and
why. After an error nothing is changed.

With --validation minimal only what has no identity is rejected (no JSON, no known
resourceType, no valid id). What is wrong with the others is kept beside them:
fhirlake sql "SELECT * FROM ValidationIssue". Warnings reject nothing at any level;
they are counted, and fhirlake validate shows them.

Clinical notes (the attachments of DocumentReferences) are read: what they speak of is
shown in the resources, can be searched, and is the table nlp_entity in SQL. --nlp off
leaves that to fhirlake reread.

What is imported can be searched when the import is done. --search-index off takes
half the time and leaves the data store without searches until fhirlake reindex;
it is not heeded where all of the data store is indexed, so that it stays so.`,
		Example: `  fhirlake import export/
  fhirlake import --report report Patient.ndjson.gz 'obs-*.ndjson'
  fhirlake import --validation minimal legacy/
  fhirlake import s3://my-bucket/export-2026/
  fhirlake import --token-file token 'https://host/fhir/Group/7/$export?_type=Patient,Observation'
  zcat big.ndjson.gz | fhirlake import --json -`,
		Args: atLeast(1, "INPUT: files, folders, globs, s3://bucket/prefix, https://host/fhir, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return runImport(c, g, f, args)
		},
	}
	f.register(c)
	f.readers.register(c)
	c.Flags().StringVar(&f.tokenFile, "token-file", "", "file with the access token for inputs that are URLs; it is read anew for each request")
	return c
}

func runImport(c *cobra.Command, g *globals, f *importFlags, inputs []string) error {
	limitMemory(int64(f.memory))
	p := importParams{
		Datastore: g.datastore, Inputs: inputs, Report: f.report,
		Level: f.level, SearchIndex: f.searchIndex == "on", Workers: f.workers, Memory: int64(f.memory),
		TokenFile: f.tokenFile, NLP: datastores.Reading(f.nlp), Derive: datastores.Reading(f.derive), Readers: f.readers,
	}
	var stdin io.Reader
	if slices.Contains(inputs, "-") {
		stdin = c.InOrStdin()
	}
	done, err := importWork.run(c, g, stdin, p)
	if err != nil {
		return err
	}
	res := summarize(done)
	if g.json {
		if err := printJSON(c.OutOrStdout(), res); err != nil {
			return err
		}
	} else {
		var summary strings.Builder
		printImport(&summary, c.ErrOrStderr(), res, done.Sample, f.report)
		if _, err := io.WriteString(c.OutOrStdout(), summary.String()); err != nil {
			return fmt.Errorf("the import is done, but its summary could not be written: %w", err)
		}
	}
	if res.Rejected > 0 {
		return exitError{code: exitRejected}
	}
	return nil
}

// importParams say what to import; Memory is in bytes.
type importParams struct {
	Datastore string         `json:"datastore"`
	Inputs    []string       `json:"inputs"`
	Report    string         `json:"report,omitempty"`
	TokenFile string         `json:"tokenFile,omitempty"`
	Level     validate.Level `json:"level"`
	Workers   int            `json:"workers"`
	Memory    int64          `json:"memory"`

	SearchIndex bool               `json:"searchIndex,omitempty"`
	NLP         datastores.Reading `json:"nlp,omitempty"`
	Derive      datastores.Reading `json:"derive,omitempty"`
	Readers     readerFlags        `json:"-"` // a server has its own
}

// importDone is the result of the job and of the process that ran it.
type importDone struct {
	*bulk.ImportResult
	Sample       []reject.Reject `json:"sample"`
	PeakRSSBytes int64           `json:"peakRSSBytes"`
}

var importWork = work[importParams, importDone]{
	name: "import",
	do: func(ctx context.Context, l *lake, s *session, p importParams) (importDone, error) {
		d, err := l.catalog.Use(p.Datastore)
		if err != nil {
			return importDone{}, err
		}
		if p.Workers == 0 {
			p.Workers = cores
		}
		if s.memory > 0 {
			p.Memory = min(p.Memory, s.memory)
		}
		others, err := exportElsewhere(ctx, &p, s.note)
		if err != nil {
			return importDone{}, err
		}
		if err := l.readNotesBy(&p.Readers); err != nil {
			return importDone{}, err
		}
		end, err := l.stores.BeginJob(ctx, d.ID, func() { s.note("waiting for another job to end") })
		if err != nil {
			return importDone{}, err
		}
		defer end()
		beside, err := s.lake(d.ID)
		if beside == nil && err == nil {
			beside, err = l.stores.Deriving(d.ID, p.Derive)
		}
		if err != nil {
			return importDone{}, err
		}
		monitor := &pipeline.Monitor{}
		stop := s.watch(func() progress { return progressOf(monitor.Figures()) })
		defer stop()
		if l.meters != nil {
			defer l.meters.Import(monitor)()
		}
		res, err := bulk.Import(ctx, bulk.ImportOptions{
			Root: l.root, Catalog: l.catalog, Datastore: d, Lake: beside,
			Inputs: p.Inputs, Stdin: s.stdin, Report: p.Report, Blobs: l.blobs, Web: others.objects,
			Level: p.Level, SearchIndex: p.SearchIndex, Notes: l.stores.Notes(d.ID, p.NLP), Derive: l.stores.Derives(d.ID, p.Derive),
			Workers: p.Workers, Memory: p.Memory / 4, Monitor: monitor,
		})
		if err != nil {
			return importDone{}, err
		}
		others.end(ctx)
		if res.NotesWait {
			if err := l.compactor.RereadWaiting(ctx, d.ID); err != nil {
				return importDone{}, fmt.Errorf("the import is done, but notes in its Binaries could not be read; run fhirlake reread: %w", err)
			}
		}
		return importDone{res, res.Sample, peakRSS()}, nil
	},
	abroad: func(p importParams) (importParams, error) {
		if err := p.Readers.abroad(); err != nil {
			return p, err
		}
		paths, err := absolute(append([]string{p.Report, p.TokenFile}, p.Inputs...))
		if err != nil {
			return p, err
		}
		p.Report, p.TokenFile, p.Inputs = paths[0], paths[1], paths[2:]
		return p, nil
	},
	home: func(p importParams, done importDone) importDone {
		name := relative(p.Inputs)
		for i := range done.Sample {
			done.Sample[i].Pos.File = name(done.Sample[i].Pos.File)
		}
		return done
	},
}

// elsewhere are exports of other servers, by the URLs that name them.
type elsewhere map[string]*bulkdata.Export

// exportElsewhere has the servers that inputs name export what they have, before the job
// begins: that may take hours.
func exportElsewhere(ctx context.Context, p *importParams, note func(string)) (elsewhere, error) {
	all := elsewhere{}
	for _, in := range p.Inputs {
		if !bulkdata.IsURL(in) || all[in] != nil {
			continue
		}
		o := bulkdata.Options{Note: note}
		if p.TokenFile != "" {
			o.Token = func() (string, error) {
				text, err := os.ReadFile(p.TokenFile)
				return strings.TrimSpace(string(text)), err
			}
		}
		e, err := bulkdata.Start(ctx, in, o)
		if err != nil {
			all.end(ctx)
			return nil, err
		}
		all[in] = e
	}
	return all, nil
}

func (e elsewhere) objects(_ context.Context, url string) ([]ndjson.Object, error) {
	return e[url].Objects(), nil
}

// end tells the servers that their files are no longer needed.
func (e elsewhere) end(ctx context.Context) {
	for _, x := range e {
		x.Delete(ctx) // a courtesy
	}
}

func progressOf(f pipeline.Figures) progress {
	return progress{Done: f.Read, Total: f.Total, Bytes: f.Bytes, Resources: f.Records, Rejected: f.Rejected}
}

// importSummary is the result of the command: the job's and the process's.
type importSummary struct {
	*bulk.ImportResult
	Seconds            float64 `json:"seconds"` // from the start of the process to publication
	MegabytesPerSecond float64 `json:"megabytesPerSecond"`
	ResourcesPerSecond float64 `json:"resourcesPerSecond"`
	PeakRSSBytes       int64   `json:"peakRSSBytes"`
}

func summarize(done importDone) *importSummary {
	s := &importSummary{ImportResult: done.ImportResult, PeakRSSBytes: done.PeakRSSBytes}
	s.Seconds = time.Since(started).Seconds()
	s.MegabytesPerSecond = float64(s.Bytes) / 1e6 / s.Seconds
	s.ResourcesPerSecond = float64(s.Resources) / s.Seconds
	return s
}

// limitMemory makes the collector keep the Go heap well below the budget: code,
// stacks and what the kernel has not taken back yet need their part. Garbage is
// collected early rather than often: buffers are pooled, so there is little.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget / 4 * 3)
	}
}

func printImport(out, errs io.Writer, s *importSummary, sample []reject.Reject, report string) {
	fmt.Fprintf(out, "%s resources, %s from %s files in %.1f s: %.0f MB/s, %s resources/s, peak memory %s\n",
		formatCount(s.Resources), formatBytes(s.Bytes), formatCount(s.Files), s.Seconds,
		s.MegabytesPerSecond, formatCount(int64(s.ResourcesPerSecond)), formatBytes(s.PeakRSSBytes))
	fmt.Fprintf(out, "imported %s, unchanged %s, duplicates %s, rejected %s; snapshot %d\n",
		formatCount(s.Imported), formatCount(s.Unchanged), formatCount(s.Duplicates), formatCount(s.Rejected), s.Snapshot)
	if s.WithIssues > 0 {
		fmt.Fprintf(out, "with issues %s; `fhirlake sql \"SELECT * FROM ValidationIssue\"` shows them\n", formatCount(s.WithIssues))
	}
	if s.Warned > 0 {
		fmt.Fprintf(out, "with warnings alone %s; `fhirlake validate` shows them\n", formatCount(s.Warned))
	}
	if len(s.Skipped) > 0 {
		fmt.Fprintf(out, "skipped in folders, since their names are not those of data (name them to import them): %s\n", strings.Join(s.Skipped, ", "))
	}
	if s.DecimalsOutOfRange > 0 {
		fmt.Fprintf(out, "%s decimals do not fit DECIMAL(38,6): their text is kept, the twin column is null\n", formatCount(s.DecimalsOutOfRange))
	}
	if s.Rejected == 0 {
		return
	}
	for _, r := range sample {
		fmt.Fprintf(errs, "%s: %s: %s\n", r.Pos, r.Issue.Expression, r.Issue.Diagnostics)
	}
	if n := s.Rejected - int64(len(sample)); n > 0 {
		fmt.Fprintf(errs, "... and %s more\n", formatCount(n))
	}
	if report == "" {
		fmt.Fprintln(errs, "run it again with --report DIR to have every reject with its reason; what is in already stays as it is")
	} else {
		fmt.Fprintf(errs, "every reject with its reason: %s\n", report)
	}
}

// printJSON writes v as one compact line.
func printJSON(out io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = out.Write(append(b, '\n'))
	return err
}
