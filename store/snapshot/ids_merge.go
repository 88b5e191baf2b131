package snapshot

import (
	"cmp"
	"slices"
)

// Merge reads the id indexes of some layers together, key by key in rising order. It
// belongs to one goroutine, and reads files of the [Index] that made it.
type Merge struct {
	cursors []*idCursor // the newest layer first
	group   []Entry
}

// mergeBlock is how many entries of a layer are read at once.
const mergeBlock = 4096

// idCursor walks the entries of one layer.
type idCursor struct {
	ids  *IDs
	next uint32 // of the next block
	buf  []byte
	rest []byte // entries of buf that are still to come
	key  Key    // of the first of them
	done bool
}

// Newest gives the index of the n newest layers, Older that of all others. Both share
// the files of x and are not closed.
func (x *Index) Newest(n int) *Index { return &Index{layers: x.layers[:n]} }

// Older is explained at [Index.Newest].
func (x *Index) Older(n int) *Index { return &Index{layers: x.layers[n:]} }

// Merge starts to read all layers.
func (x *Index) Merge() (*Merge, error) { return x.MergeFrom(Key{}) }

// MergeFrom starts to read all layers at a key, or the first one behind it.
func (x *Index) MergeFrom(k Key) (*Merge, error) {
	m := &Merge{}
	for _, ids := range x.layers {
		c := &idCursor{ids: ids, next: ids.buckets[k[0]>>ids.shift]}
		err := c.fill()
		for err == nil && !c.done && c.key.Less(k) {
			err = c.skip()
		}
		if err != nil {
			return nil, err
		}
		m.cursors = append(m.cursors, c)
	}
	return m, nil
}

// Next gives all versions of the next key, the newest first, as [Lookup.Versions] does,
// valid until the next call; nil at the end. A key all versions of which are withdrawn
// is left out.
func (m *Merge) Next() ([]Entry, error) {
	for {
		least := m.least()
		if least == nil {
			return nil, nil
		}
		m.group = m.group[:0]
		key := least.key
		for _, c := range m.cursors {
			for !c.done && c.key == key {
				e, err := c.take()
				if err != nil {
					return nil, err
				}
				m.group = append(m.group, e)
			}
		}
		if m.group = settle(m.group); len(m.group) > 0 {
			return m.group, nil
		}
	}
}

// least gives the cursor with the smallest key; nil when all are at their end.
func (m *Merge) least() (least *idCursor) {
	for _, c := range m.cursors {
		if !c.done && (least == nil || c.key.Less(least.key)) {
			least = c
		}
	}
	return least
}

// take gives the entry at the cursor and goes on to the next one.
func (c *idCursor) take() (Entry, error) {
	e, err := c.ids.decode(c.rest)
	if err != nil {
		return e, err
	}
	return e, c.skip()
}

// skip goes on to the next entry.
func (c *idCursor) skip() error {
	c.rest = c.rest[c.ids.layout.size():]
	return c.fill()
}

// fill sees to it that rest has an entry, if there is one.
func (c *idCursor) fill() (err error) {
	if len(c.rest) == 0 {
		from, to := c.next, min(c.next+mergeBlock, c.ids.n)
		if from == to {
			c.done = true
			return nil
		}
		if c.rest, err = c.ids.read(from, to, &c.buf); err != nil {
			return err
		}
		c.next = to
	}
	c.key = keyOf(c.rest)
	return nil
}

// settle makes of all entries of one key, those of newer layers first, its versions,
// the newest first: where layers have the same number, the newest layer is right, and a
// number that it withdraws is none.
func settle(all []Entry) []Entry {
	if len(all) > 1 {
		slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(b.Version, a.Version) })
		all = slices.CompactFunc(all, func(a, b Entry) bool { return a.Version == b.Version })
	}
	return slices.DeleteFunc(all, func(e Entry) bool { return e.Withdrawn })
}
