package delta

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

var (
	patient     = r4.ResourceTypeByName([]byte("Patient"))
	observation = r4.ResourceTypeByName([]byte("Observation"))
)

// clock is a test's time, which a test may turn back.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)} }

// small are options under which tables and logs turn over soon.
func small(c *clock) Options { return Options{Memory: minMemory, Reserve: -1, Now: c.now} }

func openStore(tb testing.TB, dir string, o Options) *Store {
	tb.Helper()
	s, err := Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// entry makes a version whose contents say what it is.
func entry(t r4.TypeID, id string, number uint32, m Method) Entry {
	e := Entry{Version: Version{
		Type: t, ID: id, Number: number, Method: m, Content: uint64(number) * 31,
		Key: [2]uint64{uint64(len(id)), uint64(t)},
	}}
	if m != Delete {
		e.JSON = fmt.Appendf(nil, `{"resourceType":"%s","id":"%s","meta":{"versionId":"%d"}}`, t, id, number)
	} else {
		e.Content = 0
	}
	return e
}

func commit(tb testing.TB, s *Store, entries ...Entry) []Entry {
	tb.Helper()
	if err := s.Commit(entries, nil); err != nil {
		tb.Fatal(err)
	}
	return entries
}

func snapshot(tb testing.TB, s *Store) *Snapshot {
	tb.Helper()
	v, err := s.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { v.Close() })
	return v
}

// short names an entry: type, id, number, method, Seq.
func short(e *Entry) string {
	return fmt.Sprintf("%s/%s/%d %s #%d", e.Type, e.ID, e.Number, e.Method, e.Seq)
}

func collect(tb testing.TB, seq func(func(*Entry, error) bool)) (out []string) {
	tb.Helper()
	for e, err := range seq {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, short(e))
	}
	return out
}

// all lists what the store has, by Seq.
func all(tb testing.TB, s *Store) []string {
	tb.Helper()
	v, err := s.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	defer v.Close()
	return collect(tb, v.Commits(Range{}))
}

func TestLatestIsTheNewestVersion(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), small(c))
	first := commit(t, s, entry(patient, "a", 1, Create), entry(patient, "ab", 1, Create), entry(observation, "a", 1, Create))
	c.at = c.at.Add(time.Second)
	kept := entry(patient, "a", 2, Update)
	kept.Beside = beside.Values{{Kind: beside.Issues, Data: []byte(`[{"severity":"error"}]`)}, {Kind: beside.NLP, Data: []byte(`{}`)}, {Kind: "other", Data: []byte(`1`)}}
	second := commit(t, s, kept, entry(observation, "a", 2, Delete))
	commit(t, s, entry(patient, "x.Y-9", 300, Patch))

	got, ok, err := s.Latest(patient, "a", []byte("kept"))
	if err != nil || !ok {
		t.Fatalf("got %v, %v", ok, err)
	}
	want := kept
	want.Seq, want.Updated = 4, time.Date(2026, 3, 1, 12, 0, 1, 123000000, time.UTC).UnixMicro()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if first[2].Seq != 3 || second[1].Seq != 5 || second[0].Updated != want.Updated {
		t.Errorf("Seq and Updated of the batches: %+v, %+v", first[2], second[1])
	}
	for _, tt := range []struct {
		name   string
		t      r4.TypeID
		id     string
		number uint32 // 0: the latest
		want   string
	}{
		{"a deletion is a version", observation, "a", 0, "Observation/a/2 delete #5"},
		{"an older version", observation, "a", 1, "Observation/a/1 create #3"},
		{"an id that begins with another", patient, "ab", 0, "Patient/ab/1 create #2"},
		{"a number of more than a byte", patient, "x.Y-9", 300, "Patient/x.Y-9/300 patch #6"},
		{"a number that is not there, below", patient, "x.Y-9", 299, ""},
		{"a number that is not there, above", patient, "a", 3, ""},
		{"an id that is not there", patient, "b", 0, ""},
		{"the same id in another type", observation, "ab", 0, ""},
		{"no id", patient, "", 0, ""},
		{"what no id can be", patient, "a\x00", 0, ""},
		{"a datatype", r4.TypeID(1), "a", 0, ""},
	} {
		var got Entry
		var ok bool
		var err error
		if tt.number == 0 {
			got, ok, err = s.Latest(tt.t, tt.id, nil)
		} else {
			got, ok, err = s.ByNumber(tt.t, tt.id, tt.number, nil)
		}
		if err != nil || ok != (tt.want != "") || ok && short(&got) != tt.want {
			t.Errorf("%s: got %s, %v, %v; want %q", tt.name, short(&got), ok, err, tt.want)
		}
	}
}

func TestWhatCannotBeAnEntryIsRefused(t *testing.T) {
	s := openStore(t, t.TempDir(), small(newClock()))
	for name, change := range map[string]func(*Entry){
		"a datatype":              func(e *Entry) { e.Type = 1 },
		"no id":                   func(e *Entry) { e.ID = "" },
		"a zero byte in the id":   func(e *Entry) { e.ID = "a\x00b" },
		"a long id":               func(e *Entry) { e.ID = string(make([]byte, 65)) },
		"no number":               func(e *Entry) { e.Number = 0 },
		"no method":               func(e *Entry) { e.Method = 0 },
		"a deletion with content": func(e *Entry) { e.Method = Delete },
		"an update without":       func(e *Entry) { e.JSON = nil },
		"a long key":              func(e *Entry) { e.Idempotency.Key = string(make([]byte, 257)) },
		"too much beside it":      func(e *Entry) { e.Beside = beside.Values{{Kind: beside.NLP, Data: make([]byte, MaxContent)}} },
		"kinds that fall": func(e *Entry) {
			e.Beside = beside.Values{{Kind: beside.NLP, Data: []byte("1")}, {Kind: beside.Issues, Data: []byte("1")}}
		},
		"a kind twice": func(e *Entry) {
			e.Beside = beside.Values{{Kind: beside.NLP, Data: []byte("1")}, {Kind: beside.NLP, Data: []byte("1")}}
		},
		"a kind without a name": func(e *Entry) { e.Beside = beside.Values{{Data: []byte("1")}} },
		"nothing of a kind":     func(e *Entry) { e.Beside = beside.Values{{Kind: beside.NLP}} },
	} {
		bad := entry(patient, "a", 1, Create)
		change(&bad)
		if err := s.Commit([]Entry{entry(patient, "good", 1, Create), bad}, nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if st := s.Stats(); st.LastSeq != 0 || st.Entries != 0 {
		t.Errorf("refused batches left something: %+v", st)
	}
	if _, ok, _ := s.Latest(patient, "good", nil); ok {
		t.Error("part of a refused batch is there")
	}
}

func TestStampSeesTheTimeOfTheCommit(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), small(c))
	es := []Entry{entry(patient, "a", 1, Create)}
	err := s.Commit(es, func(updated int64) error {
		es[0].JSON = fmt.Appendf(nil, `{"at":%d}`, updated)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _, _ := s.Latest(patient, "a", nil)
	if want := fmt.Sprintf(`{"at":%d}`, got.Updated); string(got.JSON) != want {
		t.Errorf("got %s, want %s", got.JSON, want)
	}
	stop := errors.New("stop")
	if err := s.Commit(es, func(int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if s.Stats().LastSeq != 1 {
		t.Error("a commit whose stamp failed took a Seq")
	}
}

func TestTimeDoesNotFall(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := openStore(t, dir, small(c))
	noon := commit(t, s, entry(patient, "a", 1, Create))[0].Updated
	c.at = c.at.Add(-time.Hour)
	if got := commit(t, s, entry(patient, "a", 2, Update))[0].Updated; got != noon {
		t.Errorf("after the clock fell: %d, want %d", got, noon)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, small(c))
	if got := commit(t, s, entry(patient, "a", 3, Update))[0].Updated; got != noon {
		t.Errorf("after the clock fell and a restart: %d, want %d", got, noon)
	}
	early := entry(patient, "a", 4, Update)
	early.Updated = noon - 1000
	if err := s.Apply([]Entry{early}, true); err == nil {
		t.Error("Apply took a time before the last one")
	}
}

func TestUnsyncedEntriesAreReadWhenTheyAreDurable(t *testing.T) {
	s := openStore(t, t.TempDir(), small(newClock()))
	e := entry(patient, "a", 1, Create)
	e.Updated = 1000
	if err := s.Apply([]Entry{e}, false); err != nil {
		t.Fatal(err)
	}
	v := snapshot(t, s)
	if _, ok, _ := s.Latest(patient, "a", nil); ok || len(collect(t, v.Resources(0))) > 0 || v.Seq() != 0 {
		t.Error("an entry is seen that a crash could take away")
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.Latest(patient, "a", nil); !ok {
		t.Error("not there after Sync")
	}
	if _, ok, _ := v.Latest(patient, "a", nil); ok {
		t.Error("a snapshot shows what came later")
	}
}

func TestSnapshotIterates(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), small(c))
	commit(t, s, entry(patient, "b", 1, Create))
	commit(t, s, entry(observation, "o", 1, Create), entry(patient, "a", 1, Create))
	c.at = c.at.Add(time.Second)
	commit(t, s, entry(patient, "b", 2, Update))
	commit(t, s, entry(patient, "b", 3, Delete))
	v := snapshot(t, s)
	commit(t, s, entry(patient, "b", 4, Update), entry(patient, "c", 1, Create))

	const b1, o1, a1, b2, b3 = "Patient/b/1 create #1", "Observation/o/1 create #2", "Patient/a/1 create #3",
		"Patient/b/2 update #4", "Patient/b/3 delete #5"
	for _, tt := range []struct {
		name string
		got  func(func(*Entry, error) bool)
		want []string
	}{
		{"all resources", v.Resources(0), []string{o1, a1, b3, b2, b1}},
		{"resources of a type", v.Resources(patient), []string{a1, b3, b2, b1}},
		{"one resource", v.Resource(patient, "b"), []string{b3, b2, b1}},
		{"a resource that is not there", v.Resource(patient, "c"), nil},
		{"commits rising", v.Commits(Range{}), []string{b1, o1, a1, b2, b3}},
		{"commits falling", v.Commits(Range{Newest: true}), []string{b3, b2, a1, o1, b1}},
		{"commits between", v.Commits(Range{After: 1, Before: 4}), []string{o1, a1}},
		{"commits of a type", v.Commits(Range{Type: patient}), []string{b1, a1, b2, b3}},
		{"commits of a type falling, before one", v.Commits(Range{Type: patient, Before: 4, Newest: true}), []string{a1, b1}},
		{"commits of a type that has none", v.Commits(Range{Type: r4.ResourceTypeByName([]byte("Group"))}), nil},
		{"an empty range", v.Commits(Range{After: 3, Before: 4}), nil},
	} {
		if diff := cmp.Diff(tt.want, collect(t, tt.got), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
	var changes []Change
	for c, err := range v.Changes(Range{After: 4}) {
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	if want := []Change{{Seq: 5, Type: patient, ID: "b", Number: 3, Updated: c.at.UnixMilli() * 1000, Key: [2]uint64{1, uint64(patient)}}}; !cmp.Equal(want, changes) {
		t.Errorf("changes: %s", cmp.Diff(want, changes))
	}
	if e, ok, err := v.Latest(patient, "b", nil); err != nil || !ok || short(&e) != b3 {
		t.Errorf("latest in the view: %v %v %v", short(&e), ok, err)
	}
	for at, want := range map[int64]uint64{0: 0, c.at.UnixMicro() - 1e6 + 1e3: 3, c.at.UnixMicro(): 5} {
		if got, err := v.SeqAt(at); err != nil || got != want {
			t.Errorf("SeqAt(%d): got %d, %v; want %d", at, got, err, want)
		}
	}
	if err := s.Close(); err == nil {
		t.Error("closed under a snapshot")
	}
}

func TestEverythingComesBackAfterOpen(t *testing.T) {
	c := newClock()
	dir := filepath.Join(t.TempDir(), "delta")
	s := openStore(t, dir, small(c))
	commit(t, s, entry(patient, "a", 1, Create), entry(patient, "b", 1, Create))
	commit(t, s, entry(patient, "a", 2, Delete))
	want := all(t, s)
	if _, err := Open(dir, small(c)); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, small(c))
	if diff := cmp.Diff(want, all(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := commit(t, s, entry(patient, "c", 1, Create))[0].Seq; got != 4 {
		t.Errorf("the next Seq is %d, want 4", got)
	}
}
