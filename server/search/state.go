package search

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/parameters"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// writtenSegment is the segment of addresses of what is in the delta alone. Their row is
// the number of the change that brought them, from 1.
const writtenSegment = math.MaxUint32

// state is the index of one manifest and of what was written since. Changes come to it
// in the order of commits; whoever remembers how many there were sees what was then.
type state struct {
	*writes
	nonce    uint64 // random; names the state in page tokens
	db       *searchdb.State
	offered  *parameters.Offered // what it is searched by: what is in the delta is indexed by all of them
	rows     *lake.Rows
	segments []*snapshot.Segment // with current rows, in the order of their ordinals
	entities []entityFile        // of segments
	gone     []uint32            // ordinals that the index has rows of and nobody has

	bitmaps sync.Map // of *roaring.Bitmap by ordinal: superseded rows of the manifest
	firsts  sync.Map // of int64 by postings.Address: when a resource of several versions was first stored

	chunks []*chunk        // with changes that it sees, in order; it is guarded by nobody
	fresh  *chunk          // the last of them, when it is new with this state
	floor  uint32          // changes up to this one are in the manifest
	ready  atomic.Bool     // seen is set
	seen   atomic.Uint32   // the last change of the last commit that is in
	hidden map[uint32]bool // changes that the manifest has overtaken; it does not change

	replaced map[postings.Address]uint32 // rows of the manifest, and the change that replaced them; guarded by mu

	filling sync.Mutex
	dead    map[r4.TypeID]bool // types whose superseded rows are in the table dead; guarded by filling
}

// ofChange is the address of what a change brought.
func ofChange(number uint32) postings.Address { return postings.At(writtenSegment, number) }

func ofRow(a snapshot.Address) postings.Address { return postings.At(a.Segment, a.Row) }

// moment is what a search sees of a state: the changes up to a number.
type moment struct {
	*state
	changes uint32
}

// errNotIndexed says that the data store has segments without an index.
var errNotIndexed = errors.New("not all of the data store is indexed")

// newState makes the state of rows, which it closes when it fails, after another one of the
// same search parameters; nil for none. The caller holds feeding.
func newState(ctx context.Context, db *searchdb.DB, rows *lake.Rows, set *parameters.Set, before *state, path func(*snapshot.File) string) (_ *state, err error) {
	m := rows.Manifest()
	if n := len(m.Unindexed(postings.Version)); n > 0 {
		rows.Close()
		return nil, errNotIndexed
	}
	var nonce [8]byte
	rand.Read(nonce[:])
	s := &state{
		nonce: binary.LittleEndian.Uint64(nonce[:]), rows: rows, offered: set.In(m),
		hidden: map[uint32]bool{}, replaced: map[postings.Address]uint32{}, dead: map[r4.TypeID]bool{},
	}
	var files []string
	for i := range m.Search {
		if x := &m.Search[i]; x.Version == postings.Version {
			files, s.gone = append(files, path(&x.File)), append(s.gone, x.Gone...)
		}
	}
	for i := range m.Segments {
		if m.Segments[i].Current > 0 {
			s.segments = append(s.segments, &m.Segments[i])
		} else {
			s.gone = append(s.gone, m.Segments[i].Ordinal)
		}
	}
	slices.Sort(s.gone)
	s.entities = entityFilesOf(s.segments, path)
	added, err := s.inherit(ctx, db, before)
	if err == nil {
		s.db, err = db.NewState(ctx, files, added...)
	}
	if s.fresh != nil { // the state holds it, or nobody
		err = errors.Join(err, s.fresh.rows.Close())
	}
	if err == nil {
		err = s.settle(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.fresh != nil {
		s.last = s.fresh
	}
	return s, nil
}

// close lets go what the state holds.
func (s *state) close() error {
	s.rows.Close()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// superseded gives the rows of a segment that the manifest counts as not current; nil
// for none.
func (s *state) superseded(store *snapshot.Store, seg *snapshot.Segment) (*roaring.Bitmap, error) {
	if seg.Superseded == nil {
		return nil, nil
	}
	if b, ok := s.bitmaps.Load(seg.Ordinal); ok {
		return b.(*roaring.Bitmap), nil
	}
	b, err := store.Superseded(seg)
	if err == nil {
		s.bitmaps.Store(seg.Ordinal, b)
	}
	return b, err
}

// alive tells whether an address is of a current resource.
func (m *moment) alive(store *snapshot.Store, a postings.Address) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.aliveLocked(store, a)
}

func (m *moment) aliveLocked(store *snapshot.Store, a postings.Address) (bool, error) {
	if a.Segment() == writtenSegment {
		n := a.Row()
		w := m.at(n)
		return w != nil && n <= m.changes && !w.deleted && (w.changed == 0 || w.changed > m.changes) && !m.hidden[n], nil
	}
	if by, ok := m.replaced[a]; ok && by <= m.changes {
		return false, nil
	}
	seg := m.rows.Manifest().ByOrdinal(a.Segment())
	if seg == nil || seg.Current == 0 {
		return false, nil
	}
	b, err := m.superseded(store, seg)
	return err == nil && (b == nil || !b.Contains(a.Row())), err
}

// keepAlive drops the addresses of resources that are not current.
func (m *moment) keepAlive(store *snapshot.Store, list []postings.Address) ([]postings.Address, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	kept := list[:0]
	for _, a := range list {
		ok, err := m.aliveLocked(store, a)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, a)
		}
	}
	return kept, nil
}

// countAlive counts the current resources among rows of a segment.
func (m *moment) countAlive(store *snapshot.Store, segment uint32, rows *roaring.Bitmap) (int64, error) {
	if segment == writtenSegment {
		n := int64(0)
		for it := rows.Iterator(); it.HasNext(); {
			if ok, _ := m.alive(store, postings.At(segment, it.Next())); ok {
				n++
			}
		}
		return n, nil
	}
	seg := m.rows.Manifest().ByOrdinal(segment)
	if seg == nil || seg.Current == 0 {
		return 0, nil
	}
	b, err := m.superseded(store, seg)
	if err != nil {
		return 0, err
	}
	if b != nil {
		rows.AndNot(b)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	n := int64(rows.GetCardinality())
	if len(m.replaced) > int(n) {
		for it := rows.Iterator(); it.HasNext(); {
			if by, ok := m.replaced[postings.At(segment, it.Next())]; ok && by <= m.changes {
				n--
			}
		}
		return n, nil
	}
	for a, by := range m.replaced {
		if a.Segment() == segment && by <= m.changes && rows.Contains(a.Row()) {
			n--
		}
	}
	return n, nil
}

// aliveSQL is the condition that an address is of a current resource, for sets within a
// query. It begins with AND, or is empty.
func (m *moment) aliveSQL(ctx context.Context, store *snapshot.Store, types []r4.TypeID) (string, error) {
	var b strings.Builder
	if len(m.gone) > 0 {
		b.WriteString(" AND (addr >> 32) NOT IN (")
		for i, n := range m.gone {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprint(&b, n)
		}
		b.WriteByte(')')
	}
	any, err := m.fillDead(ctx, store, types)
	if err != nil {
		return "", err
	}
	b.WriteString(m.bounds())
	if any || m.changes > m.floor {
		fmt.Fprintf(&b, " AND addr NOT IN (SELECT addr FROM %s WHERE change <= %d)", m.db.Dead(), m.changes)
	}
	return b.String(), nil
}

// bounds is the condition that an address is of the manifest or of a change that the moment
// sees. It begins with AND.
func (m *moment) bounds() string {
	b := fmt.Sprintf(" AND addr <= %d", ofChange(m.changes))
	if m.floor > 0 {
		b += fmt.Sprintf(" AND NOT (addr >= %d AND addr <= %d)", ofChange(0), ofChange(m.floor))
	}
	return b
}

// fillDead puts the superseded rows of some types into the table that queries look into.
func (m *moment) fillDead(ctx context.Context, store *snapshot.Store, types []r4.TypeID) (any bool, err error) {
	m.filling.Lock()
	defer m.filling.Unlock()
	for _, t := range types {
		var list []searchdb.Dead
		for _, seg := range m.segments {
			if seg.ResourceType != t.String() || seg.Superseded == nil {
				continue
			}
			any = true
			if m.dead[t] {
				continue
			}
			b, err := m.superseded(store, seg)
			if err != nil {
				return false, err
			}
			for it := b.Iterator(); it.HasNext(); {
				list = append(list, searchdb.Dead{At: postings.At(seg.Ordinal, it.Next())})
			}
		}
		if err := m.db.AddDead(ctx, list); err != nil {
			return false, err
		}
		m.dead[t] = true
	}
	return any, nil
}
