package lake

import (
	"bytes"
	"runtime"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// files keeps the files of segments open.
type files struct {
	snap        *snapshot.Store
	resources   *cache[uint32, *snapshot.Resources]
	annotations *cache[annotationKey, *snapshot.Annotations]
}

// annotationKey names the annotations of one kind of a segment: those by this path, since
// others may take their place.
type annotationKey struct {
	segment uint32
	path    string
}

func newFiles(s *snapshot.Store, limit int) *files {
	half := int64(max(limit/2, 1))
	return &files{
		snap:        s,
		resources:   newCache[uint32](half, func(r *snapshot.Resources) { r.Close() }),
		annotations: newCache[annotationKey](half, func(a *snapshot.Annotations) { a.Close() }),
	}
}

// open gives the resources of a segment, pinned.
func (f *files) open(seg *snapshot.Segment) (*item[uint32, *snapshot.Resources], error) {
	it, mine, err := f.resources.pin(seg.Ordinal)
	if mine {
		r, e := snapshot.OpenResources(f.snap.Dir(), seg.Resources.Path)
		err = f.resources.fill(it, r, 1, e)
	}
	return it, err
}

// openAnnotations gives annotations of a segment, pinned.
func (f *files) openAnnotations(seg *snapshot.Segment, a *snapshot.Annotation) (*item[annotationKey, *snapshot.Annotations], error) {
	it, mine, err := f.annotations.pin(annotationKey{seg.Ordinal, a.File.Path})
	if mine {
		x, e := snapshot.OpenAnnotations(f.snap.Dir(), a.File.Path)
		err = f.annotations.fill(it, x, 1, e)
	}
	return it, err
}

// keep closes the files of segments and annotations that are not in m.
func (f *files) keep(m *snapshot.Manifest) {
	f.resources.keep(func(ordinal uint32) bool { return m.ByOrdinal(ordinal) != nil })
	f.annotations.keep(func(k annotationKey) bool {
		seg := m.ByOrdinal(k.segment)
		return seg != nil && slices.ContainsFunc(seg.Annotations, func(a snapshot.Annotation) bool { return a.File.Path == k.path })
	})
}

func (f *files) close() { f.keep(&snapshot.Manifest{}) }

// frames keeps decoded frames. It is divided, so that readers on many processors do
// not wait for one lock.
type frames struct {
	shards  [16]*cache[frameKey, *frame]
	readers chan *snapshot.FrameReader // as many as may decode at once
	free    sync.Pool                  // of *frame
}

type frameKey struct{ segment, frame uint32 }

// frame is the text of one frame and where its lines end.
type frame struct {
	text []byte
	ends []uint32
}

// keepFrame is the largest text whose memory is used again: a line of 170 MB is not.
const keepFrame = 1 << 20

func newFrames(limit int64) *frames {
	f := &frames{readers: make(chan *snapshot.FrameReader, runtime.GOMAXPROCS(0))}
	for range cap(f.readers) {
		f.readers <- nil // made at first use
	}
	for i := range f.shards {
		f.shards[i] = newCache[frameKey](limit/int64(len(f.shards)), func(fr *frame) {
			if cap(fr.text) <= keepFrame {
				f.free.Put(fr)
			}
		})
	}
	return f
}

func (f *frames) shard(k frameKey) *cache[frameKey, *frame] {
	return f.shards[(k.segment*31+k.frame)%uint32(len(f.shards))]
}

// open gives frame i of a segment, pinned.
func (f *frames) open(ordinal uint32, r *snapshot.Resources, i int) (*item[frameKey, *frame], error) {
	k := frameKey{ordinal, uint32(i)}
	c := f.shard(k)
	it, mine, err := c.pin(k)
	if mine {
		fr, e := f.decode(r, i)
		cost := int64(0)
		if e == nil {
			cost = int64(cap(fr.text) + 4*cap(fr.ends))
		}
		err = c.fill(it, fr, cost, e)
	}
	return it, err
}

func (f *frames) decode(r *snapshot.Resources, i int) (*frame, error) {
	fr, _ := f.free.Get().(*frame)
	if fr == nil {
		fr = new(frame)
	}
	d, err := f.reader()
	if err != nil {
		return nil, err
	}
	defer func() { f.readers <- d }()
	if n := r.TextSize(i); cap(fr.text) < n {
		fr.text = make([]byte, 0, n)
	}
	if fr.text, err = d.Append(fr.text[:0], r, i); err != nil {
		return nil, err
	}
	fr.ends = fr.ends[:0]
	for at := 0; at < len(fr.text); {
		n := bytes.IndexByte(fr.text[at:], '\n')
		if n < 0 {
			n = len(fr.text) - at
		}
		at += n
		fr.ends = append(fr.ends, uint32(at))
		at++
	}
	return fr, nil
}

// reader waits for a decoder, which the caller gives back to f.readers.
func (f *frames) reader() (*snapshot.FrameReader, error) {
	d := <-f.readers
	if d != nil {
		return d, nil
	}
	d, err := snapshot.NewFrameReader()
	if err != nil {
		f.readers <- nil
	}
	return d, err
}

// line gives line i of the frame.
func (fr *frame) line(i int64) ([]byte, bool) {
	if i >= int64(len(fr.ends)) {
		return nil, false
	}
	start := uint32(0)
	if i > 0 {
		start = fr.ends[i-1] + 1
	}
	return fr.text[start:fr.ends[i]], true
}

func (f *frames) unpin(it *item[frameKey, *frame]) { f.shard(it.key).unpin(it) }

func (f *frames) keep(live func(uint32) bool) {
	for _, c := range f.shards {
		c.keep(func(k frameKey) bool { return live(k.segment) })
	}
}

func (f *frames) close() {
	f.keep(func(uint32) bool { return false })
	for range cap(f.readers) {
		if d := <-f.readers; d != nil {
			d.Close()
		}
		f.readers <- nil
	}
}
