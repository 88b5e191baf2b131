package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Write is one change of one resource.
type Write struct {
	Type    r4.TypeID
	ID      string
	Key     [2]uint64 // see [Lake.Key]; zero: computed here
	Content uint64    // keyed hash of the received content; of no meaning for a deletion
	Method  delta.Method

	// Stamp appends the resource with the meta.versionId and meta.lastUpdated that it
	// gets. It is called at most once, while other commits wait, and must not call the
	// lake. A deletion has none.
	Stamp func(dst []byte, number uint32, updated string) []byte
	// Prepare, when not nil, is called under the lock of the resource, after the
	// conditions and before Stamp: a patch computes the new resource from the current
	// version here, and sets the other fields of its Write. current is nil when there
	// never was one; of a deletion it has no JSON. It is valid during the call. An
	// error ends the commit and is what Commit returns. It may be called more than once.
	Prepare func(current *Resource) error
	// Follow, when not nil, gives writes that go with this one, in the same commit: those of
	// what is derived from the resource. It is called as Prepare is, after it, when the write makes a
	// version. What follows has no conditions, no Prepare and no Follow, and no
	// outcome; a write of a resource that the commit has a write of already is left out.
	Follow func(current *Resource) ([]Write, error)

	IfMatch     uint32 // versionId that must be the current one; 0: any
	IfNoneMatch bool   // the id must never have existed
	MustExist   bool   // there must be a current version that is not a deletion

	Beside beside.Values // to be kept beside it
	// IdempotencyKey, when not empty, must not have been used in the last 24 hours.
	IdempotencyKey string
}

// Outcome is what became of a write.
type Outcome struct {
	delta.Version      // the current version after the commit; zero when a deletion found nothing
	Existed       bool // there was a version, be it a deletion
	// Unchanged says that nothing was written: the content was that of the current
	// version, or what was to be deleted was not there.
	Unchanged bool
}

// Condition is why a conditional write was refused.
type Condition uint8

// The conditions, by the fields of [Write] that ask for them.
const (
	Stale   Condition = iota // IfMatch: another version is the current one
	Exists                   // IfNoneMatch: the id has or had a version
	Missing                  // MustExist: there is no version, or it is a deletion
)

func (c Condition) String() string { return [...]string{"stale", "exists", "missing"}[c] }

// ConditionError says that a condition of a write does not hold; nothing was written.
type ConditionError struct {
	Index   int // of the write
	Kind    Condition
	Current delta.Version // zero when there never was one
}

func (e *ConditionError) Error() string {
	return fmt.Sprintf("write %d: condition failed: %s (the current version is %d)", e.Index, e.Kind, e.Current.Number)
}

// DuplicateKeyError says that the idempotency key of a write was used before; nothing
// was written.
type DuplicateKeyError struct {
	Index    int           // of the write
	Original delta.Version // what was written then: type, id and number are set
}

func (e *DuplicateKeyError) Error() string {
	return fmt.Sprintf("write %d: its idempotency key was used before", e.Index)
}

// keepIdempotencyKeys is for how long a key is remembered.
const keepIdempotencyKeys = 24 * time.Hour

// stripes is the number of locks that keys share. A commit of some hundred writes holds
// as many; with fewer, writers of different resources would wait for one another's
// sync.
const stripes = 4096

// Commit does all writes or none, as one version each, and returns when they are
// durable. Writes of one commit are of different resources. Outcomes are in the order
// of writes. The error is a [*ConditionError] or [*DuplicateKeyError] of the first
// write that is refused, what a Prepare gave, [ErrNoSpace], [ErrReadOnly], or a
// failure. A ctx that has ended when the locks are held ends the commit; what is being
// made durable is waited for.
func (l *Lake) Commit(ctx context.Context, writes []Write) ([]Outcome, error) {
	for i := range writes {
		if w := &writes[i]; w.Key == [2]uint64{} {
			w.Key = l.Key(w.Type, w.ID)
		}
	}
	if err := checkDistinct(writes); err != nil {
		return nil, err
	}
	l.publishing.RLock()
	defer l.publishing.RUnlock()
	var follow []Write
	for {
		c := commit{outcomes: make([]Outcome, len(writes))}
		more, err := l.attempt(ctx, &c, writes, follow)
		switch {
		case err != nil:
			return nil, err
		case more == nil:
			return c.outcomes[:len(writes)], nil
		}
		// The locks of what follows were not held, and locks are taken in order only. It is asked for once more
		// with them: another set of writes follows when the resource was changed in between, so somebody gets on.
		follow = more
	}
}

// commit is a Commit on its way.
type commit struct {
	outcomes []Outcome
	follow   []Write       // what follows the writes
	entries  []delta.Entry // what is to be written
	index    []int         // of the write that each of them is, those that follow after the others
}

// attempt does the writes and what follows them, if that is among expected; if not it does
// nothing and says what follows.
func (l *Lake) attempt(ctx context.Context, c *commit, writes, expected []Write) (more []Write, err error) {
	held := l.lock(writes, expected)
	defer l.unlock(held)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range writes {
		if err := l.decide(c, i, &writes[i]); err != nil {
			return nil, err
		}
	}
	if len(c.follow) > 0 {
		if c.follow = without(c.follow, writes); !covers(held, c.follow) {
			return c.follow, nil
		}
		if err := checkDistinct(c.follow); err != nil {
			return nil, err
		}
		first := len(writes)
		writes = slices.Concat(writes, c.follow) // a Prepare has what it knows of the array of the caller
		c.outcomes = append(c.outcomes, make([]Outcome, len(c.follow))...)
		for i := first; i < len(writes); i++ {
			if err := l.decide(c, i, &writes[i]); err != nil {
				return nil, err
			}
		}
	}
	if len(c.entries) == 0 {
		return nil, nil
	}
	return nil, l.write(c, writes)
}

// without gives the writes of follow that are of other resources than writes are.
func without(follow, writes []Write) []Write {
	keys := make(map[[2]uint64]bool, len(writes))
	for i := range writes {
		keys[writes[i].Key] = true
	}
	return slices.DeleteFunc(follow, func(w Write) bool { return keys[w.Key] })
}

// covers tells whether the locks of all writes are held.
func covers(held []uint16, writes []Write) bool {
	for i := range writes {
		if _, ok := slices.BinarySearch(held, stripeOf(&writes[i])); !ok {
			return false
		}
	}
	return true
}

// write gives the entries their time and texts, and makes them durable.
func (l *Lake) write(c *commit, writes []Write) error {
	buf, _ := l.texts.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer func() {
		if cap(*buf) <= keepText {
			l.texts.Put(buf)
		}
	}()
	err := l.delta.Commit(c.entries, func(at int64) (err error) {
		*buf, err = stamp((*buf)[:0], c, writes, at)
		return err
	})
	var duplicate *delta.DuplicateKeyError
	if errors.As(err, &duplicate) {
		return &DuplicateKeyError{
			Index:    c.index[duplicate.Index],
			Original: delta.Version{Type: duplicate.Type, ID: duplicate.ID, Number: duplicate.Number},
		}
	}
	return err
}

// keepText is the largest buffer of stamped text that is used again.
const keepText = 1 << 20

// stamp sets the texts of the entries, one after the other in buf.
func stamp(buf []byte, c *commit, writes []Write, at int64) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // a bug of the caller, who is not the only writer
			err = fmt.Errorf("commit: stamp a resource: %v", p)
		}
	}()
	updated := fhir.FormatInstant(time.UnixMicro(at))
	for i := range c.entries {
		e, w := &c.entries[i], &writes[c.index[i]]
		c.outcomes[c.index[i]].Updated = at
		if e.Method != delta.Delete {
			from := len(buf)
			buf = w.Stamp(buf, e.Number, updated)
			e.JSON = buf[from:len(buf):len(buf)]
		}
		if w.IdempotencyKey != "" {
			e.Idempotency = delta.Idempotency{Key: w.IdempotencyKey, Expires: at + keepIdempotencyKeys.Microseconds()}
		}
	}
	return buf, nil
}

func checkDistinct(writes []Write) error {
	if len(writes) < 2 {
		return nil
	}
	seen := make(map[[2]uint64]int, len(writes))
	for i := range writes {
		if first, ok := seen[writes[i].Key]; ok {
			return fmt.Errorf("commit: writes %d and %d are of one resource", first, i)
		}
		seen[writes[i].Key] = i
	}
	return nil
}

// lock takes the locks of all keys of the writes, in order: no two commits wait for
// each other.
func (l *Lake) lock(writes, follow []Write) []uint16 {
	held := make([]uint16, 0, len(writes)+len(follow))
	for _, list := range [2][]Write{writes, follow} {
		for i := range list {
			held = append(held, stripeOf(&list[i]))
		}
	}
	slices.Sort(held)
	held = slices.Compact(held)
	for _, i := range held {
		l.locks[i].Lock()
	}
	return held
}

func stripeOf(w *Write) uint16 { return uint16(w.Key[0] % stripes) }

func (l *Lake) unlock(held []uint16) {
	for _, i := range held {
		l.locks[i].Unlock()
	}
}

// decide looks what a write comes to, and adds it to the commit if there is something
// to write.
func (l *Lake) decide(c *commit, i int, w *Write) error {
	current, found, err := l.current(w)
	if err != nil {
		return err
	}
	out := &c.outcomes[i]
	out.Version, out.Existed = current.Version, found
	deleted := found && current.Method == delta.Delete
	refuse := func(kind Condition) error { return &ConditionError{Index: i, Kind: kind, Current: current.Version} }
	switch {
	case w.IfNoneMatch && found:
		return refuse(Exists)
	case w.IfMatch != 0 && current.Number != w.IfMatch:
		return refuse(Stale)
	case w.MustExist && (!found || deleted):
		return refuse(Missing)
	}
	seen := &current
	if !found {
		seen = nil
	}
	if w.Prepare != nil {
		if err := w.Prepare(seen); err != nil {
			return err
		}
	}
	switch {
	case w.Method == delta.Delete && (!found || deleted), w.Method != delta.Delete && found && !deleted && current.Content == w.Content:
		out.Unchanged = true
		return nil
	case w.Method != delta.Delete && w.Stamp == nil:
		return fmt.Errorf("commit: write %d has no text", i)
	}
	if w.Follow != nil {
		follow, err := w.Follow(seen)
		if err != nil {
			return err
		}
		for k := range follow {
			if x := &follow[k]; x.Key == [2]uint64{} {
				x.Key = l.Key(x.Type, x.ID)
			}
		}
		c.follow = append(c.follow, follow...)
	}
	out.Version = delta.Version{
		Type: w.Type, ID: w.ID, Number: current.Number + 1, Content: w.Content, Key: w.Key, Method: w.Method,
	}
	if w.Method == delta.Delete {
		out.Content = 0
	}
	c.entries = append(c.entries, delta.Entry{Version: out.Version, Beside: w.Beside})
	c.index = append(c.index, i)
	return nil
}

// current gives the version that a write follows, a deletion too, with its text if the
// write wants to see it.
func (l *Lake) current(w *Write) (r Resource, found bool, err error) {
	e, ok, err := l.delta.Latest(w.Type, w.ID, nil)
	if err != nil {
		return Resource{}, false, err
	}
	v, err := l.acquire()
	if err != nil {
		return Resource{}, false, err
	}
	defer v.done()
	var s snapshot.Entry
	if !ok || e.Seq <= v.m.DeltaSeq {
		if s, found, err = v.latest(w.Key); err != nil {
			return Resource{}, false, err
		}
	}
	switch {
	case ok && (!found || e.Number >= s.Version):
		return Resource{Version: e.Version, JSON: e.JSON, Beside: e.Beside}, true, nil
	case !found:
		return Resource{}, false, nil
	}
	r = Resource{Version: version(&s, w.Type, w.ID)}
	if (w.Prepare != nil || w.Follow != nil) && !s.Deleted {
		err = l.load(v, &r, s.Address, nil)
	}
	return r, true, err
}
