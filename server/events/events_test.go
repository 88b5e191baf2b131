package events

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/catalog"
)

var monday = time.Date(2026, 1, 5, 12, 0, 0, 161e6, time.UTC)

func example() (*catalog.DataStore, *catalog.Job) {
	d := &catalog.DataStore{Properties: catalog.Properties{
		ID: strings.Repeat("d", 32), Name: "wards", TypeVersion: "R4", Endpoint: "http://127.0.0.1:8080/datastore/d/r4/",
		ARN: "arn:aws:healthlake:eu-west-1:123456789012:datastore/fhir/" + strings.Repeat("d", 32),
	}, HashKey: "secret", ClientToken: "token"}
	j := &catalog.Job{Kind: catalog.Import}
	j.ID, j.DatastoreID, j.SubmitTime = strings.Repeat("e", 32), d.ID, catalog.At(monday)
	j.Input = json.RawMessage(`{"S3Uri":"s3://in/some"}`)
	return d, j
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	o.Now = func() time.Time { return monday }
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func lines(t *testing.T, name string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, line)
	}
	return all
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	d, j := example()
	for _, d.Status = range []string{catalog.StatusActive, catalog.StatusDeleting, catalog.StatusDeleted} {
		l.DataStoreChanged(d)
	}
	all := []string{catalog.JobSubmitted, catalog.JobInProgress, catalog.JobCompleted, catalog.JobCompletedWithErrors, catalog.JobFailed, catalog.JobCancelCompleted}
	for _, j.Status = range all {
		l.JobChanged(j, d)
	}
	j.Kind, j.Input, j.Output = catalog.Export, nil, json.RawMessage(`{"S3Configuration":{"S3Uri":"s3://out"}}`)
	for _, j.Status = range all {
		l.JobChanged(j, d)
	}
	j.Kind = catalog.Preload
	l.JobChanged(j, d)
	found := lines(t, filepath.Join(dir, "events.ndjson"))
	var got []string
	for _, line := range found {
		got = append(got, line["detail-type"].(string))
	}
	want := []string{
		"Data Store Creating", "Data Store Active", "Data Store Deleting", "Data Store Deleted",
		"Import Job Submitted", "Import Job In Progress", "Import Job Completed", "Import Job Completed With Errors", "Import Job Failed",
		"Export Job Submitted", "Export Job In Progress", "Export Job Completed", "Export Job Completed With Errors", "Export Job Failed",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("names (-want +got):\n%s", d)
	}
	line := found[4]
	if id, _ := line["id"].(string); len(id) != 36 {
		t.Errorf("id %q", id)
	}
	delete(line, "id")
	if diff := cmp.Diff(map[string]any{
		"version": "0", "detail-type": "Import Job Submitted", "source": "aws.healthlake", "account": "123456789012", "region": "eu-west-1",
		"time": "2026-01-05T12:00:00.161Z", "resources": []any{d.ARN},
		"detail": map[string]any{
			"jobId": j.ID, "submitTime": "2026-01-05T12:00:00.161Z", "datastoreId": d.ID,
			"inputDataConfig": map[string]any{"s3Uri": "s3://in/some"},
		},
	}, line); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	const most = 2000
	l := open(t, Options{Dir: dir, Bytes: most, Files: 2})
	d, j := example()
	j.Status = catalog.JobInProgress
	for range 50 {
		l.JobChanged(j, d)
	}
	l.Close()
	l.JobChanged(j, d) // says so in the log, and no more
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		st, err := e.Info()
		if err != nil || st.Size() > most || len(lines(t, filepath.Join(dir, e.Name()))) == 0 {
			t.Errorf("%s: %d bytes, %v", e.Name(), st.Size(), err)
		}
	}
	if d := cmp.Diff([]string{"events-1.ndjson", "events-2.ndjson", "events.ndjson"}, names); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

func TestALineThatACrashCut(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "events.ndjson")
	if err := os.WriteFile(name, []byte(`{"version":`), 0o644); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Dir: dir})
	d, j := example()
	j.Status = catalog.JobFailed
	l.JobChanged(j, d)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSpace(string(text)), "\n"); len(got) != 2 || !json.Valid([]byte(got[1])) {
		t.Errorf("%q", got)
	}
}

// TestWebhookTriesAgain has a receiver that fails at first.
func TestWebhookTriesAgain(t *testing.T) {
	fails := 3
	got := make(chan string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if fails > 0 {
			fails--
			w.WriteHeader(503)
			return
		}
		got <- r.Header.Get("Content-Type") + " " + string(body)
	}))
	defer s.Close()
	hook := NewWebhook(WebhookOptions{URL: s.URL, Pause: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() { hook.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	hook.Send([]byte("one"))
	hook.Send([]byte("two"))
	for _, want := range []string{"application/json one", "application/json two"} {
		if g := <-got; g != want {
			t.Errorf("got %q, want %q", g, want)
		}
	}
}

// TestWebhookHoldsUpNobody has a receiver that is not there.
func TestWebhookHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		hook := NewWebhook(WebhookOptions{
			URL: "http://[::1]:0/", Waiting: 2, Attempts: 3, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for range 5 {
			hook.Send([]byte("event"))
		}
		if n := strings.Count(log.String(), "too many wait"); n != 3 {
			t.Errorf("%d events were dropped, want 3:\n%s", n, &log)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go hook.Run(ctx)
		time.Sleep(time.Hour)
		cancel()
		synctest.Wait()
		if n := strings.Count(log.String(), "attempts=3"); n != 2 {
			t.Errorf("%d events were given up, want 2:\n%s", n, &log)
		}
	})
}
