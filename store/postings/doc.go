// Package postings owns the rows of the search index: which tables there are, what
// their columns mean, how texts become hashes, and in which order rows lie
// (docs/formats/search.md). It knows no SQL engine and no pipeline: sinks/searchindex
// makes rows of search values, store/duck/searchdb keeps and asks them, server/search
// makes the questions.
//
// Invariants, cited by number elsewhere:
//
//  1. Texts that are only compared as a whole are stored as keyed hashes, so that a
//     row is a few integers. A query hashes its texts with the same [Hasher]. The
//     texts themselves are once in the tables value and words.
//  2. An [Address] orders rows: those of one segment by their place in it. Rows with the
//     same value lie in the order of their addresses.
//  3. Every resource of an index file has one row in the table resource.
//
// Read [Rows] first, then [Tables].
package postings

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/minio/highwayhash"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Version is that of the rows. It rises when a row of the same resource would be
// another one; an index of another version is built again.
const Version = 1

// Address is the segment and the row of a resource: the segment's ordinal times 2^32
// and the row.
type Address uint64

// At makes the address of a row.
func At(segment, row uint32) Address { return Address(segment)<<32 | Address(row) }

// Segment is the ordinal of the address's segment.
func (a Address) Segment() uint32 { return uint32(a >> 32) }

// Row is the address's row in its segment.
func (a Address) Row() uint32 { return uint32(a) }

// Hasher makes the hashes of one data store. It is keyed with the store's secret, so
// that nobody can make texts that hash alike. It belongs to one goroutine.
type Hasher struct {
	secret []byte
	buf    []byte
}

// NewHasher makes a hasher; secret is the hash key of the data store, 32 bytes.
func NewHasher(secret []byte) (*Hasher, error) {
	if len(secret) != highwayhash.Size {
		return nil, fmt.Errorf("search index: the hash key has %d bytes, want %d", len(secret), highwayhash.Size)
	}
	return &Hasher{secret: secret}, nil
}

// Text hashes a text that is compared byte by byte. The empty text is 0, and nothing
// else is.
func (h *Hasher) Text(text []byte) uint64 {
	if len(text) == 0 {
		return 0
	}
	return max(highwayhash.Sum64(text, h.secret), 1)
}

// Code hashes the code of a token; folded tells whether its case does not count.
func (h *Hasher) Code(code []byte, folded bool) uint64 {
	if !folded || len(code) == 0 {
		return h.Text(code)
	}
	h.buf = append(append(h.buf[:0], 0), code...)
	return h.Text(h.buf)
}

// Words hashes a string value: its folded form and the text as it stands. later tells
// that folded begins at a later word of the text.
func (h *Hasher) Words(folded, exact []byte, later bool) uint64 {
	kind := byte(1)
	if later {
		kind = 2
	}
	h.buf = append(append(h.buf[:0], kind), folded...)
	h.buf = append(append(h.buf, kind), exact...)
	return h.Text(h.buf)
}

// Resource hashes the identity of a resource: the first half of its key in the id
// index (docs/decisions/0002).
func (h *Hasher) Resource(t r4.TypeID, id []byte) uint64 {
	h.buf = append(append(h.buf[:0], r4.TypeAt(t).Name...), '/')
	h.buf = append(h.buf, id...)
	sum := highwayhash.Sum128(h.buf, h.secret)
	return binary.BigEndian.Uint64(sum[:])
}

// Target hashes what a reference points to: a resource, with base 0 when the reference
// is relative and else the hash of what comes before Type/id in its URL; or a URL that
// is of no resource. 0 is a reference that has neither.
func (h *Hasher) Target(p search.ReferenceParts) (target, base uint64) {
	if p.Type == 0 || len(p.ID) == 0 {
		return h.Text(p.URL), 0
	}
	if n := len(p.Type.String()) + 1 + len(p.ID); len(p.URL) > n {
		base = h.Text(p.URL[:len(p.URL)-n])
	}
	return h.Resource(p.Type, p.ID), base
}

// TypeNumber gives the number that rows have for a resource type: like that of a group
// it depends on the name alone. 0 is no type.
func TypeNumber(t r4.TypeID) uint32 { return typeNumbers()[t] }

var typeNumbers = sync.OnceValue(func() map[r4.TypeID]uint32 {
	m := map[r4.TypeID]uint32{}
	for _, t := range r4.ResourceTypes() {
		sum := sha256.Sum256([]byte(t.String()))
		m[t] = binary.BigEndian.Uint32(sum[:])
	}
	return m
})
