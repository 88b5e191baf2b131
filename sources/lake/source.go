package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Options says what a [Source] reads.
type Options struct {
	Dir  string // of the data store
	Rows []compact.Rows
	// Delta, with the commits after After, is folded in; nil for none.
	Delta *delta.Snapshot
	After uint64
	Skip  func(e *delta.Entry) bool // of the delta, what is left out

	Key func(t r4.TypeID, id string) snapshot.Key // see store/lake.Lake.Key
}

// Source gives rows as the records of a compaction: identity, version and time are set,
// of those from the delta the content hash too, and a row that is written anew Replaces
// the one that it was. Batches have one resource type; types come by their names, and the rows of
// each in the order of time, those of one time by segment and row, those of the delta
// last. So rows are in order in the new segments (store/snapshot, invariant 6), and
// what was one after the other stays so.
type Source struct {
	o       Options
	decode  *snapshot.FrameReader
	types   []r4.TypeID // that are still to come
	cursors []*head     // of the current type
	file    *pipeline.File
	line    int64
}

var _ pipeline.Source = (*Source)(nil)

// head is a cursor with the row that it is at.
type head struct {
	cursor
	row row
}

// batchBytes is the size of a batch.
const batchBytes = 1 << 20

// New makes a source. It opens the files of one type at a time.
func New(o Options) (*Source, error) {
	decode, err := snapshot.NewFrameReader()
	if err != nil {
		return nil, err
	}
	s := &Source{o: o, decode: decode, types: slices.Clone(r4.ResourceTypes()), file: &pipeline.File{Name: "the data store"}}
	slices.SortFunc(s.types, func(a, b r4.TypeID) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	return s, nil
}

// Next fills a batch with rows of one type.
func (s *Source) Next(ctx context.Context, b *pipeline.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for len(s.cursors) == 0 {
		if len(s.types) == 0 {
			return io.EOF
		}
		if err := s.open(s.types[0]); err != nil {
			return err
		}
		s.types = s.types[1:]
	}
	b.Stored = true
	for len(s.cursors) > 0 && len(b.Data) < batchBytes {
		i := s.first()
		s.put(b, &s.cursors[i].row)
		if err := s.advance(i); err != nil {
			return err
		}
	}
	b.Pad()
	return nil
}

// first gives the cursor that has the earliest row. Of one time it is the first one.
func (s *Source) first() int {
	best := 0
	for i, c := range s.cursors {
		if c.row.Updated < s.cursors[best].row.Updated {
			best = i
		}
	}
	return best
}

func (s *Source) put(b *pipeline.Batch, r *row) {
	start := len(b.Data)
	b.Data = append(append(b.Data, r.line...), '\n')
	s.line++
	rec := r.Record
	rec.File, rec.Line, rec.Entry, rec.Root = s.file, s.line, -1, fhir.NoNode
	rec.Start, rec.End = uint32(start), uint32(start+len(r.line))
	b.Keep(len(b.Records), r.beside)
	b.Records = append(b.Records, rec)
	b.Input += int64(len(r.line)) + 1
}

// advance goes on to the next row of a cursor, or closes it.
func (s *Source) advance(i int) error {
	c := s.cursors[i]
	ok, err := c.next(&c.row)
	if err != nil {
		return err
	}
	if !ok {
		s.cursors = slices.Delete(s.cursors, i, i+1)
		return c.close()
	}
	return nil
}

// open opens the cursors of a type that have a row.
func (s *Source) open(t r4.TypeID) error {
	for i := range s.o.Rows {
		rows := &s.o.Rows[i]
		if rows.Segment.ResourceType != t.String() || rows.Alive.IsEmpty() {
			continue
		}
		c, err := openSegment(s.o.Dir, rows, t, s.o.Key, s.decode)
		if err != nil {
			return err
		}
		if err := s.add(c); err != nil {
			return err
		}
	}
	if s.o.Delta == nil {
		return nil
	}
	c := &commits{skip: s.o.Skip}
	c.pull, c.stop = iter.Pull2(s.o.Delta.Commits(delta.Range{Type: t, After: s.o.After}))
	return s.add(c)
}

func (s *Source) add(c cursor) error {
	h := &head{cursor: c}
	s.cursors = append(s.cursors, h)
	ok, err := c.next(&h.row)
	if err != nil {
		return err
	}
	if !ok {
		s.cursors = s.cursors[:len(s.cursors)-1]
		return c.close()
	}
	return nil
}

// Close closes the files.
func (s *Source) Close() error {
	var err error
	for _, c := range s.cursors {
		err = errors.Join(err, c.close())
	}
	s.cursors, s.types = nil, nil
	if s.decode != nil {
		s.decode.Close()
		s.decode = nil
	}
	if err != nil {
		return fmt.Errorf("read the data store: %w", err)
	}
	return nil
}
