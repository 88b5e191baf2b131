package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Traces gives the ordinals of the segments of a resource type that have a row of a
// resource which is not current. Such a row may be no version, and then no id index leads
// to it: it lost against another one of its import, or its version was let go. So it
// reads all frames that have a superseded row.
func Traces(ctx context.Context, s *snapshot.Store, m *snapshot.Manifest, resourceType string, of func(id string) bool) (ordinals []uint32, err error) {
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for i := range m.Segments {
		seg := &m.Segments[i]
		if seg.ResourceType != resourceType {
			continue
		}
		old, err := s.Superseded(seg)
		if err != nil {
			return nil, err
		}
		if old == nil {
			continue
		}
		found, err := hasTrace(ctx, d, s.Dir(), seg, old, of)
		if err != nil {
			return nil, err
		}
		if found {
			ordinals = append(ordinals, seg.Ordinal)
		}
	}
	return ordinals, nil
}

func hasTrace(ctx context.Context, d *snapshot.FrameReader, dir string, seg *snapshot.Segment, old *roaring.Bitmap, of func(id string) bool) (found bool, err error) {
	file, err := snapshot.OpenResources(dir, seg.Resources.Path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for it := old.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		row := it.Next()
		line, err := d.Line(file, int64(row))
		if err != nil {
			return false, err
		}
		h, err := snapshot.ReadHead(line, false)
		if err != nil {
			return false, fmt.Errorf("read %s: row %d: %w", seg.Resources.Path, row, err)
		}
		if of(string(h.ID)) {
			return true, nil
		}
	}
	return false, nil
}
