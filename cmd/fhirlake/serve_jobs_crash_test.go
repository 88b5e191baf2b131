//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/bench/gen"
)

// jobServer is a server with a root, and two buckets that are folders.
type jobServer struct {
	testRoot
	*server
	buckets string
	store   string
}

func (s *jobServer) start() {
	s.t.Helper()
	var err error
	s.server, err = startServer(s.bin, s.buckets, nil, "--root", s.dir,
		"--bucket", "input="+filepath.Join(s.buckets, "in"), "--bucket", "output="+filepath.Join(s.buckets, "out"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.kill)
	if err := s.awaitReady(); err != nil {
		s.t.Fatal(err)
	}
}

// call asks the control plane.
func (s *jobServer) call(operation string, body map[string]any) map[string]any {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/", bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "HealthLake."+operation)
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		s.t.Fatalf("%s: %s %s %v", operation, resp.Status, answer, err)
	}
	var v map[string]any
	if err := json.Unmarshal(answer, &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *jobServer) submit(token string) string {
	s.t.Helper()
	return s.call("StartFHIRImportJob", map[string]any{
		"DatastoreId": s.store, "ClientToken": token, "DataAccessRoleArn": "arn:aws:iam::123456789012:role/x",
		"InputDataConfig":     map[string]any{"S3Uri": "s3://input"},
		"JobOutputDataConfig": map[string]any{"S3Configuration": map[string]any{"S3Uri": "s3://output"}},
	})["JobId"].(string)
}

func (s *jobServer) describe(id string) map[string]any {
	s.t.Helper()
	return s.call("DescribeFHIRImportJob", map[string]any{"DatastoreId": s.store, "JobId": id})["ImportJobProperties"].(map[string]any)
}

// ended waits for the end of a job; it gives up with the test run.
func (s *jobServer) ended(id string) map[string]any {
	s.t.Helper()
	for {
		j := s.describe(id)
		switch j["JobStatus"] {
		case "SUBMITTED", "QUEUED", "IN_PROGRESS":
			time.Sleep(5 * time.Millisecond)
		default:
			return j
		}
	}
}

// TestJobsSurviveCrashes kills a server with a job at work and one behind it, at moments from
// their submission to their end. The next server ends both, with nothing lost or doubled, and a
// report of each.
func TestJobsSurviveCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts some twenty processes")
	}
	t.Parallel()
	buckets := t.TempDir()
	in := filepath.Join(buckets, "in")
	st, err := gen.Generate(t.Context(), gen.Options{Patients: 4, Seed: 3, Out: in})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(buckets, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	base := newTestRoot(t)
	whole := base.copied()
	whole.load(in)
	want := whole.state(gen.Types())
	phases := map[string]int{}
	for i := range 8 {
		s := &jobServer{testRoot: base.copied(), buckets: buckets}
		s.store = filepath.Base(s.datastore())
		s.start()
		first, second := s.submit(fmt.Sprint("first-", i)), s.submit(fmt.Sprint("second-", i))
		if i >= 5 { // the second is at work, or done
			s.ended(first)
		}
		time.Sleep(time.Duration((i%5)*(i%5)) * 60 * time.Millisecond)
		phase := fmt.Sprint(s.describe(first)["JobStatus"], " ", s.describe(second)["JobStatus"])
		s.kill()
		phases[phase]++
		s.start()
		for _, id := range []string{first, second} {
			j := s.ended(id)
			if j["JobStatus"] != "COMPLETED" || j["Message"] != nil {
				t.Errorf("killed when jobs were %s: %v", phase, j)
			}
			if n := j["JobProgressReport"].(map[string]any)["TotalNumberOfResourcesImported"].(float64); int64(n) != st.Resources {
				t.Errorf("killed when jobs were %s: %v resources, want %d", phase, n, st.Resources)
			}
			name := filepath.Join(buckets, "out", s.store+"-FHIR_IMPORT-"+id, "Manifest.json")
			if _, err := os.Stat(name); err != nil {
				t.Errorf("killed when jobs were %s: %v", phase, err)
			}
		}
		if id := s.submit(fmt.Sprint("first-", i)); id != first {
			t.Errorf("the same token after the crash is job %s, not %s", id, first)
		}
		if err := s.stop(os.Interrupt); err != nil {
			t.Fatalf("%v\n%s", err, s.log)
		}
		// All is version 1: nothing was imported twice.
		if got := s.state(gen.Types()); got != want {
			t.Errorf("killed when jobs were %s: SQL shows\n%swant\n%s", phase, got, want)
		}
		s.expectSound(true)
	}
	t.Logf("killed when jobs were: %v", phases)
	if len(phases) < 2 {
		t.Errorf("all kills were in one phase: %v", phases)
	}
}

// TestSmallJobIsSearchable shows the way from the submission of a small job to
// its search, and logs how long it took.
func TestSmallJobIsSearchable(t *testing.T) {
	buckets := t.TempDir()
	for _, name := range []string{"in", "out"} {
		if err := os.Mkdir(filepath.Join(buckets, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		var text strings.Builder
		for range 9 {
			if n++; n <= 53 {
				fmt.Fprintf(&text, `{"resourceType":"Patient","id":"pat-%d","gender":"female"}`+"\n", n)
			}
		}
		if err := os.WriteFile(filepath.Join(buckets, "in", name+".ndjson"), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &jobServer{testRoot: newTestRoot(t), buckets: buckets}
	s.store = filepath.Base(s.datastore())
	s.start()
	start := time.Now()
	if j := s.ended(s.submit("t")); j["JobStatus"] != "COMPLETED" {
		t.Fatal(j)
	}
	ended := time.Since(start)
	resp, err := client.Get(s.url + "/datastore/" + s.store + "/r4/Patient?gender=female&_summary=count")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), `"total":53`) {
		t.Errorf("%s, %v", text, err)
	}
	t.Logf("COMPLETED after %s, searched after %s", ended, time.Since(start))
}
