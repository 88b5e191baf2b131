package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"
)

// # The id index
//
// An id index file answers "which rows hold the versions of this resource" for one
// layer. It is a sorted array of entries of one size, a bucket table over the
// leading bits of the key and a Bloom filter (docs/formats/ids.md). Entries of one
// key stand together, the newest version first.
//
// Keys are a keyed 128-bit hash of type and id, so they are spread evenly and
// the bucket of a key is found by its leading bits alone: a lookup is one pread
// of some 32 entries. Bulk import asks for every id of its input, and nearly all
// of them are new; the filter answers those from one cache line without a read.
// Both tables are small (1.4 bytes an entry) and stay in memory while a layer is
// open; the entries do not, so memory does not grow with the store.
//
// Whatever is read is compared with a checksum first: an entry that the disk changed
// would say that a resource is not there, or that it is another version. A block of
// entries, which is about a bucket, has one, so that a lookup checks what it reads and
// no more.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ID index layout constants.
const (
	idKeySize     = 24 // key and content hash; the packed fields follow
	idFooterSize  = 64
	idMagic1      = "FLIDS\x00\x00\x01"
	idMagic2      = "FLIDS\x00\x00\x02"
	idMagic       = "FLIDS\x00\x00\x03"
	idFooterSums  = 44      // where the footer has the sums of tables and footer
	idBlock       = 32      // entries that share a checksum
	idBucketFill  = 32      // mean entries of a bucket
	idMaxBuckets  = 1 << 22 // 16 MiB of table at most
	idFilterBits  = 10      // bits of filter an entry: 1 % false positives
	idMaxFilter   = 64 << 20
	idFilterBlock = 64 // bytes: one cache line
)

// Key is the keyed 128-bit hash of a resource type and logical id.
type Key [2]uint64

// Less orders keys as the index does.
func (k Key) Less(o Key) bool { return k[0] < o[0] || k[0] == o[0] && k[1] < o[1] }

// Address is the place of a row: a segment's ordinal and the row in it.
type Address struct{ Segment, Row uint32 }

// Entry is what the index knows of one version of one resource.
type Entry struct {
	Key     Key
	Content uint64 // keyed hash of the received resource
	Address Address
	Version uint32
	Updated int64 // meta.lastUpdated, UTC microseconds, whole milliseconds
	// Deleted says that the version is a deletion: its row has type, id and meta
	// alone and is never current.
	Deleted bool
	// Withdrawn says that there is no version of this number, whatever older layers
	// have: an import that ran beside other writes gave it and then took another.
	// Address and Content mean nothing. See [Lookup.Versions].
	Withdrawn bool
}

// The flags of an entry, as they are packed.
const (
	flagDeleted = 1 << iota
	flagWithdrawn
	knownFlags = flagDeleted | flagWithdrawn
)

func (e *Entry) flags() (f uint32) {
	if e.Deleted {
		f |= flagDeleted
	}
	if e.Withdrawn {
		f |= flagWithdrawn
	}
	return f
}

// IDBounds are the bounds of the entries that an index may have; fields get as
// many bytes as these need, which is what keeps an entry near the size of its two
// hashes.
type IDBounds struct {
	Entries      int64
	FirstSegment uint32 // the smallest ordinal
	LastSegment  uint32
	Row          uint32 // the largest
	Version      uint32 // the largest
	FirstUpdated int64  // the earliest time; UTC microseconds, whole milliseconds
	LastUpdated  int64
	Flags        bool // an entry may be a deletion or withdrawn
}

// idLayout is the packed form of the fields after the hashes: little-endian
// numbers, each of as many bytes as the largest one needs.
type idLayout struct {
	segmentBase                      uint32
	first                            int64 // time that is written as 0
	segment, row, version, at, flags uint8 // bytes
}

const microsPerMilli = 1000

func (b *IDBounds) layout() idLayout {
	l := idLayout{
		segmentBase: b.FirstSegment,
		first:       b.FirstUpdated,
		segment:     bytesFor(uint64(b.LastSegment - b.FirstSegment)),
		row:         bytesFor(uint64(b.Row)),
		version:     bytesFor(uint64(max(b.Version, 1) - 1)),
		at:          bytesFor(uint64(b.LastUpdated-b.FirstUpdated) / microsPerMilli),
	}
	if b.Flags {
		l.flags = 1
	}
	return l
}

func bytesFor(v uint64) uint8 { return uint8((bits.Len64(v) + 7) / 8) }

// size is the length of an entry in bytes.
func (l *idLayout) size() int {
	return idKeySize + int(l.segment+l.row+l.version+l.at+l.flags)
}

func appendPacked(b []byte, v uint64, n uint8) []byte {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func packed(b []byte, n uint8) (v uint64, rest []byte) {
	for i := range n {
		v |= uint64(b[i]) << (8 * i)
	}
	return v, b[n:]
}

// IDWriter writes the id index of one layer. Entries come sorted by key, those of
// one key with falling version. It belongs to one goroutine.
type IDWriter struct {
	w       *FileWriter
	layout  idLayout
	limit   IDBounds
	filter  []byte
	buckets []uint32
	shift   uint // key[0] >> shift is the bucket; 64 when there is one bucket
	n       uint32
	last    Entry
	buf     []byte // entries that wait to be written
	sums    []byte // of the blocks that are written
}

// idWriteSize is how many entries are handed on at once: whole blocks.
const idWriteSize = 32 * idBlock

// CreateIDs starts the index file at rel below dir for entries within bounds.
func CreateIDs(dir, rel string, bounds IDBounds, into *File) (*IDWriter, error) {
	limit := bounds.Entries
	if limit >= 1<<32-1 {
		return nil, fmt.Errorf("create id index: %d entries do not fit one layer", limit)
	}
	if bounds.FirstUpdated%microsPerMilli != 0 || bounds.LastUpdated < bounds.FirstUpdated {
		return nil, fmt.Errorf("create id index: times from %d to %d are no range of milliseconds", bounds.FirstUpdated, bounds.LastUpdated)
	}
	w, err := CreateFile(dir, rel, into)
	if err != nil {
		return nil, err
	}
	lead := uint(0)
	for n := 1; int64(n)*idBucketFill < limit && n < idMaxBuckets; n *= 2 {
		lead++
	}
	x := &IDWriter{
		w: w, layout: bounds.layout(), limit: bounds,
		shift: 64 - lead, buckets: make([]uint32, 1<<lead+1),
	}
	if size := (limit*idFilterBits/8/idFilterBlock + 1) * idFilterBlock; size <= idMaxFilter {
		x.filter = make([]byte, size)
	}
	return x, nil
}

// Add appends one entry.
func (x *IDWriter) Add(e *Entry) error {
	if x.n > 0 && !x.last.Key.Less(e.Key) && (x.last.Key != e.Key || x.last.Version <= e.Version) {
		return errors.New("id index: entries out of order")
	}
	if !x.fits(e) {
		return fmt.Errorf("id index: an entry is out of bounds: row %d of segment %d, version %d, time %d",
			e.Address.Row, e.Address.Segment, e.Version, e.Updated)
	}
	x.buckets[e.Key[0]>>x.shift+1]++
	if x.filter != nil && (x.n == 0 || x.last.Key != e.Key) {
		filterAdd(x.filter, e.Key)
	}
	x.last = *e
	l := &x.layout
	b := binary.BigEndian.AppendUint64(x.buf, e.Key[0])
	b = binary.BigEndian.AppendUint64(b, e.Key[1])
	b = binary.LittleEndian.AppendUint64(b, e.Content)
	b = appendPacked(b, uint64(e.Address.Segment-l.segmentBase), l.segment)
	b = appendPacked(b, uint64(e.Address.Row), l.row)
	b = appendPacked(b, uint64(e.Version-1), l.version)
	b = appendPacked(b, uint64(e.Updated-l.first)/microsPerMilli, l.at)
	b = appendPacked(b, uint64(e.flags()), l.flags)
	x.n++
	if x.buf = b; x.n%idWriteSize > 0 {
		return nil
	}
	return x.flush()
}

func (x *IDWriter) fits(e *Entry) bool {
	l := &x.limit
	return e.Address.Segment >= l.FirstSegment && e.Address.Segment <= l.LastSegment && e.Address.Row <= l.Row &&
		e.Version > 0 && e.Version <= l.Version && int64(x.n) < l.Entries &&
		e.Updated >= l.FirstUpdated && e.Updated <= l.LastUpdated && e.Updated%microsPerMilli == 0 &&
		(l.Flags || e.flags() == 0)
}

func (x *IDWriter) flush() error {
	for block := range slices.Chunk(x.buf, idBlock*x.layout.size()) {
		x.sums = binary.LittleEndian.AppendUint32(x.sums, crc32.Checksum(block, castagnoli))
	}
	_, err := x.w.Write(x.buf)
	x.buf = x.buf[:0]
	return err
}

// Close writes the tables and the footer, and syncs the file.
func (x *IDWriter) Close() error {
	if err := x.flush(); err != nil {
		x.w.Abort()
		return fmt.Errorf("write id index: %w", err)
	}
	for i := 1; i < len(x.buckets); i++ {
		x.buckets[i] += x.buckets[i-1]
	}
	b := make([]byte, 0, 4*len(x.buckets))
	for _, n := range x.buckets {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	l := &x.layout
	foot := make([]byte, 0, idFooterSize)
	foot = binary.LittleEndian.AppendUint64(foot, uint64(x.n))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(x.filter)))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(x.buckets)))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(l.first))
	foot = binary.LittleEndian.AppendUint32(foot, l.segmentBase)
	foot = append(foot, l.segment, l.row, l.version, l.at, l.flags)
	b = append(b, x.sums...)
	foot = binary.LittleEndian.AppendUint32(foot[:idFooterSums], tableSum(x.filter, b))
	foot = binary.LittleEndian.AppendUint32(foot, crc32.Checksum(foot, castagnoli))
	foot = append(foot[:idFooterSize-len(idMagic)], idMagic...)
	for _, p := range [][]byte{x.filter, b, foot} {
		if _, err := x.w.Write(p); err != nil {
			x.w.Abort()
			return fmt.Errorf("write id index: %w", err)
		}
	}
	return x.w.Close()
}

// tableSum is the checksum of what stands between entries and footer.
func tableSum(filter, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(filter, castagnoli), castagnoli, rest)
}

// Abort leaves no file.
func (x *IDWriter) Abort() { x.w.Abort() }
