package search

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/server/search/page"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Options says how to open an Index.
type Options struct {
	Lake   *lake.Lake
	Secret []byte // hash key of the data store
	// Parameters gives the search parameters after all commits before the call; nil: those
	// of R4.
	Parameters func(ctx context.Context) (*parameters.Offered, error)
	// Profiles gives the value sets and code systems that users added; nil for those of
	// R4 alone.
	Profiles func() (*profile.Registry, error)

	TempDir string // for what does not fit memory; "" lets such a query fail
	Memory  int64  // bytes of DuckDB; 0: 512 MiB
	Threads int    // of DuckDB; 0: as many as there are processors

	Now     func() time.Time // nil: time.Now
	Timeout time.Duration    // of a search; 0: 30 s
	Keep    time.Duration    // how long the pages of a search can be asked for; 0: 10 minutes
}

// Index answers the searches of one data store. It is safe for concurrent use.
type Index struct {
	o      Options
	db     *searchdb.DB
	signer *page.Signer
	stop   func()
	ended  chan struct{}

	building sync.Mutex // one state is made at a time

	mu      sync.Mutex
	current *state
	states  map[uint64]*held // all that are open, by nonce
	oldest  int64            // number of the manifest from which on states are kept: see Release

	feed feeder // guarded by the feeding of the current state's, see state.feed
}

// held is an open state.
type held struct {
	*state
	last time.Time // when it was used last
	over bool      // no search begins with it, and it is closed with its last user
}

// maxStates bounds how many states are kept for further pages.
const maxStates = 4

// Open opens the index of a data store. What was written since the last publication is
// taken in by the first search.
func Open(ctx context.Context, o Options) (*Index, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Keep <= 0 {
		o.Keep = 10 * time.Minute
	}
	x := &Index{o: o, states: map[uint64]*held{}, ended: make(chan struct{})}
	var err error
	if x.feed.hash, err = postings.NewHasher(o.Secret); err != nil {
		return nil, err
	}
	if x.signer, err = page.NewSigner(o.Secret); err != nil {
		return nil, err
	}
	if x.db, err = searchdb.Open(ctx, searchdb.Options{Memory: o.Memory, TempDir: o.TempDir, Threads: o.Threads}); err != nil {
		return nil, err
	}
	ctx, x.stop = context.WithCancel(context.Background())
	go x.housekeep(ctx)
	return x, nil
}

// Close ends the index. No search is at work.
func (x *Index) Close() error {
	x.stop()
	<-x.ended
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	for _, s := range x.states {
		s.rows.Close()
		err = errors.Join(err, s.db.Close())
	}
	x.states, x.current = nil, nil
	return errors.Join(err, x.db.Close())
}

// housekeep lets states go whose time is over.
func (x *Index) housekeep(ctx context.Context) {
	defer close(x.ended)
	t := time.NewTicker(max(x.o.Keep/8, time.Second))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			x.expire()
		case <-ctx.Done():
			return
		}
	}
}

// Release lets go what is of snapshots before the present one, because something was
// erased: its further pages are gone, and its files are held by the searches that run and
// by nobody else. The last of these has the files removed.
func (x *Index) Release() {
	x.mu.Lock()
	x.oldest = x.o.Lake.Shown()
	var idle []*held
	for _, h := range x.states {
		if x.judge(h); h.over && h.used == 0 {
			delete(x.states, h.nonce)
			idle = append(idle, h)
		}
	}
	x.mu.Unlock()
	for _, h := range idle { // without the lock: DuckDB takes a while, and searches need not wait
		h.close()
	}
}

// judge ends a state that is of a snapshot before the oldest that is kept. The caller holds
// mu.
func (x *Index) judge(h *held) {
	if h.rows.Manifest().Number >= x.oldest {
		return
	}
	h.over = true
	if x.current == h.state {
		x.current = nil
	}
}

// close lets go what the state holds; it is no longer one of the index's.
func (h *held) close() {
	h.rows.Close()
	h.db.Close() // dropping tables in memory: nothing that is left could be told
}

// expire closes states that nobody uses: those whose time is over, and the oldest when
// there are too many.
func (x *Index) expire() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		var oldest *held
		for _, s := range x.states {
			if s.state != x.current && s.used == 0 && (oldest == nil || s.last.Before(oldest.last)) {
				oldest = s
			}
		}
		if oldest == nil || len(x.states) <= maxStates && x.o.Now().Sub(oldest.last) < x.o.Keep {
			return
		}
		delete(x.states, oldest.nonce)
		oldest.close()
	}
}

// now gives the present moment: of everything that was committed before the call, or
// with eventual of what is in the index already. The caller calls done.
func (x *Index) now(ctx context.Context, eventual bool) (m *moment, done func(), err error) {
	view, err := x.o.Lake.View()
	if err != nil {
		return nil, nil, err
	}
	defer view.Close()
	set := parameters.R4()
	if x.o.Parameters != nil {
		offered, err := x.o.Parameters(ctx)
		if err != nil {
			return nil, nil, err
		}
		set = offered.Set
	}
	s, done, err := x.stateOf(ctx, view, set)
	if err != nil {
		return nil, nil, err
	}
	if !eventual {
		if err := x.take(ctx, s, view); err != nil {
			done()
			return nil, nil, err
		}
	}
	return &moment{s, s.changes()}, done, nil
}

// stateOf gives the state of the manifest of a view, or of a later one, with the search
// parameters of a set.
func (x *Index) stateOf(ctx context.Context, view *lake.View, set *parameters.Set) (*state, func(), error) {
	number := view.Manifest().Number
	if s, done := x.use(func() *state { return x.newEnough(number, set) }); s != nil {
		return s, done, nil
	}
	x.building.Lock()
	defer x.building.Unlock()
	if s, done := x.use(func() *state { return x.newEnough(number, set) }); s != nil {
		return s, done, nil
	}
	var nonce [8]byte
	rand.Read(nonce[:])
	rows := view.Rows()
	store := x.o.Lake.Snapshot()
	s, err := newState(ctx, x.db, rows, set, binary.LittleEndian.Uint64(nonce[:]), func(f *snapshot.File) string { return store.Path(f) })
	if err != nil {
		rows.Close()
		if errors.Is(err, errNotIndexed) {
			err = outcome.Faultf(outcome.Unavailable, "the data store is not all indexed for search: run `fhirlake reindex`")
		}
		return nil, nil, err
	}
	if err := x.take(ctx, s, view); err != nil { // before anyone sees it
		rows.Close()
		return nil, nil, errors.Join(err, s.db.Close())
	}
	s, done := x.use(func() *state {
		x.current, x.states[s.nonce] = s, &held{state: s, last: x.o.Now()}
		x.judge(x.states[s.nonce]) // something may have been erased while it was made
		return s
	})
	x.expire()
	return s, done, nil
}

func (x *Index) newEnough(number int64, set *parameters.Set) *state {
	if x.current != nil && x.current.offered.Set == set && x.current.rows.Manifest().Number >= number {
		return x.current
	}
	return nil
}

// use keeps the state that choose gives open until done is called.
func (x *Index) use(choose func() *state) (s *state, done func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s = choose(); s == nil {
		return nil, nil
	}
	s.used++
	return s, func() {
		x.mu.Lock()
		s.used--
		h := x.states[s.nonce]
		h.last = x.o.Now()
		last := h.over && h.used == 0
		if last {
			delete(x.states, s.nonce)
		}
		x.mu.Unlock()
		if last {
			h.close()
			x.o.Lake.Snapshot().Prune() // should it fail, the next publication removes them
		}
	}
}

// feeder makes rows of what was written.
type feeder struct {
	mu    sync.Mutex
	chain *pipeline.Chain
	table *search.Table // that chain extracts the values of
	hash  *postings.Hasher
	batch pipeline.Batch
	rows  postings.Rows
}

// feedBytes is how much text goes into the index at once.
const feedBytes = 4 << 20

// take brings the commits of a view into a state of the same manifest. A state of a
// later manifest has them.
func (x *Index) take(ctx context.Context, s *state, view *lake.View) error {
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if view.Seq() <= s.seq || s.rows.Manifest().Number != view.Manifest().Number {
		return nil
	}
	x.feed.mu.Lock()
	defer x.feed.mu.Unlock()
	var pending []lake.Change
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		if err := x.feed.flush(ctx, s, pending); err != nil {
			return err
		}
		pending = pending[:0]
		return nil
	}
	x.feed.batch.Reset()
	err := view.ChangesAfter(s.seq, func(c *lake.Change) error {
		keep := *c
		keep.JSON, keep.Issues = nil, nil
		pending = append(pending, keep)
		if c.Method != delta.Delete {
			x.feed.add(c.JSON)
		}
		if len(x.feed.batch.Data) < feedBytes {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		x.drop(s)
		return fmt.Errorf("index what was written: %w", err)
	}
	s.seq = view.Seq()
	return nil
}

// drop makes the next search begin with a new state: this one has half of something.
func (x *Index) drop(s *state) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.current == s {
		x.current = nil
	}
}

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
	first := s.changes() + 1
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
	var dead []searchdb.Dead
	changed := map[snapshot.Key]uint32{}
	for i := range changes {
		c := &changes[i]
		number := first + uint32(i)
		if old, ok := changed[c.Key]; ok {
			dead = append(dead, searchdb.Dead{At: postings.At(writtenSegment, old), Change: number})
		} else if old, ok := s.current[c.Key]; ok {
			dead = append(dead, searchdb.Dead{At: postings.At(writtenSegment, old), Change: number})
		} else if c.HasRow {
			dead = append(dead, searchdb.Dead{At: postings.At(c.Replaced.Segment, c.Replaced.Row), Change: number})
		}
		changed[c.Key] = number
		if c.Method != delta.Delete {
			at = append(at, postings.At(writtenSegment, number))
			f.rows.AddResource(postings.Resource{
				Type: c.Type, Version: c.Number, At: at[len(at)-1], Key: c.Key[0], Updated: c.Updated, ID: c.ID,
			})
		}
	}
	if len(at) > 0 { // else the values are those of the batch before
		f.rows.Add(f.hash, pipeline.SearchValues.Of(&f.batch), func(i int32) (postings.Address, bool) { return at[i], true })
	}
	if err := s.db.AddDead(ctx, dead); err != nil {
		return err
	}
	if err := s.db.Add(ctx, &f.rows); err != nil {
		return err
	}
	s.noteAll(changes)
	return nil
}
