package bulk

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/sinks/searchindex"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// indexing is what a job adds to its pipeline to have its segments in the search index.
// The zero value adds nothing.
type indexing struct {
	stages []pipeline.Stage // the last ones of the chain
	sinks  []pipeline.Sink  // after the one that places records
	sink   *searchindex.Sink
}

// minBuild is the least memory that DuckDB sorts with.
const minBuild = 128 << 20

// rowsOf says which rows are made: those of the groups of a table, of which groups gives
// those of custom parameters by resource type.
type rowsOf struct {
	table   *search.Table
	groups  func(resourceType string) []string
	partial bool // rows of groups alone
}

// allRows are those of all parameters of a data store.
func allRows(s *parameters.Set) rowsOf { return rowsOf{table: s.Table, groups: s.Groups} }

// parametersOf reads the search parameters of a state; of a lake those that are written too.
func parametersOf(ctx context.Context, store *snapshot.Store, m *snapshot.Manifest, l *lake.Lake) (*parameters.Set, error) {
	if l == nil {
		return parameters.Load(ctx, store, m, nil)
	}
	view, err := l.View()
	if err != nil {
		return nil, err
	}
	set, err := parameters.Load(ctx, store, view.Manifest(), view)
	return set, errors.Join(err, view.Close())
}

// buildMemory is what DuckDB may take to make an index file in a job with memory for what
// is in flight.
func buildMemory(memory int64) int64 { return max(memory/2*3, minBuild) }

// newIndexing makes what a job adds; name is that of the index file. memory is what may be in
// flight in the job, some quarter of what the process may use (docs/operations.md): building
// takes half as much more, when nothing is in flight any more.
func newIndexing(dir, name string, secret []byte, of rowsOf, workers int, memory int64) (x indexing, err error) {
	x.sink, err = searchindex.New(searchindex.Options{
		Dir: dir, Name: name, Secret: secret, Groups: of.groups, Partial: of.partial,
		Values: func(b *pipeline.Batch) *search.Values { return pipeline.SearchValues.Of(b) },
		Build: func(ctx context.Context, runs []*postings.Run, path, tempDir string) error {
			// What was in flight would stay with the process beside what DuckDB takes.
			debug.FreeOSMemory()
			return searchdb.Build(ctx, runs, searchdb.BuildOptions{Path: path, TempDir: tempDir, Threads: workers, Memory: buildMemory(memory)})
		},
	})
	if err != nil {
		return indexing{}, err
	}
	x.stages, x.sinks = []pipeline.Stage{index.New(of.table)}, []pipeline.Sink{x.sink}
	return x, nil
}

// inFlight is what of memory may be in flight beside the rows of the index: the values in
// the batches and the runs take the rest (docs/decisions/0034).
func (x *indexing) inFlight(memory int64) int64 {
	if x.sink == nil || memory <= 0 {
		return memory
	}
	return memory / 8 * 3
}

// result is the index that was made, for the manifest.
func (x *indexing) result() []snapshot.SearchIndex {
	if x.sink == nil || x.sink.Result() == nil {
		return nil
	}
	return []snapshot.SearchIndex{*x.sink.Result()}
}

// isIndexed tells whether all of a state is in the search index, so that what is added
// to it should be too.
func isIndexed(m *snapshot.Manifest) bool {
	return len(m.Search) > 0 && len(m.Unindexed(postings.Version)) == 0
}
