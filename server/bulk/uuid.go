package bulk

import (
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
)

// randomUUID makes a version 4 UUID (RFC 9562, 5.4).
func randomUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return formatUUID(b)
}

// SeededUUIDs gives the same version 4 UUIDs for the same seed, so that the same
// import writes the same bytes.
func SeededUUIDs(seed [32]byte) func() string {
	r := mathrand.NewChaCha8(seed)
	return func() string {
		var b [16]byte
		r.Read(b[:])
		return formatUUID(b)
	}
}

func formatUUID(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
