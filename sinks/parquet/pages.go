package parquet

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

const (
	maxPageSlots = 1 << 17
	maxPageBytes = 1 << 20
	// Statistics of longer strings are left out.
	maxStatistic = 64
	// Chunks smaller than this are not worth the decompression.
	minCompressed = 64
)

// page is one page of the chunk that is being made.
type page struct {
	raw, packed []byte // packed is nil until it is asked for
	values      int
	encoding    int
	dictionary  bool
}

// encoder encodes column chunks, one at a time. It belongs to one goroutine.
type encoder struct {
	out     []byte  // finished chunks
	chunks  []chunk // their descriptions, offsets relative to out
	failed  int64   // decimals without a twin
	zstd    *zstd.Encoder
	levels  hybrid[uint8]
	indices hybrid[uint32]
	dict    dictionary
	index   []uint32
	ints    []int64
	segs    []segment
	raw     []byte // pages before compression
	packed  []byte // and after
	twin    twinScratch
}

var encoders = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20), zstd.WithZeroFrames(true))
	if err != nil {
		panic("parquet: options of the zstd encoder: " + err.Error())
	}
	return &encoder{zstd: z}
}}

// column is what is known of a chunk before its pages.
type column struct {
	node   *columnar.Node
	twin   int
	segs   []segment
	values int
	slots  int
}

func columnOf(n *columnar.Node, twin int, segs []segment) column {
	c := column{node: n, twin: twin, segs: segs}
	for i := range segs {
		c.slots += segs[i].slots
		c.values += segs[i].values
	}
	return c
}

// cut calls f with the ranges of pieces that make one data page each, by slots
// and by the bytes that weight gives for a piece. A page so begins with a row.
func (c *column) cut(weight func(i int) int, f func(from, to, slots int)) {
	from, slots, size := 0, 0, 0
	for i := range c.segs {
		slots += c.segs[i].slots
		if weight != nil {
			size += weight(i)
		}
		if slots >= maxPageSlots || size >= maxPageBytes || i == len(c.segs)-1 {
			f(from, i+1, slots)
			from, slots, size = i+1, 0, 0
		}
	}
}

// sealPage takes what was appended to e.raw since at as a page.
func (e *encoder) sealPage(at, values, encoding int, dictionary bool) page {
	return page{raw: e.raw[at:len(e.raw):len(e.raw)], values: values, encoding: encoding, dictionary: dictionary}
}

// indexPages makes the data pages of dictionary indices.
func (e *encoder) indexPages(c *column, index []uint32, entries int) []page {
	var pages []page
	at := 0
	width := max(1, bits.Len(uint(entries-1)))
	c.cut(nil, func(from, to, slots int) {
		start := len(e.raw)
		e.raw = e.appendLevels(e.raw, c.segs[from:to], c.node.Rep, c.node.Def)
		n := 0
		for i := from; i < to; i++ {
			n += c.segs[i].values
		}
		e.indices.start(append(e.raw, byte(width)), width)
		addIndices(&e.indices, index[at:at+n])
		e.raw = e.indices.finish()
		at += n
		pages = append(pages, e.sealPage(start, slots, encDictionary, false))
	})
	return pages
}

// nullPages makes the data pages of a column without a value.
func (e *encoder) nullPages(c *column) []page {
	var pages []page
	c.cut(nil, func(from, to, slots int) {
		start := len(e.raw)
		e.raw = e.appendLevels(e.raw, c.segs[from:to], c.node.Rep, c.node.Def)
		pages = append(pages, e.sealPage(start, slots, encPlain, false))
	})
	return pages
}

// plainPages makes data pages whose values body appends for a range of pieces.
func (e *encoder) plainPages(c *column, encoding int, weight func(i int) int, body func(from, to int)) []page {
	var pages []page
	c.cut(weight, func(from, to, slots int) {
		start := len(e.raw)
		e.raw = e.appendLevels(e.raw, c.segs[from:to], c.node.Rep, c.node.Def)
		body(from, to)
		pages = append(pages, e.sealPage(start, slots, encoding, false))
	})
	return pages
}

// dictionaryPage makes the page of entries from their PLAIN encoding, which was
// appended to e.raw since at.
func (e *encoder) dictionaryPage(at, entries int) page {
	return e.sealPage(at, entries, encPlain, true)
}

func (e *encoder) packedOf(p *page) []byte {
	if p.packed == nil {
		at := len(e.packed)
		e.packed = e.zstd.EncodeAll(p.raw, e.packed)
		p.packed = e.packed[at:len(e.packed):len(e.packed)]
	}
	return p.packed
}

// write appends a chunk of the given pages to out, compressed if that shrinks it.
func (e *encoder) write(c *column, pages []page, st statistics) {
	raw, packed := 0, 0
	for i := range pages {
		raw += len(pages[i].raw)
	}
	codec := codecNone
	if raw >= minCompressed {
		for i := range pages {
			packed += len(e.packedOf(&pages[i]))
		}
		if packed < raw-raw/16 {
			codec = codecZstd
		}
	}
	ch := chunk{node: c.node, twin: c.twin, offset: int64(len(e.out)), codec: codec, slots: int64(c.slots),
		nulls: int64(c.slots - c.values), encoding: pages[len(pages)-1].encoding, min: st.min, max: st.max}
	for i := range pages {
		p := &pages[i]
		body := p.raw
		if codec == codecZstd {
			body = p.packed
		}
		kind := pageData
		if p.dictionary {
			kind = pageDictionary
		}
		head := len(e.out)
		e.out = appendPageHeader(e.out, kind, len(p.raw), len(body), p.values, p.encoding)
		ch.raw += int64(len(e.out) - head + len(p.raw))
		e.out = append(e.out, body...)
		if p.dictionary {
			ch.dictionary = int64(len(e.out)) - ch.offset
		}
	}
	ch.size = int64(len(e.out)) - ch.offset
	e.chunks = append(e.chunks, ch)
}

// statistics are the bounds of a chunk's values, PLAIN encoded; nil for none.
type statistics struct{ min, max []byte }

// bounds finds the bounds of strings.
type bounds struct {
	min, max []byte
	any      bool
}

func (b *bounds) add(v []byte) {
	switch {
	case !b.any:
		b.min, b.max, b.any = v, v, true
	case bytes.Compare(v, b.min) < 0:
		b.min = v
	case bytes.Compare(v, b.max) > 0:
		b.max = v
	}
}

// statistics copies the bounds, which alias pieces.
func (b *bounds) statistics() statistics {
	if !b.any || len(b.min) > maxStatistic || len(b.max) > maxStatistic {
		return statistics{}
	}
	return statistics{append([]byte{}, b.min...), append([]byte{}, b.max...)}
}

func appendStrings(dst []byte, values [][]byte) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v)))
		dst = append(dst, v...)
	}
	return dst
}
