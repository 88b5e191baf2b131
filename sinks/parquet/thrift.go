package parquet

import "encoding/binary"

// thrift writes the Thrift compact protocol, of which Parquet's page headers
// and footer are made. Structs nest by begin and end; a field's id is written
// as the distance from the one before it.
type thrift struct {
	buf   []byte
	last  int16
	stack []int16
}

// The type codes of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

func (t *thrift) field(id int16, code byte) {
	if d := id - t.last; d > 0 && d <= 15 {
		t.buf = append(t.buf, byte(d)<<4|code)
	} else {
		t.buf = append(t.buf, code)
		t.buf = binary.AppendVarint(t.buf, int64(id))
	}
	t.last = id
}

func (t *thrift) begin() {
	t.stack = append(t.stack, t.last)
	t.last = 0
}

func (t *thrift) end() {
	t.buf = append(t.buf, 0)
	t.last = t.stack[len(t.stack)-1]
	t.stack = t.stack[:len(t.stack)-1]
}

func (t *thrift) structField(id int16) {
	t.field(id, thriftStruct)
	t.begin()
}

func (t *thrift) i16(id int16, v int16) {
	t.field(id, thriftI16)
	t.buf = binary.AppendVarint(t.buf, int64(v))
}

func (t *thrift) i32(id int16, v int) {
	t.field(id, thriftI32)
	t.buf = binary.AppendVarint(t.buf, int64(v))
}

func (t *thrift) i64(id int16, v int64) {
	t.field(id, thriftI64)
	t.buf = binary.AppendVarint(t.buf, v)
}

func (t *thrift) boolean(id int16, v bool) {
	code := byte(thriftFalse)
	if v {
		code = thriftTrue
	}
	t.field(id, code)
}

func (t *thrift) str(id int16, s string) {
	t.field(id, thriftBinary)
	t.rawStr(s)
}

// rawStr writes a string as an item of a list.
func (t *thrift) rawStr(s string) {
	t.buf = binary.AppendUvarint(t.buf, uint64(len(s)))
	t.buf = append(t.buf, s...)
}

func (t *thrift) list(id int16, code byte, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.buf = append(t.buf, byte(n)<<4|code)
		return
	}
	t.buf = append(t.buf, 0xf0|code)
	t.buf = binary.AppendUvarint(t.buf, uint64(n))
}
