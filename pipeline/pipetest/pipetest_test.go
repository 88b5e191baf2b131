package pipetest_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
)

// The suites must pass for the plainest implementations.

func input(*testing.T) pipeline.Source {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "{\"id\":\"pat-%d\"}\n", i)
	}
	return pipetest.Lines("in.ndjson", b.String(), 7)
}

func TestLinesIsASource(t *testing.T) { pipetest.TestSource(t, input) }

// odd rejects records with an odd line.
type odd struct{}

func (odd) Name() string                        { return "odd" }
func (odd) NewWorker() (pipeline.Worker, error) { return odd{}, nil }
func (odd) Process(_ context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		if b.At = i; b.Records[i].Line%2 == 1 {
			b.AddIssue(i, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeValue, Diagnostics: "the line is odd"})
		}
	}
	return nil
}

func TestOddIsAStage(t *testing.T) { pipetest.TestStage(t, odd{}, input) }

// memory is a sink that upper-cases batches in tasks.
type memory struct{ out, visible bytes.Buffer }

func (m *memory) Name() string { return "memory" }

func (m *memory) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	var product []byte
	return []pipeline.Task{{
		Run:   func(context.Context) error { product = bytes.ToUpper(b.Data); return nil },
		Done:  func() error { m.out.Write(product); return nil },
		Bytes: int64(len(b.Data)),
	}}, nil
}

func (m *memory) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }
func (m *memory) Commit(context.Context) error                   { m.visible = m.out; return nil }
func (m *memory) Close() error                                   { return nil }

func TestMemoryIsASink(t *testing.T) {
	pipetest.TestSink(t, func(*testing.T) pipetest.SinkSetup {
		m := new(memory)
		return pipetest.SinkSetup{Sink: m, Result: func() (string, error) { return m.visible.String(), nil }}
	}, input, odd{})
}
