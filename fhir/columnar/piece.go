package columnar

// Piece is the columns of the resources of one type in one batch. Who makes it
// hands it on; after that it does not change.
type Piece struct {
	Layout    *Layout
	Rows      int
	Raw       int64    // bytes of JSON text that the rows stand for
	Leaves    int      // Parquet columns that it fills
	Columns   []Column // the nodes that are present; the first is the root
	bytes     []byte
	narrow    []uint16
	wide      []uint32
	usedBytes int
	usedU16   int
	usedU32   int
}

// Column is one node of a piece.
type Column struct {
	Node   *Node
	Slots  int    // entries, of its own if the node is a list
	Def    []byte // one for each slot; nil when all are DefAll
	DefAll uint8
	Rep    []byte // one for each slot; nil when all are 0

	// The values of a leaf. A plain column has all of them in Data; else Data
	// has the different ones, in the order of their first appearance, and one
	// of the indices has an entry for each value (none of them when Distinct is 1).
	Values   int  // not null
	Plain    bool //
	Distinct int  // entries in Ends
	Data     []byte
	Ends     []uint32 // where each entry ends in Data
	Index8   []uint8
	Index16  []uint16
	Index32  []uint32
	Counts   []uint32 // the values of RoleCount, which has none of the above
}

// Entry gives entry i of Data.
func (c *Column) Entry(i int) []byte {
	if i == 0 {
		return c.Data[:c.Ends[0]]
	}
	return c.Data[c.Ends[i-1]:c.Ends[i]]
}

// Each calls f for every value in order.
func (c *Column) Each(f func(v []byte)) {
	switch {
	case c.Plain:
		start := uint32(0)
		for _, end := range c.Ends {
			f(c.Data[start:end])
			start = end
		}
	case c.Index8 != nil:
		for _, i := range c.Index8 {
			f(c.Entry(int(i)))
		}
	case c.Index16 != nil:
		for _, i := range c.Index16 {
			f(c.Entry(int(i)))
		}
	case c.Index32 != nil:
		for _, i := range c.Index32 {
			f(c.Entry(int(i)))
		}
	default:
		for range c.Values {
			f(c.Entry(0))
		}
	}
}

// AppendIndex appends the index of every value, translated by remap when that
// is not nil. The column must not be plain.
func (c *Column) AppendIndex(dst, remap []uint32) []uint32 {
	switch {
	case c.Index8 != nil:
		return appendIndex(dst, c.Index8, remap)
	case c.Index16 != nil:
		return appendIndex(dst, c.Index16, remap)
	case c.Index32 != nil:
		return appendIndex(dst, c.Index32, remap)
	}
	only := uint32(0)
	if remap != nil && c.Values > 0 {
		only = remap[0]
	}
	for range c.Values {
		dst = append(dst, only)
	}
	return dst
}

func appendIndex[T uint8 | uint16 | uint32](dst []uint32, index []T, remap []uint32) []uint32 {
	if remap == nil {
		for _, i := range index {
			dst = append(dst, uint32(i))
		}
		return dst
	}
	for _, i := range index {
		dst = append(dst, remap[i])
	}
	return dst
}

// Bytes is the memory that the piece's columns take.
func (p *Piece) Bytes() int64 {
	return int64(p.usedBytes) + 2*int64(p.usedU16) + 4*int64(p.usedU32) + int64(len(p.Columns))*columnBytes
}

// columnBytes is about what a Column takes itself.
const columnBytes = 200

// NewPiece gives an empty piece with room for the given numbers of columns,
// bytes, short and long integers. Pieces wait by the hundred for the end of
// their row group, so each has just the memory that it needs: taking them from a
// pool left twice as much in use, since small ones sat in the memory of big ones.
func NewPiece(l *Layout, columns, bytes, u16, u32 int) *Piece {
	return &Piece{
		Layout:  l,
		Columns: make([]Column, 0, columns),
		bytes:   make([]byte, bytes),
		narrow:  make([]uint16, u16),
		wide:    make([]uint32, u32),
	}
}

// TakeBytes gives n bytes of the piece's memory.
func (p *Piece) TakeBytes(n int) []byte {
	s := p.bytes[p.usedBytes : p.usedBytes+n : p.usedBytes+n]
	p.usedBytes += n
	return s
}

// TakeU16 gives n short integers of the piece's memory.
func (p *Piece) TakeU16(n int) []uint16 {
	s := p.narrow[p.usedU16 : p.usedU16+n : p.usedU16+n]
	p.usedU16 += n
	return s
}

// TakeU32 gives n integers of the piece's memory.
func (p *Piece) TakeU32(n int) []uint32 {
	s := p.wide[p.usedU32 : p.usedU32+n : p.usedU32+n]
	p.usedU32 += n
	return s
}
