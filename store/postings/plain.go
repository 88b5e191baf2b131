package postings

import (
	"encoding/binary"
	"os"
	"slices"
)

// Runs are Parquet of the plainest kind: required columns, one PLAIN page for each column
// of a row group, no compression, no dictionary. A general writer took a third of what
// indexing costs besides DuckDB, most of it in buffers that were garbage at once
// (docs/decisions/0040), so this one puts the bytes of a row group together in a buffer
// that is used again. The names of fields below are those of parquet.thrift.

// plainFile is a file on its way; an error is kept until close.
type plainFile struct {
	t      *Table
	f      *os.File
	buf    []byte // the row group at hand, in a buffer of the caller's
	at     int64  // of buf in the file
	rows   int64
	groups []plainGroup
	err    error
}

type plainGroup struct {
	rows    int64
	columns []plainColumn
}

type plainColumn struct {
	at, size int64  // of the page with its header
	min, max []byte // of the column by which groups are skipped; nil for others
}

const parquetMagic = "PAR1"

// newPlainFile makes a file for rows of t.
func newPlainFile(name string, t *Table) (*plainFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	p := &plainFile{t: t, f: f}
	p.flush(append(p.buf, parquetMagic...))
	return p, nil
}

// write appends rows from to to as a row group, and gives back buf, which it uses.
func (p *plainFile) write(buf []byte, r *Rows, from, to int) []byte {
	p.buf = buf[:0]
	g := plainGroup{rows: int64(to - from)}
	for c := range p.t.Columns {
		col := plainColumn{at: p.at + int64(len(p.buf))}
		size := p.t.sizes[c](r, from, to)
		p.buf = appendPageHeader(p.buf, size, to-from)
		p.buf = p.t.fill[c](p.buf, r, from, to)
		col.size = p.at + int64(len(p.buf)) - col.at
		if p.t.Grouped && p.t.Columns[c].Name == p.t.Order[0] { // rows are sorted by it
			col.min = binary.LittleEndian.AppendUint32(nil, uint32(p.t.integer[c](r, from)))
			col.max = binary.LittleEndian.AppendUint32(nil, uint32(p.t.integer[c](r, to-1)))
		}
		g.columns = append(g.columns, col)
	}
	p.rows += g.rows
	p.groups = append(p.groups, g)
	buf, p.buf = p.buf, nil
	p.flush(buf)
	return buf
}

func (p *plainFile) flush(b []byte) {
	if p.err == nil {
		_, p.err = p.f.Write(b)
	}
	p.at += int64(len(b))
}

// close writes the footer.
func (p *plainFile) close() error {
	b := p.appendMetaData(nil)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)))
	p.flush(append(b, parquetMagic...))
	if err := p.f.Close(); p.err == nil {
		p.err = err
	}
	return p.err
}

// physical gives Type and ConvertedType of a column; the latter is -1 for none.
func (c *Column) physical() (typ, converted int64) {
	switch c.Type {
	case Bool:
		return 0, -1
	case Uint32:
		return 1, 13 // INT32, UINT_32
	case Uint64:
		return 2, 14 // INT64, UINT_64
	case Int64:
		return 2, -1
	case Float:
		return 5, -1
	}
	return 6, 0 // BYTE_ARRAY, UTF8
}

// appendPageHeader appends a PageHeader with a DataPageHeader.
func appendPageHeader(b []byte, size, values int) []byte {
	h := thrift{b: b}
	h.integer(1, thriftI32, 0) // DATA_PAGE
	h.integer(2, thriftI32, int64(size))
	h.integer(3, thriftI32, int64(size))
	h.begin(5)
	h.integer(1, thriftI32, int64(values))
	h.integer(2, thriftI32, 0) // PLAIN
	h.integer(3, thriftI32, 3) // RLE, of levels that there are none of
	h.integer(4, thriftI32, 3)
	h.end()
	h.stop()
	return h.b
}

// appendMetaData appends the FileMetaData.
func (p *plainFile) appendMetaData(b []byte) []byte {
	m := thrift{b: b}
	m.integer(1, thriftI32, 1)
	m.list(2, thriftStruct, len(p.t.Columns)+1)
	m.element()
	m.binary(4, []byte(p.t.Name))
	m.integer(5, thriftI32, int64(len(p.t.Columns)))
	m.end()
	for i := range p.t.Columns {
		c := &p.t.Columns[i]
		typ, converted := c.physical()
		m.element()
		m.integer(1, thriftI32, typ)
		m.integer(3, thriftI32, 0) // REQUIRED
		m.binary(4, []byte(c.Name))
		if converted >= 0 {
			m.integer(6, thriftI32, converted)
		}
		m.end()
	}
	m.integer(3, thriftI64, p.rows)
	m.list(4, thriftStruct, len(p.groups))
	for i := range p.groups {
		p.appendGroup(&m, &p.groups[i])
	}
	m.list(7, thriftStruct, len(p.t.Columns)) // a ColumnOrder each, without which ranges do not count
	for range p.t.Columns {
		m.element()
		m.begin(1) // TypeDefinedOrder
		m.end()
		m.end()
	}
	m.stop()
	return m.b
}

// appendGroup appends a RowGroup.
func (p *plainFile) appendGroup(m *thrift, g *plainGroup) {
	m.element()
	m.list(1, thriftStruct, len(g.columns))
	total := int64(0)
	for i := range g.columns {
		c := &g.columns[i]
		total += c.size
		typ, _ := p.t.Columns[i].physical()
		m.element() // ColumnChunk
		m.integer(2, thriftI64, c.at)
		m.begin(3) // ColumnMetaData
		m.integer(1, thriftI32, typ)
		m.list(2, thriftI32, 1)
		m.zigzag(0) // PLAIN
		m.list(3, thriftBinary, 1)
		m.bytes([]byte(p.t.Columns[i].Name))
		m.integer(4, thriftI32, 0) // UNCOMPRESSED
		m.integer(5, thriftI64, g.rows)
		m.integer(6, thriftI64, c.size)
		m.integer(7, thriftI64, c.size)
		m.integer(9, thriftI64, c.at)
		if c.min != nil {
			m.begin(12) // Statistics
			m.integer(3, thriftI64, 0)
			m.binary(5, c.max)
			m.binary(6, c.min)
			m.end()
		}
		m.end()
		m.end()
	}
	m.integer(2, thriftI64, total)
	m.integer(3, thriftI64, g.rows)
	m.end()
}

// The types of thrift's compact protocol.
const (
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

// thrift appends a struct in thrift's compact protocol to b.
type thrift struct {
	b     []byte
	last  int   // field of the struct at hand
	outer []int // those of the structs around it
}

func (t *thrift) field(id, typ int) {
	t.b = append(t.b, byte((id-t.last)<<4|typ)) // fields come in order, at most 15 apart
	t.last = id
}

func (t *thrift) zigzag(v int64) { t.b = binary.AppendVarint(t.b, v) }

func (t *thrift) bytes(v []byte) {
	t.b = append(binary.AppendUvarint(t.b, uint64(len(v))), v...)
}

func (t *thrift) integer(id, typ int, v int64) {
	t.field(id, typ)
	t.zigzag(v)
}

func (t *thrift) binary(id int, v []byte) {
	t.field(id, thriftBinary)
	t.bytes(v)
}

// list begins a list of n elements, which follow.
func (t *thrift) list(id, typ, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n<<4|typ))
	} else {
		t.b = binary.AppendUvarint(append(t.b, byte(0xf0|typ)), uint64(n))
	}
}

// begin begins a struct that is a field, element one that is in a list; end ends either.
func (t *thrift) begin(id int) {
	t.field(id, thriftStruct)
	t.element()
}

func (t *thrift) element() { t.outer, t.last = append(t.outer, t.last), 0 }

func (t *thrift) end() {
	t.stop()
	n := len(t.outer) - 1
	t.last, t.outer = t.outer[n], t.outer[:n]
}

func (t *thrift) stop() { t.b = append(t.b, 0) }

// plainSize is the number of bytes of a column of rows.
func plainSize[T any](c *column[T], rows []T) int {
	switch c.typ {
	case Bool:
		return (len(rows) + 7) / 8
	case Uint32:
		return 4 * len(rows)
	case Text:
		n := 4 * len(rows)
		for i := range rows {
			n += len(c.text(&rows[i]))
		}
		return n
	}
	return 8 * len(rows)
}

// appendPlain appends a column of rows in PLAIN encoding.
func appendPlain[T any](b []byte, c *column[T], rows []T) []byte {
	switch c.typ {
	case Bool:
		var bits byte
		for i := range rows {
			bits |= byte(c.integer(&rows[i])) << (i % 8)
			if i%8 == 7 || i == len(rows)-1 {
				b, bits = append(b, bits), 0
			}
		}
	case Uint32:
		at := len(b)
		b = slices.Grow(b, 4*len(rows))[:at+4*len(rows)]
		for i, to := 0, b[at:]; i < len(rows); i, to = i+1, to[4:] {
			binary.LittleEndian.PutUint32(to, uint32(c.integer(&rows[i])))
		}
	case Text:
		for i := range rows {
			s := c.text(&rows[i])
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
		}
	default:
		at := len(b)
		b = slices.Grow(b, 8*len(rows))[:at+8*len(rows)]
		for i, to := 0, b[at:]; i < len(rows); i, to = i+1, to[8:] {
			binary.LittleEndian.PutUint64(to, c.integer(&rows[i]))
		}
	}
	return b
}
