// Package keyhash holds the hash function of the static tables in fhir/r4. The
// generator, which searches for a multiplier without collisions, and the
// lookups, which apply it, must compute the same; so both take it from here.
package keyhash

import (
	"encoding/binary"
	"math/bits"
)

// Exact is the longest key that its length and its two words determine wholly,
// so that a longer key needs a comparison of its bytes besides.
const Exact = 16

// Words returns the first and the last eight bytes of key. For a key under
// eight bytes they are the first and the last four, and for one under four
// bytes all bytes stand in the first word.
func Words(key []byte) (a, b uint64) {
	n := len(key)
	if n >= 8 {
		return binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
	}
	if n >= 4 {
		return uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:]))
	}
	if n > 0 {
		return uint64(key[0]) | uint64(key[n>>1])<<8 | uint64(key[n-1])<<16, 0
	}
	return 0, 0
}

// Mix hashes the words and the length of a key; the upper bits are the good ones.
func Mix(a, b uint64, n int, multiplier uint64) uint64 {
	return (a + bits.RotateLeft64(b, 29) + uint64(n)) * multiplier
}
