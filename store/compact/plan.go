package compact

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Options says what to plan for.
type Options struct {
	Manifest  *snapshot.Manifest
	Index     *snapshot.Index // of the manifest
	Retention Retention
	Now       time.Time

	// Commits are how many versions are folded in, by resource type.
	Commits map[string]int64
	// Fresh has what of it is folded in, by key, the newest first: versions that are there
	// already may be no longer kept beside it. nil when the retention keeps all.
	Fresh map[snapshot.Key][]snapshot.Entry
	// Overtaken are resources of which something is folded in that was committed before an
	// import was published, so that the snapshot may have the latest version.
	Overtaken []snapshot.Key
	// Erase are resources that are removed with all their versions.
	Erase map[snapshot.Key]bool
	// Traces are the ordinals of segments with rows of them that no entry may lead to.
	Traces []uint32
	// Kept is how many versions that are not current the last plan over all layers
	// ([Plan.All]) left for this retention: they are no reason to look at all of them again.
	Kept int64
	// Whole merges all layers and removes all dead rows, whatever that costs.
	Whole bool
}

const (
	growth    = 2      // a layer has more than that many times the entries of the next newer one
	smallRows = 61_440 // a segment up to that is merged with others: half a row group
	deadShare = 10     // a tenth of dead rows is too much
)

// Plan is what one compaction does with the snapshot.
type Plan struct {
	Base   *snapshot.Manifest
	Layers int // the newest so many become one
	// Rows are the segments that the new state does not have, in the order of Ordinal.
	Rows []Rows
	// Bounds are those of the entries of the merged layers that are kept.
	Bounds snapshot.IDBounds
	all    bool

	index     *snapshot.Index
	retention Retention
	now       time.Time
	fresh     map[snapshot.Key][]snapshot.Entry
	together  []snapshot.Entry // buffer of KeepOld
	kept      int64            // versions in the merged layers
	erase     map[snapshot.Key]bool
	rewritten map[uint32]bool
}

// Rows are the rows of one segment that are written anew.
type Rows struct {
	Segment *snapshot.Segment
	Alive   *roaring.Bitmap // that have a version that is kept
	Deleted *roaring.Bitmap // those of them that are deletions
}

// Empty tells that the snapshot stays as it is, unless something is folded in.
func (p *Plan) Empty() bool { return p.Layers == 0 }

// Rewritten tells whether a segment is one of [Plan.Rows].
func (p *Plan) Rewritten(ordinal uint32) bool { return p.rewritten[ordinal] }

// Keep gives of the versions of one resource, the newest first, those that are kept.
func (p *Plan) Keep(versions []snapshot.Entry) []snapshot.Entry {
	if len(p.erase) > 0 && p.erase[versions[0].Key] {
		return nil
	}
	return p.retention.Keep(versions, p.now)
}

// KeepOld gives of the versions that the merged layers have of one resource, the newest
// first, those that are kept beside what is folded in. They come first.
func (p *Plan) KeepOld(versions []snapshot.Entry) []snapshot.Entry {
	fresh := p.fresh[versions[0].Key]
	if len(fresh) == 0 {
		return p.Keep(versions)
	}
	p.together = append(append(p.together[:0], fresh...), versions...)
	slices.SortStableFunc(p.together, func(a, b snapshot.Entry) int { return cmp.Compare(b.Version, a.Version) })
	kept := p.Keep(slices.CompactFunc(p.together, func(a, b snapshot.Entry) bool { return a.Version == b.Version }))
	n := 0
	if len(kept) > 0 {
		for n < len(versions) && versions[n].Version >= kept[len(kept)-1].Version {
			n++
		}
	}
	return versions[:n]
}

// Versions is how many versions of the merged layers are kept.
func (p *Plan) Versions() int64 { return p.kept }

// All tells that all layers were looked at: what the retention does not keep is found.
func (p *Plan) All() bool { return p.all }

// Merged reads the layers that become one. Older finds what the other layers have.
func (p *Plan) Merged() (*snapshot.Merge, error) { return p.index.Newest(p.Layers).Merge() }

// Older is explained at [Plan.Merged].
func (p *Plan) Older() *snapshot.Lookup { return p.index.Older(p.Layers).NewLookup() }

// Drops gives the numbers of the layers and the ordinals of the segments that the new
// state does not have.
func (p *Plan) Drops() (layers []int64, segments []uint32) {
	for _, l := range p.Base.Layers[len(p.Base.Layers)-p.Layers:] {
		layers = append(layers, l.Number)
	}
	for _, r := range p.Rows {
		segments = append(segments, r.Segment.Ordinal)
	}
	return layers, segments
}

// New makes a plan. It reads the id indexes of the layers that are merged, and writes
// nothing. The index must stay open while the plan is used.
func New(o Options) (*Plan, error) {
	p := &Plan{
		Base: o.Manifest, index: o.Index, retention: o.Retention, now: o.Now, fresh: o.Fresh, erase: o.Erase,
		rewritten: map[uint32]bool{},
	}
	n, err := p.choose(&o)
	if err == nil {
		err = p.makeRoom(o.Overtaken)
	}
	if err != nil {
		return nil, fmt.Errorf("plan compaction: %w", err)
	}
	p.Layers, p.all = n, n == len(p.Base.Layers)
	if n == 0 {
		return p, nil
	}
	found, err := p.scan()
	if err != nil {
		return nil, fmt.Errorf("plan compaction: %w", err)
	}
	p.pick(found, &o)
	if n == 1 && len(p.Rows) == 0 && total(o.Commits) == 0 {
		p.Layers = 0 // one layer would become itself
	}
	return p, nil
}

// makeRoom widens the bounds by the latest versions that the snapshot has of some keys.
func (p *Plan) makeRoom(keys []snapshot.Key) error {
	lookup := p.index.NewLookup()
	for _, k := range keys {
		e, ok, err := lookup.One(k)
		if err != nil {
			return err
		}
		if ok {
			p.widen(&e)
		}
	}
	return nil
}

func total(commits map[string]int64) (n int64) {
	for _, c := range commits {
		n += c
	}
	return n
}

// choose tells how many of the newest layers are merged.
func (p *Plan) choose(o *Options) (int, error) {
	layers := p.Base.Layers
	if o.Whole || p.wasteful(o.Kept) {
		return len(layers), nil
	}
	from := len(layers)
	if entries := total(o.Commits); entries > 0 || from > 1 {
		if entries == 0 {
			from--
			entries = layers[from].Entries
		}
		for from > 0 && layers[from-1].Entries <= growth*entries {
			from--
			entries += layers[from].Entries
		}
		if total(o.Commits) == 0 && from == len(layers)-1 {
			from = len(layers)
		}
	}
	if len(o.Erase) > 0 {
		oldest, err := p.oldestWith(o.Erase)
		if err != nil {
			return 0, err
		}
		from = min(from, oldest)
	}
	for _, ordinal := range o.Traces {
		from = min(from, p.layerOf(ordinal))
	}
	return len(layers) - p.boundary(from), nil
}

// layerOf gives the layer that brought a segment: only it and newer ones have entries of
// the segment.
func (p *Plan) layerOf(ordinal uint32) int {
	layers := p.Base.Layers
	at, _ := slices.BinarySearchFunc(layers, ordinal, func(l snapshot.Layer, n uint32) int {
		return cmp.Or(cmp.Compare(l.FirstSegment, n), -1) // behind equal ones
	})
	return max(at-1, 0)
}

// boundary gives the first layer, from the given one towards older ones, at which the
// merged ones may begin: the layers of one manifest stay together, and of older ones it must
// be known that they have no entries of newer segments.
func (p *Plan) boundary(from int) int {
	layers := p.Base.Layers
	for from > 0 && from < len(layers) && (layers[from].Number == layers[from-1].Number || layers[from].FirstSegment == 0) {
		from--
	}
	return from
}

// wasteful tells whether so many rows may be dead that all layers should be looked at.
func (p *Plan) wasteful(kept int64) bool {
	if p.retention.All() {
		return false
	}
	var old, all int64
	for i := range p.Base.Segments {
		s := &p.Base.Segments[i]
		old += s.Rows - s.Current
		all += s.Rows
	}
	return old-kept > all/deadShare
}

// oldestWith gives the oldest layer that has one of some keys; the number of layers when
// none has.
func (p *Plan) oldestWith(keys map[snapshot.Key]bool) (int, error) {
	n := len(p.Base.Layers)
	for i := range n {
		lookup := p.index.Newest(n - i).Older(n - i - 1).NewLookup()
		for k := range keys {
			_, ok, err := lookup.One(k)
			if err != nil || ok {
				return i, err
			}
		}
	}
	return n, nil
}

// seen is what the merged layers have of one segment.
type seen struct {
	alive, deleted *roaring.Bitmap
	erased         bool
}

// scan reads the merged layers once.
func (p *Plan) scan() (map[uint32]*seen, error) {
	m, err := p.Merged()
	if err != nil {
		return nil, err
	}
	found := map[uint32]*seen{}
	of := func(ordinal uint32) *seen {
		s := found[ordinal]
		if s == nil {
			s = &seen{alive: roaring.New(), deleted: roaring.New()}
			found[ordinal] = s
		}
		return s
	}
	for {
		versions, err := m.Next()
		if err != nil {
			return nil, err
		}
		if versions == nil {
			return found, nil
		}
		kept := p.KeepOld(versions)
		p.kept += int64(len(kept))
		for i := range kept {
			e := &kept[i]
			s := of(e.Address.Segment)
			s.alive.Add(e.Address.Row)
			if e.Deleted {
				s.deleted.Add(e.Address.Row)
			}
			p.widen(e)
		}
		if p.erase[versions[0].Key] {
			for i := range versions {
				of(versions[i].Address.Segment).erased = true
			}
		}
	}
}

func (p *Plan) widen(e *snapshot.Entry) {
	b := &p.Bounds
	if b.Entries == 0 {
		b.FirstSegment, b.FirstUpdated, b.LastUpdated = e.Address.Segment, e.Updated, e.Updated
	}
	b.Entries++
	b.FirstSegment, b.LastSegment = min(b.FirstSegment, e.Address.Segment), max(b.LastSegment, e.Address.Segment)
	b.FirstUpdated, b.LastUpdated = min(b.FirstUpdated, e.Updated), max(b.LastUpdated, e.Updated)
	b.Row, b.Version = max(b.Row, e.Address.Row), max(b.Version, e.Version)
	b.Flags = b.Flags || e.Deleted
}

// pick chooses the segments that are written anew.
func (p *Plan) pick(found map[uint32]*seen, o *Options) {
	first := p.Base.Layers[len(p.Base.Layers)-p.Layers].FirstSegment
	small := map[string]int{}
	for t, n := range o.Commits {
		if n > 0 {
			small[t]++
		}
	}
	mine := p.Base.Segments[firstAt(p.Base.Segments, first):]
	for i := range mine {
		if mine[i].Rows <= smallRows {
			small[mine[i].ResourceType]++
		}
	}
	for i := range mine {
		s := &mine[i]
		f := found[s.Ordinal]
		if f == nil {
			f = &seen{alive: roaring.New(), deleted: roaring.New()}
		}
		alive := int64(f.alive.GetCardinality())
		dead := s.Rows - alive
		switch {
		case f.erased, slices.Contains(o.Traces, s.Ordinal), alive == 0, dead > s.Rows/deadShare, o.Whole && dead > 0,
			s.Rows <= smallRows && small[s.ResourceType] > 1:
			p.Rows = append(p.Rows, Rows{s, f.alive, f.deleted})
			p.rewritten[s.Ordinal] = true
		}
	}
}

// firstAt gives the index of the first segment with an ordinal from first on.
func firstAt(segments []snapshot.Segment, first uint32) int {
	i, _ := slices.BinarySearchFunc(segments, first, func(s snapshot.Segment, n uint32) int {
		return int(int64(s.Ordinal) - int64(n))
	})
	return i
}
