package reject

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Outcomes is a sink that writes one OperationOutcome, a line of NDJSON, for
// each record that has issues, in input order.
type Outcomes struct {
	w    *bufio.Writer
	line []byte
	walk pipeline.IssueWalk
}

var _ pipeline.Sink = (*Outcomes)(nil)

// NewOutcomes makes a sink that writes to w.
func NewOutcomes(w io.Writer) *Outcomes { return &Outcomes{w: bufio.NewWriterSize(w, 64<<10)} }

// Name is "outcomes".
func (o *Outcomes) Name() string { return "outcomes" }

// Write writes the outcomes of a batch.
func (o *Outcomes) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	if len(b.Issues) == 0 {
		return nil, nil
	}
	o.walk.Start(b)
	for i := range b.Records {
		issues := o.walk.Of(i)
		if len(issues) == 0 {
			continue
		}
		p := b.Pos(&b.Records[i])
		o.line = outcome.Append(o.line[:0], issues, outcome.At{File: p.File, Line: p.Line, Offset: p.Offset})
		o.line = append(o.line, '\n')
		if _, err := o.w.Write(o.line); err != nil {
			return nil, fmt.Errorf("write outcomes: %w", err)
		}
	}
	return nil, nil
}

// Flush hands on what is buffered.
func (o *Outcomes) Flush(context.Context) ([]pipeline.Task, error) {
	if err := o.w.Flush(); err != nil {
		return nil, fmt.Errorf("write outcomes: %w", err)
	}
	return nil, nil
}

// Commit has nothing to do: outcomes are a stream.
func (o *Outcomes) Commit(context.Context) error { return nil }

// Close has nothing to do: the writer is the caller's.
func (o *Outcomes) Close() error { return nil }
