package parquet

import (
	"encoding/binary"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// The enumerations of parquet.thrift that are in use.
const (
	typeBoolean   = 0
	typeInt32     = 1
	typeInt64     = 2
	typeDouble    = 5
	typeByteArray = 6
	typeFixed     = 7

	repRequired = 0
	repOptional = 1
	repRepeated = 2

	encPlain        = 0
	encRLE          = 3
	encDelta        = 5
	encDeltaLength  = 6
	encDeltaStrings = 7
	encDictionary   = 8

	codecNone = 0
	codecZstd = 6

	convertedUTF8    = 0
	convertedList    = 3
	convertedDecimal = 5

	pageData       = 0
	pageDictionary = 2
)

const magic = "PAR1"

// kind is the Parquet type of a leaf column.
type kind uint8

const (
	kindString kind = iota
	kindInt32
	kindBoolean
	kindDecimal
	kindTimestamp
	kindDouble
)

var physical = [...]int{typeByteArray, typeInt32, typeBoolean, typeFixed, typeInt64, typeDouble}

// kindOf gives the kind of a leaf's own column (twin -1) or of one of its twins.
func kindOf(r columnar.Role, twin int) kind {
	switch {
	case twin >= 0 && r == columnar.RoleTime:
		return kindTimestamp
	case twin >= 0 && r == columnar.RoleDecimal:
		return kindDecimal
	case r == columnar.RoleInteger, r == columnar.RoleCount:
		return kindInt32
	case r == columnar.RoleDouble:
		return kindDouble
	case r == columnar.RoleBoolean:
		return kindBoolean
	}
	return kindString
}

// chunk is one encoded column chunk.
type chunk struct {
	node       *columnar.Node
	twin       int   // which of the leaf's twins; -1 for its own column
	offset     int64 // of its first page; in the file once it is written
	dictionary int64 // bytes of the dictionary page before the data pages; 0 for none
	size       int64 // bytes in the file
	raw        int64 // bytes before compression, headers included
	slots      int64
	nulls      int64
	encoding   int // of the values
	codec      int
	min, max   []byte // nil when not known

	rawDictionary int64 // what of raw is the dictionary page
}

// group is one row group that was written.
type group struct {
	rows   int64
	chunks []chunk
}

// appendFooter appends the file metadata, its length and the magic number.
func appendFooter(dst []byte, l *columnar.Layout, leaves []*columnar.Node, groups []group) []byte {
	t := thrift{buf: dst}
	start := len(dst)
	t.begin()
	t.i32(1, 2)
	s := schemaOf(l, leaves)
	t.list(2, thriftStruct, s.count())
	s.write(&t)
	var rows int64
	for i := range groups {
		rows += groups[i].rows
	}
	t.i64(3, rows)
	t.list(4, thriftStruct, len(groups))
	for i := range groups {
		writeGroup(&t, &groups[i], i)
	}
	t.list(5, thriftStruct, 1)
	t.begin()
	t.str(1, l.Format)
	t.str(2, strconv.Itoa(l.Version))
	t.end()
	t.str(6, "fhirlake")
	columns := 0
	for _, n := range leaves {
		columns += n.Leaves()
	}
	t.list(7, thriftStruct, columns)
	for range columns {
		t.begin() // ColumnOrder, its variant TypeDefinedOrder
		t.structField(1)
		t.end()
		t.end()
	}
	t.end()
	n := len(t.buf) - start
	t.buf = binary.LittleEndian.AppendUint32(t.buf, uint32(n))
	return append(t.buf, magic...)
}

func writeGroup(t *thrift, g *group, ordinal int) {
	var raw, size int64
	t.begin()
	t.list(1, thriftStruct, len(g.chunks))
	for i := range g.chunks {
		c := &g.chunks[i]
		raw += c.raw
		size += c.size
		writeChunk(t, c)
	}
	t.i64(2, raw)
	t.i64(3, g.rows)
	t.i64(5, g.chunks[0].offset)
	t.i64(6, size)
	if ordinal < 1<<15 {
		t.i16(7, int16(ordinal))
	}
	t.end()
}

func writeChunk(t *thrift, c *chunk) {
	t.begin()
	t.i64(2, c.offset)
	t.structField(3)
	t.i32(1, physical[kindOf(c.node.Role, c.twin)])
	encodings := []int64{encRLE, int64(c.encoding)}
	if c.dictionary > 0 {
		encodings = append(encodings, encPlain)
	}
	t.list(2, thriftI32, len(encodings))
	for _, e := range encodings {
		t.buf = binary.AppendVarint(t.buf, e)
	}
	path := pathOf(c.node, c.twin)
	t.list(3, thriftBinary, len(path))
	for _, p := range path {
		t.rawStr(p)
	}
	t.i32(4, c.codec)
	t.i64(5, c.slots)
	t.i64(6, c.raw)
	t.i64(7, c.size)
	t.i64(9, c.offset+c.dictionary)
	if c.dictionary > 0 {
		t.i64(11, c.offset)
	}
	t.structField(12)
	t.i64(3, c.nulls)
	if c.min != nil {
		t.str(5, string(c.max))
		t.str(6, string(c.min))
	}
	t.end()
	t.end()
	t.end()
}

// appendPageHeader appends the header of a page.
func appendPageHeader(dst []byte, page, raw, size, values, encoding int) []byte {
	t := thrift{buf: dst}
	t.begin()
	t.i32(1, page)
	t.i32(2, raw)
	t.i32(3, size)
	if page == pageDictionary {
		t.structField(7)
		t.i32(1, values)
		t.i32(2, encPlain)
	} else {
		t.structField(5)
		t.i32(1, values)
		t.i32(2, encoding)
		t.i32(3, encRLE)
		t.i32(4, encRLE)
	}
	t.end()
	t.end()
	return t.buf
}
