package sql

import (
	"context"
	"maps"
	"os"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// image is what SQL sees at one position. Users is under the lock of the data store, all
// else is fixed once it is made (invariant 2), but for the DuckDB.
type image struct {
	store    *snapshot.Store
	manifest *snapshot.Manifest
	seq      uint64
	hidden   bitmaps // of the manifest's segments
	layers   []layer // the oldest first
	users    int     // states, who builds on it, and the data store whose current one it is

	mu  sync.Mutex
	db  *duck.DB // nil until the first query
	dir string   // of what it spills
}

// layer is a part as an image sees it.
type layer struct {
	part   *part
	hidden bitmaps
}

// growth is how many times a part must be as large as what comes after it to be kept.
// More makes parts fewer and has resources shredded more often.
const growth = 4

// keep tells how many layers can stay as they are below commits up to seq. The others
// are too small to be worth files of their own, or mostly hidden.
func (g *image) keep(seq uint64) int {
	kept, after := len(g.layers), int64(seq-g.seq)
	for i := len(g.layers) - 1; i >= 0; i-- {
		l := &g.layers[i]
		if rows := l.part.rows; rows >= growth*after && 2*l.hidden.count() <= rows {
			continue
		}
		for ; kept > i; kept-- {
			after += g.layers[kept-1].part.rows
		}
	}
	return kept
}

// nextOf makes the image of a view, from base if that helps.
func (d *DataStore) nextOf(base *image, w *lake.View) (*image, error) {
	g := &image{store: d.lake.Snapshot(), manifest: w.Manifest(), seq: w.Seq(), users: 1}
	from, changes := uint64(0), w.Changes
	if base != nil && base.manifest.Number == g.manifest.Number {
		from = base.seq
		kept := base.keep(g.seq)
		if kept < len(base.layers) {
			from = base.layers[kept].part.from
		}
		if from > 0 {
			for _, l := range base.layers[:kept] {
				g.layers = append(g.layers, layer{l.part, l.hidden.share()})
			}
			g.hidden = base.hidden.share()
			changes = func(f func(*lake.Change) error) error { return w.ChangesAfter(from, f) }
		}
	}
	dir, err := d.folder("part")
	if err != nil {
		return nil, err
	}
	p, err := makePart(d.ctx, dir, d.o.Workers, func(f func(*lake.Change) error) error {
		return changes(func(c *lake.Change) error {
			g.hide(c)
			return f(c)
		})
	})
	if err != nil || p.rows == 0 {
		os.RemoveAll(dir)
	}
	if err != nil {
		return nil, err
	}
	if p.rows > 0 {
		p.from = from
		g.layers = append(g.layers, layer{part: p})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range g.layers {
		l.part.images++
	}
	return g, nil
}

// hide hides the row that a change replaces: of the snapshot, and of the newest part that
// has one. Older ones are hidden already.
func (g *image) hide(c *lake.Change) {
	if c.HasRow {
		g.hidden.add(c.Replaced)
	}
	for i := len(g.layers) - 1; i >= 0; i-- {
		if at, ok := g.layers[i].part.find(c.Key); ok {
			g.layers[i].hidden.add(at)
			return
		}
	}
}

// open gives the DuckDB of the image, which closes with it.
func (g *image) open(ctx context.Context, d *DataStore) (*duck.DB, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.db != nil {
		return g.db, nil
	}
	db, dir, err := d.openDuck(context.WithoutCancel(ctx), g, d.o.Memory)
	if err != nil {
		return nil, err
	}
	g.db, g.dir = db, dir
	return db, nil
}

// close closes the DuckDB. Nobody uses the image.
func (g *image) close() {
	if g.db != nil {
		g.db.Close() // in memory: an error has nothing to say
		os.RemoveAll(g.dir)
	}
}

// openDuck opens a DuckDB with a folder for what it spills.
func (d *DataStore) openDuck(ctx context.Context, g *image, memory int64) (*duck.DB, string, error) {
	dir, err := d.folder("spill")
	if err != nil {
		return nil, "", err
	}
	o := duck.Options{
		Store: g.store, Manifest: g.manifest, Hidden: g.hidden.rows,
		MemoryLimit: memory, TempDir: dir, Threads: d.o.Threads,
	}
	for _, l := range g.layers {
		o.Added = append(o.Added, duck.Layer{Dir: l.part.dir, Segments: l.part.segments, Hidden: l.hidden.rows})
	}
	db, err := duck.Open(ctx, o)
	if err != nil {
		os.RemoveAll(dir)
		return nil, "", err
	}
	return db, dir, nil
}

// bitmaps are rows by segment ordinal. The zero value is none. Those of an image share
// bitmaps with the image before until they change (invariant 2).
type bitmaps struct {
	rows map[uint32]*roaring.Bitmap
	own  map[uint32]bool
}

func (b *bitmaps) share() bitmaps { return bitmaps{rows: maps.Clone(b.rows)} }

func (b *bitmaps) add(a snapshot.Address) {
	if b.rows == nil {
		b.rows = map[uint32]*roaring.Bitmap{}
	}
	if b.own == nil {
		b.own = map[uint32]bool{}
	}
	rows := b.rows[a.Segment]
	if !b.own[a.Segment] {
		if rows == nil {
			rows = roaring.New()
		} else {
			rows = rows.Clone()
		}
		b.rows[a.Segment], b.own[a.Segment] = rows, true
	}
	rows.Add(a.Row)
}

func (b *bitmaps) count() (n int64) {
	for _, rows := range b.rows {
		n += int64(rows.GetCardinality())
	}
	return n
}
