package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

// Options of Generate. The zero value but for Patients and Out is usable.
type Options struct {
	Patients int
	Seed     uint64
	Out      string // folder; made if missing
	Workers  int    // 0 is GOMAXPROCS
	Gzip     bool   // write <Type>.ndjson.gz, as gzip members of some patients each
	// Progress is called now and then from one goroutine with what is
	// written so far. Bytes are counted before compression.
	Progress func(patients, resources, bytes int64)
}

// Stats tell what Generate wrote.
type Stats struct {
	Patients, Resources int64
	Bytes               int64            // of NDJSON, before compression
	ByType              map[string]int64 // resources
	Files               []string         // paths, in order of resource type
}

// ErrExists says that Out has files of a population already. Generate never
// replaces them.
var ErrExists = errors.New("output files exist already")

// partial ends the name of a file that is being written. Readers take files by
// their ending, so they do not see it.
const partial = ".partial"

// chunkPatients make one unit of work, of some 8 MB: large enough for a gzip
// member to compress well, small enough to bound memory.
const chunkPatients = 8

// A chunk is the output of patients from to to-1, or the shared resources.
type chunk struct {
	from, to int
	raw      [numTypes]int64 // bytes before compression
	lines    [numTypes]int64
	data     [numTypes][]byte
	done     chan error
}

// Generate writes a population into o.Out, one file per resource type. Files
// appear under their names only when all of them are whole; an error or a
// cancelled context leaves nothing behind.
func Generate(ctx context.Context, o Options) (Stats, error) {
	if o.Patients < 1 {
		return Stats{}, fmt.Errorf("generate: patients must be 1 or more, not %d", o.Patients)
	}
	if o.Out == "" {
		return Stats{}, errors.New("generate: no output folder given")
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if err := os.MkdirAll(o.Out, 0o777); err != nil {
		return Stats{}, fmt.Errorf("generate: %w", err)
	}
	for _, t := range typeNames {
		for _, end := range []string{".ndjson", ".ndjson.gz"} {
			path := filepath.Join(o.Out, t+end)
			if _, err := os.Lstat(path); err == nil {
				return Stats{}, fmt.Errorf("generate: %s: %w; choose another folder", path, ErrExists)
			}
		}
	}
	f := &files{dir: o.Out, ending: ".ndjson"}
	if o.Gzip {
		f.ending += ".gz"
	}
	stats, err := produce(ctx, o, f)
	if err == nil {
		stats.Files, err = f.commit()
	}
	if err != nil {
		f.discard()
		return Stats{}, fmt.Errorf("generate: %w", err)
	}
	return stats, nil
}

// produce runs the workers and writes their chunks in order. The one who hands
// out chunks puts each both in line for the workers and in line for the
// writer, so the writer waits for chunks in the order of patients.
func produce(ctx context.Context, o Options, f *files) (Stats, error) {
	g, ctx := errgroup.WithContext(ctx)
	// Twice the workers: each has one at hand and one that waits to be
	// written. This bounds memory, too.
	inFlight := 2 * o.Workers
	work := make(chan *chunk, inFlight)
	ordered := make(chan *chunk, inFlight)
	free := make(chan *chunk, inFlight+1)
	for range inFlight {
		free <- &chunk{done: make(chan error, 1)}
	}
	w := newWorld(o.Seed)

	g.Go(func() error {
		defer close(work)
		defer close(ordered)
		for from := -1; from < o.Patients; {
			var k *chunk
			select {
			case k = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			k.from, k.to = from, min(from+chunkPatients, o.Patients)
			if from < 0 {
				k.to = 0 // the shared resources alone
			}
			from = k.to
			work <- k    // never blocks: there are no more chunks than places
			ordered <- k // likewise
		}
		return nil
	})
	for range o.Workers {
		g.Go(func() error {
			c := &chart{w: w}
			var z *gzip.Writer
			if o.Gzip {
				z = gzip.NewWriter(nil)
			}
			for k := range work {
				if ctx.Err() == nil {
					k.fill(c, z)
				}
				k.done <- ctx.Err()
			}
			return nil
		})
	}

	stats := Stats{Patients: int64(o.Patients), ByType: make(map[string]int64, numTypes)}
	g.Go(func() error {
		for k := range ordered {
			select {
			case err := <-k.done:
				if err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			for t := range k.data {
				if err := f.write(resType(t), k.data[t]); err != nil {
					return err
				}
				stats.Bytes += k.raw[t]
				stats.Resources += k.lines[t]
				if k.lines[t] > 0 {
					stats.ByType[typeNames[t]] += k.lines[t]
				}
			}
			if o.Progress != nil {
				o.Progress(int64(max(k.to, 0)), stats.Resources, stats.Bytes)
			}
			free <- k // never blocks, as above
		}
		return nil
	})
	err := g.Wait()
	return stats, err
}

// fill makes the chunk's lines. Without compression the chunk and the chart
// swap buffers instead of copying.
func (k *chunk) fill(c *chart, z *gzip.Writer) {
	c.reset()
	if k.from < 0 {
		c.w.write(c)
	}
	for n := max(k.from, 0); n < k.to; n++ {
		c.patient(n)
	}
	for t := range c.docs {
		d := &c.docs[t]
		k.raw[t], k.lines[t] = int64(len(d.b)), int64(d.lines)
		if z == nil {
			k.data[t], d.b = d.b, k.data[t][:0]
			continue
		}
		k.data[t] = k.data[t][:0]
		if len(d.b) > 0 {
			buf := bytes.NewBuffer(k.data[t])
			z.Reset(buf)
			// A bytes.Buffer does not fail.
			_, _ = z.Write(d.b)
			_ = z.Close()
			k.data[t] = buf.Bytes()
		}
	}
}

// files holds one open file per resource type that has occurred.
type files struct {
	dir, ending string
	open        [numTypes]*os.File
}

func (f *files) path(t resType) string {
	return filepath.Join(f.dir, typeNames[t]+f.ending)
}

func (f *files) write(t resType, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if f.open[t] == nil {
		w, err := os.Create(f.path(t) + partial)
		if err != nil {
			return err
		}
		f.open[t] = w
	}
	_, err := f.open[t].Write(b)
	return err
}

// commit closes all files and then gives them their names.
func (f *files) commit() ([]string, error) {
	for _, w := range f.open {
		if w == nil {
			continue
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	var paths []string
	for t, w := range f.open {
		if w == nil {
			continue
		}
		path := f.path(resType(t))
		if err := os.Rename(path+partial, path); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// discard removes what was begun.
func (f *files) discard() {
	for t, w := range f.open {
		if w != nil {
			_ = w.Close() // closed twice after a failed commit; the file goes anyway
			_ = os.Remove(f.path(resType(t)) + partial)
		}
	}
}
