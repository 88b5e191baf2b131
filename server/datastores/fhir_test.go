package datastores_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
)

func TestFHIR(t *testing.T) {
	s, c := newSet(t)
	id := create(t, c, "served")
	f := datastores.NewFHIR(s, datastores.NewCompactor(s, datastores.CompactorOptions{}), search.Options{Threads: 1})
	first, err := f.DataStore(id)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if again, err := f.DataStore(id); err != nil || again != first {
				t.Errorf("got another data store, or %v", err)
			}
		})
	}
	all.Wait()
	f.ProfilesChanged()
	if again, err := f.DataStore(id); err != nil || again == first {
		t.Errorf("the data store still has the old profiles, or %v", err)
	}
	if _, err := s.Delete(id); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{id, "../x"} {
		if _, err := f.DataStore(gone); !errors.Is(err, rest.ErrNoDataStore) {
			t.Errorf("%s: %v, want ErrNoDataStore", gone, err)
		}
	}
}
