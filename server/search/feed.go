package search

import (
	"context"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
)

// feeder makes rows of what was written. It is guarded by Index.feeding.
type feeder struct {
	chain *pipeline.Chain
	table *search.Table // that chain extracts the values of
	hash  *postings.Hasher
	batch pipeline.Batch
	rows  postings.Rows

	reader entity.Reader
	found  searchdb.EntityRows // of the batch
}

// feedBytes is how much text goes into the index at once, feedChanges how many changes, and
// feedEntities how many rows of what NLP found in them.
const (
	feedBytes    = 4 << 20
	feedChanges  = 16 << 10
	feedEntities = 16 << 10
)

// take brings what was committed after seq into the last chunk, in steps. A step that is
// begun is ended, whatever becomes of the context.
func (f *feeder) take(ctx context.Context, s *state, view *lake.View, seq uint64) error {
	var pending []lake.Change
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		if err := f.flush(context.WithoutCancel(ctx), s, pending); err != nil {
			return &brokenError{err}
		}
		s.seq = pending[len(pending)-1].Seq
		pending = pending[:0]
		return ctx.Err()
	}
	f.batch.Reset()
	f.found.Reset()
	defer f.batch.Reset()
	err := view.ChangesAfter(seq, func(c *lake.Change) error {
		keep := *c
		keep.JSON, keep.Beside = nil, nil
		pending = append(pending, keep)
		if c.Method != delta.Delete {
			f.add(c.JSON)
			if err := f.addEntities(ofChange(s.next+uint32(len(pending))-1), c); err != nil {
				return err
			}
		}
		if len(f.batch.Data) < feedBytes && len(pending) < feedChanges && f.found.Len() < feedEntities {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// brokenError says that a step was not ended.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

func (f *feeder) add(text []byte) {
	b := &f.batch
	start := len(b.Data)
	b.Data = append(append(b.Data, text...), '\n')
	b.Records = append(b.Records, pipeline.Record{
		Line: int64(len(b.Records)) + 1, Offset: int64(start), Entry: -1,
		Start: uint32(start), End: uint32(len(b.Data) - 1), Root: fhir.NoNode,
	})
}

// flush makes rows of the batch, whose texts are those of changes, and tells the state.
func (f *feeder) flush(ctx context.Context, s *state, changes []lake.Change) error {
	defer f.batch.Reset()
	defer f.found.Reset()
	f.rows.Reset()
	if f.table != s.offered.Table {
		chain, err := pipeline.NewChain(parse.New(), index.New(s.offered.Table))
		if err != nil {
			return err
		}
		f.chain, f.table = chain, s.offered.Table
	}
	if len(f.batch.Records) > 0 {
		f.batch.Lenient = true // what is stored was accepted
		f.batch.Pad()
		f.batch.Input = int64(len(f.batch.Data))
		if err := f.chain.Process(ctx, &f.batch); err != nil {
			return err
		}
	}
	var at []postings.Address // by record
	for i := range changes {
		if c := &changes[i]; c.Method != delta.Delete {
			at = append(at, ofChange(s.next+uint32(i)))
			f.rows.AddResource(postings.Resource{
				Type: c.Type, Version: c.Number, At: at[len(at)-1], Key: c.Key[0], Updated: c.Updated, ID: c.ID,
			})
		}
	}
	if len(at) > 0 { // else the values are those of the batch before
		f.rows.Add(f.hash, pipeline.SearchValues.Of(&f.batch), func(i int32) (postings.Address, bool) { return at[i], true })
	}
	if err := s.last.rows.AddEntities(ctx, &f.found); err != nil {
		return err
	}
	if err := s.last.rows.Add(ctx, &f.rows); err != nil {
		return err
	}
	return s.db.AddDead(ctx, s.note(changes, f.found.Len()))
}
