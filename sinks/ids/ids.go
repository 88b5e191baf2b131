// Package ids makes the id index of a new layer from the records of a job, and
// finds which rows the job supersedes: rows of older versions, and rows of
// resources that the job has more than once (the last line wins).
//
// Records come in input order, the index is in key order. So entries are
// collected into runs of bounded size, runs are sorted on the workers and
// spilled to disk, and Commit merges them: memory does not grow with the input.
//
// Read [Sink] first.
package ids

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

const (
	runEntries = 64 << 10 // 5 MiB of entries in a run
	keepRuns   = 2        // runs that may stay in memory; more go to disk
)

// entry is one record on its way into the index.
type entry struct {
	key       snapshot.Key
	content   uint64
	seq       uint64 // position in the input
	at        snapshot.Address
	base      snapshot.Address
	updated   int64
	version   uint32
	unchanged bool
	replaces  bool
	deleted   bool
	derived   bool
}

func compareEntries(a, b entry) int {
	switch {
	case a.key.Less(b.key):
		return -1
	case b.key.Less(a.key):
		return 1
	case a.seq < b.seq:
		return -1
	}
	return 1
}

// Result says what a job's records came to.
type Result struct {
	IDs        snapshot.File              // of the layer; zero when there are no entries
	Entries    int64                      // new versions: imported resources, and derived ones
	Derived    int64                      // those of them that were derived; they count nowhere else
	Withdrawn  int64                      // entries of the index that withdraw a version
	Unchanged  int64                      // resources whose content the store had already
	Duplicates int64                      // records that a later one of the same job replaced
	Superseded map[uint32]*roaring.Bitmap // rows that are no longer current, by segment ordinal
}

// Sink collects entries. It comes after the sink that sets the addresses.
type Sink struct {
	dir    string // of the data store
	rel    string // of the index file
	seq    uint64
	bounds snapshot.IDBounds
	placed bool // bounds have a segment and a time
	open   []entry
	runs   []*run
	spill  spillFile
	free   [][]entry
	result Result

	withdrawn []snapshot.Entry
	plan      *compact.Plan // of a compaction; nil for an import
}

var _ pipeline.Sink = (*Sink)(nil)

// New makes a sink that writes the index file at rel below dir, the folder of
// the data store.
func New(dir, rel string) *Sink {
	return &Sink{dir: dir, rel: rel, spill: spillFile{name: filepath.Join(dir, filepath.FromSlash(rel+".runs"))}}
}

// NewCompaction makes a sink for a compaction: its records are versions, all of which
// are kept, of two kinds. One that Replaces a row was read from it; the others come from
// the delta. What the layers that the plan merges have besides is in the index too. Of
// the result, Entries counts all entries, and Unchanged and Duplicates are 0.
func NewCompaction(dir, rel string, p *compact.Plan) *Sink {
	s := New(dir, rel)
	s.plan, s.bounds = p, p.Bounds
	s.placed = p.Bounds.Entries > 0
	return s
}

// Name is "ids".
func (s *Sink) Name() string { return "ids" }

// Result is valid after Commit.
func (s *Sink) Result() Result { return s.result }

// Withdraw says, before Commit, that older layers have no versions of these keys and
// numbers, the keys all different; see [snapshot.Entry].
func (s *Sink) Withdraw(entries []snapshot.Entry) {
	s.withdrawn = slices.Clone(entries)
	slices.SortFunc(s.withdrawn, func(a, b snapshot.Entry) int {
		return cmp.Or(cmp.Compare(a.Key[0], b.Key[0]), cmp.Compare(a.Key[1], b.Key[1]))
	})
	for _, e := range entries {
		s.bounds.Version = max(s.bounds.Version, e.Version)
	}
	s.bounds.Entries += int64(len(entries))
	s.bounds.Flags = s.bounds.Flags || len(entries) > 0
}

// Write takes the identities of a batch.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	var tasks []pipeline.Task
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status == pipeline.Rejected {
			continue
		}
		if s.open == nil {
			s.open = s.buffer()
		}
		s.open = append(s.open, entry{
			key:       r.Key,
			content:   r.Content,
			seq:       s.seq,
			at:        snapshot.Address{Segment: r.Segment, Row: r.Row},
			base:      snapshot.Address{Segment: r.BaseSegment, Row: r.BaseRow},
			updated:   r.Updated,
			version:   r.Version,
			unchanged: r.Status == pipeline.Unchanged,
			replaces:  r.Replaces,
			deleted:   r.Deleted,
			derived:   r.Derived,
		})
		s.seq++
		if r.Status == pipeline.Pending {
			s.widen(r)
		}
		if len(s.open) == runEntries {
			task, err := s.cut()
			if err != nil {
				return nil, err
			}
			tasks = append(tasks, task)
		}
	}
	return tasks, nil
}

// widen makes room for a record in the bounds of the index.
func (s *Sink) widen(r *pipeline.Record) {
	b := &s.bounds
	if !s.placed {
		s.placed, b.FirstSegment, b.FirstUpdated = true, r.Segment, r.Updated
	}
	if s.plan == nil || !r.Replaces { // else the plan has counted it
		b.Entries++
	}
	b.FirstUpdated, b.LastUpdated = min(b.FirstUpdated, r.Updated), max(b.LastUpdated, r.Updated)
	b.FirstSegment, b.LastSegment = min(b.FirstSegment, r.Segment), max(b.LastSegment, r.Segment)
	b.Row, b.Version = max(b.Row, r.Row), max(b.Version, r.Version)
	b.Flags = b.Flags || r.Deleted
}

func (s *Sink) buffer() []entry {
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b[:0]
	}
	return make([]entry, 0, runEntries)
}

// cut makes the task that sorts the open run and, past the first few, writes it
// to disk.
func (s *Sink) cut() (pipeline.Task, error) {
	r := &run{entries: s.open, n: len(s.open)}
	if len(s.runs) >= keepRuns {
		var err error
		if r.at, err = s.spill.place(r.n); err != nil {
			return pipeline.Task{}, err
		}
		r.spilled = true
	}
	s.runs = append(s.runs, r)
	s.open = nil
	sorted := s.buffer()[:len(r.entries)]
	return pipeline.Task{
		Bytes: 2 * runEntries * entryMemory,
		Run: func(context.Context) error {
			sortEntries(sorted, r.entries)
			r.entries, sorted = sorted, r.entries
			if r.spilled {
				return s.spill.write(r)
			}
			return nil
		},
		Done: func() error {
			s.free = append(s.free, sorted)
			if r.spilled {
				s.free = append(s.free, r.entries)
				r.entries = nil
			}
			return nil
		},
	}, nil
}

// Flush sorts what is still open.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) {
	if len(s.open) == 0 {
		return nil, nil
	}
	task, err := s.cut()
	return []pipeline.Task{task}, err
}

// Commit merges the runs into the index file.
func (s *Sink) Commit(ctx context.Context) error {
	s.free = nil
	s.result.Superseded = map[uint32]*roaring.Bitmap{}
	m, err := newMerge(s.runs, &s.spill)
	if err != nil {
		return err
	}
	out := &output{s: s}
	var w settler = &indexWriter{output: out}
	if s.plan != nil {
		if w, err = newVersions(out, s.plan); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		if n&0xffff == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		var e entry
		ok, rerr := m.next(&e)
		if rerr != nil || !ok {
			err = rerr
			break
		}
		if err = w.take(&e); err != nil {
			break
		}
	}
	if err == nil {
		err = w.finish()
	} else if out.w != nil {
		out.w.Abort()
	}
	if err != nil {
		return fmt.Errorf("merge id index: %w", err)
	}
	return s.Close()
}

// Close removes the runs.
func (s *Sink) Close() error {
	s.runs, s.free, s.open = nil, nil, nil
	return s.spill.remove()
}

// A settler takes entries in key order, those of one key in input order, and decides
// what of them is in the index.
type settler interface {
	take(e *entry) error
	finish() error
}

// output is the index file, made by its first entry, and the rows that are superseded.
type output struct {
	s *Sink
	w *snapshot.IDWriter
}

func (o *output) add(e snapshot.Entry) error {
	if o.w == nil {
		var err error
		if o.w, err = snapshot.CreateIDs(o.s.dir, o.s.rel, o.s.bounds, &o.s.result.IDs); err != nil {
			return err
		}
	}
	return o.w.Add(&e)
}

func (o *output) supersede(a snapshot.Address) {
	bm := o.s.result.Superseded[a.Segment]
	if bm == nil {
		bm = roaring.New()
		o.s.result.Superseded[a.Segment] = bm
	}
	bm.Add(a.Row)
}

func (o *output) close() error {
	if o.w == nil {
		return nil
	}
	return o.w.Close()
}

// indexWriter is the settler of an import: of each key the last one wins.
type indexWriter struct {
	*output
	last entry
	have bool
}

func (w *indexWriter) take(e *entry) error {
	if w.have {
		if w.last.key == e.key {
			if !w.last.derived {
				w.s.result.Duplicates++
			}
			if !w.last.unchanged {
				w.supersede(w.last.at)
			}
			w.last = *e
			return nil
		}
		if err := w.settle(); err != nil {
			return err
		}
	}
	w.last, w.have = *e, true
	return nil
}

func (w *indexWriter) settle() error {
	e, res := &w.last, &w.s.result
	switch {
	case e.unchanged && e.derived:
		return nil
	case e.unchanged:
		res.Unchanged++
		return nil
	case e.derived:
		res.Derived++
	}
	if e.replaces {
		w.supersede(e.base)
	}
	if err := w.withdraw(e.key); err != nil {
		return err
	}
	res.Entries++
	return w.add(snapshot.Entry{Key: e.key, Content: e.content, Address: e.at, Version: e.version, Updated: e.updated})
}

// withdraw writes what is withdrawn of keys before k: of k itself it comes after the
// version that it has now.
func (w *indexWriter) withdraw(k snapshot.Key) error {
	for len(w.s.withdrawn) > 0 && w.s.withdrawn[0].Key.Less(k) {
		if err := w.withdrawOne(); err != nil {
			return err
		}
	}
	return nil
}

func (w *indexWriter) withdrawOne() error {
	e := w.s.withdrawn[0]
	w.s.withdrawn = w.s.withdrawn[1:]
	w.s.result.Withdrawn++
	return w.add(snapshot.Entry{
		Key: e.Key, Version: e.Version, Withdrawn: true, Updated: w.s.bounds.FirstUpdated,
		Address: snapshot.Address{Segment: w.s.bounds.FirstSegment},
	})
}

func (w *indexWriter) finish() error {
	if w.have {
		if err := w.settle(); err != nil {
			return err
		}
	}
	for len(w.s.withdrawn) > 0 {
		if err := w.withdrawOne(); err != nil {
			return err
		}
	}
	return w.close()
}

// Rel gives the path of the index file of layer n below a data store's folder.
func Rel(n int64, jobID string) string {
	return path.Join("index", fmt.Sprintf("%d-%s.ids", n, jobID))
}
