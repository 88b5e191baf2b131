package derive

import (
	"crypto/sha1"
	"encoding/hex"
)

// namespace is that of the ids of derived resources: a UUID made for it.
var namespace = [16]byte{0xf9, 0x36, 0xf8, 0xa6, 0xd1, 0xe6, 0x4d, 0x73, 0x93, 0x7a, 0x2b, 0xca, 0xe8, 0x48, 0x87, 0xeb}

// id gives the id of what has this name: a version 5 UUID (RFC 9562, 5.5).
func (d *Deriver) id(name []byte) string {
	d.name = append(append(d.name[:0], namespace[:]...), name...)
	b := sha1.Sum(d.name)
	b[6] = b[6]&0x0f | 0x50
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
