package pipetest

import (
	"context"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
)

// TestStage checks a stage on the batches of an input. open gives a new source
// each time. before are the stages that must run first.
func TestStage(t *testing.T, stage pipeline.Stage, open func(t *testing.T) pipeline.Source, before ...pipeline.Stage) {
	ctx := context.Background()
	var batches []*pipeline.Batch
	src := open(t)
	if err := Collect(ctx, src, func(b *pipeline.Batch) { batches = append(batches, clone(b)) }); err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if len(batches) == 0 {
		t.Fatal("the source gave no batch: the suite needs some")
	}
	stages := append(append([]pipeline.Stage(nil), before...), stage)
	// one runs a fresh chain on fresh copies of the batches, in the given order.
	one := func(t *testing.T, order []int) []string {
		t.Helper()
		c, err := pipeline.NewChain(stages...)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]string, len(batches))
		for _, i := range order {
			b := clone(batches[i])
			if err := c.Process(ctx, b); err != nil {
				t.Fatal(err)
			}
			got[i] = Text(b)
			poison(b) // a worker that kept a reference will trip
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		return got
	}
	forward := make([]int, len(batches))
	backward := make([]int, len(batches))
	for i := range batches {
		forward[i], backward[i] = i, len(batches)-1-i
	}

	t.Run("name", func(t *testing.T) {
		if stage.Name() == "" {
			t.Error("a stage has a name")
		}
	})
	t.Run("batches-in-any-order", func(t *testing.T) {
		a, b := one(t, forward), one(t, backward)
		for i := range a {
			if a[i] != b[i] {
				t.Errorf("batch %d depends on the batches that its worker saw before:\n%s\n%s", i, a[i], b[i])
			}
		}
	})
	t.Run("empty-batch", func(t *testing.T) {
		c, err := pipeline.NewChain(stages...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b := new(pipeline.Batch)
		b.Pad()
		if err := c.Process(ctx, b); err != nil || len(b.Records) != 0 {
			t.Errorf("%d records, %v", len(b.Records), err)
		}
	})
	t.Run("used-batch", func(t *testing.T) {
		// The runner hands the same memory out again.
		c, err := pipeline.NewChain(stages...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want := one(t, forward)
		b := new(pipeline.Batch)
		for i, from := range batches {
			b.Reset()
			b.Data = append(b.Data, from.Data...)
			b.Records = append(b.Records, from.Records...)
			b.Issues = append(b.Issues, from.Issues...)
			b.Input = from.Input
			b.Pad()
			if err := c.Process(ctx, b); err != nil {
				t.Fatal(err)
			}
			if got := Text(b); got != want[i] {
				t.Errorf("batch %d: a used batch gives another result:\n%s\n%s", i, got, want[i])
			}
			poison(b)
		}
	})
	t.Run("run", func(t *testing.T) {
		CheckGoroutines(t)
		var want string
		for _, workers := range []int{1, 4} {
			sink := new(text)
			if _, err := pipeline.Run(ctx, pipeline.Config{
				Source: open(t), Stages: stages, Sinks: []pipeline.Sink{sink}, Workers: workers,
			}); err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = sink.String()
			} else if sink.String() != want {
				t.Error("4 workers gave another result than 1")
			}
		}
	})
}
