package rest_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

var update = flag.Bool("update", false, "rewrite golden text")

var secret = []byte(strings.Repeat("k", 32))

// server is a handler over a real data store, ds, with ids and times that are the same
// in every run: each request is one second after the one before.
type server struct {
	handler http.Handler
	lake    *lake.Lake
	next    string // token of the last link next
	clock   atomic.Int64
	ids     atomic.Int64
}

func newServer(t testing.TB, change func(*rest.Options)) *server {
	t.Helper()
	s := &server{}
	l, err := lake.Open(t.TempDir(), lake.Options{
		Secret: secret, Now: func() time.Time { return time.Unix(1767225600+s.clock.Load(), 0) },
		Delta: delta.Options{Memory: 1, Reserve: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s.lake = l
	index, err := search.Open(context.Background(), search.Options{Lake: l, Secret: secret, Threads: 1, Now: func() time.Time { return time.Unix(1767225600+s.clock.Load(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := index.Close(); err != nil {
			t.Error(err)
		}
	})
	s.handler = handlerOf(t, rest.DataStoreOptions{Store: l, Search: index, Secret: secret}, &s.ids, change)
	return s
}

// serverOf is a handler over any store, which is not searched.
func serverOf(t testing.TB, store rest.Store, ids *atomic.Int64, change func(*rest.Options)) http.Handler {
	t.Helper()
	return handlerOf(t, rest.DataStoreOptions{Store: store, Secret: secret}, ids, change)
}

func handlerOf(t testing.TB, data rest.DataStoreOptions, ids *atomic.Int64, change func(*rest.Options)) http.Handler {
	t.Helper()
	ds, err := rest.NewDataStore(data)
	if err != nil {
		t.Fatal(err)
	}
	o := rest.Options{
		DataStore: func(id string) (*rest.DataStore, error) {
			if id != "ds" {
				return nil, rest.ErrNoDataStore
			}
			return ds, nil
		},
		BaseURL: "http://lake.test",
		Version: "0.0.0",
		Now:     func() time.Time { return time.Unix(1767225600, 0) },
		NewID:   func() string { return fmt.Sprintf("new-%d", ids.Add(1)) },
	}
	if change != nil {
		change(&o)
	}
	return rest.New(o)
}

// do sends one request; its header lines are "Name: value".
func (s *server) do(t testing.TB, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	s.clock.Add(1)
	return do(t, s.handler, method, path, body, header...)
}

func do(t testing.TB, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://lake.test/datastore/ds/r4"+path, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// shownHeaders are those of an answer that golden text has.
var shownHeaders = []string{"Allow", "Accept-Patch", "Content-Type", "Etag", "Last-Modified", "Location", "Retry-After", "X-Amzn-Healthlake-Validation-Issues", "X-Security-Context"}

func shown(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", w.Code)
	for _, name := range shownHeaders {
		if v := w.Header().Get(name); v != "" && !(name == "Content-Type" && v == "application/fhir+json;charset=utf-8") {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if w.Body.Len() > 0 {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(w.Body.String(), "\n"))
	}
	return b.String()
}

// TestExchanges runs the files of testdata, each on an empty data store. A file has
// exchanges: what they show as a line "# ...", a request with its header and body, a
// line "----", the answer; then a line "====".
func TestExchanges(t *testing.T) {
	files, err := filepath.Glob("testdata/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden text: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, nil)
			var got []string
			for part := range strings.SplitSeq(string(text), "\n====\n") {
				request, _, _ := strings.Cut(part+"\n", "\n----\n")
				request = strings.Trim(request, "\n")
				if request == "" {
					continue
				}
				got = append(got, request+"\n----\n"+s.exchange(t, request))
			}
			result := strings.Join(got, "====\n")
			if *update {
				if err := os.WriteFile(file, []byte(result), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(text), result); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func (s *server) exchange(t *testing.T, request string) string {
	head, body, _ := strings.Cut(request, "\n\n")
	lines := slices.DeleteFunc(strings.Split(head, "\n"), func(l string) bool { return strings.HasPrefix(l, "#") })
	method, path, ok := strings.Cut(lines[0], " ")
	if !ok {
		t.Fatalf("%q is no request", lines[0])
	}
	answer := s.do(t, method, strings.ReplaceAll(path, "TOKEN", s.next), body, lines[1:]...)
	text := shown(answer)
	// A batch that reads a resource twice gives it twice, which bdl-7 does not like.
	if body := answer.Body.Bytes(); bytes.Contains(body, []byte(`"Bundle"`)) && !bytes.Contains(body, []byte(`"batch-response"`)) {
		expectValid(t, answer.Body.Bytes())
	}
	// Tokens differ from run to run. The last one of a link next is TOKEN in a request.
	if m := nextToken.FindStringSubmatch(text); m != nil {
		s.next = m[1]
	}
	return pageToken.ReplaceAllString(text, "_page=TOKEN")
}

// expectValid checks a Bundle by the rules of R4, but for the resources in it: some are
// stored with faults.
func expectValid(t *testing.T, text []byte) {
	t.Helper()
	tree := &fhir.Tree{}
	tree.Reset(text)
	res := parse.NewParser().Parse(tree, 0, uint32(len(text)))
	issues := slices.Clone(res.Issues)
	v, err := validate.NewValidator(validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range append(issues, v.Validate(tree, res.Root)...) {
		if is.Severity <= fhir.Error && !strings.Contains(is.Expression, ".resource") {
			t.Errorf("%s: %s in %.300s", is.Expression, is.Diagnostics, text)
		}
	}
}

var (
	pageToken = regexp.MustCompile(`_page=[\w-]{60,}`)
	nextToken = regexp.MustCompile(`"next",\s*"url":\s*"[^"]*_page=([\w-]{60,})`)
)
