package main

import (
	"errors"
	"fmt"

	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/root"
)

// lake is an open root with the data store that the flags name.
type lake struct {
	root      *root.Root
	catalog   *catalog.Catalog
	datastore *catalog.DataStore
}

// openOwned opens the root as its owner, and the data store, which is made when
// it is the default one.
func openOwned(g *globals) (*lake, error) {
	l, err := openRoot(g, true)
	if err != nil {
		return nil, err
	}
	if l.datastore, err = l.catalog.Use(g.datastore); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// openBeside opens the root for reading, beside an owner if there is one.
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
	r, err := root.Open(g.root, root.Options{Exclusive: exclusive})
	if err != nil {
		return nil, err
	}
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &lake{root: r, catalog: c}, nil
}

// Close releases the root.
func (l *lake) Close() error {
	if err := errors.Join(l.catalog.Close(), l.root.Close()); err != nil {
		return fmt.Errorf("close root: %w", err)
	}
	return nil
}
