package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/annotations"
	"github.com/fhirlake/fhirlake/sinks/ids"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/sinks/rawlog"
	lakesource "github.com/fhirlake/fhirlake/sources/lake"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// CompactOptions says what to compact.
type CompactOptions struct {
	// Lake is the data store, which others may read and write meanwhile. Nobody else
	// publishes in it.
	Lake      *lake.Lake
	Retention compact.Retention
	Whole     bool       // all layers become one
	Erase     []Resource // removed with all versions
	Kept      int64      // of the last result with All; see [compact.Options]

	// SearchIndex keeps the search index of a data store whole that was empty, too. Where
	// all that there is is in the index, what is written anew comes into it in any case.
	SearchIndex bool

	Workers int              // 0: GOMAXPROCS
	Memory  int64            // bytes for what is in flight; 0: the pipeline's default
	Now     func() time.Time // nil: time.Now
	NewID   func() string    // UUIDs of segments; nil: random
	Monitor *pipeline.Monitor
}

// Resource names a resource.
type Resource struct {
	Type r4.TypeID
	ID   string
}

// CompactResult is what a compaction came to.
type CompactResult struct {
	Snapshot  int64 `json:"snapshot"`  // number of the manifest that is current now
	Folded    int64 `json:"folded"`    // versions that came from the delta
	Rewritten int64 `json:"rewritten"` // rows that were written anew
	Versions  int64 `json:"versions"`  // in the layer that was made; 0 when nothing was to be done
	All       bool  `json:"-"`         // all layers were looked at; see [compact.Plan]
	Kept      int64 `json:"-"`         // versions that are not current, when All is set

	Before Extent `json:"before"`
	After  Extent `json:"after"`

	Seconds float64 `json:"seconds"` // what its caller sees

	Figures pipeline.Figures `json:"-"`
}

// Extent is how much a snapshot has.
type Extent struct {
	Layers   int   `json:"layers"`
	Segments int   `json:"segments"`
	Rows     int64 `json:"rows"`
	Bytes    int64 `json:"bytes"` // of all files

	IndexFiles int   `json:"indexFiles"` // of the search index
	IndexBytes int64 `json:"indexBytes"`
}

func extentOf(m *snapshot.Manifest) Extent {
	e := Extent{Layers: len(m.Layers), Segments: len(m.Segments), IndexFiles: len(m.Search)}
	for i := range m.Search {
		e.IndexBytes += m.Search[i].File.Bytes
	}
	for i := range m.Segments {
		e.Rows += m.Segments[i].Rows
	}
	for _, f := range m.Files() {
		e.Bytes += f.Bytes
	}
	return e
}

func current(m *snapshot.Manifest) (rows int64) {
	for i := range m.Segments {
		rows += m.Segments[i].Current
	}
	return rows
}

// Compact folds what is in the delta into the snapshot and merges what store/compact
// says, through the stages and sinks of an import. All of it is visible at once, and
// after an error nothing. Reads and writes go on meanwhile.
func Compact(ctx context.Context, o CompactOptions) (*CompactResult, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = randomUUID
	}
	if err := o.Lake.Trim(ctx); err != nil {
		return nil, fmt.Errorf("compact: %w", err)
	}
	f, err := o.Lake.BeginFold()
	if err != nil {
		return nil, fmt.Errorf("compact: %w", err)
	}
	c := &compaction{CompactOptions: o, fold: f, base: f.Base(), now: o.Now()}
	res, err := c.run(ctx)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("compact: %w", err)
	}
	// Readers of the old state hold its files as long as they need them.
	_, err = o.Lake.Snapshot().Prune()
	return res, err
}

// compaction is one compaction on its way.
type compaction struct {
	CompactOptions
	fold  *lake.Fold
	base  *snapshot.Manifest
	erase map[snapshot.Key]bool

	commits map[string]int64                  // versions that are folded in, by resource type
	skipped map[uint64]bool                   // commits that are not, for the retention
	now     time.Time                         // for the retention
	fresh   map[snapshot.Key][]snapshot.Entry // see [compact.Options]
}

func (c *compaction) run(ctx context.Context) (*CompactResult, error) {
	traces, err := c.findErased(ctx)
	if err != nil {
		return nil, err
	}
	o := compact.Options{
		Manifest: c.base, Index: c.fold.Index(), Retention: c.Retention, Now: c.now,
		Erase: c.erase, Traces: traces, Kept: c.Kept, Whole: c.Whole,
	}
	if err := c.count(); err != nil {
		return nil, err
	}
	o.Commits, o.Fresh = c.commits, c.fresh
	if o.Overtaken, err = c.fold.Overtaken(); err != nil {
		return nil, err
	}
	plan, err := compact.New(o)
	if err != nil {
		return nil, err
	}
	res := &CompactResult{Snapshot: c.base.Number, Before: extentOf(c.base), After: extentOf(c.base), All: plan.All(), Kept: plan.Versions() - current(c.base)}
	for _, n := range o.Commits {
		res.Folded += n
	}
	if plan.Empty() && c.fold.Delta().Seq() <= c.base.FoldedSeq {
		return res, c.onlyIndexes(ctx, res)
	}
	return res, c.write(ctx, plan, res)
}

// findErased tells what is to be erased by its keys, and gives the segments that have
// rows of it which may be no versions.
func (c *compaction) findErased(ctx context.Context) (traces []uint32, err error) {
	c.erase = map[snapshot.Key]bool{}
	ids := map[r4.TypeID]map[string]bool{}
	for _, r := range c.Erase {
		c.erase[c.Lake.Key(r.Type, r.ID)] = true
		if ids[r.Type] == nil {
			ids[r.Type] = map[string]bool{}
		}
		ids[r.Type][r.ID] = true
	}
	for t, of := range ids {
		more, err := lakesource.Traces(ctx, c.Lake.Snapshot(), c.base, t.String(), func(id string) bool { return of[id] })
		if err != nil {
			return nil, err
		}
		traces = append(traces, more...)
	}
	return traces, nil
}

// count finds what of the delta is folded in.
func (c *compaction) count() error {
	c.commits, c.skipped = map[string]int64{}, map[uint64]bool{}
	if err := c.skip(); err != nil {
		return err
	}
	for ch, err := range c.fold.Delta().Changes(delta.Range{After: c.base.FoldedSeq}) {
		if err != nil {
			return err
		}
		if !c.skipped[ch.Seq] && !c.erase[ch.Key] {
			c.commits[ch.Type.String()]++
		}
	}
	return nil
}

// skip finds the versions in the delta that are no longer kept: they would be rows
// without a version from the beginning.
func (c *compaction) skip() error {
	if c.Retention.All() {
		return nil
	}
	c.fresh = map[snapshot.Key][]snapshot.Entry{}
	var versions []snapshot.Entry // of one resource, the newest first
	var seqs []uint64
	settle := func() {
		if len(versions) > 0 {
			kept := c.Retention.Keep(versions, c.now)
			c.fresh[versions[0].Key] = slices.Clone(kept)
			for _, seq := range seqs[len(kept):] {
				c.skipped[seq] = true
			}
		}
		versions, seqs = versions[:0], seqs[:0]
	}
	for e, err := range c.fold.Delta().Resources(0) {
		if err != nil {
			return err
		}
		if len(versions) > 0 && versions[0].Key != e.Key {
			settle()
		}
		versions = append(versions, snapshot.Entry{Key: e.Key, Version: e.Number, Updated: e.Updated})
		seqs = append(seqs, e.Seq)
	}
	settle()
	return nil
}

// write makes the new segments and the new layer, and publishes them.
func (c *compaction) write(ctx context.Context, plan *compact.Plan, res *CompactResult) error {
	store := c.Lake.Snapshot()
	src, err := lakesource.New(lakesource.Options{
		Dir: store.Dir(), Rows: plan.Rows, Delta: c.fold.Delta(), After: c.base.FoldedSeq, Key: c.Lake.Key,
		Skip: func(e *delta.Entry) bool { return c.skipped[e.Seq] || c.erase[e.Key] },
	})
	if err != nil {
		return err
	}
	number := c.base.Number + 1
	builder := snapshot.NewBuilder(store.Dir(), c.base, c.NewID)
	columns := parquet.New(builder, parquet.Options{})
	log := rawlog.New(builder)
	var searched indexing
	if isIndexed(c.base) || c.SearchIndex && len(c.base.Unindexed(postings.Version)) == 0 {
		known, err := parametersOf(ctx, store, c.base, c.Lake)
		if err != nil {
			return errors.Join(err, src.Close())
		}
		if searched, err = newIndexing(store.Dir(), fmt.Sprintf("%d-%s", number, c.NewID()), c.Lake.Secret(), allRows(known), c.Workers, c.Memory); err != nil {
			return errors.Join(err, src.Close())
		}
	}
	entries := ids.NewCompaction(store.Dir(), ids.Rel(number, c.NewID()), plan)
	res.Figures, err = pipeline.Run(ctx, pipeline.Config{
		Source:  src,
		Stages:  append([]pipeline.Stage{parse.New(), log.Compress(), shred.New()}, searched.stages...),
		Sinks:   slices.Concat([]pipeline.Sink{columns, log, entries, entities.New(builder, number, entities.Options{})}, annotations.Sinks(builder, number, annotations.Kinds...), searched.sinks),
		Lenient: true, // what is stored was accepted
		Workers: c.Workers,
		Memory:  searched.inFlight(c.Memory),
		Monitor: c.Monitor,
	})
	if err != nil {
		return err
	}
	if n := res.Figures.Rejected; n > 0 {
		return fmt.Errorf("%d stored resources cannot be read again; `fhirlake fsck` tells more", n)
	}
	settled := entries.Result()
	for i := range plan.Rows {
		res.Rewritten += int64(plan.Rows[i].Alive.GetCardinality())
	}
	res.Versions = settled.Entries
	layers, segments := plan.Drops()
	indexes, drop, err := c.mergeIndexes(ctx, searched.result(), segments)
	if err != nil {
		return err
	}
	m, err := c.publish(ctx, builder, snapshot.PublishOptions{
		IDs: settled.IDs, Entries: settled.Entries, Superseded: settled.Superseded,
		DropLayers: layers, DropSegments: segments, Search: indexes, DropSearch: drop, FoldedSeq: c.fold.Delta().Seq(),
	}, res)
	if err == nil {
		res.Kept = settled.Entries - current(m)
	}
	return err
}

// publish shows what was made, all at once.
func (c *compaction) publish(ctx context.Context, b *snapshot.Builder, o snapshot.PublishOptions, res *CompactResult) (m *snapshot.Manifest, err error) {
	o.Now, o.Base, o.KeepVersions = c.Now(), c.base.Number, true
	return m, c.fold.Publish(ctx, func() (err error) {
		if m, err = c.Lake.Snapshot().Publish(b, o); err == nil {
			res.Snapshot, res.After = m.Number, extentOf(m)
		}
		return err
	})
}
