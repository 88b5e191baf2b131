package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// # The id index
//
// An id index file answers "which row holds this resource" for one layer. It is
// a sorted array of fixed-size entries, a bucket table over the leading bits of
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
	idEntrySize   = 40
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

// IDWriter writes the id index of one layer. Entries come sorted by key, each
// key once. It belongs to one goroutine.
type IDWriter struct {
	w       *FileWriter
	filter  []byte
	buckets []uint32
	shift   uint // key[0] >> shift is the bucket; 64 when there is one bucket
	n       uint32
	last    Key
	times   map[int64]uint32
	order   []int64
	buf     []byte
}

// CreateIDs starts the index file at rel below dir for at most limit entries.
func CreateIDs(dir, rel string, limit int64, into *File) (*IDWriter, error) {
	if limit >= 1<<32-1 {
		return nil, fmt.Errorf("create id index: %d entries do not fit one layer", limit)
	}
	w, err := CreateFile(dir, rel, into)
	if err != nil {
		return nil, err
	}
	bits := uint(0)
	for n := 1; int64(n)*idBucketFill < limit && n < idMaxBuckets; n *= 2 {
		bits++
	}
	x := &IDWriter{w: w, shift: 64 - bits, buckets: make([]uint32, 1<<bits+1), times: map[int64]uint32{}}
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
	x.last = e.Key
	t, ok := x.times[e.Updated]
	if !ok {
		t = uint32(len(x.order))
		x.times[e.Updated] = t
		x.order = append(x.order, e.Updated)
	}
	x.buckets[e.Key[0]>>x.shift+1]++
	if x.filter != nil {
		filterAdd(x.filter, e.Key)
	}
	b := x.buf[:0]
	b = binary.BigEndian.AppendUint64(b, e.Key[0])
	b = binary.BigEndian.AppendUint64(b, e.Key[1])
	b = binary.LittleEndian.AppendUint64(b, e.Content)
	b = binary.LittleEndian.AppendUint32(b, e.Address.Segment)
	b = binary.LittleEndian.AppendUint32(b, e.Address.Row)
	b = binary.LittleEndian.AppendUint32(b, e.Version)
	b = binary.LittleEndian.AppendUint32(b, t)
	x.buf = b
	x.n++
	_, err := x.w.Write(b)
	return err
}

// Close writes the tables and the footer, and syncs the file.
func (x *IDWriter) Close() error {
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
	sane := n < 1<<32 && filter <= idMaxFilter && buckets <= idMaxBuckets+1 && times <= n
	if !sane || int64(n*idEntrySize+filter+4*buckets+8*times+idFooterSize) != st.Size() {
		return fmt.Errorf("the footer does not fit the file's %d bytes", st.Size())
	}
	b := make([]byte, filter+4*buckets+8*times)
	if _, err := x.f.ReadAt(b, int64(n)*idEntrySize); err != nil {
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
	i := k[0] >> x.shift
	lo, hi := x.buckets[i], x.buckets[i+1]
	if lo == hi {
		return Entry{}, false, nil
	}
	b, err := x.read(lo, hi, buf)
	if err != nil {
		return Entry{}, false, err
	}
	for p := 0; p < len(b); p += idEntrySize {
		if binary.BigEndian.Uint64(b[p:]) == k[0] && binary.BigEndian.Uint64(b[p+8:]) == k[1] {
			e, err := x.decode(b[p:])
			return e, err == nil, err
		}
	}
	return Entry{}, false, nil
}

func (x *IDs) read(lo, hi uint32, buf *[]byte) ([]byte, error) {
	n := int(hi-lo) * idEntrySize
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	if _, err := x.f.ReadAt(b, int64(lo)*idEntrySize); err != nil {
		return nil, fmt.Errorf("read id index %s: %w", x.name, err)
	}
	return b, nil
}

func (x *IDs) decode(b []byte) (Entry, error) {
	t := binary.LittleEndian.Uint32(b[36:])
	if int(t) >= len(x.times) {
		return Entry{}, fmt.Errorf("id index %s: entry names time %d of %d", x.name, t, len(x.times))
	}
	return Entry{
		Key:     Key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])},
		Content: binary.LittleEndian.Uint64(b[16:]),
		Address: Address{binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint32(b[28:])},
		Version: binary.LittleEndian.Uint32(b[32:]),
		Updated: x.times[t],
	}, nil
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
		for ; len(b) > 0; b = b[idEntrySize:] {
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

// Latest finds the newest version of a key. buf is scratch space of the caller.
func (x *Index) Latest(k Key, buf *[]byte) (Entry, bool, error) {
	for _, l := range x.layers {
		if e, ok, err := l.Lookup(k, buf); ok || err != nil {
			return e, ok, err
		}
	}
	return Entry{}, false, nil
}
