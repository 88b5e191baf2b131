package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// A resources file is a sequence of zstd frames of whole NDJSON lines, then two
// skippable frames: the number of rows of each frame, and a seek table in the
// Zstandard seekable format. Any zstd reader sees only the lines
// (docs/formats/resources.md).
const (
	skippableRows = 0x184D2A5D
	skippableSeek = 0x184D2A5E
	seekMagic     = 0x8F92EAB1
	seekFooter    = 9
	rowsMagic     = "FLROWS\x00\x01"
)

// Frame is one compressed run of lines in a resources file.
type Frame struct {
	Compressed   uint32 // bytes in the file
	Uncompressed uint32
	Rows         uint32
}

// AppendFrameTables appends the two skippable frames that end a resources file.
func AppendFrameTables(b []byte, frames []Frame) []byte {
	rows := make([]byte, 0, 4*len(frames))
	for _, f := range frames {
		rows = binary.LittleEndian.AppendUint32(rows, f.Rows)
	}
	return appendTables(b, rowsMagic, rows, frames)
}

// appendTables appends a table under its magic as a skippable frame, and the seek
// table.
func appendTables(b []byte, magic string, table []byte, frames []Frame) []byte {
	size := len(magic) + len(table)
	b = binary.LittleEndian.AppendUint32(b, skippableRows)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = append(b, magic...)
	b = append(b, table...)
	b = binary.LittleEndian.AppendUint32(b, skippableSeek)
	b = binary.LittleEndian.AppendUint32(b, uint32(8*(len(frames)+1)+seekFooter))
	for _, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, f.Compressed)
		b = binary.LittleEndian.AppendUint32(b, f.Uncompressed)
	}
	// The table before is a frame too, one that decompresses to nothing.
	b = binary.LittleEndian.AppendUint32(b, uint32(size+8))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frames)+1))
	b = append(b, 0) // no checksums in the table: the frames have their own
	return binary.LittleEndian.AppendUint32(b, seekMagic)
}

// frameFile is an open file of frames with its tables. It is safe for concurrent
// use.
type frameFile struct {
	f      *os.File
	what   string // kind and name, for messages
	frames []Frame
	offset []int64 // of each frame in the file
}

// openFrames opens the file rel of the data store in dir and gives the table under
// magic, which has words 32-bit numbers for each frame.
func openFrames(dir, rel, what, magic string, words int) (*frameFile, []byte, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(rel)))
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", what, err)
	}
	x := &frameFile{f: f, what: what + " " + rel}
	table, err := x.load(magic, 4*int64(words))
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("open %s: %w", x.what, err)
	}
	return x, table, nil
}

func (x *frameFile) load(magic string, width int64) (table []byte, err error) {
	st, err := x.f.Stat()
	if err != nil {
		return nil, err
	}
	var foot [seekFooter]byte
	if _, err := x.f.ReadAt(foot[:], st.Size()-seekFooter); err != nil || binary.LittleEndian.Uint32(foot[5:]) != seekMagic {
		return nil, errors.New("the seek table at the end is missing")
	}
	n := int64(binary.LittleEndian.Uint32(foot[:])) - 1
	tables := int64(8+len(magic)) + width*n + 8 + 8*(n+1) + seekFooter
	if n < 0 || tables > st.Size() {
		return nil, fmt.Errorf("the seek table names %d frames, more than fit the file", n)
	}
	b := make([]byte, tables)
	if _, err := x.f.ReadAt(b, st.Size()-tables); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(b) != skippableRows || string(b[8:8+len(magic)]) != magic {
		return nil, errors.New("the table of rows is missing")
	}
	table = b[8+len(magic):][:width*n]
	seek := b[int64(8+len(magic))+width*n+8:]
	var off int64
	for i := range n {
		fr := Frame{
			Compressed:   binary.LittleEndian.Uint32(seek[8*i:]),
			Uncompressed: binary.LittleEndian.Uint32(seek[8*i+4:]),
			Rows:         binary.LittleEndian.Uint32(table[width*i:]),
		}
		x.frames = append(x.frames, fr)
		x.offset = append(x.offset, off)
		off += int64(fr.Compressed)
	}
	if off+tables != st.Size() {
		return nil, fmt.Errorf("the frames cover %d of %d bytes", off, st.Size()-tables)
	}
	return table, nil
}

// Close releases the file.
func (x *frameFile) Close() error { return x.f.Close() }

// Frames is the number of frames.
func (x *frameFile) Frames() int { return len(x.frames) }

// Resources is an open resources file. It is safe for concurrent use.
type Resources struct {
	*frameFile
	first []int64 // row of each frame; one more entry: the total
}

// OpenResources opens the resources file rel of the data store in dir.
func OpenResources(dir, rel string) (*Resources, error) {
	x, _, err := openFrames(dir, rel, "resources", rowsMagic, 1)
	if err != nil {
		return nil, err
	}
	r := &Resources{frameFile: x, first: make([]int64, 1, len(x.frames)+1)}
	for _, f := range x.frames {
		r.first = append(r.first, r.Rows()+int64(f.Rows))
	}
	return r, nil
}

// Rows is the number of lines in the file.
func (r *Resources) Rows() int64 { return r.first[len(r.first)-1] }

// FirstRow is the row of the first line of frame i; of the frame after the last one it is
// [Resources.Rows].
func (r *Resources) FirstRow(i int) int64 { return r.first[i] }

// FrameOf gives the frame that has a row, and the row of its first line.
func (r *Resources) FrameOf(row int64) (frame int, first int64, err error) {
	if row < 0 || row >= r.Rows() {
		return 0, 0, fmt.Errorf("read %s: row %d of %d", r.what, row, r.Rows())
	}
	i := sort.Search(len(r.frames), func(i int) bool { return r.first[i+1] > row })
	return i, r.first[i], nil
}

// TextSize is the length of the lines of frame i.
func (r *Resources) TextSize(i int) int { return int(r.frames[i].Uncompressed) }

// FrameRows is the number of lines of frame i.
func (r *Resources) FrameRows(i int) int { return int(r.frames[i].Rows) }

// AppendPacked appends frame i as it is in the file, a zstd frame, to dst. Nothing of it is
// checked.
func (r *Resources) AppendPacked(dst []byte, i int) ([]byte, error) {
	n := len(dst)
	dst = slices.Grow(dst, int(r.frames[i].Compressed))[:n+int(r.frames[i].Compressed)]
	if _, err := r.f.ReadAt(dst[n:], r.offset[i]); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", r.what, err)
	}
	return dst, nil
}

// FrameReader decompresses frames of resources and annotations files. It belongs
// to one goroutine.
type FrameReader struct {
	z    *zstd.Decoder
	comp []byte
	text []byte

	last  *frameFile // whose frame text has
	frame int
}

// NewFrameReader makes a reader that keeps its buffers.
func NewFrameReader() (*FrameReader, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<32))
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	return &FrameReader{z: z}, nil
}

// Close releases the decoder.
func (d *FrameReader) Close() { d.z.Close() }

// Frame gives the lines of frame i and the row of its first line. The text is
// valid until the next call.
func (d *FrameReader) Frame(r *Resources, i int) (text []byte, firstRow int64, err error) {
	text, err = d.decode(r.frameFile, i)
	return text, r.first[i], err
}

// Append appends the lines of frame i to dst.
func (d *FrameReader) Append(dst []byte, r *Resources, i int) ([]byte, error) {
	return d.append(dst, r.frameFile, i)
}

func (d *FrameReader) decode(x *frameFile, i int) (text []byte, err error) {
	if d.last == x && d.frame == i { // who goes through rows one by one asks again and again
		return d.text, nil
	}
	if size := int(x.frames[i].Uncompressed); cap(d.text) < size {
		d.text = make([]byte, 0, size)
	}
	d.last = nil
	if text, err = d.append(d.text[:0], x, i); err == nil {
		d.text, d.last, d.frame = text, x, i
	}
	return text, err
}

func (d *FrameReader) append(dst []byte, x *frameFile, i int) ([]byte, error) {
	f := x.frames[i]
	if cap(d.comp) < int(f.Compressed) {
		d.comp = make([]byte, f.Compressed)
	}
	c := d.comp[:f.Compressed]
	if _, err := x.f.ReadAt(c, x.offset[i]); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", x.what, err)
	}
	text, err := d.z.DecodeAll(c, dst)
	if err != nil {
		return nil, fmt.Errorf("read %s: frame %d: %w", x.what, i, err)
	}
	if n := len(text) - len(dst); n != int(f.Uncompressed) {
		return nil, fmt.Errorf("read %s: frame %d has %d bytes, its table says %d", x.what, i, n, f.Uncompressed)
	}
	return text, nil
}

// Line gives the resource in a row, without its line end. It is valid until the
// next call.
func (d *FrameReader) Line(r *Resources, row int64) ([]byte, error) {
	i, _, err := r.FrameOf(row)
	if err != nil {
		return nil, err
	}
	text, at, err := d.Frame(r, i)
	if err != nil {
		return nil, err
	}
	for ; at < row; at++ {
		_, text = cutLine(text)
	}
	line, _ := cutLine(text)
	return line, nil
}

// Each calls f for every row in order, until it returns an error. line is valid
// during the call.
func (d *FrameReader) Each(r *Resources, f func(row int64, line []byte) error) error {
	for i := range r.frames {
		text, row, err := d.Frame(r, i)
		if err != nil {
			return err
		}
		for len(text) > 0 {
			var line []byte
			line, text = cutLine(text)
			if err := f(row, line); err != nil {
				return err
			}
			row++
		}
		if row != r.first[i+1] {
			return fmt.Errorf("read %s: frame %d ends at row %d, its table says %d", r.what, i, row, r.first[i+1])
		}
	}
	return nil
}

func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}
