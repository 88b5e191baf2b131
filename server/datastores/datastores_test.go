package datastores_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

func newSet(t *testing.T) (*datastores.Set, *catalog.Catalog) {
	t.Helper()
	r, err := root.Open(t.TempDir(), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := datastores.New(r, c, lake.Options{})
	t.Cleanup(func() { s.Close(); r.Close() })
	return s, c
}

func create(t *testing.T, c *catalog.Catalog, name string) string {
	t.Helper()
	d, err := c.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

func TestLakesAreOpenedOnce(t *testing.T) {
	s, c := newSet(t)
	id := create(t, c, "shared")
	lakes := make([]*lake.Lake, 16)
	var all sync.WaitGroup
	for i := range lakes {
		all.Go(func() {
			var err error
			if lakes[i], err = s.Lake(id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, l := range lakes {
		if l == nil || l != lakes[0] {
			t.Fatal("two users have different lakes")
		}
	}
	n := 0
	s.Each(func(string, *lake.Lake) { n++ })
	if n != 1 {
		t.Errorf("%d are open, want 1", n)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s, c := newSet(t)
	gone := create(t, c, "gone")
	if _, err := s.Lake(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(gone); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{
		"deleted": gone, "never made": strings.Repeat("0", 32), "a path": "../catalog", "nothing": "",
	} {
		if _, err := s.Lake(id); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
	if _, err := s.Delete(gone); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("deleted twice: %v, want ErrNotFound", err)
	}
}

func TestWrittenIsNilForWhatOnlyImportsWrote(t *testing.T) {
	s, c := newSet(t)
	id := create(t, c, "imported")
	if l, err := s.Written(id); l != nil || err != nil {
		t.Errorf("got %v, %v, want nothing", l, err)
	}
	if _, err := s.Lake(id); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Written(id); l == nil || err != nil {
		t.Errorf("got %v, %v, want the lake", l, err)
	}
}

func TestJobsComeOneAfterAnother(t *testing.T) {
	s, c := newSet(t)
	id, other := create(t, c, "busy"), create(t, c, "other")
	end, err := s.BeginJob(t.Context(), id, func() { t.Error("the first job waits") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(id); !errors.Is(err, catalog.ErrBusy) {
		t.Errorf("deleted under a job: %v, want ErrBusy", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.BeginJob(ctx, other, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("a job that waits was cancelled: %v", err)
	}
	waiting, began := make(chan bool), make(chan func())
	go func() {
		end, err := s.BeginJob(t.Context(), other, func() { close(waiting) })
		if err != nil {
			t.Error(err)
		}
		began <- end
	}()
	<-waiting
	select {
	case <-began:
		t.Fatal("two jobs run at once")
	default:
	}
	end()
	end() // ends the first job alone
	next := <-began
	if _, err := s.Delete(id); err != nil {
		t.Errorf("delete after the job: %v", err)
	}
	next()
}

func TestClosed(t *testing.T) {
	s, c := newSet(t)
	id := create(t, c, "closed")
	if err := s.OpenAll(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lake(id); !errors.Is(err, datastores.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
