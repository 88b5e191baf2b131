package datastores

import (
	"context"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
)

// searcher is the search index of an open lake. It is made by the first search: a data
// store that nobody searches costs no memory for it. It is safe for concurrent use.
type searcher struct {
	options    search.Options
	parameters *parameters.Registry
	tempDir    func() (dir string, remove func(), err error)

	ended context.Context // done when it is closed
	end   context.CancelFunc

	opening sync.Mutex
	using   sync.RWMutex // held for reading by searches, for writing to close
	index   *search.Index
	remove  func() // of the folder for what does not fit memory
}

var _ rest.Searcher = (*searcher)(nil)

func newSearcher(o search.Options, tempDir func() (string, func(), error)) *searcher {
	s := &searcher{options: o, tempDir: tempDir, parameters: parameters.NewRegistry(o.Lake)}
	s.options.Parameters = s.parameters.Now
	s.ended, s.end = context.WithCancel(context.Background())
	return s
}

// Search implements [rest.Searcher]. The error is [lake.ErrClosed] when the data store
// is closed before there is an answer.
func (s *searcher) Search(ctx context.Context, q *query.Query, r search.Request) (p *search.Page, err error) {
	err = s.use(ctx, func(ctx context.Context, x *search.Index) error {
		p, err = x.Search(ctx, q, r)
		return err
	})
	return p, err
}

// Marked implements [rest.Searcher]. The error is as that of Search.
func (s *searcher) Marked(ctx context.Context, typ r4.TypeID) (all []lake.Resource, err error) {
	err = s.use(ctx, func(ctx context.Context, x *search.Index) error {
		all, err = x.Marked(ctx, typ)
		return err
	})
	return all, err
}

// use calls f with the index and a context that ends when it is closed.
func (s *searcher) use(ctx context.Context, f func(context.Context, *search.Index) error) error {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.ended.Err() != nil {
		return lake.ErrClosed
	}
	index, err := s.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	if err = f(ctx, index); err != nil && s.ended.Err() != nil {
		return lake.ErrClosed
	}
	return err
}

// warm opens the index, which takes in what is written before the first search comes.
func (s *searcher) warm(ctx context.Context) error {
	return s.use(ctx, func(context.Context, *search.Index) error { return nil })
}

func (s *searcher) open(ctx context.Context) (_ *search.Index, err error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.index != nil {
		return s.index, nil
	}
	o := s.options
	var remove func()
	if o.TempDir, remove, err = s.tempDir(); err != nil {
		return nil, err
	}
	index, err := search.Open(context.WithoutCancel(ctx), o)
	if err != nil {
		remove()
		return nil, err
	}
	s.index, s.remove = index, remove
	return index, nil
}

// release lets the index hold nothing of older snapshots, see [search.Index.Release].
func (s *searcher) release() {
	s.using.RLock()
	defer s.using.RUnlock()
	s.opening.Lock()
	index := s.index
	s.opening.Unlock()
	if index != nil {
		index.Release()
	}
}

// close ends the searches that are at work, and the index.
func (s *searcher) close() error {
	s.end()
	s.using.Lock()
	defer s.using.Unlock()
	if s.index == nil {
		return nil
	}
	err := s.index.Close()
	s.index = nil
	s.remove()
	return err
}
