package parameters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Load reads the definitions of a data store: those of a manifest that the caller holds,
// and those of the delta; view is nil when there is none.
func Load(ctx context.Context, store *snapshot.Store, m *snapshot.Manifest, view *lake.View) (*Set, error) {
	texts, err := current(ctx, store, m, view)
	if err != nil {
		return nil, fmt.Errorf("read search parameters: %w", err)
	}
	return setOf(ctx, texts)
}

// current gives the current SearchParameter resources by their ids.
func current(ctx context.Context, store *snapshot.Store, m *snapshot.Manifest, view *lake.View) (map[string]string, error) {
	texts := map[string]string{}
	for i := range m.Segments {
		seg := &m.Segments[i]
		if seg.ResourceType != r4.TypeSearchParameter.String() || seg.Current == 0 {
			continue
		}
		old, err := store.Superseded(seg)
		if err == nil {
			err = lines(ctx, store.Dir(), seg, old, texts)
		}
		if err != nil {
			return nil, err
		}
	}
	if view == nil {
		return texts, nil
	}
	return texts, view.ChangesOf(r4.TypeSearchParameter, func(c *lake.Change) error {
		if delete(texts, c.ID); c.Method != delta.Delete {
			texts[c.ID] = string(c.JSON)
		}
		return nil
	})
}

// lines reads the rows of a segment that are not among old.
func lines(ctx context.Context, dir string, seg *snapshot.Segment, old *roaring.Bitmap, texts map[string]string) (err error) {
	file, err := snapshot.OpenResources(dir, seg.Resources.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Each(file, func(row int64, line []byte) error {
		if old != nil && old.Contains(uint32(row)) {
			return ctx.Err()
		}
		h, err := snapshot.ReadHead(line, false)
		if err != nil {
			return fmt.Errorf("read %s: row %d: %w", seg.Resources.Path, row, err)
		}
		texts[string(h.ID)] = string(line)
		return nil
	})
}

// setOf parses definitions.
func setOf(ctx context.Context, texts map[string]string) (*Set, error) {
	if len(texts) == 0 {
		return R4(), nil
	}
	chain, err := pipeline.NewChain(parse.New())
	if err != nil {
		return nil, err
	}
	b := pipeline.Batch{Lenient: true} // what is stored was accepted
	ids := slices.Sorted(maps.Keys(texts))
	for i, id := range ids {
		start := len(b.Data)
		b.Data = append(append(b.Data, strings.TrimSuffix(texts[id], "\n")...), '\n')
		b.Records = append(b.Records, pipeline.Record{
			Line: int64(i) + 1, Offset: int64(start), Entry: -1,
			Start: uint32(start), End: uint32(len(b.Data) - 1), Root: fhir.NoNode,
		})
	}
	b.Pad()
	b.Input = int64(len(b.Data))
	if err := chain.Process(ctx, &b); err != nil {
		return nil, err
	}
	var all []Definition
	for i, id := range ids {
		if r := &b.Records[i]; r.Status == pipeline.Pending && r.Root != fhir.NoNode {
			all = append(all, read(&b.Tree, r.Root, id))
		} else {
			all = append(all, Definition{ID: id, State: Faulty, Reason: "it cannot be read again"})
		}
	}
	return newSet(all), nil
}

// Registry has the parameters of an open data store. They are read when they are asked
// for, and again when a SearchParameter was written, or another manifest published. It is
// safe for concurrent use.
type Registry struct {
	lake    *lake.Lake
	written atomic.Uint64 // how often a SearchParameter was

	now     atomic.Pointer[known]
	loading sync.Mutex
}

// known is what was read.
type known struct {
	offered *Offered
	texts   map[string]string
	number  int64  // of the manifest
	written uint64 // before it was read
}

// NewRegistry makes the registry of a lake.
func NewRegistry(l *lake.Lake) *Registry { return &Registry{lake: l} }

// Written is called after each commit with a write of a SearchParameter.
func (r *Registry) Written() { r.written.Add(1) }

// Now gives the parameters as they are after all commits that [Registry.Written] was called
// for. The set is the same one until a definition changes.
func (r *Registry) Now(ctx context.Context) (*Offered, error) {
	if k := r.fresh(); k != nil {
		return k.offered, nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if k := r.fresh(); k != nil {
		return k.offered, nil
	}
	k := &known{written: r.written.Load()}
	view, err := r.lake.View()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	m := view.Manifest()
	k.number = m.Number
	if k.texts, err = current(ctx, r.lake.Snapshot(), m, view); err != nil {
		return nil, fmt.Errorf("read search parameters: %w", err)
	}
	var set *Set
	if old := r.now.Load(); old != nil && maps.Equal(old.texts, k.texts) {
		set = old.offered.Set
	} else if set, err = setOf(ctx, k.texts); err != nil {
		return nil, err
	}
	k.offered = set.In(m)
	r.now.Store(k)
	return k.offered, nil
}

func (r *Registry) fresh() *known {
	written, number := r.written.Load(), r.lake.Shown()
	if k := r.now.Load(); k != nil && k.written == written && k.number == number {
		return k
	}
	return nil
}
