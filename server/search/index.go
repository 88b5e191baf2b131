package search

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/server/search/page"
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
	Keeping int64            // bytes of memory for what is kept for such pages; 0: 256 MiB
}

// Index answers the searches of one data store. It is safe for concurrent use.
type Index struct {
	o      Options
	db     *searchdb.DB
	signer *page.Signer
	stop   func()
	beside sync.WaitGroup

	// feeding is held, by who has put something in, to bring what was written into the
	// newest state, and to make the next one. It guards feed.
	feeding chan struct{}
	feed    feeder

	mu      sync.Mutex
	current *state
	states  map[uint64]*held // all that are open, by nonce
}

// held is an open state.
type held struct {
	*state
	used  int       // searches that are in it
	until time.Time // when the last token of its pages expires
	over  bool      // no search begins with it, and it is closed with its last user
}

// Open opens the index of a data store, and begins to take in what was written since the
// last publication.
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
	if o.Keeping <= 0 {
		o.Keeping = 256 << 20
	}
	x := &Index{o: o, states: map[uint64]*held{}, feeding: make(chan struct{}, 1)}
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
	x.beside.Go(func() { x.housekeep(ctx) })
	x.beside.Go(func() { x.follow(ctx) })
	return x, nil
}

// Close ends the index. No search is at work.
func (x *Index) Close() error {
	x.stop()
	x.beside.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	for _, s := range x.states {
		err = errors.Join(err, s.close())
	}
	x.states, x.current = nil, nil
	return errors.Join(err, x.db.Close())
}

// housekeep lets states go whose time is over.
func (x *Index) housekeep(ctx context.Context) {
	t := time.NewTicker(max(x.o.Keep/64, time.Second))
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

// follow makes the first state, and the next one as soon as something is published, so that
// searches need not wait for it.
func (x *Index) follow(ctx context.Context) {
	for {
		next := x.o.Lake.NextShown()
		// The error is for the search that meets it.
		if _, done, err := x.now(ctx, false); err == nil {
			done()
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// Release lets go what is of snapshots before the present one, and the rows of what it has
// folded, because something was erased: its further pages are gone, and its files are held by
// the searches that run and by nobody else. The last of these has the files removed.
func (x *Index) Release() {
	x.feeding <- struct{}{} // no state is made meanwhile of one that goes
	shown := x.o.Lake.Shown()
	x.mu.Lock()
	var idle []*held
	for _, h := range x.states {
		if h.rows.Manifest().Number >= shown && !h.holdsFolded() {
			continue
		}
		if h.over = true; x.current == h.state {
			x.current = nil
		}
		if h.used == 0 {
			delete(x.states, h.nonce)
			idle = append(idle, h)
		}
	}
	x.mu.Unlock()
	<-x.feeding
	for _, h := range idle { // without the locks: DuckDB takes a while, and searches need not wait
		h.close()
	}
}

// expire closes states that nobody needs: of whose pages no token is valid, and, when they
// take too much memory, those whose tokens expire first.
func (x *Index) expire() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		var oldest *held
		for _, s := range x.states {
			if s.state != x.current && s.used == 0 && (oldest == nil || s.until.Before(oldest.until)) {
				oldest = s
			}
		}
		if oldest == nil || x.o.Now().Before(oldest.until) && x.cost() <= x.o.Keeping {
			return
		}
		delete(x.states, oldest.nonce)
		oldest.close() // dropping tables in memory: nothing that is left could be told
	}
}

// now gives the present moment: of everything that was committed before the call, or
// with eventual of what is in the index already. The caller calls done.
func (x *Index) now(ctx context.Context, eventual bool) (m *moment, done func(), err error) {
	if eventual {
		number := x.o.Lake.Shown()
		set, err := x.set(ctx)
		if err != nil {
			return nil, nil, err
		}
		s, done := x.use(func() *state {
			c := x.current
			if c != nil && c.ready.Load() && c.offered.Set == set && c.rows.Manifest().Number >= number {
				return c
			}
			return nil
		})
		if s != nil {
			return &moment{s, s.seen.Load()}, done, nil
		}
	}
	select {
	case x.feeding <- struct{}{}: // also when there is no time: what takes it is said later
	default:
		select {
		case x.feeding <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, x.waited(ctx)
		}
	}
	defer func() { <-x.feeding }()
	s, err := x.newest(ctx)
	switch {
	case errors.Is(err, errNotIndexed):
		return nil, nil, outcome.Faultf(outcome.Unavailable, "the data store is not all indexed for search: run `fhirlake reindex`")
	case err != nil && ctx.Err() != nil:
		return nil, nil, x.waited(ctx)
	case err != nil:
		return nil, nil, fmt.Errorf("index what was written: %w", err)
	}
	s, done = x.use(func() *state { return s })
	return &moment{s, s.seen.Load()}, done, nil
}

// waited is the error of who waited until his time was over. What was taken in meanwhile
// stays.
func (x *Index) waited(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return outcome.Faultf(outcome.Unavailable, "what was written is still being indexed; try again later")
	}
	return ctx.Err()
}

// newest gives the state of the present manifest with everything that is committed. The
// caller holds feeding.
func (x *Index) newest(ctx context.Context) (*state, error) {
	view, err := x.o.Lake.View() // later than those of all who had feeding before
	if err != nil {
		return nil, err
	}
	defer view.Close()
	set, err := x.set(ctx)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	current := x.current
	x.mu.Unlock()
	var before *state // whose rows are made by the same search parameters
	if current != nil && current.offered.Set == set {
		before = current
	}
	if before != nil && before.rows.Manifest().Number == view.Manifest().Number {
		return before, x.check(before, x.take(ctx, before, view))
	}
	store := x.o.Lake.Snapshot()
	s, err := newState(ctx, x.db, view.Rows(), set, before, func(f *snapshot.File) string { return store.Path(f) })
	if err != nil {
		return nil, err
	}
	// It is shown with all that is committed, or kept for the next search, which goes on.
	err = x.take(ctx, s, view)
	var broken *brokenError
	if errors.As(err, &broken) {
		x.check(before, err)
		return nil, errors.Join(err, s.close())
	}
	x.mu.Lock()
	x.current, x.states[s.nonce] = s, &held{state: s}
	x.mu.Unlock()
	x.expire()
	return s, err
}

// set gives the search parameters of the data store.
func (x *Index) set(ctx context.Context) (*parameters.Set, error) {
	if x.o.Parameters == nil {
		return parameters.R4(), nil
	}
	offered, err := x.o.Parameters(ctx)
	if err != nil {
		return nil, err
	}
	return offered.Set, nil
}

// check lets the next search begin anew after an error that left half of something.
func (x *Index) check(s *state, err error) error {
	var broken *brokenError
	if errors.As(err, &broken) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.current == s {
			x.current = nil
		}
	}
	return err
}

// use keeps the state that choose gives open until done is called.
func (x *Index) use(choose func() *state) (s *state, done func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s = choose(); s == nil {
		return nil, nil
	}
	h := x.states[s.nonce]
	h.used++
	return s, func() {
		x.mu.Lock()
		h.used--
		last := h.used == 0 && h.over
		if last {
			delete(x.states, s.nonce)
		}
		ended := h.used == 0 && s != x.current && !x.o.Now().Before(h.until)
		x.mu.Unlock()
		switch {
		case last:
			h.close()
			x.o.Lake.Snapshot().Prune() // should it fail, the next publication removes them
		case ended:
			x.expire()
		}
	}
}

// keep makes a state stay until a time.
func (x *Index) keep(s *state, until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if h := x.states[s.nonce]; until.After(h.until) {
		h.until = until
	}
}

// What states take, by estimate.
const (
	stateBytes    = 256 << 10 // tables and views without rows
	replacedBytes = 80        // a row of the manifest that was replaced
	changeBytes   = 1 << 10   // a change with its rows
	entityBytes   = 256       // a row of what NLP found in it
)

// cost is the memory of all states that are kept for their pages alone. The caller holds mu.
func (x *Index) cost() (bytes int64) {
	counted := map[*chunk]bool{}
	if x.current != nil {
		for _, c := range x.current.chunks {
			counted[c] = true
		}
	}
	for _, s := range x.states {
		if s.state == x.current {
			continue
		}
		s.mu.RLock()
		bytes += stateBytes + int64(len(s.replaced))*replacedBytes
		for _, c := range s.chunks {
			if !counted[c] {
				counted[c] = true
				bytes += int64(len(c.written))*changeBytes + int64(c.entities)*entityBytes
			}
		}
		s.mu.RUnlock()
	}
	return bytes
}
