package datastores

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Reading says whether a job or a write reads notes.
type Reading string

// The values of Reading.
const (
	ReadAsSet Reading = "" // as the data store says
	ReadNotes Reading = "on"
	ReadNone  Reading = "off"
)

// ProvideNotes says who reads notes from now on; without it, it is the engine of the binary
// over its own lexicon. It is called before anything is read.
func (s *Set) ProvideNotes(p func() (notes.Provider, error)) { s.provider = p }

var core = sync.OnceValue(func() notes.Provider { return notes.Builtin(nlp.CoreIndex()) })

// Notes gives how the notes of a data store are read. What the data store says counts at the
// time of reading.
func (s *Set) Notes(id string, want Reading) *notes.Options {
	return &notes.Options{
		Binaries: binaries{s, id}, Datastore: id,
		Reading: func() (notes.Reading, error) { return s.reading(id, want) },
	}
}

// Derives tells whether resources are derived from the documents of a data store, as Notes does.
func (s *Set) Derives(id string, want Reading) func() (bool, error) {
	return func() (bool, error) {
		if want != ReadAsSet {
			return want == ReadNotes, nil
		}
		d, err := s.catalog.DataStore(id)
		return err == nil && d.NLPSettings().DerivedResources == catalog.Enabled, err
	}
}

// Deriving gives the lake of a data store when an import that is told this may derive resources, or
// withdraw some that were derived, which only a lake can; nil when it cannot come to that.
func (s *Set) Deriving(id string, want Reading) (*lake.Lake, error) {
	derives, err := s.Derives(id, want)()
	if err != nil {
		return nil, err
	}
	if !derives {
		store, err := snapshot.Open(s.root.DatastoreDir(id))
		if err != nil {
			return nil, err
		}
		m, release, err := store.Current()
		if err != nil {
			return nil, err
		}
		defer release()
		if !bulk.Derived(m) {
			return nil, nil
		}
	}
	return s.Lake(id)
}

func (s *Set) reading(id string, want Reading) (r notes.Reading, err error) {
	if want == ReadNone {
		return r, nil
	}
	d, err := s.catalog.DataStore(id)
	if err != nil {
		return r, err
	}
	says := d.NLPSettings()
	if want == ReadAsSet && !says.Reads() {
		return r, nil
	}
	r.Reports = says.DiagnosticReports == catalog.Enabled
	if s.provider == nil {
		r.Provider = core()
		return r, nil
	}
	r.Provider, err = s.provider()
	return r, err
}

// binaries are the Binary resources of a data store.
type binaries struct {
	set *Set
	id  string
}

// Binary implements [notes.Binaries].
func (b binaries) Binary(_ context.Context, id string) (contentType string, data []byte, ok bool, err error) {
	l, err := b.set.Lake(b.id)
	if err != nil {
		return "", nil, false, err
	}
	r, err := l.Read(r4.TypeBinary, id, nil)
	var gone *lake.GoneError
	switch {
	case errors.Is(err, lake.ErrNotFound), errors.As(err, &gone):
		return "", nil, false, nil
	case err != nil:
		return "", nil, false, fmt.Errorf("read Binary/%s: %w", id, err)
	}
	var x struct{ ContentType, Data string }
	if err := json.Unmarshal(r.JSON, &x); err != nil {
		return "", nil, false, nil // a lenient store has what is none
	}
	return x.ContentType, []byte(x.Data), true, nil
}
