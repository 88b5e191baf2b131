// Package shred turns the element trees of a batch into columns: one
// [columnar.Piece] for each resource type, left in Batch.Columns. Only pending
// records are shredded, so it runs after every stage that rejects. How levels
// are kept without visiting what is absent is told in package columnar; how
// files are made of pieces is sinks/parquet.
//
// Invariants, cited by number elsewhere:
//
//  1. A piece depends on the batch and the stage alone, not on what a worker
//     did before.
//  2. Row i of a type's piece is the type's i-th pending record of the batch.
//
// Read [Stage] first.
package shred

import (
	"context"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Stage is the shredding step.
type Stage struct{}

var _ pipeline.Stage = (*Stage)(nil)

// New makes a stage that gives every resource Version and Updated of its record.
func New() *Stage { return &Stage{} }

// Name is "shred".
func (s *Stage) Name() string { return "shred" }

// NewWorker makes a worker with buffers of its own.
func (s *Stage) NewWorker() (pipeline.Worker, error) {
	return &worker{builders: make([]*builder, r4.NumTypes())}, nil
}

const (
	maxBatch = 1<<31 - 1 // spans are that long
	maxSide  = 8 << 20   // what a worker keeps for the next batch
)

type worker struct {
	instants fhir.Instants
	builders []*builder // by resource type
	used     []*builder // in this batch, in the order of first records
	side     []byte     // text of values that are not spans of the batch
}

func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	if len(b.Data) > maxBatch {
		return fmt.Errorf("shred: a batch of %d bytes is larger than %d", len(b.Data), maxBatch)
	}
	w.used, w.side = w.used[:0], w.side[:0]
	if cap(w.side) > maxSide {
		w.side = nil
	}
	for i := range b.Records {
		b.At = i
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			continue
		}
		if !r.Type.IsResourceType() || r.Root == fhir.NoNode {
			return &fhir.RecordError{Pos: b.Pos(r), Stage: "shred", Err: fmt.Errorf("a pending record has no resource")}
		}
		w.builder(r.Type, &b.Tree).record(r)
	}
	for _, u := range w.used {
		b.Columns = append(b.Columns, u.seal())
	}
	return nil
}

// builder gives the builder of a type, begun for this batch.
func (w *worker) builder(t r4.TypeID, tree *fhir.Tree) *builder {
	u := w.builders[t]
	if u == nil {
		u = newBuilder(w, columnar.LayoutOf(t))
		w.builders[t] = u
	}
	if u.rows == 0 {
		u.start(tree)
		w.used = append(w.used, u)
	}
	return u
}
