package terminology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unsafe"
)

// The file of an index: docs/formats/terminology.md. Numbers are little-endian.
const (
	magic        = "FLTERM\x00\x01"
	headerSize   = 8 + 8 + sectionCount*16 + 8
	sectionCount = 12
)

var _ io.WriterTo = (*Index)(nil)

// ErrFormat is the error of a file that is no index of this version, or that was changed.
var ErrFormat = errors.New("no terminology index of this version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// native tells whether the arrays of a file can be used in place.
var native = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

// arrays are the 32-bit sections in the order of the file, after Keys.
func (x *Index) arrays() [sectionCount - 2]*[]uint32 {
	return [...]*[]uint32{
		&x.set.IDs, &x.set.First, &x.set.Edges, &x.set.Values, &x.set.Root,
		&x.info, &x.refFirst, &x.refs, &x.systems, &x.text,
	}
}

// pieceSize is how many bytes of a section are made at once.
const pieceSize = 64 << 10

// layout is what the header says: size of the file, begin and length of each section, and
// the checksum of what comes after it.
type layout struct {
	size     uint64
	sections [sectionCount][2]uint64
	sum      uint32
}

// body calls put with the bytes after the header, in pieces that it uses again.
func (x *Index) body(put func(piece []byte)) layout {
	l := layout{size: headerSize}
	section := 0
	buf := make([]byte, 0, pieceSize)
	flush := func() {
		put(buf)
		l.sum = crc32.Update(l.sum, castagnoli, buf)
		l.size += uint64(len(buf))
		buf = buf[:0]
	}
	room := func() {
		if len(buf) > pieceSize-8 {
			flush()
		}
	}
	begin := l.size
	end := func() {
		flush()
		l.sections[section] = [2]uint64{begin, l.size - begin}
		section++
		buf = append(buf, make([]byte, (8-l.size%8)%8)...)
		flush()
		begin = l.size
	}
	for _, k := range x.set.Keys {
		room()
		buf = binary.LittleEndian.AppendUint64(buf, k)
	}
	end()
	for _, a := range x.arrays() {
		for _, v := range *a {
			room()
			buf = binary.LittleEndian.AppendUint32(buf, v)
		}
		end()
	}
	for rest := x.blob; len(rest) > 0; {
		n := min(len(rest), pieceSize)
		buf = append(buf, rest[:n]...)
		rest = rest[n:]
		flush()
	}
	end()
	return l
}

// header is the begin of the file.
func (l *layout) header() []byte {
	h := make([]byte, headerSize)
	copy(h, magic)
	binary.LittleEndian.PutUint64(h[8:], l.size)
	for i, s := range l.sections {
		binary.LittleEndian.PutUint64(h[16+i*16:], s[0])
		binary.LittleEndian.PutUint64(h[24+i*16:], s[1])
	}
	end := headerSize - 8
	binary.LittleEndian.PutUint32(h[end:], l.sum)
	binary.LittleEndian.PutUint32(h[end+4:], crc32.Checksum(h[:end+4], castagnoli))
	return h
}

// Append adds the file of the index to dst.
func (x *Index) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	l := x.body(func(piece []byte) { dst = append(dst, piece...) })
	copy(dst[at:], l.header())
	return dst
}

// WriteTo writes the file of the index.
func (x *Index) WriteTo(w io.Writer) (int64, error) {
	l := x.body(func([]byte) {})
	n, err := w.Write(l.header())
	written := int64(n)
	x.body(func(piece []byte) {
		if err == nil {
			n, err = w.Write(piece)
			written += int64(n)
		}
	})
	return written, err
}

// fingerprint is the version: the checksum of all sections, and the size of the file.
func (x *Index) fingerprint() string {
	l := x.body(func([]byte) {})
	return versionOf(l.header(), l.size)
}

func versionOf(header []byte, size uint64) string {
	return fmt.Sprintf("%08x-%d", binary.LittleEndian.Uint32(header[headerSize-8:]), size)
}

// Load makes an index of the bytes of its file, which it keeps and uses in place:
// they may be a mapped file. It checks every byte and every link.
func Load(file []byte) (*Index, error) {
	if len(file) < headerSize || string(file[:8]) != magic || binary.LittleEndian.Uint64(file[8:]) != uint64(len(file)) {
		return nil, ErrFormat
	}
	end := headerSize - 8
	if crc32.Checksum(file[:end+4], castagnoli) != binary.LittleEndian.Uint32(file[end+4:]) ||
		crc32.Checksum(file[headerSize:], castagnoli) != binary.LittleEndian.Uint32(file[end:]) {
		return nil, fmt.Errorf("%w: checksum", ErrFormat)
	}
	x := &Index{version: versionOf(file, uint64(len(file)))}
	var sections [sectionCount][]byte
	for i := range sections {
		h := file[16+i*16:]
		begin, n := binary.LittleEndian.Uint64(h), binary.LittleEndian.Uint64(h[8:])
		if begin%8 != 0 || begin > uint64(len(file)) || n > uint64(len(file))-begin {
			return nil, fmt.Errorf("%w: section %d", ErrFormat, i)
		}
		sections[i] = file[begin : begin+n : begin+n]
	}
	x.set.Keys = array64(sections[0])
	for i, a := range x.arrays() {
		*a = array32(sections[i+1])
	}
	x.blob = sections[sectionCount-1]
	if err := x.check(); err != nil {
		return nil, err
	}
	return x, nil
}

func array64(b []byte) []uint64 {
	n := len(b) / 8
	if n == 0 {
		return nil
	}
	if native && uintptr(unsafe.Pointer(&b[0]))%8 == 0 {
		return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), n)
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(b[i*8:])
	}
	return out
}

func array32(b []byte) []uint32 {
	n := len(b) / 4
	if n == 0 {
		return nil
	}
	if native && uintptr(unsafe.Pointer(&b[0]))%4 == 0 {
		return unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), n)
	}
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[i*4:])
	}
	return out
}

// check makes sure that no lookup can leave the arrays.
func (x *Index) check() error {
	s := &x.set
	entries, nodes := len(x.info), len(s.Values)
	ok := len(s.Keys) > 0 && len(s.Keys)&(len(s.Keys)-1) == 0 && len(s.IDs) == len(s.Keys) &&
		nodes > 0 && len(s.First) == nodes+1 && len(s.Edges) == nodes-1 &&
		len(x.refFirst) == entries+1 && len(x.text) == 2*len(x.systems)+1 && rising(x.text, len(x.blob)) &&
		rising(s.First, len(s.Edges)) && rising(x.refFirst, len(x.refs)) &&
		below(s.IDs, len(s.Root)) && below(s.Root, nodes) && below(s.Values, entries+1)
	free := false
	for _, k := range s.Keys {
		free = free || k == 0
	}
	if !ok || !free {
		return fmt.Errorf("%w: sections do not fit one another", ErrFormat)
	}
	for _, r := range x.refs {
		if int(r&0xFFFFFF) >= len(x.systems) {
			return fmt.Errorf("%w: concept out of range", ErrFormat)
		}
	}
	return nil
}

func rising(a []uint32, end int) bool {
	last := uint32(0)
	for _, v := range a {
		if v < last {
			return false
		}
		last = v
	}
	return len(a) > 0 && int(last) == end
}

func below(a []uint32, n int) bool {
	top := uint32(0)
	for _, v := range a {
		top = max(top, v)
	}
	return len(a) == 0 || int(top) < n
}
