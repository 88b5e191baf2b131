package datastores

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/lake"
)

// CompactorOptions say when data stores are compacted without being asked. Zero values
// are good.
type CompactorOptions struct {
	Age      time.Duration    // of the oldest version in the delta; 0: 10 minutes; negative: never by itself
	Versions uint64           // in the delta; 0: 100,000
	Bytes    uint64           // of the delta on disk; 0: 256 MiB
	Interval time.Duration    // between looks; 0: 5 seconds, or Age if that is less
	Memory   int64            // bytes for what is in flight; 0: the pipeline's default
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // of what it does by itself; nil: nowhere
	// Observe is told of every compaction that has ended; nil: nobody.
	Observe func(took time.Duration, folded int64, err error)
}

func (o CompactorOptions) withDefaults() CompactorOptions {
	if o.Age == 0 {
		o.Age = 10 * time.Minute
	}
	if o.Versions == 0 {
		o.Versions = 100_000
	}
	if o.Bytes == 0 {
		o.Bytes = 256 << 20
	}
	if o.Interval == 0 {
		o.Interval = 5 * time.Second
		if o.Age > 0 {
			o.Interval = min(o.Interval, o.Age)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Compactor compacts the data stores of a set, when asked and by itself. It is safe for
// concurrent use.
type Compactor struct {
	set *Set
	o   CompactorOptions

	mu    sync.Mutex
	last  map[string]last      // by id
	dirty map[string]time.Time // when something was first seen that is to be compacted, by id
}

// last is what the last compactions of a data store came to.
type last struct {
	snapshot int64     // the manifest that it left or found good
	checked  time.Time // when that was

	// Of the last one that looked at all layers:
	kept      int64 // see [compact.Options]
	retention compact.Retention
	at        time.Time
}

// lookAgain is into how many parts the age of a retention is divided: so often all layers
// are looked at, because versions grow old by themselves.
const lookAgain = 10

// stale tells that what is kept may be no longer kept.
func (l *last) stale(r compact.Retention, now time.Time) bool {
	return l.retention != r || r.Age > 0 && now.Sub(l.at) >= r.Age/lookAgain
}

// NewCompactor makes a compactor. It does nothing by itself before [Compactor.Run].
func NewCompactor(s *Set, o CompactorOptions) *Compactor {
	return &Compactor{set: s, o: o.withDefaults(), last: map[string]last{}, dirty: map[string]time.Time{}}
}

// Request says how to compact a data store.
type Request struct {
	Whole   bool
	Erase   []bulk.Resource
	Memory  int64 // 0: that of the options
	Workers int   // 0: GOMAXPROCS
	Waiting func()
	Monitor *pipeline.Monitor
}

// Compact compacts a data store, as a job that waits for its turn.
func (c *Compactor) Compact(ctx context.Context, id string, r Request) (*bulk.CompactResult, error) {
	asked := time.Now()
	end, err := c.set.BeginJob(ctx, id, r.Waiting)
	if err != nil {
		return nil, err
	}
	defer end()
	l, err := c.set.Lake(id)
	if err != nil {
		return nil, err
	}
	d, err := c.set.catalog.DataStore(id)
	if err != nil {
		return nil, err
	}
	if r.Memory == 0 {
		r.Memory = c.o.Memory
	}
	start, now, retention := time.Now(), c.o.Now(), retentionOf(d)
	res, err := bulk.Compact(ctx, bulk.CompactOptions{
		Lake: l, Retention: retention, Whole: r.Whole, Erase: r.Erase, Kept: c.keptOf(id, retention, now),
		Memory: r.Memory, Workers: r.Workers, Monitor: r.Monitor, Now: c.o.Now,
		SearchIndex: true, // what was written can be searched, and stays so
	})
	if c.o.Observe != nil && ctx.Err() == nil {
		folded := int64(0)
		if res != nil {
			folded = res.Folded
		}
		c.o.Observe(time.Since(start), folded, err)
	}
	if err != nil {
		return nil, err
	}
	res.Seconds = time.Since(asked).Seconds()
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.last[id]
	was.snapshot, was.checked = res.Snapshot, now
	if res.All {
		was.kept, was.retention, was.at = res.Kept, retention, now
	}
	c.last[id] = was
	delete(c.dirty, id)
	return res, nil
}

func (c *Compactor) keptOf(id string, r compact.Retention, now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.last[id]
	if was.stale(r, now) {
		return 0
	}
	return was.kept
}

func retentionOf(d *catalog.DataStore) compact.Retention {
	return compact.Retention{Versions: d.Retention.Versions, Age: time.Duration(d.Retention.Days) * 24 * time.Hour}
}

// Erase removes a resource with all its versions, and what was derived from them, from a data store, so that nothing of it
// is left in its files when Erase returns, but for files that a reader still holds. The
// error is [lake.ErrNotFound] when it was never there.
func (c *Compactor) Erase(ctx context.Context, id string, t r4.TypeID, resource string) error {
	l, err := c.set.Lake(id)
	if err != nil {
		return err
	}
	var gone *lake.GoneError
	if _, err := l.Read(t, resource, nil); err != nil && !errors.As(err, &gone) {
		return err
	}
	all, err := withDerived(l, []bulk.Resource{{Type: t, ID: resource}})
	if err != nil {
		return err
	}
	return c.erase(ctx, id, l, all)
}

// withDerived adds to resources what was derived from any version of the documents among
// them: it says what they say.
func withDerived(l *lake.Lake, all []bulk.Resource) ([]bulk.Resource, error) {
	seen := map[bulk.Resource]bool{}
	for _, r := range all {
		seen[r] = true
	}
	for _, r := range all {
		if r.Type != r4.TypeDocumentReference {
			continue
		}
		q := lake.HistoryQuery{Type: r.Type, ID: r.ID, Count: 1000}
		for more := true; more; more = q.After != "" {
			next, _, err := l.History(q, func(v *lake.Resource) error {
				refs, err := v.Derived()
				for _, ref := range refs {
					if x := (bulk.Resource{Type: ref.Type, ID: ref.ID}); !seen[x] {
						seen[x] = true
						all = append(all, x)
					}
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			q.After = next
		}
	}
	return all, nil
}

// Purge erases a patient and all resources of the compartment (FHIR R4,
// CompartmentDefinition/patient), as Erase does, also those that come while it works. It
// reads every resource of the data store. The error is [lake.ErrNotFound] when there is
// nothing.
func (c *Compactor) Purge(ctx context.Context, id, patient string) error {
	l, err := c.set.Lake(id)
	if err != nil {
		return err
	}
	for found := false; ; found = true {
		all, err := bulk.Compartment(ctx, l, r4.Compartment("Patient"), patient)
		switch {
		case err != nil:
			return err
		case len(all) == 0 && !found:
			return lake.ErrNotFound
		case len(all) == 0:
			return nil
		}
		if all, err = withDerived(l, all); err != nil {
			return err
		}
		if err := c.erase(ctx, id, l, all); err != nil {
			return err
		}
	}
}

func (c *Compactor) erase(ctx context.Context, id string, l *lake.Lake, all []bulk.Resource) error {
	if _, err := c.Compact(ctx, id, Request{Erase: all}); err != nil {
		return err
	}
	c.set.releaseSearch(id)
	if _, err := l.Snapshot().Prune(); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if err := l.Delta().Reclaim(ctx); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return nil
}

// Run compacts what is due until ctx ends. A compaction that ctx cuts off leaves nothing.
func (c *Compactor) Run(ctx context.Context) {
	if c.o.Age < 0 {
		return
	}
	t := time.NewTicker(c.o.Interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, id := range c.due(c.o.Now()) {
				c.compactDue(ctx, id)
			}
		}
	}
}

func (c *Compactor) compactDue(ctx context.Context, id string) {
	start := time.Now()
	// One worker: requests come first.
	res, err := c.Compact(ctx, id, Request{Workers: 1})
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrClosed), errors.Is(err, catalog.ErrNotFound):
	case err != nil:
		c.o.Log.Error("compaction", "datastore", id, "error", err)
		c.postpone(id)
	default:
		c.o.Log.Info("compaction", "datastore", id, "duration", time.Since(start), "folded", res.Folded,
			"rewritten", res.Rewritten, "layers", res.After.Layers, "snapshot", res.Snapshot)
	}
}

// postpone leaves a data store alone for a while after a failure.
func (c *Compactor) postpone(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirty[id] = c.o.Now().Add(c.o.Age)
}

// due gives the data stores whose delta is large or old, or whose snapshot changed a while
// ago: imports add layers, and versions grow old.
func (c *Compactor) due(now time.Time) (ids []string) {
	c.set.Each(func(id string, l *lake.Lake) {
		s := l.Delta().Stats()
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.Failure != nil || s.Full || s.Entries == 0 && !c.changed(id, l, now) {
			delete(c.dirty, id)
			return
		}
		since, ok := c.dirty[id]
		if !ok {
			c.dirty[id], since = now, now
		}
		large := s.Entries >= c.o.Versions || s.Disk >= c.o.Bytes && s.Entries > 0 && s.Entries >= c.o.Versions/100
		if age := now.Sub(since); age >= c.o.Age || large && age >= 0 {
			ids = append(ids, id)
		}
	})
	return ids
}

// changed tells whether the snapshot is another one, or to be kept otherwise, than at the
// last compaction. The caller holds mu.
func (c *Compactor) changed(id string, l *lake.Lake, now time.Time) bool {
	was := c.last[id]
	if n := l.Shown(); n != was.snapshot {
		return n > 0
	}
	if now.Sub(was.checked) < c.o.Age {
		return false
	}
	d, err := c.set.catalog.DataStore(id)
	if err == nil && !retentionOf(d).All() && was.stale(retentionOf(d), now) {
		return true
	}
	was.checked = now
	c.last[id] = was
	return false
}
