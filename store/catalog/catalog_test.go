package catalog_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/root"
)

type fixture struct {
	*catalog.Catalog
	root *root.Root
	now  time.Time
}

func seeded() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

// open opens the catalog of dir as its owner would, at a fixed time.
func open(t *testing.T, dir string, now time.Time, o root.Options) *fixture {
	t.Helper()
	r, err := root.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f := &fixture{root: r, now: now}
	f.Catalog, err = catalog.Open(r, catalog.Options{Now: func() time.Time { return f.now }, Random: seeded()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var (
	monday = time.Date(2026, 1, 5, 12, 0, 0, 161e6, time.UTC)
	owner  = root.Options{Exclusive: true}
)

func named(name string) catalog.Create {
	return catalog.Create{Properties: catalog.Properties{Name: name}}
}

func TestDefaultDataStore(t *testing.T) {
	dir := t.TempDir()
	reader := open(t, dir, monday, root.Options{})
	if _, err := reader.Use(""); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a reader on a new root: %v", err)
	}
	if list, err := reader.DataStores(); err != nil || len(list) != 0 {
		t.Errorf("list of a new root: %v, %v", list, err)
	}
	c := open(t, dir, monday, owner)
	first, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Use("default")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first, again); d != "" {
		t.Errorf("a second default store:\n%s", d)
	}
	if _, err := c.Use("other"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("only the default store is made by use: %v", err)
	}
	if byID, err := reader.Find(first.ID); err != nil || byID.Name != "default" {
		t.Errorf("by id: %+v, %v", byID, err)
	}
	text, err := json.Marshal(first.Properties)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"DatastoreId":"` + first.ID + `","DatastoreArn":"arn:aws:healthlake:us-east-1:000000000000:datastore/fhir/` + first.ID +
		`","DatastoreName":"default","DatastoreStatus":"ACTIVE","CreatedAt":1767614400.161,"DatastoreTypeVersion":"R4",` +
		`"DatastoreEndpoint":"http://127.0.0.1:8080/datastore/` + first.ID + `/r4/"}`
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Errorf("properties (-want +got):\n%s", d)
	}
	if len(first.HashKey) != 64 || strings.Contains(string(text), first.HashKey) {
		t.Errorf("hash key %q", first.HashKey)
	}
}

func TestSameSeedSameStore(t *testing.T) {
	a, err := open(t, t.TempDir(), monday, owner).Use("")
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, t.TempDir(), monday, owner).Use("")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("two stores of one seed:\n%s", d)
	}
}

func TestCreateDataStore(t *testing.T) {
	c := open(t, t.TempDir(), monday, owner)
	a, err := c.CreateDataStore(catalog.Create{
		Properties:  catalog.Properties{Name: "wards", SSE: json.RawMessage(`{"KmsEncryptionConfig":{"CmkType":"AWS_OWNED_KMS_KEY"}}`)},
		ClientToken: "t-1",
		Tags:        []catalog.Tag{{Key: "k", Value: "v"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	repeated, err := c.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: "wards"}, ClientToken: "t-1"})
	if err != nil || repeated.ID != a.ID {
		t.Errorf("the same token made %v, %v", repeated, err)
	}
	if _, err := c.CreateDataStore(named("wards")); err != nil {
		t.Errorf("names may repeat: %v", err)
	}
	if _, err := c.Find("wards"); !errors.Is(err, catalog.ErrInvalid) || !strings.Contains(err.Error(), a.ID) {
		t.Errorf("an ambiguous name: %v", err)
	}
	for name, o := range map[string]catalog.Create{
		"version":  {Properties: catalog.Properties{TypeVersion: "R5"}},
		"long":     named(strings.Repeat("x", 257)),
		"space":    named(" wards"),
		"like ids": named(strings.Repeat("a", 32)),
	} {
		if _, err := c.CreateDataStore(o); !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	reader := open(t, c.root.Dir(), monday, root.Options{})
	if _, err := reader.CreateDataStore(named("x")); !errors.Is(err, catalog.ErrReadOnly) {
		t.Errorf("a reader created: %v", err)
	}
	got, err := reader.DataStore(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	var sse map[string]any
	if err := json.Unmarshal(got.SSE, &sse); err != nil || len(got.Tags) != 1 {
		t.Errorf("read back: %+v, %v", got, err)
	}
}

func TestUpdateDataStore(t *testing.T) {
	c := open(t, t.TempDir(), monday, owner)
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.UpdateDataStore(d.ID, func(d *catalog.DataStore) error { d.Name = "renamed"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Find("renamed"); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if _, err = c.UpdateDataStore(d.ID, func(*catalog.DataStore) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestDeleteDataStore(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, monday, owner)
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	folder := c.root.DatastoreDir(d.ID)
	if err := os.MkdirAll(filepath.Join(folder, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	job := &catalog.Job{Kind: catalog.Import}
	job.ID, job.DatastoreID, job.Status = strings.Repeat("b", 32), d.ID, catalog.JobInProgress
	if err := c.PutJob(job); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteDataStore(d.ID); !errors.Is(err, catalog.ErrBusy) {
		t.Errorf("a job is running: %v", err)
	}
	job.Status = catalog.JobCompleted
	if err := c.PutJob(job); err != nil {
		t.Fatal(err)
	}
	gone, err := c.DeleteDataStore(d.ID)
	if err != nil || gone.Status != catalog.StatusDeleted {
		t.Fatalf("%+v, %v", gone, err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder is still there")
	}
	if seen, err := c.DataStore(d.ID); err != nil || seen.Status != catalog.StatusDeleted {
		t.Errorf("describe after delete: %+v, %v", seen, err)
	}
	for _, f := range []func(string) (*catalog.DataStore, error){c.DeleteDataStore, c.Find} {
		if _, err := f(d.ID); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
	}
	if _, err := c.DeleteDataStore(strings.Repeat("c", 32)); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := c.DataStore("../../lock"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a path as id: %v", err)
	}
	if fresh, err := c.Use(""); err != nil || fresh.ID == d.ID {
		t.Errorf("a new default store: %+v, %v", fresh, err)
	}
	c.now = monday.Add(8 * 24 * time.Hour)
	if list, err := c.DataStores(); err != nil || len(list) != 1 {
		t.Errorf("after a week: %v, %v", list, err)
	}
	c.root.Close()
	later := open(t, dir, c.now, owner)
	if _, err := later.DataStore(d.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("the next owner purges: %v", err)
	}
	if _, err := later.Job(job.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("the next owner forgets its jobs: %v", err)
	}
}

func TestDeletionEndsAfterCrash(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, monday, owner)
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.UpdateDataStore(d.ID, func(d *catalog.DataStore) error { d.Status = catalog.StatusDeleting; return nil })
	if err != nil {
		t.Fatal(err)
	}
	folder := c.root.DatastoreDir(d.ID)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	c.root.Close()
	if d, err = open(t, dir, monday, owner).DataStore(d.ID); err != nil || d.Status != catalog.StatusDeleted {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder is still there")
	}
}

func TestJobs(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, monday, owner)
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	put := func(status string, resumable bool, at time.Duration) *catalog.Job {
		id, err := c.NewJobID()
		if err != nil {
			t.Fatal(err)
		}
		j := &catalog.Job{Kind: catalog.Import, Inputs: []string{"a.ndjson"}, Report: "/r", Resumable: resumable, ClientToken: "token " + status}
		j.ID, j.DatastoreID, j.Status, j.SubmitTime = id, d.ID, status, catalog.At(monday.Add(at))
		j.Progress = &catalog.JobProgressReport{ScannedFiles: 3, ScannedMB: 1.5}
		if err := c.PutJob(j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	done := put(catalog.JobCompleted, false, 3*time.Second)
	running := put(catalog.JobInProgress, false, 2*time.Second)
	resumed := put(catalog.JobInProgress, true, time.Second)
	if err := c.PutJob(&catalog.Job{}); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("a job without id: %v", err)
	}
	again := &catalog.Job{Kind: catalog.Import, ClientToken: "token COMPLETED"}
	again.DatastoreID = d.ID
	if j, added, err := c.AddJob(again); err != nil || added || j.ID != done.ID {
		t.Errorf("by token: %+v, %v, %v", j, added, err)
	}

	reader := open(t, dir, monday, root.Options{})
	if j, err := reader.Job(running.ID); err != nil || cmp.Diff(running, j) != "" {
		t.Errorf("a reader beside the owner: %s, %v", cmp.Diff(running, j), err)
	}
	if err := reader.PutJob(done); !errors.Is(err, catalog.ErrReadOnly) {
		t.Errorf("a reader wrote: %v", err)
	}

	c.root.Close()
	next := open(t, dir, monday.Add(time.Hour), owner)
	list, err := next.Jobs(d.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range list {
		got = append(got, j.ID+" "+j.Status)
	}
	want := []string{resumed.ID + " IN_PROGRESS", running.ID + " FAILED", done.ID + " COMPLETED"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("after the owner died (-want +got):\n%s", d)
	}
	if j := list[1]; j.Message == "" || j.EndTime != catalog.At(monday.Add(time.Hour)) {
		t.Errorf("failed job: %+v", j)
	}
	if other, err := next.Jobs(strings.Repeat("0", 32)); err != nil || len(other) != 0 {
		t.Errorf("of another store: %v, %v", other, err)
	}
}

// TestAddJob checks what makes a request to start a job the same one.
func TestAddJob(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, monday, owner)
	a, err := c.CreateDataStore(named("a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.CreateDataStore(named("b"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(c *fixture, kind catalog.JobKind, datastore, token string) (string, bool) {
		t.Helper()
		j := &catalog.Job{Kind: kind, ClientToken: token, Resumable: true}
		j.DatastoreID = datastore
		j, added, err := c.AddJob(j)
		if err != nil {
			t.Fatal(err)
		}
		if j.Status != catalog.JobSubmitted || j.SubmitTime.IsZero() || !catalog.IsID(j.ID) {
			t.Errorf("%+v", j)
		}
		return j.ID, added
	}
	first, added := add(c, catalog.Import, a.ID, "t")
	if !added {
		t.Error("the first is not new")
	}
	c.root.Close()
	c = open(t, dir, monday, owner)
	for _, tt := range []struct {
		name, datastore, token string
		kind                   catalog.JobKind
		same                   bool
	}{
		{"after a restart", a.ID, "t", catalog.Import, true},
		{"another token", a.ID, "u", catalog.Import, false},
		{"without a token", a.ID, "", catalog.Import, false},
		{"again without a token", a.ID, "", catalog.Import, false},
		{"another kind", a.ID, "t", catalog.Export, false},
		{"another data store", b.ID, "t", catalog.Import, false},
	} {
		if id, added := add(c, tt.kind, tt.datastore, tt.token); added == tt.same || (id == first) != tt.same {
			t.Errorf("%s: job %s, added %v; the first is %s", tt.name, id, added, first)
		}
	}
	if _, err := c.DeleteDataStore(b.ID); !errors.Is(err, catalog.ErrBusy) {
		t.Errorf("a job waits: %v", err)
	}
	gone := &catalog.Job{Kind: catalog.Import}
	gone.DatastoreID = strings.Repeat("0", 32)
	if _, _, err := c.AddJob(gone); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("no such data store: %v", err)
	}
}

// Jobs of one moment, or of a clock that goes back, keep their order for the next process.
func TestJobsAreInTheirOrder(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, monday, owner)
	d, err := c.CreateDataStore(named("research"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i := range 20 {
		if i == 10 {
			c.now = c.now.Add(-time.Hour)
		}
		j := &catalog.Job{Kind: catalog.Import, Resumable: true}
		j.DatastoreID = d.ID
		j, _, err := c.AddJob(j)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, j.ID)
	}
	c.root.Close()
	all, err := open(t, dir, monday, owner).Jobs("")
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range all {
		got = append(got, j.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestJobFiles(t *testing.T) {
	c := open(t, t.TempDir(), monday, owner)
	id := strings.Repeat("b", 32)
	if files, err := c.JobFiles(id); err != nil || len(files) != 0 {
		t.Errorf("of a job that has none: %v, %v", files, err)
	}
	want := []catalog.JobFile{{Name: "a.ndjson", Status: catalog.JobCompleted, Accepted: 2}, {Name: "b.ndjson", Status: catalog.JobCompletedWithErrors, Rejected: 1}}
	if err := c.PutJobFiles(id, want); err != nil {
		t.Fatal(err)
	}
	if got, err := c.JobFiles(id); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%s, %v", cmp.Diff(want, got), err)
	}
	if _, err := c.JobFiles("../lock"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a path as id: %v", err)
	}
}

// changes are what a watcher is told.
type changes []string

func (c *changes) DataStoreChanged(d *catalog.DataStore) { *c = append(*c, "store "+d.Status) }

func (c *changes) JobChanged(j *catalog.Job, d *catalog.DataStore) {
	*c = append(*c, "job "+j.Status+" in "+d.Name)
}

func TestWatch(t *testing.T) {
	c := open(t, t.TempDir(), monday, owner)
	var got changes
	c.Watch(&got)
	d, err := c.CreateDataStore(named("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateDataStore(d.ID, func(d *catalog.DataStore) error { d.Name = "b"; return nil }); err != nil {
		t.Fatal(err)
	}
	j := &catalog.Job{Kind: catalog.Import}
	j.DatastoreID = d.ID
	if j, _, err = c.AddJob(j); err != nil {
		t.Fatal(err)
	}
	for _, status := range []string{catalog.JobInProgress, catalog.JobInProgress, catalog.JobCompleted} {
		j.Status = status
		if err := c.PutJob(j); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeleteDataStore(d.ID); err != nil {
		t.Fatal(err)
	}
	want := changes{"store ACTIVE", "job SUBMITTED in b", "job IN_PROGRESS in b", "job COMPLETED in b", "store DELETING", "store DELETED"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestLeftoversAndDamage(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, monday, owner)
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(c.root.CatalogDir(), "datastores", d.ID+".json")
	os.WriteFile(name+".tmp", []byte("{"), 0o644)
	if list, err := c.DataStores(); err != nil || len(list) != 1 {
		t.Errorf("with a leftover: %v, %v", list, err)
	}
	os.WriteFile(name, []byte("{"), 0o644)
	if _, err := c.DataStores(); err == nil || !strings.Contains(err.Error(), d.ID) {
		t.Errorf("damaged: %v", err)
	}
}
