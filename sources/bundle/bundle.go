// Package bundle takes apart the Bundles that a source gives: [Unwrap]. A Bundle
// that only carries resources becomes one record for each of its entries; a
// Bundle that is itself a resource to be stored passes as it is.
//
// The rules:
//
//   - A line that is a Bundle without an id is a container. A line that is a
//     Bundle with an id is a resource.
//   - A file that is one JSON document ([pipeline.Record].Document) and a Bundle
//     is a container, but for a Bundle of type document or message with an id.
//   - An entry without a resource, or whose request is GET, HEAD, DELETE or
//     PATCH, makes no record. See [Source.Ignored].
//   - A resource without an id gets one: from request.url or fullUrl when these
//     end with its Type/id, else from a fullUrl urn:uuid:ID.
//   - A member named reference whose value is the urn:uuid: fullUrl of an entry
//     with a type and id becomes Type/id. Nothing else is changed: references as
//     searches (Practitioner?identifier=...), links in a narrative, Bundles
//     inside entries.
//   - A Bundle whose JSON is broken passes as one record, for the parser to say
//     what is wrong.
//
// A record of an entry has the place of its Bundle in the input, and the entry's
// index.
package bundle

import (
	"context"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/pipeline"
)

// batchSize is where a batch of entries ends, about.
const batchSize = 1 << 20

// keepBuffer is the largest buffer kept when a batch has been taken apart.
const keepBuffer = 4 << 20

var (
	_ pipeline.Source   = (*Source)(nil)
	_ pipeline.Measured = (*Source)(nil)
)

// Source gives the records of another source, containers taken apart. Next
// belongs to one goroutine; Ignored, Total and Read may be called from any.
type Source struct {
	src     pipeline.Source
	ignored atomic.Int64

	// A batch with containers, while it is handed out in pieces.
	in        pipeline.Batch
	next      int // record of in to go on with
	issue     int // issue of in to go on with
	container *container
	entry     int   // entry of container to go on with
	input     int64 // of in, not yet given

	found   *container // the first of in, found when in came
	foundAt int
}

// Unwrap makes a source that takes apart the Bundles of src, which it owns from
// now on.
func Unwrap(src pipeline.Source) *Source { return &Source{src: src} }

// Ignored counts the entries that made no record.
func (s *Source) Ignored() int64 { return s.ignored.Load() }

// Total is that of the source within.
func (s *Source) Total() (bytes int64, known bool) {
	if m, ok := s.src.(pipeline.Measured); ok {
		return m.Total()
	}
	return 0, false
}

// Read is that of the source within.
func (s *Source) Read() int64 {
	if m, ok := s.src.(pipeline.Measured); ok {
		return m.Read()
	}
	return 0
}

func (s *Source) String() string { return "bundle" }

// Close closes the source within.
func (s *Source) Close() error { return s.src.Close() }

// Next gives a batch of the source within as it is when it has no container.
func (s *Source) Next(ctx context.Context, b *pipeline.Batch) error {
	if s.next == len(s.in.Records) {
		if err := s.src.Next(ctx, b); err != nil {
			return err
		}
		if s.found, s.foundAt = firstContainer(b); s.found == nil {
			return nil
		}
		s.in.Data, b.Data = b.Data, s.in.Data[:0]
		s.in.Records, b.Records = b.Records, s.in.Records[:0]
		s.in.Issues, b.Issues = b.Issues, s.in.Issues[:0]
		s.next, s.issue, s.input = 0, 0, b.Input
	}
	return s.fill(ctx, b)
}

// firstContainer finds the first container of a batch; lines that are no Bundles
// cost next to nothing.
func firstContainer(b *pipeline.Batch) (c *container, at int) {
	for i := range b.Records {
		if c := containerOf(b, i); c != nil {
			return c, i
		}
	}
	return nil, 0
}

// containerOf takes record i apart if it is a container.
func containerOf(b *pipeline.Batch, i int) *container {
	r := &b.Records[i]
	text := b.Line(r)
	if r.Status == pipeline.Rejected || !mayBeBundle(text) {
		return nil
	}
	c, ok := parseBundle(text)
	if !ok {
		return nil
	}
	if c.hasID && (!r.Document || c.kind == "document" || c.kind == "message") {
		return nil
	}
	return c
}

// fill moves records of in to b until b is full.
func (s *Source) fill(ctx context.Context, b *pipeline.Batch) error {
	for s.next < len(s.in.Records) && len(b.Data) < batchSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := &s.in.Records[s.next]
		if s.container == nil && s.next >= s.foundAt {
			s.container, s.entry, s.found = s.found, 0, nil
			if s.next > s.foundAt {
				s.container = containerOf(&s.in, s.next)
			}
		}
		if s.container == nil {
			s.pass(b, r)
			s.next++
			continue
		}
		for s.entry < len(s.container.entries) && len(b.Data) < batchSize {
			e := &s.container.entries[s.entry]
			s.entry++
			if e.ignored() {
				s.ignored.Add(1)
				continue
			}
			out := *r
			out.Entry = e.index
			out.Start = uint32(len(b.Data))
			b.Data = s.container.appendResource(b.Data, e)
			out.End = uint32(len(b.Data))
			b.Data = append(b.Data, '\n')
			b.Records = append(b.Records, out)
		}
		if s.entry == len(s.container.entries) {
			s.container = nil
			s.next++
		}
	}
	// What each batch stands for is a guess; the last one makes the sum right.
	b.Input = min(int64(len(b.Data)), s.input)
	if s.next == len(s.in.Records) {
		b.Input = s.input
		s.in.Reset()
		s.next = 0
		if cap(s.in.Data) > keepBuffer {
			s.in = pipeline.Batch{}
		}
	}
	s.input -= b.Input
	b.Pad()
	return nil
}

// pass copies a record that is no container, with its issues.
func (s *Source) pass(b *pipeline.Batch, r *pipeline.Record) {
	out := *r
	out.Start = uint32(len(b.Data))
	b.Data = append(b.Data, s.in.Line(r)...)
	out.End = uint32(len(b.Data))
	b.Data = append(b.Data, '\n')
	b.Records = append(b.Records, out)
	for s.issue < len(s.in.Issues) && s.in.Issues[s.issue].Record <= s.next {
		is := s.in.Issues[s.issue]
		s.issue++
		if is.Record == s.next {
			is.Record = len(b.Records) - 1
			b.Issues = append(b.Issues, is)
		}
	}
}
