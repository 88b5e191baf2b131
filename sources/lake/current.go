package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// CurrentOptions says what a [Current] reads.
type CurrentOptions struct {
	Store *snapshot.Store
	// Snapshot is the part of the state that is in files; the caller holds it until the
	// pipeline has ended. Delta has the rest; nil when there is none.
	Snapshot *snapshot.Manifest
	Delta    *lake.View

	// What is read; nil is all of it. Rows gives those of a segment that are wanted, among
	// which are rows that are not current; Changed tells it of what is in the delta.
	Types   func(r4.TypeID) bool
	Rows    func(*snapshot.Segment) (*roaring.Bitmap, error)
	Changed func(*lake.Change) bool
	// Since and Until are bounds of meta.lastUpdated in UTC microseconds, Since included,
	// Until not; 0 is none.
	Since, Until int64

	// Without are kinds of what is kept beside resources that they are not shown with.
	Without []beside.Kind

	// Packed leaves frames whose lines all are wanted as they are stored.
	Packed bool
	// Records makes a record of each resource, for stages that parse them.
	Records bool
}

// Current gives the current resources of one state of a data store as they are shown, with
// what is kept beside them: those of the snapshot, then those of the delta, type by type.
// The source itself only says which frames a batch is made of: [Current.Load], the first
// stage of the chain, reads them on the workers.
type Current struct {
	o        CurrentOptions
	types    []r4.TypeID // that are still to come
	replaced map[uint32]*roaring.Bitmap

	segments []*snapshot.Segment // of the current type, that are still to come
	open     *segmentText        // the current one
	frame    int                 // its next one
	pull     func() (*lake.Change, error, bool)
	stop     func()

	file  *pipeline.File
	total int64
	read  atomic.Int64

	mu    sync.Mutex
	files map[*segmentText]bool // that are open
}

var (
	_ pipeline.Source   = (*Current)(nil)
	_ pipeline.Measured = (*Current)(nil)
)

// segmentText is an open segment.
type segmentText struct {
	seg    *snapshot.Segment
	typ    r4.TypeID
	rows   *roaring.Bitmap // that are wanted; nil: all
	file   *snapshot.Resources
	beside besideFiles  // none when the type does not show them
	adds   int64        // bytes that beside adds to a row that is shown, about
	users  atomic.Int32 // batches that are not loaded, and the source
}

// portion is what a batch is made of.
type portion struct {
	of     *segmentText // nil: the batch has its text
	frames [2]int       // the first one, and the one after the last
	packed bool
}

var portions = pipeline.NewSlot[portion]()

// NewCurrent makes a source. It looks through what is in the delta once.
func NewCurrent(o CurrentOptions) (*Current, error) {
	s := &Current{
		o: o, replaced: map[uint32]*roaring.Bitmap{}, file: &pipeline.File{Name: "the data store"},
		files: map[*segmentText]bool{},
	}
	for _, t := range r4.ResourceTypes() {
		if o.Types == nil || o.Types(t) {
			s.types = append(s.types, t)
		}
	}
	slices.SortFunc(s.types, func(a, b r4.TypeID) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	if o.Delta != nil {
		err := o.Delta.Changes(func(c *lake.Change) error {
			if c.HasRow {
				rows := s.replaced[c.Replaced.Segment]
				if rows == nil {
					rows = roaring.New()
					s.replaced[c.Replaced.Segment] = rows
				}
				rows.Add(c.Replaced.Row)
			}
			if s.wants(c) {
				s.total += int64(len(c.JSON)) + 1
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range o.Snapshot.Segments {
		seg := &o.Snapshot.Segments[i]
		if t, ok := r4.TypeByName(seg.ResourceType); ok && seg.Current > 0 && slices.Contains(s.types, t) {
			n, err := s.textSize(seg)
			if err != nil {
				return nil, err
			}
			s.total += n
		}
	}
	return s, nil
}

func (s *Current) textSize(seg *snapshot.Segment) (n int64, err error) {
	file, err := snapshot.OpenResources(s.o.Store.Dir(), seg.Resources.Path)
	if err != nil {
		return 0, err
	}
	for i := range file.Frames() {
		n += int64(file.TextSize(i))
	}
	return n, file.Close()
}

// Total is the text of what the source looks through.
func (s *Current) Total() (bytes int64, known bool) { return s.total, true }

// Read is how much of it is done.
func (s *Current) Read() int64 { return s.read.Load() }

func (s *Current) wants(c *lake.Change) bool {
	return c.Method != delta.Delete && (s.o.Types == nil || s.o.Types(c.Type)) && s.wantsTime(c.Updated) &&
		(s.o.Changed == nil || s.o.Changed(c))
}

func (s *Current) wantsTime(updated int64) bool {
	return updated >= s.o.Since && (s.o.Until == 0 || updated < s.o.Until)
}

// Next says what the next batch is made of.
func (s *Current) Next(ctx context.Context, b *pipeline.Batch) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		*portions.Of(b) = portion{}
		st := pipeline.StoredOf.Of(b)
		st.Packed, st.Resources = st.Packed[:0], 0
		switch {
		case s.open != nil:
			if done, err := s.cut(b); done || err != nil {
				return err
			}
		case len(s.segments) > 0:
			seg := s.segments[0]
			s.segments = s.segments[1:]
			if err := s.openSegment(seg); err != nil {
				return err
			}
		case s.pull != nil:
			if done, err := s.changes(b); done || err != nil {
				return err
			}
		case len(s.types) > 0:
			s.begin(s.types[0])
			s.types = s.types[1:]
		default:
			return io.EOF
		}
	}
}

// begin turns to a type.
func (s *Current) begin(t r4.TypeID) {
	for i := range s.o.Snapshot.Segments {
		if seg := &s.o.Snapshot.Segments[i]; seg.ResourceType == t.String() && seg.Current > 0 {
			s.segments = append(s.segments, seg)
		}
	}
	if s.o.Delta == nil {
		return
	}
	s.pull, s.stop = iter.Pull2(func(yield func(*lake.Change, error) bool) {
		err := s.o.Delta.ChangesOf(t, func(c *lake.Change) error {
			if s.wants(c) && !yield(c, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	})
}

// errStopped ends an iteration that nobody wants any more.
var errStopped = errors.New("stopped")

func (s *Current) openSegment(seg *snapshot.Segment) error {
	rows, err := s.rows(seg)
	if err != nil {
		return err
	}
	if rows != nil && rows.IsEmpty() {
		n, err := s.textSize(seg)
		s.read.Add(n)
		return err
	}
	if s.o.Packed {
		// Frames that are handed on unread: the checksum of the file stands for theirs.
		if err := s.o.Store.Verify(&seg.Resources); err != nil {
			return fmt.Errorf("read %s: %w", seg.Resources.Path, err)
		}
	}
	x := &segmentText{seg: seg, typ: r4.ResourceTypeByName([]byte(seg.ResourceType)), rows: rows}
	if x.file, err = snapshot.OpenResources(s.o.Store.Dir(), seg.Resources.Path); err != nil {
		return err
	}
	if got := x.file.Rows(); got != seg.Rows {
		return errors.Join(fmt.Errorf("read %s: it has %d rows, the manifest says %d", seg.Resources.Path, got, seg.Rows), x.file.Close())
	}
	if beside.Shows(x.typ) {
		if x.beside, err = openBeside(s.o.Store.Dir(), seg, s.o.Without...); err != nil {
			return errors.Join(err, x.file.Close())
		}
		x.adds = x.beside.shown() / seg.Rows
	}
	x.users.Store(1)
	s.mu.Lock()
	s.files[x] = true
	s.mu.Unlock()
	s.open, s.frame = x, 0
	return nil
}

// rows gives the rows of a segment that are wanted; nil for all.
func (s *Current) rows(seg *snapshot.Segment) (*roaring.Bitmap, error) {
	gone, err := s.o.Store.Superseded(seg)
	if err != nil {
		return nil, err
	}
	replaced := s.replaced[seg.Ordinal]
	var rows *roaring.Bitmap
	if s.o.Rows != nil {
		if rows, err = s.o.Rows(seg); err != nil {
			return nil, err
		}
		rows = rows.Clone()
	} else {
		if gone == nil && replaced == nil {
			return nil, nil
		}
		rows = roaring.New()
		rows.AddRange(0, uint64(seg.Rows))
	}
	for _, b := range []*roaring.Bitmap{gone, replaced} {
		if b != nil {
			rows.AndNot(b)
		}
	}
	return rows, nil
}

// cut makes a portion of the next frames, false at the end of the segment. All of its frames
// go on as they are stored, or none.
func (s *Current) cut(b *pipeline.Batch) (bool, error) {
	x := s.open
	p, size, shown := portion{of: x, frames: [2]int{s.frame, s.frame}}, int64(0), int64(0)
	for ; s.frame < x.file.Frames() && shown < batchBytes; s.frame++ {
		from, to := uint64(x.file.FirstRow(s.frame)), uint64(x.file.FirstRow(s.frame+1))
		wanted := to - from
		if x.rows != nil {
			wanted = countRange(x.rows, from, to)
		}
		text := int64(x.file.TextSize(s.frame))
		packed := s.o.Packed && wanted == to-from && len(x.beside) == 0 && s.o.Since == 0 && s.o.Until == 0
		if size > 0 && (packed != p.packed || wanted == 0) {
			break
		}
		if wanted == 0 {
			s.read.Add(text)
			p.frames[0] = s.frame + 1
			continue
		}
		p.packed = packed
		size += text
		shown += text + x.adds*int64(wanted)
	}
	p.frames[1] = s.frame
	if size == 0 {
		s.open = nil
		return false, s.drop(x)
	}
	x.users.Add(1)
	*portions.Of(b) = p
	b.Input = size
	b.Stored = true
	pipeline.StoredOf.Of(b).Type = x.typ
	if !p.packed {
		b.Data = slices.Grow(b.Data, int(shown)+pipeline.Padding)
	}
	b.Pad()
	s.read.Add(size)
	return true, nil
}

// countRange counts the rows of a bitmap from one on, before another.
func countRange(b *roaring.Bitmap, from, to uint64) uint64 {
	n := b.Rank(uint32(to - 1))
	if from > 0 {
		n -= b.Rank(uint32(from - 1))
	}
	return n
}

// changes fills a batch with what is in the delta of the current type, false when there is
// nothing left.
func (s *Current) changes(b *pipeline.Batch) (bool, error) {
	st := pipeline.StoredOf.Of(b)
	for len(b.Data) < batchBytes {
		c, err, ok := s.pull()
		if err != nil {
			return false, err
		}
		if !ok {
			s.stop()
			s.pull, s.stop = nil, nil
			break
		}
		st.Type = c.Type
		kept := slices.DeleteFunc(slices.Clone(c.Beside), func(v beside.Value) bool { return slices.Contains(s.o.Without, v.Kind) })
		if err := s.put(b, c.Type, c.JSON, kept); err != nil {
			return false, err
		}
		s.read.Add(int64(len(c.JSON)) + 1)
	}
	b.Pad()
	b.Stored = true
	b.Input = int64(len(b.Data))
	return len(b.Data) > 0, nil
}

// put adds a resource to a batch as it is shown.
func (s *Current) put(b *pipeline.Batch, t r4.TypeID, text []byte, kept beside.Values) (err error) {
	start := len(b.Data)
	if b.Data, err = beside.AppendShown(b.Data, t, text, kept); err != nil {
		return err
	}
	pipeline.StoredOf.Of(b).Resources++
	if s.o.Records {
		b.Records = append(b.Records, pipeline.Record{
			File: s.file, Line: int64(len(b.Records)) + 1, Entry: -1, Type: t, Root: fhir.NoNode,
			Start: uint32(start), End: uint32(len(b.Data)),
		})
	}
	b.Data = append(b.Data, '\n')
	return nil
}

// drop closes a segment when nobody uses it any more.
func (s *Current) drop(x *segmentText) error {
	if x.users.Add(-1) > 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.files[x] {
		return nil // Release was first
	}
	delete(s.files, x)
	return x.close()
}

func (x *segmentText) close() error {
	return errors.Join(x.file.Close(), x.beside.close())
}

// Close ends the reading. Batches that are not loaded yet still can be.
func (s *Current) Close() error {
	if s.stop != nil {
		s.stop()
		s.pull, s.stop = nil, nil
	}
	x := s.open
	s.open, s.segments, s.types = nil, nil, nil
	if x != nil {
		return s.drop(x)
	}
	return nil
}

// Release closes the files of batches that were never loaded. No worker is at work.
func (s *Current) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for x := range s.files {
		err = errors.Join(err, x.close())
	}
	clear(s.files)
	return err
}

// Load is the stage that reads the frames of a batch.
func (s *Current) Load() pipeline.Stage { return loading{s} }

type loading struct{ s *Current }

var _ pipeline.Stage = loading{}

// Name is "load".
func (loading) Name() string { return "load" }

// NewWorker makes a worker with a decoder of its own.
func (l loading) NewWorker() (pipeline.Worker, error) {
	decode, err := snapshot.NewFrameReader()
	if err != nil {
		return nil, err
	}
	return &loader{s: l.s, decode: decode}, nil
}

type loader struct {
	s      *Current
	decode *snapshot.FrameReader
	beside besideReader
	text   []byte
}

// Close releases the decoders.
func (l *loader) Close() error {
	l.decode.Close()
	l.beside.close()
	return nil
}

// Process reads what the batch is made of.
func (l *loader) Process(_ context.Context, b *pipeline.Batch) error {
	p := portions.Of(b)
	if p.of == nil {
		return nil
	}
	st := pipeline.StoredOf.Of(b)
	for i := p.frames[0]; i < p.frames[1]; i++ {
		var err error
		if p.packed {
			st.Packed, err = p.of.file.AppendPacked(st.Packed, i)
			st.Resources += int64(p.of.file.FrameRows(i))
		} else {
			err = l.lines(b, st, p.of, i)
		}
		if err != nil {
			return err
		}
	}
	if !p.packed {
		b.Pad()
	}
	return l.s.drop(p.of)
}

// lines reads the wanted lines of a frame.
func (l *loader) lines(b *pipeline.Batch, st *pipeline.Stored, x *segmentText, frame int) (err error) {
	o := &l.s.o
	first, rows := x.file.FirstRow(frame), int64(x.file.FrameRows(frame))
	all := x.rows == nil || countRange(x.rows, uint64(first), uint64(first+rows)) == uint64(rows)
	if all && len(x.beside) == 0 && o.Since == 0 && o.Until == 0 && !o.Records {
		b.Data, err = l.decode.Append(b.Data, x.file, frame)
		st.Resources += rows
		return err
	}
	if l.text, err = l.decode.Append(l.text[:0], x.file, frame); err != nil {
		return err
	}
	rest := l.text
	for row := first; row < first+rows; row++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if !all && !x.rows.Contains(uint32(row)) {
			continue
		}
		if err := l.line(b, x, uint32(row), line); err != nil {
			return fmt.Errorf("read %s: row %d: %w", x.seg.Resources.Path, row, err)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("read %s: frame %d has more than the %d rows of its table", x.seg.Resources.Path, frame, rows)
	}
	if cap(l.text) > 16*batchBytes {
		l.text = nil // a huge line passed
	}
	return nil
}

func (l *loader) line(b *pipeline.Batch, x *segmentText, row uint32, line []byte) error {
	if o := &l.s.o; o.Since != 0 || o.Until != 0 {
		h, err := snapshot.ReadHead(line, true)
		if err != nil {
			return err
		}
		at, err := h.Updated()
		if err != nil || !l.s.wantsTime(at) {
			return err
		}
	}
	kept, err := l.beside.read(x.beside, row)
	if err != nil {
		return err
	}
	return l.s.put(b, x.typ, line, kept)
}
