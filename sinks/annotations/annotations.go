// Package annotations writes what is derived from resources beside them: for each
// segment one file of each kind, a line for every row of which there is something to
// say, in frames by which a row is found (docs/formats/annotations.md). Where there
// is nothing to say nothing is written. Which files there are and how they are read
// is package snapshot's.
//
// The text of a line is made on the workers, but for its row, which the columnar sink
// gives. Frames end by their size and with the segment, so they depend on the input
// alone; compressing them is a task.
//
// Read [Sink], [Kind] and [Payload] first.
package annotations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// FrameSize is how many bytes of lines end a frame. docs/decisions/0016 has the
// measurements.
const FrameSize = 32 << 10

// Payload says what is kept of the records of a batch. Of those that a data store had, it
// is not asked: what was kept of them is. It belongs to one worker.
type Payload interface {
	// Start turns to a batch.
	Start(b *pipeline.Batch)
	// Append appends one JSON value without line ends, or nothing when nothing is
	// kept of record i. Records are asked for in rising order, pending ones alone.
	Append(dst []byte, i int) []byte
}

// Kind is a kind of annotations with what makes it. Kinds are made in package
// variables: each takes a slot of the batches.
type Kind struct {
	name    snapshot.AnnotationKind
	payload func() Payload
	slot    pipeline.Slot[product]
}

// NewKind makes a kind; payload makes what a worker asks.
func NewKind(name snapshot.AnnotationKind, payload func() Payload) Kind {
	return Kind{name, payload, pipeline.NewSlot[product]()}
}

// Kinds are all kinds, for those who write what a data store had.
var Kinds = []Kind{Issues, NLP}

// Sinks makes a sink of each kind; see [New].
func Sinks(b *snapshot.Builder, number int64, kinds ...Kind) []pipeline.Sink {
	sinks := make([]pipeline.Sink, len(kinds))
	for i, k := range kinds {
		sinks[i] = New(b, k, number)
	}
	return sinks
}

// Sink writes one kind of annotations. It comes after the sink that decides the
// segments.
type Sink struct {
	builder *snapshot.Builder
	kind    Kind
	number  int64

	byType  map[r4.TypeID]*file
	files   []*file                       // in the order of their first lines
	encoder func() (*zstd.Encoder, error) // made by the first frame, used by all workers
	free    [][]byte                      // buffers of frames that are written
	closing errgroup.Group                // of finished files
}

var (
	_ pipeline.Sink     = (*Sink)(nil)
	_ pipeline.Preparer = (*Sink)(nil)
)

// New makes a sink for the segments of b. number is that of the manifest to come.
func New(b *snapshot.Builder, kind Kind, number int64) *Sink {
	return &Sink{
		builder: b, kind: kind, number: number, byType: map[r4.TypeID]*file{},
		encoder: sync.OnceValues(func() (*zstd.Encoder, error) {
			return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(FrameSize))
		}),
	}
}

// Name is the kind.
func (s *Sink) Name() string { return string(s.kind.name) }

// file is the annotations file of one segment, and the frame that is being filled.
type file struct {
	s       *Sink
	typ     r4.TypeID
	segment *snapshot.SegmentBuilder
	w       *snapshot.FileWriter
	written snapshot.File
	frames  []snapshot.AnnotationFrame
	rows    int64

	text  []byte
	first uint32 // row of the first line in text
	lines uint32
}

// Write takes the lines of a batch and returns the compression of the frames that
// they fill.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	p := s.kind.slot.Of(b)
	var tasks []pipeline.Task
	rest := p.text
	for _, l := range p.lines {
		r := &b.Records[l.record]
		f := s.byType[r.Type]
		if f == nil || f.segment.Ordinal != r.Segment {
			if f != nil {
				tasks = append(tasks, f.finish()...)
			}
			f = s.open(r)
		}
		f.add(r.Row, rest[:l.size])
		rest = rest[l.size:]
		if len(f.text) >= FrameSize {
			tasks = append(tasks, f.cut())
		}
	}
	if cap(p.text) > keepLines {
		p.text = nil // a batch of which there was much to say passed, and it will be used again
	}
	return tasks, nil
}

// open begins the file of a record's segment.
func (s *Sink) open(r *pipeline.Record) *file {
	f := &file{s: s, typ: r.Type, segment: s.builder.ByOrdinal(r.Segment)}
	s.byType[r.Type] = f
	s.files = append(s.files, f)
	return f
}

func (f *file) add(row uint32, rest []byte) {
	if f.lines == 0 {
		f.first = row
	}
	f.text = append(snapshot.AppendAnnotationRow(f.text, row), rest...)
	f.lines++
	f.rows++
}

// cut makes the task that compresses the open frame and appends it to the file.
func (f *file) cut() pipeline.Task {
	text := f.text
	frame := snapshot.AnnotationFrame{First: f.first, Frame: snapshot.Frame{Uncompressed: uint32(len(text)), Rows: f.lines}}
	f.text, f.lines = nil, 0
	if n := len(f.s.free); n > 0 {
		f.text, f.s.free = f.s.free[n-1], f.s.free[:n-1]
	}
	var out []byte
	return pipeline.Task{
		Bytes: 2 * int64(len(text)),
		Run: func(context.Context) (err error) {
			z, err := f.s.encoder()
			if err != nil {
				return fmt.Errorf("make zstd encoder: %w", err)
			}
			out = z.EncodeAll(text, nil)
			return nil
		},
		Done: func() error {
			if cap(text) <= keepBuffer && len(f.s.free) < keepFrames {
				f.s.free = append(f.s.free, text[:0])
			}
			frame.Compressed = uint32(len(out))
			f.frames = append(f.frames, frame)
			return f.append(out)
		},
	}
}

// append writes to the file, which the first bytes make.
func (f *file) append(p []byte) (err error) {
	if f.w == nil {
		if f.w, err = f.segment.CreateAnnotations(f.s.kind.name, f.s.number, &f.written); err != nil {
			return err
		}
	}
	if _, err := f.w.Write(p); err != nil {
		return fmt.Errorf("write annotations: %w", err)
	}
	return nil
}

// finish gives the tasks that end the file. Its segment gets no more rows.
func (f *file) finish() []pipeline.Task {
	var tasks []pipeline.Task
	if f.lines > 0 {
		tasks = append(tasks, f.cut())
	}
	return append(tasks, pipeline.Task{Done: func() error {
		if err := f.append(snapshot.AppendAnnotationTables(nil, f.frames)); err != nil {
			return err
		}
		f.s.closing.Go(f.w.Close) // the disk does not hold up the collector
		return nil
	}})
}

// Flush finishes all files.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	for _, f := range s.files {
		if s.byType[f.typ] == f {
			tasks = append(tasks, f.finish()...)
		}
	}
	return tasks, nil
}

// Commit waits until all files are synced and names them in their segments; the
// manifest makes them visible.
func (s *Sink) Commit(context.Context) error {
	if err := s.closing.Wait(); err != nil {
		return err
	}
	for _, f := range s.files {
		a := &f.segment.Annotations
		*a = append(*a, snapshot.Annotation{Kind: s.kind.name, Rows: f.rows, File: f.written})
		slices.SortFunc(*a, func(a, b snapshot.Annotation) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	}
	s.files = nil
	return nil
}

// Close removes the files, unless Commit has kept them.
func (s *Sink) Close() error {
	_ = s.closing.Wait() // Commit, if there was one, has reported it
	for _, f := range s.files {
		if f.w != nil {
			f.w.Abort()
		}
	}
	s.files = nil
	return nil
}
