package datastores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// compacting is a data store with a compactor whose clock the test moves.
type compacting struct {
	t    *testing.T
	c    *Compactor
	root *root.Root
	id   string
	now  time.Time
}

func newCompacting(t *testing.T, o CompactorOptions, keep catalog.Retention) *compacting {
	t.Helper()
	r, err := root.Open(t.TempDir(), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := &compacting{t: t, root: r, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s := New(r, cat, lake.Options{Now: x.clock, Delta: delta.Options{Reserve: -1, Memory: 1}})
	t.Cleanup(func() { s.Close(); r.Close() })
	o.Now = x.clock
	x.c = NewCompactor(s, o)
	x.id = x.create("first", keep)
	return x
}

func (x *compacting) clock() time.Time { return x.now }

func (x *compacting) create(name string, keep catalog.Retention) string {
	x.t.Helper()
	d, err := x.c.set.catalog.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: name}, Retention: keep})
	if err != nil {
		x.t.Fatal(err)
	}
	return d.ID
}

func (x *compacting) lake(id string) *lake.Lake {
	x.t.Helper()
	l, err := x.c.set.Lake(id)
	if err != nil {
		x.t.Fatal(err)
	}
	return l
}

// write writes one version of n resources.
func (x *compacting) write(id string, n int) {
	x.t.Helper()
	for i := range n {
		x.writeOne(id, fmt.Sprint("b", i), "of no interest")
	}
}

func (x *compacting) writeOne(id, resource, text string) {
	x.t.Helper()
	w := lake.Write{Type: r4.TypeBasic, ID: resource, Method: delta.Update, Content: uint64(x.now.UnixNano())}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return fmt.Appendf(dst, `{"resourceType":"Basic","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},"code":{"text":"%s"}}`,
			resource, number, updated, text)
	}
	if _, err := x.lake(id).Commit(context.Background(), []lake.Write{w}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *compacting) remove(id, resource string) {
	x.t.Helper()
	if _, err := x.lake(id).Commit(context.Background(), []lake.Write{{Type: r4.TypeBasic, ID: resource, Method: delta.Delete}}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *compacting) compact(r Request) *bulk.CompactResult {
	x.t.Helper()
	res, err := x.c.Compact(context.Background(), x.id, r)
	if err != nil {
		x.t.Fatal(err)
	}
	return res
}

// expectDue compares what is due at this time, after some time passed.
func (x *compacting) expectDue(after time.Duration, want ...string) {
	x.t.Helper()
	x.now = x.now.Add(after)
	got := x.c.due(x.now)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		x.t.Errorf("at %s: due are %v, want %v", x.now.Format(time.TimeOnly), got, want)
	}
}

func TestADeltaIsDueWhenItIsOldOrLarge(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Minute, Versions: 10}, catalog.Retention{})
	x.lake(x.id)
	x.expectDue(0)
	x.expectDue(time.Hour)
	x.write(x.id, 3)
	x.expectDue(0)
	x.expectDue(59 * time.Second)
	x.expectDue(time.Second, x.id) // its first version was seen a minute ago
	x.compact(Request{})
	x.expectDue(time.Hour)
	x.write(x.id, 9)
	x.expectDue(0)
	x.now = x.now.Add(time.Second)
	x.writeOne(x.id, "tenth", "")
	x.expectDue(0, x.id) // 10 versions
	x.compact(Request{})
	x.expectDue(0)
}

func TestADeltaThatIsLargeOnDiskIsDue(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Minute, Bytes: 1, Versions: 300}, catalog.Retention{})
	x.write(x.id, 2)
	x.expectDue(0) // 1 % of the versions: what is on disk are not these
	x.now = x.now.Add(time.Second)
	x.writeOne(x.id, "third", "")
	x.expectDue(0, x.id)
}

func TestDataStoresAreDueEachForItself(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Minute}, catalog.Retention{})
	second := x.create("second", catalog.Retention{})
	x.write(x.id, 1)
	x.expectDue(0)
	x.now = x.now.Add(30 * time.Second)
	x.write(second, 1)
	x.expectDue(0)
	x.expectDue(30*time.Second, x.id)
	x.expectDue(30*time.Second, x.id, second)
	x.compact(Request{})
	x.expectDue(0, second)
	if n := x.lake(second).Delta().Stats().Entries; n != 1 {
		t.Errorf("the other one has %d versions in its delta, want 1", n)
	}
}

func TestAFailureIsPostponed(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Minute, Versions: 2}, catalog.Retention{})
	x.write(x.id, 3)
	x.expectDue(0, x.id)
	index := filepath.Join(x.root.DatastoreDir(x.id), "index")
	if err := os.WriteFile(index, []byte("in the way of a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	x.c.compactDue(context.Background(), x.id)
	x.expectDue(0)
	x.expectDue(59 * time.Second)
	x.expectDue(time.Second, x.id)
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	x.c.compactDue(context.Background(), x.id)
	x.expectDue(time.Hour)
	if n := x.lake(x.id).Delta().Stats().Entries; n != 0 {
		t.Errorf("%d versions are left in the delta", n)
	}
}

// TestWhatOthersPublishedIsLookedAt: imports add layers without a delta.
func TestWhatOthersPublishedIsLookedAt(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Minute}, catalog.Retention{})
	x.write(x.id, 1)
	if _, err := bulk.Compact(context.Background(), bulk.CompactOptions{Lake: x.lake(x.id)}); err != nil {
		t.Fatal(err)
	}
	x.expectDue(0)
	x.expectDue(time.Minute, x.id)
	x.c.compactDue(context.Background(), x.id) // there is nothing to do
	x.expectDue(time.Hour)
}

func TestARetentionThatWasChangedIsApplied(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Minute}, catalog.Retention{})
	for range 3 {
		x.now = x.now.Add(time.Second)
		x.write(x.id, 20)
	}
	x.compact(Request{})
	if res := x.compact(Request{Whole: true}); res.After.Rows != 60 {
		t.Fatalf("%d rows, want all 60", res.After.Rows)
	}
	x.expectDue(time.Hour)
	_, err := x.c.set.catalog.UpdateDataStore(x.id, func(d *catalog.DataStore) error { d.Retention.Versions = 1; return nil })
	if err != nil {
		t.Fatal(err)
	}
	x.expectDue(time.Minute)
	x.expectDue(time.Minute, x.id)
	if res := x.compact(Request{}); res.After.Rows != 20 {
		t.Errorf("%d rows, want the 20 that are current", res.After.Rows)
	}
	x.expectDue(time.Hour)
}

// TestVersionsThatGrowOldGoByThemselves: nothing is written for months.
func TestVersionsThatGrowOldGoByThemselves(t *testing.T) {
	const day = 24 * time.Hour
	x := newCompacting(t, CompactorOptions{Age: time.Minute}, catalog.Retention{Days: 100})
	for range 3 {
		x.write(x.id, 20)
		x.now = x.now.Add(time.Second)
	}
	x.compact(Request{})
	if res := x.compact(Request{}); res.After.Rows != 60 {
		t.Fatalf("%d rows, want all 60: they are young", res.After.Rows)
	}
	rows := int64(0)
	for range 200 {
		x.now = x.now.Add(day)
		for range 3 {
			x.now = x.now.Add(time.Minute)
			for _, id := range x.c.due(x.now) {
				res, err := x.c.Compact(context.Background(), id, Request{})
				if err != nil {
					t.Fatal(err)
				}
				rows = res.After.Rows
			}
		}
	}
	if rows != 20 {
		t.Errorf("%d rows are left after 200 days, want the 20 that are current", rows)
	}
}

func TestAskedAgainThereIsNothingToDo(t *testing.T) {
	x := newCompacting(t, CompactorOptions{}, catalog.Retention{Versions: 2})
	for range 4 {
		x.now = x.now.Add(time.Second)
		x.write(x.id, 20)
		x.compact(Request{})
	}
	before := x.compact(Request{})
	after := x.compact(Request{})
	if after.Snapshot != before.Snapshot || after.Versions != 0 {
		t.Errorf("snapshot %d became %d with %d versions in a new layer", before.Snapshot, after.Snapshot, after.Versions)
	}
	if after.After.Rows != 40 {
		t.Errorf("%d rows for 40 versions that are kept", after.After.Rows)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: time.Nanosecond, Interval: time.Millisecond}, catalog.Retention{})
	x.c.o.Now = time.Now
	x.write(x.id, 5)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); x.c.Run(ctx) }()
	for x.lake(x.id).Delta().Stats().Entries > 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	x.writeOne(x.id, "later", "")
	if _, err := x.c.Compact(ctx, x.id, Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a compaction whose caller is gone: %v", err)
	}
	if n := x.lake(x.id).Delta().Stats().Entries; n != 1 {
		t.Errorf("%d versions in the delta, want the one that was not folded in", n)
	}
}

func TestNeverByItself(t *testing.T) {
	x := newCompacting(t, CompactorOptions{Age: -1}, catalog.Retention{})
	x.c.Run(t.Context()) // returns
}

// TestErase erases one resource that is in the delta, in the snapshot, in both, or
// deleted: nothing of it is in any file that lives.
func TestErase(t *testing.T) {
	const secret = "a-text-that-nobody-may-find"
	for name, fill := range map[string]func(x *compacting){
		"only in the delta": func(x *compacting) { x.writeOne(x.id, "victim", secret) },
		"only in the snapshot": func(x *compacting) {
			x.writeOne(x.id, "victim", secret)
			x.compact(Request{})
		},
		"in both": func(x *compacting) {
			x.writeOne(x.id, "victim", secret)
			x.compact(Request{})
			x.now = x.now.Add(time.Second)
			x.writeOne(x.id, "victim", secret+"-2")
		},
		"deleted": func(x *compacting) {
			x.writeOne(x.id, "victim", secret)
			x.compact(Request{})
			x.remove(x.id, "victim")
		},
		"all that there is": nil,
	} {
		t.Run(name, func(t *testing.T) {
			x := newCompacting(t, CompactorOptions{}, catalog.Retention{})
			if fill == nil {
				x.writeOne(x.id, "victim", secret)
				x.compact(Request{})
			} else {
				x.write(x.id, 30)
				fill(x)
			}
			if err := x.c.Erase(context.Background(), x.id, r4.TypeBasic, "victim"); err != nil {
				t.Fatal(err)
			}
			_, err := x.lake(x.id).Read(r4.TypeBasic, "victim", nil)
			if !errors.Is(err, lake.ErrNotFound) {
				t.Errorf("read: %v, want ErrNotFound", err)
			}
			if fill != nil {
				if _, err := x.lake(x.id).Read(r4.TypeBasic, "b7", nil); err != nil {
					t.Errorf("read another one: %v", err)
				}
			}
			x.expectNowhere(secret)
			if err := x.c.Erase(context.Background(), x.id, r4.TypeBasic, "victim"); !errors.Is(err, lake.ErrNotFound) {
				t.Errorf("erased twice: %v, want ErrNotFound", err)
			}
			// It may come again, as a new one.
			x.writeOne(x.id, "victim", "new")
			if v, err := x.lake(x.id).Read(r4.TypeBasic, "victim", nil); err != nil || v.Number != 1 {
				t.Errorf("written again: version %d, %v", v.Number, err)
			}
			x.compact(Request{Whole: true})
			if v, err := x.lake(x.id).Read(r4.TypeBasic, "victim", nil); err != nil || v.Number != 1 {
				t.Errorf("written again and folded in: version %d, %v", v.Number, err)
			}
		})
	}
}

// expectNowhere looks for a text in every file of the data store but the logs of the
// delta store, which are used again and overwritten in time. Files of resources are
// looked at by bulk's tests: they are compressed.
func (x *compacting) expectNowhere(text string) {
	x.t.Helper()
	err := filepath.WalkDir(x.root.DatastoreDir(x.id), func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) == ".log" {
			return err
		}
		b, err := os.ReadFile(name)
		if strings.Contains(string(b), text) {
			x.t.Errorf("%s has the text that was erased", name)
		}
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
}

func TestEraseOfWhatNeverWas(t *testing.T) {
	x := newCompacting(t, CompactorOptions{}, catalog.Retention{})
	x.write(x.id, 1)
	if err := x.c.Erase(context.Background(), x.id, r4.TypeBasic, "unknown"); !errors.Is(err, lake.ErrNotFound) {
		t.Errorf("got %v, want lake.ErrNotFound", err)
	}
	if err := x.c.Erase(context.Background(), x.id, r4.TypePatient, "b0"); !errors.Is(err, lake.ErrNotFound) {
		t.Errorf("of another type: got %v, want lake.ErrNotFound", err)
	}
	if n := x.lake(x.id).Delta().Stats().Entries; n != 1 {
		t.Errorf("%d versions in the delta, want 1: nothing was to be done", n)
	}
	if err := x.c.Erase(context.Background(), "no-store", r4.TypeBasic, "b0"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("in no data store: got %v, want catalog.ErrNotFound", err)
	}
}
