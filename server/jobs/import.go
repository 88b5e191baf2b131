package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// Engine is what jobs work with. It is not changed while they do.
type Engine struct {
	Root    *root.Root
	Catalog *catalog.Catalog
	Lake    func(datastore string) (*lake.Lake, error)
	Blobs   *blob.Client
	// Notes says how the notes of a data store are read; nil: they are not.
	Notes func(datastore string) *notes.Options
	// Reread reads the notes of a data store that waited for Binaries of a job; nil: nobody does.
	Reread func(ctx context.Context, datastore string) error
	// Derive tells whether resources are derived from them; nil: they are not.
	Derive  func(datastore string) func() (bool, error)
	Workers int
	Memory  int64 // bytes for what is in flight of one job
	// Observe is told of a job's figures while it runs, until ended is called; nil: nobody is.
	Observe func(*pipeline.Monitor) (ended func())
}

// Imports are import jobs: of the Inputs of the record, with a report in
// a folder of its own below the place in JobOutputDataConfig, which is as the client has sent it; without
// a place there is none.
type Imports struct{ *Engine }

var _ Kind = Imports{}

// Publishes implements [Kind].
func (Imports) Publishes() bool { return true }

// Run implements [Kind].
func (k Imports) Run(ctx context.Context, j *Job) error {
	if j.JobOutput == nil {
		return k.untold(ctx, j)
	}
	var in Input
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return fmt.Errorf("what the job reads: %w", err)
	}
	_, out, err := place(j.JobOutput)
	if err != nil {
		return err
	}
	out = out.Folder(j.Job, "FHIR_IMPORT")
	at, _, err := place(out.Encode())
	if err != nil {
		return err
	}
	r := &report{Engine: k.Engine, job: j, at: at, out: out}
	if j.Snapshot > 0 { // invariant 2
		return r.deliver(ctx)
	}
	// What is left of an earlier run is a report of something else.
	if err := os.RemoveAll(r.staged()); err != nil {
		return fmt.Errorf("remove the report of an earlier run: %w", err)
	}
	level, err := validate.ParseLevel(j.ValidationLevel)
	if err != nil {
		return err
	}
	err = k.load(ctx, j, bulk.ImportOptions{
		Inputs: inputs(j, in), Blobs: k.Blobs, Level: level, Report: r.staged(),
		Names: bulk.ReportNames{Input: in.S3URI, Folder: out.S3.URI, KMSKeyID: out.S3.KMSKeyID},
	})
	if err != nil && j.Snapshot == 0 {
		return err
	}
	return r.deliver(ctx)
}

// inputs are what a job reads.
func inputs(j *Job, in Input) []string {
	if len(j.Inputs) > 0 {
		return j.Inputs
	}
	return []string{in.S3URI}
}

// untold is an import whose report nobody wants: only its counts are kept.
func (k Imports) untold(ctx context.Context, j *Job) error {
	staged := filepath.Join(k.Root.JobDir(j.ID), "report")
	if j.Snapshot == 0 { // invariant 2
		if err := os.RemoveAll(staged); err != nil {
			return fmt.Errorf("remove the report of an earlier run: %w", err)
		}
		level, err := validate.ParseLevel(j.ValidationLevel)
		if err != nil {
			return err
		}
		err = k.load(ctx, j, bulk.ImportOptions{Inputs: j.Inputs, Blobs: k.Blobs, Level: level, Report: staged})
		if err != nil && j.Snapshot == 0 {
			return err
		}
	}
	settle(j)
	return os.RemoveAll(staged)
}

// load imports. The record of the job has what it comes to before anything is published.
func (e *Engine) load(ctx context.Context, j *Job, o bulk.ImportOptions) error {
	d, err := e.Catalog.DataStore(j.DatastoreID)
	if err != nil {
		return err
	}
	o.Root, o.Catalog, o.Datastore, o.Job = e.Root, e.Catalog, d, j.Job
	if e.Notes != nil {
		o.Notes = e.Notes(d.ID)
	}
	if e.Derive != nil {
		o.Derive = e.Derive(d.ID)
	}
	o.SearchIndex, o.Workers, o.Memory = true, e.Workers, e.Memory
	o.Monitor, o.Watch = &j.Progress.Monitor, j.Progress.Sink()
	if o.Lake, err = e.Lake(d.ID); err != nil {
		return err
	}
	o.Prepared = func(files []reject.FileCount) error {
		return errors.Join(e.Catalog.PutJobFiles(j.ID, jobFiles(files)), j.Save())
	}
	if e.Observe != nil {
		defer e.Observe(o.Monitor)()
	}
	res, err := bulk.Import(ctx, o)
	if err != nil || !res.NotesWait || e.Reread == nil {
		return err
	}
	if err := e.Reread(ctx, d.ID); err != nil { // the resources are there
		j.Message = fmt.Sprintf("the resources are imported, but notes in their Binaries could not be read: %v; `fhirlake reread` reads them", err)
	}
	return nil
}

func jobFiles(files []reject.FileCount) []catalog.JobFile {
	out := make([]catalog.JobFile, len(files))
	for i, f := range files {
		out[i] = catalog.JobFile{Name: f.Name, Status: catalog.JobCompleted, Accepted: f.Accepted, Rejected: f.Rejected}
		if f.Rejected > 0 {
			out[i].Status = catalog.JobCompletedWithErrors
		}
	}
	return out
}

// settle sets the last state of an import that is done.
func settle(j *Job) {
	j.Status = catalog.JobCompleted
	if p := j.Job.Progress; p != nil && p.RejectedResources > 0 {
		j.Status = catalog.JobCompletedWithErrors
	}
}
