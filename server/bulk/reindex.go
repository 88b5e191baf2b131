package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/parameters"
	lakesource "github.com/fhirlake/fhirlake/sources/lake"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// ReindexOptions says what to index.
type ReindexOptions struct {
	// Lake is the data store, which others may read and write meanwhile. Nobody else
	// publishes in it.
	Lake  *lake.Lake
	Whole bool // all segments; else those that no index of this version covers

	Workers int              // 0: GOMAXPROCS
	Memory  int64            // bytes for what is in flight; 0: the pipeline's default
	Now     func() time.Time // nil: time.Now
	NewID   func() string    // UUIDs for names of files; nil: random
	Monitor *pipeline.Monitor
}

// ReindexResult is what indexing came to.
type ReindexResult struct {
	Snapshot  int64 `json:"snapshot"`  // number of the manifest that is current now
	Segments  int   `json:"segments"`  // that were indexed
	Resources int64 `json:"resources"` // in them, that are current
	Dropped   int   `json:"dropped"`   // index files that nobody reads any more
	Bytes     int64 `json:"bytes"`     // of the index file that was made

	Seconds float64 `json:"seconds"` // what its caller sees

	Figures pipeline.Figures `json:"-"`
}

// Reindex makes the search index of segments that have none, in one file. What was
// indexed takes the place of the old index at once; after an error the old state stays.
// Reads and writes go on meanwhile.
func Reindex(ctx context.Context, o ReindexOptions) (*ReindexResult, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = randomUUID
	}
	f, err := o.Lake.BeginFold()
	if err != nil {
		return nil, fmt.Errorf("reindex: %w", err)
	}
	res, err := o.run(ctx, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reindex: %w", err)
	}
	_, err = o.Lake.Snapshot().Prune()
	return res, err
}

func (o *ReindexOptions) run(ctx context.Context, f *lake.Fold) (*ReindexResult, error) {
	base := f.Base()
	known, err := parametersOf(ctx, o.Lake.Snapshot(), base, o.Lake)
	if err != nil {
		return nil, err
	}
	segments, drop := o.choose(base)
	more := o.additions(base, known, segments, drop)
	res := &ReindexResult{Snapshot: base.Number, Segments: len(segments), Dropped: len(drop)}
	if len(segments) == 0 && len(drop) == 0 && len(more) == 0 {
		return res, nil
	}
	made, err := o.index(ctx, base, segments, allRows(known), res)
	if err != nil {
		return nil, err
	}
	for _, a := range more {
		res.Segments += len(a.segments)
		x, err := o.index(ctx, base, a.segments, a.rowsOf(known), res)
		if err != nil {
			return nil, err
		}
		made = append(made, x...)
	}
	for i := range made {
		res.Bytes += made[i].File.Bytes
	}
	return res, f.Publish(ctx, func() error {
		m, err := o.Lake.Snapshot().Publish(nil, snapshot.PublishOptions{
			Now: o.Now(), Base: base.Number, KeepVersions: true, Search: made, DropSearch: drop,
		})
		if err == nil {
			res.Snapshot = m.Number
		}
		return err
	})
}

// choose gives the segments that are indexed and the paths of the index files that leave.
func (o *ReindexOptions) choose(m *snapshot.Manifest) (segments []*snapshot.Segment, drop []string) {
	missing := m.Unindexed(postings.Version)
	for i := range m.Segments {
		s := &m.Segments[i]
		if s.Current > 0 && (o.Whole || slices.Contains(missing, s.Ordinal)) {
			segments = append(segments, s)
		}
	}
	for i := range m.Search {
		if x := &m.Search[i]; o.Whole || x.Version != postings.Version || o.covers(x, segments) {
			drop = append(drop, x.File.Path)
		}
	}
	return segments, drop
}

// covers tells whether an index has rows of a segment that is indexed as a whole.
func (o *ReindexOptions) covers(x *snapshot.SearchIndex, segments []*snapshot.Segment) bool {
	return slices.ContainsFunc(segments, func(s *snapshot.Segment) bool { return slices.Contains(x.Segments, s.Ordinal) })
}

// addition is an index of further value groups, those of custom parameters that are new.
type addition struct {
	segments []*snapshot.Segment
	groups   map[string][]string // by resource type
}

// additions finds what segments lack that are not indexed as a whole. The segments of a
// type in one addition lack the same groups: a row that is in two files of a segment
// would have two numbers of its element.
func (o *ReindexOptions) additions(m *snapshot.Manifest, known *parameters.Set, whole []*snapshot.Segment, drop []string) (all []*addition) {
	left := *m
	left.Search = slices.DeleteFunc(slices.Clone(m.Search), func(x snapshot.SearchIndex) bool { return slices.Contains(drop, x.File.Path) })
	lacking := left.Lacking(postings.Version, known.AllGroups())
	for i := range m.Segments {
		s := &m.Segments[i]
		groups := lacking[s.Ordinal]
		if len(groups) == 0 || slices.Contains(whole, s) {
			continue
		}
		fits := func(a *addition) bool {
			of, is := a.groups[s.ResourceType]
			return !is || slices.Equal(of, groups)
		}
		at := slices.IndexFunc(all, fits)
		if at < 0 {
			at = len(all)
			all = append(all, &addition{groups: map[string][]string{}})
		}
		all[at].groups[s.ResourceType] = groups
		all[at].segments = append(all[at].segments, s)
	}
	return all
}

func (a *addition) rowsOf(known *parameters.Set) rowsOf {
	return rowsOf{
		table: known.Table.Only(func(typ r4.TypeID, g *search.Group) bool {
			return g.Custom && slices.Contains(a.groups[typ.String()], g.Name())
		}),
		groups:  func(resourceType string) []string { return a.groups[resourceType] },
		partial: true,
	}
}

// index makes the index file of the current rows of segments.
func (o *ReindexOptions) index(ctx context.Context, base *snapshot.Manifest, segments []*snapshot.Segment, of rowsOf, res *ReindexResult) ([]snapshot.SearchIndex, error) {
	if len(segments) == 0 {
		return nil, nil
	}
	store := o.Lake.Snapshot()
	var rows []compact.Rows
	for _, s := range segments {
		alive := roaring.New()
		alive.AddRange(0, uint64(s.Rows))
		gone, err := store.Superseded(s)
		if err != nil {
			return nil, err
		}
		if gone != nil {
			alive.AndNot(gone)
		}
		rows = append(rows, compact.Rows{Segment: s, Alive: alive, Deleted: roaring.New()})
		res.Resources += s.Current
	}
	src, err := lakesource.New(lakesource.Options{Dir: store.Dir(), Rows: rows, Key: o.Lake.Key})
	if err != nil {
		return nil, err
	}
	searched, err := newIndexing(store.Dir(), fmt.Sprintf("%d-%s", base.Number+1, o.NewID()), o.Lake.Secret(), of, o.Workers, o.Memory)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	figures, err := pipeline.Run(ctx, pipeline.Config{
		Source:  src,
		Stages:  append([]pipeline.Stage{parse.New(), stay{}}, searched.stages...),
		Sinks:   searched.sinks,
		Lenient: true, // what is stored was accepted
		Workers: o.Workers,
		Memory:  searched.inFlight(o.Memory),
		Monitor: o.Monitor,
	})
	if err != nil {
		return nil, err
	}
	res.Figures = figures
	if n := figures.Rejected; n > 0 {
		return nil, fmt.Errorf("%d stored resources cannot be read again; `fhirlake fsck` tells more", n)
	}
	return searched.result(), nil
}

// stay is the stage of records that stay where they are: no sink gives them another place.
type stay struct{}

var (
	_ pipeline.Stage  = stay{}
	_ pipeline.Worker = stay{}
)

// Name is "stay".
func (stay) Name() string { return "stay" }

// NewWorker gives the stage: it has no state.
func (stay) NewWorker() (pipeline.Worker, error) { return stay{}, nil }

// Process sets the addresses of the records to those that they had.
func (stay) Process(_ context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		r.Segment, r.Row = r.BaseSegment, r.BaseRow
	}
	return nil
}
