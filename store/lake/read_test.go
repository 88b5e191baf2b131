package lake

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// stored publishes a snapshot of two patients after change had a look at the entries of
// its id index.
func stored(t *testing.T, change func(entries []snapshot.Entry)) *Lake {
	t.Helper()
	return annotated(t, change, nil)
}

// annotated is stored, with values beside rows by kind.
func annotated(t *testing.T, change func(entries []snapshot.Entry), kept map[beside.Kind]map[uint32]string) *Lake {
	t.Helper()
	c := newClock()
	l := openLake(t, t.TempDir(), c)
	i, err := l.BeginImport()
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	y := newLayer(t, l, i.Base())
	var rows []row
	for _, id := range []string{"a", "b"} {
		r := row{typ: r4.TypePatient, id: id, json: text(r4.TypePatient, id, 1, "2026-01-02T03:04:05.000Z", 7)}
		r.version.Key, r.version.Number, r.version.Updated = l.Key(r4.TypePatient, id), 1, c.now().UnixMicro()
		rows = append(rows, r)
	}
	y.add(rows)
	for _, kind := range slices.Sorted(maps.Keys(kept)) {
		y.annotate(kind, kept[kind])
	}
	change(y.entries)
	f, n := y.index("1")
	if _, err := l.Snapshot().Publish(y.builder, snapshot.PublishOptions{Now: c.now(), IDs: f, Entries: n}); err != nil {
		t.Fatal(err)
	}
	if err := l.Published(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWhatIsBesideARowIsRead(t *testing.T) {
	l := annotated(t, func([]snapshot.Entry) {}, map[beside.Kind]map[uint32]string{
		beside.Issues:     {0: `["of a"]`},
		beside.NLP:        {0: `{"of":"a"}`, 1: `{"of":"b"}`},
		"other":           {1: `1`},
		snapshot.Entities: {0: `no table, so that reading it is noticed`},
	})
	want := map[string]beside.Values{
		"a": {{Kind: beside.Issues, Data: []byte(`["of a"]`)}, {Kind: beside.NLP, Data: []byte(`{"of":"a"}`)}},
		"b": {{Kind: beside.NLP, Data: []byte(`{"of":"b"}`)}, {Kind: "other", Data: []byte(`1`)}},
		"c": {{Kind: beside.NLP, Data: []byte(`{"of":"c"}`)}},
		"d": nil,
	}
	for _, id := range []string{"c", "d"} {
		w := put(r4.TypePatient, id, 1)
		w.Beside = want[id]
		commitOne(t, l, w)
	}
	for range 2 { // opened, and from the cache
		for id, want := range want {
			got, err := l.Read(r4.TypePatient, id, nil)
			if diff := cmp.Diff(want, got.Beside); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", id, err, diff)
			}
			got, err = l.ReadVersion(r4.TypePatient, id, 1, nil)
			if diff := cmp.Diff(want, got.Beside); err != nil || diff != "" {
				t.Errorf("version 1 of %s: %v (-want +got):\n%s", id, err, diff)
			}
		}
	}
	got := map[string]beside.Values{}
	if _, _, err := l.History(HistoryQuery{Count: 10}, func(r *Resource) error {
		got[r.ID] = nil
		for _, v := range r.Beside {
			got[r.ID] = append(got[r.ID], beside.Value{Kind: v.Kind, Data: bytes.Clone(v.Data)})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// TestAnnotationsThatTookThePlaceOfOthersAreRead publishes a manifest in which a segment has
// other annotations than before.
func TestAnnotationsThatTookThePlaceOfOthersAreRead(t *testing.T) {
	l := annotated(t, func([]snapshot.Entry) {}, map[beside.Kind]map[uint32]string{beside.NLP: {0: `"old"`}})
	read := func() string {
		r, err := l.Read(r4.TypePatient, "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Beside.Of(beside.NLP))
	}
	if got := read(); got != `"old"` {
		t.Fatalf("got %s", got)
	}
	v, err := l.acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer v.done()
	other := newLayer(t, l, v.m)
	other.add([]row{{typ: r4.TypePatient, id: "x", json: "{}"}})
	other.annotate(beside.NLP, map[uint32]string{0: `"new"`})
	segments := other.builder.Segments()
	seg := v.m.Segments[0]
	seg.Annotations = segments[0].Annotations
	r := Resource{Version: delta.Version{Type: r4.TypePatient, ID: "a", Number: 1}}
	m := *v.m
	m.Segments = []snapshot.Segment{seg}
	if err := l.load(&view{m: &m}, &r, snapshot.Address{Segment: seg.Ordinal}, nil); err != nil || string(r.Beside.Of(beside.NLP)) != `"new"` {
		t.Errorf("got %s, %v", r.Beside, err)
	}
	l.files.keep(&m)
	if n := len(l.files.annotations.items); n != 1 {
		t.Errorf("%d files of annotations are open, want the one that the manifest names", n)
	}
	if got := read(); got != `"old"` {
		t.Errorf("a reader of the old state: %s", got)
	}
}

func TestARowOfAnotherResourceIsNotServed(t *testing.T) {
	l := stored(t, func(entries []snapshot.Entry) {
		entries[0].Address, entries[1].Address = entries[1].Address, entries[0].Address
	})
	if r, err := l.Read(r4.TypePatient, "a", nil); err == nil || !strings.Contains(err.Error(), "another resource") {
		t.Errorf("got %s %v", r.JSON, err)
	}
}

func TestARowThatIsNotThereIsAnError(t *testing.T) {
	l := stored(t, func(entries []snapshot.Entry) { entries[0].Address.Row, entries[1].Address.Segment = 99, 99 })
	for _, id := range []string{"a", "b"} {
		if r, err := l.Read(r4.TypePatient, id, nil); err == nil {
			t.Errorf("%s: got %s", id, r.JSON)
		}
	}
}

func TestDamageOfAFrameIsAnError(t *testing.T) {
	l := stored(t, func([]snapshot.Entry) {})
	m, release, err := l.Snapshot().Current()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	name := filepath.Join(l.Snapshot().Dir(), filepath.FromSlash(m.Segments[0].Resources.Path))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 40; i++ { // all of it in the first frame
		bad := []byte(string(good))
		bad[i] ^= 0x10
		if err := os.WriteFile(name, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		l.files.close()
		l.frames.keep(func(uint32) bool { return false })
		if r, err := l.Read(r4.TypePatient, "a", nil); err == nil && string(r.JSON) != text(r4.TypePatient, "a", 1, "2026-01-02T03:04:05.000Z", 7) {
			t.Fatalf("byte %d: got %s", i, r.JSON)
		}
	}
}

func TestReadsOfWhatIsInMemoryHardlyAllocate(t *testing.T) {
	l := stored(t, func([]snapshot.Entry) {})
	commitOne(t, l, put(r4.TypePatient, "new", 1))
	buf := make([]byte, 0, 1024)
	// 3 and 2; the race detector makes pools lose some of what they are given.
	for id, most := range map[string]float64{"a": 6, "new": 5} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := l.Read(r4.TypePatient, id, buf[:0]); err != nil {
				t.Fatal(err)
			}
		})
		if got > most {
			t.Errorf("%s: %v allocations, want at most %v", id, got, most)
		}
	}
}

// TestAHeldSnapshotKeepsItsFiles lets the delta of a view go and keeps the snapshot.
func TestAHeldSnapshotKeepsItsFiles(t *testing.T) {
	l := openLake(t, t.TempDir(), newClock())
	commitOne(t, l, put(r4.TypePatient, "a", 1))
	fold(t, l)
	w, err := l.View()
	if err != nil {
		t.Fatal(err)
	}
	release := w.Hold()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := l.Snapshot().Path(&w.Manifest().Segments[0].Columns)
	commitOne(t, l, put(r4.TypePatient, "a", 0))
	commitOne(t, l, put(r4.TypePatient, "b", 1))
	fold(t, l)
	// Without a current row, the segment leaves the manifest.
	if _, err := l.Snapshot().Publish(nil, snapshot.PublishOptions{Now: l.now()}); err != nil {
		t.Fatal(err)
	}
	if err := l.Published(); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		t.Helper()
		if _, err := l.Snapshot().Sweep(); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(file)
		return err == nil
	}
	if !there() {
		t.Error("a file of a manifest that is held was swept")
	}
	release()
	release()
	if there() {
		t.Error("a file that nobody holds is still there")
	}
}
