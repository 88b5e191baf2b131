package control_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/healthlake"
	"github.com/aws/aws-sdk-go-v2/service/healthlake/types"

	"github.com/fhirlake/fhirlake/store/blob/blobtest"
)

// faulty is a control plane whose buckets, some-in and some-out, are those of a real S3 server behind
// a proxy. Its fault meets requests that have "wrong" in their URL.
type faulty struct {
	*plane
	s3    *blobtest.Server
	fault atomic.Pointer[func(r *http.Request) blobtest.Fault]
}

func newFaulty(t *testing.T) *faulty {
	f := &faulty{s3: blobtest.Serve(t, "some-in", "some-out"), plane: newPlane(t)}
	proxy := blobtest.NewProxy(t, f.s3, func(r *http.Request) blobtest.Fault {
		choose := f.fault.Load()
		if choose == nil || !strings.Contains(r.URL.RequestURI(), "wrong") {
			return nil
		}
		return (*choose)(r)
	})
	dir := f.root.Dir()
	f.close()
	f.blobs = blobtest.Options(proxy.URL)
	f.blobs.Attempts = 2
	f.open(dir)
	return f
}

func (f *faulty) startImport(store, from, to string) string {
	f.t.Helper()
	in := importOf(store, from)
	in.JobOutputDataConfig = &types.OutputDataConfigMemberS3Configuration{Value: types.S3Configuration{S3Uri: &to, KmsKeyId: aws.String("")}}
	j, err := f.StartFHIRImportJob(f.t.Context(), in)
	if err != nil {
		f.t.Fatal(err)
	}
	return *j.JobId
}

func (f *faulty) startExport(store, to string) string {
	f.t.Helper()
	j, err := f.StartFHIRExportJob(f.t.Context(), &healthlake.StartFHIRExportJobInput{
		DatastoreId: &store, DataAccessRoleArn: aws.String(role),
		OutputDataConfig: &types.OutputDataConfigMemberS3Configuration{Value: types.S3Configuration{S3Uri: &to, KmsKeyId: aws.String("")}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return *j.JobId
}

func (f *faulty) exported(store, id string) *types.ExportJobProperties {
	f.t.Helper()
	f.jobs.Wait(f.t.Context(), id)
	j, err := f.DescribeFHIRExportJob(f.t.Context(), &healthlake.DescribeFHIRExportJobInput{DatastoreId: &store, JobId: &id})
	if err != nil {
		f.t.Fatal(err)
	}
	return j.ExportJobProperties
}

// objects are the files of a job's folder in some-out, with what is in them.
func (f *faulty) objects(at string) map[string]string {
	f.t.Helper()
	all := map[string]string{}
	dir := filepath.Join(f.s3.Dir, "some-out", at)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) || err == nil && d.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// resources are those of an export, by what they are; the version of each is the first.
func (f *faulty) resources(files map[string]string) map[string]bool {
	f.t.Helper()
	all := map[string]bool{}
	for name, text := range files {
		for line := range bytes.Lines([]byte(text)) {
			var r struct {
				ResourceType, ID string
				Meta             struct{ VersionID string }
			}
			if err := json.Unmarshal(line, &r); err != nil {
				f.t.Fatalf("%s: %v", name, err)
			}
			key := r.ResourceType + "/" + r.ID
			if all[key] || r.Meta.VersionID != "1" {
				f.t.Errorf("%s is there twice, or has version %s", key, r.Meta.VersionID)
			}
			all[key] = true
		}
	}
	return all
}

func (f *faulty) set(choose func(r *http.Request) blobtest.Fault) { f.fault.Store(&choose) }

// once makes a fault of each request when it is made for the first time: one after each
// third would meet one request twice when several are made at a time.
func once(fault blobtest.Fault, meets func(r *http.Request) bool) func(r *http.Request) blobtest.Fault {
	var made sync.Map
	return func(r *http.Request) blobtest.Fault {
		if !meets(r) {
			return nil
		}
		if _, again := made.LoadOrStore(r.Method+r.URL.RequestURI()+r.Header.Get("Range"), true); again {
			return nil
		}
		return fault
	}
}

func always(fault blobtest.Fault) func(r *http.Request) blobtest.Fault {
	return func(*http.Request) blobtest.Fault { return fault }
}

func anyRequest(*http.Request) bool { return true }

// contents are requests for an object itself, which has a length that can be wrong.
func contents(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.RawQuery == "" }

func notCompleting(r *http.Request) bool { return r.Method != http.MethodPost } // a service may think for minutes

// passing are faults that a job does not show.
var passing = map[string]func(r *http.Request) blobtest.Fault{
	"500":       once(blobtest.Status(500, "InternalError"), anyRequest),
	"503":       once(blobtest.Status(503, "SlowDown"), anyRequest),
	"dropped":   once(blobtest.Drop, anyRequest),
	"lost":      once(blobtest.Lose, anyRequest),
	"cut":       once(blobtest.Cut(1000), contents),
	"too short": once(blobtest.Short(1000), contents),
	"stalled":   once(blobtest.Silent, notCompleting),
}

// lasting are faults that end a job, with what its Message says beside the place.
var lasting = map[string]struct {
	fault blobtest.Fault
	says  string
}{
	"500":     {blobtest.Status(500, "InternalError"), "the service is overloaded; start again later"},
	"503":     {blobtest.Status(503, "SlowDown"), "the service is overloaded; start again later"},
	"dropped": {blobtest.Drop, "see that the endpoint is right and can be reached"},
	"stalled": {blobtest.Silent, "the service does not answer, or stops in the middle"},
	"expired": {blobtest.Status(400, "ExpiredToken"), "the credentials are no longer valid; get new ones and start again"},
	"denied":  {blobtest.Status(403, "AccessDenied"), "access is denied; the credentials need"},
	"no keys": {blobtest.Status(403, "InvalidAccessKeyId"), "see the credentials, and the clock of this machine"},
	"bucket":  {blobtest.Status(404, "NoSuchBucket"), "there is no such bucket; see the name, the region and the endpoint"},
}

const faultyPatients = 500

func (f *faulty) putPatients(key, gender string) {
	f.t.Helper()
	var text bytes.Buffer
	for i := range faultyPatients {
		fmt.Fprintf(&text, `{"resourceType":"Patient","id":"pat-%d","gender":"%s"}`+"\n", i, gender)
	}
	f.s3.Put(f.t, "some-in", key, text.Bytes())
}

// expectWhole demands that an export has all patients, once, in their first version.
func (f *faulty) expectWhole(what, store, id, at string) {
	f.t.Helper()
	if j := f.exported(store, id); j.JobStatus != types.JobStatusCompleted || j.Message != nil {
		f.t.Errorf("%s: %s %q", what, j.JobStatus, aws.ToString(j.Message))
	}
	if n := len(f.resources(f.objects(at + "/" + store + "-FHIR_EXPORT-" + id))); n != faultyPatients {
		f.t.Errorf("%s: %d patients were exported, want %d", what, n, faultyPatients)
	}
}

// TestFaultsOfS3InImports checks that an import ends well, or FAILED with what to do, and that
// jobs behind it go on.
func TestFaultsOfS3InImports(t *testing.T) {
	f := newFaulty(t)
	f.putPatients("wrong/Patient.ndjson", "female")
	f.putPatients("good/Patient.ndjson", "female")
	for name, choose := range passing {
		store := f.create("passing " + name)
		f.set(choose)
		job := f.startImport(store, "s3://some-in/wrong", "s3://some-out/wrong")
		j := f.ended(store, job)
		if j.JobStatus != types.JobStatusCompleted || j.Message != nil || *j.JobProgressReport.TotalNumberOfResourcesImported != faultyPatients {
			t.Errorf("%s: %s %q", name, j.JobStatus, aws.ToString(j.Message))
		}
		report := f.objects("wrong/" + store + "-FHIR_IMPORT-" + job)
		if n := strings.Count(report["SUCCESS/Patient.ndjson"], "\n"); n != faultyPatients || len(report) != 3 {
			t.Errorf("%s: a report of %d files with %d lines", name, len(report), n)
		}
		f.expectWhole(name, store, f.startExport(store, "s3://some-out/good"), "good")
	}
	for name, tc := range lasting {
		store := f.create("lasting " + name)
		for place, choose := range map[string]func(r *http.Request) blobtest.Fault{
			"s3://some-in/wrong": always(tc.fault), // the list
			"s3://some-in/wrong/Patient.ndjson": func(r *http.Request) blobtest.Fault {
				if contents(r) {
					return tc.fault
				}
				return nil
			},
		} {
			if name == "bucket" && strings.HasSuffix(place, ".ndjson") {
				continue // an object that is gone is another test
			}
			f.set(choose)
			bad, behind := f.startImport(store, "s3://some-in/wrong", "s3://some-out/good"), f.startImport(store, "s3://some-in/good", "s3://some-out/good")
			j := f.ended(store, bad)
			if m := aws.ToString(j.Message); j.JobStatus != types.JobStatusFailed || !strings.Contains(m, place+": ") || !strings.Contains(m, tc.says) || strings.Contains(m, "\n") || strings.Count(m, "s3://") > 1 {
				t.Errorf("%s at %s: %s %q, want %s", name, place, j.JobStatus, m, tc.says)
			}
			if j := f.ended(store, behind); j.JobStatus != types.JobStatusCompleted || j.Message != nil {
				t.Errorf("behind %s at %s: %s %q", name, place, j.JobStatus, aws.ToString(j.Message))
			}
		}
		f.expectWhole(name, store, f.startExport(store, "s3://some-out/good"), "good")
	}
}

// TestInputThatChanges checks imports of an object that is another one, or gone, when it is read.
func TestInputThatChanges(t *testing.T) {
	f := newFaulty(t)
	store := f.create("a")
	for name, change := range map[string]func(){
		"written again": func() { f.putPatients("wrong/Patient.ndjson", "male") },
		"removed":       func() { os.RemoveAll(filepath.Join(f.s3.Dir, "some-in", "wrong")) },
	} {
		f.putPatients("wrong/Patient.ndjson", "female")
		var done atomic.Bool
		f.set(func(r *http.Request) blobtest.Fault {
			if contents(r) && !done.Swap(true) {
				change()
			}
			return nil
		})
		j := f.ended(store, f.startImport(store, "s3://some-in/wrong/", "s3://some-out/good"))
		if m := aws.ToString(j.Message); j.JobStatus != types.JobStatusFailed || !strings.Contains(m, "s3://some-in/wrong/Patient.ndjson: ") || !strings.Contains(m, "start again when nothing writes to it") {
			t.Errorf("%s: %s %q", name, j.JobStatus, m)
		}
	}
	f.putPatients("wrong/Patient.ndjson", "female")
	if j := f.ended(store, f.startImport(store, "s3://some-in/wrong/", "s3://some-out/good")); j.JobStatus != types.JobStatusCompleted {
		t.Errorf("afterwards: %s %q", j.JobStatus, aws.ToString(j.Message))
	}
	f.expectWhole("afterwards", store, f.startExport(store, "s3://some-out/good"), "good")
}

// TestFaultsOfS3InExports checks that an export ends well, or FAILED with what to do and with
// nothing to be seen, and that jobs behind it go on.
func TestFaultsOfS3InExports(t *testing.T) {
	f := newFaulty(t)
	f.putPatients("good/Patient.ndjson", "female")
	f.s3.Put(t, "some-in", "good/Group.ndjson", []byte(`{"resourceType":"Group","id":"g","type":"person","actual":true}`+"\n"))
	store := f.create("a")
	if j := f.ended(store, f.startImport(store, "s3://some-in/good", "s3://some-out/good")); j.JobStatus != types.JobStatusCompleted {
		t.Fatalf("%s %q", j.JobStatus, aws.ToString(j.Message))
	}
	const all = faultyPatients + 1
	whole := func(what, id, at string) {
		t.Helper()
		j := f.exported(store, id)
		if j.JobStatus != types.JobStatusCompleted || j.Message != nil {
			t.Errorf("%s: %s %q", what, j.JobStatus, aws.ToString(j.Message))
		}
		if n := len(f.resources(f.objects(at + "/" + store + "-FHIR_EXPORT-" + id))); n != all {
			t.Errorf("%s: %d resources were exported, want %d", what, n, all)
		}
	}
	for name, choose := range passing {
		f.set(choose)
		whole(name, f.startExport(store, "s3://some-out/wrong"), "wrong")
	}
	phases := map[string]func(r *http.Request) bool{
		"list":  anyRequest,
		"begin": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") },
		"write": func(r *http.Request) bool { return r.Method == http.MethodPut },
		"complete": func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && strings.Contains(r.URL.Path, "/Patient/")
		},
	}
	for name, tc := range lasting {
		for phase, meets := range phases {
			if phase != "write" && name != "denied" {
				continue // one fault in each phase, and each fault in one
			}
			f.set(func(r *http.Request) blobtest.Fault {
				if meets(r) {
					return tc.fault
				}
				return nil
			})
			id, behind := f.startExport(store, "s3://some-out/wrong"), f.startExport(store, "s3://some-out/good")
			j := f.exported(store, id)
			if m := aws.ToString(j.Message); j.JobStatus != types.JobStatusFailed || !strings.Contains(m, "s3://some-out/wrong/") || !strings.Contains(m, tc.says) {
				t.Errorf("%s at %s: %s %q, want %s", name, phase, j.JobStatus, m, tc.says)
			}
			if left := f.objects("wrong/" + store + "-FHIR_EXPORT-" + id); len(left) > 0 {
				t.Errorf("%s at %s: %d objects are left", name, phase, len(left))
			}
			whole("behind "+name, behind, "good")
		}
	}
}

// TestReportThatCannotBeWritten checks that an import is none the worse for it, and says so.
func TestReportThatCannotBeWritten(t *testing.T) {
	f := newFaulty(t)
	f.putPatients("good/Patient.ndjson", "female")
	for name, tc := range lasting {
		store := f.create(name)
		f.set(func(r *http.Request) blobtest.Fault {
			if strings.Contains(r.URL.Path, "anifest.json") && notCompleting(r) {
				return tc.fault
			}
			return nil
		})
		id := f.startImport(store, "s3://some-in/good", "s3://some-out/wrong")
		j := f.ended(store, id)
		if m := aws.ToString(j.Message); j.JobStatus != types.JobStatusCompleted || !strings.Contains(m, "s3://some-out/wrong/") || !strings.Contains(m, tc.says) || !strings.Contains(m, "jobs/"+id+"/report") || strings.Count(m, "s3://") > 1 {
			t.Errorf("%s: %s %q", name, j.JobStatus, m)
		}
		if left := f.objects("wrong/" + store + "-FHIR_IMPORT-" + id); len(left) > 0 {
			t.Errorf("%s: %d objects of the report are left", name, len(left))
		}
		f.expectWhole(name, store, f.startExport(store, "s3://some-out/good"), "good")
	}
}
