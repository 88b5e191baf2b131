package datastores

import (
	"context"
	"slices"
	"sync"
)

// turns says which jobs may run: some at once, the one that waits longest first, and of one
// data store one at a time: two would publish over each other. It is safe for concurrent use.
type turns struct {
	mu      sync.Mutex
	atOnce  int
	working []string // ids of data stores
	waiting []*turn
}

// turn is a job that waits.
type turn struct {
	id  string
	may chan struct{} // closed when it may run
}

// take waits for a turn in a data store. Waiting, when not nil, is called when there is
// something to wait for.
func (t *turns) take(ctx context.Context, id string, waiting func()) (end func(), err error) {
	w := &turn{id, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	t.grant()
	t.mu.Unlock()
	select {
	case <-w.may:
	default:
		if waiting != nil {
			waiting()
		}
		select {
		case <-w.may:
		case <-ctx.Done():
			if t.withdraw(w) {
				return nil, ctx.Err()
			}
		}
	}
	return sync.OnceFunc(func() { t.end(id) }), nil
}

// grant lets those go on that may. The caller holds mu.
func (t *turns) grant() {
	for i := 0; i < len(t.waiting) && len(t.working) < t.atOnce; {
		w := t.waiting[i]
		if slices.Contains(t.working, w.id) {
			i++
			continue
		}
		t.waiting = slices.Delete(t.waiting, i, i+1)
		t.working = append(t.working, w.id)
		close(w.may)
	}
}

// withdraw takes back the wish for a turn; false: it was granted.
func (t *turns) withdraw(w *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, w)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return i >= 0
}

func (t *turns) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.working, id); i >= 0 {
		t.working = slices.Delete(t.working, i, i+1)
	}
	t.grant()
}

// works tells whether a job works in a data store.
func (t *turns) works(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.working, id)
}

// set says how many jobs run at once.
func (t *turns) set(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.atOnce = max(n, 1)
	t.grant()
}
