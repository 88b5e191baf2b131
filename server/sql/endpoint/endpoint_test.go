package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/fhirlake/fhirlake/server/sql"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

const id = "0123456789abcdef0123456789abcdef"

// serve serves an empty data store.
func serve(t *testing.T, change func(*Options)) (url string, log *bytes.Buffer) {
	t.Helper()
	store, err := snapshot.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log = &bytes.Buffer{}
	o := Options{Log: slog.New(slog.NewTextHandler(log, nil)), State: func(_ context.Context, asked string) (*sql.State, error) {
		if asked != id {
			return nil, ErrNoDataStore
		}
		return sql.Snapshot(store, sql.Options{
			Memory: 256 << 20, TempDir: func() (string, func(), error) { return t.TempDir(), func() {}, nil },
		})
	}}
	if change != nil {
		change(&o)
	}
	s := httptest.NewServer(New(o).Before(http.NotFoundHandler()))
	t.Cleanup(s.Close)
	return s.URL + "/datastore/" + id + "/sql", log
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func post(t *testing.T, url, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

const twoRows = "SELECT range AS n FROM range(2)"

func TestTheClientSaysInWhichForm(t *testing.T) {
	url, _ := serve(t, nil)
	const asJSON, asLines, asCSV = "[\n{\"n\":0},\n{\"n\":1}\n]\n", "{\"n\":0}\n{\"n\":1}\n", "n\n0\n1\n"
	for name, tc := range map[string]struct {
		url, body string
		header    []string
		kind      string
		want      string
	}{
		"nothing":               {url, twoRows, nil, "application/json", asJSON},
		"anything":              {url, twoRows, []string{"Accept", "*/*"}, "application/json", asJSON},
		"lines":                 {url, twoRows, []string{"Accept", "application/x-ndjson"}, "application/x-ndjson", asLines},
		"csv":                   {url, twoRows, []string{"Accept", "text/csv"}, "text/csv; charset=utf-8; header=present", asCSV},
		"the best":              {url, twoRows, []string{"Accept", "application/json;q=0.5, text/csv;q=0.9, */*;q=0.1"}, "text/csv; charset=utf-8; header=present", asCSV},
		"all but JSON":          {url, twoRows, []string{"Accept", "application/json;q=0, application/*"}, "application/x-ndjson", asLines},
		"two headers":           {url, twoRows, []string{"Accept", "text/html", "Accept", "text/csv"}, "text/csv; charset=utf-8; header=present", asCSV},
		"in the URL":            {url + "?format=csv", twoRows, []string{"Accept", "application/json"}, "text/csv; charset=utf-8; header=present", asCSV},
		"in the body":           {url, `{"query":"` + twoRows + `","format":"ndjson"}`, []string{"Content-Type", "application/json"}, "application/x-ndjson", asLines},
		"query alone in a body": {url, `{"query":"` + twoRows + `"}`, []string{"Content-Type", "application/json; charset=utf-8"}, "application/json", asJSON},
		"as curl sends it":      {url, twoRows, []string{"Content-Type", "application/x-www-form-urlencoded"}, "application/json", asJSON},
		"with a semicolon":      {url, twoRows + ";\n", []string{"Content-Type", "application/sql"}, "application/json", asJSON},
	} {
		a := post(t, tc.url, tc.body, tc.header...)
		if a.status != 200 || a.body != tc.want || a.header.Get("Content-Type") != tc.kind {
			t.Errorf("%s: %d %s %q, want %s %q", name, a.status, a.header.Get("Content-Type"), a.body, tc.kind, tc.want)
		}
	}
	if a := post(t, url, twoRows, "Accept", "application/vnd.apache.parquet"); a.status != 200 || !strings.HasPrefix(a.body, "PAR1") {
		t.Errorf("parquet: %d %.20q", a.status, a.body)
	}
	a := post(t, url, "FROM range(100000)", "Accept", "application/vnd.apache.arrow.stream")
	r, err := ipc.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatalf("arrow: %d, %v", a.status, err)
	}
	defer r.Release()
	n := int64(0)
	for r.Next() {
		n += r.RecordBatch().NumRows()
	}
	if n != 100000 || r.Err() != nil {
		t.Errorf("arrow: %d rows, %v", n, r.Err())
	}
}

func TestFaultsAreOutcomes(t *testing.T) {
	url, log := serve(t, func(o *Options) { o.Timeout = 300 * time.Millisecond })
	for name, tc := range map[string]struct {
		url, body string
		header    []string
		status    int
		want      string
	}{
		"another data store": {strings.Replace(url, id, "fedcba98765432100123456789abcdef", 1), twoRows, nil, 404, "there is no data store"},
		"no table":           {url, "FROM Patients", nil, 400, "there is no table Patients; did you mean Patient?"},
		"no query":           {url, "DELETE FROM Patient", nil, 400, "only queries can be run here"},
		"files":              {url, "FROM read_csv('/etc/passwd')", nil, 400, ""},
		"empty":              {url, " \n", nil, 400, "the query is empty"},
		"two":                {url, "SELECT 1; SELECT 2", nil, 400, "2 statements where one is expected"},
		"no JSON":            {url, "SELECT 1", []string{"Content-Type", "application/json"}, 400, "the body is not as expected"},
		"other members":      {url, `{"query":"SELECT 1","limit":3}`, []string{"Content-Type", "application/json"}, 400, "limit"},
		"a type":             {url, "<query/>", []string{"Content-Type", "text/xml"}, 415, "is not understood"},
		"no such form":       {url, twoRows, []string{"Accept", "text/html"}, 406, "no result is of a type"},
		"nothing at all":     {url, twoRows, []string{"Accept", "*/*;q=0"}, 406, "no result is of a type"},
		"no such format":     {url + "?format=table", twoRows, nil, 406, `format "table"`},
		"too long":           {url, "SELECT '" + strings.Repeat("x", maxQuery) + "'", nil, 413, "has more than"},
		"too slow":           {url, "SELECT count(*) FROM range(100000000000) a WHERE hash(a.range) % 7 = 3", nil, 422, "took longer than 300ms"},
	} {
		a := post(t, tc.url, tc.body, tc.header...)
		var o struct {
			ResourceType string `json:"resourceType"`
			Issue        []struct{ Diagnostics string }
		}
		if err := json.Unmarshal([]byte(a.body), &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) != 1 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
			continue
		}
		if a.status != tc.status || !strings.Contains(o.Issue[0].Diagnostics, tc.want) {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, o.Issue[0].Diagnostics, tc.status, tc.want)
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", log)
	}
	if a := post(t, strings.Replace(url, id, "..%2F"+id, 1), twoRows); a.status != 404 {
		t.Errorf("an id with a slash: %d %s", a.status, a.body)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %s", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestAFailureOfOursIsLoggedWithoutTheQuery(t *testing.T) {
	url, log := serve(t, func(o *Options) {
		o.State = func(context.Context, string) (*sql.State, error) { return nil, errors.New("disk on fire") }
	})
	a := post(t, url, "SELECT 'Mrs Secret'")
	if a.status != 500 || strings.Contains(a.body, "fire") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !strings.Contains(log.String(), "disk on fire") || strings.Contains(log.String(), "Secret") {
		t.Errorf("log: %s", log)
	}
}

func TestAResultThatFailsHalfwayBreaksOff(t *testing.T) {
	url, _ := serve(t, nil)
	a := post(t, url, "SELECT CAST(CASE WHEN range < 900000 THEN '1' ELSE 'x' END AS INTEGER) AS n FROM range(1000000)", "Accept", "text/csv")
	if a.status != 200 || a.err == nil {
		t.Errorf("status %d, %d bytes, error %v: a client would take it for the whole result", a.status, len(a.body), a.err)
	}
}

func TestAQueryEndsWhenItsClientGoes(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	store, err := snapshot.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := New(Options{State: func(context.Context, string) (*sql.State, error) {
		close(asked)
		return sql.Snapshot(store, sql.Options{Memory: 256 << 20, TempDir: func() (string, func(), error) { return t.TempDir(), func() {}, nil }})
	}})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		h.ServeHTTP(w, r)
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/datastore/"+id+"/sql", strings.NewReader("SELECT count(*) FROM range(100000000000) a WHERE hash(a.range) % 7 = 3"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
		t.Errorf("status %d", resp.StatusCode)
	}
	<-ended // or the test takes too long
}
