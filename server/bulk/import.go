// Package bulk runs bulk jobs over one data store: it wires sources, stages and
// sinks into a pipeline, publishes what came out and keeps the job's record. The
// command line and the server's API both start jobs here.
//
// Read [Import] first.
package bulk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/annotations"
	"github.com/fhirlake/fhirlake/sinks/ids"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/sinks/rawlog"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/sources/bundle"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	profilestore "github.com/fhirlake/fhirlake/store/profiles"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// ImportOptions says what to import into which data store. The caller owns the
// root.
type ImportOptions struct {
	Root      *root.Root
	Catalog   *catalog.Catalog
	Datastore *catalog.DataStore
	// Lake is the data store when others may write to it, or wrote to it since the last
	// fold; nil when only imports ever did. Nobody else publishes in it meanwhile.
	Lake *lake.Lake

	Inputs []string  // files, folders, globs, s3://bucket/prefix, URLs, "-" for Stdin
	Stdin  io.Reader //
	Report string    // folder for the report; "" for none
	// Blobs reads what is in buckets; nil: no input is.
	Blobs *blob.Client
	// Web gives what an input that is a URL means; nil: no input is.
	Web func(ctx context.Context, url string) ([]ndjson.Object, error)

	// Job is the record of the job when the caller keeps it: Import sets in it what the
	// job has come to. nil: Import makes a record and keeps it.
	Job *catalog.Job
	// Prepared is called before anything is published, when the progress in Job is that
	// of the end and the report is written under temporary names; nil: nobody is. An error
	// ends the import.
	Prepared func(files []reject.FileCount) error
	// Watch is a further sink, which sees what the others see; nil: none.
	Watch pipeline.Sink
	// Names is how the report calls the places of the job; zero: by their paths.
	Names ReportNames

	// Level says what every resource is checked for: but for StructureOnly, also the
	// profiles that the root knows. At Minimal those that fail are stored, with their
	// issues beside them.
	Level validate.Level

	// Notes says how clinical notes are read; nil: they are not.
	Notes *notes.Options
	// Derive tells whether resources are derived from documents whose notes are read; nil: they are not. It
	// is asked once. Without a Lake, what was derived from an older version stays.
	Derive func() (bool, error)

	// SearchIndex puts what is stored into the search index. It is done in any case when
	// all that the data store has is there already.
	SearchIndex bool

	Workers int              // 0: GOMAXPROCS
	Memory  int64            // bytes for what is in flight; 0: the pipeline's default
	Now     func() time.Time // nil: time.Now; gives the job's one meta.lastUpdated
	NewID   func() string    // UUIDs of segments; nil: random
	JobName string
	Monitor *pipeline.Monitor // shows the figures of the running job; may be nil
}

// ImportResult is what an import came to. Resources is the sum of Imported,
// Unchanged, Duplicates and Rejected.
type ImportResult struct {
	Files      int64  `json:"files"`
	Bytes      int64  `json:"bytes"` // of uncompressed input
	Resources  int64  `json:"resources"`
	Imported   int64  `json:"imported"`   // new and changed
	Unchanged  int64  `json:"unchanged"`  // the store had the same content
	Duplicates int64  `json:"duplicates"` // a later line of the job has the same id
	Rejected   int64  `json:"rejected"`
	WithIssues int64  `json:"withIssues"`          // not rejected although they have errors: validation was minimal
	Warned     int64  `json:"warned"`              // not rejected and without errors, but with warnings
	Derived    int64  `json:"derived,omitempty"`   // new and changed resources that were derived from documents
	Withdrawn  int64  `json:"withdrawn,omitempty"` // resources that were derived before, are not now, and were deleted
	JobID      string `json:"jobId"`
	Snapshot   int64  `json:"snapshot"` // number of the manifest that shows the result

	Skipped            []string         `json:"skipped,omitempty"`            // files of folders that are no data by their names
	DecimalsOutOfRange int64            `json:"decimalsOutOfRange,omitempty"` // have no DECIMAL twin
	NotesWait          bool             `json:"-"`                            // for Binaries, some of which may have come: see [RereadOptions]
	Sample             []reject.Reject  `json:"-"`                            // the first rejects
	Figures            pipeline.Figures `json:"-"`
}

// Import runs one import job to its end. When it returns an error nothing of the
// job is visible and the job's record says FAILED and why; but for an incomplete
// report of a published job, which the error then says.
func Import(ctx context.Context, o ImportOptions) (*ImportResult, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = randomUUID
	}
	// The source comes first: a wrong path is no job.
	src, err := ndjson.Open(ctx, o.Inputs, ndjson.Options{Stdin: o.Stdin, Readers: o.Workers, Blobs: o.Blobs, Web: o.Web})
	if err != nil {
		return nil, err
	}
	j, err := newImport(o)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	j.source = src
	res, err := j.run(ctx, bundle.Unwrap(src))
	if err := j.end(res, err); err != nil {
		return nil, err
	}
	return res, nil
}

// importJob is one import on its way.
type importJob struct {
	ImportOptions
	now   time.Time
	job   catalog.Job
	store *snapshot.Store
	rows  rowsOf // of the search index

	source *ndjson.Source
	reader *notes.Stage // nil: notes are not read
	report *reject.Sink // nil until the pipeline is made

	reading   *reading
	withdrawn error // why what is derived no longer is not all deleted
}

func newImport(o ImportOptions) (*importJob, error) {
	dir := o.Root.DatastoreDir(o.Datastore.ID)
	store, err := snapshot.Open(dir)
	if err != nil {
		return nil, err
	}
	if o.Lake != nil {
		store = o.Lake.Snapshot()
	}
	if err := o.checkNotLost(store); err != nil {
		return nil, err
	}
	// What a killed job left is in nobody's way, but takes space.
	if _, err := store.Sweep(); err != nil {
		return nil, err
	}
	j := &importJob{ImportOptions: o, now: o.Now().UTC().Truncate(time.Millisecond), store: store}
	if o.Notes != nil {
		j.reader = notes.New(*o.Notes)
	}
	if o.Job != nil {
		j.job = *o.Job
		return j, nil
	}
	id, err := o.Catalog.NewJobID()
	if err != nil {
		return nil, err
	}
	j.job = catalog.Job{Kind: catalog.Import, Inputs: o.Inputs, Report: o.Report}
	j.job.ID, j.job.Name, j.job.DatastoreID = id, o.JobName, o.Datastore.ID
	j.job.Status, j.job.SubmitTime = catalog.JobInProgress, catalog.At(j.now)
	j.job.ValidationLevel = o.Level.String()
	return j, o.Catalog.PutJob(&j.job)
}

// checkNotLost refuses a data store that lost its CURRENT: it would count as empty,
// and sweeping it would remove what may still be saved.
func (o *ImportOptions) checkNotLost(store *snapshot.Store) error {
	m, release, err := store.Current()
	if err != nil {
		return err
	}
	release()
	if m.Number > 0 {
		return nil
	}
	last, err := o.Catalog.LastSnapshot(o.Datastore.ID)
	if err == nil && last > 0 {
		err = fmt.Errorf("data store %s has no CURRENT, but its jobs published snapshot %d; put %s back, or delete the data store; `fhirlake fsck` tells more",
			o.Datastore.ID, last, store.Dir())
	}
	return err
}

// validator makes the stage of the job's level.
func (j *importJob) validator() (*validate.Stage, error) {
	o := validate.Options{Level: j.Level}
	if j.Level != validate.StructureOnly {
		known, err := profilestore.Load(j.Root)
		if err != nil {
			return nil, err
		}
		o.Profiles = profiles.NewSet(known)
	}
	return validate.New(o)
}

// lenient tells whether faulty resources are stored.
func (j *importJob) lenient() bool { return j.Level == validate.Minimal }

// kinds are what the import keeps beside resources.
func (j *importJob) kinds() (kinds []annotations.Kind) {
	if j.lenient() {
		kinds = append(kinds, annotations.Issues)
	}
	if j.Notes != nil {
		kinds = append(kinds, annotations.NLP)
	}
	return kinds
}

func (j *importJob) run(ctx context.Context, src pipeline.Source) (*ImportResult, error) {
	closed := false
	defer func() {
		if !closed {
			src.Close()
		}
	}()
	start, err := j.begin()
	if err != nil {
		return nil, err
	}
	defer start.close()
	base := start.base
	secret, err := hex.DecodeString(j.Datastore.HashKey)
	if err != nil {
		return nil, fmt.Errorf("data store %s: the hash key is not hexadecimal", j.Datastore.ID)
	}
	identifier, err := identify.New(secret, start.versions, j.now)
	if err != nil {
		return nil, err
	}

	validator, err := j.validator()
	if err != nil {
		return nil, err
	}
	if j.reading, err = j.newReading(base); err != nil {
		return nil, err
	}
	reading, err := j.reading.stages(identifier, false)
	if err != nil {
		return nil, err
	}
	builder := snapshot.NewBuilder(j.store.Dir(), base, j.NewID)
	columns := parquet.New(builder, parquet.Options{})
	log := rawlog.New(builder)
	entries := ids.New(j.store.Dir(), ids.Rel(base.Number+1, j.job.ID))
	j.report = reject.New(j.Report, j.now)
	// The columns come first: they decide where a segment ends.
	sinks := append([]pipeline.Sink{columns, log, entries, j.report, entities.New(builder, base.Number+1, entities.Options{})}, annotations.Sinks(builder, base.Number+1, j.kinds()...)...)
	var searched indexing
	if j.SearchIndex = j.SearchIndex || isIndexed(base); j.SearchIndex {
		known, err := parametersOf(ctx, j.store, base, j.Lake)
		if err != nil {
			return nil, err
		}
		j.rows = allRows(known)
		if searched, err = newIndexing(j.store.Dir(), fmt.Sprintf("%d-%s", base.Number+1, j.job.ID), secret, j.rows, j.Workers, j.Memory); err != nil {
			return nil, err
		}
		sinks = append(sinks, searched.sinks...)
	}
	if j.Watch != nil {
		sinks = append(sinks, j.Watch)
	}
	closed = true // Run closes it
	figures, err := pipeline.Run(ctx, pipeline.Config{
		Source:  src,
		Stages:  slices.Concat([]pipeline.Stage{parse.New(), validator, identifier}, reading, []pipeline.Stage{log.Compress(), shred.New()}, searched.stages),
		Sinks:   sinks,
		Lenient: j.lenient(),
		Workers: j.Workers,
		Memory:  searched.inFlight(j.Memory),
		Monitor: j.Monitor,
	})
	if err != nil {
		return nil, err
	}
	settled := entries.Result()
	res := &ImportResult{
		Files:      int64(j.source.Files()),
		Skipped:    j.source.Skipped(),
		Bytes:      figures.Bytes,
		Resources:  figures.Records,
		Imported:   settled.Entries - settled.Derived,
		Derived:    settled.Derived,
		Unchanged:  settled.Unchanged,
		Duplicates: settled.Duplicates,
		Rejected:   figures.Rejected,
		WithIssues: figures.Flawed,
		Warned:     figures.Warned,
		JobID:      j.job.ID,
		Snapshot:   base.Number,
		Sample:     j.report.Sample(),
		Figures:    figures,

		DecimalsOutOfRange: columns.DecimalsWithoutTwin(),
		NotesWait:          j.reader != nil && j.reader.Waits(),
	}
	if err := j.prepared(res); err != nil {
		return nil, err
	}
	if settled.Entries == 0 {
		return res, nil
	}
	o := snapshot.PublishOptions{
		JobID: j.job.ID, Now: j.now, IDs: settled.IDs, Entries: settled.Entries,
		Superseded: settled.Superseded, KeepVersions: true, Search: searched.result(),
	}
	m, err := start.publish(o, builder, &corrector{job: j, stages: []pipeline.Stage{parse.New(), validator}, secret: secret, number: base.Number + 1})
	if err != nil {
		return nil, err
	}
	res.Snapshot = m.Number
	res.Withdrawn, j.withdrawn = j.reading.delete(ctx, builder, &o, settled.Duplicates > 0)
	return res, nil
}

// prepared sets what the job comes to, and tells who waits for it.
func (j *importJob) prepared(res *ImportResult) error {
	j.job.Progress, j.job.WithIssues = j.progress(res), res.WithIssues
	if j.Job == nil {
		return nil
	}
	j.Job.Progress, j.Job.WithIssues = j.job.Progress, j.job.WithIssues
	if j.Prepared == nil {
		return nil
	}
	return j.Prepared(j.report.Files())
}

// put writes the job's record, or leaves that to the caller who keeps it.
func (j *importJob) put() error {
	if j.Job != nil {
		j.Job.Snapshot = j.job.Snapshot
		return nil
	}
	return j.Catalog.PutJob(&j.job)
}

// end records how the job ended, writes the report's manifest and removes what
// nothing names any more.
func (j *importJob) end(res *ImportResult, err error) error {
	j.job.EndTime = catalog.At(j.Now())
	if err != nil {
		j.job.Status, j.job.Message = catalog.JobFailed, err.Error()
		if j.report != nil {
			err = errors.Join(err, j.report.Discard())
		}
		_, sweepErr := j.store.Sweep()
		return errors.Join(err, sweepErr, j.put())
	}
	j.job.Status, j.job.Snapshot = catalog.JobCompleted, res.Snapshot
	if res.Rejected > 0 {
		j.job.Status = catalog.JobCompletedWithErrors
	}
	reportErr := j.publishReport(res)
	if j.withdrawn != nil {
		reportErr = errors.Join(fmt.Errorf("the import is published as snapshot %d, but %w", res.Snapshot, j.withdrawn), reportErr)
		j.job.Message = reportErr.Error()
	} else if reportErr != nil {
		reportErr = fmt.Errorf("the import is published as snapshot %d, but its report is not complete: %w", res.Snapshot, reportErr)
		j.job.Message = reportErr.Error()
	}
	_, sweepErr := j.store.Sweep()
	return errors.Join(reportErr, sweepErr, j.put())
}

// publishReport makes the report visible, its manifest last.
func (j *importJob) publishReport(res *ImportResult) error {
	if j.Report == "" {
		return nil
	}
	if err := j.report.Publish(); err != nil {
		return err
	}
	return WriteReportManifest(j.Report, &j.job, j.names())
}

func (j *importJob) progress(res *ImportResult) *catalog.JobProgressReport {
	p := &catalog.JobProgressReport{
		ScannedFiles:      res.Files,
		ScannedMB:         float64(res.Bytes) / 1e6,
		ScannedResources:  res.Resources,
		ImportedResources: res.Resources - res.Rejected,
		RejectedResources: res.Rejected,
	}
	for _, f := range j.report.Files() {
		if f.Rejected > 0 {
			p.FilesWithRejects++
		}
		if f.Accepted > 0 {
			p.ImportedFiles++
		}
	}
	if s := res.Figures.Elapsed.Seconds(); s > 0 {
		p.MegabytesPerSecond = float64(res.Bytes) / 1e6 / s
	}
	return p
}
