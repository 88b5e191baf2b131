package pipetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
)

// TestSource checks a source. open must give a new one over the same input each
// time; the input should make several batches.
func TestSource(t *testing.T, open func(t *testing.T) pipeline.Source) {
	ctx := context.Background()
	read := func(t *testing.T, src pipeline.Source) []string {
		t.Helper()
		var got []string
		if err := Collect(ctx, src, func(b *pipeline.Batch) {
			got = append(got, fmt.Sprintf("input=%d\n%s", b.Input, Text(b)))
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	closing := func(t *testing.T, src pipeline.Source) {
		t.Helper()
		if err := src.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}

	t.Run("same-each-time", func(t *testing.T) {
		CheckGoroutines(t)
		var first []string
		for range 3 {
			src := open(t)
			got := read(t, src)
			closing(t, src)
			if first == nil {
				first = got
			}
			if strings.Join(got, "----\n") != strings.Join(first, "----\n") {
				t.Fatal("the same input gave other batches (invariant 2)")
			}
		}
		if len(first) == 0 {
			t.Error("the source gave no batch: the suite needs some")
		}
	})
	t.Run("batches", func(t *testing.T) {
		src := open(t)
		defer closing(t, src)
		if err := Collect(ctx, src, func(b *pipeline.Batch) {
			if cap(b.Data) < len(b.Data)+pipeline.Padding {
				t.Error("no padding after Data")
			}
			for _, c := range b.Data[len(b.Data) : len(b.Data)+pipeline.Padding] {
				if c != 0 {
					t.Error("the padding is not zero")
					break
				}
			}
			for i := range b.Records {
				r := &b.Records[i]
				switch {
				case r.File == nil:
					t.Error("a record without a file")
				case r.Line < 1:
					t.Errorf("%s: line %d", r.File.Name, r.Line)
				case r.Start > r.End || int(r.End) > len(b.Data):
					t.Errorf("%s: span [%d,%d) of %d bytes", b.Pos(r), r.Start, r.End, len(b.Data))
				case r.Start == r.End && r.Status != pipeline.Rejected:
					t.Errorf("%s: an empty record", b.Pos(r))
				}
			}
			for _, is := range b.Issues {
				if is.Record < 0 || is.Record >= len(b.Records) {
					t.Errorf("issue of record %d of %d", is.Record, len(b.Records))
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("eof-again", func(t *testing.T) {
		src := open(t)
		defer closing(t, src)
		read(t, src)
		for range 3 {
			if err := src.Next(ctx, new(pipeline.Batch)); err != io.EOF {
				t.Errorf("Next after the end: %v, want io.EOF", err)
			}
		}
	})
	t.Run("cancel", func(t *testing.T) {
		CheckGoroutines(t)
		src := open(t)
		canceled, cancel := context.WithCancel(ctx)
		if err := src.Next(canceled, new(pipeline.Batch)); err != nil {
			t.Fatal(err)
		}
		cancel()
		soon(t, "Next after cancel", func() {
			if err := src.Next(canceled, new(pipeline.Batch)); !errors.Is(err, context.Canceled) {
				t.Errorf("Next after cancel: %v", err)
			}
		})
		soon(t, "Close", func() { closing(t, src) })
	})
	t.Run("close", func(t *testing.T) {
		CheckGoroutines(t)
		src := open(t) // never read
		soon(t, "Close", func() { closing(t, src); closing(t, src) })
		src = open(t)
		if err := src.Next(ctx, new(pipeline.Batch)); err != nil {
			t.Fatal(err)
		}
		soon(t, "Close", func() { closing(t, src); closing(t, src) })
	})
	t.Run("run", func(t *testing.T) {
		CheckGoroutines(t)
		var want string
		for _, workers := range []int{1, 4} {
			sink := new(text)
			f, err := pipeline.Run(ctx, pipeline.Config{Source: open(t), Sinks: []pipeline.Sink{sink}, Workers: workers, Memory: 1})
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = sink.String()
			} else if sink.String() != want {
				t.Error("4 workers gave another result than 1")
			}
			if f.Total > 0 && f.Read != f.Total {
				t.Errorf("read %d of %d at the end", f.Read, f.Total)
			}
		}
	})
}

// text is a sink that keeps the text of all batches.
type text struct{ strings.Builder }

func (s *text) Name() string { return "text" }
func (s *text) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	s.WriteString(Text(b))
	return nil, nil
}
func (s *text) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }
func (s *text) Commit(context.Context) error                   { return nil }
func (s *text) Close() error                                   { return nil }
