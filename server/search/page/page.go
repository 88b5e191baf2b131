// Package page makes the tokens of page links: texts that carry what a later page of a
// search needs, which the client hands back and cannot change. A token is no secret,
// its content can be read by who has it; what it holds is the caller's.
//
// A token is, in base64url without padding:
//
//	1 byte    version
//	8 bytes   time of expiry, seconds since 1970, the highest byte first
//	n bytes   content
//	16 bytes  HMAC-SHA-256 of all before it, and of the scope, cut
//
// Invariants:
//
//  1. Nothing of a token is looked at before its signature is proved, and how long that
//     takes does not depend on how much of a signature is right.
//  2. A token is good for the scope that it was made for alone.
//
// Read [Signer] first.
package page

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Why a token is not taken.
var (
	// ErrForged is of a text that is no token of this server, or was changed, or is of
	// another scope.
	ErrForged = errors.New("the page token is not one of this server")
	// ErrExpired is of a token that was good, but is too old, or of another version of
	// the server.
	ErrExpired = errors.New("the page token has expired")
)

const (
	version = 1
	head    = 1 + 8
	sum     = 16
	// maxToken bounds what is decoded: longer texts are forged.
	maxToken = 64 << 10
	// minSecret is the least length of a secret: half of what SHA-256 gives.
	minSecret = 16
)

// Signer makes and opens tokens. It is safe for many goroutines.
type Signer struct{ key []byte }

// NewSigner makes a signer with a key that it derives from secret, which may serve other
// ends as well. Signers of one secret open each other's tokens.
func NewSigner(secret []byte) (*Signer, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("page tokens: the secret has %d bytes, want %d at least", len(secret), minSecret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "fhirlake page token", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("page tokens: derive key: %w", err)
	}
	return &Signer{key}, nil
}

// Sign makes a token of a content, good until expiry. scope says what the content is
// about, such as a data store and the kind of request: the same is to be given to Open.
func (s *Signer) Sign(scope string, content []byte, expiry time.Time) string {
	b := make([]byte, head, head+len(content)+sum)
	b[0] = version
	binary.BigEndian.PutUint64(b[1:], uint64(expiry.Unix()))
	b = append(b, content...)
	b = append(b, s.sign(scope, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Open gives the content of a token, or ErrForged or ErrExpired.
func (s *Signer) Open(scope, token string, now time.Time) ([]byte, error) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which the decoder passes over
		return nil, ErrForged
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < head+sum {
		return nil, ErrForged
	}
	b, signature := b[:len(b)-sum], b[len(b)-sum:]
	if !hmac.Equal(signature, s.sign(scope, b)) {
		return nil, ErrForged
	}
	if b[0] != version || now.Unix() >= int64(binary.BigEndian.Uint64(b[1:])) {
		return nil, ErrExpired
	}
	return b[head:], nil
}

func (s *Signer) sign(scope string, b []byte) []byte {
	m := hmac.New(sha256.New, s.key)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b))) // so that no end of b is the beginning of a scope
	m.Write(n[:])
	m.Write(b)
	m.Write([]byte(scope))
	return m.Sum(nil)[:sum]
}
