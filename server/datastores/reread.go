package datastores

import (
	"context"
	"time"

	"github.com/fhirlake/fhirlake/server/bulk"
)

// Reread reads the notes of a data store that were not read, or by another engine or
// dictionary, or with Whole all of them, as a job that waits for its turn. What was written since
// the last compaction is compacted first. Whether the data store reads notes by itself is of no meaning, nor is
// Erase of the request.
func (c *Compactor) Reread(ctx context.Context, id string, r Request) (*bulk.RereadResult, error) {
	asked := time.Now()
	l, err := c.set.Lake(id)
	if err != nil {
		return nil, err
	}
	if l.Delta().Stats().Entries > 0 {
		fold := r
		fold.Whole, fold.Erase = false, nil
		if _, err := c.Compact(ctx, id, fold); err != nil {
			return nil, err
		}
	}
	end, err := c.set.BeginJob(ctx, id, r.Waiting)
	if err != nil {
		return nil, err
	}
	defer end()
	res, err := c.reread(ctx, id, r, false)
	if err == nil {
		res.Seconds = time.Since(asked).Seconds()
	}
	return res, err
}

// RereadWaiting reads the notes that waited for Binaries, within a job of the data store that has
// its turn: an import that brought documents and their Binaries.
func (c *Compactor) RereadWaiting(ctx context.Context, id string) error {
	_, err := c.reread(ctx, id, Request{}, true)
	return err
}

func (c *Compactor) reread(ctx context.Context, id string, r Request, waiting bool) (*bulk.RereadResult, error) {
	l, err := c.set.Lake(id)
	if err != nil {
		return nil, err
	}
	if r.Memory == 0 {
		r.Memory = c.o.Memory
	}
	return bulk.Reread(ctx, bulk.RereadOptions{
		Lake: l, Notes: c.set.Notes(id, ReadNotes), Whole: r.Whole, Waiting: waiting,
		Memory: r.Memory, Workers: r.Workers, Monitor: r.Monitor, Now: c.o.Now,
	})
}
