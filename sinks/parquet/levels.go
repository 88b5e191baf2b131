package parquet

import (
	"encoding/binary"
	"math/bits"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// hybrid writes the RLE and bit-packing hybrid (Parquet format, Encodings,
// "RLE = 3"): runs of eight or more equal values by their length, the rest
// packed in groups of eight. It serves levels (bytes) and dictionary indices.
type hybrid[T uint8 | uint32] struct {
	dst   []byte
	width int
	lit   []T // values to pack that are not written yet
	value T   // of the current run
	n     int // its length
}

func (h *hybrid[T]) start(dst []byte, width int) {
	h.dst, h.width, h.lit, h.n = dst, width, h.lit[:0], 0
}

// run adds n times v.
func (h *hybrid[T]) run(v T, n int) {
	if n == 0 {
		return
	}
	if v != h.value {
		h.endRun()
		h.value = v
	}
	h.n += n
}

func (h *hybrid[T]) endRun() {
	n := h.n
	h.n = 0
	fill := -len(h.lit) & 7 // what the last group of eight lacks
	if n-fill < 8 {
		for range n {
			h.lit = append(h.lit, h.value)
		}
		return
	}
	for range fill {
		h.lit = append(h.lit, h.value)
	}
	h.pack()
	h.dst = binary.AppendUvarint(h.dst, uint64(n-fill)<<1)
	for w, v := h.width, uint32(h.value); w > 0; w -= 8 {
		h.dst = append(h.dst, byte(v))
		v >>= 8
	}
}

// pack writes the pending groups.
func (h *hybrid[T]) pack() {
	if len(h.lit) == 0 {
		return
	}
	for len(h.lit)&7 != 0 {
		h.lit = append(h.lit, 0)
	}
	h.dst = binary.AppendUvarint(h.dst, uint64(len(h.lit)/8)<<1|1)
	if w := uint(h.width); w <= 8 {
		for l := h.lit; len(l) >= 8; l = l[8:] {
			word := uint64(l[0]) | uint64(l[1])<<w | uint64(l[2])<<(2*w) | uint64(l[3])<<(3*w) |
				uint64(l[4])<<(4*w) | uint64(l[5])<<(5*w) | uint64(l[6])<<(6*w) | uint64(l[7])<<(7*w)
			at := len(h.dst)
			h.dst = binary.LittleEndian.AppendUint64(h.dst, word)[:at+int(w)]
		}
	} else {
		h.dst = packBits(h.dst, h.lit, w)
	}
	h.lit = h.lit[:0]
}

// packBits packs values of w bits each, the lowest bits first.
func packBits[T uint8 | uint32 | uint64](dst []byte, values []T, w uint) []byte {
	var acc uint64
	var n uint
	for _, v := range values {
		acc |= uint64(v) << n
		if n += w; n >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			n -= 64
			acc = uint64(v) >> (w - n)
		}
	}
	for ; n > 0; n -= min(n, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

func (h *hybrid[T]) finish() []byte {
	h.endRun()
	h.pack()
	return h.dst
}

// addLevels adds bytes, finding runs eight bytes at a time.
func addLevels(h *hybrid[uint8], s []byte) {
	for i := 0; i < len(s); {
		v := s[i]
		j := i + 1
		for word := uint64(v) * 0x0101010101010101; j+8 <= len(s); j += 8 {
			if x := binary.LittleEndian.Uint64(s[j:]) ^ word; x != 0 {
				j += bits.TrailingZeros64(x) / 8
				h.run(v, j-i)
				i = j
				goto next
			}
		}
		for j < len(s) && s[j] == v {
			j++
		}
		h.run(v, j-i)
		i = j
	next:
	}
}

func addIndices(h *hybrid[uint32], s []uint32) {
	for i := 0; i < len(s); {
		v := s[i]
		j := i + 1
		for j < len(s) && s[j] == v {
			j++
		}
		h.run(v, j-i)
		i = j
	}
}

// segment is the levels of one leaf in one piece.
type segment struct {
	slots  int
	values int    // slots that hold a value
	def    []byte // nil: all are defAll
	defAll uint8
	rep    []byte // nil: all are 0
}

// segmentOf gives the levels that a leaf has in a piece: those of its own
// column, or of its nearest ancestor there, and then it has no values.
func segmentOf(n *columnar.Node, c *columnar.Column) segment {
	s := segment{slots: c.Slots, def: c.Def, defAll: c.DefAll, rep: c.Rep}
	if c.Node == n {
		s.values = c.Values
	}
	return s
}

// appendLevels appends the repetition and definition levels of a data page,
// each with its length before it (data page version 1).
func (e *encoder) appendLevels(dst []byte, segs []segment, maxRep, maxDef uint8) []byte {
	h := &e.levels
	if maxRep > 0 {
		at := len(dst)
		h.start(append(dst, 0, 0, 0, 0), bits.Len8(maxRep))
		for i := range segs {
			if s := &segs[i]; s.rep == nil {
				h.run(0, s.slots)
			} else {
				addLevels(h, s.rep)
			}
		}
		dst = h.finish()
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	if maxDef > 0 {
		at := len(dst)
		h.start(append(dst, 0, 0, 0, 0), bits.Len8(maxDef))
		for i := range segs {
			if s := &segs[i]; s.def == nil {
				h.run(s.defAll, s.slots)
			} else {
				addLevels(h, s.def)
			}
		}
		dst = h.finish()
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}
