package search_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

const base = "http://localhost:8080/datastore/x/r4"

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
		level = validate.StructureOnly
	}
	res, err := bulk.Import(context.Background(), bulk.ImportOptions{
		Root: s.root, Catalog: s.catalog, Datastore: s.data, Lake: s.lake, Inputs: inputs, SearchIndex: true, Memory: 256 << 20,
		Level: level,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if res.Rejected > 0 && !s.lenient {
		s.t.Fatalf("%d resources were rejected: %+v", res.Rejected, res.Sample[0])
	}
}

func params(t testing.TB, query string) (all []search.Param) {
	t.Helper()
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			t.Fatal(err)
		}
		if value, err = url.QueryUnescape(value); err != nil {
			t.Fatal(err)
		}
		all = append(all, search.Param{Name: name, Value: value})
	}
	return all
}

// search answers a query of a type.
func (s *store) search(typ, query string) (*search.Page, error) {
	s.t.Helper()
	q, err := search.Parse(search.Scope{
		Table: fhirsearch.R4(), Type: r4.ResourceTypeByName([]byte(typ)), Base: base, Strict: true,
	}, params(s.t, query))
	if err != nil {
		return nil, err
	}
	return s.index.Search(context.Background(), q, false)
}

// walk gives the ids of all pages of a query, in order, and how many pages there were.
func (s *store) walk(typ, query string) (ids []string, pages int) {
	s.t.Helper()
	next := query
	for {
		p, err := s.search(typ, next)
		if err != nil {
			s.t.Fatalf("%s?%s: %v", typ, next, err)
		}
		pages++
		for i := range p.Matches {
			ids = append(ids, p.Matches[i].Type.String()+"/"+p.Matches[i].ID)
		}
		if p.Next == "" {
			return ids, pages
		}
		next = query + "&_page=" + p.Next
	}
}

// emptyStore is a data store without resources.
func emptyStore(t testing.TB) *store { return newStore(t, nil) }

// modelNow is the present of the model test.
var modelNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func modelClock() time.Time { return modelNow }

func modelTime(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05Z")
}

// idOf finds the id of a resource whose text is like all of the corpus.
func idOf(line []byte) string {
	_, rest, ok := bytes.Cut(line, []byte(`"id":"`))
	if !ok {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}
