// Package rawlog writes the resources themselves: one zstd NDJSON file for each
// segment, frames of whole lines in arrival order, every line as received but
// for meta.versionId and meta.lastUpdated (docs/formats/resources.md).
//
// Frames end where the batch ends, or earlier when one is full, so they depend
// on the input alone and are compressed on the workers, while the batch is in
// cache; the sink itself only appends finished bytes.
//
// Read [Sink] first.
package rawlog

import (
	"context"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// FrameSize is how many bytes of lines end a frame. docs/decisions/0006 has the
// measurements.
const FrameSize = 128 << 10

// product is what the workers leave on a batch: frames, those of one resource
// type together, in the order in which the types first occur.
type product struct {
	bytes  []byte
	frames []typedFrame
}

type typedFrame struct {
	snapshot.Frame
	typ   r4.TypeID
	first int // index in Batch.Records of its first record
}

var slot = pipeline.NewSlot[product]()

// Sink appends frames to the resources files of the segments that a builder
// makes. It comes after the sink that decides the segments.
type Sink struct {
	builder *snapshot.Builder
	files   map[uint32]*file
	byType  map[r4.TypeID]*file
	written int64
}

type file struct {
	ordinal uint32
	w       *snapshot.FileWriter
	frames  []snapshot.Frame
	ended   bool // a task finishes it
}

var _ pipeline.Sink = (*Sink)(nil)

// New makes a sink; every resource gets Version and Updated of its record.
func New(b *snapshot.Builder) *Sink {
	return &Sink{builder: b, files: map[uint32]*file{}, byType: map[r4.TypeID]*file{}}
}

// Name is "rawlog".
func (s *Sink) Name() string { return "rawlog" }

// Bytes is the number of bytes written so far.
func (s *Sink) Bytes() int64 { return s.written }

// Compress is the part that runs on the workers, after identify. It is a stage of
// its own, not a [pipeline.Preparer], so that it can come before the shredding:
// of a line of 170 MB the text to compress and the columns are then not in memory
// at the same time.
func (s *Sink) Compress() pipeline.Stage { return stage{} }

// Write appends the frames of a batch.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	p := slot.Of(b)
	var tasks []pipeline.Task
	rest := p.bytes
	for i := range p.frames {
		fr := &p.frames[i]
		f, done, err := s.file(fr.typ, b.Records[fr.first].Segment)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, done...)
		if _, err := f.w.Write(rest[:fr.Compressed]); err != nil {
			return nil, fmt.Errorf("write resources: %w", err)
		}
		rest = rest[fr.Compressed:]
		f.frames = append(f.frames, fr.Frame)
		s.written += int64(fr.Compressed)
	}
	if cap(p.bytes) > 32*FrameSize {
		p.bytes = nil // a huge line passed, and the batch will be used again
	}
	return tasks, nil
}

// file gives the open file of a segment. When the type has moved on to a new
// segment, the file of the old one is finished by the tasks returned.
func (s *Sink) file(t r4.TypeID, ordinal uint32) (*file, []pipeline.Task, error) {
	f := s.byType[t]
	if f != nil && f.ordinal == ordinal {
		return f, nil, nil
	}
	var tasks []pipeline.Task
	if f != nil {
		tasks = append(tasks, s.finish(f))
	}
	w, err := s.builder.ByOrdinal(ordinal).Create(snapshot.ResourcesFile)
	if err != nil {
		return nil, nil, err
	}
	f = &file{ordinal: ordinal, w: w}
	s.files[ordinal] = f
	s.byType[t] = f
	return f, tasks, nil
}

// finish makes the task that ends a file; syncing it is its slow part.
func (s *Sink) finish(f *file) pipeline.Task {
	f.ended = true
	return pipeline.Task{Run: func(context.Context) error {
		if _, err := f.w.Write(snapshot.AppendFrameTables(nil, f.frames)); err != nil {
			return fmt.Errorf("write resources: %w", err)
		}
		return f.w.Close()
	}}
}

// Flush finishes all files.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	for _, seg := range s.builder.Segments() {
		if f := s.files[seg.Ordinal]; f != nil && !f.ended {
			tasks = append(tasks, s.finish(f))
		}
	}
	return tasks, nil
}

// Commit keeps the files; the manifest makes them visible.
func (s *Sink) Commit(context.Context) error {
	clear(s.files)
	return nil
}

// Close removes the files, unless Commit has kept them. No task runs any more.
func (s *Sink) Close() error {
	for _, f := range s.files {
		f.w.Abort()
	}
	clear(s.files)
	return nil
}

type stage struct{}

func (stage) Name() string { return "compress" }

func (stage) NewWorker() (pipeline.Worker, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(FrameSize))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return &worker{z: z}, nil
}

type worker struct {
	instants fhir.Instants
	z        *zstd.Encoder
	text     []byte
	types    []r4.TypeID
}

// Process compresses the batch's lines, one type after the other.
func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	p := slot.Of(b)
	p.bytes, p.frames = p.bytes[:0], p.frames[:0]
	w.types = w.types[:0]
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status == pipeline.Pending && !w.seen(r.Type) {
			w.types = append(w.types, r.Type)
			w.compressType(b, p, i)
		}
	}
	if cap(w.text) > 16*FrameSize {
		w.text = nil // a huge line passed; do not keep its memory
	}
	return nil
}

// seen asks whether the lines of a type are compressed already. Nearly every
// batch has one type, and 146 is the most.
func (w *worker) seen(t r4.TypeID) bool {
	for _, o := range w.types {
		if o == t {
			return true
		}
	}
	return false
}

// compressType makes the frames of all records that have the type of record
// from, which is the first of its type.
func (w *worker) compressType(b *pipeline.Batch, p *product, from int) {
	typ := b.Records[from].Type
	fr := typedFrame{typ: typ, first: from}
	w.text = w.text[:0]
	for i := from; i < len(b.Records); i++ {
		r := &b.Records[i]
		if r.Type != typ || r.Status != pipeline.Pending {
			continue
		}
		if fr.Rows == 0 {
			fr.first = i
		}
		w.text = fhir.AppendStamped(w.text, &b.Tree, r.Root, r.Version, w.instants.Text(r.Updated))
		w.text = append(w.text, '\n')
		fr.Rows++
		if len(w.text) >= FrameSize {
			w.cut(p, &fr)
		}
	}
	if fr.Rows > 0 {
		w.cut(p, &fr)
	}
}

func (w *worker) cut(p *product, fr *typedFrame) {
	at := len(p.bytes)
	if len(w.text) > 16*FrameSize {
		// Growing piecemeal would leave garbage of several times the size.
		p.bytes = slices.Grow(p.bytes, w.z.MaxEncodedSize(len(w.text)))
	}
	p.bytes = w.z.EncodeAll(w.text, p.bytes)
	fr.Compressed = uint32(len(p.bytes) - at)
	fr.Uncompressed = uint32(len(w.text))
	p.frames = append(p.frames, *fr)
	fr.Rows = 0
	w.text = w.text[:0]
}
