package search_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

const base = searchtest.Base

// store is a data store with its index.
type store struct {
	t       testing.TB
	root    *root.Root
	catalog *catalog.Catalog
	data    *catalog.DataStore
	lake    *lake.Lake
	index   *search.Index
	options search.Options
	lenient bool // imports take what they can

	publishing sync.Mutex // held by imports and compactions beside one another
}

// reopen makes the index anew, as a server does that is started again.
func (s *store) reopen() {
	s.t.Helper()
	err := s.index.Close()
	if err == nil {
		s.index, err = search.Open(context.Background(), s.options)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// newStore makes a data store of inputs.
func newStore(t testing.TB, change func(*search.Options), inputs ...string) *store {
	t.Helper()
	r, err := root.Open(filepath.Join(t.TempDir(), "lake"), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s := &store{t: t, root: r}
	if s.catalog, err = catalog.Open(r, catalog.Options{}); err != nil {
		t.Fatal(err)
	}
	if s.data, err = s.catalog.Use(""); err != nil {
		t.Fatal(err)
	}
	if len(inputs) > 0 {
		s.load(inputs...)
	}
	secret, err := hex.DecodeString(s.data.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	if s.lake, err = lake.Open(r.DatastoreDir(s.data.ID), lake.Options{Secret: secret}); err != nil {
		t.Fatal(err)
	}
	o := search.Options{Lake: s.lake, Secret: secret, Threads: 2}
	if change != nil {
		change(&o)
	}
	s.options = o
	if s.index, err = search.Open(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.index.Close(); err != nil {
			t.Error(err)
		}
		s.lake.Close()
	})
	return s
}

// load imports inputs.
func (s *store) load(inputs ...string) {
	s.t.Helper()
	level := validate.Strict
	if s.lenient {
		level = validate.Minimal
	}
	res, err := bulk.Import(context.Background(), bulk.ImportOptions{
		Root: s.root, Catalog: s.catalog, Datastore: s.data, Lake: s.lake, Inputs: inputs, SearchIndex: true, Memory: 256 << 20,
		Level: level, Now: func() time.Time { return modelNow },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if res.Rejected > 0 && !s.lenient {
		s.t.Fatalf("%d resources were rejected: %+v", res.Rejected, res.Sample[0])
	}
}

// ask answers a search; next is the token of a further page.
func (s *store) ask(r query.Request, next string) (*query.Query, *search.Page, error) {
	s.t.Helper()
	r.Strict, r.Bases, r.Now = true, []string{base}, modelNow
	p := query.Parser{Parameters: fhirsearch.R4(), Features: search.Features}
	q, err := p.Parse(r)
	if err != nil {
		return nil, nil, err
	}
	scope := fmt.Sprint(r.Type, r.Compartment, r.Raw)
	found, err := s.index.Search(context.Background(), q, search.Request{Scope: scope, Page: next})
	return q, found, err
}

// search answers a query of a type; "&_page=token" at its end asks for a further page.
func (s *store) search(typ, text string) (*search.Page, error) {
	s.t.Helper()
	text, next, _ := strings.Cut(text, "&_page=")
	_, p, err := s.ask(query.Request{Type: r4.ResourceTypeByName([]byte(typ)), Raw: []string{text}}, next)
	return p, err
}

// walk gives the ids of all pages of a query, in order, and how many pages there were.
func (s *store) walk(typ, text string) (ids []string, pages int) {
	s.t.Helper()
	return s.walkAll(query.Request{Type: r4.ResourceTypeByName([]byte(typ)), Raw: []string{text}})
}

func (s *store) walkAll(r query.Request) (ids []string, pages int) {
	s.t.Helper()
	next := ""
	for {
		_, p, err := s.ask(r, next)
		if err != nil {
			s.t.Fatalf("%v: %v", r.Raw, err)
		}
		pages++
		for i := range p.Matches {
			ids = append(ids, p.Matches[i].Type.String()+"/"+p.Matches[i].ID)
		}
		if next = p.Next; next == "" {
			return ids, pages
		}
	}
}

// modelNow is the present of the searches.
var modelNow = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// file makes a file of NDJSON.
func (s *store) file(text string) string {
	s.t.Helper()
	name := filepath.Join(s.t.TempDir(), "in.ndjson")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return name
}
