package lake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
)

const (
	followDocument  = r4.TypeDocumentReference
	followCondition = r4.TypeCondition
)

// document is a write of a document whose content is a set of bits: Condition <id>-<i> is derived from it when bit i
// is set. The content 0 deletes it.
func document(id string, content uint64) Write {
	w := put(followDocument, id, content)
	w.Follow = func(current *Resource) ([]Write, error) {
		before := uint64(0)
		if current != nil && current.Method != delta.Delete {
			before = current.Content
		}
		var out []Write
		for i := range 8 {
			is, was := content>>i&1, before>>i&1
			if is|was == 1 {
				out = append(out, put(followCondition, fmt.Sprintf("%s-%d", id, i), 10*is))
			}
		}
		return out, nil
	}
	return w
}

// derivedOf gives the set of Conditions that are there of a document.
func derivedOf(t *testing.T, l *Lake, id string) (set uint64) {
	t.Helper()
	for i := range 8 {
		if _, err := l.Read(followCondition, fmt.Sprintf("%s-%d", id, i), nil); err == nil {
			set |= 1 << i
		}
	}
	return set
}

// versionsOf counts the versions of all resources.
func versionsOf(t *testing.T, l *Lake) (n int64) {
	t.Helper()
	if _, _, err := l.History(HistoryQuery{Count: 1000}, func(*Resource) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatFollowsIsWrittenInTheSameCommit(t *testing.T) {
	for _, folded := range []bool{false, true} {
		l := openLake(t, t.TempDir(), newClock())
		versions := int64(0)
		for step, c := range []struct {
			content uint64
			want    uint64
			changed int // versions of Conditions that the step makes
		}{
			{0b0011, 0b0011, 2}, {0b0110, 0b0110, 2}, {0b0110, 0b0110, 0}, {0, 0, 2}, {0, 0, 0}, {0b1000, 0b1000, 1},
		} {
			out, err := l.Commit(context.Background(), []Write{put(r4.TypePatient, "p", uint64(step)+1), document("d", c.content)})
			if err != nil || len(out) != 2 {
				t.Fatalf("step %d: %+v, %v", step, out, err)
			}
			if got := derivedOf(t, l, "d"); got != c.want {
				t.Errorf("step %d: %04b is there, want %04b", step, got, c.want)
			}
			made := 1 + c.changed
			if !out[1].Unchanged {
				made++
			}
			if versions += int64(made); versionsOf(t, l) != versions {
				t.Errorf("there are %d versions after step %d, want %d", versionsOf(t, l), step, versions)
			}
			if folded {
				fold(t, l)
			}
		}
	}
}

func TestWhatTheCommitWritesItselfDoesNotFollow(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	if _, err := l.Commit(context.Background(), []Write{document("d", 0b11), put(followCondition, "d-1", 77)}); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Read(followCondition, "d-1", nil); err != nil || r.Content != 77 {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := l.Read(followCondition, "d-0", nil); err != nil || r.Content != 10 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestNothingIsWrittenWhenWhatFollowsFails(t *testing.T) {
	reason := errors.New("what follows cannot be told")
	twice := document("d", 0b1)
	follow := twice.Follow
	twice.Follow = func(current *Resource) ([]Write, error) {
		w, err := follow(current)
		return append(w, w...), err
	}
	failing := put(followDocument, "d", 1)
	failing.Follow = func(*Resource) ([]Write, error) { return nil, reason }
	refused := document("d", 0b1)
	refused.IfMatch = 3
	for name, w := range map[string]Write{"an error": failing, "a resource twice": twice, "a condition": refused} {
		l := openLake(t, t.TempDir(), newClock())
		_, err := l.Commit(context.Background(), []Write{put(r4.TypePatient, "p", 1), w})
		if err == nil || name == "an error" && !errors.Is(err, reason) {
			t.Errorf("%s: %v", name, err)
		}
		if n := versionsOf(t, l); n != 0 {
			t.Errorf("%s: %d versions were written", name, n)
		}
	}
}

// TestWhatFollowsIsThatOfTheLastVersion has writers change the same documents.
func TestWhatFollowsIsThatOfTheLastVersion(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	ids := []string{"d", "e", "f"}
	var group sync.WaitGroup
	for worker := range 4 {
		r := rand.New(rand.NewPCG(uint64(worker), 1))
		group.Go(func() {
			for range 60 {
				var writes []Write
				for _, id := range ids {
					if r.IntN(2) == 0 {
						writes = append(writes, document(id, uint64(r.IntN(256))))
					}
				}
				if len(writes) == 0 {
					continue
				}
				if _, err := l.Commit(context.Background(), writes); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		want := uint64(0)
		if r, err := l.Read(followDocument, id, nil); err == nil {
			want = r.Content
		}
		if got := derivedOf(t, l, id); got != want {
			t.Errorf("of %s %08b is derived, and %08b is there", id, want, got)
		}
	}
}
