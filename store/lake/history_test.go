package lake

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// pages reads a history and gives the names of its versions, in order.
func pages(t *testing.T, l *Lake, q HistoryQuery, between func(page int)) (names []string) {
	t.Helper()
	for page := 1; ; page++ {
		next, _, err := l.History(q, func(r *Resource) error {
			names = append(names, fmt.Sprintf("%s/%s/%d", r.Type, r.ID, r.Number))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if next == "" {
			return names
		}
		q.After = next
		if between != nil {
			between(page)
		}
	}
}

// TestTheHistoryOfABigImportHasEveryRowOnce pages through more rows of one time than
// are sorted, with versions of the delta of the same time, while others write and what
// they wrote is folded in.
func TestTheHistoryOfABigImportHasEveryRowOnce(t *testing.T) {
	const n = sameTime + 1000
	c := newClock()
	l := openLake(t, t.TempDir(), c)
	i, err := l.BeginImport()
	if err != nil {
		t.Fatal(err)
	}
	p := &importing{t: t, i: i, at: c.now()}
	for k := range n {
		p.lines = append(p.lines, imported{r4.TypePatient, fmt.Sprintf("p-%d", k%(n-10)), uint64(k + 1)}) // ten of them twice
	}
	p.publish()
	for k := range 5 { // at the same time
		commitOne(t, l, put(r4.TypePatient, fmt.Sprintf("p-%d", k), 7))
	}
	c.tick(time.Second)
	commitOne(t, l, put(r4.TypePatient, "later", 1))

	got := pages(t, l, HistoryQuery{Type: r4.TypePatient, Count: 700}, func(page int) {
		c.tick(time.Second)
		commitOne(t, l, put(r4.TypePatient, "p-17", uint64(1000+page)))
		if page == 3 {
			fold(t, l)
		}
	})
	seen := map[string]int{}
	for _, name := range got {
		seen[name]++
	}
	if len(got) != n-10+5+1 || len(seen) != len(got) {
		t.Errorf("%d versions, %d of them different, want %d", len(got), len(seen), n-10+6)
	}
	if got[0] != "Patient/later/1" {
		t.Errorf("the first is %s", got[0])
	}
}

func TestTokensThatAreNoneAreRefused(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	commitOne(t, l, put(r4.TypePatient, "a", 1))
	for _, token := range []Token{"x", "AAAA", "!!!", Token(make([]byte, 39)), (&place{}).token()[1:]} {
		_, _, err := l.History(HistoryQuery{Type: r4.TypePatient, After: token}, func(*Resource) error { return nil })
		if !errors.Is(err, ErrToken) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestHistoryEndsWithTheErrorOfItsReader(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	commitOne(t, l, put(r4.TypePatient, "a", 1))
	gone := errors.New("the client is gone")
	for _, q := range []HistoryQuery{{}, {Type: r4.TypePatient}, {Type: r4.TypePatient, ID: "a"}} {
		if _, _, err := l.History(q, func(*Resource) error { return gone }); !errors.Is(err, gone) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, _, err := l.History(HistoryQuery{Type: r4.TypePatient, ID: "b"}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("of what never existed: %v", err)
	}
}
