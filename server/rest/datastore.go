package rest

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Store is what the interface needs of a data store. It is safe for concurrent use.
type Store interface {
	Read(t r4.TypeID, id string, dst []byte) (lake.Resource, error)
	ReadVersion(t r4.TypeID, id string, number uint32, dst []byte) (lake.Resource, error)
	History(q lake.HistoryQuery, f func(*lake.Resource) error) (next lake.Token, total int64, err error)
	Commit(ctx context.Context, writes []lake.Write) ([]lake.Outcome, error)
}

var _ Store = (*lake.Lake)(nil)

// An Eraser is a Store that can remove a resource with its history, so that nothing of
// it is left on disk when Erase returns, but for files that a reader or an open search index
// still holds. The error is [lake.ErrNotFound] when it never
// had the resource.
type Eraser interface {
	Erase(ctx context.Context, t r4.TypeID, id string) error
	// Purge erases a patient and all resources of the compartment.
	Purge(ctx context.Context, patient string) error
}

// A Reindexer is a Store that can index what is stored by search parameters that are new.
// Reads, writes and searches go on meanwhile.
type Reindexer interface {
	Reindex(ctx context.Context) (segments int, resources int64, err error)
}

// Parameters gives the search parameters of a data store, after all commits before the call.
type Parameters interface {
	Now(ctx context.Context) (*parameters.Offered, error)
}

var _ Parameters = (*parameters.Registry)(nil)

// DataStoreOptions are what a data store is served with.
type DataStoreOptions struct {
	Store    Store
	Secret   []byte            // key of its hashes, 32 bytes: that of the store
	Profiles validate.Profiles // nil: none is known
	Search   Searcher          // nil: what needs it is answered with 501
	// Parameters are those that a search may have; nil: those of R4.
	Parameters Parameters
	Notes      *notes.Options // how clinical notes are read; nil: they are not
	// Derive tells whether resources are derived from documents whose notes are read; nil: they are not.
	Derive func() (bool, error)
	Always []string // canonical URLs of profiles that every resource must keep to
}

// DataStore is a data store as the interface serves it: the store, and the stages of a
// write, which are made once and used again. It is safe for concurrent use. Who adds
// profiles makes a new one.
type DataStore struct {
	store  Store
	eraser Eraser // nil when the store is none

	options DataStoreOptions
	writes  [validate.Minimal + 1]sync.Pool // of *work, by level
	checks  sync.Pool                       // of *work for $validate
}

// NewDataStore makes a data store. The error is one of the options.
func NewDataStore(o DataStoreOptions) (*DataStore, error) {
	d := &DataStore{store: o.Store, options: o}
	d.eraser, _ = o.Store.(Eraser)
	for level := range d.writes {
		w, err := d.newWork(validate.Level(level)) // so that the options are known to be sound
		if err != nil {
			return nil, err
		}
		d.writes[level].Put(w)
	}
	return d, nil
}

// work is a batch of the resources of one write or one transaction, with the stages
// that run on it.
type work struct {
	ds    *DataStore
	pool  *sync.Pool // nil: it is not used again
	chain *pipeline.Chain
	batch pipeline.Batch
	walk  pipeline.IssueWalk
}

func (d *DataStore) newWork(level validate.Level) (*work, error) {
	o := validate.Options{Level: level, Always: d.options.Always}
	if level != validate.StructureOnly {
		o.Profiles = d.options.Profiles
	}
	validator, err := validate.New(o)
	if err != nil {
		return nil, err
	}
	identifier, err := identify.New(d.options.Secret, nil, time.Time{}) // the commit gives the time
	if err != nil {
		return nil, err
	}
	stages := []pipeline.Stage{parse.New(), validator, identifier}
	if d.options.Notes != nil {
		stages = append(stages, notes.New(*d.options.Notes))
	}
	if d.options.Notes != nil && d.options.Derive != nil {
		deriver, err := d.deriver(identifier)
		if err != nil {
			return nil, err
		}
		stages = append(stages, deriver)
	}
	w := &work{ds: d, pool: &d.writes[level]}
	w.chain, err = pipeline.NewChain(stages...)
	return w, err
}

// begin gives an empty batch for writes at a level.
func (d *DataStore) begin(level validate.Level) (*work, error) {
	w, _ := d.writes[level].Get().(*work)
	if w == nil {
		var err error
		if w, err = d.newWork(level); err != nil {
			return nil, err
		}
	}
	w.batch.Reset()
	w.batch.Lenient = level == validate.Minimal
	return w, nil
}

// newCheck gives an empty batch for $validate, which needs no id.
func (d *DataStore) newCheck(profiles []string) (*work, error) {
	var pool *sync.Pool
	if len(profiles) == 0 {
		pool = &d.checks
		if w, _ := pool.Get().(*work); w != nil {
			w.batch.Reset()
			return w, nil
		}
	}
	validator, err := validate.New(validate.Options{
		Profiles: d.options.Profiles, Always: append(profiles, d.options.Always...), Notes: true,
	})
	if err != nil {
		return nil, outcome.Faultf(outcome.Malformed, "%v", err)
	}
	w := &work{ds: d, pool: pool}
	w.chain, err = pipeline.NewChain(parse.New(), validator)
	w.batch.Reset()
	return w, err
}

// keepWork is the largest text that a batch keeps its memory for.
const keepWork = 1 << 20

// end gives the batch back: what aliases it is no longer valid.
func (w *work) end() {
	if w.pool != nil && cap(w.batch.Data) <= keepWork {
		w.pool.Put(w)
	}
}

// add adds a record whose text write appends.
func (w *work) add(write func(dst []byte) []byte) {
	b := &w.batch
	start := len(b.Data)
	b.Data = append(write(b.Data), '\n')
	b.Records = append(b.Records, pipeline.Record{
		Line: int64(len(b.Records)) + 1, Offset: int64(start), Entry: -1,
		Start: uint32(start), End: uint32(len(b.Data) - 1), Root: fhir.NoNode,
	})
}

// run runs the stages.
func (w *work) run(ctx context.Context) error {
	w.batch.Pad()
	w.batch.Input = int64(len(w.batch.Data))
	if err := w.chain.Process(ctx, &w.batch); err != nil {
		return err
	}
	w.walk.Start(&w.batch)
	return nil
}

// check gives the fault of record i, nil when it can be stored, and its issues, which
// are valid until the next call. Records are asked for in rising order.
func (w *work) check(ctx context.Context, i int, typ r4.TypeID, id string) (issues []fhir.Issue, err error) {
	r := &w.batch.Records[i]
	issues = w.walk.Of(i)
	switch {
	case r.Type != 0 && r.Type != typ:
		return nil, outcome.Faultf(outcome.Malformed, "the resource is of type %s, but the URL says %s", r.Type, typ).At(r.Type.String())
	case r.Type != 0 && r.ID == nil:
		return nil, outcome.Faultf(outcome.Malformed, "the resource has no id; expected that of the URL").At(r.Type.String() + ".id")
	case r.Type != 0 && string(r.ID) != id:
		return nil, outcome.Faultf(outcome.Malformed, "the id of the resource is not that of the URL").At(r.Type.String() + ".id")
	case r.Status == pipeline.Rejected:
		return nil, outcome.Rejected(append([]fhir.Issue(nil), issues...))
	case typ == r4.TypeSearchParameter && !w.batch.Lenient:
		return issues, w.ds.checkParameter(ctx, &w.batch.Tree, r.Root, id)
	}
	return issues, nil
}

// write makes the write of record i, whose check found issues.
func (w *work) write(i int, issues []fhir.Issue) lake.Write {
	r := &w.batch.Records[i]
	out := lake.Write{Type: r.Type, ID: string(r.ID), Key: r.Key, Content: r.Content}
	if r.Flawed { // and yet here: the batch is lenient
		out.Beside = append(out.Beside, beside.Value{Kind: beside.Issues, Data: outcome.AppendIssues(nil, issues)})
	}
	if notes := pipeline.Notes.Of(&w.batch).Result(i); notes != nil {
		out.Beside = append(out.Beside, beside.Value{Kind: beside.NLP, Data: bytes.Clone(notes)})
	}
	if r.Type == r4.TypeDocumentReference {
		out.Follow = w.follow(i)
	}
	out.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return w.stamp(dst, i, number, updated)
	}
	return out
}

// stamp appends the text of record i as it is stored.
func (w *work) stamp(dst []byte, i int, number uint32, updated string) []byte {
	return fhir.AppendStamped(dst, &w.batch.Tree, w.batch.Records[i].Root, number, updated)
}
