//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/gen"
	"github.com/fhirlake/fhirlake/store/blob/blobtest"
)

// TestJobsOverS3SurviveCrashes kills a server at each kind of request that its jobs make of S3;
// with the tag slow, at many of them.
func TestJobsOverS3SurviveCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts some thirty processes")
	}
	t.Parallel()
	crashOverS3(t, 2, []int{1}, []time.Duration{0})
}

// crashed is the moment of a kill: the nth request of a kind. Before: it is never answered, and
// never reached S3; else S3 has done it.
type crashed struct {
	name   string
	export bool
	meets  func(r *http.Request) bool
	before bool
	// After: it is answered, and the kill comes so much later, while the record is written.
	after  time.Duration
	passes bool
}

// once tells whether a job makes only one such request.
func (c crashed) once() bool {
	return c.passes || strings.Contains(c.name, "list") || c.name == "published" || strings.Contains(c.name, "manifest") || c.name == "all shown" || c.name == "written"
}

func uploads(step string, part string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		q := r.URL.Query()
		var at string
		switch {
		case r.Method == http.MethodPost && q.Has("uploads"):
			at = "begin"
		case r.Method == http.MethodPut:
			at = "write"
		case r.Method == http.MethodPost && q.Has("uploadId"):
			at = "complete"
		}
		return at == step && strings.Contains(r.URL.Path, part)
	}
}

func crashes(after []time.Duration) []crashed {
	lists := func(bucket string) func(r *http.Request) bool {
		return func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.Trim(r.URL.Path, "/") == bucket && r.URL.Query().Has("list-type")
		}
	}
	reads := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/some-in/") && strings.HasSuffix(r.URL.Path, ".ndjson")
	}
	all := []crashed{
		{name: "list", meets: lists("some-in"), before: true},
		{name: "read", meets: reads},
		// The first request for the report comes after publication.
		{name: "published", meets: lists("some-out"), before: true},
		{name: "report begun", meets: uploads("begin", "SUCCESS/")},
		{name: "report written", meets: uploads("write", "SUCCESS/")},
		{name: "report shown", meets: uploads("complete", "SUCCESS/")},
		{name: "manifest written", meets: uploads("write", "/Manifest.json")},
		{name: "manifest to be shown", meets: uploads("complete", "/Manifest.json"), before: true},
		{name: "manifest shown", meets: uploads("complete", "/Manifest.json")},
		{name: "all shown", meets: uploads("complete", "/manifest.json")},
	}
	for _, d := range after {
		all = append(all, crashed{name: fmt.Sprint("done, and ", d), meets: uploads("complete", "/manifest.json"), passes: true, after: d})
	}
	for _, c := range []crashed{
		{name: "list", meets: lists("some-out")},
		{name: "begun", meets: uploads("begin", "")},
		{name: "written", meets: uploads("write", "/Patient/")},
		{name: "to be shown", meets: uploads("complete", ""), before: true},
		{name: "shown", meets: uploads("complete", "")},
	} {
		c.export = true
		all = append(all, c)
	}
	return all
}

// crashOverS3 kills the server of an import, then that of an export, at a request of each kind. The
// next server ends the job; nothing is lost or doubled, and what is in the bucket is whole.
func crashOverS3(t *testing.T, patients int, nth []int, after []time.Duration) {
	s3 := blobtest.Serve(t, "some-in", "some-out")
	made := t.TempDir()
	st, err := gen.Generate(t.Context(), gen.Options{Patients: patients, Seed: 3, Out: made})
	if err != nil {
		t.Fatal(err)
	}
	names := fileNames(t, made)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		s3.Put(t, "some-in", "population/"+name, text)
	}
	empty := newTestRoot(t)
	full := empty.copied()
	full.load(made)
	want := full.state(gen.Types())

	killed := 0
	for _, c := range crashes(after) {
		for _, n := range nth {
			if n > 1 && c.once() {
				continue
			}
			what := c.name
			if c.export {
				what = "export: " + what
			}
			t.Run(fmt.Sprintf("%s %d", what, n), func(t *testing.T) {
				s := &s3Jobs{jobServer: jobServer{testRoot: empty.copied()}}
				if c.export {
					s.testRoot = full.copied()
				}
				s.t = t
				s.store = filepath.Base(s.datastore())
				reached := make(chan struct{})
				var armed atomic.Int64
				armed.Store(int64(n))
				s.proxy = blobtest.NewProxy(t, s3, func(r *http.Request) blobtest.Fault {
					if !c.meets(r) || armed.Add(-1) != 0 {
						return nil
					}
					return func(p *blobtest.Proxy, w http.ResponseWriter, r *http.Request) {
						if c.passes {
							defer close(reached)
							blobtest.Short(1<<20)(p, w, r) // more than there is
							return
						}
						if !c.before {
							p.Pass(r)
						}
						close(reached)
						blobtest.Silent(p, w, r)
					}
				})
				s.start()
				id := s.submitTo(c.export)
				<-reached // or the test run gives up
				// No manifest is there before all that it tells of.
				folder := filepath.Join(s3.Dir, "some-out", "x", s.store+"-FHIR_IMPORT-"+id)
				if _, err := os.Stat(filepath.Join(folder, "Manifest.json")); err == nil {
					expectLines(t, folder, names, st.Resources)
				}
				time.Sleep(c.after)
				s.kill()
				killed++
				s.start()
				j := s.finished(id, c.export)
				if j["JobStatus"] != "COMPLETED" || j["Message"] != nil {
					t.Errorf("the job: %v", j)
				}
				if r, ok := j["JobProgressReport"].(map[string]any); ok == c.export || ok && r["TotalNumberOfResourcesImported"] != float64(st.Resources) {
					t.Errorf("the job: %v", j)
				}
				if err := s.stop(os.Interrupt); err != nil {
					t.Fatalf("%v\n%s", err, s.log)
				}
				if got := s.state(gen.Types()); got != want {
					t.Errorf("SQL shows\n%swant\n%s", got, want)
				}
				s.expectSound(true)
				if c.export {
					expectExport(t, filepath.Join(s3.Dir, "some-out", "x", s.store+"-FHIR_EXPORT-"+id), st.Resources)
				} else {
					expectReport(t, folder, names, st.Resources)
				}
			})
		}
	}
	t.Logf("%d kills", killed)
}

// s3Jobs is a server whose buckets are those of an S3 server behind a proxy.
type s3Jobs struct {
	jobServer
	proxy *blobtest.Proxy
}

func (s *s3Jobs) start() {
	s.t.Helper()
	env := append(os.Environ(), "AWS_ENDPOINT_URL_S3="+s.proxy.URL, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID="+blobtest.AccessKey, "AWS_SECRET_ACCESS_KEY="+blobtest.SecretKey, "AWS_SESSION_TOKEN=")
	var err error
	if s.server, err = startServer(s.bin, s.dir, env, "--root", s.dir); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.kill)
	if err := s.awaitReady(); err != nil {
		s.t.Fatal(err)
	}
}

// submitTo submits a job whose folder is below s3://some-out/x.
func (s *s3Jobs) submitTo(export bool) string {
	s.t.Helper()
	out := map[string]any{"S3Configuration": map[string]any{"S3Uri": "s3://some-out/x", "KmsKeyId": ""}}
	body := map[string]any{"DatastoreId": s.store, "ClientToken": "t", "DataAccessRoleArn": "arn:aws:iam::123456789012:role/x"}
	operation := "StartFHIRImportJob"
	if export {
		operation, body["OutputDataConfig"] = "StartFHIRExportJob", out
	} else {
		body["InputDataConfig"], body["JobOutputDataConfig"] = map[string]any{"S3Uri": "s3://some-in/population"}, out
	}
	return s.call(operation, body)["JobId"].(string)
}

// finished waits for the end of a job.
func (s *s3Jobs) finished(id string, export bool) map[string]any {
	s.t.Helper()
	for {
		operation, answer := "DescribeFHIRImportJob", "ImportJobProperties"
		if export {
			operation, answer = "DescribeFHIRExportJob", "ExportJobProperties"
		}
		j := s.call(operation, map[string]any{"DatastoreId": s.store, "JobId": id})[answer].(map[string]any)
		switch j["JobStatus"] {
		case "SUBMITTED", "QUEUED", "IN_PROGRESS":
			time.Sleep(5 * time.Millisecond)
		default:
			return j
		}
	}
}

// expectExport demands that the resources of an export are so many, each once and in its first version.
func expectExport(t *testing.T, dir string, want int64) {
	t.Helper()
	seen := map[string]bool{}
	for _, name := range fileNames(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var r struct {
				ResourceType, ID string
				Meta             struct{ VersionID string }
			}
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if key := r.ResourceType + "/" + r.ID; seen[key] || r.Meta.VersionID != "1" {
				t.Errorf("%s is there twice, or has version %s", key, r.Meta.VersionID)
			} else {
				seen[key] = true
			}
		}
	}
	if int64(len(seen)) != want {
		t.Errorf("%d resources were exported, want %d", len(seen), want)
	}
}

// expectReport demands both manifests, and a line for each resource.
func expectReport(t *testing.T, dir string, inputs []string, want int64) {
	t.Helper()
	names := []string{"Manifest.json"}
	for _, name := range inputs {
		names = append(names, "SUCCESS/"+name)
	}
	names = append(names, "manifest.json")
	if diff := cmp.Diff(names, fileNames(t, dir)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
		return
	}
	expectLines(t, dir, inputs, want)
}

// expectLines demands a line for each resource.
func expectLines(t *testing.T, dir string, inputs []string, want int64) {
	t.Helper()
	var lines int64
	for _, name := range inputs {
		text, err := os.ReadFile(filepath.Join(dir, "SUCCESS", name))
		if err != nil {
			t.Fatal(err)
		}
		lines += int64(bytes.Count(text, []byte("\n")))
	}
	if lines != want {
		t.Errorf("the report has %d lines, want %d", lines, want)
	}
}
