// Package entities is the sink of what NLP found, as a table: a Parquet file beside each
// segment that has annotations of kind nlp (docs/formats/entities.md). Rows are made on the
// workers, of the same JSON that is kept as the annotation; how that is read is package
// fhir/entity's, how columns become files package parquet's. It finds nothing itself.
//
// Read [Sink] first, then the columns in rows.go.
package entities

import (
	"context"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Options bound row groups and memory. The zero value is good.
type Options struct {
	GroupRows  int   // see parquet.BesideOptions
	GroupBytes int64 //
}

// Sink writes the entity rows of a layer. It comes after the sink that decides the segments.
// A batch that was read from a data store has its annotations in Batch.Kept, any other in
// pipeline.Notes.
type Sink struct{ *parquet.Beside }

var (
	_ pipeline.Sink     = Sink{}
	_ pipeline.Preparer = Sink{}
)

var slot = pipeline.NewSlot[[]parquet.BesidePiece]()

// New makes a sink for the segments of b. number is that of the manifest to come.
func New(b *snapshot.Builder, number int64, o Options) Sink {
	return Sink{parquet.NewBeside(b, parquet.BesideOptions{
		Kind: snapshot.Entities, Number: number, Layout: layout, Pieces: slot.Of,
		GroupRows: o.GroupRows, GroupBytes: o.GroupBytes,
	})}
}

// Prepare makes the rows on the workers.
func (Sink) Prepare() pipeline.Stage { return stage{} }

type stage struct{}

func (stage) Name() string                        { return string(snapshot.Entities) }
func (stage) NewWorker() (pipeline.Worker, error) { return &worker{}, nil }

// worker has a builder for each resource type that it met.
type worker struct{ tables []*table }

func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	pieces := slot.Of(b)
	*pieces = (*pieces)[:0]
	if b.Stored {
		for i := range b.Kept {
			if k := &b.Kept[i]; k.Kind == snapshot.NLP {
				if err := w.add(b, k.Record, k.Data); err != nil {
					return err
				}
			}
		}
	} else {
		notes := pipeline.Notes.Of(b)
		for _, n := range notes.Of {
			if err := w.add(b, n.Record, notes.Data[n.Start:n.End]); err != nil {
				return err
			}
		}
	}
	for _, t := range w.tables {
		if t.Rows() > 0 {
			*pieces = append(*pieces, parquet.BesidePiece{Type: t.typ, Piece: t.Seal()})
		}
	}
	return nil
}

// add makes the rows of a record.
func (w *worker) add(b *pipeline.Batch, i int, data []byte) error {
	r := &b.Records[i]
	if r.Status != pipeline.Pending {
		return nil
	}
	b.At = i
	return w.table(r.Type).add(b, i, data)
}

func (w *worker) table(typ r4.TypeID) *table {
	for _, t := range w.tables {
		if t.typ == typ {
			return t
		}
	}
	t := newTable(typ)
	w.tables = append(w.tables, t)
	return t
}
