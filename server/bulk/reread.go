package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/annotations"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	lakesource "github.com/fhirlake/fhirlake/sources/lake"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// RereadOptions says whose notes to read again.
type RereadOptions struct {
	// Lake is the data store, which others may read and write meanwhile. Nobody else
	// publishes in it.
	Lake  *lake.Lake
	Notes *notes.Options
	// Whole is all segments that may have notes; else those with notes that were not read, or
	// by another engine or dictionary, or whose Binary was not there.
	Whole bool
	// Waiting is those alone of which a text waits for its Binary.
	Waiting bool

	Workers int              // 0: GOMAXPROCS
	Memory  int64            // bytes for what is in flight; 0: the pipeline's default
	Now     func() time.Time // nil: time.Now
	Monitor *pipeline.Monitor
}

// RereadResult is what reading came to.
type RereadResult struct {
	Snapshot  int64 `json:"snapshot"`  // number of the manifest that is current now
	Segments  int   `json:"segments"`  // whose notes were read
	Resources int64 `json:"resources"` // in them, old versions included
	Read      int64 `json:"read"`      // of these, that have notes

	Seconds float64 `json:"seconds"` // what its caller sees
}

// Reread reads the notes of what the snapshot has. What was found takes the place of what was
// found before at once; after an error the old state stays. Resources, their versions and the
// search index do not change; reads and writes go on meanwhile.
func Reread(ctx context.Context, o RereadOptions) (*RereadResult, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	f, err := o.Lake.BeginFold()
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	// What a killed run left has the names that this one's files get.
	if _, err := o.Lake.Snapshot().Sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("read notes: %w", err), f.Close())
	}
	res, err := o.run(ctx, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	_, err = o.Lake.Snapshot().Prune()
	return res, err
}

func (o *RereadOptions) run(ctx context.Context, f *lake.Fold) (*RereadResult, error) {
	base := f.Base()
	res := &RereadResult{Snapshot: base.Number}
	now, err := o.Notes.Reading()
	if err != nil || now.Provider == nil {
		return res, err
	}
	made := map[uint32][]snapshot.Annotation{}
	for i := range base.Segments {
		seg := &base.Segments[i]
		if seg.ResourceType != r4.TypeDocumentReference.String() && (seg.ResourceType != r4.TypeDiagnosticReport.String() || !now.Reports) {
			continue
		}
		stale, err := o.stale(seg, now.Provider)
		if err != nil {
			return nil, err
		}
		if !stale {
			continue
		}
		if made[seg.Ordinal], err = o.segment(ctx, base.Number+1, seg); err != nil {
			return nil, err
		}
		res.Segments++
		res.Resources += seg.Rows
		for _, a := range made[seg.Ordinal] {
			if a.Kind == snapshot.NLP {
				res.Read += a.Rows
			}
		}
	}
	if len(made) == 0 {
		return res, nil
	}
	return res, f.Publish(ctx, func() error {
		m, err := o.Lake.Snapshot().Publish(nil, snapshot.PublishOptions{
			Now: o.Now(), Base: base.Number, KeepVersions: true,
			Annotate: made, Annotated: noteKinds,
		})
		if err == nil {
			res.Snapshot = m.Number
		}
		return err
	})
}

// stale tells whether notes of a segment are to be read: there is a row of which nothing is
// known, or something that would be another one now.
func (o *RereadOptions) stale(seg *snapshot.Segment, p notes.Provider) (bool, error) {
	a := seg.Annotation(snapshot.NLP)
	switch {
	case o.Waiting && a == nil:
		return false, nil
	case !o.Waiting && (o.Whole || a == nil || a.Rows < seg.Rows):
		return true, nil
	}
	engine, dictionary := p.Version()
	x, err := snapshot.OpenAnnotations(o.Lake.Snapshot().Dir(), a.File.Path)
	if err != nil {
		return false, err
	}
	defer x.Close()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return false, err
	}
	defer d.Close()
	var r entity.Reader
	err = d.EachAnnotation(x, func(_ uint32, _, data []byte) error {
		found, err := r.Read(data)
		if err != nil {
			return err
		}
		old := string(found.Engine) != engine || string(found.Dictionary) != dictionary || slices.ContainsFunc(found.Texts, failed)
		if !o.Waiting && old || slices.ContainsFunc(found.Texts, waits) {
			return errStale
		}
		return nil
	})
	if errors.Is(err, errStale) {
		return true, nil
	}
	return false, err
}

var errStale = errors.New("stale")

// waits tells whether a text was not there, and may be now.
func waits(t entity.Text) bool { return string(t.Message) == notes.Absent }

// failed tells whether a text, or its provider, may be better now.
func failed(t entity.Text) bool { return t.Status == entity.ValidationError }

// segment reads the notes of all rows of a segment and gives its new annotations.
func (o *RereadOptions) segment(ctx context.Context, number int64, seg *snapshot.Segment) ([]snapshot.Annotation, error) {
	store := o.Lake.Snapshot()
	all := roaring.New()
	all.AddRange(0, uint64(seg.Rows))
	src, err := lakesource.New(lakesource.Options{
		Dir: store.Dir(), Rows: []compact.Rows{{Segment: seg, Alive: all, Deleted: roaring.New()}}, Key: o.Lake.Key,
	})
	if err != nil {
		return nil, err
	}
	b := snapshot.Amend(store.Dir(), seg)
	figures, err := pipeline.Run(ctx, pipeline.Config{
		Source:  src,
		Stages:  []pipeline.Stage{parse.New(), stay{}, afresh{}, notes.New(*o.Notes), named{}},
		Sinks:   noteSinks(b, number),
		Lenient: true, // what is stored was accepted
		Workers: o.Workers,
		Memory:  o.Memory,
		Monitor: o.Monitor,
	})
	if err != nil {
		return nil, err
	}
	if n := figures.Rejected; n > 0 {
		return nil, fmt.Errorf("%d stored resources cannot be read again; `fhirlake fsck` tells more", n)
	}
	return b.Segments()[0].Annotations, nil
}

// noteKinds are the annotations that are made of notes, and noteSinks what writes them.
var noteKinds = []snapshot.AnnotationKind{snapshot.Entities, snapshot.NLP}

func noteSinks(b *snapshot.Builder, number int64) []pipeline.Sink {
	return append(annotations.Sinks(b, number, annotations.NLP), entities.New(b, number, entities.Options{}))
}

// afresh is the stage of stored records whose notes are read again.
type afresh struct{}

var (
	_ pipeline.Stage  = afresh{}
	_ pipeline.Worker = afresh{}
)

// Name is "afresh".
func (afresh) Name() string { return "afresh" }

// NewWorker gives the stage: it has no state.
func (afresh) NewWorker() (pipeline.Worker, error) { return afresh{}, nil }

// Process makes the batch one of records that come for the first time.
func (afresh) Process(_ context.Context, b *pipeline.Batch) error {
	b.Stored = false
	return nil
}

// named is the stage that lets what was derived from a document stay named: it stays as it is
// until the document is written again.
type named struct{}

var (
	_ pipeline.Stage  = named{}
	_ pipeline.Worker = named{}
)

// Name is "named".
func (named) Name() string { return "named" }

// NewWorker gives the stage: it has no state.
func (named) NewWorker() (pipeline.Worker, error) { return named{}, nil }

// Process takes the references from what was kept beside the records.
func (named) Process(_ context.Context, b *pipeline.Batch) error {
	results := pipeline.Notes.Of(b)
	rest := results.Of
	for i := range b.Kept {
		k := &b.Kept[i]
		if k.Kind != snapshot.NLP || !bytes.Contains(k.Data, []byte(`"derived":`)) {
			continue
		}
		for len(rest) > 0 && rest[0].Record < k.Record {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].Record != k.Record {
			continue
		}
		refs, err := lake.DerivedIn(k.Data)
		if err != nil {
			return err
		}
		if len(refs) == 0 {
			continue
		}
		var names []string
		for _, ref := range refs {
			names = append(names, ref.String())
		}
		r := &rest[0]
		start := len(results.Data)
		results.Data = entity.AppendDerived(results.Data, results.Data[r.Start:r.End], names[0], names[1:])
		r.Start, r.End = uint32(start), uint32(len(results.Data))
	}
	return nil
}
