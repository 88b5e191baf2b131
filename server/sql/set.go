package sql

import (
	"context"
	"errors"
	"sync"

	"github.com/fhirlake/fhirlake/store/lake"
)

// ErrClosed says that the set, or the data store in it, was closed.
var ErrClosed = errors.New("SQL is closed")

// SetOptions are those of a [Set].
type SetOptions struct {
	// Lake gives the open lake of a data store, another one when it was opened again.
	Lake func(id string) (*lake.Lake, error)
	// Queries is how many may run at once, of all data stores; others wait. 0: 4.
	Queries int
	Options
}

// Set is the data stores of a process as SQL sees them. It is safe for concurrent use.
type Set struct {
	o     SetOptions
	slots chan struct{} // full when no more queries may run

	mu     sync.Mutex
	open   map[string]*DataStore // by id
	closed bool
}

// NewSet makes a set. Nothing is opened.
func NewSet(o SetOptions) *Set {
	if o.Queries <= 0 {
		o.Queries = 4
	}
	return &Set{o: o, slots: make(chan struct{}, o.Queries), open: map[string]*DataStore{}}
}

// State is [DataStore.State] of the data store with an id, when the turn of one more
// query has come. The error is what Lake gives when there is no such data store.
func (s *Set) State(ctx context.Context, id string) (*State, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free := func() { <-s.slots }
	d, err := s.dataStore(id)
	if err != nil {
		free()
		return nil, err
	}
	st, err := d.State(ctx)
	if err != nil {
		free()
		return nil, err
	}
	st.ended = free
	return st, nil
}

func (s *Set) dataStore(id string) (*DataStore, error) {
	l, err := s.o.Lake(id)
	if err != nil {
		return nil, errors.Join(err, s.Forget(id))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	have := s.open[id]
	if have == nil || have.lake != l {
		if have != nil {
			if err := have.Close(); err != nil {
				return nil, err
			}
		}
		have = New(l, s.o.Options)
		s.open[id] = have
	}
	return have, nil
}

// Forget closes what there is of a data store, so that its lake can be closed. Who asks
// for it again opens it anew.
func (s *Set) Forget(id string) error {
	s.mu.Lock()
	d := s.open[id]
	delete(s.open, id)
	s.mu.Unlock()
	if d == nil {
		return nil
	}
	return d.Close()
}

// Close closes all data stores; see [DataStore.Close]. Closing twice does nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = map[string]*DataStore{}
	s.mu.Unlock()
	var errs []error
	for _, d := range open {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
