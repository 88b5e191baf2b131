// Package searchindex makes a search index file from the search values of the records
// of a job. What a row is is store/postings', how the file is built is its caller's to
// say (store/duck/searchdb).
//
// Rows are made on the workers, one task for a batch, into as many open runs as there
// are tasks at a time. A full run goes to disk; at Commit all runs become one file, so
// memory does not grow with the input. Which run a row is in depends on timing, what the
// file has does not: it is sorted (store/duck/searchdb, invariant 1).
//
// Read [Sink] first.
package searchindex

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// runBytes is the size of a part of a run: memory is a few of them for each worker, and a
// job of 1 GB has some 60.
const runBytes = 8 << 20

// runParts is how many parts a run has. Making and removing ten files for each part took
// a twentieth of an import, and DuckDB keeps memory for each file that it reads.
const runParts = 16

// Options says what to make.
type Options struct {
	Dir    string // of the data store
	Name   string // of the index, see snapshot.SearchRel
	Secret []byte // hash key of the data store
	// Values gives the search values of a batch, which the sink reads until the tasks of
	// the batch are done.
	Values func(*pipeline.Batch) *search.Values
	// Build makes the index file at path of runs, with room for temporary files in
	// tempDir, which it makes and removes. The file is synced.
	Build func(ctx context.Context, runs []*postings.Run, path, tempDir string) error
	// Groups gives the value groups of custom search parameters that the values of resources
	// of a type have rows of; nil for none. Partial says that they have rows of no others:
	// the index is an addition to another one.
	Groups  func(resourceType string) []string
	Partial bool
	// RunBytes is about the size of a part of a run; 0: 8 MiB.
	RunBytes int64
}

// Sink makes the index. It comes after the sink that sets the addresses.
type Sink struct {
	o        Options
	segments map[uint32]r4.TypeID
	result   *snapshot.SearchIndex

	mu   sync.Mutex // the rest is used by tasks
	open []*run     // those that no task has
	all  []*run
	runs []*postings.Run
	made int
}

// run is rows on their way to disk.
type run struct {
	rows   postings.Rows
	hasher *postings.Hasher
	file   *postings.RunWriter // nil before its first part
}

var _ pipeline.Sink = (*Sink)(nil)

// New makes a sink.
func New(o Options) (*Sink, error) {
	if _, err := postings.NewHasher(o.Secret); err != nil {
		return nil, err
	}
	if o.RunBytes <= 0 {
		o.RunBytes = runBytes
	}
	return &Sink{o: o, segments: map[uint32]r4.TypeID{}}, nil
}

// Name is "searchindex".
func (s *Sink) Name() string { return "searchindex" }

// Result is the index, for the manifest; nil when the job stored nothing. It is valid
// after Commit.
func (s *Sink) Result() *snapshot.SearchIndex { return s.result }

// Write makes the task that takes the values of a batch.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	stored := false
	for i := range b.Records {
		if r := &b.Records[i]; indexed(r) {
			s.segments[r.Segment], stored = r.Type, true
		}
	}
	if !stored {
		return nil, nil
	}
	v := s.o.Values(b)
	return []pipeline.Task{{
		Run:   func(context.Context) error { return s.take(b, v) },
		Bytes: int64(v.Size()),
	}}, nil
}

// indexed tells whether a record is in the index.
func indexed(r *pipeline.Record) bool { return r.Status == pipeline.Pending && !r.Deleted }

// take adds the rows of a batch to an open run.
func (s *Sink) take(b *pipeline.Batch, v *search.Values) error {
	r, err := s.borrow()
	if err != nil {
		return err
	}
	for i := range b.Records {
		if x := &b.Records[i]; indexed(x) && !s.o.Partial {
			r.rows.AddResource(postings.Resource{
				Type: x.Type, Version: x.Version, At: postings.At(x.Segment, x.Row), Key: x.Key[0], Updated: x.Updated, ID: string(x.ID),
			})
		}
	}
	r.rows.Add(r.hasher, v, func(i int32) (postings.Address, bool) {
		x := &b.Records[i]
		return postings.At(x.Segment, x.Row), indexed(x)
	})
	if r.rows.Size() >= s.o.RunBytes {
		if err := s.spill(r); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.open = append(s.open, r)
	s.mu.Unlock()
	return nil
}

// borrow gives an open run that no other task has.
func (s *Sink) borrow() (*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.open); n > 0 {
		r := s.open[n-1]
		s.open = s.open[:n-1]
		return r, nil
	}
	h, err := postings.NewHasher(s.o.Secret)
	if err != nil {
		return nil, err
	}
	r := &run{hasher: h}
	s.all = append(s.all, r)
	return r, nil
}

// spill writes the rows of a run to disk, as a part of it, and empties them.
func (s *Sink) spill(r *run) error {
	if r.file == nil {
		s.mu.Lock()
		s.made++
		base := fmt.Sprintf("%s.run%d", s.path(), s.made)
		s.mu.Unlock()
		if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
			return fmt.Errorf("write run of the search index: %w", err)
		}
		r.file = postings.NewRunWriter(base)
	}
	if err := r.file.Add(&r.rows); err != nil {
		return err
	}
	r.rows.Reset()
	if r.file.Parts() < runParts {
		return nil
	}
	return s.finish(r)
}

// finish ends the files of a run.
func (s *Sink) finish(r *run) error {
	w := r.file
	r.file = nil
	made, err := w.Close()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, made)
	return nil
}

// Flush does nothing: tasks of the last batches may still have open runs.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }

// path is where the index file will be.
func (s *Sink) path() string {
	return filepath.Join(s.o.Dir, filepath.FromSlash(snapshot.SearchRel(s.o.Name)))
}

// Commit writes what is still open, a few runs at most, and builds the index file.
func (s *Sink) Commit(ctx context.Context) error {
	var g errgroup.Group
	for _, r := range s.all {
		g.Go(func() error {
			if len(r.rows.Resources) > 0 || r.rows.Len() > 0 {
				if err := s.spill(r); err != nil {
					return err
				}
			}
			if r.file == nil {
				return nil
			}
			return s.finish(r)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.open, s.all = nil, nil // so that Build may have their memory
	if len(s.segments) == 0 {
		return nil
	}
	if err := s.o.Build(ctx, s.runs, s.path(), s.path()+".tmp"); err != nil {
		return err
	}
	f, err := snapshot.DescribeFile(s.o.Dir, snapshot.SearchRel(s.o.Name))
	if err != nil {
		return err
	}
	s.result = &snapshot.SearchIndex{File: f, Version: postings.Version, Segments: slices.Sorted(maps.Keys(s.segments)), Partial: s.o.Partial}
	for _, r := range s.runs {
		s.result.Resources += r.Rows["resource"]
	}
	for _, typ := range s.segments {
		if s.o.Groups == nil {
			break
		}
		if groups := s.o.Groups(typ.String()); len(groups) > 0 {
			if s.result.Groups == nil {
				s.result.Groups = map[string][]string{}
			}
			s.result.Groups[typ.String()] = groups
		}
	}
	return s.Close()
}

// Close removes the runs.
func (s *Sink) Close() error {
	for _, r := range s.all {
		if r.file != nil {
			r.file.Discard()
			r.file = nil
		}
	}
	for _, r := range s.runs {
		r.Remove()
	}
	s.runs, s.open, s.all = nil, nil, nil
	return nil
}
