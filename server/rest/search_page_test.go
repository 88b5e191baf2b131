package rest_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
)

func TestAPageThatIsTooOldIsGone(t *testing.T) {
	s := newServer(t, nil)
	for i := range 3 {
		if w := s.do(t, "PUT", fmt.Sprintf("/Patient/p%d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i)); w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	w := s.do(t, "GET", "/Patient?_count=1", "")
	m := nextToken.FindStringSubmatch(w.Body.String())
	if m == nil {
		t.Fatalf("no link next: %s", w.Body)
	}
	if w := s.do(t, "GET", "/Patient?_count=1&_page="+m[1], ""); w.Code != 200 {
		t.Errorf("at once: %d %s", w.Code, w.Body)
	}
	s.clock.Add(11 * 60)
	w = s.do(t, "GET", "/Patient?_count=1&_page="+m[1], "")
	if w.Code != http.StatusGone || !strings.Contains(w.Body.String(), `"code":"processing"`) || !strings.Contains(w.Body.String(), "begin the search again") {
		t.Errorf("11 minutes later: %d %s, want 410, processing and what to do", w.Code, w.Body)
	}
}

// TestBigPages: a page of several MB is sent as it is made, the same with gzip and
// without, and HEAD sends none of it.
func TestBigPages(t *testing.T) {
	s := newServer(t, nil)
	text := strings.Repeat("some text ", 20_000)
	for i := range 20 {
		body := fmt.Sprintf(`{"resourceType":"Basic","id":"b%d","code":{"text":"%s"}}`, i, text)
		if w := s.do(t, "PUT", fmt.Sprintf("/Basic/b%d", i), body); w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	get := func(method, coding string) (*http.Response, string) {
		r, err := http.NewRequest(method, srv.URL+"/datastore/ds/r4/Basic", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", coding)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body io.Reader = res.Body
		if res.Header.Get("Content-Encoding") == "gzip" && method != "HEAD" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%d %v", res.StatusCode, err)
		}
		return res, string(b)
	}
	_, plain := get("GET", "identity")
	zipped, unzipped := get("GET", "gzip")
	if len(plain) < 20*len(text) || plain != unzipped || zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, and %d with %q", len(plain), len(unzipped), zipped.Header.Get("Content-Encoding"))
	}
	if _, body := get("HEAD", "identity"); body != "" {
		t.Errorf("HEAD: %d bytes", len(body))
	}
	// What is too much for memory is refused.
	text = strings.Repeat("x", 4<<20)
	for i := range 17 {
		body := fmt.Sprintf(`{"resourceType":"Binary","id":"b%d","contentType":"text/plain","data":"%s"}`, i, text)
		if w := s.do(t, "PUT", fmt.Sprintf("/Binary/b%d", i), body, "Content-Type: application/fhir+json"); w.Code != 201 {
			t.Fatal(w.Code)
		}
	}
	if w := s.do(t, "GET", "/Binary?_count=20&_format=json", ""); w.Code != 422 || !strings.Contains(w.Body.String(), `"too-costly"`) {
		t.Errorf("68 MB: %d %.200s", w.Code, w.Body)
	}
	if w := s.do(t, "GET", "/Binary?_count=2", ""); w.Code != 200 || w.Body.Len() < 8<<20 {
		t.Errorf("8 MB: %d %.200s", w.Code, w.Body)
	}
}

// finder is a Searcher that gives what it was told.
type finder struct {
	page search.Page
	err  error
	asks int
}

func (f *finder) Search(context.Context, *query.Query, search.Request) (*search.Page, error) {
	f.asks++
	p := f.page
	return &p, f.err
}

func (f *finder) Marked(context.Context, r4.TypeID) ([]lake.Resource, error) { return nil, f.err }

func TestFailuresOfTheIndex(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
		logged bool
	}{
		{"too costly", outcome.Faultf(outcome.TooCostly, "it took long, at counting"), 422, "too-costly", false},
		{"not indexed", outcome.Faultf(outcome.Unavailable, "the data store is not indexed"), 503, "transient", false},
		{"closed", lake.ErrClosed, 503, "transient", false},
		{"anything else", errors.New("a secret path"), 500, "exception", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			logged, l := log()
			h := handlerOf(t, rest.DataStoreOptions{Store: &fake{}, Search: &finder{err: c.err}, Secret: secret}, new(atomic.Int64), func(o *rest.Options) { o.Log = l })
			for _, w := range []*httptest.ResponseRecorder{
				do(t, h, "GET", "/Patient?name=x", ""), do(t, h, "DELETE", "/Patient?name=x", ""),
				do(t, h, "POST", "/Patient", `{"resourceType":"Patient"}`, "If-None-Exist: name=x"), do(t, h, "GET", "/Patient/p/$everything", ""),
				do(t, h, "GET", "/Patient/$meta", ""), do(t, h, "GET", "/$meta", ""),
			} {
				if body := w.Body.String(); w.Code != c.status || !strings.Contains(body, `"code":"`+c.code+`"`) || strings.Contains(body, "secret") {
					t.Errorf("%d %s, want %d %s and nothing of the cause", w.Code, body, c.status, c.code)
				}
			}
			if got := strings.Contains(logged.String(), "secret"); got != c.logged {
				t.Errorf("the cause is logged: %v, want %v", got, c.logged)
			}
		})
	}
}

func TestADataStoreThatIsNotSearched(t *testing.T) {
	h := serverOf(t, &fake{}, new(atomic.Int64), nil)
	for _, w := range []*httptest.ResponseRecorder{
		do(t, h, "GET", "/Patient?name=x", ""), do(t, h, "PUT", "/Patient?name=x", `{"resourceType":"Patient"}`),
		do(t, h, "POST", "/Patient", `{"resourceType":"Patient"}`, "If-None-Exist: name=x"), do(t, h, "GET", "/Patient/p/$everything", ""),
		do(t, h, "GET", "/Patient/$meta", ""), do(t, h, "GET", "/$meta", ""),
	} {
		if w.Code != 501 {
			t.Errorf("%d %s, want 501", w.Code, w.Body)
		}
	}
	if w := do(t, h, "GET", "/metadata", ""); strings.Contains(w.Body.String(), "search-type") || strings.Contains(w.Body.String(), `"conditionalCreate":true`) {
		t.Error("the CapabilityStatement says that it is searched")
	}
}

// TestWhatIsFoundIsNeverAsItWas: an index that is always a version behind ends in a
// conflict, not in a loop nor in a write of another version.
func TestWhatIsFoundIsNeverAsItWas(t *testing.T) {
	s := newServer(t, nil)
	for _, gender := range []string{"male", "female"} {
		if w := s.do(t, "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p","gender":"`+gender+`"}`); w.Code >= 300 {
			t.Fatal(w.Body)
		}
	}
	old, err := s.lake.ReadVersion(r4.TypePatient, "p", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &finder{page: search.Page{Matches: []lake.Resource{old}}}
	h := handlerOf(t, rest.DataStoreOptions{Store: s.lake, Search: f, Secret: secret}, new(atomic.Int64), nil)
	const bundle = `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient?gender=male"}}]}`
	for _, r := range [][]string{
		{"PUT", "/Patient?gender=male", `{"resourceType":"Patient","active":true}`},
		{"DELETE", "/Patient?gender=male", ""},
		{"DELETE", "/Patient?gender=male&_count=3", ""},
		{"POST", "/", bundle},
	} {
		f.asks = 0
		if w := do(t, h, r[0], r[1], r[2]); w.Code != http.StatusConflict || f.asks < 2 {
			t.Errorf("%s %s: %d %s after %d searches, want 409 after several", r[0], r[1], w.Code, w.Body, f.asks)
		}
	}
	if w := s.do(t, "GET", "/Patient/p", ""); w.Header().Get("Etag") != `W/"2"` {
		t.Errorf("the resource was changed: %s", w.Body)
	}
}

func TestSlowSearchesAreLoggedWithoutValues(t *testing.T) {
	for slow, want := range map[time.Duration]bool{1: true, time.Hour: false} {
		logged, l := log()
		s := newServer(t, func(o *rest.Options) { o.Log, o.SlowSearch = l, slow })
		s.do(t, "GET", "/Patient?name=shaw&organization.name:exact=acme&_sort=-birthdate&shaw=shaw", "")
		text := logged.String()
		if got := strings.Contains(text, "slow search") && strings.Contains(text, "organization.name:exact"); got != want {
			t.Errorf("longer than %s: logged %q", slow, text)
		}
		if strings.Contains(text, "shaw") || strings.Contains(text, "acme") {
			t.Errorf("values are in the log: %s", text)
		}
	}
}
