package pipeline

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Figures are the counters of a job at one moment.
type Figures struct {
	Elapsed time.Duration

	// What the sinks have been given.
	Batches, Records, Rejected, Unchanged int64
	Flawed, Warned                        int64 // records that are not rejected: with an error; with warnings alone
	Bytes                                 int64 // of uncompressed input

	// What a source that is [Measured] says of its input; Total is 0 when it is
	// not known. Read counts as Total does: compressed bytes of compressed files.
	Read, Total int64

	InFlight, PeakInFlight int64 // bytes of batches and tasks

	Source    StepFigures // busy: in Next; waiting: for memory or for the workers
	Stages    []StepFigures
	Workers   StepFigures // all together; waiting: for batches, tasks or the collector
	Collector StepFigures // waiting: for the workers
	Sinks     []StepFigures
}

// StepFigures are the counters of one part of a job. Busy is the time on a clock,
// summed over goroutines, so it includes waiting inside the part (for a disk, say).
type StepFigures struct {
	Name             string
	Batches, Records int64
	Bytes            int64 // of uncompressed input
	Busy, Waiting    time.Duration
	Tasks            int64         // sinks: tasks that it returned
	TaskBusy         time.Duration // sinks: time of its tasks on the workers
}

// A Measured source knows how much there is to read, for progress. Both methods
// may be called from any goroutine at any time.
type Measured interface {
	Total() (bytes int64, known bool)
	Read() int64
}

// Monitor shows the figures of one job while it runs. The zero value is ready;
// it is safe for use by many goroutines.
type Monitor struct {
	meters atomic.Pointer[meters]
}

// Figures reads the counters. Before the job starts they are zero.
func (m *Monitor) Figures() Figures {
	if s := m.meters.Load(); s != nil {
		return s.figures()
	}
	return Figures{}
}

// meter is a StepFigures that can be counted and read at the same time. It is
// changed once for a batch or task, so contention does not matter.
type meter struct {
	name                    string
	batches, records, bytes atomic.Int64
	busy, waiting           atomic.Int64
	tasks, taskBusy         atomic.Int64
}

func (m *meter) figures() StepFigures {
	return StepFigures{
		Name:    m.name,
		Batches: m.batches.Load(), Records: m.records.Load(), Bytes: m.bytes.Load(),
		Busy: time.Duration(m.busy.Load()), Waiting: time.Duration(m.waiting.Load()),
		Tasks: m.tasks.Load(), TaskBusy: time.Duration(m.taskBusy.Load()),
	}
}

// lap adds the time since mark to d and gives the present time.
func lap(d *atomic.Int64, mark time.Time) time.Time {
	now := time.Now()
	d.Add(int64(now.Sub(mark)))
	return now
}

type meters struct {
	start               time.Time
	elapsed             atomic.Int64 // 0 while the job runs
	measured            Measured     // nil when the source is not
	gate                *gate
	rejected, unchanged atomic.Int64
	flawed, warned      atomic.Int64

	source, workers, collector meter
	stages, sinks              []meter
}

func newMeters(c Config, stages []Stage, g *gate) *meters {
	m := &meters{
		start:  time.Now(),
		gate:   g,
		stages: make([]meter, len(stages)),
		sinks:  make([]meter, len(c.Sinks)),
	}
	m.measured, _ = c.Source.(Measured)
	m.source.name, m.workers.name, m.collector.name = "source", "workers", "collector"
	if n, ok := c.Source.(fmt.Stringer); ok {
		m.source.name = n.String()
	}
	for i, s := range stages {
		m.stages[i].name = s.Name()
	}
	for i, s := range c.Sinks {
		m.sinks[i].name = s.Name()
	}
	return m
}

// count adds the records of a batch by what became of them.
func (m *meters) count(records []Record) {
	var rejected, unchanged, flawed, warned int64
	for i := range records {
		r := &records[i]
		switch {
		case r.Status == Rejected:
			rejected++
			continue
		case r.Flawed:
			flawed++
		case r.Warned:
			warned++
		}
		if r.Status == Unchanged {
			unchanged++
		}
	}
	m.rejected.Add(rejected)
	m.unchanged.Add(unchanged)
	m.flawed.Add(flawed)
	m.warned.Add(warned)
}

func (m *meters) end() { m.elapsed.Store(int64(time.Since(m.start))) }

func (m *meters) figures() Figures {
	f := Figures{
		Elapsed:   time.Duration(m.elapsed.Load()),
		Batches:   m.collector.batches.Load(),
		Records:   m.collector.records.Load(),
		Bytes:     m.collector.bytes.Load(),
		Rejected:  m.rejected.Load(),
		Unchanged: m.unchanged.Load(),
		Flawed:    m.flawed.Load(),
		Warned:    m.warned.Load(),
		Source:    m.source.figures(),
		Workers:   m.workers.figures(),
		Collector: m.collector.figures(),
	}
	if f.Elapsed == 0 {
		f.Elapsed = time.Since(m.start)
	}
	f.InFlight, f.PeakInFlight = m.gate.figures()
	if m.measured != nil {
		f.Read = m.measured.Read()
		f.Total, _ = m.measured.Total()
	}
	for i := range m.stages {
		f.Stages = append(f.Stages, m.stages[i].figures())
	}
	for i := range m.sinks {
		f.Sinks = append(f.Sinks, m.sinks[i].figures())
	}
	return f
}
