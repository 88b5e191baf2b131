package delta

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sound fails the test when a check of the open store finds something.
func sound(tb testing.TB, s *Store) Checked {
	tb.Helper()
	done, err := s.Check(context.Background(), func(p Problem) { tb.Errorf("check: %v", p) })
	if err != nil {
		tb.Fatal(err)
	}
	return done
}

func TestDropRemovesTheOldest(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := openStore(t, dir, small(c))
	for i := range uint32(2000) {
		commit(t, s, entry(patient, fmt.Sprintf("p%d", i%500), i/500+1, Update))
	}
	before := snapshot(t, s)
	if err := s.Drop(context.Background(), 1700); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Entries != 300 || st.DroppedSeq != 1700 || st.LastSeq != 2000 {
		t.Errorf("after the drop: %+v", st)
	}
	if _, ok, _ := s.Latest(patient, "p100", nil); ok {
		t.Error("what was dropped is there")
	}
	if e, ok, _ := s.Latest(patient, "p499", nil); !ok || short(&e) != "Patient/p499/4 update #2000" {
		t.Errorf("what was not dropped: %v", short(&e))
	}
	if n := len(collect(t, before.Resources(0))); n != 2000 {
		t.Errorf("a snapshot from before has %d entries", n)
	}
	if n := len(collect(t, before.Commits(Range{Type: patient}))); n != 2000 {
		t.Errorf("a snapshot from before has %d commits", n)
	}
	if got := sound(t, s); got.Entries != 300 {
		t.Errorf("checked %d entries", got.Entries)
	}
	if err := s.Drop(context.Background(), 2001); err == nil {
		t.Error("dropped what is not there")
	}
	if err := s.Drop(context.Background(), 2000); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(context.Background(), 10); err != nil {
		t.Errorf("dropping what was dropped: %v", err)
	}
}

func TestSeqAndTimeGoOnAfterAllWasDropped(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := openStore(t, dir, small(c))
	at := commit(t, s, entry(patient, "a", 1, Create), entry(patient, "b", 1, Create))[1].Updated
	if err := s.Drop(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(-time.Hour)
	s = openStore(t, dir, small(c))
	if e := commit(t, s, entry(patient, "a", 2, Update))[0]; e.Seq != 3 || e.Updated != at {
		t.Errorf("got Seq %d at %d, want 3 at %d", e.Seq, e.Updated, at)
	}
	sound(t, s)
}

func TestDropThatEndsEarlyIsFinishedByTheNext(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), small(c))
	for i := range 3 * dropAtOnce {
		ty := patient
		if i < dropAtOnce {
			ty = observation
		}
		commit(t, s, entry(ty, fmt.Sprint("r", i), 1, Create))
	}
	// The first batch of a drop, and then the process ends.
	changes, err := s.nextChanges(0, 3*dropAtOnce)
	if err != nil || len(changes) != dropAtOnce {
		t.Fatalf("%d changes, %v", len(changes), err)
	}
	if err := s.dropVersions(changes); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.dir, small(c))
	if got := sound(t, s); got.Entries != 2*dropAtOnce {
		t.Errorf("%d entries", got.Entries)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Drop(ctx, 2*dropAtOnce); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Drop(context.Background(), 2*dropAtOnce); err != nil {
		t.Fatal(err)
	}
	if ok, _ := s.hasType(observation, 3*dropAtOnce); ok {
		t.Error("rows of a type that only the first drop had are left")
	}
	if got := sound(t, s); got.Entries != dropAtOnce {
		t.Errorf("%d entries", got.Entries)
	}
}

// A resource's latest version never falls while others write and drop.
func TestReadersWritersAndDropTogether(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{Memory: minMemory, Reserve: -1})
	const writers, versions = 4, 300
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		id := fmt.Sprint("w", w)
		wg.Go(func() {
			for n := range uint32(versions) {
				if err := s.Commit([]Entry{entry(patient, id, n+1, Update)}, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var others sync.WaitGroup
	others.Go(func() {
		last := map[string]uint32{}
		for {
			select {
			case <-stop:
				return
			default:
			}
			for w := range writers {
				id := fmt.Sprint("w", w)
				e, ok, err := s.Latest(patient, id, nil)
				if err != nil || ok && e.Number < last[id] {
					t.Errorf("%s: %v after %d, %v", id, e.Number, last[id], err)
					return
				}
				last[id] = max(last[id], e.Number)
			}
		}
	})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.Drop(context.Background(), s.Stats().LastSeq/2); err != nil {
				t.Error(err)
				return
			}
			sound(t, s)
		}
	})
	wg.Wait()
	close(stop)
	others.Wait()
	if st := s.Stats(); st.LastSeq != writers*versions {
		t.Errorf("%+v", st)
	}
	sound(t, s)
}

func TestIdempotencyKeys(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), small(c))
	with := func(id, key string, lasts time.Duration) Entry {
		e := entry(patient, id, 1, Create)
		e.Idempotency = Idempotency{Key: key, Expires: c.at.Add(lasts).UnixMicro()}
		return e
	}
	commit(t, s, with("a", "k1", time.Hour), with("b", "k2", 2*time.Hour))
	duplicate := func(es ...Entry) *DuplicateKeyError {
		t.Helper()
		var dup *DuplicateKeyError
		if err := s.Commit(es, nil); err != nil && !errors.As(err, &dup) {
			t.Fatal(err)
		}
		return dup
	}
	want := &DuplicateKeyError{Index: 1, Type: patient, ID: "a", Number: 1, seq: 1}
	if diff := cmp.Diff(want, duplicate(entry(patient, "c", 1, Create), with("d", "k1", time.Hour)), cmp.AllowUnexported(DuplicateKeyError{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, ok, _ := s.Latest(patient, "c", nil); ok {
		t.Error("part of a refused batch is there")
	}
	if dup := duplicate(with("c", "k3", time.Hour), with("d", "k3", time.Hour)); dup == nil || dup.ID != "c" {
		t.Errorf("twice in a batch: %v", dup)
	}
	c.at = c.at.Add(90 * time.Minute)
	if dup := duplicate(with("e", "k1", time.Hour)); dup != nil {
		t.Errorf("an expired key: %v", dup)
	}
	if dup := duplicate(with("f", "k1", time.Hour)); dup == nil || dup.ID != "e" {
		t.Errorf("a key that was used anew: %v", dup)
	}
	c.at = c.at.Add(45 * time.Minute)
	if n, err := s.PurgeIdempotency(context.Background()); n != 2 || err != nil { // k2, and the first use of k1
		t.Errorf("purged %d, %v", n, err)
	}
	if dup := duplicate(with("g", "k1", time.Hour)); dup == nil {
		t.Error("the purge took a key that had been used anew")
	}
	sound(t, s)
}

func TestCheckpointIsAStore(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), small(c))
	for i := range 100 {
		commit(t, s, entry(patient, fmt.Sprint("p", i), 1, Create))
	}
	dir := filepath.Join(t.TempDir(), "backup")
	if err := s.Checkpoint(dir); err != nil {
		t.Fatal(err)
	}
	want := all(t, s)
	commit(t, s, entry(patient, "later", 1, Create))
	if err := s.Checkpoint(dir); err == nil {
		t.Error("wrote over a folder")
	}
	if err := s.Checkpoint(filepath.Join(s.dir, "inside")); err == nil {
		t.Error("wrote into the store")
	}
	b := openStore(t, dir, small(c))
	if diff := cmp.Diff(want, all(t, b)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	sound(t, b)
}
