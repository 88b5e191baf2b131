package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/pipeline/job"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/root"
)

// told is a kind whose jobs end as the test tells them to.
type told struct {
	begun chan *Job
	end   chan func(*Job) error
}

func newTold() told { return told{make(chan *Job), make(chan func(*Job) error)} }

func (told) Publishes() bool { return true }

func (k told) Run(ctx context.Context, j *Job) error {
	select {
	case k.begun <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case f := <-k.end:
		return f(j)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// states watches the states of jobs, and that each may follow the one before.
type states struct {
	t   *testing.T
	mu  sync.Mutex
	all map[string][]string
}

func (*states) DataStoreChanged(*catalog.DataStore) {}

func (s *states) JobChanged(j *catalog.Job, _ *catalog.DataStore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.all[j.ID]
	if n := len(was); n > 0 && !job.State(was[n-1]).MayBecome(job.State(j.Status)) {
		s.t.Errorf("a job became %s after %s", j.Status, was[n-1])
	}
	s.all[j.ID] = append(was, j.Status)
}

func (s *states) of(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all[id])
}

// office is a manager over a root of its own.
type office struct {
	*Manager
	t       *testing.T
	dir     string
	root    *root.Root
	catalog *catalog.Catalog
	states  *states
	kind    told
}

func open(t *testing.T, dir string, atOnce int) *office {
	t.Helper()
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, dir: dir, root: r, catalog: c, states: &states{t: t, all: map[string][]string{}}, kind: newTold()}
	c.Watch(o.states)
	o.Manager = New(Options{
		Catalog: c, AtOnce: atOnce, Kinds: map[catalog.JobKind]Kind{catalog.Import: o.kind},
		Turn: func(context.Context, string, func()) (func(), error) { return func() {}, nil },
	})
	t.Cleanup(func() { o.Stop(); r.Close() })
	return o
}

// again is what the next process on the same root makes.
func (o *office) again() *office {
	o.t.Helper()
	o.Stop()
	o.root.Close()
	next := open(o.t, o.dir, 1)
	if err := next.Start(); err != nil {
		o.t.Fatal(err)
	}
	return next
}

func (o *office) store(name string) string {
	o.t.Helper()
	d, err := o.catalog.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: name}})
	if err != nil {
		o.t.Fatal(err)
	}
	return d.ID
}

func (o *office) submit(store string) string {
	o.t.Helper()
	j := &catalog.Job{Kind: catalog.Import}
	j.DatastoreID = store
	j, err := o.Submit(j)
	if err != nil {
		o.t.Fatal(err)
	}
	return j.ID
}

func (o *office) describe(id string) *catalog.Job {
	o.t.Helper()
	j, err := o.Job(id)
	if err != nil {
		o.t.Fatal(err)
	}
	return j
}

func (o *office) finished(id string) *catalog.Job {
	o.t.Helper()
	o.Wait(o.t.Context(), id)
	return o.describe(id)
}

func done(*Job) error { return nil }

func TestEnds(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	store := o.store("a")
	for _, tt := range []struct {
		name            string
		end             func(*Job) error
		status, message string
	}{
		{"good", done, catalog.JobCompleted, ""},
		{"with rejects", func(j *Job) error { j.Status = catalog.JobCompletedWithErrors; return nil }, catalog.JobCompletedWithErrors, ""},
		{"bad", func(*Job) error { return errors.New("what to do") }, catalog.JobFailed, "what to do"},
		{"long", func(*Job) error { return errors.New(strings.Repeat("é", 2000)) }, catalog.JobFailed, strings.Repeat("é", 1022) + "..."},
		{"panic", func(*Job) error { panic("Mrs. Shaw") }, catalog.JobFailed, "an error of this server; its log has more at this job's id"},
	} {
		id := o.submit(store)
		<-o.kind.begun
		if j := o.describe(id); j.Status != catalog.JobInProgress || j.Progress == nil {
			t.Errorf("%s, at work: %+v", tt.name, j)
		}
		o.kind.end <- tt.end
		if j := o.finished(id); j.Status != tt.status || j.Message != tt.message || j.EndTime.IsZero() {
			t.Errorf("%s: %+v", tt.name, j)
		}
	}
}

func TestQueued(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	store := o.store("a")
	first, second := o.submit(store), o.submit(store)
	<-o.kind.begun
	if j := o.describe(second); j.Status != catalog.JobQueued {
		t.Errorf("behind another job: %s", j.Status)
	}
	o.kind.end <- done
	o.finished(first)
	<-o.kind.begun
	o.kind.end <- done
	o.finished(second)
	want := []string{catalog.JobSubmitted, catalog.JobInProgress, catalog.JobCompleted}
	if d := cmp.Diff(want, o.states.of(second)); d != "" {
		t.Errorf("states (-want +got):\n%s", d)
	}
}

func TestCancel(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	store := o.store("a")
	running, waiting := o.submit(store), o.submit(store)
	<-o.kind.begun
	for _, id := range []string{waiting, running} {
		if _, err := o.Cancel(id); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.describe(waiting); got.Status != catalog.JobCancelCompleted {
		t.Errorf("one that waited: %s", got.Status)
	}
	if got := o.finished(running); got.Status != catalog.JobCancelCompleted {
		t.Errorf("one at work: %s", got.Status)
	}
	if d := cmp.Diff([]string{"SUBMITTED", "IN_PROGRESS", "CANCEL_SUBMITTED", "CANCEL_COMPLETED"}, o.states.of(running)); d != "" {
		t.Errorf("states (-want +got):\n%s", d)
	}
	if _, err := o.Cancel(running); !errors.Is(err, ErrEnded) {
		t.Errorf("again: %v", err)
	}
	if _, err := o.Cancel(strings.Repeat("0", 32)); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("no such job: %v", err)
	}
}

// stubborn is a kind that does not look at its context.
type stubborn struct{ told }

func (k stubborn) Run(_ context.Context, j *Job) error { return k.told.Run(context.Background(), j) }

func TestCancelOfOneThatIsDone(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	o.o.Kinds[catalog.Import] = stubborn{o.kind}
	id := o.submit(o.store("a"))
	<-o.kind.begun
	if _, err := o.Cancel(id); err != nil {
		t.Fatal(err)
	}
	if j := o.describe(id); j.Status != catalog.JobCancelSubmitted {
		t.Errorf("asked to end: %s", j.Status)
	}
	o.kind.end <- func(j *Job) error { return j.Save() }
	if j := o.finished(id); j.Status != catalog.JobCompleted || j.Message == "" {
		t.Errorf("%+v", j)
	}
}

// TestNextProcess checks what a process that owns the root next makes of jobs.
func TestNextProcess(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	store := o.store("a")
	ended, running, waiting := o.submit(store), o.submit(store), o.submit(store)
	<-o.kind.begun
	o.kind.end <- done
	o.finished(ended)
	<-o.kind.begun
	o.Stop()
	if j, err := o.catalog.Job(running); err != nil || j.Status != catalog.JobInProgress {
		t.Errorf("the record of one that was cut off: %+v, %v", j, err)
	}
	next := o.again()
	for _, id := range []string{running, waiting} {
		if j := <-next.kind.begun; j.ID != id {
			t.Errorf("job %s began, want %s", j.ID, id)
		}
		next.kind.end <- done
		if j := next.finished(id); j.Status != catalog.JobCompleted {
			t.Errorf("%+v", j)
		}
	}
	if d := cmp.Diff([]string(nil), next.states.of(ended)); d != "" {
		t.Errorf("a job that had ended was changed: %s", d)
	}
}

// TestCancelledBeforeTheCrash checks that a cancelled job stays so.
func TestCancelledBeforeTheCrash(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	o.o.Kinds[catalog.Import] = stubborn{o.kind}
	id := o.submit(o.store("a"))
	<-o.kind.begun
	if _, err := o.Cancel(id); err != nil {
		t.Fatal(err)
	}
	// The process dies: the record is as it is, the job never ends.
	c := o.catalog
	j, err := c.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	o.kind.end <- done
	o.finished(id)
	c.Watch(nil)
	if err := c.PutJob(j); err != nil {
		t.Fatal(err)
	}
	if j := o.again().describe(id); j.Status != catalog.JobCancelCompleted {
		t.Errorf("%+v", j)
	}
}

func TestManyJobs(t *testing.T) {
	const stores, each = 4, 25
	o := open(t, t.TempDir(), 3)
	var want, got []string
	order := map[string]int{}
	ids := make([]string, stores)
	for i := range ids {
		ids[i] = o.store(fmt.Sprint("store ", i))
	}
	for i := range stores * each {
		id := o.submit(ids[i%stores])
		order[id] = i
		want = append(want, id)
	}
	last := map[string]int{}
	for range want {
		j := <-o.kind.begun
		if n, ok := last[j.DatastoreID]; ok && order[j.ID] < n {
			t.Errorf("job %d of a data store began after %d", order[j.ID], n)
		}
		last[j.DatastoreID] = order[j.ID]
		got = append(got, j.ID)
		o.kind.end <- done
	}
	for _, id := range want {
		if j := o.finished(id); j.Status != catalog.JobCompleted {
			t.Errorf("%+v", j)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("jobs that ran (-want +got):\n%s", d)
	}
}

// TestStatesAreThoseOfRecords checks that the two packages that know the states, which must not
// know one another, spell them alike.
func TestStatesAreThoseOfRecords(t *testing.T) {
	for record, state := range map[string]job.State{
		catalog.JobSubmitted: job.Submitted, catalog.JobQueued: job.Queued, catalog.JobInProgress: job.InProgress,
		catalog.JobCompleted: job.Completed, catalog.JobCompletedWithErrors: job.CompletedWithErrors, catalog.JobFailed: job.Failed,
		catalog.JobCancelSubmitted: job.CancelSubmitted, catalog.JobCancelInProgress: job.CancelInProgress,
		catalog.JobCancelCompleted: job.CancelCompleted, catalog.JobCancelFailed: job.CancelFailed,
	} {
		ended := catalog.Job{JobProperties: catalog.JobProperties{Status: record}}
		if record != string(state) || ended.Ended() != state.Ended() {
			t.Errorf("%s is %s; ended %v and %v", record, state, ended.Ended(), state.Ended())
		}
	}
}

func TestNoSuchKind(t *testing.T) {
	o := open(t, t.TempDir(), 1)
	j := &catalog.Job{Kind: catalog.Export}
	j.DatastoreID = o.store("a")
	if _, err := o.Submit(j); !errors.Is(err, ErrNoKind) {
		t.Errorf("%v", err)
	}
}
