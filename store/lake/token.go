package lake

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Token is the place in a history after which the next page begins; "" is the
// beginning. It names a version by what never changes of it, not where it lies, so it
// stays good while files are published and merged. It is made of the letters of
// base64url.
type Token string

// place is what a token says: the last version of the page before.
type place struct {
	updated int64
	key     snapshot.Key
	number  uint32
}

const (
	tokenVersion = 1
	tokenSize    = 1 + 8 + 16 + 4
)

func (p *place) token() Token {
	b := make([]byte, 0, tokenSize)
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(p.updated))
	b = binary.BigEndian.AppendUint64(b, p.key[0])
	b = binary.BigEndian.AppendUint64(b, p.key[1])
	b = binary.BigEndian.AppendUint32(b, p.number)
	return Token(base64.RawURLEncoding.EncodeToString(b))
}

func (t Token) place() (*place, error) {
	if t == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(string(t))
	if err != nil || len(b) != tokenSize || b[0] != tokenVersion {
		return nil, ErrToken
	}
	return &place{
		updated: int64(binary.BigEndian.Uint64(b[1:])),
		key:     snapshot.Key{binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])},
		number:  binary.BigEndian.Uint32(b[25:]),
	}, nil
}
