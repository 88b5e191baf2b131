package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
)

// IDs is an open id index file. It is safe for concurrent use.
type IDs struct {
	f       *os.File
	name    string
	layout  idLayout
	n       uint32
	shift   uint
	filter  []byte
	buckets []uint32
	users   atomic.Int32
	sums    []byte  // of the blocks of entries; nil before version 3
	times   []int64 // version 1 of the format has a table of times; nil since
}

// OpenIDs opens the index file rel of the data store in dir. Its tables and footer are
// checked, and entries when they are read; before version 3 of the format only that
// the footer fits the size of the file.
func OpenIDs(dir, rel string) (*IDs, error) {
	name := filepath.Join(dir, filepath.FromSlash(rel))
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open id index: %w", err)
	}
	x := &IDs{f: f, name: rel}
	x.users.Store(1)
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
	if _, err := x.f.ReadAt(foot, st.Size()-idFooterSize); err != nil {
		return errors.New("not an id index: the footer is missing")
	}
	first, summed := bytes.HasSuffix(foot, []byte(idMagic1)), bytes.HasSuffix(foot, []byte(idMagic))
	if !first && !summed && !bytes.HasSuffix(foot, []byte(idMagic2)) {
		return errors.New("not an id index: the footer is missing")
	}
	if at := idFooterSums + 4; summed && binary.LittleEndian.Uint32(foot[at:]) != crc32.Checksum(foot[:at], castagnoli) {
		return errors.New("the footer has another checksum than it says")
	}
	n := binary.LittleEndian.Uint64(foot)
	filter := binary.LittleEndian.Uint64(foot[8:])
	buckets := binary.LittleEndian.Uint64(foot[16:])
	l := idLayout{
		segmentBase: binary.LittleEndian.Uint32(foot[32:]),
		segment:     foot[36], row: foot[37], version: foot[38], at: foot[39], flags: foot[40],
	}
	times, maxAt := uint64(0), uint8(6)
	if first {
		times, maxAt, l.flags = binary.LittleEndian.Uint64(foot[24:]), 4, 0
	} else {
		l.first = int64(binary.LittleEndian.Uint64(foot[24:]))
	}
	x.layout = l
	sums := uint64(0)
	if summed {
		sums = (n + idBlock - 1) / idBlock
	}
	sane := n < 1<<32 && filter <= idMaxFilter && filter%idFilterBlock == 0 && buckets <= idMaxBuckets+1 && times <= n &&
		max(l.segment, l.row, l.version) <= 4 && l.at <= maxAt && l.flags <= 1
	if !sane || int64(n)*int64(l.size())+int64(filter+4*buckets+4*sums+8*times+idFooterSize) != st.Size() {
		return fmt.Errorf("the footer does not fit the file's %d bytes", st.Size())
	}
	b := make([]byte, filter+4*buckets+4*sums+8*times)
	if _, err := x.f.ReadAt(b, int64(n)*int64(l.size())); err != nil {
		return err
	}
	if summed && crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(foot[idFooterSums:]) {
		return errors.New("the tables have another checksum than the footer says")
	}
	x.n, x.filter, b = uint32(n), b[:filter:filter], b[filter:]
	if summed {
		x.sums = b[4*buckets:]
	}
	if err := x.loadBuckets(b[:4*buckets]); err != nil {
		return err
	}
	if first {
		x.times = make([]int64, 0, times)
		for b = b[4*buckets:]; len(b) > 0; b = b[8:] {
			x.times = append(x.times, int64(binary.LittleEndian.Uint64(b)))
		}
	}
	return nil
}

func (x *IDs) loadBuckets(b []byte) error {
	x.buckets = make([]uint32, len(b)/4)
	for i := range x.buckets {
		x.buckets[i] = binary.LittleEndian.Uint32(b[4*i:])
		if i > 0 && x.buckets[i] < x.buckets[i-1] {
			return errors.New("the bucket table is out of order")
		}
	}
	if last := len(x.buckets) - 1; last < 1 || last&(last-1) != 0 || x.buckets[last] != x.n {
		return errors.New("the bucket table does not cover the entries")
	}
	x.shift = 64
	for i := len(x.buckets) - 1; i > 1; i /= 2 {
		x.shift--
	}
	return nil
}

// Len is the number of entries.
func (x *IDs) Len() int64 { return int64(x.n) }

// Close releases the file, unless another [Index] uses it still.
func (x *IDs) Close() error {
	if x.users.Add(-1) > 0 {
		return nil
	}
	return x.f.Close()
}

// Lookup finds the newest entry of a key. buf is scratch space of the caller.
func (x *IDs) Lookup(k Key, buf *[]byte) (Entry, bool, error) {
	if !x.mayHave(k) {
		return Entry{}, false, nil
	}
	return x.find(k, buf)
}

func (x *IDs) mayHave(k Key) bool { return len(x.filter) == 0 || filterHas(x.filter, k) }

// find is Lookup for a key that the filter lets through.
func (x *IDs) find(k Key, buf *[]byte) (Entry, bool, error) {
	var found Entry
	ok := false
	err := x.each(k, buf, func(e *Entry) bool {
		found, ok = *e, true
		return false
	})
	return found, ok, err
}

// searchStep is how many entries of a bucket are read at once. A bucket has some 32;
// one with many versions of one resource may have any number.
const searchStep = 128

// each calls f for the entries of a key, the newest first, until it returns false.
func (x *IDs) each(k Key, buf *[]byte, f func(*Entry) bool) error {
	i := k[0] >> x.shift
	lo, hi := x.buckets[i], x.buckets[i+1]
	for hi-lo > searchStep { // find the step in which the key begins
		mid := lo + (hi-lo)/2
		b, err := x.read(mid, mid+1, buf)
		if err != nil {
			return err
		}
		if keyOf(b).Less(k) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	// It begins at lo to hi, and goes on to the end of the bucket at most.
	for end := x.buckets[i+1]; lo < end; {
		b, err := x.read(lo, min(lo+searchStep, end), buf)
		if err != nil {
			return err
		}
		lo = min(lo+searchStep, end)
		for size := x.layout.size(); len(b) > 0; b = b[size:] {
			switch at := keyOf(b); {
			case at == k:
				e, err := x.decode(b)
				if err != nil {
					return err
				}
				if !f(&e) {
					return nil
				}
			case k.Less(at):
				return nil
			}
		}
	}
	return nil
}

// read gives the entries from lo to hi, with whose whole blocks it compares the
// checksums.
func (x *IDs) read(lo, hi uint32, buf *[]byte) ([]byte, error) {
	size := x.layout.size()
	from, to := lo, hi
	if x.sums != nil {
		from, to = lo/idBlock*idBlock, min((hi+idBlock-1)/idBlock*idBlock, x.n)
	}
	n := int(to-from) * size
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	if _, err := x.f.ReadAt(b, int64(from)*int64(size)); err != nil {
		return nil, fmt.Errorf("read id index %s: %w", x.name, err)
	}
	if x.sums != nil {
		sums := x.sums[from/idBlock*4:]
		for block := range slices.Chunk(b, idBlock*size) {
			if crc32.Checksum(block, castagnoli) != binary.LittleEndian.Uint32(sums) {
				return nil, fmt.Errorf("read id index %s: entries near %d have another checksum than the file says", x.name, lo)
			}
			sums = sums[4:]
		}
	}
	return b[int(lo-from)*size : int(hi-from)*size], nil
}

func keyOf(b []byte) Key { return Key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])} }

func (x *IDs) decode(b []byte) (Entry, error) {
	l := &x.layout
	e := Entry{Key: keyOf(b), Content: binary.LittleEndian.Uint64(b[16:])}
	b = b[idKeySize:]
	segment, b := packed(b, l.segment)
	row, b := packed(b, l.row)
	version, b := packed(b, l.version)
	at, b := packed(b, l.at)
	flags, _ := packed(b, l.flags)
	if flags&^knownFlags != 0 || version == 1<<32-1 {
		return Entry{}, fmt.Errorf("id index %s: an entry has version %d and flags %#x", x.name, version+1, flags)
	}
	e.Address = Address{l.segmentBase + uint32(segment), uint32(row)}
	e.Version = uint32(version) + 1
	e.Deleted, e.Withdrawn = flags&flagDeleted != 0, flags&flagWithdrawn != 0
	switch {
	case x.times == nil:
		e.Updated = l.first + int64(at)*microsPerMilli
	case at < uint64(len(x.times)):
		e.Updated = x.times[at]
	default:
		return Entry{}, fmt.Errorf("id index %s: entry names time %d of %d", x.name, at, len(x.times))
	}
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
