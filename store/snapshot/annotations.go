package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path"
	"sort"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// # Annotations
//
// What we derive from a resource is not stored inside it. An annotations file has
// what one kind of derivation says of the rows of one segment: a line of NDJSON for
// each row that it says something of, in the order of rows, in zstd frames. A table
// of the first rows of the frames makes the way to one row a binary search and one
// frame to decode (docs/formats/annotations.md). What is derived as a table is a
// Parquet file of another kind, which this package names and does not read.

// AnnotationKind tells what an annotations file holds. A kind that is not known here is
// one of lines.
type AnnotationKind = beside.Kind

// The kinds. Lines are of the values that package beside tells of.
const (
	Issues                  = beside.Issues
	NLP                     = beside.NLP
	Entities AnnotationKind = "entities" // what [NLP] says as a table, for SQL and search
)

// isTable tells whether files of a kind are Parquet.
func isTable(k AnnotationKind) bool { return k == Entities }

// Annotation is an annotations file of a segment.
type Annotation struct {
	Kind AnnotationKind `json:"kind"`
	Rows int64          `json:"rows"` // of the segment that have a line in the file; of a table, its own
	File File           `json:"file"`
}

// IsTable tells whether the file is a table, in Parquet, and not lines for rows of the
// segment.
func (a *Annotation) IsTable() bool { return isTable(a.Kind) }

// Annotation gives the segment's annotations of a kind; nil when it has none.
func (s *Segment) Annotation(kind AnnotationKind) *Annotation {
	for i := range s.Annotations {
		if s.Annotations[i].Kind == kind {
			return &s.Annotations[i]
		}
	}
	return nil
}

const (
	annotationMagic = "FLANNO\x00\x01"
	dataMember      = `,"data":`
)

// annotationSuffix ends the names of the files of a kind.
func annotationSuffix(k AnnotationKind) string {
	if isTable(k) {
		return "." + string(k) + ".parquet"
	}
	return "." + string(k) + ".zst"
}

// CreateAnnotations opens a new annotations file of the segment for writing. number
// tells files of one kind apart: the manifest's that will name it first.
func (s *SegmentBuilder) CreateAnnotations(kind AnnotationKind, number int64, into *File) (*FileWriter, error) {
	return s.create(s.base()+fmt.Sprintf(".%d%s", number, annotationSuffix(kind)), into)
}

// base is the path of the segment's files without what follows its id.
func (s *Segment) base() string { return path.Join(filesDir, s.ResourceType, s.ID) }

// AnnotationFrame is one compressed run of lines in an annotations file.
type AnnotationFrame struct {
	Frame
	First uint32 // row of its first line
}

// AppendAnnotationTables appends the two skippable frames that end an annotations
// file.
func AppendAnnotationTables(b []byte, frames []AnnotationFrame) []byte {
	table := make([]byte, 0, 8*len(frames))
	plain := make([]Frame, 0, len(frames))
	for _, f := range frames {
		table = binary.LittleEndian.AppendUint32(table, f.Rows)
		table = binary.LittleEndian.AppendUint32(table, f.First)
		plain = append(plain, f.Frame)
	}
	return appendTables(b, annotationMagic, table, plain)
}

// AppendAnnotationRow appends the part of a line that says which row it is of.
// AppendAnnotation appends the rest, which a worker can write before a row is known.
func AppendAnnotationRow(dst []byte, row uint32) []byte {
	return strconv.AppendUint(append(dst, `{"row":`...), uint64(row), 10)
}

// AppendAnnotation appends the rest of a line: the resource and one JSON value
// without line ends.
func AppendAnnotation(dst []byte, t r4.TypeID, id []byte, version uint32, data []byte) []byte {
	dst = append(append(dst, `,"resourceType":"`...), t.String()...)
	dst = append(append(dst, `","id":"`...), id...)
	dst = strconv.AppendUint(append(dst, `","versionId":"`...), uint64(version), 10)
	dst = append(append(dst, '"'), dataMember...)
	return append(append(dst, data...), '}', '\n')
}

// splitAnnotation gives the row and the data of a line.
func splitAnnotation(line []byte) (row uint32, data []byte, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"row":`))
	comma := bytes.IndexByte(rest, ',')
	// Type, id and version have nothing to be escaped, so the first one is it.
	_, data, ok2 := bytes.Cut(rest, []byte(dataMember))
	data, ok3 := bytes.CutSuffix(data, []byte{'}'})
	if !ok || !ok2 || !ok3 || comma < 0 {
		return 0, nil, false
	}
	n, err := strconv.ParseUint(string(rest[:comma]), 10, 32)
	return uint32(n), data, err == nil
}

// Annotations is an open annotations file. It is safe for concurrent use.
type Annotations struct {
	*frameFile
	first []uint32 // row of the first line of each frame
	rows  int64
}

// OpenAnnotations opens the annotations file rel of the data store in dir.
func OpenAnnotations(dir, rel string) (*Annotations, error) {
	x, table, err := openFrames(dir, rel, "annotations", annotationMagic, 2)
	if err != nil {
		return nil, err
	}
	a := &Annotations{frameFile: x}
	for i, f := range x.frames {
		a.first = append(a.first, binary.LittleEndian.Uint32(table[8*i+4:]))
		a.rows += int64(f.Rows)
	}
	return a, nil
}

// Rows is the number of rows that have a line.
func (a *Annotations) Rows() int64 { return a.rows }

// TextSize is the number of bytes of all lines.
func (a *Annotations) TextSize() (n int64) {
	for i := range a.frames {
		n += int64(a.frames[i].Uncompressed)
	}
	return n
}

// Annotation gives what a has of a row, one JSON value, valid until the next call;
// ok is false when it has nothing.
func (d *FrameReader) Annotation(a *Annotations, row uint32) (data []byte, ok bool, err error) {
	i := sort.Search(len(a.first), func(i int) bool { return a.first[i] > row }) - 1
	if i < 0 {
		return nil, false, nil
	}
	err = d.eachAnnotation(a, i, func(r uint32, _, found []byte) error {
		if r == row {
			data, ok = found, true
		}
		return nil
	})
	return data, ok, err
}

// EachAnnotation calls f for every line in order, until it returns an error. Lines
// and data are valid during the call. Rows that do not rise are an error.
func (d *FrameReader) EachAnnotation(a *Annotations, f func(row uint32, line, data []byte) error) error {
	last := int64(-1)
	for i := range a.frames {
		err := d.eachAnnotation(a, i, func(row uint32, line, data []byte) error {
			if int64(row) <= last {
				return fmt.Errorf("read %s: row %d after row %d", a.what, row, last)
			}
			last = int64(row)
			return f(row, line, data)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachAnnotation calls f for the lines of frame i.
func (d *FrameReader) eachAnnotation(a *Annotations, i int, f func(row uint32, line, data []byte) error) error {
	text, err := d.decode(a.frameFile, i)
	if err != nil {
		return err
	}
	n := uint32(0)
	for ; len(text) > 0; n++ {
		var line []byte
		line, text = cutLine(text)
		row, data, ok := splitAnnotation(line)
		if !ok || n == 0 && row != a.first[i] {
			return fmt.Errorf("read %s: line %d of frame %d is not the one that belongs there", a.what, n+1, i)
		}
		if err := f(row, line, data); err != nil {
			return err
		}
	}
	if n != a.frames[i].Rows {
		return fmt.Errorf("read %s: frame %d has %d lines, its table says %d", a.what, i, n, a.frames[i].Rows)
	}
	return nil
}
