package datastores

import (
	"context"
	"time"

	"github.com/fhirlake/fhirlake/server/bulk"
)

// Reindex makes the search index of what has none in a data store, or with Whole of all of it,
// as a job that waits for its turn. Erase of the request is of no meaning here.
func (c *Compactor) Reindex(ctx context.Context, id string, r Request) (*bulk.ReindexResult, error) {
	asked := time.Now()
	end, err := c.set.BeginJob(ctx, id, r.Waiting)
	if err != nil {
		return nil, err
	}
	defer end()
	l, err := c.set.Lake(id)
	if err != nil {
		return nil, err
	}
	if r.Memory == 0 {
		r.Memory = c.o.Memory
	}
	res, err := bulk.Reindex(ctx, bulk.ReindexOptions{
		Lake: l, Whole: r.Whole, Memory: r.Memory, Workers: r.Workers, Monitor: r.Monitor, Now: c.o.Now,
	})
	if err == nil {
		res.Seconds = time.Since(asked).Seconds()
	}
	return res, err
}
