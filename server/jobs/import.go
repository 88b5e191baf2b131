package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/job"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/sinks/reject"
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
	Workers int
	Memory  int64 // bytes for what is in flight of one job
	// Observe is told of a job's figures while it runs, until ended is called; nil: nobody is.
	Observe func(*pipeline.Monitor) (ended func())
}

// Imports are import jobs: from InputDataConfig of the record, with a report in
// a folder of its own below the place in JobOutputDataConfig, which is as the client has sent it.
type Imports struct{ *Engine }

var _ Kind = Imports{}

// Publishes implements [Kind].
func (Imports) Publishes() bool { return true }

// Run implements [Kind].
func (k Imports) Run(ctx context.Context, j *Job) error {
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
		return r.deliver(ctx, true)
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
		Inputs: []string{in.S3URI}, Blobs: k.Blobs, Level: level, Report: r.staged(),
		Names: bulk.ReportNames{Input: in.S3URI, Folder: out.S3.URI, KMSKeyID: out.S3.KMSKeyID},
	})
	if err != nil && j.Snapshot == 0 {
		return err
	}
	return r.deliver(ctx, false)
}

// load imports. The record of the job has what it comes to before anything is published.
func (e *Engine) load(ctx context.Context, j *Job, o bulk.ImportOptions) error {
	d, err := e.Catalog.DataStore(j.DatastoreID)
	if err != nil {
		return err
	}
	o.Root, o.Catalog, o.Datastore, o.Job = e.Root, e.Catalog, d, j.Job
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
	_, err = bulk.Import(ctx, o)
	return err
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

// report is the report of an import job: made in the folder of the job, and taken from there
// to where the job writes when the import is published.
type report struct {
	*Engine
	job *Job
	at  blob.URI
	out Output
}

func (r *report) staged() string { return filepath.Join(r.Root.JobDir(r.job.ID), "report") }

// deliver takes the report to its place. That it cannot be written ends the job no less: the
// resources are in, and the report stays where it is.
// So it does when it was asked to end: it is done.
func (r *report) deliver(ctx context.Context, again bool) error {
	settle(r.job)
	ctx, stop := untilStopped(ctx)
	defer stop()
	err := r.take(ctx)
	if err == nil {
		return os.RemoveAll(r.staged())
	}
	if ctx.Err() != nil {
		return err
	}
	var full *blob.NotEmptyError
	if again && errors.As(err, &full) {
		err = errors.New("the server ended while it was written, so it may not be complete there")
	}
	r.job.Message = fmt.Sprintf("the resources are imported, but the report could not be written to %s: %v; it is in the folder jobs/%s/report of the server's root", r.out.S3.URI, err, r.job.ID)
	return nil
}

// untilStopped gives a context that ends when the server stops, but not when the job is cancelled.
func untilStopped(ctx context.Context) (context.Context, func()) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	watching := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); errors.Is(cause, job.ErrStopping) {
			cancel(cause)
		}
	})
	return out, func() { watching(); cancel(nil) }
}

func (r *report) take(ctx context.Context) error {
	// An import that ended before its report had its names, ended before its manifest.
	names := bulk.ReportNames{Folder: r.out.S3.URI, KMSKeyID: r.out.S3.KMSKeyID}
	var in Input
	if err := json.Unmarshal(r.job.Input, &in); err != nil {
		return err
	}
	names.Input = in.S3URI
	if r.job.Job.Progress == nil {
		return errors.New("its counts are lost")
	}
	if err := bulk.WriteReportManifest(r.staged(), r.job.Job, names); err != nil {
		return err
	}
	out, err := r.Blobs.Output(ctx, r.at, blob.OutputOptions{KMSKeyID: r.out.S3.KMSKeyID})
	if err != nil {
		return err
	}
	if err := copyAll(ctx, out, r.staged()); err != nil {
		return errors.Join(err, out.Discard())
	}
	return out.Publish()
}

// copyAll copies what is in a folder. Files of a report have a suffix until they are done; here
// all are.
func copyAll(ctx context.Context, out blob.Output, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return copyFile(out, strings.TrimSuffix(filepath.ToSlash(name), ".part"), path)
	})
}

func copyFile(out blob.Output, name, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := out.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return errors.Join(err, to.Abort())
	}
	return to.Close()
}
