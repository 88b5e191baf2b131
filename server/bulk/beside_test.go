package bulk

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// meanwhile is a reader that does something when its text ends, which is when the job
// has begun and has not published.
type meanwhile struct {
	io.Reader
	do func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if err == io.EOF && m.do != nil {
		m.do()
		m.do = nil
	}
	return n, err
}

func patient(id, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","name":[{"family":"%s"}]}`, id, family)
}

func stamped(id string, version int, at time.Time, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},"name":[{"family":"%s"}]}`,
		id, version, at.UTC().Format("2006-01-02T15:04:05.000Z"), family)
}

// TestAnImportCommitsAfterWhatWasWrittenBesideIt has REST write before an import and
// while it runs. The import is later than all of it.
func TestAnImportCommitsAfterWhatWasWrittenBesideIt(t *testing.T) {
	f := newLake(t)
	f.opts.Level = validate.Minimal // rows with issues are written again with them
	first := write(t, "first.ndjson", patient("a", "first"), patient("b", "first"), patient("c", "first"), patient("d", "first"))
	f.load(first)

	secret, err := hex.DecodeString(f.opts.Datastore.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Add(time.Minute)
	l, err := lake.Open(f.store.Dir(), lake.Options{Secret: secret, Now: func() time.Time { return now }, Delta: delta.Options{Reserve: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	put := func(id, family string) {
		w := lake.Write{Type: r4.TypePatient, ID: id, Method: delta.Update, Content: xxhash.Sum64String(family)}
		w.Stamp = func(dst []byte, number uint32, updated string) []byte {
			at, _ := time.Parse(time.RFC3339, updated)
			return append(dst, stamped(id, int(number), at, family)...)
		}
		if _, err := l.Commit(context.Background(), []lake.Write{w}); err != nil {
			t.Error(err)
		}
	}
	put("b", "before") // version 2, which the import follows
	put("e", "before") // only in the delta
	remove := func(id string) {
		if _, err := l.Commit(context.Background(), []lake.Write{{Type: r4.TypePatient, ID: id, Method: delta.Delete}}); err != nil {
			t.Error(err)
		}
	}

	later := now.Add(time.Hour)
	o := f.opts
	o.Lake, o.Now = l, func() time.Time { return now }
	lines := []string{
		patient("a", "import"), patient("b", "import"), patient("c", "import"), patient("d", "import"), patient("e", "import"), patient("new", "import"),
		`{"resourceType":"Patient","id":"flawed","gender":"unheard-of"}`,
	}
	o.Stdin = &meanwhile{strings.NewReader(strings.Join(lines, "\n") + "\n"), func() {
		now = later
		put("a", "beside one")
		put("a", "beside two")
		remove("c")
		put("new", "beside")
		put("flawed", "beside")
		put("other", "beside")
	}}
	started := now
	if _, err := f.try(o, "-"); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]string{ // versions from the first; "" is a deletion
		"a":     {stamped("a", 1, clock, "first"), stamped("a", 2, later, "beside one"), stamped("a", 3, later, "beside two"), stamped("a", 4, later, "import")},
		"b":     {stamped("b", 1, clock, "first"), stamped("b", 2, started, "before"), stamped("b", 3, started, "import")},
		"c":     {stamped("c", 1, clock, "first"), "", stamped("c", 3, later, "import")},
		"d":     {stamped("d", 1, clock, "first"), stamped("d", 2, started, "import")},
		"e":     {stamped("e", 1, started, "before"), stamped("e", 2, started, "import")},
		"new":   {stamped("new", 1, later, "beside"), stamped("new", 2, later, "import")},
		"other": {stamped("other", 1, later, "beside")},
	} {
		var got []string
		_, _, err := l.History(lake.HistoryQuery{Type: r4.TypePatient, ID: id}, func(r *lake.Resource) error {
			got = append([]string{string(r.JSON)}, got...)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
		r, err := l.Read(r4.TypePatient, id, nil)
		if err != nil || string(r.JSON) != want[len(want)-1] {
			t.Errorf("%s: read %s %v, want %s", id, r.JSON, err, want[len(want)-1])
		}
	}
	if r, err := l.Read(r4.TypePatient, "flawed", nil); err != nil || r.Number != 2 || !strings.Contains(string(r.Beside.Of(beside.Issues)), "unheard-of") {
		t.Errorf("the flawed one: %+v with %s beside it, %v", r.Version, r.Beside, err)
	}
	checkColumns(t, f.store, map[string]string{"a": "4", "b": "3", "c": "3", "d": "2", "e": "2", "new": "2", "flawed": "2"})
	rep, err := fsck.Store(context.Background(), f.store)
	if err != nil || !rep.OK() {
		t.Errorf("fsck: %+v %v", rep, err)
	}
}

// checkColumns compares meta.versionId of the current rows in SQL.
func checkColumns(t *testing.T, s *snapshot.Store, want map[string]string) {
	t.Helper()
	m, release, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	db, err := duck.Open(context.Background(), duck.Options{Store: s, Manifest: m})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := map[string]string{}
	for id, row := range rows(t, db, "Patient") {
		got[id] = row["meta"].(map[string]any)["versionId"].(string)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions in SQL (-want +got):\n%s", diff)
	}
}
