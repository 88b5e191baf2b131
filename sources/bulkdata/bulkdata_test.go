package bulkdata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sources/ndjson"
)

// server is another FHIR server.
type server struct {
	*httptest.Server
	polls   atomic.Int64
	deleted atomic.Bool
	files   map[string]string // by path
	tokens  bool              // files need the token

	mu      sync.Mutex
	handle  map[string]http.HandlerFunc // instead of the usual, by path
	bearers map[string]string           // what came with the last request, by path
}

func newServer(t *testing.T, files map[string]string) *server {
	s := &server{files: files, handle: map[string]http.HandlerFunc{}, bearers: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.bearers[r.URL.Path] = r.Header.Get("Authorization")
	h := s.handle[r.URL.Path]
	s.mu.Unlock()
	switch {
	case h != nil:
		h(w, r)
	case r.URL.Path == "/fhir/$export" || r.URL.Path == "/fhir/Group/7/$export":
		if r.Header.Get("Prefer") != "respond-async" || r.Header.Get("Accept") != "application/fhir+json" {
			w.WriteHeader(400)
			return
		}
		w.Header().Set("Content-Location", "/fhir/jobs/1?q="+r.URL.Query().Get("_type"))
		w.WriteHeader(202)
	case r.URL.Path == "/fhir/jobs/1" && r.Method == http.MethodDelete:
		s.deleted.Store(true)
		w.WriteHeader(202)
	case r.URL.Path == "/fhir/jobs/1":
		if s.polls.Add(1) < 3 {
			w.Header().Set("X-Progress", "halfway")
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(202)
			return
		}
		s.manifest(w)
	case s.files[r.URL.Path] != "":
		w.Header().Set("Content-Type", "application/fhir+ndjson")
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader(s.files[r.URL.Path]))
	default:
		http.NotFound(w, r)
	}
}

func (s *server) manifest(w http.ResponseWriter) {
	var out []string
	for _, path := range []string{"/files/a", "/files/b", "/files/c"} {
		if s.files[path] != "" {
			out = append(out, fmt.Sprintf(`{"type":"Patient","url":"%s","count":3}`, s.URL+path))
		}
	}
	fmt.Fprintf(w, `{"transactionTime":"2026-01-02T03:04:05Z","request":"x","requiresAccessToken":%v,"output":[%s],"error":[]}`, s.tokens, strings.Join(out, ","))
}

var quick = Options{Pause: time.Millisecond, Attempts: 3}

// load reads all files of an export.
func load(t *testing.T, e *Export) (lines []string, err error) {
	t.Helper()
	src := ndjson.New(e.Objects(), ndjson.Options{})
	err = pipetest.Collect(context.Background(), src, func(b *pipeline.Batch) {
		for i := range b.Records {
			lines = append(lines, b.Records[i].File.Name+" "+string(b.Line(&b.Records[i])))
		}
	})
	return lines, errors.Join(err, src.Close())
}

func TestAnExportIsAskedForAwaitedAndRead(t *testing.T) {
	s := newServer(t, map[string]string{"/files/a": "1\n2\n", "/files/b": "3\n"})
	var notes []string
	o := quick
	o.Note = func(text string) { notes = append(notes, text) }
	e, err := Start(context.Background(), s.URL+"/fhir/", o)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := load(t, e)
	if got := strings.Join(lines, ","); err != nil || got != "Patient-0.ndjson 1,Patient-0.ndjson 2,Patient-1.ndjson 3" {
		t.Errorf("%s, %v", got, err)
	}
	if e.TransactionTime() != "2026-01-02T03:04:05Z" || len(notes) != 2 || notes[0] != "the other server is exporting: halfway" {
		t.Errorf("time %s, notes %q", e.TransactionTime(), notes)
	}
	if err := e.Delete(context.Background()); err != nil || !s.deleted.Load() {
		t.Errorf("deleted: %v, %v", s.deleted.Load(), err)
	}
}

func TestWhatAURLMeans(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/fhir":                               "https://h/fhir/$export",
		"https://h/fhir/":                              "https://h/fhir/$export",
		"HTTPS://h/fhir/Patient?_type=Patient":         "https://h/fhir/Patient/$export?_type=Patient",
		"https://h/fhir/Group/7/$export?_since=2020#x": "https://h/fhir/Group/7/$export?_since=2020",
		"https:///fhir":                                "",
	} {
		got, err := kickOff(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestTheTokenGoesWhereItIsNeeded(t *testing.T) {
	for _, needed := range []bool{true, false} {
		s := newServer(t, map[string]string{"/files/a": "1\n"})
		s.tokens = needed
		n := 0
		o := quick
		o.Token = func() (string, error) { n++; return fmt.Sprintf("t%d", n), nil }
		e, err := Start(context.Background(), s.URL+"/fhir/Group/7/$export", o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := load(t, e); err != nil {
			t.Fatal(err)
		}
		if s.bearers["/fhir/Group/7/$export"] != "Bearer t1" || s.bearers["/fhir/jobs/1"] != "Bearer t4" {
			t.Errorf("tokens: %v", s.bearers)
		}
		if got := s.bearers["/files/a"]; (got != "") != needed {
			t.Errorf("needed %v: files were asked for with %q", needed, got)
		}
	}
}

func TestADownloadThatBreaksOffGoesOn(t *testing.T) {
	text := strings.Repeat("some resource\n", 50_000)
	for _, parts := range []bool{true, false} {
		s := newServer(t, map[string]string{"/files/a": text})
		var n atomic.Int64
		s.handle["/files/a"] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			whole := text
			if from := int64(0); parts && r.Header.Get("Range") != "" {
				fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
				whole = text[from:]
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
				w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
				w.WriteHeader(http.StatusPartialContent)
			} else {
				w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			}
			if n.Add(1)%2 == 1 && len(whole) > 200_000 { // breaks off, also in the middle of a line
				w.Write([]byte(whole[:len(whole)/3+1]))
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			w.Write([]byte(whole))
		}
		e, err := Start(context.Background(), s.URL+"/fhir", quick)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := load(t, e)
		if err != nil || len(lines) != 50_000 || lines[49_999] != "Patient-0.ndjson some resource" {
			t.Errorf("in parts %v: %d lines, %v", parts, len(lines), err)
		}
	}
}

func TestWhatGoesWrongIsNamed(t *testing.T) {
	answer := func(status int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		path string
		h    http.HandlerFunc
		want string
	}{
		"not allowed":     {"/fhir/$export", answer(401, "", "", `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"no token"}]}`), "401 Unauthorized: no token; give an access token"},
		"no such server":  {"/fhir/$export", answer(404, "", "", ""), "see that this is the base of a server of FHIR Bulk Data Access"},
		"a page":          {"/fhir/$export", answer(200, "Content-Type", "text/html", "<html>"), "this is a page for people"},
		"nowhere":         {"/fhir/$export", answer(202, "", "", ""), "does not say where to ask for it (Content-Location)"},
		"fails":           {"/fhir/jobs/1", answer(500, "", "", `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"out of disk"}]}`), "500 Internal Server Error: out of disk"},
		"busy for ever":   {"/fhir/jobs/1", answer(503, "", "", ""), "503 Service Unavailable"},
		"no list":         {"/fhir/jobs/1", answer(200, "", "", "done"), "is not that of a bulk export"},
		"a file of disks": {"/fhir/jobs/1", answer(200, "", "", `{"output":[{"type":"Patient","url":"file:///etc/passwd"}]}`), "has no URL that can be read here"},
		"file gone":       {"/files/a", answer(404, "", "", ""), "404 Not Found"},
		"file refused":    {"/files/a", answer(403, "", "", ""), "give an access token"},
		"file overloaded": {"/files/a", answer(503, "", "", ""), "the file breaks off at byte 0: the server answers 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, map[string]string{"/files/a": "1\n"})
			s.handle[tc.path] = tc.h
			e, err := Start(context.Background(), s.URL+"/fhir", quick)
			if err == nil {
				_, err = load(t, e)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Count(err.Error(), s.URL) > 1 {
				t.Errorf("error: %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := Start(context.Background(), "http://127.0.0.1:1/fhir", quick); err == nil || !strings.Contains(err.Error(), "see the URL, and that the server can be reached") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestAnExportThatNobodyWaitsForIsCanceled(t *testing.T) {
	s := newServer(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.handle["/fhir/jobs/1"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			s.deleted.Store(true)
		}
		w.WriteHeader(202)
		cancel()
	}
	if _, err := Start(ctx, s.URL+"/fhir", quick); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	if !s.deleted.Load() {
		t.Error("the other server goes on")
	}
}

func TestTheTokenDoesNotFollowToAnotherHost(t *testing.T) {
	other := newServer(t, nil)
	s := newServer(t, nil)
	s.handle["/fhir/$export"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Location", strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/fhir/jobs/1")
		w.WriteHeader(202)
	}
	o := quick
	o.Token = func() (string, error) { return "secret", nil }
	if _, err := Start(context.Background(), s.URL+"/fhir", o); err != nil {
		t.Fatal(err)
	}
	if s.bearers["/fhir/$export"] != "Bearer secret" || other.bearers["/fhir/jobs/1"] != "" {
		t.Errorf("tokens: %v, the other host got %v", s.bearers, other.bearers)
	}
}

func TestAPartThatIsAnotherOneIsRefused(t *testing.T) {
	s := newServer(t, map[string]string{"/files/a": "x"})
	text := strings.Repeat("some resource\n", 50_000)
	s.handle["/files/a"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			w.Write([]byte(text[:300_000]))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(text)-1, len(text)))
		w.WriteHeader(http.StatusPartialContent)
		w.Write([]byte(text))
	}
	e, err := Start(context.Background(), s.URL+"/fhir", quick)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, e); err == nil || !strings.Contains(err.Error(), "the server gives the part") {
		t.Errorf("error: %v", err)
	}
}

func TestAFileThatChangesIsNotMixed(t *testing.T) {
	s := newServer(t, map[string]string{"/files/a": "x"})
	var n atomic.Int64
	s.handle["/files/a"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n.Add(1)))
		w.Write([]byte(strings.Repeat("x\n", 100_000)))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	e, err := Start(context.Background(), s.URL+"/fhir", quick)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, e); err == nil || !strings.Contains(err.Error(), "the file changed while it was read") {
		t.Errorf("error: %v", err)
	}
}
