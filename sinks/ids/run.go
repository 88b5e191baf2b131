package ids

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

const (
	entrySize   = 60 // in the spill file
	entryMemory = 80
)

// run is a sorted sequence of entries, in memory or in the spill file.
type run struct {
	entries []entry
	spilled bool
	at      int64 // where it begins in the file
	n       int   // entries
}

// spillFile holds the runs that are not in memory, one after the other. Each has
// its place before it is written, so workers write at the same time.
type spillFile struct {
	name string
	f    *os.File
	end  int64
}

// place makes room for a run of n entries. The first one makes the file.
func (s *spillFile) place(n int) (at int64, err error) {
	if s.f == nil {
		if err := os.MkdirAll(filepath.Dir(s.name), 0o755); err != nil {
			return 0, fmt.Errorf("spill id index runs: %w", err)
		}
		if s.f, err = os.Create(s.name); err != nil {
			return 0, fmt.Errorf("spill id index runs: %w", err)
		}
	}
	at = s.end
	s.end += int64(n) * entrySize
	return at, nil
}

// write writes the entries of a run to its place.
func (s *spillFile) write(r *run) error {
	const step = 4096
	buf := make([]byte, 0, step*entrySize)
	for from := 0; from < len(r.entries); from += step {
		buf = buf[:0]
		for i := from; i < min(from+step, len(r.entries)); i++ {
			buf = appendEntry(buf, &r.entries[i])
		}
		if _, err := s.f.WriteAt(buf, r.at+int64(from)*entrySize); err != nil {
			return fmt.Errorf("spill id index runs: %w", err)
		}
	}
	return nil
}

// remove closes and removes the file.
func (s *spillFile) remove() error {
	if s.f == nil {
		return nil
	}
	s.f.Close()
	s.f = nil
	if err := os.Remove(s.name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("spill id index runs: %w", err)
	}
	return nil
}

// Runs are sorted by one distribution over the leading bits of the key, which are
// those of a keyed hash and so spread evenly: some two entries to a bucket, put
// right by insertion. Comparing alone takes seven times as long.
const radixBits = 16

// sortEntries sorts from into to, which has the same length; from is scratch
// afterwards.
func sortEntries(to, from []entry) {
	ends := make([]uint32, 1<<radixBits)
	for i := range from {
		ends[from[i].key[0]>>(64-radixBits)]++
	}
	sum := uint32(0)
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	for i := range from {
		at := &ends[from[i].key[0]>>(64-radixBits)]
		to[*at] = from[i]
		*at++
	}
	start := uint32(0)
	for _, end := range ends {
		sortBucket(to[start:end])
		start = end
	}
}

func sortBucket(b []entry) {
	if len(b) > 16 {
		slices.SortFunc(b, compareEntries)
		return
	}
	for i := 1; i < len(b); i++ {
		for j := i; j > 0 && compareEntries(b[j], b[j-1]) < 0; j-- {
			b[j], b[j-1] = b[j-1], b[j]
		}
	}
}

func appendEntry(b []byte, e *entry) []byte {
	le := binary.LittleEndian
	seq := e.seq << 4
	if e.unchanged {
		seq |= 1
	}
	if e.replaces {
		seq |= 2
	}
	if e.deleted {
		seq |= 4
	}
	if e.derived {
		seq |= 8
	}
	b = le.AppendUint64(b, e.key[0])
	b = le.AppendUint64(b, e.key[1])
	b = le.AppendUint64(b, e.content)
	b = le.AppendUint64(b, seq)
	b = le.AppendUint32(b, e.at.Segment)
	b = le.AppendUint32(b, e.at.Row)
	b = le.AppendUint32(b, e.base.Segment)
	b = le.AppendUint32(b, e.base.Row)
	b = le.AppendUint64(b, uint64(e.updated))
	return le.AppendUint32(b, e.version)
}

func decode(b *[entrySize]byte, e *entry) {
	le := binary.LittleEndian
	seq := le.Uint64(b[24:])
	*e = entry{
		key:       snapshot.Key{le.Uint64(b[0:]), le.Uint64(b[8:])},
		content:   le.Uint64(b[16:]),
		seq:       seq >> 4,
		at:        snapshot.Address{Segment: le.Uint32(b[32:]), Row: le.Uint32(b[36:])},
		base:      snapshot.Address{Segment: le.Uint32(b[40:]), Row: le.Uint32(b[44:])},
		updated:   int64(le.Uint64(b[48:])),
		version:   le.Uint32(b[56:]),
		unchanged: seq&1 != 0,
		replaces:  seq&2 != 0,
		deleted:   seq&4 != 0,
		derived:   seq&8 != 0,
	}
}

// cursor walks one run.
type cursor struct {
	cur  *entry // the entry at the head
	rest []entry
	r    *bufio.Reader
	read entry // what cur points to when the run is in a file
}

// advance goes to the next entry; false at the end.
func (c *cursor) advance() (bool, error) {
	if c.r == nil {
		if len(c.rest) == 0 {
			return false, nil
		}
		c.cur, c.rest = &c.rest[0], c.rest[1:]
		return true, nil
	}
	var b [entrySize]byte
	if _, err := io.ReadFull(c.r, b[:]); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read id index run: %w", err)
	}
	decode(&b, &c.read)
	c.cur = &c.read
	return true, nil
}

// merge gives the entries of all runs in order. It is a heap of cursors, by
// hand: what costs is moving and comparing entries, so only pointers move and
// nearly all comparisons end at the first half of the key.
type merge struct{ heap []*cursor }

// mergeMemory is shared by the buffers of all spilled runs.
const mergeMemory = 16 << 20

func newMerge(runs []*run, spill *spillFile) (*merge, error) {
	m := &merge{}
	size := min(max(mergeMemory/max(len(runs), 1), 4<<10), 64<<10)
	for _, r := range runs {
		c := &cursor{rest: r.entries}
		if r.spilled {
			c.r = bufio.NewReaderSize(io.NewSectionReader(spill.f, r.at, int64(r.n)*entrySize), size)
		}
		ok, err := c.advance()
		if err != nil {
			return nil, err
		}
		if ok {
			m.heap = append(m.heap, c)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

// next copies the next entry to e.
func (m *merge) next(e *entry) (bool, error) {
	if len(m.heap) == 0 {
		return false, nil
	}
	c := m.heap[0]
	*e = *c.cur
	ok, err := c.advance()
	if err != nil {
		return false, err
	}
	if !ok {
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
	}
	m.down(0)
	return true, nil
}

// down puts the cursor at i in its place.
func (m *merge) down(i int) {
	h := m.heap
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && before(h[child+1].cur, h[child].cur) {
			child++
		}
		if !before(h[child].cur, h[i].cur) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

func before(a, b *entry) bool {
	if a.key[0] != b.key[0] {
		return a.key[0] < b.key[0]
	}
	return compareEntries(*a, *b) < 0
}
