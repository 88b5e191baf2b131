package datastores_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// searched is a data store that is served over HTTP.
type searched struct {
	t       *testing.T
	root    *root.Root
	catalog *catalog.Catalog
	data    *catalog.DataStore
	set     *datastores.Set
	compact *datastores.Compactor
	id      string
	url     string // of the data store
	client  *http.Client
	reads   bool // imports read notes
}

// newSearched serves a data store of inputs.
func newSearched(t *testing.T, inputs ...string) *searched {
	t.Helper()
	r, err := root.Open(t.TempDir(), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	s := &searched{t: t, root: r, catalog: c, data: d, id: d.ID, set: datastores.New(r, c, lake.Options{})}
	t.Cleanup(func() {
		if err := s.set.Close(); err != nil {
			t.Error(err)
		}
	})
	if len(inputs) > 0 {
		s.load(inputs...)
	}
	s.serve()
	return s
}

// load imports files.
func (s *searched) load(inputs ...string) {
	s.t.Helper()
	if err := s.importFiles(inputs...); err != nil {
		s.t.Fatal(err)
	}
}

// importFiles is load for any goroutine.
func (s *searched) importFiles(inputs ...string) error {
	l, err := s.set.Lake(s.id)
	if err != nil {
		return err
	}
	o := bulk.ImportOptions{Root: s.root, Catalog: s.catalog, Datastore: s.data, Lake: l, Inputs: inputs, SearchIndex: true, Memory: 256 << 20}
	if s.reads {
		o.Notes = s.set.Notes(s.id, datastores.ReadAsSet)
	}
	res, err := bulk.Import(s.t.Context(), o)
	if err == nil && res.Rejected > 0 {
		err = fmt.Errorf("import: %+v", res)
	}
	return err
}

// restart closes the data stores and serves them anew, as a process that is started again.
func (s *searched) restart() {
	s.t.Helper()
	if err := s.set.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.set = datastores.New(s.root, s.catalog, lake.Options{})
	s.serve()
}

func (s *searched) serve() {
	s.compact = datastores.NewCompactor(s.set, datastores.CompactorOptions{})
	fhir := datastores.NewFHIR(s.set, s.compact, search.Options{Threads: 2})
	srv := httptest.NewServer(rest.New(rest.Options{DataStore: fhir.DataStore}))
	s.t.Cleanup(srv.Close)
	s.url = srv.URL + "/datastore/" + s.id + "/r4"
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	s.t.Cleanup(s.client.CloseIdleConnections)
}

// searchset is what the tests look at of a Bundle.
type searchset struct {
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct{ FullURL string }
}

// get asks for a URL and reads the Bundle.
func (s *searched) get(url string) (b searchset) {
	s.t.Helper()
	res, err := s.client.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil || res.StatusCode != 200 {
		s.t.Fatalf("%s: %d %.300s %v", url, res.StatusCode, text, err)
	}
	return b
}

// walk gives the URLs of the resources on all pages.
func (s *searched) walk(search string, between func(page int)) (all []string) {
	s.t.Helper()
	for url, n := s.url+"/"+search, 0; url != ""; n++ {
		b := s.get(url)
		for _, e := range b.Entry {
			all = append(all, e.FullURL)
		}
		if url = ""; between != nil {
			between(n)
		}
		for _, l := range b.Link {
			if l.Relation == "next" {
				url = l.URL
			}
		}
	}
	return all
}

// send writes and tells the status; it may be called by many goroutines.
func (s *searched) send(method, path, body string) (int, error) {
	r, err := http.NewRequest(method, s.url+"/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	res, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// beside runs work until the func that it gives is called, which waits for it.
func (s *searched) beside(work ...func(n int) error) (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, f := range work {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := f(n); err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	return func() { stop(); all.Wait() }
}

// TestPagesOverHTTPAreAPermutation reads the pages of searches while what they find is
// changed, deleted, added to and folded in.
func TestPagesOverHTTPAreAPermutation(t *testing.T) {
	s := newSearched(t)
	var want []string
	put := func(id, gender string, n int) error {
		status, err := s.send("PUT", "Patient/"+id, fmt.Sprintf(`{"resourceType":"Patient","id":"%s","gender":"%s","multipleBirthInteger":%d}`, id, gender, n))
		if err == nil && status != 200 && status != 201 {
			err = fmt.Errorf("PUT: %d", status)
		}
		return err
	}
	for round, search := range []string{"Patient?gender=male&_count=7", "Patient?gender=male&_count=7&_sort=-_lastUpdated,_id"} {
		want = want[:0]
		for i := range 90 {
			id := fmt.Sprintf("p%d", i)
			if err := put(id, "male", 1000+round); err != nil {
				t.Fatal(err)
			}
			want = append(want, s.url+"/Patient/"+id)
		}
		slices.Sort(want)
		started := make(chan struct{})
		var once sync.Once
		var end func()
		got := s.walk(search, func(int) {
			once.Do(func() {
				end = s.beside(func(n int) error {
					if n == 10 {
						close(started)
					}
					switch id := fmt.Sprintf("p%d", n*7%90); n % 3 {
					case 0:
						return put(id, "female", n)
					case 1:
						return put(id, "male", n)
					}
					_, err := s.send("DELETE", "Patient/"+fmt.Sprintf("p%d", n*7%90), "")
					return err
				}, func(int) error {
					_, err := s.compact.Compact(context.Background(), s.id, datastores.Request{Workers: 1})
					return err
				})
				<-started
			})
		})
		end()
		slices.Sort(got)
		// Of other states than that of the first page, ids would be lost or twice.
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", search, d)
		}
		for n := range 90 { // resources come back for the next round
			if _, err := s.send("DELETE", fmt.Sprintf("Patient/p%d", n), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSearchesEndWithTheDataStore: who searches while a data store is deleted gets an
// answer, or is told that it is gone.
func TestSearchesEndWithTheDataStore(t *testing.T) {
	s := newSearched(t)
	for i := range 20 {
		if status, err := s.send("PUT", fmt.Sprintf("Patient/p%d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i)); status != 201 {
			t.Fatal(status, err)
		}
	}
	var gone sync.WaitGroup
	begun := make(chan struct{}, 4)
	for range 4 {
		gone.Go(func() {
			for n := 0; ; n++ {
				if n == 1 {
					begun <- struct{}{}
				}
				res, err := s.client.Get(s.url + "/Patient?_sort=-_lastUpdated")
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				switch res.StatusCode {
				case 200:
				case 404:
					return
				case 503:
				default:
					t.Errorf("status %d", res.StatusCode)
					return
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	if _, err := s.set.Delete(s.id); err != nil && !errors.Is(err, catalog.ErrBusy) {
		t.Fatal(err)
	}
	gone.Wait()
}
