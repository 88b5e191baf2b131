// Package ndjson is the source of newline-delimited FHIR JSON: files, folders,
// globs and standard input, plain, gzip or zstd. It finds lines and does not
// look into them, with one exception: a file that is a single JSON document on
// many lines becomes one record. Bundles are the business of sources/bundle.
//
// Inputs are cut into units: a byte range of a big plain file, one compressed
// file, or a group of small files. Readers work on several units at once and
// [Source.Next] hands out their blocks in input order.
//
// Invariants, cited by number elsewhere:
//
//  1. Where a block ends depends on the bytes and sizes of the inputs and on
//     the options alone, never on readers or timing.
//  2. The Input of all batches adds up to the uncompressed size of all inputs.
//  3. Blocks that wait for Next hold at most Options.ReadAhead bytes, and what
//     is longer than a batch is read only when its turn has come.
//  4. A file that is not the same at its end as at its start is an error.
//
// Read [Open] and [Source] first; split.go is where lines are found.
package ndjson

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/blob"
)

// The defaults of Options.
const (
	DefaultBatchSize = 1 << 20
	DefaultMaxLine   = 256 << 20
)

// Options of a source. The zero value is usable.
type Options struct {
	BatchSize int       // bytes of lines in a batch, about; 0: DefaultBatchSize
	MaxLine   int       // a longer line is rejected, a longer document ends the job; 0: DefaultMaxLine
	ReadAhead int64     // bytes of blocks read ahead; 0: two batches for each reader and two more
	Readers   int       // goroutines that read and decompress; 0: GOMAXPROCS
	Stdin     io.Reader // what the input - reads; nil: - is an error

	// Blobs reads inputs that begin with s3://; nil: they are an error.
	Blobs *blob.Client
	// Web gives what an input that begins with http:// or https:// means; nil: they are an
	// error.
	Web func(ctx context.Context, url string) ([]Object, error)
}

func (o Options) withDefaults() Options {
	if o.BatchSize <= 0 {
		o.BatchSize = DefaultBatchSize
	}
	if o.MaxLine <= 0 {
		o.MaxLine = DefaultMaxLine
	}
	if o.Readers <= 0 {
		o.Readers = runtime.GOMAXPROCS(0)
	}
	if o.ReadAhead <= 0 {
		// Few, so that buffers come back while they are in cache: on 2 cores
		// 4 MiB read a cached file about 1.5 times as fast as 32 MiB.
		o.ReadAhead = 2 * int64(o.Readers+1) * int64(o.BatchSize)
	}
	// Offsets in a batch are 32 bits wide.
	o.BatchSize = min(o.BatchSize, 1<<30)
	o.MaxLine = min(o.MaxLine, 1<<31)
	return o
}

var (
	_ pipeline.Source   = (*Source)(nil)
	_ pipeline.Measured = (*Source)(nil)
)

// Source reads NDJSON. Next belongs to one goroutine; Total, Read and Files may
// be called from any.
type Source struct {
	opt     Options
	objects []Object
	skipped []string
	total   int64 // -1: not known
	read    atomic.Int64
	buffers buffers

	cancel  context.CancelFunc
	wait    sync.WaitGroup
	started bool
	err     error // what Next gives from now on
	line    int64 // lines before the current block in a file read by ranges

	mu      sync.Mutex
	ready   sync.Cond // for Next: a block has come, or its unit is done
	room    sync.Cond // for the planner and the readers: Next has taken something
	units   []*unit   // in input order; the first is the one that Next reads
	fresh   int       // index in units of the first that no reader has taken
	planned bool      // no unit will come any more
	queued  int64     // bytes of all blocks in units
	wanted  bool      // Next waits, and nothing is there
	closed  bool
}

// New makes a source of objects, which are read in the order given. The files
// of records carry their names.
func New(objects []Object, opt Options) *Source {
	s := &Source{opt: opt.withDefaults(), objects: objects}
	s.ready.L, s.room.L = &s.mu, &s.mu
	s.buffers.size = s.opt.BatchSize + slack + tail
	s.buffers.keep = 2*s.opt.Readers + 2
	for _, o := range objects {
		if o.Size() < 0 {
			s.total = -1
			break
		}
		s.total += o.Size()
	}
	return s
}

func (s *Source) String() string { return "ndjson" }

// Files gives the number of inputs, folders and globs resolved.
func (s *Source) Files() int { return len(s.objects) }

// Skipped names the files of folders that were left out although their names look
// like data; see [Open].
func (s *Source) Skipped() []string { return s.skipped }

// Total gives the size of all inputs as they are stored; it is not known when
// one of them is a pipe.
func (s *Source) Total() (bytes int64, known bool) {
	if s.total < 0 {
		return 0, false
	}
	return s.total, true
}

// Read gives how much of Total has been read.
func (s *Source) Read() int64 { return s.read.Load() }

// start starts the planner and the readers. They end with Close.
func (s *Source) start() {
	s.started = true
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wait.Go(func() { s.plan(ctx) })
	for range s.opt.Readers {
		s.wait.Go(func() { s.readUnits(ctx) })
	}
}

// errClosed is what goroutines of the source get after Close.
var errClosed = errors.New("source is closed")

// Next gives the next block of lines; its buffers change places with those of b.
func (s *Source) Next(ctx context.Context, b *pipeline.Batch) error {
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err // not kept: another call may go on
	}
	if !s.started {
		s.start()
	}
	for {
		blk, u, err := s.pop(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.err = err
			}
			return err
		}
		if blk == nil {
			if err := s.finish(u); err != nil {
				s.err = err
				return err
			}
			continue
		}
		if blk.deferred > 0 {
			if err := blk.load(u, s.opt.MaxLine); err != nil {
				s.err = err
				return err
			}
		}
		s.deliver(blk, b)
		return nil
	}
}

// pop waits for the next block. A nil block says that unit u is done.
func (s *Source) pop(ctx context.Context) (*block, *unit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stop func() bool
	for {
		if s.closed {
			return nil, nil, errClosed
		}
		if len(s.units) > 0 {
			u := s.units[0]
			if len(u.blocks) > 0 {
				blk := u.blocks[0]
				u.blocks[0] = nil
				u.blocks = u.blocks[1:]
				s.queued -= blk.size()
				s.wanted = false
				s.room.Broadcast()
				return blk, u, nil
			}
			if u.done {
				s.units[0] = nil
				s.units = s.units[1:]
				s.fresh = max(s.fresh-1, 0) // one born with an error was not taken
				s.room.Broadcast()
				return nil, u, nil
			}
		} else if s.planned {
			return nil, nil, io.EOF
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if stop == nil {
			stop = context.AfterFunc(ctx, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.ready.Broadcast()
			})
			defer stop()
		}
		if !s.wanted {
			s.wanted = true
			s.room.Broadcast()
		}
		s.ready.Wait()
	}
}

// finish ends a unit whose blocks have all been handed out.
func (s *Source) finish(u *unit) error {
	if u.err != nil {
		if u.handle != nil {
			u.handle.Close()
		}
		return u.err
	}
	if !u.last {
		return nil
	}
	s.line = 0
	err := u.handle.Unchanged()
	if cerr := u.handle.Close(); err == nil {
		err = cerr
	}
	return err
}

// deliver moves a block into b and takes b's old buffers for later blocks.
func (s *Source) deliver(blk *block, b *pipeline.Batch) {
	if blk.relative {
		for i := range blk.records {
			blk.records[i].Line += s.line
		}
		s.line += blk.lines
		s.read.Add(blk.input)
	}
	b.Data, blk.data = blk.data, b.Data
	b.Records, blk.records = blk.records, b.Records
	b.Issues = append(b.Issues, blk.issues...)
	b.Input = blk.input
	b.Pad()
	s.buffers.put(blk)
}

// Close stops the readers and closes all files. A read of standard input that
// waits for its writer is left to end by itself.
func (s *Source) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.ready.Broadcast()
	s.room.Broadcast()
	s.mu.Unlock()
	if s.err == nil {
		s.err = errClosed
	}
	if s.started {
		s.cancel()
		s.wait.Wait()
	}
	for _, u := range s.units {
		if u.last && u.handle != nil {
			u.handle.Close()
		}
	}
	s.units = nil
	return nil
}
