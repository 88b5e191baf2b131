package job

import (
	"context"
	"sync"

	"github.com/fhirlake/fhirlake/pipeline"
)

// File is what has become of one input so far.
type File struct {
	Name               string
	Accepted, Rejected int64
}

// Report is HealthLake's eight counters of an import.
type Report struct {
	ScannedFiles       int64 // that have been begun
	ScannedMB          float64
	ImportedFiles      int64 // with a resource that was accepted
	ScannedResources   int64
	ImportedResources  int64
	RejectedResources  int64
	FilesWithRejects   int64
	MegabytesPerSecond float64
}

// Progress counts what a job does while it does it. The zero value is ready; it is safe for
// concurrent use.
type Progress struct {
	Monitor pipeline.Monitor // of the pipeline that does the work

	mu    sync.Mutex
	files []File
	at    *pipeline.File // the input of the last of files
}

// Files gives what became of the inputs that were begun, in input order.
func (p *Progress) Files() []File {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]File(nil), p.files...)
}

// Report gives the counters of this moment.
func (p *Progress) Report() Report {
	var r Report
	p.mu.Lock()
	for _, f := range p.files {
		r.ScannedFiles++
		r.ImportedResources += f.Accepted
		r.RejectedResources += f.Rejected
		if f.Accepted > 0 {
			r.ImportedFiles++
		}
		if f.Rejected > 0 {
			r.FilesWithRejects++
		}
	}
	p.mu.Unlock()
	r.ScannedResources = r.ImportedResources + r.RejectedResources
	f := p.Monitor.Figures()
	r.ScannedMB = float64(f.Bytes) / 1e6
	if s := f.Elapsed.Seconds(); s > 0 {
		r.MegabytesPerSecond = r.ScannedMB / s
	}
	return r
}

// Sink is a sink that counts records by input. It belongs to one run of the pipeline.
func (p *Progress) Sink() pipeline.Sink { return counter{p} }

type counter struct{ p *Progress }

var _ pipeline.Sink = counter{}

// Name is "progress".
func (counter) Name() string { return "progress" }

// Write counts the records of a batch.
func (c counter) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for i := range b.Received() {
		r := &b.Records[i]
		if c.p.at != r.File {
			c.p.at = r.File
			c.p.files = append(c.p.files, File{Name: r.File.Name})
		}
		f := &c.p.files[len(c.p.files)-1]
		if r.Status == pipeline.Rejected {
			f.Rejected++
		} else {
			f.Accepted++
		}
	}
	return nil, nil
}

// Flush has nothing to do.
func (counter) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }

// Commit has nothing to do.
func (counter) Commit(context.Context) error { return nil }

// Close has nothing to do.
func (counter) Close() error { return nil }
