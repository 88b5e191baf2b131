package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
)

// PanicError is a panic of a source, stage or sink, turned into an error of the
// job: a bug in our code. Stack is for the log.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap gives the error that was the panic's value, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guard calls f and turns a panic into a [PanicError].
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Chain is one worker of each of several stages, for one goroutine: what [Run]
// runs on each batch, and what a single write runs on its batch of one.
type Chain struct {
	stages  []Stage
	workers []Worker
	meters  []meter // nil: nothing is measured
	at      int     // the stage in work, for a panic
}

// NewChain makes a worker of each stage.
func NewChain(stages ...Stage) (*Chain, error) {
	c := &Chain{stages: stages}
	for _, s := range stages {
		w, err := s.NewWorker()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", s.Name(), err), c.Close())
		}
		c.workers = append(c.workers, w)
	}
	return c, nil
}

// Process runs the stages on b. An error or a panic of a stage comes back as a
// [fhir.RecordError] where the record is known (see [Batch.At]).
func (c *Chain) Process(ctx context.Context, b *Batch) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = c.fault(b, &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	var mark time.Time
	if c.meters != nil {
		mark = time.Now()
	}
	for i, w := range c.workers {
		c.at, b.At = i, -1
		if err := w.Process(ctx, b); err != nil {
			return c.fault(b, err)
		}
		if c.meters != nil {
			m := &c.meters[i]
			mark = lap(&m.busy, mark)
			m.batches.Add(1)
			m.bytes.Add(b.Input)
			m.records.Add(int64(len(b.Records)))
		}
	}
	return nil
}

// fault names the stage and, where it is known, the record of an error.
func (c *Chain) fault(b *Batch, err error) error {
	name := c.stages[c.at].Name()
	var rec *fhir.RecordError
	if errors.As(err, &rec) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if b.At >= 0 && b.At < len(b.Records) {
		return &fhir.RecordError{Pos: b.Pos(&b.Records[b.At]), Stage: name, Err: err}
	}
	var p *PanicError
	if errors.As(err, &p) && len(b.Records) > 0 {
		// The stage did not say which record it was at: name the batch.
		err = fmt.Errorf("this record or one of the %d after it: %w", len(b.Records)-1, err)
		return &fhir.RecordError{Pos: b.Pos(&b.Records[0]), Stage: name, Err: err}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Close closes the workers that are io.Closers.
func (c *Chain) Close() error {
	var err error
	for i, w := range c.workers {
		if cl, ok := w.(io.Closer); ok {
			if cerr := guard(cl.Close); cerr != nil && err == nil {
				err = fmt.Errorf("close %s: %w", c.stages[i].Name(), cerr)
			}
		}
	}
	c.workers = nil
	return err
}

// work is a worker goroutine: tasks first, since they free memory and let the
// sinks go on, then batches.
func (j *job) work(ctx context.Context) (err error) {
	var chain *Chain // made for the first batch: a job of two batches needs no ten chains
	defer func() {
		if chain != nil {
			if cerr := chain.Close(); err == nil {
				err = cerr
			}
		}
	}()
	m := &j.meters.workers
	batches := j.batches
	mark := time.Now()
	for {
		var (
			b  *Batch
			t  *task
			ok bool
		)
		select {
		case t, ok = <-j.tasks:
		default:
			select {
			case t, ok = <-j.tasks:
			case b, ok = <-batches:
				if !ok {
					batches = nil // the input has ended, tasks may still come
					continue
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		mark = lap(&m.waiting, mark)
		if !ok {
			return nil // no task can come any more
		}
		// select picks at random: without this a canceled job would go on.
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if t != nil {
			sm := &j.meters.sinks[t.sink]
			if err := guard(func() error { return t.Run(ctx) }); err != nil {
				return fmt.Errorf("%s: %w", sm.name, err)
			}
			now := lap(&m.busy, mark)
			sm.taskBusy.Add(int64(now.Sub(mark)))
			mark = now
		} else {
			if chain == nil {
				if chain, err = NewChain(j.stages...); err != nil {
					return err
				}
				chain.meters = j.meters.stages
			}
			if err := chain.Process(ctx, b); err != nil {
				return err
			}
			j.gate.recharge(b) // its tree has grown
			m.batches.Add(1)
			m.bytes.Add(b.Input)
			m.records.Add(int64(len(b.Records)))
			mark = lap(&m.busy, mark)
		}
		select {
		case j.events <- event{batch: b, task: t}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
