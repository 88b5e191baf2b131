package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
)

// # The id index
//
// An id index file answers "which row holds this resource" for one layer. It is
// a sorted array of entries of one size, a bucket table over the leading bits of
// the key and a Bloom filter (docs/formats/ids.md).
//
// Keys are a keyed 128-bit hash of type and id, so they are spread evenly and
// the bucket of a key is found by its leading bits alone: a lookup is one pread
// of some 32 entries. Bulk import asks for every id of its input, and nearly all
// of them are new; the filter answers those from one cache line without a read.
// Both tables are small (1.4 bytes an entry) and stay in memory while a layer is
// open; the entries do not, so memory does not grow with the store.

// ID index layout constants.
const (
	idKeySize     = 24 // key and content hash; the packed fields follow
	idFooterSize  = 64
	idMagic       = "FLIDS\x00\x00\x01"
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
	Updated int64 // meta.lastUpdated, UTC microseconds
}

// IDBounds are the largest values that the entries of an index may have; fields
// get as many bytes as these need, which is what keeps an entry near the size of
// its two hashes.
type IDBounds struct {
	Entries      int64
	FirstSegment uint32 // the smallest ordinal
	LastSegment  uint32
	Row          uint32
	Version      uint32
	Times        uint32 // how many different times
}

// idLayout is the packed form of the fields after the hashes: little-endian
// numbers of 0 to 4 bytes each.
type idLayout struct {
	segmentBase               uint32
	segment, row, version, at uint8 // bytes
}

func (b *IDBounds) layout() idLayout {
	return idLayout{
		segmentBase: b.FirstSegment,
		segment:     bytesFor(b.LastSegment - b.FirstSegment),
		row:         bytesFor(b.Row),
		version:     bytesFor(max(b.Version, 1) - 1),
		at:          bytesFor(max(b.Times, 1) - 1),
	}
}

func bytesFor(v uint32) uint8 { return uint8((bits.Len32(v) + 7) / 8) }

// size is the length of an entry in bytes.
func (l *idLayout) size() int { return idKeySize + int(l.segment+l.row+l.version+l.at) }

func appendPacked(b []byte, v uint32, n uint8) []byte {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func packed(b []byte, n uint8) (v uint32, rest []byte) {
	for i := range n {
		v |= uint32(b[i]) << (8 * i)
	}
	return v, b[n:]
}

// IDWriter writes the id index of one layer. Entries come sorted by key, each
// key once. It belongs to one goroutine.
type IDWriter struct {
	w       *FileWriter
	layout  idLayout
	limit   IDBounds
	filter  []byte
	buckets []uint32
	shift   uint // key[0] >> shift is the bucket; 64 when there is one bucket
	n       uint32
	last    Key
	times   map[int64]uint32
	order   []int64
	lastAt  int64 // the time of the last entry, and its index
	lastNo  uint32
	buf     []byte // entries that wait to be written
}

// idWriteSize is how many bytes of entries are handed on at once.
const idWriteSize = 32 << 10

// CreateIDs starts the index file at rel below dir for entries within bounds.
func CreateIDs(dir, rel string, bounds IDBounds, into *File) (*IDWriter, error) {
	limit := bounds.Entries
	if limit >= 1<<32-1 {
		return nil, fmt.Errorf("create id index: %d entries do not fit one layer", limit)
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
		shift: 64 - lead, buckets: make([]uint32, 1<<lead+1), times: map[int64]uint32{},
	}
	if size := (limit*idFilterBits/8/idFilterBlock + 1) * idFilterBlock; size <= idMaxFilter {
		x.filter = make([]byte, size)
	}
	return x, nil
}

// Add appends one entry.
func (x *IDWriter) Add(e *Entry) error {
	if x.n > 0 && !x.last.Less(e.Key) {
		return errors.New("id index: entries out of order")
	}
	if l := &x.limit; e.Address.Segment < l.FirstSegment || e.Address.Segment > l.LastSegment || e.Address.Row > l.Row ||
		e.Version == 0 || e.Version > l.Version || int64(x.n) == l.Entries {
		return fmt.Errorf("id index: an entry is out of bounds: row %d of segment %d, version %d", e.Address.Row, e.Address.Segment, e.Version)
	}
	x.last = e.Key
	t, err := x.timeIndex(e.Updated)
	if err != nil {
		return err
	}
	x.buckets[e.Key[0]>>x.shift+1]++
	if x.filter != nil {
		filterAdd(x.filter, e.Key)
	}
	b := binary.BigEndian.AppendUint64(x.buf, e.Key[0])
	b = binary.BigEndian.AppendUint64(b, e.Key[1])
	b = binary.LittleEndian.AppendUint64(b, e.Content)
	b = appendPacked(b, e.Address.Segment-x.layout.segmentBase, x.layout.segment)
	b = appendPacked(b, e.Address.Row, x.layout.row)
	b = appendPacked(b, e.Version-1, x.layout.version)
	b = appendPacked(b, t, x.layout.at)
	x.n++
	if x.buf = b; len(b) < idWriteSize {
		return nil
	}
	return x.flush()
}

func (x *IDWriter) flush() error {
	_, err := x.w.Write(x.buf)
	x.buf = x.buf[:0]
	return err
}

// timeIndex gives the place of a time in the table of times. Entries of one job
// have one time, so it is nearly always that of the last entry.
func (x *IDWriter) timeIndex(at int64) (uint32, error) {
	if at == x.lastAt && len(x.order) > 0 {
		return x.lastNo, nil
	}
	t, ok := x.times[at]
	if !ok {
		if t = uint32(len(x.order)); t >= max(x.limit.Times, 1) {
			return 0, fmt.Errorf("id index: more than %d different times", x.limit.Times)
		}
		x.times[at] = t
		x.order = append(x.order, at)
	}
	x.lastAt, x.lastNo = at, t
	return t, nil
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
	b := make([]byte, 0, 4*len(x.buckets)+8*len(x.order))
	for _, n := range x.buckets {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for _, t := range x.order {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	foot := make([]byte, 0, idFooterSize)
	foot = binary.LittleEndian.AppendUint64(foot, uint64(x.n))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(x.filter)))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(x.buckets)))
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(x.order)))
	l := &x.layout
	foot = binary.LittleEndian.AppendUint32(foot, l.segmentBase)
	foot = append(foot, l.segment, l.row, l.version, l.at)
	foot = append(foot[:idFooterSize-len(idMagic)], idMagic...)
	for _, p := range [][]byte{x.filter, b, foot} {
		if _, err := x.w.Write(p); err != nil {
			x.w.Abort()
			return fmt.Errorf("write id index: %w", err)
		}
	}
	return x.w.Close()
}

// Abort leaves no file.
func (x *IDWriter) Abort() { x.w.Abort() }

// filterAdd and filterHas use one cache line for a key: the line by the second
// half of the key, and in it one bit in each of its eight words.
func filterAdd(f []byte, k Key) {
	blk := f[filterBlock(f, k):]
	h := k[0] * 0x9E3779B97F4A7C15
	for i := range 8 {
		bit := h >> (58 - 6*i) & 63
		blk[i*8+int(bit>>3)] |= 1 << (bit & 7)
	}
}

func filterHas(f []byte, k Key) bool {
	blk := f[filterBlock(f, k):]
	h := k[0] * 0x9E3779B97F4A7C15
	for i := range 8 {
		bit := h >> (58 - 6*i) & 63
		if blk[i*8+int(bit>>3)]&(1<<(bit&7)) == 0 {
			return false
		}
	}
	return true
}

func filterBlock(f []byte, k Key) int {
	hi := k[1] >> 32 * uint64(len(f)/idFilterBlock) >> 32
	return int(hi) * idFilterBlock
}

// IDs is an open id index file. It is safe for concurrent use.
type IDs struct {
	f       *os.File
	name    string
	layout  idLayout
	n       uint32
	shift   uint
	filter  []byte
	buckets []uint32
	times   []int64
}

// OpenIDs opens the index file rel of the data store in dir. What its footer
// says is checked against the size of the file; its checksum is fsck's work.
func OpenIDs(dir, rel string) (*IDs, error) {
	name := filepath.Join(dir, filepath.FromSlash(rel))
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open id index: %w", err)
	}
	x := &IDs{f: f, name: rel}
	if err := x.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("open id index %s: %w", rel, err)
	}
	return x, nil
}

func (x *IDs) load() error {
	st, err := x.f.Stat()
	if err != nil {
		return err
	}
	foot := make([]byte, idFooterSize)
	if _, err := x.f.ReadAt(foot, st.Size()-idFooterSize); err != nil || !bytes.HasSuffix(foot, []byte(idMagic)) {
		return errors.New("not an id index: the footer is missing")
	}
	n := binary.LittleEndian.Uint64(foot)
	filter := binary.LittleEndian.Uint64(foot[8:])
	buckets := binary.LittleEndian.Uint64(foot[16:])
	times := binary.LittleEndian.Uint64(foot[24:])
	x.layout = idLayout{binary.LittleEndian.Uint32(foot[32:]), foot[36], foot[37], foot[38], foot[39]}
	sane := n < 1<<32 && filter <= idMaxFilter && filter%idFilterBlock == 0 && buckets <= idMaxBuckets+1 && times <= n &&
		max(x.layout.segment, x.layout.row, x.layout.version, x.layout.at) <= 4
	if !sane || int64(n)*int64(x.layout.size())+int64(filter+4*buckets+8*times+idFooterSize) != st.Size() {
		return fmt.Errorf("the footer does not fit the file's %d bytes", st.Size())
	}
	b := make([]byte, filter+4*buckets+8*times)
	if _, err := x.f.ReadAt(b, int64(n)*int64(x.layout.size())); err != nil {
		return err
	}
	x.n, x.filter, b = uint32(n), b[:filter:filter], b[filter:]
	x.buckets = make([]uint32, buckets)
	for i := range x.buckets {
		x.buckets[i] = binary.LittleEndian.Uint32(b[4*i:])
		if i > 0 && x.buckets[i] < x.buckets[i-1] {
			return errors.New("the bucket table is out of order")
		}
	}
	if last := len(x.buckets) - 1; last < 1 || last&(last-1) != 0 || uint64(x.buckets[last]) != n {
		return errors.New("the bucket table does not cover the entries")
	}
	x.shift = 64
	for i := len(x.buckets) - 1; i > 1; i /= 2 {
		x.shift--
	}
	b = b[4*buckets:]
	for i := range int(times) {
		x.times = append(x.times, int64(binary.LittleEndian.Uint64(b[8*i:])))
	}
	return nil
}

// Len is the number of entries.
func (x *IDs) Len() int64 { return int64(x.n) }

// Close releases the file.
func (x *IDs) Close() error { return x.f.Close() }

// Lookup finds the entry of a key. buf is scratch space of the caller.
func (x *IDs) Lookup(k Key, buf *[]byte) (Entry, bool, error) {
	if len(x.filter) > 0 && !filterHas(x.filter, k) {
		return Entry{}, false, nil
	}
	return x.find(k, buf)
}

// find is Lookup for a key that the filter lets through.
func (x *IDs) find(k Key, buf *[]byte) (Entry, bool, error) {
	i := k[0] >> x.shift
	lo, hi := x.buckets[i], x.buckets[i+1]
	if lo == hi {
		return Entry{}, false, nil
	}
	b, err := x.read(lo, hi, buf)
	if err != nil {
		return Entry{}, false, err
	}
	for size := x.layout.size(); len(b) > 0; b = b[size:] {
		if binary.BigEndian.Uint64(b) == k[0] && binary.BigEndian.Uint64(b[8:]) == k[1] {
			e, err := x.decode(b)
			return e, err == nil, err
		}
	}
	return Entry{}, false, nil
}

func (x *IDs) read(lo, hi uint32, buf *[]byte) ([]byte, error) {
	size := x.layout.size()
	n := int(hi-lo) * size
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	if _, err := x.f.ReadAt(b, int64(lo)*int64(size)); err != nil {
		return nil, fmt.Errorf("read id index %s: %w", x.name, err)
	}
	return b, nil
}

func (x *IDs) decode(b []byte) (Entry, error) {
	e := Entry{
		Key:     Key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])},
		Content: binary.LittleEndian.Uint64(b[16:]),
	}
	b = b[idKeySize:]
	e.Address.Segment, b = packed(b, x.layout.segment)
	e.Address.Segment += x.layout.segmentBase
	e.Address.Row, b = packed(b, x.layout.row)
	e.Version, b = packed(b, x.layout.version)
	e.Version++
	t, _ := packed(b, x.layout.at)
	if int(t) >= len(x.times) {
		return Entry{}, fmt.Errorf("id index %s: entry names time %d of %d", x.name, t, len(x.times))
	}
	e.Updated = x.times[t]
	return e, nil
}

// Each calls f for every entry in order, until it returns an error.
func (x *IDs) Each(f func(*Entry) error) error {
	const step = 4096
	var buf []byte
	for lo := uint32(0); lo < x.n; {
		hi := min(lo+step, x.n)
		b, err := x.read(lo, hi, &buf)
		if err != nil {
			return err
		}
		for ; len(b) > 0; b = b[x.layout.size():] {
			e, err := x.decode(b)
			if err != nil {
				return err
			}
			if err := f(&e); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// Index is the id indexes of all layers of a manifest. It is safe for
// concurrent use.
type Index struct{ layers []*IDs } // the newest first

// OpenIndex opens the id indexes that a manifest names.
func OpenIndex(dir string, m *Manifest) (*Index, error) {
	x := &Index{}
	for i := len(m.Layers) - 1; i >= 0; i-- {
		ids, err := OpenIDs(dir, m.Layers[i].IDs.Path)
		if err != nil {
			return nil, errors.Join(err, x.Close())
		}
		x.layers = append(x.layers, ids)
	}
	return x, nil
}

// Close releases the files.
func (x *Index) Close() error {
	var err error
	for _, l := range x.layers {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Empty tells that there is no entry at all.
func (x *Index) Empty() bool { return len(x.layers) == 0 }

// Lookup finds the newest versions of many keys. It belongs to one goroutine and
// keeps its memory.
type Lookup struct {
	index      *Index
	candidates []int32
	buf        []byte
	touched    byte
}

// NewLookup makes a lookup over all layers.
func (x *Index) NewLookup() *Lookup { return &Lookup{index: x} }

// Latest sets entries[i] and found[i] for each key; both have the length of keys.
func (l *Lookup) Latest(keys []Key, entries []Entry, found []bool) error {
	clear(found)
	for _, layer := range l.index.layers {
		l.sift(layer, keys, found)
		for _, i := range l.candidates {
			e, ok, err := layer.find(keys[i], &l.buf)
			if err != nil {
				return err
			}
			if ok {
				entries[i], found[i] = e, true
			}
		}
	}
	return nil
}

// sift lists the keys that a layer may have and no newer one has. A test of the
// filter is a cache miss, and misses overlap only when nothing depends on them:
// so the lines of some keys are touched before any of them is tested.
func (l *Lookup) sift(layer *IDs, keys []Key, found []bool) {
	l.candidates = l.candidates[:0]
	const ahead = 16
	f := layer.filter
	for from := 0; from < len(keys); from += ahead {
		to := min(from+ahead, len(keys))
		if len(f) > 0 {
			for i := from; i < to; i++ {
				l.touched ^= f[filterBlock(f, keys[i])]
			}
		}
		for i := from; i < to; i++ {
			if !found[i] && (len(f) == 0 || filterHas(f, keys[i])) {
				l.candidates = append(l.candidates, int32(i))
			}
		}
	}
}
