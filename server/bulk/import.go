// Package bulk runs bulk jobs over one data store: it wires sources, stages and
// sinks into a pipeline, publishes what came out and keeps the job's record. The
// command line and the server's API both start jobs here.
//
// Read [Import] first.
package bulk

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/annotations"
	"github.com/fhirlake/fhirlake/sinks/ids"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/rawlog"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/sources/bundle"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/identify"
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

	// Level says what every resource is checked for: but for StructureOnly, also the
	// profiles that the root knows. At Minimal those that fail are stored, with their
	// issues beside them.
	Level validate.Level

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
	WithIssues int64  `json:"withIssues"` // not rejected although they have errors: validation was minimal
	Warned     int64  `json:"warned"`     // not rejected and without errors, but with warnings
	JobID      string `json:"jobId"`
	Snapshot   int64  `json:"snapshot"` // number of the manifest that shows the result

	Skipped            []string         `json:"skipped,omitempty"`            // files of folders that are no data by their names
	DecimalsOutOfRange int64            `json:"decimalsOutOfRange,omitempty"` // have no DECIMAL twin
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
	res, err := j.run(ctx, bundle.Unwrap(src))
	if err == nil {
		res.Files, res.Skipped = int64(src.Files()), src.Skipped()
	}
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
	files []reject.FileCount
	rows  rowsOf // of the search index

	report *reject.Sink // nil until the pipeline is made
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
	builder := snapshot.NewBuilder(j.store.Dir(), base, j.NewID)
	columns := parquet.New(builder, parquet.Options{})
	log := rawlog.New(builder)
	entries := ids.New(j.store.Dir(), ids.Rel(base.Number+1, j.job.ID))
	j.report = reject.New(j.Report, j.now)
	// The columns come first: they decide where a segment ends.
	sinks := []pipeline.Sink{columns, log, entries, j.report}
	if j.lenient() {
		sinks = append(sinks, annotations.New(builder, annotations.Issues, base.Number+1))
	}
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
	closed = true // Run closes it
	figures, err := pipeline.Run(ctx, pipeline.Config{
		Source:  src,
		Stages:  append([]pipeline.Stage{parse.New(), validator, identifier, log.Compress(), shred.New()}, searched.stages...),
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
	j.files = j.report.Files()
	res := &ImportResult{
		Bytes:      figures.Bytes,
		Resources:  figures.Records,
		Imported:   settled.Entries,
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
	}
	if settled.Entries == 0 {
		return res, nil
	}
	m, err := start.publish(snapshot.PublishOptions{
		JobID: j.job.ID, Now: j.now, IDs: settled.IDs, Entries: settled.Entries,
		Superseded: settled.Superseded, KeepVersions: true, Search: searched.result(),
	}, builder, &corrector{job: j, stages: []pipeline.Stage{parse.New(), validator}, secret: secret, number: base.Number + 1})
	if err != nil {
		return nil, err
	}
	res.Snapshot = m.Number
	return res, nil
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
		return errors.Join(err, sweepErr, j.Catalog.PutJob(&j.job))
	}
	j.job.Status, j.job.Snapshot, j.job.Progress = catalog.JobCompleted, res.Snapshot, j.progress(res)
	j.job.WithIssues = res.WithIssues
	if res.Rejected > 0 {
		j.job.Status = catalog.JobCompletedWithErrors
	}
	reportErr := j.publishReport(res)
	if reportErr != nil {
		reportErr = fmt.Errorf("the import is published as snapshot %d, but its report is not complete: %w", res.Snapshot, reportErr)
		j.job.Message = reportErr.Error()
	}
	_, sweepErr := j.store.Sweep()
	return errors.Join(reportErr, sweepErr, j.Catalog.PutJob(&j.job))
}

// publishReport makes the report visible, its manifest last.
func (j *importJob) publishReport(res *ImportResult) error {
	if j.Report == "" {
		return nil
	}
	if err := j.report.Publish(); err != nil {
		return err
	}
	return j.writeReportManifest(res)
}

func (j *importJob) progress(res *ImportResult) *catalog.JobProgressReport {
	p := &catalog.JobProgressReport{
		ScannedFiles:      res.Files,
		ScannedMB:         float64(res.Bytes) / 1e6,
		ScannedResources:  res.Resources,
		ImportedResources: res.Resources - res.Rejected,
		RejectedResources: res.Rejected,
	}
	for _, f := range j.files {
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

// reportManifest is Manifest.json as HealthLake writes it.
type reportManifest struct {
	Input struct {
		S3URI string `json:"s3Uri"`
	} `json:"inputDataConfig"`
	Output struct {
		S3URI string `json:"s3Uri"`
		KeyID string `json:"encryptionKeyID"`
	} `json:"outputDataConfig"`
	Success struct {
		URI string `json:"successOutputS3Uri"`
	} `json:"successOutput"`
	Failure struct {
		URI string `json:"failureOutputS3Uri"`
	} `json:"failureOutput"`
	WithIssues        *withIssues `json:"successWithSearchValidationFailuresOutput,omitempty"` // of a job that is lenient
	ScannedFiles      int64       `json:"numberOfScannedFiles"`
	ImportedFiles     int64       `json:"numberOfFilesImported"`
	ScannedMB         float64     `json:"sizeOfScannedFilesInMB"`
	ImportedMB        float64     `json:"sizeOfDataImportedSuccessfullyInMB"`
	ScannedResources  int64       `json:"numberOfResourcesScanned"`
	ImportedResources int64       `json:"numberOfResourcesImportedSuccessfully"`
	CustomerErrors    int64       `json:"numberOfResourcesWithCustomerError"`
	ServerErrors      int64       `json:"numberOfResourcesWithServerError"`
}

// withIssues is what HealthLake's manifest does not have: it has no entry for the
// folder of the resources that were taken with errors.
type withIssues struct {
	URI       string `json:"successWithSearchValidationFailuresOutputS3Uri"`
	Resources int64  `json:"numberOfResourcesImportedWithSearchValidationFailures"`
}

func (j *importJob) writeReportManifest(res *ImportResult) error {
	p := j.job.Progress
	m := reportManifest{
		ScannedFiles:      p.ScannedFiles,
		ImportedFiles:     p.ImportedFiles,
		ScannedMB:         p.ScannedMB,
		ImportedMB:        p.ScannedMB,
		ScannedResources:  p.ScannedResources,
		ImportedResources: p.ImportedResources,
		CustomerErrors:    p.RejectedResources,
	}
	if len(j.Inputs) > 0 {
		m.Input.S3URI = j.Inputs[0]
	}
	m.Output.S3URI = j.Report
	m.Success.URI = filepath.Join(j.Report, reject.Success)
	m.Failure.URI = filepath.Join(j.Report, reject.Failure)
	if j.lenient() {
		m.WithIssues = &withIssues{filepath.Join(j.Report, reject.WithIssues), res.WithIssues}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return reject.WriteManifest(j.Report, append(b, '\n'))
}
