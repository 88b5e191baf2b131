package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// counter is a source of n batches of the given size with one record each.
type counter struct {
	n, size int
	next    int
	closed  atomic.Int32
	fail    int // Next of this batch fails; 0: none
	file    pipeline.File
}

func (s *counter) Next(ctx context.Context, b *pipeline.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.next == s.n {
		return io.EOF
	}
	s.next++
	if s.next == s.fail {
		return errors.New("in.ndjson: disk on fire")
	}
	if s.next == 1 {
		s.file.Name = "in.ndjson"
	}
	b.Data = append(b.Data, make([]byte, s.size)...)
	copy(b.Data, fmt.Sprintf("batch %d", s.next))
	b.Records = append(b.Records, pipeline.Record{
		File: &s.file, Line: int64(s.next), End: uint32(s.size), Entry: -1, Root: fhir.NoNode,
	})
	b.Input = int64(s.size)
	return nil
}

func (s *counter) Close() error { s.closed.Add(1); return nil }

// step is a stage made of a func.
type step struct {
	name string
	f    func(ctx context.Context, b *pipeline.Batch) error
}

func (s step) Name() string                                         { return s.name }
func (s step) NewWorker() (pipeline.Worker, error)                  { return s, nil }
func (s step) Process(ctx context.Context, b *pipeline.Batch) error { return s.f(ctx, b) }

// jitter makes batches overtake each other.
var jitter = step{"jitter", func(context.Context, *pipeline.Batch) error {
	time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	return nil
}}

// log is a sink that notes what happens to it. With tasks it lets each batch
// make two tasks.
type log struct {
	out    bytes.Buffer
	tasks  bool
	bytes  int64
	closed atomic.Int32
	fail   string // the call that fails
}

func (l *log) Name() string { return "log" }

func (l *log) call(name string) error {
	fmt.Fprintf(&l.out, "%s\n", name)
	if l.fail == name {
		return errors.New("no space left")
	}
	return nil
}

func (l *log) Write(ctx context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	text, _, _ := strings.Cut(string(b.Data), "\x00")
	if err := l.call(text); err != nil || !l.tasks {
		return nil, err
	}
	var tasks []pipeline.Task
	for i := range 2 {
		var product string
		tasks = append(tasks, pipeline.Task{
			Bytes: l.bytes,
			Run: func(ctx context.Context) error {
				if l.fail == "run" {
					return errors.New("encoder broke")
				}
				time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
				// The batch must still be there (invariant 1).
				text, _, _ := strings.Cut(string(b.Data), "\x00")
				product = fmt.Sprintf("task %d of %s", i, text)
				return nil
			},
			Done: func() error { return l.call(product) },
		})
	}
	return tasks, nil
}

func (l *log) Flush(context.Context) ([]pipeline.Task, error) {
	err := l.call("flush")
	if !l.tasks {
		return nil, err
	}
	return []pipeline.Task{{Done: func() error { return l.call("flushed") }}}, err
}

func (l *log) Commit(context.Context) error { return l.call("commit") }
func (l *log) Close() error                 { l.closed.Add(1); return nil }

// checkGoroutines fails when goroutines are left.
func checkGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 100 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	})
}

func TestRunOrder(t *testing.T) {
	var want string
	for _, workers := range []int{1, 2, 4} {
		for _, memory := range []int64{1, 200 << 10, 0} { // the first admits one batch at a time
			checkGoroutines(t)
			src := &counter{n: 60, size: 50 << 10}
			one, two := &log{tasks: true, bytes: 1 << 20}, &log{}
			var calls atomic.Int32
			f, err := pipeline.Run(context.Background(), pipeline.Config{
				Source: src, Stages: []pipeline.Stage{jitter}, Sinks: []pipeline.Sink{one, two},
				Workers: workers, Memory: memory, Progress: func(pipeline.Figures) { calls.Add(1) }, Interval: time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if src.closed.Load() != 1 || one.closed.Load() != 1 || two.closed.Load() != 1 {
				t.Error("not all closed once")
			}
			if calls.Load() == 0 {
				t.Error("Progress was not called")
			}
			if f.Batches != 60 || f.Records != 60 || f.Bytes != 60*50<<10 || f.InFlight != 0 || f.PeakInFlight == 0 {
				t.Errorf("figures: %+v", f)
			}
			if s := f.Sinks[0]; s.Tasks != 121 || s.TaskBusy == 0 || f.Stages[0].Busy == 0 || f.Stages[0].Name != "jitter" {
				t.Errorf("figures: %+v", f)
			}
			// Done calls come between Writes as it happens; their own order is fixed.
			var writes, done []string
			for l := range strings.Lines(one.out.String()) {
				if strings.HasPrefix(l, "task") {
					done = append(done, l)
				} else {
					writes = append(writes, l)
				}
			}
			got := strings.Join(writes, "") + strings.Join(done, "")
			if want == "" {
				want = got
				if !strings.HasSuffix(strings.Join(writes, ""), "batch 60\nflush\nflushed\ncommit\n") || !strings.HasPrefix(got, "batch 1\nbatch 2\n") ||
					!strings.HasPrefix(strings.Join(done, ""), "task 0 of batch 1\ntask 1 of batch 1\ntask 0 of batch 2\n") {
					t.Errorf("order:\n%s", got)
				}
			}
			if got != want {
				t.Errorf("%d workers, memory %d: order differs:\n%s", workers, memory, got)
			}
		}
	}
}

func TestRunErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *pipeline.Config, src *counter, sink *log)
		want   string
	}{
		{"source", func(c *pipeline.Config, src *counter, sink *log) { src.fail = 7 }, "in.ndjson: disk on fire"},
		{"stage", func(c *pipeline.Config, src *counter, sink *log) {
			c.Stages = append(c.Stages, step{"parse", func(_ context.Context, b *pipeline.Batch) error {
				if b.Seq == 5 {
					return errors.New("bad table")
				}
				return nil
			}})
		}, "parse: bad table"},
		{"stage-at", func(c *pipeline.Config, src *counter, sink *log) {
			c.Stages = append(c.Stages, step{"parse", func(_ context.Context, b *pipeline.Batch) error {
				if b.At = 0; b.Seq == 5 {
					return errors.New("bad table")
				}
				return nil
			}})
		}, "in.ndjson:6: parse: bad table"},
		{"panic-at", func(c *pipeline.Config, src *counter, sink *log) {
			c.Stages = append(c.Stages, step{"parse", func(_ context.Context, b *pipeline.Batch) error {
				if b.At = 0; b.Seq == 5 {
					panic("index out of range")
				}
				return nil
			}})
		}, "in.ndjson:6: parse: panic: index out of range"},
		{"panic", func(c *pipeline.Config, src *counter, sink *log) {
			c.Stages = append(c.Stages, step{"parse", func(_ context.Context, b *pipeline.Batch) error {
				if b.Seq == 5 {
					b.Records[b.Seq].Status = pipeline.Rejected
				}
				return nil
			}})
		}, "in.ndjson:6: parse: this record or one of the 0 after it: panic: runtime error: index out of range [5] with length 1"},
		{"worker", func(c *pipeline.Config, src *counter, sink *log) { c.Stages = append(c.Stages, broken{}) }, "broken: no table"},
		{"write", func(c *pipeline.Config, src *counter, sink *log) { sink.fail = "batch 3" }, "log: no space left"},
		{"run", func(c *pipeline.Config, src *counter, sink *log) { sink.fail = "run" }, "log: encoder broke"},
		{"done", func(c *pipeline.Config, src *counter, sink *log) { sink.fail = "task 1 of batch 2" }, "log: no space left"},
		{"flush", func(c *pipeline.Config, src *counter, sink *log) { sink.fail = "flush" }, "flush log: no space left"},
		{"commit", func(c *pipeline.Config, src *counter, sink *log) { sink.fail = "commit" }, "commit log: no space left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			src, sink, last := &counter{n: 50, size: 1000}, &log{tasks: true}, &log{}
			c := pipeline.Config{Source: src, Stages: []pipeline.Stage{jitter}, Sinks: []pipeline.Sink{sink, last}, Workers: 3}
			tt.change(&c, src, sink)
			_, err := pipeline.Run(context.Background(), c)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error: %v\nwant:  %s", err, tt.want)
			}
			if src.closed.Load() != 1 || sink.closed.Load() != 1 || last.closed.Load() != 1 {
				t.Error("not all closed once")
			}
			if strings.Contains(last.out.String(), "commit") {
				t.Error("committed after an error")
			}
		})
	}
}

type broken struct{}

func (broken) Name() string                        { return "broken" }
func (broken) NewWorker() (pipeline.Worker, error) { return nil, errors.New("no table") }

func TestRunCancel(t *testing.T) {
	for _, at := range []int64{0, 3, 40} {
		checkGoroutines(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		reason := errors.New("the user said stop")
		src, sink := &counter{n: 1 << 30, size: 1000}, &log{tasks: true}
		stop := step{"stop", func(ctx context.Context, b *pipeline.Batch) error {
			if b.Seq == at {
				cancel(reason)
			}
			return nil
		}}
		_, err := pipeline.Run(ctx, pipeline.Config{Source: src, Stages: []pipeline.Stage{stop}, Sinks: []pipeline.Sink{sink}, Workers: 4})
		if !errors.Is(err, reason) {
			t.Errorf("error: %v", err)
		}
		if src.closed.Load() != 1 || sink.closed.Load() != 1 || strings.Contains(sink.out.String(), "commit") {
			t.Error("not closed once without commit")
		}
	}
}

// A batch bigger than the budget goes alone; the others share it.
func TestRunMemory(t *testing.T) {
	const budget = 1 << 20
	f, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: &counter{n: 200, size: 100 << 10}, Stages: []pipeline.Stage{jitter}, Workers: 4, Memory: budget,
	})
	if err != nil || f.PeakInFlight > budget || f.PeakInFlight < budget/2 {
		t.Errorf("peak %d of %d, %v", f.PeakInFlight, budget, err)
	}
	f, err = pipeline.Run(context.Background(), pipeline.Config{
		Source: &counter{n: 20, size: 2 << 20}, Stages: []pipeline.Stage{jitter}, Workers: 4, Memory: budget,
	})
	if err != nil || f.PeakInFlight > 3<<20 {
		t.Errorf("peak %d with batches of 2 MiB, %v", f.PeakInFlight, err)
	}
}

// The tasks of one sink may hold more than the whole budget.
func TestRunBigTasks(t *testing.T) {
	sink := &log{tasks: true, bytes: 1 << 40}
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: &counter{n: 30, size: 1000}, Sinks: []pipeline.Sink{sink}, Workers: 2, Memory: 1 << 20,
	}); err != nil {
		t.Error(err)
	}
}

type preparer struct {
	log
	prepared atomic.Int32
}

func (p *preparer) Prepare() pipeline.Stage {
	return step{"prepare", func(context.Context, *pipeline.Batch) error { p.prepared.Add(1); return nil }}
}

func TestRunPreparer(t *testing.T) {
	p := new(preparer)
	f, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: &counter{n: 10, size: 10}, Stages: []pipeline.Stage{jitter}, Sinks: []pipeline.Sink{p},
	})
	if err != nil || p.prepared.Load() != 10 || len(f.Stages) != 2 || f.Stages[1].Name != "prepare" {
		t.Errorf("prepared %d, %+v, %v", p.prepared.Load(), f.Stages, err)
	}
}

func TestRunEmpty(t *testing.T) {
	sink := new(log)
	f, err := pipeline.Run(context.Background(), pipeline.Config{Source: &counter{}, Sinks: []pipeline.Sink{sink}})
	if err != nil || f.Batches != 0 || sink.out.String() != "flush\ncommit\n" {
		t.Errorf("%v %+v %s", err, f, sink.out.String())
	}
}

// empty gives batches without touching memory.
type empty struct{ n int }

func (s *empty) Next(context.Context, *pipeline.Batch) error {
	if s.n == 0 {
		return io.EOF
	}
	s.n--
	return nil
}
func (s *empty) Close() error { return nil }

// BenchmarkRun is the overhead of the engine for one batch.
func BenchmarkRun(b *testing.B) {
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			_, err := pipeline.Run(context.Background(), pipeline.Config{Source: &empty{b.N}, Sinks: []pipeline.Sink{nothing{}}, Workers: workers})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

type nothing struct{}

func (nothing) Name() string                                                    { return "nothing" }
func (nothing) Write(context.Context, *pipeline.Batch) ([]pipeline.Task, error) { return nil, nil }
func (nothing) Flush(context.Context) ([]pipeline.Task, error)                  { return nil, nil }
func (nothing) Commit(context.Context) error                                    { return nil }
func (nothing) Close() error                                                    { return nil }
