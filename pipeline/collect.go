package pipeline

import (
	"context"
	"fmt"
	"time"
)

// task is a Task on its way.
type task struct {
	Task
	sink int
	of   *held // the batch whose Write returned it; nil for one of Flush
	ran  bool  // collector only
}

// held is a batch whose memory tasks may still use (invariant 1).
type held struct {
	batch *Batch
	tasks int
}

// collector restores the order of the input and drives the sinks. All of it
// belongs to one goroutine.
type collector struct {
	*job
	next    int64            // Seq of the batch that the sinks wait for
	early   map[int64]*Batch // batches that came before their turn; the gate bounds them
	queue   []*task          // to be sent to the workers, in order
	running [][]*task        // per sink: returned and not Done, in order
	open    int              // tasks in running
}

// collect is the collector's goroutine.
func (j *job) collect(ctx context.Context) error {
	c := collector{job: j, early: map[int64]*Batch{}, running: make([][]*task, len(j.Sinks))}
	m := &j.meters.collector
	total := int64(-1)
	mark := time.Now()
	for {
		if c.next == total {
			total = -2 // not again
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		if total == -2 && c.open == 0 {
			close(j.tasks)
			close(j.stopped)
			return nil
		}
		var (
			send chan<- *task // nil blocks: nothing to send
			head *task
			ev   event
			err  error
		)
		if len(c.queue) > 0 {
			send, head = j.tasks, c.queue[0]
		}
		mark = lap(&m.busy, mark)
		// One select for both ways: waiting for room in tasks while the workers
		// wait for room in events would stop everything.
		select {
		case send <- head:
			c.queue = c.queue[1:]
		case ev = <-j.events:
		case total = <-j.total:
		case <-ctx.Done():
			return ctx.Err()
		}
		mark = lap(&m.waiting, mark)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case ev.task != nil:
			ev.task.ran = true
			err = c.done(ev.task.sink)
		case ev.batch != nil:
			err = c.arrive(ctx, ev.batch)
		}
		if err != nil {
			return err
		}
	}
}

// arrive takes a batch from a worker and writes all whose turn it is.
func (c *collector) arrive(ctx context.Context, b *Batch) error {
	c.early[b.Seq] = b
	for {
		b, ok := c.early[c.next]
		if !ok {
			return nil
		}
		delete(c.early, c.next)
		if err := c.write(ctx, b); err != nil {
			return err
		}
		c.next++
	}
}

func (c *collector) write(ctx context.Context, b *Batch) error {
	m := &c.meters.collector
	m.batches.Add(1)
	m.bytes.Add(b.Input)
	n := b.resources()
	m.records.Add(n)
	c.meters.count(b.Received())

	h := &held{batch: b, tasks: 1} // the one is this call
	for i, s := range c.Sinks {
		sm := &c.meters.sinks[i]
		start := time.Now()
		var tasks []Task
		b.At = -1
		err := guard(func() (err error) { tasks, err = s.Write(ctx, b); return err })
		lap(&sm.busy, start)
		if err != nil {
			return fmt.Errorf("%s: %w", sm.name, err)
		}
		sm.batches.Add(1)
		sm.bytes.Add(b.Input)
		sm.records.Add(n)
		if err := c.add(i, h, tasks); err != nil {
			return err
		}
	}
	c.unhold(h)
	return nil
}

// flush asks the sinks for what they still hold.
func (c *collector) flush(ctx context.Context) error {
	for i, s := range c.Sinks {
		sm := &c.meters.sinks[i]
		start := time.Now()
		var tasks []Task
		err := guard(func() (err error) { tasks, err = s.Flush(ctx); return err })
		lap(&sm.busy, start)
		if err != nil {
			return fmt.Errorf("flush %s: %w", sm.name, err)
		}
		if err := c.add(i, nil, tasks); err != nil {
			return err
		}
	}
	return nil
}

// add queues the tasks that sink i returned.
func (c *collector) add(i int, h *held, tasks []Task) error {
	if len(tasks) == 0 {
		return nil
	}
	for _, t := range tasks {
		e := &task{Task: t, sink: i, of: h}
		c.gate.charge(t.Bytes)
		c.open++
		if h != nil {
			h.tasks++
		}
		c.running[i] = append(c.running[i], e)
		if t.Run == nil {
			e.ran = true
		} else {
			c.queue = append(c.queue, e)
		}
	}
	c.meters.sinks[i].tasks.Add(int64(len(tasks)))
	return c.done(i)
}

// done calls Done of the tasks at the head of sink i's queue that have been run.
func (c *collector) done(i int) error {
	sm := &c.meters.sinks[i]
	for len(c.running[i]) > 0 && c.running[i][0].ran {
		t := c.running[i][0]
		c.running[i][0] = nil
		c.running[i] = c.running[i][1:]
		if t.Done != nil {
			start := time.Now()
			err := guard(t.Done)
			lap(&sm.busy, start)
			if err != nil {
				return fmt.Errorf("%s: %w", sm.name, err)
			}
		}
		c.open--
		c.gate.charge(-t.Bytes)
		if t.of != nil {
			c.unhold(t.of)
		}
	}
	return nil
}

// unhold drops one claim on a batch; the last one frees its memory for reuse.
func (c *collector) unhold(h *held) {
	if h.tasks--; h.tasks == 0 {
		// The memory goes before the room for it is given: the batch that waits
		// for this one may be as big.
		n := h.batch.charged
		h.batch.charged = 0
		c.pool.put(h.batch)
		c.gate.charge(-n)
	}
}
