package parquet

import (
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// output is what the files of one sink have in common.
type output struct {
	files    []*snapshot.FileWriter // all so far
	closing  errgroup.Group         // of finished files
	failed   atomic.Int64           // decimals without a twin
	encoders encoders
}

// commit waits until all files are synced.
func (o *output) commit() error {
	if err := o.closing.Wait(); err != nil {
		return err
	}
	o.files, o.encoders.idle = nil, nil // other sinks' Commit may take the memory
	return nil
}

// close removes the files, unless commit has kept them.
func (o *output) close() {
	_ = o.closing.Wait() // commit, if there was one, has reported it
	for _, w := range o.files {
		w.Abort()
	}
	o.files = nil
}

// file is a file that is being written. It belongs to the collector until it is
// finished.
type file struct {
	o      *output
	layout *columnar.Layout
	leaves []*columnar.Node // in schema order
	create func() (*snapshot.FileWriter, error)
	w      *snapshot.FileWriter
	groups []group
}

func (f *file) append(body []byte) (offset int64, err error) {
	if f.w == nil {
		if f.w, err = f.create(); err != nil {
			return 0, err
		}
		f.o.files = append(f.o.files, f.w)
		if _, err = f.w.Write([]byte(magic)); err != nil {
			return 0, err
		}
	}
	offset = f.w.Offset()
	_, err = f.w.Write(body)
	return offset, err
}

// finish writes the footer and leaves syncing to a goroutine that commit waits
// for, so that the disk does not hold up the collector.
func (f *file) finish() error {
	if _, err := f.append(appendFooter(nil, f.layout, f.leaves, f.groups)); err != nil {
		return err
	}
	f.o.closing.Go(f.w.Close)
	return nil
}
