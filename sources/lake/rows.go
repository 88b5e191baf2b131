// Package lake reads what a data store has, for the pipeline: the rows of segments and
// the commits of the delta, as the records of a compaction. Which rows those are,
// store/compact says.
//
// Read [Source] first.
package lake

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// row is one version with its text. What it holds is valid until the cursor that gave it
// goes on.
type row struct {
	pipeline.Record        // without a place in a batch
	line            []byte // the resource, without a line end
	beside          beside.Values
}

// errOrder says that a row is older than the one before it.
var errOrder = errors.New("the rows are not in the order of time")

// A cursor gives the rows of one resource type, in the order of time.
type cursor interface {
	// next sets row to the next one; false at the end.
	next(r *row) (bool, error)
	close() error
}

// segmentRows is the cursor over a segment.
type segmentRows struct {
	rows   *compact.Rows
	typ    r4.TypeID
	key    func(t r4.TypeID, id string) snapshot.Key
	file   *snapshot.Resources
	beside besideFiles
	decode *snapshot.FrameReader // shared with other cursors
	reader besideReader

	frame int    // the next one
	text  []byte // of the frame before, and buffer
	rest  []byte // lines of text that are still to come
	at    int64  // row of the first of them
	time  int64  // of the row before
}

func openSegment(dir string, rows *compact.Rows, typ r4.TypeID, key func(r4.TypeID, string) snapshot.Key, decode *snapshot.FrameReader) (*segmentRows, error) {
	c := &segmentRows{rows: rows, typ: typ, key: key, decode: decode}
	var err error
	if c.file, err = snapshot.OpenResources(dir, rows.Segment.Resources.Path); err != nil {
		return nil, err
	}
	if c.beside, err = openBeside(dir, rows.Segment); err != nil {
		return nil, firstOf(err, c.file.Close())
	}
	return c, nil
}

func (c *segmentRows) next(r *row) (bool, error) {
	for {
		if len(c.rest) == 0 {
			err := c.checkFrame()
			if err != nil || c.frame == c.file.Frames() {
				return false, err
			}
			if c.text, err = c.decode.Append(c.text[:0], c.file, c.frame); err != nil {
				return false, err
			}
			c.frame++
			c.rest = c.text
			continue
		}
		line, rest, _ := bytes.Cut(c.rest, []byte{'\n'})
		at := uint32(c.at)
		c.rest = rest
		c.at++
		if c.rows.Alive.Contains(at) {
			return true, c.read(r, at, line)
		}
	}
}

// checkFrame tells whether the frames so far have as many lines as rows: else those that
// follow would be other rows.
func (c *segmentRows) checkFrame() error {
	seg := c.rows.Segment
	if want := c.file.FirstRow(c.frame); c.at != want {
		return fmt.Errorf("read %s: frame %d ends before row %d, its table says %d", seg.Resources.Path, c.frame-1, c.at, want)
	}
	if c.frame == c.file.Frames() && c.at != seg.Rows {
		return fmt.Errorf("read %s: it has %d rows, the manifest says %d", seg.Resources.Path, c.at, seg.Rows)
	}
	return nil
}

// read makes a row of a line.
func (c *segmentRows) read(r *row, at uint32, line []byte) error {
	seg := c.rows.Segment
	h, err := snapshot.ReadHead(line, true)
	if err == nil && string(h.ResourceType) != seg.ResourceType {
		err = snapshot.ErrLine
	}
	*r = row{line: line}
	if err == nil {
		r.Version, err = h.Version()
	}
	if err == nil {
		r.Updated, err = h.Updated()
	}
	if err == nil && r.Updated < c.time {
		err = errOrder
	}
	if err != nil {
		return fmt.Errorf("read %s: row %d: %w", seg.Resources.Path, at, err)
	}
	c.time = r.Updated
	r.Key = c.key(c.typ, string(h.ID))
	r.Deleted = c.rows.Deleted.Contains(at)
	r.Replaces, r.BaseSegment, r.BaseRow = true, seg.Ordinal, at
	r.beside, err = c.reader.read(c.beside, at)
	return err
}

func (c *segmentRows) close() error {
	c.reader.close()
	return firstOf(c.file.Close(), c.beside.close())
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// commits is the cursor over the delta.
type commits struct {
	pull func() (*delta.Entry, error, bool)
	stop func()
	skip func(e *delta.Entry) bool
	text []byte // of a deletion
	time int64  // of the commit before
}

func (c *commits) next(r *row) (bool, error) {
	for {
		e, err, ok := c.pull()
		if err != nil || !ok {
			return false, err
		}
		if c.skip(e) {
			continue
		}
		if e.Updated < c.time {
			return false, fmt.Errorf("read delta store: commit %d: %w", e.Seq, errOrder)
		}
		c.time = e.Updated
		*r = row{line: e.JSON, beside: e.Beside}
		r.Key, r.Content, r.Version, r.Updated = e.Key, e.Content, e.Number, e.Updated
		if e.Method == delta.Delete {
			r.Deleted = true
			c.text = appendDeletion(c.text[:0], e)
			r.line = c.text
		}
		return true, nil
	}
}

// appendDeletion writes the row of a deletion (docs/formats/ids.md).
func appendDeletion(dst []byte, e *delta.Entry) []byte {
	return fmt.Appendf(dst, `{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"}}`,
		e.Type, e.ID, e.Number, fhir.FormatInstant(time.UnixMicro(e.Updated)))
}

func (c *commits) close() error {
	c.stop()
	return nil
}
