package ids

import (
	"bufio"
	"container/heap"
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
	cur  entry
	rest []entry
	r    *bufio.Reader
}

// advance loads the next entry; false at the end.
func (c *cursor) advance() (bool, error) {
	if c.r == nil {
		if len(c.rest) == 0 {
			return false, nil
		}
		c.cur, c.rest = c.rest[0], c.rest[1:]
		return true, nil
	}
	var b [entrySize]byte
	if _, err := io.ReadFull(c.r, b[:]); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read id index run: %w", err)
	}
	decode(&b, &c.cur)
	return true, nil
}

// merge gives the entries of all runs in order: a heap of cursors.
type merge struct {
	h   cursors
	out entry
}

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
			m.h = append(m.h, c)
		}
	}
	heap.Init(&m.h)
	return m, nil
}

// next gives the next entry, valid until the following call.
func (m *merge) next() (*entry, bool, error) {
	if len(m.h) == 0 {
		return nil, false, nil
	}
	c := m.h[0]
	m.out = c.cur
	ok, err := c.advance()
	if err != nil {
		return nil, false, err
	}
	if ok {
		heap.Fix(&m.h, 0)
	} else {
		heap.Pop(&m.h)
	}
	return &m.out, true, nil
}

type cursors []*cursor

func (h cursors) Len() int           { return len(h) }
func (h cursors) Less(i, j int) bool { return compareEntries(h[i].cur, h[j].cur) < 0 }
func (h cursors) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *cursors) Push(x any)        { *h = append(*h, x.(*cursor)) }
func (h *cursors) Pop() any {
	old := *h
	c := old[len(old)-1]
	*h = old[:len(old)-1]
	return c
}
