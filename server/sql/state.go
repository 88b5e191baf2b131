package sql

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Query is what a user asks.
type Query struct {
	Text   string
	Format duck.Format
	Width  int // of the terminal that a table is for; 0: nothing is cut
	// Memory is in bytes. 0: the queries of a state share the data store's; another
	// amount is for this query alone, in a DuckDB of its own.
	Memory int64
}

// State is a data store at one moment, open for queries. It is safe for concurrent use,
// but for Close, which comes last.
type State struct {
	d       *DataStore
	image   *image
	release func() // the files of the manifest
	ended   func() // nil: nobody needs to know
	once    sync.Once
}

// Snapshot is the state of the published snapshot alone, for a process that cannot see
// the delta, or where there is none.
func Snapshot(s *snapshot.Store, o Options) (*State, error) {
	m, release, err := s.Current()
	if err != nil {
		return nil, err
	}
	d := New(nil, o)
	d.uses = 1
	return &State{
		d: d, image: &image{store: s, manifest: m, users: 1}, release: release,
		ended: func() { d.Close() },
	}, nil
}

// Once is the state of a lake for a process that owns the root only to read the delta: when
// it has the state it can close the lake and let others have the root.
func Once(ctx context.Context, l *lake.Lake, o Options) (*State, error) {
	d := New(l, o)
	st, err := d.State(ctx)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	st.ended = func() { d.Close() }
	return st, nil
}

// Write runs a query and writes its result. It returns the number of rows, -1 for Parquet.
// A [*duck.Error] is the author's fault; what was written before an error is of no use.
func (s *State) Write(ctx context.Context, w io.Writer, q Query) (int64, error) {
	if q.Memory > 0 && q.Memory != s.d.o.Memory {
		return s.writeApart(ctx, w, q)
	}
	db, err := s.image.open(ctx, s.d)
	if err != nil {
		return 0, err
	}
	return db.Write(ctx, w, q.Text, q.Format, q.Width)
}

// writeApart is Write with a DuckDB for this query alone.
func (s *State) writeApart(ctx context.Context, w io.Writer, q Query) (int64, error) {
	db, dir, err := s.d.openDuck(ctx, s.image, q.Memory)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	defer db.Close()
	return db.Write(ctx, w, q.Text, q.Format, q.Width)
}

// Rows runs a query, for those who write its result themselves. The rows are closed before
// the state is.
func (s *State) Rows(ctx context.Context, query string) (*duck.Rows, error) {
	db, err := s.image.open(ctx, s.d)
	if err != nil {
		return nil, err
	}
	return db.Query(ctx, query)
}

// Manifest is the number of the snapshot that the state has, and Seq the last commit of
// the delta, 0 when it has none of it.
func (s *State) Manifest() int64 { return s.image.manifest.Number }

// Seq is explained at [State.Manifest].
func (s *State) Seq() uint64 { return s.image.seq }

// Close lets the state go. Closing twice does nothing.
func (s *State) Close() error {
	s.once.Do(func() {
		s.d.end(s.image)
		s.release()
		if s.ended != nil {
			s.ended()
		}
	})
	return nil
}
