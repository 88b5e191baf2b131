// Package pipetest holds the contracts of package pipeline as tests. A new
// source, stage or sink calls [TestSource], [TestStage] or [TestSink] with a
// func that makes one, and inherits every test. [Collect], [Lines] and [Text]
// help to write the tests of its own behaviour.
package pipetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Collect reads src to its end, calls each with every batch and then overwrites
// the batch's memory, so that whoever keeps a reference to it is found out.
func Collect(ctx context.Context, src pipeline.Source, each func(b *pipeline.Batch)) error {
	b := new(pipeline.Batch)
	for seq := int64(0); ; seq++ {
		b.Reset()
		switch err := src.Next(ctx, b); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		b.Seq = seq
		each(b)
		poison(b)
	}
}

// poison overwrites the memory of a batch.
func poison(b *pipeline.Batch) {
	data := b.Data[:cap(b.Data)]
	for i := range data {
		data[i] = pipeline.PoisonByte
	}
	b.Tree.Reset(nil)
}

// Text prints what a stage can change of a batch, for comparison.
func Text(b *pipeline.Batch) string {
	var s strings.Builder
	for i := range b.Records {
		r := &b.Records[i]
		fmt.Fprintf(&s, "%s@%d[%d] status=%d type=%d id=%q key=%x content=%x version=%d: %s\n",
			b.Pos(r), r.Offset, r.Entry, r.Status, r.Type, r.ID, r.Key, r.Content, r.Version, b.Line(r))
	}
	for _, is := range b.Issues {
		fmt.Fprintf(&s, "issue of %d: %s %s %s:%d %s\n", is.Record, is.Severity, is.Code, is.Expression, is.Column, is.Diagnostics)
	}
	return s.String()
}

// Lines is a source of the lines of a text, so many in a batch, all of one file.
// A batch of it is a plain one: no blank lines, no limits.
func Lines(name, text string, batch int) pipeline.Source {
	return &lines{file: &pipeline.File{Name: name}, text: text, batch: max(batch, 1)}
}

type lines struct {
	file         *pipeline.File
	text         string
	batch        int
	line, offset int64
}

func (s *lines) Next(ctx context.Context, b *pipeline.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.text == "" {
		return io.EOF
	}
	for range s.batch {
		if s.text == "" {
			break
		}
		l, rest, _ := strings.Cut(s.text, "\n")
		n := len(s.text) - len(rest)
		s.line++
		start := len(b.Data)
		b.Data = append(append(b.Data, l...), '\n')
		b.Records = append(b.Records, pipeline.Record{
			File: s.file, Line: s.line, Offset: s.offset, Entry: -1,
			Start: uint32(start), End: uint32(start + len(l)), Root: fhir.NoNode,
		})
		s.offset += int64(n)
		b.Input += int64(n)
		s.text = rest
	}
	b.Pad()
	return nil
}

func (s *lines) Close() error { return nil }

// CheckGoroutines fails the test when more goroutines run at its end than now.
func CheckGoroutines(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 200 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		buf := make([]byte, 1<<18)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	})
}

// soon fails the test when f takes longer than a source or stage may take to
// notice the end of a context.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// clone copies a batch with its text.
func clone(b *pipeline.Batch) *pipeline.Batch {
	c := &pipeline.Batch{
		Seq: b.Seq, Input: b.Input, Lenient: b.Lenient, At: -1,
		Data:    bytes.Clone(b.Data),
		Records: append([]pipeline.Record(nil), b.Records...),
		Issues:  append([]pipeline.RecordIssue(nil), b.Issues...),
	}
	c.Pad()
	return c
}
