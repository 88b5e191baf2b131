package main

import (
	"errors"
	"fmt"

	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/metrics"
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
	// profilesChanged is told when the root has other profiles; nil: nobody has to know.
	profilesChanged func() error
	meters          *metrics.Metrics // of a server; nil for a command
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

// openRoot opens the root without a data store.
func openRoot(g *globals, exclusive bool) (*lake, error) {
	return openRootServed(g, exclusive, catalog.Options{})
}

// openRootServed is openRoot with a catalog that knows where the server is.
func openRootServed(g *globals, exclusive bool, o catalog.Options) (*lake, error) {
	r, err := root.Open(g.root, root.Options{Exclusive: exclusive})
	if err != nil {
		return nil, err
	}
	c, err := catalog.Open(r, o)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	l := &lake{root: r, catalog: c}
	if exclusive {
		l.stores = datastores.New(r, c, lakes.Options{})
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
	if l.stores != nil {
		err = l.stores.Close()
	}
	if err := errors.Join(err, l.catalog.Close(), l.root.Close()); err != nil {
		return fmt.Errorf("close root: %w", err)
	}
	return nil
}
