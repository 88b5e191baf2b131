package parquet

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"slices"
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

	codecUndecided = -1
)

// encoder encodes column chunks, one at a time. It belongs to one goroutine.
type encoder struct {
	out    []byte  // finished chunks, and the pages of the current one
	chunks []chunk // their descriptions, offsets relative to out
	failed int64   // decimals without a twin
	err    error   // why the chunks are not good

	// The current chunk: a dictionary page, if it has one, waits for the first
	// data page, since both decide whether the chunk is compressed.
	ch      chunk
	codec   int
	raw     []byte // the page that is being made, after a waiting dictionary page
	waiting int    // bytes of raw that are the dictionary page
	entries int    // of it
	packed  []byte
	zstd    *zstd.Encoder

	levels   hybrid[uint8]
	indices  hybrid[uint32]
	dict     dictionary
	index    []uint32 // of all values of the leaf
	lengths  []int64
	prefixes []int64
	text     []byte // what front coding leaves
	segs     []segment
	twin     twinScratch
}

// encoders are those of one sink that no task uses: at most as many as the pool
// has workers. They keep their memory from task to task; a sync.Pool would lose
// it to each garbage collection, and growing it again was a tenth of an import.
type encoders struct {
	mu   sync.Mutex
	idle []*encoder
}

func (p *encoders) get() (*encoder, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		e := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return e, nil
	}
	return newEncoder()
}

// newEncoder makes an encoder. The fastest level leaves literals as they are where
// it finds no match, and in unique ids, half of what a clinical data set has to
// pack, there is none: with the entropy coding of all literals the columns are a
// quarter smaller.
func newEncoder() (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return &encoder{zstd: z}, nil
}

// An encoder with more memory than this is left to the collector.
const maxEncoder = 24 << 20

func (p *encoders) put(e *encoder) {
	clear(e.dict.entries)
	if cap(e.out)+cap(e.raw)+cap(e.packed)+cap(e.text)+4*cap(e.index)+e.twin.memory() > maxEncoder {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, e)
}

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

// begin starts a chunk.
func (e *encoder) begin(c *column) {
	e.ch = chunk{node: c.node, twin: c.twin, offset: int64(len(e.out)), slots: int64(c.slots), nulls: int64(c.slots - c.values)}
	e.codec, e.raw, e.waiting = codecUndecided, e.raw[:0], 0
}

// endDictionary takes what is in raw as the chunk's dictionary page.
func (e *encoder) endDictionary(entries int) { e.waiting, e.entries = len(e.raw), entries }

// endPage takes what is in raw as a data page.
func (e *encoder) endPage(slots, encoding int) {
	e.ch.encoding = encoding
	if len(e.raw) > math.MaxInt32 {
		e.err = fmt.Errorf("parquet: a page of %s has %d bytes, more than the format allows", e.ch.node.Name, len(e.raw))
		e.raw, e.waiting = e.raw[:0], 0
		return
	}
	if len(e.raw) > largePage && e.waiting == 0 {
		e.endLargePage(slots, encoding)
		return
	}
	dictionary, data := e.raw[:e.waiting], e.raw[e.waiting:]
	e.packed = e.packed[:0]
	if e.codec != codecNone && len(e.raw) >= minCompressed {
		if len(dictionary) > 0 {
			e.packed = e.pack(e.packed, dictionary)
		}
	}
	cut := len(e.packed)
	if e.codec != codecNone && len(e.raw) >= minCompressed {
		e.packed = e.pack(e.packed, data)
	}
	if e.codec == codecUndecided {
		e.codec = codecNone
		if n := len(e.packed); n > 0 && n < len(e.raw)-len(e.raw)/16 {
			e.codec = codecZstd
		}
	}
	if e.codec == codecZstd && len(e.packed) == 0 {
		e.packed = e.pack(e.packed, data)
	}
	if len(dictionary) > 0 {
		e.emit(pageDictionary, dictionary, e.packed[:cut], e.entries, encPlain)
		e.ch.dictionary = int64(len(e.out)) - e.ch.offset
		e.ch.rawDictionary = e.ch.raw
	}
	e.emit(pageData, data, e.packed[cut:], slots, encoding)
	e.raw, e.waiting = e.raw[:0], 0
}

// A page of more than this, one value of a Binary mostly, is compressed into its
// place: a copy of 170 MB more or less is what a job's memory is measured by.
const (
	largePage = 8 << 20
	headRoom  = 64 // more than any page header takes
)

// endLargePage is endPage for what is in raw, without a dictionary page.
func (e *encoder) endLargePage(slots, encoding int) {
	head := len(e.out)
	if e.codec != codecNone {
		e.out = slices.Grow(e.out, headRoom+len(e.raw)/8*7)[:head+headRoom]
		e.out = e.zstd.EncodeAll(e.raw, e.out)
		if e.codec == codecUndecided {
			e.codec = codecNone
			if len(e.out)-head-headRoom < len(e.raw)-len(e.raw)/16 {
				e.codec = codecZstd
			}
		}
	}
	if e.codec == codecNone {
		e.out = e.out[:head]
		e.emit(pageData, e.raw, nil, slots, encoding)
	} else {
		size := len(e.out) - head - headRoom
		header := appendPageHeader(nil, pageData, len(e.raw), size, slots, encoding)
		copy(e.out[head:], header)
		copy(e.out[head+len(header):], e.out[head+headRoom:])
		e.out = e.out[:head+len(header)+size]
		e.ch.raw += int64(len(header) + len(e.raw))
	}
	e.raw, e.waiting = e.raw[:0], 0
}

func (e *encoder) pack(dst, raw []byte) []byte {
	return e.zstd.EncodeAll(raw, slices.Grow(dst, len(raw)/2+64))
}

func (e *encoder) emit(page int, raw, packed []byte, values, encoding int) {
	body := packed
	if e.codec == codecNone {
		body = raw
	}
	head := len(e.out)
	e.out = appendPageHeader(e.out, page, len(raw), len(body), values, encoding)
	e.ch.raw += int64(len(e.out) - head + len(raw))
	e.out = append(e.out, body...)
}

// end finishes the chunk.
func (e *encoder) end(st statistics) {
	e.ch.codec, e.ch.size = e.codec, int64(len(e.out))-e.ch.offset
	e.ch.min, e.ch.max = st.min, st.max
	e.chunks = append(e.chunks, e.ch)
}

// endShared finishes a chunk whose dictionary is in raw and whose data pages
// are, byte for byte, those of a chunk that was written before.
func (e *encoder) endShared(of *chunk, entries int, st statistics) {
	e.codec = of.codec
	e.packed = e.packed[:0]
	if e.codec == codecZstd {
		e.packed = e.pack(e.packed, e.raw)
	}
	e.emit(pageDictionary, e.raw, e.packed, entries, encPlain)
	e.ch.dictionary = int64(len(e.out)) - e.ch.offset
	e.ch.encoding = of.encoding
	e.ch.raw += of.raw - of.rawDictionary
	e.out = append(e.out, e.out[of.offset+of.dictionary:of.offset+of.size]...)
	e.end(st)
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

// pages makes the data pages of a chunk, whose values body appends to raw for a
// range of pieces.
func (e *encoder) pages(c *column, encoding int, weight func(i int) int, body func(from, to int)) {
	c.cut(weight, func(from, to, slots int) {
		e.raw = e.appendLevels(e.raw, c.segs[from:to], c.node.Rep, c.node.Def)
		if body != nil {
			body(from, to)
		}
		e.endPage(slots, encoding)
	})
}

// indexPages makes the data pages of dictionary indices.
func (e *encoder) indexPages(c *column, index []uint32, entries int) {
	at := 0
	width := max(1, bits.Len(uint(entries-1)))
	e.pages(c, encDictionary, nil, func(from, to int) {
		n := 0
		for i := from; i < to; i++ {
			n += c.segs[i].values
		}
		e.indices.start(append(e.raw, byte(width)), width)
		addIndices(&e.indices, index[at:at+n])
		e.raw = e.indices.finish()
		at += n
	})
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
