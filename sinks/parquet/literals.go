package parquet

import (
	"encoding/binary"

	"github.com/klauspost/compress/huff0"
)

// Unique ids are half of a clinical data set's compressed columns, and no match
// finder finds anything in them: entropy coding alone gives the same size in a
// third of the time. So where a sample of a page says so, the page becomes a
// Zstandard frame whose blocks are Huffman-coded literals without sequences
// (RFC 8878, sections 3.1.1.2 and 3.1.1.3), which any decoder reads.

const (
	literalBlock = 128 << 10 // the most that a block may hold
	sampleBytes  = 16 << 10
)

func newHuffman() *huff0.Scratch {
	return &huff0.Scratch{WantLogLess: 4, Reuse: huff0.ReusePolicyNone}
}

// appendLiterals appends src as a Zstandard frame of literals.
func appendLiterals(dst, src []byte, h *huff0.Scratch) []byte {
	// Magic number; a single segment, content size of 4 bytes, no checksum.
	dst = append(dst, 0x28, 0xb5, 0x2f, 0xfd, 0xa0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(src)))
	for {
		block := src[:min(len(src), literalBlock)]
		src = src[len(block):]
		last := uint32(0)
		if len(src) == 0 {
			last = 1
		}
		packed, _, err := huff0.Compress4X(block, h)
		if err != nil || len(packed)+6 >= len(block) {
			dst = appendUint24(dst, last|uint32(len(block))<<3)
			dst = append(dst, block...)
		} else {
			dst = appendUint24(dst, last|2<<1|uint32(5+len(packed)+1)<<3)
			head := uint64(2 | 3<<2 | len(block)<<4 | len(packed)<<22)
			dst = append(dst, byte(head), byte(head>>8), byte(head>>16), byte(head>>24), byte(head>>32))
			dst = append(dst, packed...)
			dst = append(dst, 0) // no sequences
		}
		if last == 1 {
			return dst
		}
	}
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v), byte(v>>8), byte(v>>16))
}

// literalsPay tells by a sample whether pages like this one are as small
// without a search for matches: 1 if so, -1 if not.
func (e *encoder) literalsPay(raw []byte) int8 {
	at := (len(raw) - sampleBytes) / 2
	if at < sampleBytes {
		return -1
	}
	sample := raw[at : at+sampleBytes]
	e.sample = e.zstd.EncodeAll(sample, e.sample[:0])
	searched := len(e.sample)
	e.sample = appendLiterals(e.sample[:0], sample, e.huffman)
	if len(e.sample) <= searched+searched/64 {
		return 1
	}
	return -1
}
