package search

import (
	"context"
	"slices"
	"sort"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// writes are what was written, in the order of commits, and its rows. States share them:
// the next one sees of them what its manifest does not have. Changes have numbers, from 1.
type writes struct {
	seq  uint64 // last commit that is in; guarded by Index.feeding
	last *chunk // the newest; guarded by Index.feeding

	mu   sync.RWMutex // guards the books of chunks, and what states say to guard by it
	next uint32       // number of the next change
}

// chunk is a run of changes. A new one begins when a manifest has folded a part of the
// last one: so each goes as a whole, with the last state that sees something of it.
type chunk struct {
	first   uint32 // number of its first change
	written []written
	current map[snapshot.Key]uint32 // the last change of a resource
	rows    *searchdb.Added

	entities int // rows of what NLP found
}

// written is a change.
type written struct {
	key     snapshot.Key
	seq     uint64 // of the commit
	id      string
	number  uint32 // of the version
	changed uint32 // the change that replaced it; 0: none
	typ     r4.TypeID
	deleted bool
}

// end is the number behind that of its last change.
func (c *chunk) end() uint32 { return c.first + uint32(len(c.written)) }

// renumber is how many changes that manifests have folded are counted before numbers
// begin again: bit strings of a count have a bit for each.
const renumber = 1 << 20

// at gives a change that the state sees; nil for one that it does not. The caller holds mu.
func (s *state) at(number uint32) *written {
	if number <= s.floor {
		return nil
	}
	for _, c := range slices.Backward(s.chunks) {
		if number >= c.first {
			if number >= c.end() {
				return nil
			}
			return &c.written[number-c.first]
		}
	}
	return nil
}

// latest gives the last change of a resource that the state sees. The caller holds mu.
func (s *state) latest(k snapshot.Key) (uint32, bool) {
	for _, c := range slices.Backward(s.chunks) {
		if n, ok := c.current[k]; ok {
			return n, n > s.floor
		}
	}
	return 0, false
}

// holdsFolded tells whether the state has rows that it does not see, of what its manifest has
// folded.
func (s *state) holdsFolded() bool { return len(s.chunks) > 0 && s.chunks[0].first <= s.floor }

// folded counts the changes of chunks up to a commit.
func folded(chunks []*chunk, seq uint64) uint32 {
	for _, c := range slices.Backward(chunks) {
		if n := sort.Search(len(c.written), func(i int) bool { return c.written[i].seq > seq }); n > 0 {
			return c.first + uint32(n) - 1
		}
	}
	if len(chunks) > 0 {
		return chunks[0].first - 1
	}
	return 0
}

// inherit gives a state what is written already and not in its manifest, from those that
// the state before it sees; nil for none. The caller holds feeding.
func (s *state) inherit(ctx context.Context, db *searchdb.DB, before *state) (added []*searchdb.Added, err error) {
	m := s.rows.Manifest()
	if before != nil {
		s.writes, s.floor = before.writes, folded(before.chunks, m.FoldedSeq)
		if s.floor > renumber && s.floor+1 == s.next || s.floor > 4*renumber {
			before = nil
		}
	}
	if before == nil {
		s.writes, s.floor = &writes{next: 1}, 0
	} else {
		for _, c := range before.chunks {
			if c.end() > s.floor+1 {
				s.chunks = append(s.chunks, c)
			}
		}
	}
	if n := len(s.chunks); n == 0 || s.floor >= s.chunks[n-1].first {
		rows, err := db.NewAdded(ctx)
		if err != nil {
			return nil, err
		}
		s.fresh = &chunk{first: s.next, current: map[snapshot.Key]uint32{}, rows: rows}
		s.chunks = append(s.chunks, s.fresh)
	}
	for _, c := range s.chunks {
		added = append(added, c.rows)
	}
	return added, nil
}

// settle works out what the manifest of a state has of the resources that were written,
// before anyone sees the state.
func (s *state) settle(ctx context.Context) error {
	var keys []snapshot.Key
	var numbers []uint32
	var dead []searchdb.Dead
	for _, c := range s.chunks {
		for i := range c.written {
			number := c.first + uint32(i)
			if number <= s.floor {
				continue
			}
			if by := c.written[i].changed; by != 0 {
				dead = append(dead, searchdb.Dead{At: ofChange(number), Change: by})
				continue
			}
			keys, numbers = append(keys, c.written[i].key), append(numbers, number)
		}
	}
	const step = 4096
	for len(keys) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(step, len(keys))
		entries, found, err := s.rows.Latest(keys[:n])
		if err != nil {
			return err
		}
		for i := range n {
			number := numbers[i]
			if !found[i] {
				continue
			}
			if entries[i].Version >= s.at(number).number { // an import has overtaken it
				s.hidden[number] = true
				dead = append(dead, searchdb.Dead{At: ofChange(number)})
			} else if !entries[i].Deleted {
				at := ofRow(entries[i].Address)
				s.replaced[at] = number
				dead = append(dead, searchdb.Dead{At: at, Change: number})
			}
		}
		keys, numbers = keys[n:], numbers[n:]
	}
	return s.db.AddDead(ctx, dead)
}

// note makes the books of changes, whose rows are in, so many of entities, and tells what is
// dead by them. The caller holds feeding.
func (s *state) note(changes []lake.Change, entities int) (dead []searchdb.Dead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.last
	c.entities += entities
	for i := range changes {
		x := &changes[i]
		number := s.next
		s.next++
		if old, ok := s.latest(x.Key); ok {
			s.at(old).changed = number
			dead = append(dead, searchdb.Dead{At: ofChange(old), Change: number})
		}
		if x.HasRow {
			at := ofRow(x.Replaced)
			if _, ok := s.replaced[at]; !ok {
				s.replaced[at] = number
				dead = append(dead, searchdb.Dead{At: at, Change: number})
			}
		}
		c.written = append(c.written, written{
			key: x.Key, seq: x.Seq, typ: x.Type, id: x.ID, number: x.Number, deleted: x.Method == delta.Delete,
		})
		c.current[x.Key] = number
	}
	return dead
}

// take brings the commits of a view of the state's manifest in; moments see all of them or
// none. What it did before an error that is the context's is not done again; after another
// one the writes are of no more use. The caller holds feeding.
func (x *Index) take(ctx context.Context, s *state, view *lake.View) error {
	return x.feed.bring(ctx, s, view)
}

// bring is [Index.take] by a feeder.
func (f *feeder) bring(ctx context.Context, s *state, view *lake.View) error {
	from := max(s.seq, view.Manifest().FoldedSeq)
	if view.Seq() > from {
		if err := f.take(ctx, s, view, from); err != nil {
			return err
		}
	}
	s.seq = view.Seq()
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.seen.Store(s.next - 1)
	s.ready.Store(true)
	return nil
}
