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

const entrySize = 56

// run is a sorted sequence of entries, in memory or in a file.
type run struct {
	entries []entry
	name    string
	f       *os.File
}

// spill writes the entries to the run's file.
func (r *run) spill() error {
	if err := os.MkdirAll(filepath.Dir(r.name), 0o755); err != nil {
		return fmt.Errorf("spill id index run: %w", err)
	}
	f, err := os.Create(r.name)
	if err != nil {
		return fmt.Errorf("spill id index run: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	var b [entrySize]byte
	for i := range r.entries {
		encode(&b, &r.entries[i])
		w.Write(b[:]) // the error stays with w
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("spill id index run: %w", err)
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

func (r *run) close() error {
	r.entries = nil
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
	if r.name == "" {
		return nil
	}
	return removeIfThere(r.name)
}

func encode(b *[entrySize]byte, e *entry) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], e.key[0])
	le.PutUint64(b[8:], e.key[1])
	le.PutUint64(b[16:], e.content)
	seq := e.seq << 2
	if e.unchanged {
		seq |= 1
	}
	if e.replaces {
		seq |= 2
	}
	le.PutUint64(b[24:], seq)
	le.PutUint32(b[32:], e.at.Segment)
	le.PutUint32(b[36:], e.at.Row)
	le.PutUint32(b[40:], e.base.Segment)
	le.PutUint32(b[44:], e.base.Row)
	le.PutUint32(b[48:], e.version)
}

func decode(b *[entrySize]byte, e *entry) {
	le := binary.LittleEndian
	seq := le.Uint64(b[24:])
	*e = entry{
		key:       snapshot.Key{le.Uint64(b[0:]), le.Uint64(b[8:])},
		content:   le.Uint64(b[16:]),
		seq:       seq >> 2,
		at:        snapshot.Address{Segment: le.Uint32(b[32:]), Row: le.Uint32(b[36:])},
		base:      snapshot.Address{Segment: le.Uint32(b[40:]), Row: le.Uint32(b[44:])},
		version:   le.Uint32(b[48:]),
		unchanged: seq&1 != 0,
		replaces:  seq&2 != 0,
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

func newMerge(runs []*run) (*merge, error) {
	m := &merge{}
	for _, r := range runs {
		c := &cursor{rest: r.entries}
		if r.name != "" {
			f, err := os.Open(r.name)
			if err != nil {
				return nil, fmt.Errorf("read id index run: %w", err)
			}
			r.f = f
			c.r = bufio.NewReaderSize(f, 64<<10)
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
