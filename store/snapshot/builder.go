package snapshot

import (
	"bufio"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// FileKind is one of the files of a segment, as the suffix of its name.
type FileKind string

// The files of a segment that a builder writes.
const (
	ColumnsFile   FileKind = ".parquet"
	ResourcesFile FileKind = ".ndjson.zst"
)

// A Builder makes the segments of one new layer. It belongs to one goroutine.
// Nothing that it writes is visible until the layer is published; Abort, or
// simply not publishing, leaves files that the next owner of the root sweeps.
type Builder struct {
	dir   string        // of the data store
	newID func() string // UUIDs of segments
	next  uint32
	open  map[string]*SegmentBuilder
	all   []*SegmentBuilder

	temporary bool
}

// NewBuilder makes a builder that adds to the state of base. newID gives the
// UUIDs of new segments, in the order in which the input makes them.
func NewBuilder(dir string, base *Manifest, newID func() string) *Builder {
	return &Builder{dir: dir, newID: newID, next: base.NextSegment, open: map[string]*SegmentBuilder{}}
}

// Amend makes a builder of annotations of one segment that a data store has. It is not
// published: what it makes goes into [PublishOptions.Annotate].
func Amend(dir string, old *Segment) *Builder {
	b := &Builder{dir: dir, next: old.Ordinal + 1, open: map[string]*SegmentBuilder{}}
	s := *old
	s.Annotations = nil
	b.all = []*SegmentBuilder{{b: b, Segment: s}}
	return b
}

// NewTemporary makes a builder of segments that nobody publishes and that end with the
// process at the latest: their files are not synced.
func NewTemporary(dir string) *Builder {
	n := 0
	b := NewBuilder(dir, &Manifest{}, func() string { n++; return strconv.Itoa(n) })
	b.temporary = true
	return b
}

// Open gives the segment that takes the next rows of a resource type.
func (b *Builder) Open(resourceType string) *SegmentBuilder {
	s := b.open[resourceType]
	if s == nil {
		s = &SegmentBuilder{b: b, Segment: Segment{Ordinal: b.next, ID: b.newID(), ResourceType: resourceType}}
		b.next++
		b.open[resourceType] = s
		b.all = append(b.all, s)
	}
	return s
}

// Roll ends the open segment of a type: the next Open makes a new one. Files of
// the old one may still be written.
func (b *Builder) Roll(resourceType string) { delete(b.open, resourceType) }

// Segments gives all segments so far, in the order of their ordinals.
func (b *Builder) Segments() []*SegmentBuilder { return b.all }

// ByOrdinal gives a segment of this builder.
func (b *Builder) ByOrdinal(n uint32) *SegmentBuilder { return b.all[n-b.all[0].Ordinal] }

// SegmentBuilder is a segment that is being written. The sink that decides
// where segments end (the columnar one) adds to Rows; the others read it.
type SegmentBuilder struct {
	Segment
	b *Builder
}

// Create opens one of the segment's files for writing; its finished size and
// checksum go into the segment at Close.
func (s *SegmentBuilder) Create(kind FileKind) (*FileWriter, error) {
	rel := path.Join("files", s.ResourceType, s.ID+string(kind))
	into := &s.Columns
	if kind == ResourcesFile {
		into = &s.Resources
	}
	return s.create(rel, into)
}

func (s *SegmentBuilder) create(rel string, into *File) (*FileWriter, error) {
	w, err := CreateFile(s.b.dir, rel, into)
	if err == nil {
		w.temporary = s.b.temporary
	}
	return w, err
}

// FileWriter writes one new file of a data store, counting and checksumming its
// bytes. It belongs to one goroutine at a time.
type FileWriter struct {
	f    *os.File
	w    *bufio.Writer
	sum  hash.Hash64
	n    int64
	rel  string
	name string // on disk; empty after Abort
	into *File

	temporary bool // Close does not sync
}

// CreateFile makes the file at rel below dir, which must not exist, and its
// folders. At Close, into says what was written.
func CreateFile(dir, rel string, into *File) (*FileWriter, error) {
	name := filepath.Join(dir, filepath.FromSlash(rel))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("create segment file: %w", err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create segment file: %w", err)
	}
	return &FileWriter{f: f, w: bufio.NewWriterSize(f, 256<<10), sum: xxhash.New(), rel: rel, name: name, into: into}, nil
}

// Write appends bytes.
func (w *FileWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.sum.Write(p[:n])
	w.n += int64(n)
	return n, err
}

// Offset is the number of bytes written so far.
func (w *FileWriter) Offset() int64 { return w.n }

// Close flushes, syncs and closes the file, and records what it holds. A file of a
// temporary builder is not synced.
func (w *FileWriter) Close() error {
	if w.f == nil {
		return nil
	}
	err := w.w.Flush()
	if !w.temporary {
		if e := w.f.Sync(); err == nil {
			err = e
		}
	}
	if e := w.f.Close(); err == nil {
		err = e
	}
	w.f = nil
	if err != nil {
		return fmt.Errorf("write %s: %w", w.rel, err)
	}
	*w.into = File{Path: w.rel, Bytes: w.n, Checksum: fmt.Sprintf("xxh64:%016x", w.sum.Sum64())}
	return nil
}

// Abort removes the file, finished or not. No one writes any more.
func (w *FileWriter) Abort() {
	if w.f != nil {
		w.f.Close()
		w.f = nil
	}
	if w.name != "" {
		os.Remove(w.name) // a leftover does no harm: the next owner sweeps it
		w.name = ""
	}
}

// DescribeFile says what the file at rel below dir holds, which someone else wrote and
// synced.
func DescribeFile(dir, rel string) (File, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(rel)))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := xxhash.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", rel, err)
	}
	return File{Path: rel, Bytes: n, Checksum: fmt.Sprintf("xxh64:%016x", sum.Sum64())}, nil
}
