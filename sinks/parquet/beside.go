package parquet

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// # Files beside segments
//
// What is derived from resources can be a table of its own, any number of rows for each
// row of the segment: one file for each segment of which there is something to say, an
// annotation of it. Its pieces are made on the workers, without knowing where their
// records will lie; this sink puts that in.

// BesidePiece is rows that are derived from the records of one type in a batch, in their
// order. The first column of its layout is of RoleCount and required: it says which record
// of the batch a row is of.
type BesidePiece struct {
	Type  r4.TypeID
	Piece *columnar.Piece
}

// BesideOptions say what a [Beside] writes. Kind, Layout and Pieces are required.
type BesideOptions struct {
	Kind   snapshot.AnnotationKind
	Number int64 // of the manifest to come
	Layout *columnar.Layout
	// Pieces gives those of a batch, at most one of a type; the sink empties the list.
	Pieces func(*pipeline.Batch) *[]BesidePiece

	GroupRows  int   // rows that end a row group; 122,880 when 0
	GroupBytes int64 // memory of its pieces that ends it; 8 MiB when 0
	HeldBytes  int64 // memory of all pieces that wait for the end of a row group; 16 MiB when 0
}

// Beside writes files of derived rows. It comes after the sink that decides the segments,
// and belongs to the collector. In its files, the first column is the row in the segment.
type Beside struct {
	output
	builder *snapshot.Builder
	o       BesideOptions
	open    map[r4.TypeID]*besideFile
	all     []*besideFile // in the order of their first rows
	held    int64
}

var _ pipeline.Sink = (*Beside)(nil)

// NewBeside makes a sink for the segments of b.
func NewBeside(b *snapshot.Builder, o BesideOptions) *Beside {
	if o.GroupRows == 0 {
		o.GroupRows = 122_880
	}
	if o.GroupBytes == 0 {
		o.GroupBytes = 8 << 20
	}
	if o.HeldBytes == 0 {
		o.HeldBytes = 16 << 20
	}
	return &Beside{builder: b, o: o, open: map[r4.TypeID]*besideFile{}}
}

// Name is the kind.
func (s *Beside) Name() string { return string(s.o.Kind) }

// besideFile is the file of one segment and the row group that it collects.
type besideFile struct {
	file
	typ     r4.TypeID
	segment *snapshot.SegmentBuilder
	total   int64 // rows
	written snapshot.File

	pending []*columnar.Piece
	rows    int   // of pending
	bytes   int64 // memory of pending
}

// Write takes the pieces of a batch and returns the encoding of the row groups that they
// complete.
func (s *Beside) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	pieces := s.o.Pieces(b)
	for _, p := range *pieces {
		if p.Piece.Rows == 0 {
			continue
		}
		first := &b.Records[p.Piece.Columns[1].Counts[0]]
		f := s.open[p.Type]
		if f == nil || f.segment.Ordinal != first.Segment {
			if f != nil {
				tasks = append(tasks, s.end(f)...)
			}
			f = s.begin(p.Type, first.Segment)
		}
		if err := f.add(s, b, p.Piece); err != nil {
			return nil, err
		}
		if f.rows >= s.o.GroupRows || f.bytes >= s.o.GroupBytes {
			tasks = append(tasks, s.cut(f)...)
		}
	}
	for s.held > s.o.HeldBytes {
		tasks = append(tasks, s.cut(s.largest())...)
	}
	clear(*pieces)
	*pieces = (*pieces)[:0]
	return tasks, nil
}

func (s *Beside) begin(t r4.TypeID, segment uint32) *besideFile {
	f := &besideFile{typ: t, segment: s.builder.ByOrdinal(segment)}
	f.file = file{o: &s.output, layout: s.o.Layout, leaves: s.o.Layout.Core(), create: func() (*snapshot.FileWriter, error) {
		return f.segment.CreateAnnotations(s.o.Kind, s.o.Number, &f.written)
	}}
	s.open[t] = f
	s.all = append(s.all, f)
	return f
}

var errManySegments = errors.New("parquet: the records of one type in a batch are in different segments")

// add puts rows in the place of records and takes the piece into the open row group.
func (f *besideFile) add(s *Beside, b *pipeline.Batch, p *columnar.Piece) error {
	rows := p.Columns[1].Counts
	for i, at := range rows {
		r := &b.Records[at]
		if r.Segment != f.segment.Ordinal {
			return errManySegments
		}
		rows[i] = r.Row
	}
	f.pending = append(f.pending, p)
	f.rows += p.Rows
	f.total += int64(p.Rows)
	f.bytes += p.Bytes()
	s.held += p.Bytes()
	return nil
}

// largest gives the file that holds the most, of equals the first.
func (s *Beside) largest() *besideFile {
	var most *besideFile
	for _, f := range s.all {
		if len(f.pending) > 0 && (most == nil || f.bytes > most.bytes) {
			most = f
		}
	}
	return most
}

// cut ends the open row group and returns its encoding.
func (s *Beside) cut(f *besideFile) []pipeline.Task {
	if len(f.pending) == 0 {
		return nil
	}
	g := newRowGroup(&f.file, f.pending, f.rows)
	s.held -= f.bytes
	f.pending, f.rows, f.bytes = nil, 0, 0
	return g.tasks()
}

// end ends a file, whose segment gets no more rows.
func (s *Beside) end(f *besideFile) []pipeline.Task {
	return append(s.cut(f), pipeline.Task{Done: f.finish})
}

// Flush completes all row groups and files.
func (s *Beside) Flush(context.Context) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	for _, f := range s.all {
		if s.open[f.typ] == f {
			tasks = append(tasks, s.end(f)...)
		}
	}
	return tasks, nil
}

// Commit waits until all files are synced and names them in their segments; the manifest
// makes them visible.
func (s *Beside) Commit(context.Context) error {
	if err := s.commit(); err != nil {
		return err
	}
	for _, f := range s.all {
		a := &f.segment.Annotations
		*a = append(*a, snapshot.Annotation{Kind: s.o.Kind, Rows: f.total, File: f.written})
		slices.SortFunc(*a, func(a, b snapshot.Annotation) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	}
	return nil
}

// Close removes the files, unless Commit has kept them.
func (s *Beside) Close() error {
	s.close()
	s.all = nil
	return nil
}
