package search

import (
	"context"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Selection is all that some queries find in one state, for those who read all of it. It is
// immutable.
type Selection struct {
	types   map[string]bool            // that are selected of; of the others all is wanted
	rows    map[uint32]*roaring.Bitmap // by ordinal
	changed map[snapshot.Key]bool
}

// Select answers queries with everything that any of them finds in the state of a view,
// without a limit of time but that of ctx. Types that no query is about are selected whole. The
// error is an *outcome.Fault where a query is at fault.
func (x *Index) Select(ctx context.Context, view *lake.View, queries []*query.Query) (_ *Selection, err error) {
	m, err := x.of(ctx, view)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	s := &Selection{types: map[string]bool{}, rows: map[uint32]*roaring.Bitmap{}, changed: map[snapshot.Key]bool{}}
	for _, q := range queries {
		if err := m.offered.Answers(q); err != nil {
			return nil, err
		}
		for i := range q.Selects {
			s.types[q.Selects[i].Type.String()] = true
		}
		if err := x.selectOne(ctx, s, m, q); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// of makes the moment of a view, with a state of its own: the other states take no commit
// that was overtaken before they took it. The caller closes it.
func (x *Index) of(ctx context.Context, view *lake.View) (*moment, error) {
	set, err := x.set(ctx)
	if err != nil {
		return nil, err
	}
	feed := feeder{}
	if feed.hash, err = postings.NewHasher(x.o.Secret); err != nil {
		return nil, err
	}
	select {
	case x.feeding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	store := x.o.Lake.Snapshot()
	s, err := newState(ctx, x.db, view.Rows(), set, nil, func(f *snapshot.File) string { return store.Path(f) })
	<-x.feeding
	if errors.Is(err, errNotIndexed) {
		return nil, outcome.Faultf(outcome.Unavailable, "the data store is not all indexed for search: run `fhirlake reindex`")
	}
	if err != nil {
		return nil, err
	}
	if err := feed.bring(ctx, s, view); err != nil {
		return nil, errors.Join(fmt.Errorf("index what was written: %w", err), s.close())
	}
	return &moment{s, s.seen.Load()}, nil
}

func (x *Index) selectOne(ctx context.Context, s *Selection, m *moment, q *query.Query) error {
	f, err := x.newFinder(ctx, m, q)
	if err != nil {
		return err
	}
	defer f.aside.drop()
	set, err := f.plan.all()
	if err != nil {
		return err
	}
	if f.words == nil {
		return f.eachSegment(ctx, set, func(segment uint32, rows *roaring.Bitmap) error {
			s.add(m, segment, rows)
			return nil
		})
	}
	return f.eachChunk(ctx, set, func(list []postings.Address) error {
		kept, err := f.keepWords(ctx, list, f.words)
		for _, a := range kept {
			s.add(m, a.Segment(), roaring.BitmapOf(a.Row()))
		}
		return err
	})
}

// add adds rows of a segment, or changes.
func (s *Selection) add(m *moment, segment uint32, rows *roaring.Bitmap) {
	if segment != writtenSegment {
		if have := s.rows[segment]; have != nil {
			have.Or(rows)
		} else {
			s.rows[segment] = rows
		}
		return
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for it := rows.Iterator(); it.HasNext(); {
		if w := m.at(it.Next()); w != nil {
			s.changed[w.key] = true
		}
	}
}

// Rows gives what was found of a segment.
func (s *Selection) Rows(seg *snapshot.Segment) (*roaring.Bitmap, error) {
	if rows := s.rows[seg.Ordinal]; rows != nil {
		return rows, nil
	}
	rows := roaring.New()
	if !s.types[seg.ResourceType] {
		rows.AddRange(0, uint64(seg.Rows))
	}
	return rows, nil
}

// Changed tells whether a change of the delta was found.
func (s *Selection) Changed(c *lake.Change) bool {
	return !s.types[c.Type.String()] || s.changed[c.Key]
}
