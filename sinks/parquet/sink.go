package parquet

import (
	"context"
	"errors"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Options bound row groups, files and memory. The zero value is good.
type Options struct {
	GroupRows  int   // rows that end a row group; 122,880 when 0
	GroupBytes int64 // memory of its pieces that ends it; 32 MiB when 0
	FileRows   int   // rows that end a file; 1,000,000 when 0
	FileBytes  int64 // bytes of JSON text that end it; 2 GiB when 0
	HeldBytes  int64 // memory of all pieces that wait for the end of a row group; 44 MiB when 0
}

func (o *Options) defaults() {
	for _, d := range []struct {
		at   *int64
		with int64
	}{{&o.GroupBytes, 32 << 20}, {&o.FileBytes, 2 << 30}, {&o.HeldBytes, 44 << 20}} {
		if *d.at == 0 {
			*d.at = d.with
		}
	}
	if o.GroupRows == 0 {
		o.GroupRows = 122_880
	}
	if o.FileRows == 0 {
		o.FileRows = 1_000_000
	}
}

// Sink writes the columnar files of one layer. It belongs to the collector.
type Sink struct {
	output
	builder *snapshot.Builder
	opts    Options
	tables  []*table // by resource type
	order   []*table // as their types came first
	held    int64
}

var _ pipeline.Sink = (*Sink)(nil)

// New makes a sink that adds segments to b.
func New(b *snapshot.Builder, opts Options) *Sink {
	opts.defaults()
	return &Sink{builder: b, opts: opts, tables: make([]*table, r4.NumTypes())}
}

// Name is "parquet".
func (s *Sink) Name() string { return "parquet" }

// DecimalsWithoutTwin is how many decimals DECIMAL(38,6) could not hold. It is
// final after the last task.
func (s *Sink) DecimalsWithoutTwin() int64 { return s.failed.Load() }

// Write takes the pieces of b, gives its pending records their addresses and
// returns the encoding of the row groups that it completes.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	for _, p := range b.Columns {
		t := s.table(p.Layout)
		tasks = append(tasks, t.add(p)...)
		t.last = b.Seq
		s.held += p.Bytes()
	}
	if err := s.address(b); err != nil {
		return nil, err
	}
	for _, p := range b.Columns {
		if t := s.tables[p.Layout.Type]; t.rows >= s.opts.GroupRows || t.bytes >= s.opts.GroupBytes {
			tasks = append(tasks, t.cut()...)
		}
	}
	for s.held > s.opts.HeldBytes {
		tasks = append(tasks, s.idlest().cut()...)
	}
	clear(b.Columns)
	b.Columns = b.Columns[:0]
	return tasks, nil
}

func (s *Sink) table(l *columnar.Layout) *table {
	t := s.tables[l.Type]
	if t == nil {
		t = &table{s: s, layout: l}
		s.tables[l.Type] = t
		s.order = append(s.order, t)
	}
	return t
}

// address sets the addresses of the pending records, whose rows the pieces hold
// in the same order.
func (s *Sink) address(b *pipeline.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			continue
		}
		t := s.tables[r.Type]
		if t == nil || t.next >= t.fileRows {
			return &fhir.RecordError{Pos: b.Pos(r), Stage: s.Name(), Err: errNotShredded}
		}
		r.Segment, r.Row = t.segment.Ordinal, uint32(t.next)
		t.next++
	}
	for _, p := range b.Columns {
		if t := s.tables[p.Layout.Type]; t.next != t.fileRows {
			return fmt.Errorf("parquet: %d rows of %s are no pending records", t.fileRows-t.next, t.layout.Name)
		}
	}
	return nil
}

// idlest gives the table that has waited longest for another piece: files mostly
// have one type each, so a type that fell silent will not be heard again. Of
// equals it is the one that holds the most, then the one seen first.
func (s *Sink) idlest() *table {
	var idle *table
	for _, t := range s.order {
		if len(t.pending) > 0 && (idle == nil || t.last < idle.last || t.last == idle.last && t.bytes > idle.bytes) {
			idle = t
		}
	}
	return idle
}

// Flush completes all row groups and files.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	for _, t := range s.order {
		tasks = append(tasks, t.endFile()...)
	}
	return tasks, nil
}

// Commit waits until all files are synced.
func (s *Sink) Commit(context.Context) error { return s.commit() }

// Close removes the files, unless Commit has kept them.
func (s *Sink) Close() error {
	s.close()
	for _, t := range s.order {
		t.pending = nil
	}
	return nil
}

var errNotShredded = errors.New("a pending record is in no piece of its batch")
