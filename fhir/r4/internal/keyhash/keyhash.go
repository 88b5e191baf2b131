// Package keyhash holds the hash function of the static tables in fhir/r4. The
// generator, which searches for a multiplier without collisions, and the
// lookups, which apply it, must compute the same; so both take it from here.
package keyhash

import (
	"encoding/binary"
	"math/bits"
)

// Keys of at most Short bytes are determined wholly by their length and their
// two words, those of at most Medium bytes by Middle besides.
const (
	Short  = 16
	Medium = 24
)

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

// Middle returns the second eight bytes of a key of more than Short bytes.
func Middle(key []byte) uint64 { return binary.LittleEndian.Uint64(key[8:]) }

// Mix hashes the words and the length of a key; the upper bits are the good ones.
func Mix(a, b uint64, n int, multiplier uint64) uint64 {
	return (a + bits.RotateLeft64(b, 29) + uint64(n)) * multiplier
}
