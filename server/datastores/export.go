package datastores

import (
	"context"
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/bulkdata"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Select finds in a state of a data store what the filters of an export are about.
func (f *FHIR) Select(ctx context.Context, id string, view *lake.View, r *bulkdata.Request) (found bulk.Selection, err error) {
	if _, err := f.DataStore(id); err != nil {
		return nil, fmt.Errorf("data store %s: %w", id, err)
	}
	f.mu.RLock()
	index := f.served[id].index
	f.mu.RUnlock()
	if index == nil { // it was deleted at this moment
		return nil, lake.ErrClosed
	}
	err = index.use(ctx, func(ctx context.Context, x *search.Index) error {
		known, err := index.parameters.Now(ctx)
		if err != nil {
			return err
		}
		p := capability.Searches
		p.Parameters = known
		queries, err := r.Queries(p.Parse, time.Now())
		if err != nil {
			return err
		}
		found, err = x.Select(ctx, view, queries)
		return err
	})
	return found, err
}
