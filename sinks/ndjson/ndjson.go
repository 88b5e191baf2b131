// Package ndjson writes resources as NDJSON, plain or compressed: files of one resource
// type and of bounded size. Frames that come packed are copied as they are into compressed
// files.
//
// Read [Sink] first.
package ndjson

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/blob"
)

// Compression is how the files are compressed.
type Compression string

// The compressions, as the ends of file names have them.
const (
	Plain Compression = ""
	Gzip  Compression = ".gz"
	Zstd  Compression = ".zst"
)

// Options says what is written where.
type Options struct {
	Output blob.Output
	// Name gives the name of a type's file, which counts from 0. The end that says how it
	// is compressed follows.
	Name        func(t r4.TypeID, number int) string
	Compression Compression
	FileBytes   int64 // of a file after which the next one begins; 0: 1 GiB
	// Written is told of each finished file; nil: nobody has to know.
	Written func(File)
}

// File is a finished file.
type File struct {
	Type      r4.TypeID
	Name      string
	Bytes     int64
	Resources int64
}

const fileBytes = 1 << 30

// Sink writes what the slot [pipeline.StoredOf] and the text of its batches say, in their
// order. It ends a file when the resource type changes. Commit publishes the output, Close
// discards it otherwise.
type Sink struct {
	o       Options
	current *file
	numbers map[r4.TypeID]int
	open    map[*file]bool

	resources atomic.Int64
}

type file struct {
	File
	w blob.File
}

var (
	_ pipeline.Sink     = (*Sink)(nil)
	_ pipeline.Preparer = (*Sink)(nil)
)

// New makes a sink.
func New(o Options) *Sink {
	if o.FileBytes <= 0 {
		o.FileBytes = fileBytes
	}
	return &Sink{o: o, numbers: map[r4.TypeID]int{}, open: map[*file]bool{}}
}

// Name is "ndjson".
func (s *Sink) Name() string { return "ndjson" }

// Resources is how many were written so far. It may be called from any goroutine.
func (s *Sink) Resources() int64 { return s.resources.Load() }

// Prepare is the stage that compresses.
func (s *Sink) Prepare() pipeline.Stage {
	if s.o.Compression == Plain {
		return nil
	}
	return compressing{s.o.Compression}
}

// Write appends the resources of a batch to the file of their type.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	st := pipeline.StoredOf.Of(b)
	if st.Resources == 0 {
		return nil, nil
	}
	var tasks []pipeline.Task
	if f := s.current; f != nil && (f.Type != st.Type || f.Bytes >= s.o.FileBytes) {
		tasks = append(tasks, s.finish())
	}
	if s.current == nil {
		if err := s.create(st.Type); err != nil {
			return nil, err
		}
	}
	text := b.Data
	if s.o.Compression != Plain {
		text = st.Packed
	}
	f := s.current
	n, err := f.w.Write(text)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", f.Name, err)
	}
	f.Bytes += int64(n)
	f.Resources += st.Resources
	s.resources.Add(st.Resources)
	return tasks, nil
}

func (s *Sink) create(t r4.TypeID) error {
	name := s.o.Name(t, s.numbers[t]) + string(s.o.Compression)
	w, err := s.o.Output.Create(name)
	if err != nil {
		return err
	}
	s.numbers[t]++
	s.current = &file{File: File{Type: t, Name: name}, w: w}
	s.open[s.current] = true
	return nil
}

// finish makes the task that ends the current file.
func (s *Sink) finish() pipeline.Task {
	f := s.current
	s.current = nil
	return pipeline.Task{
		Run: func(context.Context) error {
			if err := f.w.Close(); err != nil {
				return fmt.Errorf("write %s: %w", f.Name, err)
			}
			return nil
		},
		Done: func() error {
			delete(s.open, f)
			if s.o.Written != nil {
				s.o.Written(f.File)
			}
			return nil
		},
	}
}

// Flush ends the last file.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) {
	if s.current == nil {
		return nil, nil
	}
	return []pipeline.Task{s.finish()}, nil
}

// Commit publishes the files, which are all finished.
func (s *Sink) Commit(context.Context) error { return s.o.Output.Publish() }

// Close removes what was not published.
func (s *Sink) Close() error {
	for f := range s.open {
		f.w.Abort()
	}
	clear(s.open)
	return s.o.Output.Discard()
}

// compressing is the stage that leaves batches packed.
type compressing struct{ how Compression }

// Name is "compress".
func (compressing) Name() string { return "compress" }

// NewWorker makes a worker with an encoder of its own.
func (c compressing) NewWorker() (pipeline.Worker, error) {
	if c.how == Gzip {
		w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return &gzipWorker{w: w}, err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return &zstdWorker{z}, nil
}

type zstdWorker struct{ z *zstd.Encoder }

// Process compresses what is not packed yet, as one frame.
func (w *zstdWorker) Process(_ context.Context, b *pipeline.Batch) error {
	if st := pipeline.StoredOf.Of(b); len(st.Packed) == 0 && st.Resources > 0 {
		st.Packed = w.z.EncodeAll(b.Data, st.Packed)
	}
	return nil
}

type gzipWorker struct{ w *gzip.Writer }

// Process compresses the text as one member.
func (w *gzipWorker) Process(_ context.Context, b *pipeline.Batch) error {
	st := pipeline.StoredOf.Of(b)
	if st.Resources == 0 {
		return nil
	}
	out := appender{st.Packed[:0]}
	w.w.Reset(&out)
	if _, err := w.w.Write(b.Data); err != nil {
		return err
	}
	err := w.w.Close()
	st.Packed = out.b
	return err
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
