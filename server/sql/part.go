package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/annotations"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// part is files with the resources that were written last in a range of commits.
type part struct {
	dir      string
	from     uint64 // the commit before the first of its range; 0: all that the delta has
	segments []snapshot.Segment
	rows     int64
	places   []place // by key: 24 bytes a row
	images   int     // that have it; under the lock of the data store
}

// place is where a resource lies in a part.
type place struct {
	key snapshot.Key
	at  snapshot.Address
}

func byKey(a, b snapshot.Key) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// find gives the row of a resource.
func (p *part) find(key snapshot.Key) (snapshot.Address, bool) {
	i, ok := slices.BinarySearchFunc(p.places, key, func(at place, k snapshot.Key) int { return byKey(at.key, k) })
	if !ok {
		return snapshot.Address{}, false
	}
	return p.places[i].at, true
}

// What shredding may hold: batches and tasks in flight, and pieces of row groups.
const (
	inFlight   = 32 << 20
	heldBytes  = 32 << 20
	groupBytes = 16 << 20
	batchBytes = 1 << 20
)

// makePart shreds the changes that are no deletions into files in dir. Each is of another
// resource.
func makePart(ctx context.Context, dir string, workers int, changes func(func(*lake.Change) error) error) (*part, error) {
	p := &part{dir: dir}
	b := snapshot.NewTemporary(dir)
	columns := parquet.New(b, parquet.Options{HeldBytes: heldBytes, GroupBytes: groupBytes}) // gives rows their addresses
	_, err := pipeline.Run(ctx, pipeline.Config{
		Source:  newSource(changes),
		Stages:  []pipeline.Stage{parse.New(), shred.New()},
		Sinks:   slices.Concat([]pipeline.Sink{columns, entities.New(b, 1, entities.Options{})}, annotations.Sinks(b, 1, annotations.Kinds...), []pipeline.Sink{places{p}}),
		Lenient: true, // what was stored is not judged again
		Workers: workers,
		Memory:  inFlight,
	})
	if err != nil {
		return nil, fmt.Errorf("shred what was written last: %w", err)
	}
	for _, s := range b.Segments() {
		s.Current = s.Rows
		p.segments = append(p.segments, s.Segment)
		p.rows += s.Rows
	}
	slices.SortFunc(p.places, func(a, b place) int { return byKey(a.key, b.key) })
	return p, nil
}

// places is the sink that remembers where each resource lies.
type places struct{ of *part }

var _ pipeline.Sink = places{}

func (places) Name() string { return "places" }

func (p places) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			return nil, &fhir.RecordError{Pos: b.Pos(r), Stage: p.Name(), Err: errors.New("a stored resource cannot be read any more")}
		}
		p.of.places = append(p.of.places, place{r.Key, snapshot.Address{Segment: r.Segment, Row: r.Row}})
	}
	return nil, nil
}

func (places) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }
func (places) Commit(context.Context) error                   { return nil }
func (places) Close() error                                   { return nil }

// source gives changes as records.
type source struct {
	file *pipeline.File
	next func() (*lake.Change, error, bool)
	stop func()
	line int64
}

var _ pipeline.Source = (*source)(nil)

var errStopped = errors.New("the reader of changes has stopped")

func newSource(changes func(func(*lake.Change) error) error) *source {
	s := &source{file: &pipeline.File{Name: "the delta"}}
	s.next, s.stop = iter.Pull2(func(yield func(*lake.Change, error) bool) {
		err := changes(func(c *lake.Change) error {
			if !yield(c, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	})
	return s
}

// Next fills a batch with the next changes.
func (s *source) Next(ctx context.Context, b *pipeline.Batch) error {
	b.Stored = true
	for len(b.Data) < batchBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err, ok := s.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if c.Method == delta.Delete {
			continue
		}
		s.line++
		start := len(b.Data)
		b.Data = append(append(b.Data, c.JSON...), '\n')
		b.Keep(len(b.Records), c.Beside)
		b.Records = append(b.Records, pipeline.Record{
			File: s.file, Line: s.line, Entry: -1, Root: fhir.NoNode,
			Start: uint32(start), End: uint32(start + len(c.JSON)),
			Key: c.Key, Content: c.Content, Version: c.Number, Updated: c.Updated,
		})
	}
	if len(b.Records) == 0 {
		return io.EOF
	}
	b.Input = int64(len(b.Data))
	b.Pad()
	return nil
}

// Close ends reading.
func (s *source) Close() error {
	s.stop()
	return nil
}
