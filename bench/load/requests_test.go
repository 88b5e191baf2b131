package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
)

// fake serves a data store that answers everything with what its handler says.
func fake(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/datastore/x/r4"
}

func brief(url string, clients ...int) RequestOptions {
	return RequestOptions{URL: url, Clients: clients, Seconds: 0.2}
}

func TestReadAsksForWhatIsInTheInputs(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for file, lines := range map[string][]string{"Patient": {"p1", "p2"}, "Observation": {"o1"}} {
		var b bytes.Buffer
		for _, id := range lines {
			want = append(want, file+"/"+id)
			fmt.Fprintf(&b, `{"resourceType":%q,"id":%q}`+"\n\n", file, id)
		}
		if file == "Patient" {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			w.Write(b.Bytes())
			w.Close()
			file, b = file+".ndjson.gz", z
		} else {
			file += ".ndjson"
		}
		if err := os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	asked := map[string]bool{}
	var answers int64
	o := brief(fake(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		answers++
		asked[strings.TrimPrefix(r.URL.Path, "/datastore/x/r4/")] = true
		if answers%2 == 0 { // chunked
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, strings.Repeat("x", 10_000))
	}), 1, 3)
	o.Inputs = []string{dir}
	res, err := Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	got := []string{}
	for p := range asked {
		got = append(got, p)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if len(res.Runs) != 2 || res.Runs[0].Clients != 1 || res.Runs[1].Clients != 3 {
		t.Fatalf("runs: %+v", res.Runs)
	}
	var counted int64
	for _, r := range res.Runs {
		counted += r.Requests
		l := r.Latency
		if !slices.IsSorted([]float64{0, l.P50, l.P90, l.P99, l.P999, l.Max}) || l.P50 == 0 {
			t.Errorf("the quantiles do not rise: %+v", l)
		}
	}
	if counted > answers {
		t.Errorf("counted %d requests, %d were answered", counted, answers)
	}
}

func TestWriteSendsWholeResources(t *testing.T) {
	var mu sync.Mutex
	counts := map[string]int{}
	o := brief(fake(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceType, ID string
			Entry            []struct {
				FullURL  string
				Resource struct {
					ResourceType, ID string
					Subject          struct{ Reference string }
				}
			}
		}
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &body)
		}
		if err != nil || body.ID != "" {
			t.Errorf("not as a client sends it: %v\n%s", err, text)
		}
		status := http.StatusCreated
		if body.ResourceType == "Bundle" {
			status = http.StatusOK
			if len(body.Entry) != 2 || body.Entry[1].Resource.Subject.Reference != body.Entry[0].FullURL {
				t.Errorf("the observation is not of the patient:\n%s", text)
			}
		}
		mu.Lock()
		counts[r.URL.Path+" "+body.ResourceType]++
		mu.Unlock()
		w.WriteHeader(status)
	}), 2)
	if _, err := Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(counts) != 2 || counts["/datastore/x/r4/Observation Observation"] == 0 || counts["/datastore/x/r4 Bundle"] == 0 {
		t.Errorf("requests: %v", counts)
	}
}

func TestWrongAnswersEndTheBenchmark(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"a status", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "disk full", http.StatusInsufficientStorage)
		}, "create: status 507, want 201: disk full"},
		{"a connection that ends", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusCreated)
		}, "the server ends the connection"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "read answer: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Write(t.Context(), brief(fake(t, tt.handler), 1)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	for base, want := range map[string]string{
		"http://h:81/datastore/x/r4": "h:81", "http://h/r4": "h:80", "https://h/r4": "h:443", "http://[::1]/r4": "[::1]:80",
		"h:80": "", "ftp://h/r4": "", "": "", "http://": "",
	} {
		got, err := newTarget(base)
		if got.host != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", base, got.host, err, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	all := make([]time.Duration, 1000)
	for i := range all {
		all[i] = time.Duration(i+1) * time.Millisecond
	}
	for q, want := range map[float64]float64{.5: 501, .99: 991, .999: 1000, 1: 1000} {
		if got := at(all, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := at(all[:1], .5); got != 1 {
		t.Errorf("of one value: %v", got)
	}
}
