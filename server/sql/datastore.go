package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/store/lake"
)

// Options are those of a [DataStore]; TempDir is required.
type Options struct {
	// TempDir makes a folder for temporary files, which remove takes away. Should the
	// process die, somebody else does.
	TempDir func() (dir string, remove func(), err error)
	Memory  int64         // bytes of a DuckDB, which the queries of one state share; 0: 256 MiB
	Threads int           // of a DuckDB; 0: as many as there are processors
	Workers int           // that shred; 0: as many as there are processors
	Idle    time.Duration // after which what was shredded goes when nobody asks; 0: a minute
}

func (o Options) withDefaults() Options {
	if o.Memory <= 0 {
		o.Memory = 256 << 20
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	return o
}

// DataStore is one data store as SQL sees it. It is safe for concurrent use.
type DataStore struct {
	o    Options
	lake *lake.Lake

	// Building goes on when those who wait for it have left: the next one needs it.
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	current  *image // newest; nil before the first query and after an idle time
	building *building
	uses     int // states that are open
	idle     *time.Timer
	temp     *temp // nil until it is needed
	closed   bool
}

// New makes SQL's side of a lake, which must stay open until Close, or, when nobody asks
// for another state, until the last one was given. It opens and writes nothing.
func New(l *lake.Lake, o Options) *DataStore {
	d := &DataStore{o: o.withDefaults(), lake: l}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// building is an image on its way.
type building struct {
	done chan struct{} // closed at the end
	err  error         // valid then
}

// State fixes what a query sees: all that was committed before the call (invariant 1).
// ctx ends the wait for what must be shredded. The caller closes the state.
func (d *DataStore) State(ctx context.Context) (*State, error) {
	asked := false
	var seq uint64 // last commit when the state was asked for
	for {
		w, err := d.lake.View()
		if err != nil {
			return nil, err
		}
		if !asked {
			asked, seq = true, w.Seq()
		}
		st, b, err := d.use(w, seq)
		if err := errors.Join(err, w.Close()); err != nil {
			if st != nil {
				err = errors.Join(err, st.Close())
			}
			return nil, err
		}
		if st != nil {
			return st, nil
		}
		select {
		case <-b.done:
			if b.err != nil {
				return nil, b.err
			}
			// It may have been begun before seq.
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// use gives a state of the current image when that is of the manifest of w and has all
// commits up to seq, else the building of a newer image.
func (d *DataStore) use(w *lake.View, seq uint64) (*State, *building, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, nil, ErrClosed
	}
	if g := d.current; g != nil && g.manifest.Number == w.Manifest().Number && g.seq >= seq {
		g.users++
		d.uses++
		if d.idle != nil {
			d.idle.Stop()
		}
		return &State{d: d, image: g, release: w.Hold()}, nil, nil
	}
	if d.building == nil {
		b := &building{done: make(chan struct{})}
		d.building = b
		if d.current != nil {
			d.current.users++
		}
		base := d.current
		d.tasks.Go(func() { d.build(b, base) })
	}
	return nil, d.building, nil
}

// build makes the image that follows base and puts it in its place.
func (d *DataStore) build(b *building, base *image) {
	g, err := d.next(base)
	if d.ctx.Err() != nil && err != nil {
		err = ErrClosed
	}
	d.mu.Lock()
	var unused []*image
	if base != nil {
		unused = append(unused, base)
	}
	if err == nil {
		if d.current != nil {
			unused = append(unused, d.current)
		}
		d.current = g // which counts as one user
	}
	d.building = nil
	clean := d.drop(unused...)
	d.rest()
	d.mu.Unlock()
	b.err = err
	close(b.done)
	clean() // closing a DuckDB takes some ms: nobody waits for it
	d.removeTemp()
}

// next makes the image of now. Base, when there is one, has a user for its time.
func (d *DataStore) next(base *image) (*image, error) {
	w, err := d.lake.View()
	if err != nil {
		return nil, err
	}
	g, err := d.nextOf(base, w)
	if err := errors.Join(err, w.Close()); err != nil {
		if g != nil {
			d.mu.Lock()
			clean := d.drop(g)
			d.mu.Unlock()
			clean()
		}
		return nil, err
	}
	return g, nil
}

// drop takes one user from images. The func that it gives is called without the lock: it
// closes and removes what has none any more.
func (d *DataStore) drop(images ...*image) (clean func()) {
	var dirs []string
	var unused []*image
	for _, g := range images {
		if g.users--; g.users > 0 {
			continue
		}
		unused = append(unused, g)
		for _, l := range g.layers {
			if l.part.images--; l.part.images == 0 {
				dirs = append(dirs, l.part.dir)
			}
		}
	}
	return func() {
		for _, g := range unused {
			g.close()
		}
		for _, dir := range dirs {
			os.RemoveAll(dir) // what stays is swept with the folder around it
		}
	}
}

// end ends a state.
func (d *DataStore) end(g *image) {
	d.mu.Lock()
	d.uses--
	clean, closed := d.drop(g), d.closed
	d.rest()
	d.mu.Unlock()
	clean()
	if closed {
		d.expire() // which Close has left to the last state
	}
}

// rest starts the time after which what nobody asks for goes.
func (d *DataStore) rest() {
	switch {
	case d.uses > 0 || d.building != nil || d.closed:
	case d.idle == nil:
		d.idle = time.AfterFunc(d.o.Idle, d.expire)
	default:
		d.idle.Reset(d.o.Idle)
	}
}

// expire lets go of all that was shredded, unless somebody asks for it at this moment.
func (d *DataStore) expire() {
	d.mu.Lock()
	clean := func() {}
	if d.uses == 0 && d.building == nil && d.current != nil {
		clean = d.drop(d.current)
		d.current = nil
	}
	d.mu.Unlock()
	clean()
	d.removeTemp()
}

// Close ends building and removes what was shredded, or leaves that to the states that
// are open still; with them the lake may be closed. Closing twice does nothing.
func (d *DataStore) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.tasks.Wait()
	d.mu.Lock()
	if d.idle != nil {
		d.idle.Stop()
	}
	d.mu.Unlock()
	d.expire()
	return nil
}

// temp is the folder of temporary files.
type temp struct {
	dir    string
	remove func()
	last   int // number of the last folder in it
}

// folder makes a new temporary folder.
func (d *DataStore) folder(kind string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.temp == nil {
		dir, remove, err := d.o.TempDir()
		if err != nil {
			return "", err
		}
		d.temp = &temp{dir: dir, remove: remove}
	}
	d.temp.last++
	dir := filepath.Join(d.temp.dir, kind+"-"+strconv.Itoa(d.temp.last))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make temporary folder: %w", err)
	}
	return dir, nil
}

// removeTemp removes the folder of temporary files when nobody uses it.
func (d *DataStore) removeTemp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.temp != nil && d.uses == 0 && d.building == nil && d.current == nil {
		d.temp.remove()
		d.temp = nil
	}
}
