package bulk

import (
	"context"
	"errors"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/subset"
	"github.com/fhirlake/fhirlake/pipeline"
)

// elements is the stage that leaves some elements of resources, those that are mandatory in
// any case (Bulk Data Access 2.0, "_elements"). Names without a type are for all types; a
// type that no name is for stays whole. It comes after the parser.
type elements struct {
	rules map[r4.TypeID]*subset.Projection // by type; of others all stays
}

var _ pipeline.Stage = (*elements)(nil)

func newElements(names []string) *elements {
	s := &elements{map[r4.TypeID]*subset.Projection{}}
	for _, t := range r4.ResourceTypes() {
		var of []string
		for _, name := range names {
			typ, _, typed := strings.Cut(name, ".")
			if !typed || typ == t.String() {
				of = append(of, name)
			}
		}
		if of != nil {
			s.rules[t] = &subset.Projection{Keep: subset.Elements(t, of)}
		}
	}
	return s
}

// Name is "elements".
func (*elements) Name() string { return "elements" }

// NewWorker makes a worker.
func (s *elements) NewWorker() (pipeline.Worker, error) { return &elementsWorker{s: s}, nil }

type elementsWorker struct {
	s   *elements
	out []byte
}

// Process cuts the texts of a batch that is read from a data store.
func (w *elementsWorker) Process(_ context.Context, b *pipeline.Batch) error {
	w.out = w.out[:0]
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status == pipeline.Rejected {
			b.At = i
			return errors.New("a stored resource cannot be read again")
		}
		start := len(w.out)
		if p := w.s.rules[r.Type]; p != nil {
			w.out = p.Append(w.out, &b.Tree, r.Root)
		} else {
			w.out = append(w.out, b.Line(r)...)
		}
		r.Start, r.End = uint32(start), uint32(len(w.out))
		w.out = append(w.out, '\n')
	}
	b.Data = append(b.Data[:0], w.out...)
	b.Tree.Reset(nil) // its texts have moved
	b.Pad()
	if cap(w.out) > maxElementsBuffer {
		w.out = nil
	}
	return nil
}

// maxElementsBuffer is more than a batch has, unless one resource is huge.
const maxElementsBuffer = 16 << 20
