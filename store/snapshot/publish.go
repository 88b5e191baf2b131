package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/disk"
)

// PublishOptions says what comes with the segments of a builder.
type PublishOptions struct {
	JobID string
	Now   time.Time
	// IDs is the id index of the new layer, written and closed; Entries are its
	// entries. An empty IDs.Path adds no layer.
	IDs     File
	Entries int64
	// Corrections, when its path is not empty, is a second layer over the first, of
	// CorrectionEntries: what an import took back of it (docs/decisions/0018).
	Corrections       File
	CorrectionEntries int64
	// DeltaSeq and FoldedSeq are the manifest's fields of these names; they never fall.
	DeltaSeq, FoldedSeq uint64
	// Superseded has, by segment ordinal, the rows that are no longer current,
	// in old segments and in the builder's. They add to what a segment has.
	Superseded map[uint32]*roaring.Bitmap
	// DropLayers are the numbers of layers, and DropSegments the ordinals of segments, that
	// the new ones stand for (compaction). The layers are the newest ones, all of a number.
	DropLayers   []int64
	DropSegments []uint32
	// Annotate has, by the ordinals of old segments, their annotations of the kinds in
	// Annotated, in the place of those that they had of them. The others stay.
	Annotate  map[uint32][]Annotation
	Annotated []AnnotationKind
	// Base, when not 0, is the number that the current manifest must have.
	Base int64
	// Search are new search indexes of the segments that they name: the builder's, or
	// old ones. DropSearch are paths of indexes that leave the manifest.
	Search     []SearchIndex
	DropSearch []string
	// KeepVersions keeps segments without a current row, for history and vread.
	// Without it they leave the manifest, and a sweep removes them.
	KeepVersions bool
}

// ErrConflict says that something else was published since the builder's base
// was read: the job must be run again.
var ErrConflict = errors.New("the data store was published to in the meantime")

// Publish makes the builder's segments, the id index and the superseded rows
// visible at once, durably (invariants 1 and 2). All files must be closed. b may
// be nil. Segments without rows are left out; their files, should there be any,
// are leftovers. After an error the state may be the old or the new one, never
// another; read it with Current.
//
// The caller owns the root. It decides by itself not to publish a job that
// changed nothing.
func (s *Store) Publish(b *Builder, o PublishOptions) (*Manifest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, release, err := s.Current()
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	defer release()
	m, err := s.next(old, b, &o)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	if err := s.publish(old, m, &o); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return m, nil
}

// next makes the manifest of the new state, without the bitmaps' files.
func (s *Store) next(old *Manifest, b *Builder, o *PublishOptions) (*Manifest, error) {
	m := &Manifest{
		Format: ManifestFormat, Number: old.Number + 1, CreatedAt: o.Now.UTC(), JobID: o.JobID,
		NextSegment: old.NextSegment, Segments: []Segment{}, Layers: []Layer{},
	}
	if o.Base != 0 && o.Base != old.Number {
		return nil, ErrConflict
	}
	for _, seg := range old.Segments {
		if !slices.Contains(o.DropSegments, seg.Ordinal) {
			m.Segments = append(m.Segments, o.annotate(seg))
		}
	}
	first := old.NextSegment
	if b != nil {
		for _, sb := range b.all {
			if sb.Ordinal < old.NextSegment {
				return nil, fmt.Errorf("segment %d: %w", sb.Ordinal, ErrConflict)
			}
			if sb.Rows > 0 {
				sb.Current = sb.Rows
				m.Segments = append(m.Segments, sb.Segment)
			}
		}
		m.NextSegment = max(m.NextSegment, b.next)
	}
	for _, l := range old.Layers {
		if slices.Contains(o.DropLayers, l.Number) {
			first = min(first, l.FirstSegment)
		} else {
			m.Layers = append(m.Layers, l)
		}
	}
	if o.IDs.Path != "" {
		m.Layers = append(m.Layers, Layer{Number: m.Number, Entries: o.Entries, IDs: o.IDs, FirstSegment: first})
	}
	if o.Corrections.Path != "" {
		m.Layers = append(m.Layers, Layer{Number: m.Number, Entries: o.CorrectionEntries, IDs: o.Corrections, FirstSegment: first})
	}
	m.DeltaSeq, m.FoldedSeq = max(old.DeltaSeq, o.DeltaSeq), max(old.FoldedSeq, o.FoldedSeq)
	return m, nil
}

// annotate gives a segment with the annotations that take the place of others.
func (o *PublishOptions) annotate(seg Segment) Segment {
	made, ok := o.Annotate[seg.Ordinal]
	if !ok {
		return seg
	}
	all := slices.Clone(made)
	for _, a := range seg.Annotations {
		if !slices.Contains(o.Annotated, a.Kind) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b Annotation) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	seg.Annotations = all
	return seg
}

// publish does the steps that can each be the last one before a crash.
func (s *Store) publish(old, m *Manifest, o *PublishOptions) error {
	for n := range o.Superseded {
		if m.ByOrdinal(n) == nil && !o.Superseded[n].IsEmpty() {
			return fmt.Errorf("supersede rows of segment %d: the data store has no such segment", n)
		}
	}
	for i := range m.Segments {
		if err := s.supersede(&m.Segments[i], m.Number, o); err != nil {
			return err
		}
	}
	if !o.KeepVersions {
		m.Segments = slices.DeleteFunc(m.Segments, func(seg Segment) bool { return seg.Current == 0 })
	}
	m.withSearch(old, o)
	if err := m.check(); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range old.Files() {
		known[f.Path] = true
	}
	dirs := map[string]bool{filepath.Join(s.dir, snapshotDir): true}
	for _, f := range m.Files() {
		if !known[f.Path] {
			dirs[filepath.Dir(s.Path(&f))] = true
		}
	}
	if err := s.fs.MkdirAll(filepath.Join(s.dir, snapshotDir)); err != nil {
		return err
	}
	if err := s.syncDirs(dirs); err != nil {
		return err
	}
	text, err := m.text()
	if err != nil {
		return err
	}
	name := manifestName(m.Number)
	if err := disk.Replace(s.fs, filepath.Join(s.dir, snapshotDir, name), text); err != nil {
		return err
	}
	return disk.Replace(s.fs, filepath.Join(s.dir, currentName), []byte(name+"\n"))
}

// noChecksum is what stands for a manifest's own checksum while that is computed.
const noChecksum = "xxh64:0000000000000000"

// text gives the text of a manifest's file, with its checksum.
func (m *Manifest) text() ([]byte, error) {
	c := *m
	c.Checksum = noChecksum
	text, err := json.MarshalIndent(&c, "", " ")
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	copy(text[bytes.LastIndex(text, []byte(noChecksum)):], checksum(text))
	return text, nil
}

// checkText compares a manifest's checksum, if it has one, with the text that it was read
// from, and takes it away: what is in memory has none.
func (m *Manifest) checkText(text []byte) error {
	if m.Checksum == "" {
		return nil
	}
	at := bytes.LastIndex(text, []byte(m.Checksum))
	if at < 0 || len(m.Checksum) != len(noChecksum) {
		return fmt.Errorf("checksum %q is none", m.Checksum)
	}
	plain := bytes.Clone(text)
	copy(plain[at:], noChecksum)
	if sum := checksum(plain); sum != m.Checksum {
		return fmt.Errorf("the text has %s, and says %s", sum, m.Checksum)
	}
	m.Checksum = ""
	return nil
}

// supersede writes the segment's new bitmap, if it gets one: under a new name,
// because readers of older manifests read the old one.
func (s *Store) supersede(seg *Segment, number int64, o *PublishOptions) error {
	add := o.Superseded[seg.Ordinal]
	if add == nil || add.IsEmpty() {
		return nil
	}
	b, err := s.Superseded(seg)
	if err != nil {
		return err
	}
	if b == nil {
		b = roaring.New()
	}
	before := b.GetCardinality()
	b.Or(add)
	if int64(b.Maximum()) >= seg.Rows {
		return fmt.Errorf("supersede row %d of segment %d, which has %d rows", b.Maximum(), seg.Ordinal, seg.Rows)
	}
	if b.GetCardinality() == before {
		return nil
	}
	seg.Current = seg.Rows - int64(b.GetCardinality())
	if seg.Current == 0 && !o.KeepVersions {
		return nil // about to be dropped: it needs no bitmap
	}
	b.RunOptimize()
	text, err := b.ToBytes()
	if err != nil {
		return fmt.Errorf("write bitmap: %w", err)
	}
	rel := path.Join(filesDir, seg.ResourceType, fmt.Sprintf("%s.%d%s", seg.ID, number, supersededSuffix))
	f := &File{Path: rel, Bytes: int64(len(text)), Checksum: checksum(text)}
	if err := s.fs.WriteFile(s.Path(f), text); err != nil {
		return fmt.Errorf("write bitmap: %w", err)
	}
	seg.Superseded = f
	return nil
}

// syncDirs makes durable the names of the files in dirs and of the folders
// themselves, up to the folder that holds the data store's.
func (s *Store) syncDirs(dirs map[string]bool) error {
	all := map[string]bool{}
	for d := range dirs {
		for ; strings.HasPrefix(d, s.dir) && !all[d]; d = filepath.Dir(d) {
			all[d] = true
			if d == s.dir {
				all[filepath.Dir(d)] = true
				break
			}
		}
	}
	sorted := make([]string, 0, len(all))
	for d := range all {
		sorted = append(sorted, d)
	}
	slices.Sort(sorted)
	for _, d := range sorted {
		if err := s.fs.SyncDir(d); err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
	}
	return nil
}
