package parquet

import (
	"encoding/binary"
	"math/bits"
)

const (
	deltaBlock = 128
	deltaMini  = 32
)

// appendDelta appends values as DELTA_BINARY_PACKED (Parquet format, Encodings,
// "DELTA_BINARY_PACKED = 5").
func appendDelta(dst []byte, values []int64) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaBlock/deltaMini)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	if len(values) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, values[0])
	var deltas [deltaBlock]uint64
	for prev, rest := values[0], values[1:]; len(rest) > 0; {
		n := min(deltaBlock, len(rest))
		lowest := rest[0] - prev
		for i, v := range rest[:n] {
			d := v - prev
			deltas[i], prev = uint64(d), v
			lowest = min(lowest, d)
		}
		for i := range deltas[:n] {
			deltas[i] -= uint64(lowest)
		}
		clear(deltas[n:])
		dst = appendDeltaBlock(dst, &deltas, n, lowest)
		rest = rest[n:]
	}
	return dst
}

func appendDeltaBlock(dst []byte, deltas *[deltaBlock]uint64, n int, lowest int64) []byte {
	dst = binary.AppendVarint(dst, lowest)
	widths := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for m := 0; m*deltaMini < n; m++ {
		mini := deltas[m*deltaMini : (m+1)*deltaMini]
		var all uint64
		for _, d := range mini {
			all |= d
		}
		w := bits.Len64(all)
		dst[widths+m] = byte(w)
		if w > 0 {
			dst = packBits(dst, mini, uint(w))
		}
	}
	return dst
}
