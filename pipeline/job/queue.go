package job

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Causes of the end of a job's context.
var (
	// ErrCancelled says that somebody asked for the job to end.
	ErrCancelled = errors.New("the job was cancelled")
	// ErrStopping says that the process ends; the job may go on in the next one.
	ErrStopping = errors.New("the server stops")
)

// Task is a job in a queue.
type Task struct {
	ID   string
	Lane string // jobs of a lane run one at a time; "" is none
	Run  func(context.Context)
}

// Queue runs jobs, the oldest first. It is safe for concurrent use.
type Queue struct {
	atOnce int

	mu      sync.Mutex
	waiting []Task
	running map[string]*running // by id
	stopped bool
	work    sync.WaitGroup
}

// running is a job at work.
type running struct {
	lane   string
	cancel context.CancelCauseFunc
}

// NewQueue makes a queue that runs so many jobs at once, one at least.
func NewQueue(atOnce int) *Queue {
	return &Queue{atOnce: max(atOnce, 1), running: map[string]*running{}}
}

// Add puts a job at the end of the queue and begins it if it may begin. After Stop it does
// nothing.
func (q *Queue) Add(t Task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.waiting = append(q.waiting, t)
	q.begin()
}

// begin begins what may begin. The caller holds mu.
func (q *Queue) begin() {
	for i := 0; i < len(q.waiting) && len(q.running) < q.atOnce && !q.stopped; {
		t := q.waiting[i]
		if q.taken(t.Lane) {
			i++
			continue
		}
		q.waiting = slices.Delete(q.waiting, i, i+1)
		ctx, cancel := context.WithCancelCause(context.Background())
		q.running[t.ID] = &running{t.Lane, cancel}
		q.work.Go(func() {
			defer q.ended(t.ID)
			t.Run(ctx)
		})
	}
}

func (q *Queue) taken(lane string) bool {
	if lane == "" {
		return false
	}
	for _, r := range q.running {
		if r.lane == lane {
			return true
		}
	}
	return false
}

func (q *Queue) ended(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running[id].cancel(nil)
	delete(q.running, id)
	q.begin()
}

// Waits tells whether a job is in the queue and has not begun.
func (q *Queue) Waits(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.waiting, func(t Task) bool { return t.ID == id })
}

// Cancel ends a job: one that waits is taken out, and then waited is true; the context of one
// that runs ends with [ErrCancelled]. Known is false when the queue does not have it.
func (q *Queue) Cancel(id string) (waited, known bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.waiting, func(t Task) bool { return t.ID == id }); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return true, true
	}
	r := q.running[id]
	if r == nil {
		return false, false
	}
	r.cancel(ErrCancelled)
	return false, true
}

// Stop begins no further job, ends the contexts of those that run with [ErrStopping], and
// waits for them.
func (q *Queue) Stop() {
	q.mu.Lock()
	q.stopped = true
	for _, r := range q.running {
		r.cancel(ErrStopping)
	}
	q.mu.Unlock()
	q.work.Wait()
}
