package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/dictionary"
	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/server/metrics"
	"github.com/fhirlake/fhirlake/server/sql"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
	lakes "github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// lake is an open root.
type lake struct {
	root      *root.Root
	catalog   *catalog.Catalog
	datastore *catalog.DataStore // that the flags name; only for openBeside
	stores    *datastores.Set    // only for the owner
	compactor *datastores.Compactor
	// profilesChanged is told when the root has other profiles; nil: nobody has to know.
	profilesChanged func()
	meters          *metrics.Metrics // of a server; nil for a command
	sql             *sql.Set         // of a server; nil for a command
	jobs            *jobs.Manager    // of a server; nil for a command
	blobs           *blob.Client     // what is in buckets

	log          *slog.Logger // of a server; nil for a command
	dictionaryMu sync.Mutex
	words        *dictionary.Dictionary // nil until someone asks for it

	model io.Closer // that reads notes; nil when none does
}

// dictionary is what notes are read with. It is opened by the first who asks.
func (l *lake) dictionary() (*dictionary.Dictionary, error) {
	l.dictionaryMu.Lock()
	defer l.dictionaryMu.Unlock()
	if l.words == nil {
		d, err := dictionary.Open(l.root, l.dictionaryOptions())
		if err != nil {
			return nil, err
		}
		l.words = d
	}
	return l.words, nil
}

// dictionaryToChange is the dictionary, even when it is damaged.
func (l *lake) dictionaryToChange() *dictionary.Dictionary {
	d, err := l.dictionary()
	if err != nil {
		return dictionary.ToRepair(l.root, l.dictionaryOptions())
	}
	return d
}

func (l *lake) dictionaryOptions() (o dictionary.Options) {
	if l.log != nil {
		o.Log = func(err error) { l.log.Error("dictionary", "error", err) }
	}
	return o
}

// readsNotes is the engine of the binary with the dictionary as it is now.
func (l *lake) readsNotes() (notes.Provider, error) {
	d, err := l.dictionary()
	if err != nil {
		return nil, err
	}
	return notes.Builtin(d.Current()), nil
}

// openBeside opens the root for reading, beside an owner if there is one, and the data
// store that the flags name.
func openBeside(g *globals) (*lake, error) {
	l, err := openRoot(g, false)
	if err != nil {
		return nil, err
	}
	if l.datastore, err = l.catalog.Find(g.datastore); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// openRoot opens the root without a data store. Data stores say that they are where the
// server that owns the root is, if one does.
func openRoot(g *globals, exclusive bool) (*lake, error) {
	url := ""
	if !exclusive {
		o, _ := root.FindOwner(g.root)
		url = o.URL
	}
	return openRootWith(g, exclusive, catalog.Options{BaseURL: url})
}

// openRootWith is openRoot of data stores that say of themselves what the options are.
func openRootWith(g *globals, exclusive bool, o catalog.Options) (*lake, error) {
	r, err := root.Open(g.root, root.Options{Exclusive: exclusive})
	if err != nil {
		return nil, err
	}
	c, err := catalog.Open(r, o)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	l := &lake{root: r, catalog: c, blobs: blob.New(blob.FromEnvironment())}
	if exclusive {
		l.stores = datastores.New(r, c, lakes.Options{})
		l.stores.ProvideNotes(l.readsNotes)
		l.compactor = datastores.NewCompactor(l.stores, datastores.CompactorOptions{})
	}
	return l, nil
}

// withRoot calls f with the root open for reading.
func withRoot(g *globals, f func(*lake) error) error {
	l, err := openRoot(g, false)
	if err != nil {
		return err
	}
	return errors.Join(f(l), l.Close())
}

// Close releases the root.
func (l *lake) Close() error {
	var err error
	if l.sql != nil {
		err = l.sql.Close()
	}
	if l.stores != nil {
		err = errors.Join(err, l.stores.Close())
	}
	if l.model != nil {
		err = errors.Join(err, l.model.Close())
	}
	if err := errors.Join(err, l.catalog.Close(), l.root.Close()); err != nil {
		return fmt.Errorf("close root: %w", err)
	}
	return nil
}
