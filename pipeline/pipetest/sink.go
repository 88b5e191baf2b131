package pipetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/pipeline"
)

// A SinkSetup makes a sink on a place of its own, for [TestSink].
type SinkSetup struct {
	Sink pipeline.Sink
	// Result gives what readers see of the place after a job: "" when nothing
	// is there, not even a leftover of a job that failed.
	Result func() (string, error)
}

// TestSink checks a sink. setup is called for each job; source gives the same
// input each time; stages are run before the sink.
func TestSink(t *testing.T, setup func(t *testing.T) SinkSetup, source func(t *testing.T) pipeline.Source, stages ...pipeline.Stage) {
	ctx := context.Background()
	result := func(t *testing.T, s SinkSetup) string {
		t.Helper()
		r, err := s.Result()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	nothing := func(t *testing.T, s SinkSetup) {
		t.Helper()
		if r := result(t, s); r != "" {
			t.Errorf("left behind without Commit: %.200s", r)
		}
	}

	t.Run("same-with-1-and-4-workers", func(t *testing.T) {
		CheckGoroutines(t)
		var want string
		for _, workers := range []int{1, 4, 4} {
			s := setup(t)
			// Batches overtake each other, and memory is short at times.
			if _, err := pipeline.Run(ctx, pipeline.Config{
				Source: source(t), Stages: append([]pipeline.Stage{uneven{}}, stages...), Sinks: []pipeline.Sink{s.Sink},
				Workers: workers, Memory: 4 << 20,
			}); err != nil {
				t.Fatal(err)
			}
			got := result(t, s)
			if got == "" {
				t.Fatal("nothing there after Commit")
			}
			if want == "" {
				want = got
			} else if got != want {
				t.Error("the result depends on the number of workers (invariant 2)")
			}
		}
	})
	t.Run("close-without-commit", func(t *testing.T) {
		s := setup(t)
		if err := s.Sink.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		nothing(t, s)
	})
	for _, at := range []int64{0, 1, 1 << 40} {
		t.Run("failed-job", func(t *testing.T) {
			CheckGoroutines(t)
			s := setup(t)
			_, err := pipeline.Run(ctx, pipeline.Config{
				Source: source(t), Stages: append(stages, failing{at}), Sinks: []pipeline.Sink{s.Sink, refusing{}}, Workers: 2,
			})
			if !errors.Is(err, errWanted) {
				t.Fatalf("error: %v", err)
			}
			nothing(t, s)
		})
	}
	t.Run("canceled-job", func(t *testing.T) {
		CheckGoroutines(t)
		s := setup(t)
		canceled, cancel := context.WithCancel(ctx)
		_, err := pipeline.Run(canceled, pipeline.Config{
			Source: source(t), Stages: append(stages, calling{cancel}), Sinks: []pipeline.Sink{s.Sink}, Workers: 2,
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error: %v", err)
		}
		nothing(t, s)
	})
	t.Run("empty-job", func(t *testing.T) {
		s := setup(t)
		if _, err := pipeline.Run(ctx, pipeline.Config{Source: Lines("empty", "", 1), Sinks: []pipeline.Sink{s.Sink}}); err != nil {
			t.Error(err)
		}
	})
}

var errWanted = errors.New("the failure that the suite wants")

// uneven makes later batches overtake earlier ones.
type uneven struct{}

func (uneven) Name() string                        { return "uneven" }
func (uneven) NewWorker() (pipeline.Worker, error) { return uneven{}, nil }
func (uneven) Process(_ context.Context, b *pipeline.Batch) error {
	time.Sleep(time.Duration(b.Seq*7919%5) * time.Millisecond)
	return nil
}

// failing fails at one batch.
type failing struct{ at int64 }

func (failing) Name() string                          { return "failing" }
func (f failing) NewWorker() (pipeline.Worker, error) { return f, nil }
func (f failing) Process(_ context.Context, b *pipeline.Batch) error {
	if b.Seq == f.at {
		return errWanted
	}
	return nil
}

// refusing is a sink whose Flush fails, so that no sink is committed.
type refusing struct{}

func (refusing) Name() string                                                    { return "refusing" }
func (refusing) Write(context.Context, *pipeline.Batch) ([]pipeline.Task, error) { return nil, nil }
func (refusing) Flush(context.Context) ([]pipeline.Task, error)                  { return nil, errWanted }
func (refusing) Commit(context.Context) error                                    { return nil }
func (refusing) Close() error                                                    { return nil }

// calling calls f at the first batch.
type calling struct{ f func() }

func (calling) Name() string                          { return "calling" }
func (c calling) NewWorker() (pipeline.Worker, error) { return c, nil }
func (c calling) Process(_ context.Context, b *pipeline.Batch) error {
	if b.Seq == 0 {
		c.f()
	}
	return nil
}
