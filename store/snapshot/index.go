package snapshot

import "errors"

// Index is the id indexes of all layers of a manifest. It is safe for
// concurrent use.
type Index struct{ layers []*IDs } // the newest first

// OpenIndex opens the id indexes that a manifest names.
func OpenIndex(dir string, m *Manifest) (*Index, error) { return (&Index{}).Next(dir, m) }

// Next opens the id indexes of another manifest of the same data store. Files that x
// has too are not opened again; both must be closed.
func (x *Index) Next(dir string, m *Manifest) (*Index, error) {
	open := map[string]*IDs{}
	for _, ids := range x.layers {
		open[ids.name] = ids
	}
	next := &Index{}
	for i := len(m.Layers) - 1; i >= 0; i-- {
		rel := m.Layers[i].IDs.Path
		if ids := open[rel]; ids != nil {
			ids.users.Add(1)
			next.layers = append(next.layers, ids)
			continue
		}
		ids, err := OpenIDs(dir, rel)
		if err != nil {
			return nil, errors.Join(err, next.Close())
		}
		next.layers = append(next.layers, ids)
	}
	return next, nil
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

// Layers is the number of layers.
func (x *Index) Layers() int { return len(x.layers) }

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

// Latest sets entries[i] and found[i] for each key; both have the length of keys. A
// key whose latest version is a deletion is found, and its entry says so.
//
// The newest layer that has a key has its latest version (invariant 5), so older
// layers are not asked.
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
	for i := range keys {
		if found[i] && entries[i].Withdrawn {
			var err error
			if entries[i], found[i], err = l.remaining(keys[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// remaining gives the latest version of a key of which one was withdrawn.
func (l *Lookup) remaining(k Key) (Entry, bool, error) {
	all, err := l.Versions(nil, k)
	if err != nil || len(all) == 0 {
		return Entry{}, false, err
	}
	return all[0], true, nil
}

// One gives the latest version of one key. See Latest.
func (l *Lookup) One(k Key) (Entry, bool, error) {
	for _, layer := range l.index.layers {
		e, ok, err := layer.Lookup(k, &l.buf)
		if ok && e.Withdrawn {
			return l.remaining(k)
		}
		if err != nil || ok {
			return e, ok, err
		}
	}
	return Entry{}, false, nil
}

// Versions appends every version of a key to dst, the newest first. Where layers
// have the same number, the newest layer is right, and a number that it withdraws is
// none.
func (l *Lookup) Versions(dst []Entry, k Key) ([]Entry, error) {
	from := len(dst)
	for _, layer := range l.index.layers {
		if !layer.mayHave(k) {
			continue
		}
		err := layer.each(k, &l.buf, func(e *Entry) bool {
			dst = append(dst, *e)
			return true
		})
		if err != nil {
			return dst[:from], err
		}
	}
	return dst[:from+len(settle(dst[from:]))], nil
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
