package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// # Keys
//
// The first byte of a key is its space; docs/formats/delta.md has the table.
// Types are stored by name, for TypeIDs are generated anew with each model.
// Numbers are big-endian, so that bytes sort as the numbers do. A version's
// number is stored as its complement: the newest version of a resource is the
// first key with the resource's prefix, found by one seek, and the bloom filters
// hold prefixes, so that an id which is not there costs no read.
const (
	spaceVersion = 'v' // type 0 id 0 ^number -> header, JSON, what is beside it
	spaceSeq     = 's' // seq -> change
	spaceType    = 't' // type 0 seq -> nothing
	spaceIdem    = 'i' // idempotency key -> expiry, seq, change
	spaceExpiry  = 'x' // expiry, idempotency key -> nothing
	spaceMeta    = 'm'
)

var (
	keyFormat = []byte("mformat") // uint32
	keyFloor  = []byte("mfloor")  // seq and time of the last entry that was dropped
)

const formatVersion = 1

// maxKey is enough for any key of a version, so that it fits on the stack.
const maxKey = 1 + 64 + 1 + MaxID + 1 + 4

func appendResourcePrefix(dst []byte, t r4.TypeID, id string) []byte {
	dst = append(dst, spaceVersion)
	dst = append(dst, r4.TypeAt(t).Name...)
	dst = append(dst, 0)
	dst = append(dst, id...)
	return append(dst, 0)
}

func appendVersionKey(dst []byte, t r4.TypeID, id string, number uint32) []byte {
	return binary.BigEndian.AppendUint32(appendResourcePrefix(dst, t, id), ^number)
}

// parseVersionKey takes apart a key of spaceVersion. id aliases key.
func parseVersionKey(key []byte) (t r4.TypeID, id []byte, number uint32, err error) {
	name, rest, ok := bytes.Cut(key[1:], []byte{0})
	id, last, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 || len(last) != 4 {
		return 0, nil, 0, fmt.Errorf("%w: a version has a malformed key", ErrCorrupt)
	}
	if t = r4.ResourceTypeByName(name); t == 0 {
		return 0, nil, 0, fmt.Errorf("%w: a version of an unknown resource type", ErrCorrupt)
	}
	return t, id, ^binary.BigEndian.Uint32(last), nil
}

func appendSeqKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceSeq), seq)
}

func appendTypeKey(dst []byte, t r4.TypeID, seq uint64) []byte {
	dst = append(dst, spaceType)
	dst = append(dst, r4.TypeAt(t).Name...)
	dst = append(dst, 0)
	return binary.BigEndian.AppendUint64(dst, seq)
}

// seqOf reads the Seq at the end of a key of spaceSeq or spaceType.
func seqOf(key []byte) (uint64, error) {
	if len(key) < 9 {
		return 0, fmt.Errorf("%w: a commit has a malformed key", ErrCorrupt)
	}
	return binary.BigEndian.Uint64(key[len(key)-8:]), nil
}

func appendIdemKey(dst []byte, key string) []byte {
	return append(append(dst, spaceIdem), key...)
}

func appendExpiryKey(dst []byte, expires int64, key string) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, spaceExpiry), uint64(expires))
	return append(dst, key...)
}

// splitKey gives the length of a key's prefix, for which bloom filters are kept:
// type and id for a version, all of it for any other key. It takes what pebble
// shortens too, which has fewer than two zeros.
func splitKey(key []byte) int {
	if len(key) == 0 || key[0] != spaceVersion {
		return len(key)
	}
	a := bytes.IndexByte(key, 0)
	if a < 0 {
		return len(key)
	}
	b := bytes.IndexByte(key[a+1:], 0)
	if b < 0 {
		return len(key)
	}
	return a + b + 2
}

// comparer orders keys by their bytes. Its name is in every file.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "fhirlake.delta.1"
	c.Split = splitKey
	c.FormatKey = func(key []byte) fmt.Formatter { return hiddenKey(key) }
	return &c
}()

// hiddenKey shows of a key no more than its space: ids are users' data, and
// pebble writes keys into its messages (rule 5).
type hiddenKey []byte

func (k hiddenKey) Format(f fmt.State, _ rune) {
	if len(k) == 0 {
		io.WriteString(f, "(no key)")
		return
	}
	fmt.Fprintf(f, "(a key of space %q)", string(k[:1]))
}
