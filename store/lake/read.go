package lake

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Read gives the current version of a resource. Its JSON is appended to dst and valid
// until dst is used again. The error is [ErrNotFound], a [*GoneError] of a resource
// that is deleted, or a failure.
func (l *Lake) Read(t r4.TypeID, id string, dst []byte) (Resource, error) {
	e, ok, err := l.delta.Latest(t, id, dst) // before the view: invariant 2
	if err != nil {
		return Resource{}, err
	}
	v, err := l.acquire()
	if err != nil {
		return Resource{}, err
	}
	defer v.done()
	if ok && e.Seq > v.m.DeltaSeq {
		return fromDelta(&e)
	}
	s, found, err := v.latest(l.Key(t, id))
	switch {
	case err != nil:
		return Resource{}, err
	case ok && (!found || e.Number >= s.Version):
		return fromDelta(&e)
	case !found:
		return Resource{}, ErrNotFound
	}
	return l.fromSnapshot(v, &s, t, id, dst)
}

// ReadVersion gives one version of a resource; see [Lake.Read]. A version that is a
// deletion is a [*GoneError].
func (l *Lake) ReadVersion(t r4.TypeID, id string, number uint32, dst []byte) (Resource, error) {
	e, ok, err := l.delta.ByNumber(t, id, number, dst)
	if err != nil {
		return Resource{}, err
	}
	if ok {
		return fromDelta(&e)
	}
	v, err := l.acquire()
	if err != nil {
		return Resource{}, err
	}
	defer v.done()
	all, err := v.versions(nil, l.Key(t, id))
	if err != nil {
		return Resource{}, err
	}
	for i := range all {
		if all[i].Version == number && v.m.ByOrdinal(all[i].Address.Segment) != nil {
			return l.fromSnapshot(v, &all[i], t, id, dst)
		}
	}
	return Resource{}, ErrNotFound
}

func fromDelta(e *delta.Entry) (Resource, error) {
	if e.Method == delta.Delete {
		return Resource{}, &GoneError{e.Version}
	}
	return Resource{Version: e.Version, JSON: e.JSON, Beside: e.Beside}, nil
}

func (l *Lake) fromSnapshot(v *view, s *snapshot.Entry, t r4.TypeID, id string, dst []byte) (Resource, error) {
	r := Resource{Version: version(s, t, id)}
	if s.Deleted {
		return Resource{}, &GoneError{r.Version}
	}
	if err := l.load(v, &r, s.Address, dst); err != nil {
		return Resource{}, err
	}
	return r, nil
}

// version is what the id index knows of a version. How a version came about is not
// kept in a snapshot: the first one counts as created, later ones as updates.
func version(s *snapshot.Entry, t r4.TypeID, id string) delta.Version {
	method := delta.Update
	switch {
	case s.Deleted:
		method = delta.Delete
	case s.Version == 1:
		method = delta.Create
	}
	return delta.Version{
		Type: t, ID: id, Number: s.Version, Updated: s.Updated, Content: s.Content, Key: s.Key, Method: method,
	}
}

// load sets the text of r, and what is kept beside it, from the row at a, whose type, id and version
// must be those of r: the way there was a hash, and a table of frames that has no
// checksum.
func (l *Lake) load(v *view, r *Resource, a snapshot.Address, dst []byte) error {
	seg := v.m.ByOrdinal(a.Segment)
	if seg == nil {
		return fmt.Errorf("read row %d of segment %d: the manifest has no such segment", a.Row, a.Segment)
	}
	err := l.withLine(seg, int64(a.Row), func(line []byte) error {
		h, err := snapshot.ReadHead(line, true)
		if err == nil && (string(h.ResourceType) != r.Type.String() || string(h.ID) != r.ID || string(h.VersionID) != strconv.FormatUint(uint64(r.Number), 10)) {
			err = fmt.Errorf("another resource than the id index says: %w", snapshot.ErrLine)
		}
		if err != nil {
			return rowError(seg, int64(a.Row), err)
		}
		r.JSON = append(dst, line...)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range seg.Annotations {
		x := &seg.Annotations[i]
		if x.IsTable() {
			continue
		}
		if err := l.loadBeside(r, seg, x, a.Row); err != nil {
			return err
		}
	}
	return nil
}

// loadBeside adds to r what a file of annotations has of a row.
func (l *Lake) loadBeside(r *Resource, seg *snapshot.Segment, x *snapshot.Annotation, row uint32) error {
	it, err := l.files.openAnnotations(seg, x)
	if err != nil {
		return err
	}
	defer l.files.annotations.unpin(it)
	d, err := l.frames.reader()
	if err != nil {
		return err
	}
	defer func() { l.frames.readers <- d }()
	data, ok, err := d.Annotation(it.value, row)
	if ok {
		r.Beside = append(r.Beside, beside.Value{Kind: x.Kind, Data: bytes.Clone(data)})
	}
	return err
}

// withLine calls f with the line of a row, which is valid during the call.
func (l *Lake) withLine(seg *snapshot.Segment, row int64, f func(line []byte) error) error {
	file, err := l.files.open(seg)
	if err != nil {
		return err
	}
	defer l.files.resources.unpin(file)
	i, first, err := file.value.FrameOf(row)
	if err != nil {
		return err
	}
	fr, err := l.frames.open(seg.Ordinal, file.value, i)
	if err != nil {
		return err
	}
	defer l.frames.unpin(fr)
	line, ok := fr.value.line(row - first)
	if !ok {
		return fmt.Errorf("read %s: frame %d ends before row %d", seg.Resources.Path, i, row)
	}
	return f(line)
}
