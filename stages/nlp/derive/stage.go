package derive

import (
	"context"
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Options says when something is derived, and what becomes of it.
type Options struct {
	// On tells whether to derive. It is asked for each batch that has documents, so that a data
	// store may be told otherwise while it is served; nil: always.
	On func() (bool, error)
	// Stages are those that a derived resource goes through, as a received one went before
	// this stage: parse, validate by the base rules, identify.
	Stages []pipeline.Stage
	// NamesOnly says that the results name what is derived and that nothing is appended: it is
	// known to be stored.
	NamesOnly bool

	// Before gives what was derived from a version of a document, as references; nil: nobody
	// wants to know what is derived no longer. Stale is told of it. Both are called by many goroutines.
	Before func(id []byte, version uint32) ([]string, error)
	Stale  func(id []byte, references []string)
}

// Stage appends to a batch what is derived from its documents, as records that are
// [pipeline.Record.Derived], and names them in the documents' results. It comes after the stages that
// read notes and identify, and before all that take what is to be stored. A document with
// errors, as a lenient batch may have, gives nothing: what is taken over from it could be wrong.
type Stage struct{ o Options }

var _ pipeline.Stage = (*Stage)(nil)

// New makes the stage.
func New(o Options) *Stage { return &Stage{o} }

// Name is "derive".
func (s *Stage) Name() string { return "derive" }

// NewWorker makes a worker.
func (s *Stage) NewWorker() (pipeline.Worker, error) { return &worker{o: &s.o}, nil }

// worker derives into a batch of its own, runs the stages on it, and moves it to the other's end.
type worker struct {
	o       *Options
	chain   *pipeline.Chain // made for the first document
	own     pipeline.Batch
	from    []uint32 // by record of own: the index of its document
	reader  entity.Reader
	deriver Deriver
	refs    []string // what is derived of the document at hand
}

// keepBuffer is the largest text that a worker keeps memory for.
const keepBuffer = 4 << 20

// Close closes the workers of the stages.
func (w *worker) Close() error {
	if w.chain == nil {
		return nil
	}
	return w.chain.Close()
}

// Process derives of the documents that are pending.
func (w *worker) Process(ctx context.Context, b *pipeline.Batch) error {
	if b.Stored {
		return nil
	}
	w.own.Reset()
	w.from = w.from[:0]
	on, asked := false, false
	results := pipeline.Notes.Of(b)
	rest := results.Of
	for i := range b.Records {
		r := &b.Records[i]
		if r.Type != r4.TypeDocumentReference || r.Status != pipeline.Pending {
			continue
		}
		if !asked {
			var err error
			if on, err = w.on(); err != nil {
				return err
			}
			asked = true
		}
		b.At = i
		w.refs = w.refs[:0]
		for len(rest) > 0 && rest[0].Record < i {
			rest = rest[1:]
		}
		if on && len(rest) > 0 && rest[0].Record == i && !r.Flawed {
			if err := w.document(b, r, results, &rest[0]); err != nil {
				return err
			}
		}
		if err := w.before(r); err != nil {
			return err
		}
	}
	if b.At = -1; len(w.own.Records) == 0 {
		return nil
	}
	if err := w.run(ctx); err != nil {
		return err
	}
	w.move(b)
	if cap(w.own.Data) > keepBuffer {
		w.own = pipeline.Batch{}
	}
	return nil
}

func (w *worker) on() (bool, error) {
	if w.o.On == nil {
		return true, nil
	}
	return w.o.On()
}

// before tells what was derived from the version that a document replaces, and is not now.
func (w *worker) before(r *pipeline.Record) error {
	if w.o.Before == nil || r.Version <= 1 {
		return nil
	}
	refs, err := w.o.Before(r.ID, r.Version-1)
	if err != nil {
		return err
	}
	refs = slices.DeleteFunc(refs, func(ref string) bool { return slices.Contains(w.refs, ref) })
	if len(refs) > 0 {
		w.o.Stale(r.ID, refs)
	}
	return nil
}

// document derives of one document, and names in its result what came out.
func (w *worker) document(b *pipeline.Batch, r *pipeline.Record, notes *pipeline.NoteResults, at *pipeline.NoteResult) error {
	data := notes.Data[at.Start:at.End]
	result, err := w.reader.Read(data)
	if err != nil {
		return err
	}
	resources := w.deriver.Derive(&b.Tree, r.Root, r.ID, result)
	if len(resources) == 0 {
		return nil
	}
	for i := range resources {
		x := &resources[i]
		if w.refs = append(w.refs, x.Type.String()+"/"+x.ID); w.o.NamesOnly {
			continue
		}
		start := len(w.own.Data)
		w.own.Data = append(append(w.own.Data, x.JSON...), '\n')
		w.own.Records = append(w.own.Records, pipeline.Record{
			File: r.File, Line: r.Line, Offset: r.Offset, Entry: r.Entry, Document: r.Document,
			Start: uint32(start), End: uint32(start + len(x.JSON)), Root: fhir.NoNode, Derived: true,
		})
		w.from = append(w.from, uint32(b.At))
	}
	start := len(notes.Data)
	notes.Data = entity.AppendDerived(notes.Data, data, w.refs[0], w.refs[1:])
	at.Start, at.End = uint32(start), uint32(len(notes.Data))
	return nil
}

// run runs the stages on what was derived. A fault is a bug (invariant 2).
func (w *worker) run(ctx context.Context) error {
	if w.chain == nil {
		c, err := pipeline.NewChain(w.o.Stages...)
		if err != nil {
			return err
		}
		w.chain = c
	}
	w.own.Pad()
	if err := w.chain.Process(ctx, &w.own); err != nil {
		return err
	}
	for i := range w.own.Issues {
		is := &w.own.Issues[i]
		if r := &w.own.Records[is.Record]; is.Severity <= fhir.Error {
			return &fhir.RecordError{
				Pos: w.own.Pos(r), Stage: "derive",
				Err: fmt.Errorf("a %s that was derived has a fault, which is a bug: %s: %s", r.Type, is.Expression, is.Diagnostics),
			}
		}
	}
	return nil
}

var idElements = map[r4.TypeID]r4.ElementID{
	r4.TypeLinkage:             r4.TypeLinkage.ElementByName("id"),
	r4.TypeCondition:           r4.TypeCondition.ElementByName("id"),
	r4.TypeObservation:         r4.TypeObservation.ElementByName("id"),
	r4.TypeMedicationStatement: r4.TypeMedicationStatement.ElementByName("id"),
}

// move appends what was derived to the batch that it was derived from.
func (w *worker) move(b *pipeline.Batch) {
	text, node := uint32(len(b.Data)), uint32(len(b.Tree.Nodes))
	b.Data = append(b.Data, w.own.Data...)
	b.Pad()
	b.Tree.Data = b.Data
	for _, n := range w.own.Tree.Nodes {
		n.Start, n.End, n.Next = n.Start+text, n.End+text, n.Next+node
		b.Tree.Nodes = append(b.Tree.Nodes, n)
	}
	for i := range w.own.Records {
		r := w.own.Records[i]
		r.From = w.from[i]
		r.Start, r.End, r.Root = r.Start+text, r.End+text, r.Root+fhir.NodeID(node)
		r.ID = b.Tree.Raw(b.Tree.Child(r.Root, idElements[r.Type]))
		b.Records = append(b.Records, r)
	}
}
