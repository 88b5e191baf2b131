package pipeline

import (
	"context"
	"runtime"
	"sync"
	"unsafe"

	"github.com/fhirlake/fhirlake/fhir"
)

// gate admits batches by their bytes (invariant 3). Tasks are charged too and
// never wait: only new batches are held back, and all that is in flight can
// finish without them, so the gate cannot deadlock. A batch bigger than the
// whole budget goes alone.
type gate struct {
	mu     sync.Mutex
	budget int64
	used   int64
	peak   int64
	wake   chan struct{} // capacity 1; only the source goroutine waits
}

func newGate(budget int64) *gate {
	return &gate{budget: budget, wake: make(chan struct{}, 1)}
}

// wait returns when fits holds, which it calls with the lock held.
func (g *gate) wait(ctx context.Context, fits func() bool) error {
	for {
		g.mu.Lock()
		ok := fits()
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waitBelow waits until some of the budget is free.
func (g *gate) waitBelow(ctx context.Context) error {
	return g.wait(ctx, func() bool { return g.used < g.budget })
}

// admit waits until b fits beside what is in flight, or nothing is in flight,
// and charges it.
func (g *gate) admit(ctx context.Context, b *Batch) error {
	n := b.memory()
	return g.wait(ctx, func() bool {
		if g.used > 0 && g.used+n > g.budget {
			return false
		}
		g.used += n
		g.peak = max(g.peak, g.used)
		b.charged = n
		return true
	})
}

// recharge follows the growth of a batch that is in flight.
func (g *gate) recharge(b *Batch) {
	n := b.memory()
	g.charge(n - b.charged)
	b.charged = n
}

// charge adds n bytes, or gives them back when n is negative.
func (g *gate) charge(n int64) {
	if n == 0 {
		return
	}
	g.mu.Lock()
	g.used += n
	g.peak = max(g.peak, g.used)
	g.mu.Unlock()
	if n < 0 {
		select {
		case g.wake <- struct{}{}:
		default: // a wake-up is waiting already
		}
	}
}

func (g *gate) figures() (used, peak int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used, g.peak
}

// batchOverhead is charged for each batch beside its buffers, so that the
// number of batches is bounded when they are tiny.
const batchOverhead = 16 << 10

// memory is what the batch holds.
func (b *Batch) memory() int64 {
	return batchOverhead + int64(cap(b.Data)) + b.issueMemory() + b.besideMemory() +
		int64(cap(b.Records))*int64(unsafe.Sizeof(Record{})) +
		int64(cap(b.Tree.Nodes))*int64(unsafe.Sizeof(fhir.Node{}))
}

// issueMemory is that of the issues with their texts, and of what sinks make of
// them: a report and an annotation. It may be 60 times that of a batch of hostile
// records.
func (b *Batch) issueMemory() int64 {
	n := int64(cap(b.Issues)) * int64(unsafe.Sizeof(RecordIssue{}))
	for i := range b.Issues {
		is := &b.Issues[i]
		n += 3 * int64(len(is.Expression)+len(is.Diagnostics)+len(is.Constraint)+len(is.Profile))
	}
	return n
}

// besideMemory is that of what is kept beside records, and of the annotations that sinks make
// of it: what NLP found is several times its notes.
func (b *Batch) besideMemory() (n int64) {
	for i := range b.Kept {
		n += 2 * int64(len(b.Kept[i].Data))
	}
	if notes, ok := b.slots[Notes.i].(*NoteResults); ok {
		n += 2 * int64(cap(notes.Data))
	}
	return n
}

// pool keeps released batches. It has at most as many as were in flight at
// once, which the gate bounds.
type pool struct {
	mu   sync.Mutex
	free []*Batch
	mean int64 // moving average of the memory of batches
}

// oversized is how many times the usual memory a batch may hold and be kept:
// the buffers of one line of 170 MB are better given back.
const oversized = 4

// huge is the memory of a batch that is worth a collection of its own: some five
// buffers of the size of its line go with it, and would be garbage beside those of
// the next one. Four lines of 170 MB took 0.91 GB without it and 0.76 with it, from
// a gzip file 1.3 and 1.2.
const huge = 64 << 20

func (p *pool) get() *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return new(Batch)
	}
	b := p.free[n-1] // the last one back is the warmest in cache
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	b.released = false
	return b
}

func (p *pool) put(b *Batch) {
	if b.released {
		panic("pipeline: batch released twice")
	}
	b.released = true
	n := b.memory()
	if invariants {
		b.poison()
	}
	b.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 {
		p.mean = n
	}
	if n > oversized*max(p.mean, 1<<20) {
		if n > huge {
			*b = Batch{released: true}
			runtime.GC() // before the buffers of the next such line are made
		}
		return
	}
	p.mean += (n - p.mean) / 8
	p.free = append(p.free, b)
}

// PoisonByte fills the buffers of released batches in builds with the tag
// invariants, and in the suites of pipeline/pipetest.
const PoisonByte = 0xDB

// poison makes every use after release visible.
func (b *Batch) poison() {
	data := b.Data[:cap(b.Data)]
	for i := range data {
		data[i] = PoisonByte
	}
	nodes := b.Tree.Nodes[:cap(b.Tree.Nodes)]
	for i := range nodes {
		nodes[i] = fhir.Node{Start: 1<<32 - 1, End: 1<<32 - 1, Next: 1<<32 - 1}
	}
	records := b.Records[:cap(b.Records)]
	for i := range records {
		records[i] = Record{Start: 1<<32 - 1, End: 1<<32 - 1, Root: fhir.NoNode}
	}
}

// empty lets the batches go, so that what a Commit does may take their memory: some
// 200 MB, with what the stages keep in them.
func (p *pool) empty() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = nil
}
