package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/store/lake"
)

// fake is a store that fails, or waits.
type fake struct {
	rest.Store
	err    error
	wait   chan struct{}
	begun  chan struct{}
	erased []string
}

func (f *fake) Read(_ r4.TypeID, id string, _ []byte) (lake.Resource, error) {
	if id == "panic" {
		panic("a secret")
	}
	if f.begun != nil {
		f.begun <- struct{}{}
		<-f.wait
	}
	return lake.Resource{JSON: []byte(`{"resourceType":"Patient","id":"p"}`)}, f.err
}

func (f *fake) Commit(ctx context.Context, _ []lake.Write) ([]lake.Outcome, error) {
	if f.wait != nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, f.err
}

func (f *fake) History(_ lake.HistoryQuery, give func(*lake.Resource) error) (lake.Token, int64, error) {
	big := lake.Resource{JSON: []byte(`{"resourceType":"Patient","id":"p","language":"` + strings.Repeat("x", 100_000) + `"}`)}
	for range 2 {
		if err := give(&big); err != nil {
			return "", 0, err
		}
	}
	return "", 0, f.err
}

func (f *fake) Erase(_ context.Context, t r4.TypeID, id string) error {
	f.erased = append(f.erased, t.String()+"/"+id)
	return f.err
}

func (f *fake) Purge(_ context.Context, patient string) error {
	f.erased = append(f.erased, "all of "+patient)
	return f.err
}

// log is a log that a test reads.
func log() (*bytes.Buffer, *slog.Logger) {
	var b bytes.Buffer
	return &b, slog.New(slog.NewTextHandler(&b, nil))
}

func TestFailuresOfTheStore(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
		logged bool
	}{
		{"disk full", fmt.Errorf("write: %w", lake.ErrNoSpace), 507, "no-store", false},
		{"read-only", lake.ErrReadOnly, 503, "transient", false},
		{"closed", lake.ErrClosed, 503, "transient", false},
		{"anything else", errors.New("a secret path"), 500, "exception", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			logged, l := log()
			h := serverOf(t, &fake{err: c.err}, new(atomic.Int64), func(o *rest.Options) { o.Log = l })
			for _, w := range []*httptest.ResponseRecorder{do(t, h, "GET", "/Patient/p", ""), do(t, h, "DELETE", "/Patient/p", "")} {
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

func TestBodyLimit(t *testing.T) {
	s := newServer(t, nil)
	resource := func(n int) string {
		return `{"resourceType":"Binary","contentType":"text/plain","data":"` + strings.Repeat("QUJD", n/4) + `"}`
	}
	zip := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.String()
	}
	const fhir = "Content-Type: application/fhir+json"
	for _, c := range []struct {
		name   string
		body   string
		header []string
		status int
	}{
		{"within", resource(4 << 20), []string{fhir}, 201},
		{"beyond", resource(6 << 20), []string{fhir}, 413},
		{"zipped, within", zip(resource(4 << 20)), []string{fhir, "Content-Encoding: gzip"}, 201},
		{"zipped, beyond when unzipped", zip(resource(8 << 20)), []string{fhir, "Content-Encoding: gzip"}, 413},
		{"zipped, cut off", zip(resource(4 << 20))[:1000], []string{fhir, "Content-Encoding: gzip"}, 400},
	} {
		if w := s.do(t, "POST", "/Binary", c.body, c.header...); w.Code != c.status {
			t.Errorf("%s: status %d %.200s, want %d", c.name, w.Code, w.Body, c.status)
		}
	}
	r := httptest.NewRequest("POST", "/datastore/ds/r4/Binary", strings.NewReader(resource(6<<20)))
	r.Header.Set("Content-Type", "application/fhir+json")
	r.ContentLength = -1 // chunked
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("chunked: status %d, want 413", w.Code)
	}
}

func TestConcurrencyLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rest.Options)
		status int
	}{
		{"of all", func(o *rest.Options) { o.Concurrent = 1 }, 503},
		{"of a client", func(o *rest.Options) { o.PerClient = 1 }, 429},
	} {
		f := &fake{begun: make(chan struct{}), wait: make(chan struct{})}
		h := serverOf(t, f, new(atomic.Int64), c.change)
		first := make(chan int)
		go func() { first <- do(t, h, "GET", "/Patient/p", "").Code }()
		<-f.begun
		w := do(t, h, "GET", "/Patient/p", "")
		if w.Code != c.status || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: status %d, Retry-After %q; want %d and 1", c.name, w.Code, w.Header().Get("Retry-After"), c.status)
		}
		close(f.wait)
		if got := <-first; got != 200 {
			t.Errorf("%s: the first request: status %d", c.name, got)
		}
		f.begun = nil
		if w := do(t, h, "GET", "/Patient/p", ""); w.Code != 200 {
			t.Errorf("%s: afterwards: status %d", c.name, w.Code)
		}
	}
}

func TestTimeout(t *testing.T) {
	h := serverOf(t, &fake{wait: make(chan struct{})}, new(atomic.Int64), func(o *rest.Options) { o.Timeout = time.Millisecond })
	if w := do(t, h, "DELETE", "/Patient/p", ""); w.Code != 503 || !strings.Contains(w.Body.String(), `"timeout"`) {
		t.Errorf("%d %s, want 503 timeout", w.Code, w.Body)
	}
}

func TestEraseOfAStoreThatCan(t *testing.T) {
	f := &fake{}
	h := serverOf(t, f, new(atomic.Int64), nil)
	if w := do(t, h, "POST", "/Patient/p/$erase", ""); w.Code != 204 || len(f.erased) != 1 || f.erased[0] != "Patient/p" {
		t.Errorf("status %d, erased %v", w.Code, f.erased)
	}
	if w := do(t, h, "GET", "/Patient/p/$erase", ""); w.Code != 405 {
		t.Errorf("GET: status %d, want 405", w.Code)
	}
	if w := do(t, h, "POST", "/Patient/p/$purge", ""); w.Code != 204 || f.erased[len(f.erased)-1] != "all of p" {
		t.Errorf("purge: status %d, erased %v", w.Code, f.erased)
	}
	if w := do(t, h, "POST", "/Observation/p/$purge", ""); w.Code != 404 {
		t.Errorf("purge of no patient: status %d, want 404", w.Code)
	}
	f.err = lake.ErrNotFound
	for _, op := range []string{"$erase", "$purge"} {
		if w := do(t, h, "POST", "/Patient/q/"+op, ""); w.Code != 404 {
			t.Errorf("%s of what never existed: status %d, want 404", op, w.Code)
		}
	}
}

// A history that fails after the answer has begun must not look whole.
func TestBrokenHistory(t *testing.T) {
	logged, l := log()
	h := serverOf(t, &fake{err: errors.New("broken")}, new(atomic.Int64), func(o *rest.Options) { o.Log = l })
	srv := httptest.NewServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	res, err := http.Get(srv.URL + "/datastore/ds/r4/Patient/_history")
	if err == nil { // else the connection was cut before the header was out
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%d bytes were read without an error", len(b))
		}
	}
	srv.Close() // waits for the handler
	if !strings.Contains(logged.String(), "broken") {
		t.Error("the cause is not logged")
	}
	if w := do(t, h, "GET", "/Patient/_history?_pretty=true", ""); w.Code != 500 {
		t.Errorf("whole in memory: status %d, want 500", w.Code)
	}
}

// A panic of an entry is that of a goroutine of ours.
func TestPanicOfAnEntry(t *testing.T) {
	for _, header := range [][]string{nil, {respondAsync}} {
		logged, l := log()
		h := serverOf(t, &fake{}, new(atomic.Int64), func(o *rest.Options) { o.Log = l })
		w := do(t, h, "POST", "/", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/panic"}},{"request":{"method":"GET","url":"Patient/p"}}]}`, header...)
		if err := h.(*rest.Handler).Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at := w.Header().Get("Content-Location"); at != "" {
			_, path, _ := strings.Cut(at, "/r4")
			w = do(t, h, "GET", path, "")
		}
		if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "500 Internal Server Error") || !strings.Contains(body, `"id":"p"`) || strings.Contains(body+logged.String(), "secret") {
			t.Errorf("%d %s\n%s", w.Code, body, logged)
		}
	}
}

// TestIDThatIsMadeTwice: what has an id is not written over by a create.
func TestIDThatIsMadeTwice(t *testing.T) {
	s := newServer(t, func(o *rest.Options) { o.NewID = func() string { return "twice" } })
	if w := s.do(t, "POST", "/Patient", `{"resourceType":"Patient","active":true}`); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	create := `{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}`
	for _, w := range []*httptest.ResponseRecorder{
		s.do(t, "POST", "/Patient", `{"resourceType":"Patient"}`),
		s.do(t, "POST", "/", `{"resourceType":"Bundle","type":"transaction","entry":[`+create+`]}`),
		s.do(t, "POST", "/", `{"resourceType":"Bundle","type":"batch","entry":[`+create+`]}`),
	} {
		if body := w.Body.String(); !strings.Contains(body, "is in use") || w.Code != 409 && !strings.Contains(body, "409 Conflict") {
			t.Errorf("%d %s, want 409", w.Code, body)
		}
	}
	if w := s.do(t, "GET", "/Patient/twice", ""); !strings.Contains(w.Body.String(), `"versionId":"1"`) || !strings.Contains(w.Body.String(), "true") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestBundleLimits(t *testing.T) {
	s := newServer(t, nil)
	for _, c := range []struct {
		kind   string
		n      int
		status int
	}{
		{"transaction", capability.MaxTransaction, 200},
		{"transaction", capability.MaxTransaction + 1, 422},
		{"batch", capability.MaxBatch, 200},
		{"batch", capability.MaxBatch + 1, 422},
	} {
		entries := strings.TrimSuffix(strings.Repeat(`{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},`, c.n), ",")
		w := s.do(t, "POST", "", `{"resourceType":"Bundle","type":"`+c.kind+`","entry":[`+entries+`]}`)
		if w.Code != c.status {
			t.Errorf("%s of %d: status %d, want %d: %.200s", c.kind, c.n, w.Code, c.status, w.Body)
		}
	}
}

// TestOverHTTP checks what a recorder cannot see.
func TestOverHTTP(t *testing.T) {
	s := newServer(t, nil)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirected") },
		Transport:     &http.Transport{DisableCompression: true},
	}
	get := func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	for path, status := range map[string]int{
		"/datastore/ds/r4": 200, "/datastore/ds/r4/": 200, "/datastore/ds/r4/metadata": 200, "/datastore/ds/r4/metadata/": 200,
		"/datastore/no/r4/metadata": 404, "/datastore/ds/r5/metadata": 404, "/datastore/ds": 404, "/": 404,
		"/datastore/ds//r4/metadata": 404, "/datastore/ds/r4/../r4/metadata": 404,
	} {
		res, body := get("GET", path)
		if res.StatusCode != status || !strings.HasPrefix(body, `{"resourceType":`) || res.Header.Get("Content-Type") != "application/fhir+json;charset=utf-8" {
			t.Errorf("%s: %d %s %.80s, want %d and a resource", path, res.StatusCode, res.Header.Get("Content-Type"), body, status)
		}
	}
	plain, body := get("GET", "/datastore/ds/r4/metadata")
	zipped, z := get("GET", "/datastore/ds/r4/metadata", "Accept-Encoding", "br, gzip;q=0.5")
	if plain.Header.Get("Content-Encoding") != "" || zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("encodings %q and %q", plain.Header.Get("Content-Encoding"), zipped.Header.Get("Content-Encoding"))
	}
	r, err := gzip.NewReader(strings.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != body {
		t.Errorf("unzipped it is another one: %v", err)
	}
	if refused, _ := get("GET", "/datastore/ds/r4/metadata", "Accept-Encoding", "gzip;q=0"); refused.Header.Get("Content-Encoding") != "" {
		t.Error("gzip was refused and is used")
	}
	if res, b := get("HEAD", "/datastore/ds/r4/metadata"); b != "" || res.ContentLength != int64(len(body)) {
		t.Errorf("HEAD: %d bytes, Content-Length %d, want 0 and %d", len(b), res.ContentLength, len(body))
	}
}

// TestManyClients writes and reads few resources from many goroutines.
func TestManyClients(t *testing.T) {
	s := newServer(t, nil)
	var wg sync.WaitGroup
	var created atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("p%d", i%3)
				patient := fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d}`, id, g*100+i)
				for _, w := range []*httptest.ResponseRecorder{
					s.do(t, "PUT", "/Patient/"+id, patient),
					s.do(t, "GET", "/Patient/"+id, ""),
					s.do(t, "PATCH", "/Patient/"+id, `[{"op":"add","path":"/active","value":true}]`, "Content-Type: application/json-patch+json"),
					s.do(t, "POST", "/", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":`+patient+`,"request":{"method":"PUT","url":"Patient/`+id+`"}},{"request":{"method":"GET","url":"Patient/`+id+`"}}]}`),
					s.do(t, "GET", "/Patient/"+id+"/_history?_count=2&_elements=active", ""),
				} {
					if w.Code >= 400 {
						t.Errorf("status %d: %s", w.Code, w.Body)
					}
				}
				if i == 0 {
					w := s.do(t, "PUT", "/Patient/single", `{"resourceType":"Patient","id":"single"}`, "If-None-Match: *")
					if w.Code == 201 {
						created.Add(1)
					} else if w.Code != 412 {
						t.Errorf("create only: status %d", w.Code)
					}
				}
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 {
		t.Errorf("%d creates of one resource won", created.Load())
	}
}
