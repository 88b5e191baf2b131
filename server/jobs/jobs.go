// Package jobs owns the jobs of a server: those that clients submit, which survive the
// process. It makes their records, runs them in their order, ends them when asked, and goes on
// with them after a crash. What a job of some kind does is a [Kind]; imports, exports and
// the loading of generated resources are here, over package bulk. Which codes a client sees
// is left to server/control and server/rest.
//
// Invariants, cited by number elsewhere:
//
//  1. A job that was submitted has a durable record, and ends in a last state, whatever ends
//     the process.
//  2. A job that publishes runs again only when it has not published.
//  3. The record of a last state is durable before another job may publish in the same data
//     store, so that the next owner can tell by the manifest whether the job had published.
//
// Read [Manager] and [Kind] first (docs/decisions/0045-jobs.md).
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/pipeline/job"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// A Kind is what jobs of one kind do.
//
// Run does the work of a job and sets in its record what it came to; a Status that it sets is the
// last one, else the job is COMPLETED, or FAILED with the text of the error. It returns soon
// after ctx ends. After a crash Run is called again for the same job: what an earlier
// run has left is in its way, or of use, or gone. The record has a Snapshot when an
// earlier run has published: then what remains is to tell about it.
//
// Publishes says that jobs of this kind publish in a data store: they take turns with all
// others that do.
type Kind interface {
	Run(ctx context.Context, j *Job) error
	Publishes() bool
}

// Job is a job at work. Its record belongs to the goroutine that runs it.
type Job struct {
	*catalog.Job
	Progress job.Progress
	manager  *Manager
}

// Save makes the record durable as it is.
func (j *Job) Save() error {
	j.manager.mu.Lock()
	defer j.manager.mu.Unlock()
	return j.manager.save(j.Job)
}

// Options of a manager.
type Options struct {
	Catalog *catalog.Catalog
	Kinds   map[catalog.JobKind]Kind
	// Turn waits until a job may publish in a data store.
	Turn   func(ctx context.Context, datastore string, waiting func()) (end func(), err error)
	AtOnce int              // jobs that run at once; 0: 1
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nowhere
}

// Manager runs the jobs of a root. It is safe for concurrent use.
type Manager struct {
	o     Options
	queue *job.Queue

	mu      sync.Mutex
	running map[string]*Job          // by id
	cancel  map[string]bool          // ids of jobs at work that were asked to end
	ended   map[string]chan struct{} // closed when the job has ended; of those that somebody waits for
}

// ErrNoKind says that no jobs of a kind are run here.
var ErrNoKind = errors.New("no such jobs are run here")

// ErrEnded says that a job has ended already.
var ErrEnded = errors.New("the job has ended")

// New makes a manager. It runs nothing before Start.
func New(o Options) *Manager {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{o: o, queue: job.NewQueue(o.AtOnce), running: map[string]*Job{}, cancel: map[string]bool{}, ended: map[string]chan struct{}{}}
}

// Start goes on with the jobs that an earlier process has left, in the order in which they
// were submitted; those that were at work begin again.
func (m *Manager) Start() error {
	all, err := m.o.Catalog.Jobs("")
	if err != nil {
		return fmt.Errorf("go on with jobs: %w", err)
	}
	for _, j := range all {
		if j.Ended() || !j.Resumable {
			continue
		}
		if (j.Status == catalog.JobCancelSubmitted || j.Status == catalog.JobCancelInProgress) && j.Snapshot == 0 {
			if err := m.end(j, catalog.JobCancelCompleted, ""); err != nil {
				return err
			}
			continue
		}
		m.add(j)
	}
	return nil
}

// Stop begins no more jobs and ends those at work, which the next process goes on with.
func (m *Manager) Stop() { m.queue.Stop() }

// Serves tells whether jobs of a kind are run here.
func (m *Manager) Serves(k catalog.JobKind) bool { return m.o.Kinds[k] != nil }

// Submit makes a job durable and runs it when its turn comes. The same token as that of an
// earlier request gives that one's job. Errors: [catalog.ErrNotFound] when there is no such data
// store, [ErrNoKind].
func (m *Manager) Submit(j *catalog.Job) (*catalog.Job, error) {
	if !m.Serves(j.Kind) {
		return nil, fmt.Errorf("submit %s job: %w", j.Kind, ErrNoKind)
	}
	j.Resumable = true
	submitted, err := m.submit(j)
	if err != nil {
		return nil, err
	}
	return m.live(submitted), nil
}

// submit holds mu, so that nobody finds a job that is in no queue.
func (m *Manager) submit(j *catalog.Job) (*catalog.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, added, err := m.o.Catalog.AddJob(j)
	if err != nil {
		return nil, err
	}
	submitted := *j
	if added {
		m.add(j)
	}
	return &submitted, nil
}

func (m *Manager) add(j *catalog.Job) {
	lane := ""
	if k := m.o.Kinds[j.Kind]; k != nil && k.Publishes() {
		lane = j.DatastoreID
	}
	m.queue.Add(job.Task{ID: j.ID, Lane: lane, Run: func(ctx context.Context) { m.run(ctx, j) }})
}

// Job describes a job, one that runs as it is now.
func (m *Manager) Job(id string) (*catalog.Job, error) {
	j, err := m.o.Catalog.Job(id)
	if err != nil {
		return nil, err
	}
	return m.live(j), nil
}

// Jobs lists the jobs of a data store, of all when it is "", the oldest first.
func (m *Manager) Jobs(datastore string) ([]*catalog.Job, error) {
	all, err := m.o.Catalog.Jobs(datastore)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i] = m.live(all[i])
	}
	return all, nil
}

// live sets what the record of a job that has not ended does not say.
func (m *Manager) live(j *catalog.Job) *catalog.Job {
	if j.Ended() {
		return j
	}
	if j.Status == catalog.JobSubmitted && m.queue.Waits(j.ID) {
		j.Status = catalog.JobQueued
	}
	if at := m.at(j.ID); at != nil && j.Kind != catalog.Export && j.Progress == nil {
		r := at.Progress.Report()
		report := catalog.JobProgressReport(r)
		j.Progress = &report
	}
	return j
}

func (m *Manager) at(id string) *Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running[id]
}

// Files lists what a job has made of its inputs so far.
func (m *Manager) Files(id string) ([]catalog.JobFile, error) {
	at := m.at(id)
	if at == nil {
		return m.o.Catalog.JobFiles(id)
	}
	var files []catalog.JobFile
	for _, f := range at.Progress.Files() {
		files = append(files, catalog.JobFile{Name: f.Name, Status: catalog.JobInProgress, Accepted: f.Accepted, Rejected: f.Rejected})
	}
	return files, nil
}

// Cancel asks a job to end. One that waits has ended when Cancel returns; one at work ends soon,
// or is completed because it was done. The error is [ErrEnded] when there is nothing to end.
func (m *Manager) Cancel(id string) (*catalog.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := m.o.Catalog.Job(id)
	if err != nil {
		return nil, err
	}
	if j.Ended() {
		return nil, fmt.Errorf("job %s: %w: %s", id, ErrEnded, j.Status)
	}
	waited, known := m.queue.Cancel(id)
	switch {
	case waited, !known && j.Resumable && j.Snapshot == 0:
		// Nobody has it in hands who could go on.
		return j, m.end(j, catalog.JobCancelCompleted, "")
	case !known:
		return nil, fmt.Errorf("job %s belongs to a command that runs it; end the command", id)
	}
	m.cancel[id] = true
	return j, m.save(j)
}

// save writes the record of a job at work. The caller holds mu.
func (m *Manager) save(j *catalog.Job) error {
	if m.cancel[j.ID] {
		j.Status = catalog.JobCancelSubmitted
	}
	return m.o.Catalog.PutJob(j)
}

// Wait waits until a job has ended, or ctx ends.
func (m *Manager) Wait(ctx context.Context, id string) {
	m.mu.Lock()
	j, err := m.o.Catalog.Job(id)
	if err != nil || j.Ended() {
		m.mu.Unlock()
		return
	}
	if m.ended[id] == nil {
		m.ended[id] = make(chan struct{})
	}
	ended := m.ended[id]
	m.mu.Unlock()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// run takes a job from its turn to its end.
func (m *Manager) run(ctx context.Context, record *catalog.Job) {
	kind := m.o.Kinds[record.Kind]
	if kind == nil {
		m.finish(record, fmt.Errorf("this server runs no jobs of the kind %s", record.Kind), ctx)
		return
	}
	if kind.Publishes() {
		end, err := m.o.Turn(ctx, record.DatastoreID, nil)
		if err != nil {
			m.finish(record, err, ctx)
			return
		}
		defer end() // after the record (invariant 3)
	}
	j := &Job{Job: record, manager: m}
	m.mu.Lock()
	m.running[j.ID] = j
	m.mu.Unlock()
	j.Status, j.Message = catalog.JobInProgress, ""
	if j.Snapshot == 0 {
		j.Job.Progress = nil
	}
	err := j.Save()
	if err == nil {
		err = m.guard(ctx, kind, j)
	}
	m.finish(record, err, ctx)
}

// guard turns a panic into an error. Its text may have data, so it is not shown.
func (m *Manager) guard(ctx context.Context, kind Kind, j *Job) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			m.o.Log.Error("panic", "job", j.ID, "fault", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
			err = errors.New("an error of this server; its log has more at this job's id")
		}
	}()
	return kind.Run(ctx, j)
}

// maxMessage is how long HealthLake lets a message be.
const maxMessage = 2048

// finish makes the end of a job durable, as its error and the cause of its context's end say.
func (m *Manager) finish(record *catalog.Job, err error, ctx context.Context) {
	status, message := catalog.JobCompleted, record.Message
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		if job.State(record.Status).Ended() {
			status = record.Status
		}
		if errors.Is(cause, job.ErrCancelled) {
			message = "it was done when it was asked to end"
		}
	case errors.Is(cause, job.ErrStopping):
		m.leave(record)
		return // the next process goes on
	case errors.Is(cause, job.ErrCancelled):
		status = catalog.JobCancelCompleted
	default:
		status, message = catalog.JobFailed, err.Error()
		m.o.Log.Error("job", "job", record.ID, "kind", string(record.Kind), "datastore", record.DatastoreID, "status", status)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		putErr := m.end(record, status, message)
		if putErr == nil {
			return
		}
		m.o.Log.Error("write the end of a job", "job", record.ID, "error", putErr)
		if !m.patience(ctx) {
			return // the next process finds out what has become of it
		}
	}
}

// patience waits a moment before the record is written again; false: the server stops.
func (m *Manager) patience(ctx context.Context) bool {
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-time.After(time.Second):
		return true
	case <-ctx.Done():
		return !errors.Is(context.Cause(ctx), job.ErrStopping)
	}
}

// end writes the last state of a job and tells those who wait for it. The caller holds mu, or
// the job is in nobody's hands.
func (m *Manager) end(record *catalog.Job, status, message string) error {
	last := *record
	last.Status, last.Message, last.EndTime = status, short(message), catalog.At(m.o.Now())
	if err := m.o.Catalog.PutJob(&last); err != nil {
		return err
	}
	*record = last
	delete(m.running, last.ID)
	delete(m.cancel, last.ID)
	if ended := m.ended[last.ID]; ended != nil {
		close(ended)
		delete(m.ended, last.ID)
	}
	return nil
}

// leave leaves a job to the next process, which has to know whether it has published.
func (m *Manager) leave(record *catalog.Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.running, record.ID)
	if record.Snapshot == 0 {
		return
	}
	record.Status = catalog.JobInProgress
	if err := m.save(record); err != nil {
		m.o.Log.Error("write what a job has come to", "job", record.ID, "error", err)
	}
}

// short makes a message one line, of the length that clients know.
func short(message string) string {
	message = strings.ReplaceAll(message, "\n", "; ")
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage - len("...")
	for !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "..."
}
