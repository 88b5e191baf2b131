package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// bench is a queue whose jobs end when they are told to.
type bench struct {
	*Queue
	mu    sync.Mutex
	begun []string
	ends  map[string]chan bool
	cause map[string]error
}

func newBench(atOnce int) *bench {
	return &bench{Queue: NewQueue(atOnce), ends: map[string]chan bool{}, cause: map[string]error{}}
}

func (b *bench) add(id, lane string) {
	end := make(chan bool)
	b.ends[id] = end
	b.Add(Task{ID: id, Lane: lane, Run: func(ctx context.Context) {
		b.mu.Lock()
		b.begun = append(b.begun, id)
		b.mu.Unlock()
		select {
		case <-end:
		case <-ctx.Done():
			b.mu.Lock()
			defer b.mu.Unlock()
			b.cause[id] = context.Cause(ctx)
		}
	}})
	synctest.Wait()
}

func (b *bench) end(id string) {
	close(b.ends[id])
	synctest.Wait()
}

func (b *bench) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, b.begun); d != "" {
		t.Errorf("%s, begun (-want +got):\n%s", when, d)
	}
}

func TestOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(1)
		defer b.Stop()
		for _, id := range []string{"a", "b", "c"} {
			b.add(id, "store")
		}
		b.expect(t, "one at once", "a")
		if !b.Waits("b") || b.Waits("a") || b.Waits("x") {
			t.Error("who waits")
		}
		b.end("a")
		b.expect(t, "a ended", "a", "b")
		b.end("b")
		b.expect(t, "b ended", "a", "b", "c")
		b.end("c")
	})
}

func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(2)
		defer b.Stop()
		for _, id := range []string{"a1", "a2", "b1", "b2"} {
			b.add(id, id[:1])
		}
		b.expect(t, "two at once", "a1", "b1")
		b.add("free", "")
		b.end("b1")
		b.expect(t, "b1 ended", "a1", "b1", "b2")
		b.end("a1")
		b.expect(t, "a1 ended", "a1", "b1", "b2", "a2")
		b.end("b2")
		b.expect(t, "b2 ended", "a1", "b1", "b2", "a2", "free")
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(1)
		defer b.Stop()
		for _, id := range []string{"a", "b", "c"} {
			b.add(id, "")
		}
		for _, tt := range []struct {
			id            string
			waited, known bool
		}{{"b", true, true}, {"b", false, false}, {"a", false, true}, {"x", false, false}} {
			if waited, known := b.Cancel(tt.id); waited != tt.waited || known != tt.known {
				t.Errorf("%s: %v, %v", tt.id, waited, known)
			}
		}
		synctest.Wait()
		b.expect(t, "b was taken out, a cancelled", "a", "c")
		if !errors.Is(b.cause["a"], ErrCancelled) {
			t.Errorf("cause: %v", b.cause["a"])
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(1)
		b.add("a", "")
		b.add("b", "")
		b.Stop()
		b.add("c", "")
		b.expect(t, "stopped", "a")
		if !errors.Is(b.cause["a"], ErrStopping) {
			t.Errorf("cause: %v", b.cause["a"])
		}
	})
}

// TestManyJobs checks the invariants with many jobs that end at once.
func TestManyJobs(t *testing.T) {
	const jobs, lanes, atOnce = 500, 7, 3
	q := NewQueue(atOnce)
	type end struct {
		id   int
		lane string
	}
	begun, ends := make(chan end), make(chan end, jobs)
	for i := range jobs {
		lane := fmt.Sprint("lane ", i%lanes)
		q.Add(Task{ID: fmt.Sprint(i), Lane: lane, Run: func(context.Context) {
			begun <- end{i, lane}
			ends <- end{i, lane}
		}})
	}
	last := map[string]int{}
	for range jobs {
		e := <-begun
		if before, ok := last[e.lane]; ok && before >= e.id {
			t.Errorf("job %d of %s began after %d", e.id, e.lane, before)
		}
		last[e.lane] = e.id
	}
	q.Stop()
	if len(ends) != jobs {
		t.Errorf("%d jobs ended, want %d", len(ends), jobs)
	}
}

func TestStates(t *testing.T) {
	all := []State{Submitted, Queued, InProgress, CompletedWithErrors, Completed, Failed, CancelSubmitted, CancelInProgress, CancelCompleted, CancelFailed}
	for _, s := range all {
		any := false
		for _, n := range all {
			any = any || s.MayBecome(n)
		}
		if any == s.Ended() {
			t.Errorf("%s: ended %v, may become another %v", s, s.Ended(), any)
		}
	}
	if State("").Ended() || State("NEW").MayBecome(Completed) {
		t.Error("unknown states")
	}
}
