package datastores

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	profilestore "github.com/fhirlake/fhirlake/store/profiles"
)

// FHIR is the data stores of a set as REST serves them: each with the stages of a write,
// which know the profiles of the root. It is safe for concurrent use.
type FHIR struct {
	set     *Set
	compact *Compactor
	search  search.Options // Lake and Secret are each data store's own

	mu       sync.RWMutex
	profiles *profiles.Set     // nil: to be read
	known    *profile.Registry // what profiles is made of; nil with it
	served   map[string]served // by id
}

// served is what was made for a lake. The lake of an id changes when the data store is
// closed and opened again.
type served struct {
	lake  *lake.Lake
	store *rest.DataStore
	index *searcher
}

// NewFHIR serves the data stores of a set. The compactor erases resources. The options
// are for the search index of each; TempDir is made.
func NewFHIR(s *Set, c *Compactor, o search.Options) *FHIR {
	return &FHIR{set: s, compact: c, search: o, served: map[string]served{}}
}

// eraser is a lake that can erase.
type eraser struct {
	*lake.Lake
	id         string
	compact    *Compactor
	parameters *parameters.Registry
}

var (
	_ rest.Eraser    = eraser{}
	_ rest.Reindexer = eraser{}
)

// Erase implements [rest.Eraser].
func (e eraser) Erase(ctx context.Context, t r4.TypeID, id string) error {
	return e.compact.Erase(ctx, e.id, t, id)
}

// Commit implements [rest.Store].
func (e eraser) Commit(ctx context.Context, writes []lake.Write) ([]lake.Outcome, error) {
	if slices.ContainsFunc(writes, func(w lake.Write) bool { return w.Type == r4.TypeSearchParameter }) {
		defer e.parameters.Written() // also after an error, which may leave it done
	}
	return e.Lake.Commit(ctx, writes)
}

// Reindex implements [rest.Reindexer].
func (e eraser) Reindex(ctx context.Context) (segments int, resources int64, err error) {
	res, err := e.compact.Reindex(ctx, e.id, Request{})
	if err != nil {
		return 0, 0, err
	}
	return res.Segments, res.Resources, nil
}

// Purge implements [rest.Eraser].
func (e eraser) Purge(ctx context.Context, patient string) error {
	return e.compact.Purge(ctx, e.id, patient)
}

// DataStore gives a data store by its id. The error is [rest.ErrNoDataStore] when there
// is none.
func (f *FHIR) DataStore(id string) (*rest.DataStore, error) {
	l, err := f.set.Lake(id)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		f.forget(id)
		return nil, rest.ErrNoDataStore
	case err != nil:
		return nil, err
	}
	f.mu.RLock()
	have := f.served[id]
	f.mu.RUnlock()
	if have.lake == l {
		return have.store, nil
	}
	return f.serve(id, l)
}

func (f *FHIR) serve(id string, l *lake.Lake) (*rest.DataStore, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if have := f.served[id]; have.lake == l {
		return have.store, nil
	}
	d, err := f.set.catalog.DataStore(id)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(d.HashKey)
	if err != nil {
		return nil, fmt.Errorf("data store %s: the hash key is not hexadecimal", id)
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	index, err := f.set.searcher(id, l, func() *searcher {
		o := f.search
		o.Lake, o.Secret, o.Profiles = l, secret, f.definitions
		return newSearcher(o, f.set.root.TempDir)
	})
	if err != nil {
		return nil, err
	}
	store, err := rest.NewDataStore(rest.DataStoreOptions{
		Store: eraser{l, id, f.compact, index.parameters}, Search: index, Parameters: index.parameters,
		Secret: secret, Profiles: f.profiles, Notes: f.set.Notes(id, ReadAsSet), Derive: f.set.Derives(id, ReadAsSet),
	})
	if err != nil {
		return nil, err
	}
	f.served[id] = served{l, store, index}
	return store, nil
}

// Warm begins to index what was written to the data stores that are open, so that the first
// search need not. Those of which all is published cost no memory before someone searches.
func (f *FHIR) Warm(ctx context.Context) error {
	var ids []string
	f.set.Each(func(id string, l *lake.Lake) {
		if l.Delta().Stats().Entries > 0 {
			ids = append(ids, id)
		}
	})
	var errs []error
	for _, id := range ids {
		if _, err := f.DataStore(id); err != nil {
			errs = append(errs, err)
			continue
		}
		var index *searcher
		f.set.mu.RLock()
		if st := f.set.open[id]; st != nil {
			index = st.search
		}
		f.set.mu.RUnlock()
		if index == nil {
			continue // it was closed since
		}
		if err := index.warm(ctx); err != nil && !errors.Is(err, lake.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (f *FHIR) forget(id string) {
	f.mu.RLock()
	_, have := f.served[id]
	f.mu.RUnlock()
	if have {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.served, id)
	}
}

// ProfilesChanged makes requests that come from now on know the profiles that the root
// has now.
func (f *FHIR) ProfilesChanged() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.profiles, f.known = nil, nil
	clear(f.served)
}

// load reads the profiles of the root, unless they are there. The caller holds mu.
func (f *FHIR) load() error {
	if f.profiles != nil {
		return nil
	}
	known, err := profilestore.Load(f.set.root)
	if err == nil {
		f.profiles, f.known = profiles.NewSet(known), known
	}
	return err
}

// definitions gives the definitions of the root.
func (f *FHIR) definitions() (*profile.Registry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.load()
	return f.known, err
}
