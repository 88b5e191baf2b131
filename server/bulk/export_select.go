package bulk

import (
	"context"
	"errors"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// A Selection is what searches have found in one state. Rows gives what matches of a segment,
// Changed tells it of what is in the delta; among both may be what is not current.
type Selection interface {
	Rows(*snapshot.Segment) (*roaring.Bitmap, error)
	Changed(*lake.Change) bool
}

// view fixes the state of the lake, and finds what is wanted of it.
func (e *export) view(ctx context.Context) (*lake.View, error) {
	view, err := e.Lake.View()
	if err != nil || e.Select == nil {
		return view, err
	}
	found, err := e.Select(ctx, view)
	if err != nil {
		return nil, errors.Join(err, view.Close())
	}
	e.from.Rows, e.from.Changed = found.Rows, found.Changed
	return view, nil
}
