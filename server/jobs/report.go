package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/pipeline/job"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/blob"
)

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
func (r *report) deliver(ctx context.Context) error {
	settle(r.job)
	ctx, stop := untilStopped(ctx)
	defer stop()
	// A published import has a report until it was delivered, which a process may not have
	// lived to write down. It has it whole: it goes in one step.
	taken := r.staged() + ".taken"
	if _, err := os.Stat(r.staged()); errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(taken)
	}
	err := r.take(ctx)
	if err == nil {
		if err := cmp.Or(os.RemoveAll(taken), os.Rename(r.staged(), taken), os.RemoveAll(taken)); err != nil {
			r.job.Message = fmt.Sprintf("the report is written, but its copy in the server's root could not be removed: %v", err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	r.job.Message = fmt.Sprintf("the resources are imported, but the report could not be written: %v; it is in the folder jobs/%s/report of the server's root", err, r.job.ID)
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
	out, err := r.Blobs.Output(ctx, r.at, blob.OutputOptions{KMSKeyID: r.out.S3.KMSKeyID, Replace: true})
	if err != nil {
		return err
	}
	if err := copyAll(ctx, out, r.staged()); err != nil {
		return errors.Join(err, out.Discard())
	}
	if err := out.Publish(); err != nil {
		return errors.Join(err, out.Discard())
	}
	return nil
}

// copyAll copies what is in a folder, the manifests last: who finds one finds all. Files of a
// report have a suffix until they are done; here all are.
func copyAll(ctx context.Context, out blob.Output, dir string) error {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return err
	}
	depth := func(name string) int { return strings.Count(name, "/") }
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(depth(b), depth(a)) })
	g, copying := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	for _, name := range names {
		if copying.Err() != nil {
			break
		}
		to, err := out.Create(strings.TrimSuffix(name, ".part"))
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error { return copyFile(copying, to, filepath.Join(dir, filepath.FromSlash(name))) })
	}
	return cmp.Or(g.Wait(), ctx.Err())
}

// copiesAtOnce is how many files of a report are sent at a time: there are as many as the
// import had inputs, and each small one waits for several answers of a service. A big one
// takes the memory of a part of it.
const copiesAtOnce = 8

func copyFile(ctx context.Context, to blob.File, path string) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(err, to.Abort())
	}
	from, err := os.Open(path)
	if err != nil {
		return errors.Join(err, to.Abort())
	}
	defer from.Close()
	if _, err := io.Copy(to, from); err != nil {
		return errors.Join(err, to.Abort())
	}
	return to.Close()
}
