package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
)

// Folders of a data store that belong to this package.
const (
	filesDir    = "files"
	indexDir    = "index"
	snapshotDir = "snapshot"
	currentName = "CURRENT"
)

// Suffixes of files beside FileKind's.
const (
	supersededSuffix = ".superseded"
	idsSuffix        = ".ids"
)

// ErrNewerFormat says that a manifest was written by a later version.
var ErrNewerFormat = errors.New("written by a newer version of fhirlake")

// ParseManifest reads a manifest and checks all that can be checked without its
// files. It is strict: a name it does not know, a path that leaves the data
// store or a sum that does not fit is an error, because everything that reads or
// sweeps files acts on what it says.
func ParseManifest(text []byte) (*Manifest, error) {
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &format); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	if format.Format > ManifestFormat {
		return nil, fmt.Errorf("parse manifest: format %d: %w", format.Format, ErrNewerFormat)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	m := new(Manifest)
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	if err := m.checkText(text); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	return m, nil
}

// check holds the rules of docs/formats/manifest.md. Publish asks it too, so
// that nothing is written that could not be read again.
func (m *Manifest) check() error {
	if m.Format != ManifestFormat {
		return fmt.Errorf("format %d is not known", m.Format)
	}
	if m.Number < 1 {
		return fmt.Errorf("number %d is not positive", m.Number)
	}
	paths := map[string]bool{}
	file := func(f *File, want string) error {
		switch {
		case f.Path != want:
			return fmt.Errorf("path %q where %q belongs", f.Path, want)
		case f.Bytes <= 0:
			return fmt.Errorf("%s: %d bytes", f.Path, f.Bytes)
		case !isChecksum(f.Checksum):
			return fmt.Errorf("%s: checksum %q is not xxh64 and 16 hexadecimal digits", f.Path, f.Checksum)
		case paths[f.Path]:
			return fmt.Errorf("%s is named twice", f.Path)
		}
		paths[f.Path] = true
		return nil
	}
	for i := range m.Segments {
		s := &m.Segments[i]
		if err := m.checkSegment(i, file); err != nil {
			return fmt.Errorf("segment %d: %w", s.Ordinal, err)
		}
	}
	for i, l := range m.Layers {
		if l.Number < 1 || l.Number > m.Number || i > 0 && l.Number < m.Layers[i-1].Number {
			return fmt.Errorf("layer %d is out of order", l.Number)
		}
		if l.FirstSegment > m.NextSegment || i > 0 && l.FirstSegment < m.Layers[i-1].FirstSegment {
			return fmt.Errorf("layer %d: its first segment is said to be %d", l.Number, l.FirstSegment)
		}
		if l.Entries < 0 {
			return fmt.Errorf("layer %d: %d entries", l.Number, l.Entries)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(l.IDs.Path, indexDir+"/"), idsSuffix)
		if !isName(name) {
			return fmt.Errorf("layer %d: path %q is not an id index", l.Number, l.IDs.Path)
		}
		if err := file(&m.Layers[i].IDs, path.Join(indexDir, name+idsSuffix)); err != nil {
			return fmt.Errorf("layer %d: %w", l.Number, err)
		}
	}
	return m.checkSearch(file)
}

func (m *Manifest) checkSegment(i int, file func(*File, string) error) error {
	s := &m.Segments[i]
	switch {
	case i > 0 && s.Ordinal <= m.Segments[i-1].Ordinal:
		return errors.New("ordinals do not rise")
	case s.Ordinal >= m.NextSegment:
		return fmt.Errorf("the next free ordinal is said to be %d", m.NextSegment)
	case !isName(s.ID) || !isName(s.ResourceType):
		return fmt.Errorf("id %q or resource type %q is no file name", s.ID, s.ResourceType)
	case s.Rows < 1 || s.Rows > maxRows:
		return fmt.Errorf("%d rows", s.Rows)
	case s.Current < 0 || s.Current > s.Rows:
		return fmt.Errorf("%d of %d rows are current", s.Current, s.Rows)
	case (s.Superseded == nil) != (s.Current == s.Rows):
		return fmt.Errorf("%d of %d rows are current, which does not fit its bitmap", s.Current, s.Rows)
	}
	base := s.base()
	if err := file(&s.Columns, base+string(ColumnsFile)); err != nil {
		return err
	}
	if err := file(&s.Resources, base+string(ResourcesFile)); err != nil {
		return err
	}
	if err := s.checkAnnotations(file); err != nil {
		return err
	}
	if s.Superseded == nil {
		return nil
	}
	n, ok := strings.CutPrefix(s.Superseded.Path, base+".")
	n, ok2 := strings.CutSuffix(n, supersededSuffix)
	if !ok || !ok2 || !isDigits(n) {
		return fmt.Errorf("path %q is not a bitmap of this segment", s.Superseded.Path)
	}
	return file(s.Superseded, s.Superseded.Path)
}

func (s *Segment) checkAnnotations(file func(*File, string) error) error {
	for i := range s.Annotations {
		a := &s.Annotations[i]
		switch {
		case !a.Kind.Valid():
			return fmt.Errorf("annotations of kind %q", a.Kind)
		case i > 0 && a.Kind <= s.Annotations[i-1].Kind:
			return errors.New("the kinds of annotations do not rise")
		case a.Rows < 1 || a.Rows > s.Rows && !a.IsTable():
			return fmt.Errorf("%d of %d rows have annotations of kind %s", a.Rows, s.Rows, a.Kind)
		}
		n, ok := strings.CutPrefix(a.File.Path, s.base()+".")
		n, ok2 := strings.CutSuffix(n, annotationSuffix(a.Kind))
		if !ok || !ok2 || !isDigits(n) {
			return fmt.Errorf("path %q is not the annotations of kind %s of this segment", a.File.Path, a.Kind)
		}
		if err := file(&a.File, a.File.Path); err != nil {
			return err
		}
	}
	return nil
}

// maxRows is what a 32-bit row number of a bitmap or an address reaches.
const maxRows = 1 << 32

// isName tells whether s is made of the letters of resource types and UUIDs,
// and so is a file name everywhere and no way out of a folder.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) < 19
}

func isChecksum(s string) bool {
	hex, ok := strings.CutPrefix(s, "xxh64:")
	if !ok || len(hex) != 16 {
		return false
	}
	for i := range len(hex) {
		if c := hex[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// Files gives every file that the manifest names.
func (m *Manifest) Files() []File {
	var all []File
	for i := range m.Segments {
		s := &m.Segments[i]
		all = append(all, s.Columns, s.Resources)
		if s.Superseded != nil {
			all = append(all, *s.Superseded)
		}
		for _, a := range s.Annotations {
			all = append(all, a.File)
		}
	}
	for _, l := range m.Layers {
		all = append(all, l.IDs)
	}
	for _, x := range m.Search {
		all = append(all, x.File)
	}
	return all
}

// ByOrdinal finds a segment; nil when the manifest has it no more.
func (m *Manifest) ByOrdinal(n uint32) *Segment {
	lo, hi := 0, len(m.Segments)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.Segments[mid].Ordinal < n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(m.Segments) && m.Segments[lo].Ordinal == n {
		return &m.Segments[lo]
	}
	return nil
}

func manifestName(n int64) string { return fmt.Sprintf("manifest-%d.json", n) }

// manifestNumber reads the number from a manifest's file name.
func manifestNumber(name string) (int64, bool) {
	n, ok := strings.CutPrefix(name, "manifest-")
	n, ok2 := strings.CutSuffix(n, ".json")
	if !ok || !ok2 || !isDigits(n) || n[0] == '0' {
		return 0, false
	}
	var v int64
	for _, c := range []byte(n) {
		v = v*10 + int64(c-'0')
	}
	return v, true
}
