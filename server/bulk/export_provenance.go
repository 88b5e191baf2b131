package bulk

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	lakesource "github.com/fhirlake/fhirlake/sources/lake"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/blob"
)

// Associated says which Provenance resources go with what is exported (Bulk Data Access 2.0,
// "includeAssociatedData"). Others are then not exported.
type Associated uint8

// The values of Associated.
const (
	AsTheyAre          Associated = iota // Provenance is a type like others
	LatestProvenance                     // of each resource the one that was recorded last
	RelevantProvenance                   // all of which a target is exported
)

// # What goes with an export
//
// Which Provenance resources are wanted is known when all else was exported: of each resource a
// hash of its name is kept (8 bytes, and 16 more for the latest ones). Then the Provenance
// resources of the same state are read, once more when the latest are to be found first. The files of all become
// visible with the last run.

// associated exports all but Provenance, and then what goes with it.
func (e *export) associated(ctx context.Context) error {
	names := &exportedNames{latest: e.Associated == LatestProvenance}
	main := *e
	wanted := e.from.Types
	main.from.Types = func(t r4.TypeID) bool { return t != r4.TypeProvenance && (wanted == nil || wanted(t)) }
	options := *e.ExportOptions
	main.ExportOptions, options.Output = &options, unpublished{e.Output}
	if err := main.write(ctx, names); err != nil {
		return err
	}
	names.settle()

	rest := *e
	plain := *e.ExportOptions
	plain.OfPatients, plain.Patients, plain.Select, plain.Since, plain.Until = false, nil, nil, time.Time{}, time.Time{}
	plain.Stages = []pipeline.Stage{goesWith{names}}
	rest.ExportOptions = &plain
	rest.from.Rows, rest.from.Changed, rest.from.Since, rest.from.Until = nil, nil, 0, 0
	rest.from.Types = func(t r4.TypeID) bool { return t == r4.TypeProvenance }
	if names.latest {
		if err := rest.findLatest(ctx, names); err != nil {
			return err
		}
	}
	figures := e.res.Figures
	err := rest.write(ctx, nil)
	e.res.Figures, e.res.Bytes = figures, e.res.Bytes+figures.Bytes
	return err
}

// findLatest reads all Provenance resources to find the one of each resource that counts.
func (e *export) findLatest(ctx context.Context, names *exportedNames) error {
	from := e.from
	from.Records, from.Packed = true, false
	src, err := lakesource.NewCurrent(from)
	if err != nil {
		return err
	}
	_, err = pipeline.Run(ctx, pipeline.Config{
		Source: src, Stages: []pipeline.Stage{src.Load(), parse.New(), recorded{names}},
		Workers: e.Workers, Memory: e.Memory, Lenient: true,
	})
	return errors.Join(err, src.Release())
}

// unpublished is an output of which more is to come.
type unpublished struct{ blob.Output }

func (unpublished) Publish() error { return nil }
func (unpublished) Discard() error { return nil }

// exportedNames is the names of what was exported, as hashes.
type exportedNames struct {
	latest bool
	mu     sync.Mutex
	names  []uint64 // sorted after settle
	last   []record // of each name, when latest
}

// record is a Provenance resource as far as it decides which one is the latest.
type record struct {
	at int64  // when it was recorded, in microseconds
	id uint64 // hash of its id; 0 for none
}

var nameSeed = maphash.MakeSeed() // the names are compared within one process only

func nameOf(t r4.TypeID, id []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(nameSeed)
	h.WriteString(t.String())
	h.WriteByte('/')
	h.Write(id)
	return max(h.Sum64(), 1)
}

func (x *exportedNames) settle() {
	slices.Sort(x.names)
	if x.latest {
		x.last = make([]record, len(x.names))
	}
}

// Name is "exported".
func (*exportedNames) Name() string { return "exported" }

// NewWorker makes a worker of the stage that takes the names.
func (x *exportedNames) NewWorker() (pipeline.Worker, error) { return &namesWorker{all: x}, nil }

type namesWorker struct {
	all   *exportedNames
	names []uint64
}

// Process takes the names of the records, which the parser comes before.
func (w *namesWorker) Process(_ context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		w.names = append(w.names, nameOf(b.Records[i].Type, b.Records[i].ID))
	}
	return nil
}

// Close hands the names over.
func (w *namesWorker) Close() error {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	w.all.names = append(w.all.names, w.names...)
	w.names = nil
	return nil
}

var (
	provenanceTarget   = r4.TypeProvenance.ElementByName("target")
	provenanceRecorded = r4.TypeProvenance.ElementByName("recorded")
	referenceText      = r4.TypeReference.ElementByName("reference")
)

// targets calls f with the place in names of each target of a Provenance resource that was
// exported.
func (x *exportedNames) targets(t *fhir.Tree, root fhir.NodeID, f func(place int)) {
	list := t.Child(root, provenanceTarget)
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return
	}
	for n := t.FirstChild(list); n != fhir.NoNode; n = t.NextSibling(list, n) {
		ref := t.Child(n, referenceText)
		if ref == fhir.NoNode || t.Nodes[ref].Kind != fhir.KindString {
			continue
		}
		p := search.ReferenceOf(t.String(ref, nil))
		if p.Type == 0 || p.ID == nil || p.URL != nil { // nothing of this data store
			continue
		}
		if place, ok := slices.BinarySearch(x.names, nameOf(p.Type, p.ID)); ok {
			f(place)
		}
	}
}

// recordOf is what decides of a Provenance resource. Of two of the same time one is the
// latest, whichever is read first.
func recordOf(b *pipeline.Batch, r *pipeline.Record) record {
	out := record{id: nameOf(r.Type, r.ID)}
	if n := b.Tree.Child(r.Root, provenanceRecorded); n != fhir.NoNode && b.Tree.Nodes[n].Kind == fhir.KindString {
		if t, err := time.Parse(time.RFC3339Nano, string(b.Tree.Raw(n))); err == nil { // a lenient store has others
			out.at = t.UnixMicro()
		}
	}
	return out
}

func (r record) compare(o record) int {
	return cmp.Or(cmp.Compare(r.at, o.at), cmp.Compare(r.id, o.id))
}

// recorded is the stage that finds the latest Provenance resource of each name.
type recorded struct{ all *exportedNames }

// Name is "recorded".
func (recorded) Name() string { return "recorded" }

// NewWorker gives the stage: it has no state of its own.
func (s recorded) NewWorker() (pipeline.Worker, error) { return s, nil }

// Process notes the records of a batch, and leaves none for sinks.
func (s recorded) Process(_ context.Context, b *pipeline.Batch) error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	for i := range b.Records {
		r := &b.Records[i]
		if r.Root == fhir.NoNode {
			continue
		}
		now := recordOf(b, r)
		s.all.targets(&b.Tree, r.Root, func(place int) {
			if last := &s.all.last[place]; last.id == 0 || now.compare(*last) > 0 {
				*last = now
			}
		})
	}
	return nil
}

// goesWith is the stage that leaves the Provenance resources that go with what was exported.
type goesWith struct{ all *exportedNames }

// Name is "associated".
func (goesWith) Name() string { return "associated" }

// NewWorker gives the stage: it has no state of its own.
func (s goesWith) NewWorker() (pipeline.Worker, error) { return s, nil }

// Process leaves those that are wanted.
func (s goesWith) Process(_ context.Context, b *pipeline.Batch) error {
	keep := make([]bool, len(b.Records))
	for i := range b.Records {
		r := &b.Records[i]
		if r.Root == fhir.NoNode {
			b.At = i
			return errors.New("a stored resource cannot be read again")
		}
		now := recordOf(b, r)
		s.all.targets(&b.Tree, r.Root, func(place int) {
			keep[i] = keep[i] || !s.all.latest || s.all.last[place] == now
		})
	}
	leave(b, keep)
	return nil
}
