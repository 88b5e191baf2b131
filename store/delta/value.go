package delta

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A version's value is a header of fixed size, the JSON, and what is kept beside it. The
// checksum covers the key too, so that a value under a wrong key is found.
//
// In format 1 issues alone are kept, without a name. It is still read: what a data store
// has in its delta stays there until the next compaction.
const (
	formatIssues = 1
	valueFormat  = 2
	headerSize   = 54
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendValue appends the value of an entry whose key is key.
func appendValue(dst, key []byte, e *Entry) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, valueFormat, byte(e.Method))
	dst = binary.LittleEndian.AppendUint64(dst, e.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Updated))
	dst = binary.LittleEndian.AppendUint64(dst, e.Content)
	dst = binary.LittleEndian.AppendUint64(dst, e.Key[0])
	dst = binary.LittleEndian.AppendUint64(dst, e.Key[1])
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.JSON)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(besideSize(e.Beside)))
	dst = append(dst, e.JSON...)
	for i := range e.Beside {
		b := &e.Beside[i]
		dst = append(append(dst, byte(len(b.Kind))), b.Kind...)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b.Data)))
		dst = append(dst, b.Data...)
	}
	binary.LittleEndian.PutUint32(dst[start:], checksum(key, dst[start+4:]))
	return dst
}

func checksum(key, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, rest)
}

func valueSize(e *Entry) int { return headerSize + len(e.JSON) + besideSize(e.Beside) }

// besideSize is the size of values with their kinds and lengths.
func besideSize(v beside.Values) int {
	n := v.Size()
	for i := range v {
		n += 1 + len(v[i].Kind) + 4
	}
	return n
}

// valueSeq reads only the Seq of a value.
func valueSeq(v []byte) (uint64, error) {
	if len(v) < headerSize {
		return 0, fmt.Errorf("%w: a version is cut short", ErrCorrupt)
	}
	return binary.LittleEndian.Uint64(v[6:]), nil
}

// parseValue reads a value into e, but for type, id and number, which the key
// has. JSON and the data of Beside alias v.
func parseValue(key, v []byte, e *Entry) error {
	if len(v) < headerSize {
		return fmt.Errorf("%w: a version is cut short", ErrCorrupt)
	}
	if binary.LittleEndian.Uint32(v) != checksum(key, v[4:]) {
		return fmt.Errorf("%w: the checksum of a version is wrong", ErrCorrupt)
	}
	if v[4] != valueFormat && v[4] != formatIssues {
		return fmt.Errorf("a version has format %d, this program knows %d and %d", v[4], formatIssues, valueFormat)
	}
	e.Method = Method(v[5])
	e.Seq = binary.LittleEndian.Uint64(v[6:])
	e.Updated = int64(binary.LittleEndian.Uint64(v[14:]))
	e.Content = binary.LittleEndian.Uint64(v[22:])
	e.Key = [2]uint64{binary.LittleEndian.Uint64(v[30:]), binary.LittleEndian.Uint64(v[38:])}
	n, m := int(binary.LittleEndian.Uint32(v[46:])), int(binary.LittleEndian.Uint32(v[50:]))
	if len(v)-headerSize != n+m {
		return fmt.Errorf("%w: a version of %d bytes should have %d", ErrCorrupt, len(v), headerSize+n+m)
	}
	e.JSON, e.Beside = nil, nil
	if n > 0 {
		e.JSON = v[headerSize : headerSize+n]
	}
	switch {
	case m == 0:
		return nil
	case v[4] == formatIssues:
		e.Beside = beside.Values{{Kind: beside.Issues, Data: v[headerSize+n:]}}
		return nil
	}
	return parseBeside(v[headerSize+n:], e)
}

// parseBeside reads what is kept beside a version.
func parseBeside(v []byte, e *Entry) error {
	for len(v) > 0 {
		k := 1 + int(v[0])
		if len(v) < k+4 {
			return fmt.Errorf("%w: what is beside a version is cut short", ErrCorrupt)
		}
		data := v[k+4:]
		n := binary.LittleEndian.Uint32(v[k:])
		if uint64(n) > uint64(len(data)) {
			return fmt.Errorf("%w: what is beside a version is cut short", ErrCorrupt)
		}
		e.Beside = append(e.Beside, beside.Value{Kind: beside.KindOf(v[1:k]), Data: data[:n:n]})
		v = data[n:]
	}
	if err := e.Beside.Check(); err != nil {
		return fmt.Errorf("%w: beside a version: %v", ErrCorrupt, err)
	}
	return nil
}

// A Change says which version a Seq brought, without its content.
type Change struct {
	Seq     uint64
	Type    r4.TypeID
	ID      string
	Number  uint32
	Updated int64     // UTC microseconds
	Key     [2]uint64 // keyed hash of type and id
}

const changeSize = 28 // before type and id

func appendChange(dst []byte, e *Entry) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Updated))
	dst = binary.LittleEndian.AppendUint64(dst, e.Key[0])
	dst = binary.LittleEndian.AppendUint64(dst, e.Key[1])
	dst = binary.LittleEndian.AppendUint32(dst, e.Number)
	dst = append(dst, r4.TypeAt(e.Type).Name...)
	dst = append(dst, 0)
	return append(dst, e.ID...)
}

func parseChange(seq uint64, v []byte, c *Change) error {
	if len(v) < changeSize {
		return fmt.Errorf("%w: commit %d is cut short", ErrCorrupt, seq)
	}
	name := v[changeSize:]
	zero := 0
	for zero < len(name) && name[zero] != 0 {
		zero++
	}
	t := r4.ResourceTypeByName(name[:zero])
	if zero == len(name) || t == 0 {
		return fmt.Errorf("%w: commit %d is of an unknown resource type", ErrCorrupt, seq)
	}
	*c = Change{
		Seq: seq, Type: t, ID: string(name[zero+1:]),
		Updated: int64(binary.LittleEndian.Uint64(v)),
		Key:     [2]uint64{binary.LittleEndian.Uint64(v[8:]), binary.LittleEndian.Uint64(v[16:])},
		Number:  binary.LittleEndian.Uint32(v[24:]),
	}
	return nil
}
