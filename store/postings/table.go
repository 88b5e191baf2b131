package postings

import "math"

// ColumnType is the type of a column, by its name in SQL.
type ColumnType string

// The types of columns.
const (
	Bool   ColumnType = "BOOLEAN"
	Uint32 ColumnType = "UINTEGER"
	Uint64 ColumnType = "UBIGINT"
	Int64  ColumnType = "BIGINT"
	Float  ColumnType = "DOUBLE"
	Text   ColumnType = "VARCHAR"
)

// Column is a column of a table.
type Column struct {
	Name string
	Type ColumnType
}

// Table is one table of an index.
type Table struct {
	Name    string
	Columns []Column
	// Order has the columns by which rows are sorted: that by which queries choose, and
	// the address. More would make the key of a sort longer than 32 bytes, above which
	// DuckDB takes one and a half times as long (docs/decisions/0034).
	Order []string
	// Grouped says that the first column of Order is the value group.
	Grouped bool
	// Texts says that rows with the same hash are the same, so one is enough.
	Texts bool

	rows    func(*Rows) int
	integer []func(*Rows, int) uint64 // by column; nil for a text
	text    []func(*Rows, int) string // by column; nil for all else
	sizes   []func(r *Rows, from, to int) int
	fill    []func(b []byte, r *Rows, from, to int) []byte
}

// Rows gives the number of rows that r has of the table.
func (t *Table) Rows(r *Rows) int { return t.rows(r) }

// Value gives column c of row i: a string for a Text, else the bits of the value.
func (t *Table) Value(r *Rows, i, c int) (bits uint64, text string) {
	if f := t.text[c]; f != nil {
		return 0, f(r, i)
	}
	return t.integer[c](r, i), ""
}

// Tables are all tables of an index.
var Tables = []*Table{
	build(&Table{Name: "resource", Order: []string{"type", "addr"}}, func(r *Rows) []Resource { return r.Resources },
		column[Resource]{"type", Uint32, func(x *Resource) uint64 { return uint64(TypeNumber(x.Type)) }, nil},
		column[Resource]{"addr", Uint64, func(x *Resource) uint64 { return uint64(x.At) }, nil},
		column[Resource]{"key", Uint64, func(x *Resource) uint64 { return x.Key }, nil},
		column[Resource]{"version", Uint32, func(x *Resource) uint64 { return uint64(x.Version) }, nil},
		column[Resource]{"updated", Int64, func(x *Resource) uint64 { return uint64(x.Updated) }, nil},
		column[Resource]{"id", Text, nil, func(x *Resource) string { return x.ID }}),
	valueTable("token", []string{"code", "addr"}, func(r *Rows) []Token { return r.Tokens }, func(x *Token) *value { return &x.value },
		column[Token]{"code", Uint64, func(x *Token) uint64 { return x.Code }, nil},
		column[Token]{"system", Uint64, func(x *Token) uint64 { return x.System }, nil},
		column[Token]{"implied", Bool, func(x *Token) uint64 { return truth(x.Implied) }, nil}),
	valueTable("string", []string{"words", "addr"}, func(r *Rows) []String { return r.Strings }, func(x *String) *value { return &x.value },
		column[String]{"words", Uint64, func(x *String) uint64 { return x.Words }, nil}),
	valueTable("date", []string{"low", "addr"}, func(r *Rows) []Date { return r.Dates }, func(x *Date) *value { return &x.value },
		column[Date]{"low", Int64, func(x *Date) uint64 { return uint64(x.Start) }, nil},
		column[Date]{"high", Int64, func(x *Date) uint64 { return uint64(x.End) }, nil}),
	valueTable("number", []string{"low", "addr"}, func(r *Rows) []Number { return r.Numbers }, func(x *Number) *value { return &x.value },
		column[Number]{"low", Float, func(x *Number) uint64 { return math.Float64bits(x.Low) }, nil},
		column[Number]{"high", Float, func(x *Number) uint64 { return math.Float64bits(x.High) }, nil}),
	valueTable("quantity", []string{"low", "addr"}, func(r *Rows) []Quantity { return r.Quantities }, func(x *Quantity) *value { return &x.value },
		column[Quantity]{"low", Float, func(x *Quantity) uint64 { return math.Float64bits(x.Low) }, nil},
		column[Quantity]{"high", Float, func(x *Quantity) uint64 { return math.Float64bits(x.High) }, nil},
		column[Quantity]{"system", Uint64, func(x *Quantity) uint64 { return x.System }, nil},
		column[Quantity]{"code", Uint64, func(x *Quantity) uint64 { return x.Code }, nil},
		column[Quantity]{"unit", Uint64, func(x *Quantity) uint64 { return x.Unit }, nil},
		column[Quantity]{"base", Uint64, func(x *Quantity) uint64 { return x.Base }, nil},
		column[Quantity]{"base_low", Float, func(x *Quantity) uint64 { return math.Float64bits(x.In.Low) }, nil},
		column[Quantity]{"base_high", Float, func(x *Quantity) uint64 { return math.Float64bits(x.In.High) }, nil}),
	valueTable("reference", []string{"target", "addr"}, func(r *Rows) []Reference { return r.References }, func(x *Reference) *value { return &x.value },
		column[Reference]{"type", Uint32, func(x *Reference) uint64 { return uint64(TypeNumber(x.Type)) }, nil},
		column[Reference]{"target", Uint64, func(x *Reference) uint64 { return x.Target }, nil},
		column[Reference]{"base", Uint64, func(x *Reference) uint64 { return x.Base }, nil},
		column[Reference]{"version", Uint64, func(x *Reference) uint64 { return x.Version }, nil}),
	valueTable("uri", []string{"uri", "addr"}, func(r *Rows) []URI { return r.URIs }, func(x *URI) *value { return &x.value },
		column[URI]{"uri", Uint64, func(x *URI) uint64 { return x.URI }, nil},
		column[URI]{"version", Uint64, func(x *URI) uint64 { return x.Version }, nil}),
	build(&Table{Name: "value", Order: []string{"text", "hash"}, Texts: true}, func(r *Rows) []Value { return r.Values },
		column[Value]{"hash", Uint64, func(x *Value) uint64 { return x.Hash }, nil},
		column[Value]{"text", Text, nil, func(x *Value) string { return x.Text }}),
	build(&Table{Name: "words", Order: []string{"folded", "hash"}, Texts: true}, func(r *Rows) []Words { return r.Words },
		column[Words]{"hash", Uint64, func(x *Words) uint64 { return x.Hash }, nil},
		column[Words]{"folded", Text, nil, func(x *Words) string { return x.Folded }},
		column[Words]{"exact", Text, nil, func(x *Words) string { return x.Exact }},
		column[Words]{"later", Bool, func(x *Words) uint64 { return truth(x.Later) }, nil}),
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

type column[T any] struct {
	name    string
	typ     ColumnType
	integer func(*T) uint64
	text    func(*T) string
}

// valueTable is a table of values: those have a group, a part and an address.
func valueTable[T any](name string, order []string, rows func(*Rows) []T, of func(*T) *value, columns ...column[T]) *Table {
	all := append([]column[T]{
		{"grp", Uint32, func(x *T) uint64 { return uint64(of(x).Group) }, nil},
		{"part", Uint32, func(x *T) uint64 { return uint64(of(x).Part) }, nil},
		{"addr", Uint64, func(x *T) uint64 { return uint64(of(x).At) }, nil},
	}, columns...)
	return build(&Table{Name: name, Order: append([]string{"grp"}, order...), Grouped: true}, rows, all...)
}

func build[T any](t *Table, rows func(*Rows) []T, columns ...column[T]) *Table {
	t.rows = func(r *Rows) int { return len(rows(r)) }
	for _, c := range columns {
		t.Columns = append(t.Columns, Column{c.name, c.typ})
		var integer func(*Rows, int) uint64
		var text func(*Rows, int) string
		if c.text != nil {
			text = func(r *Rows, i int) string { return c.text(&rows(r)[i]) }
		} else {
			integer = func(r *Rows, i int) uint64 { return c.integer(&rows(r)[i]) }
		}
		t.integer, t.text = append(t.integer, integer), append(t.text, text)
		t.sizes = append(t.sizes, func(r *Rows, from, to int) int { return plainSize(&c, rows(r)[from:to]) })
		t.fill = append(t.fill, func(b []byte, r *Rows, from, to int) []byte { return appendPlain(b, &c, rows(r)[from:to]) })
	}
	return t
}
