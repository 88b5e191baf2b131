package lake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
)

func TestConditionsAreDecidedOnTheCurrentVersion(t *testing.T) {
	patient := r4.TypePatient
	for name, c := range map[string]struct {
		before []uint64 // contents that were written; 0 is a deletion
		change func(w *Write)
		refuse Condition
		ok     bool
	}{
		"if-match of the current version":          {before: []uint64{1, 2}, change: func(w *Write) { w.IfMatch = 2 }, ok: true},
		"if-match of an older version":             {before: []uint64{1, 2}, change: func(w *Write) { w.IfMatch = 1 }, refuse: Stale},
		"if-match of what never existed":           {change: func(w *Write) { w.IfMatch = 1 }, refuse: Stale},
		"if-none-match of what never existed":      {change: func(w *Write) { w.IfNoneMatch = true }, ok: true},
		"if-none-match of what exists":             {before: []uint64{1}, change: func(w *Write) { w.IfNoneMatch = true }, refuse: Exists},
		"if-none-match of what was deleted":        {before: []uint64{1, 0}, change: func(w *Write) { w.IfNoneMatch = true }, refuse: Exists},
		"must exist, and does":                     {before: []uint64{1}, change: func(w *Write) { w.MustExist = true }, ok: true},
		"must exist, and never did":                {change: func(w *Write) { w.MustExist = true }, refuse: Missing},
		"must exist, and was deleted":              {before: []uint64{1, 0}, change: func(w *Write) { w.MustExist = true }, refuse: Missing},
		"a deletion of what must exist, and never": {change: func(w *Write) { *w = put(patient, "a", 0); w.MustExist = true }, refuse: Missing},
	} {
		for _, folded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, folded %v", name, folded), func(t *testing.T) {
				l := openLake(t, t.TempDir(), newClock())
				for _, content := range c.before {
					commitOne(t, l, put(patient, "a", content))
				}
				if folded {
					fold(t, l)
				}
				w := put(patient, "a", 9)
				c.change(&w)
				other := put(patient, "other", 1)
				out, err := l.Commit(context.Background(), []Write{other, w})
				var refused *ConditionError
				switch {
				case c.ok && err != nil:
					t.Fatal(err)
				case c.ok:
					if out[1].Number != uint32(len(c.before)+1) || out[1].Existed != (len(c.before) > 0) {
						t.Errorf("got %+v", out[1])
					}
				case !errors.As(err, &refused) || refused.Kind != c.refuse || refused.Index != 1 || refused.Current.Number != uint32(len(c.before)):
					t.Errorf("got %v, want %v of write 1", err, c.refuse)
				default:
					if _, err := l.Read(patient, "other", nil); !errors.Is(err, ErrNotFound) {
						t.Errorf("the other write of the commit is there: %v", err)
					}
				}
			})
		}
	}
}

func TestWhatChangesNothingIsNotWritten(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	patient := r4.TypePatient
	if out := commitOne(t, l, put(patient, "a", 0)); !out.Unchanged || out.Existed || out.Number != 0 {
		t.Errorf("deleting what never existed: %+v", out)
	}
	commitOne(t, l, put(patient, "a", 5))
	if out := commitOne(t, l, put(patient, "a", 5)); !out.Unchanged || out.Number != 1 {
		t.Errorf("the same content again: %+v", out)
	}
	fold(t, l)
	if out := commitOne(t, l, put(patient, "a", 5)); !out.Unchanged || out.Number != 1 {
		t.Errorf("the same content again, after a fold: %+v", out)
	}
	if out := commitOne(t, l, put(patient, "a", 0)); out.Unchanged || out.Number != 2 {
		t.Errorf("a deletion: %+v", out)
	}
	if out := commitOne(t, l, put(patient, "a", 0)); !out.Unchanged || out.Number != 2 {
		t.Errorf("a deletion again: %+v", out)
	}
	fold(t, l)
	if out := commitOne(t, l, put(patient, "a", 5)); out.Unchanged || out.Number != 3 {
		t.Errorf("the content from before the deletion: %+v", out)
	}
}

func TestPrepareSeesTheCurrentVersion(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	commitOne(t, l, put(r4.TypePatient, "a", 5))
	for _, folded := range []bool{false, true} {
		if folded {
			fold(t, l)
		}
		w := []Write{{Type: r4.TypePatient, ID: "a", Method: delta.Patch, MustExist: true}}
		w[0].Prepare = func(current *Resource) error {
			if !strings.Contains(string(current.JSON), fmt.Sprintf(`"x":%d`, current.Content)) {
				t.Errorf("content %d with %s", current.Content, current.JSON)
			}
			next := put(r4.TypePatient, "a", current.Content+1)
			w[0].Content, w[0].Stamp = next.Content, next.Stamp
			return nil
		}
		out, err := l.Commit(context.Background(), w)
		if err != nil || out[0].Method != delta.Patch {
			t.Fatalf("%+v %v", out, err)
		}
	}
	if r, err := l.Read(r4.TypePatient, "a", nil); err != nil || r.Content != 7 || r.Number != 3 {
		t.Errorf("got %+v %v", r, err)
	}
	reason := errors.New("the patch does not fit")
	_, err := l.Commit(context.Background(), []Write{{Type: r4.TypePatient, ID: "b", Method: delta.Patch, Prepare: func(current *Resource) error {
		if current != nil {
			t.Errorf("got %+v of what never existed", current)
		}
		return reason
	}}})
	if !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
}

func TestOneOfManyCreatesWins(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	var wins, refused atomic.Int32
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			w := put(r4.TypePatient, "one", uint64(n+1))
			w.IfNoneMatch = true
			_, err := l.Commit(context.Background(), []Write{w})
			var c *ConditionError
			switch {
			case err == nil:
				wins.Add(1)
			case errors.As(err, &c) && c.Kind == Exists && c.Current.Number == 1:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 || refused.Load() != 63 {
		t.Errorf("%d won and %d were refused", wins.Load(), refused.Load())
	}
}

func TestAnIdempotencyKeyIsGoodOnce(t *testing.T) {
	c := newClock()
	l := openLake(t, t.TempDir(), c)
	create := func(id string) error {
		w := put(r4.TypePatient, id, 1)
		w.Method, w.IdempotencyKey = delta.Create, "5f0c8a4e-key"
		_, err := l.Commit(context.Background(), []Write{put(r4.TypePatient, "before-"+id, 1), w})
		return err
	}
	if err := create("a"); err != nil {
		t.Fatal(err)
	}
	var d *DuplicateKeyError
	if err := create("b"); !errors.As(err, &d) || d.Index != 1 || d.Original.Type != r4.TypePatient || d.Original.ID != "a" || d.Original.Number != 1 {
		t.Errorf("the same key again: %v", err)
	}
	if _, err := l.Read(r4.TypePatient, "before-b", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("the other write of the refused commit: %v", err)
	}
	c.tick(keepIdempotencyKeys + time.Second)
	if err := create("b"); err != nil {
		t.Errorf("the same key a day later: %v", err)
	}
}

func TestACommitOfOneResourceTwiceIsRefused(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	_, err := l.Commit(context.Background(), []Write{put(r4.TypePatient, "a", 1), put(r4.TypePatient, "a", 2)})
	if err == nil {
		t.Error("it was taken")
	}
}

func TestAPanicInStampIsAnErrorOfItsCommitAlone(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	w := put(r4.TypePatient, "a", 1)
	w.Stamp = func([]byte, uint32, string) []byte { panic("bug") }
	if _, err := l.Commit(context.Background(), []Write{w}); err == nil {
		t.Error("no error")
	}
	commitOne(t, l, put(r4.TypePatient, "a", 1))
}

// A panic in Prepare is its caller's; the locks are free, and nothing is written.
func TestAPanicInPrepareHoldsNobodyUp(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	w := put(r4.TypePatient, "a", 1)
	w.Prepare = func(*Resource) error { panic("bug") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		l.Commit(context.Background(), []Write{put(r4.TypePatient, "b", 1), w})
	}()
	for _, id := range []string{"a", "b"} {
		if _, err := l.Read(r4.TypePatient, id, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
		commitOne(t, l, put(r4.TypePatient, id, 1))
	}
	fold(t, l) // waits for all commits
}

func TestTimeNeverFalls(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	l := openLake(t, dir, c)
	first := commitOne(t, l, put(r4.TypePatient, "a", 1))
	c.tick(-time.Hour)
	if out := commitOne(t, l, put(r4.TypePatient, "a", 2)); out.Updated != first.Updated {
		t.Errorf("an hour back: %d after %d", out.Updated, first.Updated)
	}
	c.tick(time.Hour + time.Second)
	fold(t, l) // nothing but the published state has this time
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	published := c.now().UnixMicro()
	c.tick(-time.Hour)
	l = openLake(t, dir, c)
	if out := commitOne(t, l, put(r4.TypePatient, "a", 3)); out.Updated < published {
		t.Errorf("after a restart: %d, and %d was published", out.Updated, published)
	}
}

func TestAClosedLakeSaysSo(t *testing.T) {
	l, err := Open(t.TempDir(), Options{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(r4.TypePatient, "a", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if _, err := l.Commit(context.Background(), []Write{put(r4.TypePatient, "a", 1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("Commit: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}
