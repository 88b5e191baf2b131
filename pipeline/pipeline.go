// Package pipeline is the engine that moves records from a [Source] through a
// chain of stages into sinks: [Run]. It knows nothing of files, Parquet or HTTP.
//
//	Source -> bounded channel -> N workers -> collector -> sinks
//
// One worker runs the whole chain on one batch, call to call. The collector
// restores input order and hands each batch to every sink; what is costly a
// sink gives back as [Task]s, which the same workers run. Contract suites for
// implementations are in pipeline/pipetest.
//
// Invariants, cited by number elsewhere:
//
//  1. A batch has one owner at a time: the source while Next fills it, one
//     worker, then the collector. When all sinks have seen it and all tasks
//     that they returned for it are done, its memory is used again.
//  2. What a sink decides (row groups, frames, files) depends on the input
//     alone, never on timing or on the number of workers.
//  3. Batches in flight are bounded by bytes, not by number.
//  4. A fault of a record is an issue on it; an error ends the job. What an
//     issue does to its record is decided in one place, [Batch.AddIssue].
//
// Read [Source], [Stage], [Sink] and [Batch] first.
package pipeline

import "context"

// A Source gives batches in input order. It is used by one goroutine. Next
// fills b, which comes empty; io.EOF after the last batch, and again when asked
// again. Next may take b's buffers and leave others in their place. It returns
// soon after ctx ends. Where batches end depends on the input alone (invariant
// 2). Its errors name the file. Close may be called at any time between calls
// of Next, and more than once.
type Source interface {
	Next(ctx context.Context, b *Batch) error
	Close() error
}

// A Stage is an immutable description of a step. NewWorker is called once for
// each worker goroutine, so a Worker needs no locks.
type Stage interface {
	Name() string
	NewWorker() (Worker, error)
}

// Process may change b and append records to it. It keeps no reference to b
// after it returns. A fault of one record goes into its issues; a returned
// error ends the job. Records that are Rejected already come too: their text
// may be empty. A Worker that is an io.Closer is closed at the end of the job.
type Worker interface {
	Process(ctx context.Context, b *Batch) error
}

// A Sink sees batches in Seq order, from one goroutine, and decides by the
// input alone where a row group or frame ends. Costly work it returns as Tasks.
// Nothing is visible to readers before Commit, which comes after the last task
// is done; Close without Commit leaves no trace. Close is called once in any
// case, also after Commit and after a failed one.
type Sink interface {
	Name() string
	Write(ctx context.Context, b *Batch) ([]Task, error)
	// Flush is called once after the last Write: it returns the tasks for what
	// is still buffered. Commit follows when they are done.
	Flush(ctx context.Context) ([]Task, error)
	Commit(ctx context.Context) error
	Close() error
}

// A Task is work that a sink gives to the worker pool. Run may be called on any
// goroutine, at the same time as other tasks; Done is called after it on the
// collector's goroutine, in the order in which the sink returned its tasks, so
// that it can append finished bytes to a file without locks. Either may be nil.
type Task struct {
	Run  func(ctx context.Context) error
	Done func() error
	// Bytes is roughly what the task holds in memory until Done: the runner
	// stops admitting batches while tasks hold too much.
	Bytes int64
}

// A Preparer is a Sink with a part that can run on the workers before the
// collector, as the last stage of the chain (compressing frames of one batch,
// for example). It leaves its product in a [Slot] of the batch.
type Preparer interface {
	Prepare() Stage
}
