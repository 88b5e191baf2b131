// Package datastores has the open data stores of a root: each is opened once in the
// process that owns the root, when it is first needed, and shared by REST, jobs and SQL.
// What a data store is, store/lake says; which there are, store/catalog.
//
// Read [Set] first.
package datastores

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// ErrClosed says that the set, or the data store, was closed.
var ErrClosed = errors.New("the data stores are closed")

// Set is the open data stores of a root. It is safe for concurrent use.
type Set struct {
	root    *root.Root
	catalog *catalog.Catalog
	options lake.Options // Secret is each data store's own

	turns turns

	provider func() (notes.Provider, error) // of notes; nil: the engine over its own lexicon

	mu     sync.RWMutex
	open   map[string]*store // by id
	closed bool
}

// store is a data store that is open, or that its first user opens.
type store struct {
	once sync.Once
	lake *lake.Lake
	err  error

	search *searcher // guarded by Set.mu; nil: nobody asked for it
}

// New makes a set of a root that this process owns. Nothing is opened. The options are
// for every lake; each gets its own Secret.
func New(r *root.Root, c *catalog.Catalog, o lake.Options) *Set {
	return &Set{root: r, catalog: c, options: o, open: map[string]*store{}, turns: turns{atOnce: 1}}
}

// SetJobsAtOnce says how many jobs may run at once; one is what a new set has.
func (s *Set) SetJobsAtOnce(n int) { s.turns.set(n) }

// Lake gives the open lake of a data store. The error is [catalog.ErrNotFound] when there
// is none with this id, or it is deleted. The lake is the set's to close.
func (s *Set) Lake(id string) (*lake.Lake, error) {
	st, err := s.store(id)
	if err != nil {
		return nil, err
	}
	st.once.Do(func() { st.lake, st.err = s.openLake(id) })
	if st.err != nil {
		s.forget(id, st) // the next user tries again
		return nil, st.err
	}
	return st.lake, nil
}

// store finds or makes the entry of a data store. Of one that is open, that costs a
// look into a map.
func (s *Set) store(id string) (*store, error) {
	s.mu.RLock()
	st, closed := s.open[id], s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, ErrClosed
	case st != nil:
		return st, nil
	}
	// Only ids of the catalog get an entry: others may be any text, of any number.
	if err := s.exists(id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if st = s.open[id]; st == nil {
		st = &store{}
		s.open[id] = st
	}
	return st, nil
}

func (s *Set) exists(id string) error {
	d, err := s.catalog.DataStore(id)
	if err == nil && d.Status != catalog.StatusActive {
		err = fmt.Errorf("data store %q: %w: it is deleted", id, catalog.ErrNotFound)
	}
	return err
}

func (s *Set) forget(id string, st *store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] == st {
		delete(s.open, id)
	}
}

func (s *Set) openLake(id string) (*lake.Lake, error) {
	d, err := s.catalog.DataStore(id)
	if err != nil {
		return nil, err
	}
	o := s.options
	if o.Secret, err = hex.DecodeString(d.HashKey); err != nil {
		return nil, fmt.Errorf("data store %s: the hash key is not hexadecimal", id)
	}
	return lake.Open(s.root.DatastoreDir(id), o)
}

// Written gives the lake of a data store whose delta has content, or had; nil without
// an error for one that only imports have written, so that a command that imports need
// not make a delta.
func (s *Set) Written(id string) (*lake.Lake, error) {
	s.mu.RLock()
	open := s.open[id] != nil
	s.mu.RUnlock()
	if !open {
		_, err := os.Stat(filepath.Join(s.root.DatastoreDir(id), "delta"))
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	return s.Lake(id)
}

// OpenAll opens all data stores that are not deleted. One that cannot be opened does not
// keep the others from it: the errors come together.
func (s *Set) OpenAll() error {
	all, err := s.catalog.DataStores()
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range all {
		if d.Status != catalog.StatusActive {
			continue
		}
		if _, err := s.Lake(d.ID); err != nil {
			errs = append(errs, fmt.Errorf("data store %s: %w", d.ID, err))
		}
	}
	return errors.Join(errs...)
}

// Each calls f for every data store that is open.
func (s *Set) Each(f func(id string, l *lake.Lake)) {
	s.mu.RLock()
	open := make(map[string]*store, len(s.open))
	for id, st := range s.open {
		open[id] = st
	}
	s.mu.RUnlock()
	for id, st := range open {
		st.once.Do(func() { st.lake, st.err = s.openLake(id) })
		if st.err == nil {
			f(id, st.lake)
		}
	}
}

// BeginJob waits until a job may run in a data store, and gives a func that ends it. One job
// of a root runs at a time, unless SetJobsAtOnce says more: each is made to use all cores and its
// share of memory. Two of one data store never do. Waiting, when not nil, is called when
// there is something to wait for.
func (s *Set) BeginJob(ctx context.Context, id string, waiting func()) (end func(), err error) {
	return s.turns.take(ctx, id, waiting)
}

// Delete closes a data store and deletes it. Requests that are under way fail with
// [lake.ErrClosed]. The error is [catalog.ErrBusy] while a job works in it.
func (s *Set) Delete(id string) (*catalog.DataStore, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.turns.works(id) {
		return nil, fmt.Errorf("delete data store %q: %w", id, catalog.ErrBusy)
	}
	if st := s.open[id]; st != nil {
		delete(s.open, id)
		if err := st.close(); err != nil {
			return nil, fmt.Errorf("delete data store %q: %w", id, err)
		}
	}
	return s.catalog.DeleteDataStore(id)
}

// Close closes all lakes. Closing twice does nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for id, st := range s.open {
		errs = append(errs, st.close())
		delete(s.open, id)
	}
	return errors.Join(errs...)
}

// close waits for one who opens it.
func (st *store) close() error {
	st.once.Do(func() { st.err = ErrClosed })
	if st.err != nil {
		return nil
	}
	var err error
	if st.search != nil { // it reads the lake
		err = st.search.close()
	}
	return errors.Join(err, st.lake.Close())
}

// releaseSearch makes the search index of a data store, if one is open, hold nothing of older
// snapshots.
func (s *Set) releaseSearch(id string) {
	s.mu.RLock()
	var x *searcher
	if st := s.open[id]; st != nil {
		x = st.search
	}
	s.mu.RUnlock()
	if x != nil {
		x.release()
	}
}

// searcher gives the one searcher of an open lake, which make makes. It is closed with
// the lake.
func (s *Set) searcher(id string, l *lake.Lake, make func() *searcher) (*searcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.open[id]
	if st == nil || st.lake != l {
		return nil, ErrClosed
	}
	if st.search == nil {
		st.search = make()
	}
	return st.search, nil
}
