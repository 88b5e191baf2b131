package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// DefaultMemory is the budget of a [Config] that names none.
const DefaultMemory = 256 << 20

// Config says what a job runs. The zero value of every field but Source has a
// meaning; a job without sinks reads, runs its stages and throws the result away.
type Config struct {
	Source Source
	Stages []Stage // run in this order; the stages of sinks that are Preparers follow
	Sinks  []Sink  // written, flushed and committed in this order: put the one that publishes last

	Lenient bool // every batch is Lenient: errors are kept beside the records

	Workers int   // 0: GOMAXPROCS
	Memory  int64 // bytes of batches and tasks in flight; 0: DefaultMemory

	Progress func(Figures) // called every Interval from a goroutine of the job, and once more at its end
	Interval time.Duration // 0: one second
	Monitor  *Monitor      // when given, shows the figures while the job runs
}

// Run runs a job to its end: all batches through the stages into all sinks, then
// Flush of each sink, then, when the last task is done, Commit of each in order.
// After an error or when ctx ends nothing more is committed. In any case Run
// closes the source and all sinks once and leaves no goroutine behind. The
// figures are valid with an error too.
func Run(ctx context.Context, c Config) (Figures, error) {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Memory <= 0 {
		c.Memory = DefaultMemory
	}
	if c.Interval <= 0 {
		c.Interval = time.Second
	}
	if c.Monitor == nil {
		c.Monitor = new(Monitor)
	}
	j := newJob(c)
	err := j.run(ctx)
	for i, s := range c.Sinks {
		if cerr := guard(func() error { return s.Close() }); cerr != nil && err == nil {
			err = fmt.Errorf("close %s: %w", j.meters.sinks[i].name, cerr)
		}
	}
	j.meters.end()
	f := c.Monitor.Figures()
	if c.Progress != nil {
		c.Progress(f)
	}
	return f, err
}

// job is the state of one Run. The goroutines and what they share: the source
// goroutine fills batches (channel batches) for the workers, they hand them and
// finished tasks (channel events) to the collector, which queues tasks (channel
// tasks) for the workers.
type job struct {
	Config
	stages []Stage // with those of Preparers
	meters *meters
	gate   *gate
	pool   pool

	batches chan *Batch   // closed by the source goroutine at the end of the input
	tasks   chan *task    // closed by the collector when no task can come any more
	events  chan event    // from workers to the collector
	total   chan int64    // the number of batches, sent once at the end of the input
	stopped chan struct{} // closed by the collector: the work is done
}

// event is what a worker tells the collector: one of the two.
type event struct {
	batch *Batch // went through the chain
	task  *task  // was run
}

func newJob(c Config) *job {
	j := &job{
		Config: c,
		stages: append([]Stage(nil), c.Stages...),
		gate:   newGate(c.Memory),
		// One batch for each worker to turn to when it has finished the one it
		// has; how much is in flight is the gate's business.
		batches: make(chan *Batch, c.Workers),
		// Enough that workers find tasks while the collector is in a long Write.
		tasks: make(chan *task, 4*c.Workers),
		// A worker must not wait for a collector that is in a Write.
		events:  make(chan event, 4*c.Workers),
		total:   make(chan int64, 1), // sent once: never blocks
		stopped: make(chan struct{}),
	}
	for _, s := range c.Sinks {
		if p, ok := s.(Preparer); ok {
			if st := p.Prepare(); st != nil {
				j.stages = append(j.stages, st)
			}
		}
	}
	j.meters = newMeters(c, j.stages, j.gate)
	c.Monitor.meters.Store(j.meters)
	return j
}

// run does all but closing the sinks.
func (j *job) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return j.read(gctx) })
	for range j.Workers {
		g.Go(func() error { return j.work(gctx) })
	}
	g.Go(func() error { return j.collect(gctx) })
	if j.Progress != nil {
		g.Go(func() error { return j.report(gctx) })
	}
	if err := g.Wait(); err != nil {
		// A goroutine that noticed the end of ctx first hides the reason for it.
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return context.Cause(ctx)
		}
		return err
	}
	j.pool.empty()
	for i, s := range j.Sinks {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m := &j.meters.sinks[i]
		start := time.Now()
		err := guard(func() error { return s.Commit(ctx) })
		m.busy.Add(int64(time.Since(start)))
		if err != nil {
			return fmt.Errorf("commit %s: %w", m.name, err)
		}
	}
	return nil
}

// read is the source goroutine.
func (j *job) read(ctx context.Context) (err error) {
	m := &j.meters.source
	defer func() {
		if cerr := guard(j.Source.Close); cerr != nil && err == nil {
			err = fmt.Errorf("close source: %w", cerr)
		}
	}()
	mark := time.Now()
	for seq := int64(0); ; seq++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Not even asked for a batch while the budget is used up: a source
		// makes the memory of a very long line before anyone can say no.
		if err := j.gate.waitBelow(ctx); err != nil {
			return err
		}
		b := j.pool.get()
		b.Lenient = j.Lenient
		mark = lap(&m.waiting, mark)
		err := guard(func() error { return j.Source.Next(ctx, b) })
		mark = lap(&m.busy, mark)
		if err == io.EOF {
			j.pool.put(b)
			j.total <- seq
			close(j.batches)
			return nil
		}
		if err != nil {
			var p *PanicError
			if errors.As(err, &p) {
				return fmt.Errorf("source: %w", err)
			}
			return err // a source's errors name the file
		}
		b.Seq = seq
		m.batches.Add(1)
		m.bytes.Add(b.Input)
		m.records.Add(int64(len(b.Records)))
		if err := j.gate.admit(ctx, b); err != nil {
			return err
		}
		select {
		case j.batches <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// report calls Progress until the collector has stopped.
func (j *job) report(ctx context.Context) error {
	t := time.NewTicker(j.Interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			j.Progress(j.Monitor.Figures())
		case <-j.stopped:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
