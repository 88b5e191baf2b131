package lake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var modelTypes = []r4.TypeID{r4.TypePatient, r4.TypeObservation}

// model is what a data store must look like: a list of versions by resource.
type model struct {
	t        *testing.T
	rng      *rand.Rand
	l        *Lake
	dir      string
	clock    *clock
	versions map[string][]known
	jobs     []*importing
}

type known struct {
	typ     r4.TypeID
	id      string
	number  uint32
	content uint64 // 0: a deletion
	updated time.Time
}

func (k known) name() string { return fmt.Sprintf("%s/%s/%d", k.typ, k.id, k.number) }

func (m *model) id() (r4.TypeID, string) {
	return modelTypes[m.rng.IntN(len(modelTypes))], fmt.Sprintf("id-%d", m.rng.IntN(12))
}

func (m *model) add(typ r4.TypeID, id string, content uint64, at time.Time) {
	name := typ.String() + "/" + id
	all := m.versions[name]
	deleted := len(all) == 0 || all[len(all)-1].content == 0
	if content == 0 && deleted || content != 0 && !deleted && all[len(all)-1].content == content {
		return
	}
	m.versions[name] = append(all, known{typ, id, uint32(len(all) + 1), content, at})
}

func (m *model) commit() {
	var writes []Write
	seen := map[string]bool{}
	for range 1 + m.rng.IntN(4) {
		typ, id := m.id()
		if name := typ.String() + id; !seen[name] {
			seen[name] = true
			writes = append(writes, put(typ, id, m.rng.Uint64N(5)))
		}
	}
	out, err := m.l.Commit(context.Background(), writes)
	if err != nil {
		m.t.Fatal(err)
	}
	for i, w := range writes {
		content := w.Content
		if w.Method == delta.Delete {
			content = 0
		}
		m.add(w.Type, w.ID, content, time.UnixMicro(out[i].Updated).UTC())
		all := m.versions[w.Type.String()+"/"+w.ID]
		if want := uint32(len(all)); out[i].Number != want {
			m.t.Fatalf("a write of %s/%s gave version %d, want %d", w.Type, w.ID, out[i].Number, want)
		}
	}
}

func (m *model) begin() {
	i, err := m.l.BeginImport()
	if err != nil {
		m.t.Fatal(err)
	}
	p := &importing{t: m.t, i: i, at: m.clock.now()}
	for range 1 + m.rng.IntN(30) {
		typ, id := m.id()
		p.lines = append(p.lines, imported{typ, id, 1 + m.rng.Uint64N(5)})
	}
	m.jobs = append(m.jobs, p)
}

// publish ends the import that is under way. What it found unchanged when it began is
// not part of it, so the model asks what that was.
func (m *model) publish() {
	p := m.jobs[0]
	m.jobs = m.jobs[1:]
	lookup := p.i.NewLookup()
	last := map[string]int{}
	for n, line := range p.lines {
		last[line.typ.String()+"/"+line.id] = n
	}
	type change struct {
		imported
		number uint32
	}
	var changes []change
	for n, line := range p.lines {
		c := make([]Current, 1)
		if err := lookup([][2]uint64{m.l.Key(line.typ, line.id)}, c); err != nil {
			m.t.Fatal(err)
		}
		if last[line.typ.String()+"/"+line.id] == n && (c[0].Number == 0 || c[0].Deleted || c[0].Content != line.content) {
			changes = append(changes, change{line, c[0].Number + 1})
		}
	}
	p.publish()
	for _, c := range changes {
		at := p.at
		if have := m.versions[c.typ.String()+"/"+c.id]; uint32(len(have)) >= c.number {
			at = m.clock.now() // written meanwhile: a newer version, with the time of the publication
		}
		m.add(c.typ, c.id, c.content, at)
	}
}

func (m *model) reopen() {
	for len(m.jobs) > 0 {
		m.publish()
	}
	if err := m.l.Close(); err != nil {
		m.t.Fatal(err)
	}
	var err error
	if m.l, err = Open(m.dir, Options{Secret: secret, Now: m.clock.now, OpenFiles: 4, FrameCache: 1 << 16, Delta: delta.Options{Memory: 1, Reserve: -1}}); err != nil {
		m.t.Fatal(err)
	}
}

func (k known) json() string {
	if k.content == 0 {
		return ""
	}
	return text(k.typ, k.id, k.number, fhir.FormatInstant(k.updated), k.content)
}

// check reads everything in every way.
func (m *model) check() {
	m.t.Helper()
	var all []known
	buf := make([]byte, 0, 100)
	for _, typ := range modelTypes {
		for n := range 13 {
			id := fmt.Sprintf("id-%d", n)
			have := m.versions[typ.String()+"/"+id]
			all = append(all, have...)
			r, err := m.l.Read(typ, id, buf)
			if len(have) == 0 {
				if !errors.Is(err, ErrNotFound) {
					m.t.Fatalf("%s/%s: %v, want not found", typ, id, err)
				}
				continue
			}
			m.same(have[len(have)-1], r, err)
			for _, k := range have {
				r, err := m.l.ReadVersion(typ, id, k.number, buf)
				m.same(k, r, err)
			}
			if _, err := m.l.ReadVersion(typ, id, uint32(len(have)+1), buf); !errors.Is(err, ErrNotFound) {
				m.t.Fatalf("%s/%s: version %d: %v, want not found", typ, id, len(have)+1, err)
			}
			got, total := m.history(HistoryQuery{Type: typ, ID: id, Count: 1 + m.rng.IntN(4)}, nil)
			if total != int64(len(have)) {
				m.t.Fatalf("%s/%s: %d versions in all, want %d", typ, id, total, len(have))
			}
			want := slices.Clone(have)
			slices.Reverse(want)
			m.sameList(want, got)
		}
	}
	m.checkTimelines(all)
	m.checkChanges()
}

func (m *model) same(want known, r Resource, err error) {
	m.t.Helper()
	var gone *GoneError
	switch {
	case want.content == 0:
		if !errors.As(err, &gone) || gone.Version.Number != want.number {
			m.t.Fatalf("%s: %v (%+v), want it gone", want.name(), err, r)
		}
	case err != nil:
		m.t.Fatalf("%s: %v", want.name(), err)
	case string(r.JSON) != want.json() || r.Number != want.number || r.Updated != want.updated.UnixMicro() || r.Content != want.content:
		m.t.Fatalf("got %+v %s, want %s", r.Version, r.JSON, want.json())
	}
}

// history reads all pages; between calls what happens between two of them.
func (m *model) history(q HistoryQuery, between func()) (all []known, total int64) {
	m.t.Helper()
	for {
		n := 0
		next, sum, err := m.l.History(q, func(r *Resource) error {
			n++
			k := known{r.Type, r.ID, r.Number, r.Content, time.UnixMicro(r.Updated).UTC()}
			if (r.Method == delta.Delete) != (r.Content == 0) || string(r.JSON) != k.json() {
				m.t.Fatalf("%s by %s: %s, want %s", k.name(), r.Method, r.JSON, k.json())
			}
			all = append(all, k)
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
		if n > q.Count || next != "" && n != q.Count {
			m.t.Fatalf("a page of %d has %d versions", q.Count, n)
		}
		if next == "" {
			return all, sum
		}
		q.After = next
		if between != nil {
			between()
		}
	}
}

func (m *model) sameList(want, got []known) {
	m.t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(known{}), cmpopts.EquateEmpty()); diff != "" {
		m.t.Fatalf("history (-want +got):\n%s", diff)
	}
}

func changeText(c *Change) string {
	return fmt.Sprintf("%d %s/%s/%d %s %v %v %s", c.Seq, c.Type, c.ID, c.Number, c.Method, c.Replaced, c.HasRow, c.JSON)
}

// checkChangesAfter asks for the last changes alone. All are known by the Seq of their
// commits.
func (m *model) checkChangesAfter(w *View, all map[uint64]string) {
	m.t.Helper()
	after := w.delta.Dropped() + uint64(m.rng.IntN(int(w.Seq()-w.delta.Dropped())+1))
	var want, got []string
	for _, seq := range slices.Sorted(maps.Keys(all)) {
		if seq > after {
			want = append(want, all[seq])
		}
	}
	err := w.ChangesAfter(after, func(c *Change) error {
		got = append(got, changeText(c))
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Fatalf("changes after %d (-want +got):\n%s", after, diff)
	}
}

func byName(a, b known) int { return strings.Compare(a.name(), b.name()) }

func (m *model) checkTimelines(all []known) {
	m.t.Helper()
	for _, typ := range append([]r4.TypeID{0}, modelTypes...) {
		since := m.clock.now().Add(-time.Duration(m.rng.IntN(2000)) * time.Millisecond)
		for _, q := range []HistoryQuery{{}, {Since: since.UnixMicro()}, {At: TimeRange{since.UnixMicro(), since.UnixMicro() + 1}}} {
			q.Type, q.Count = typ, 1+m.rng.IntN(20)
			var want []known
			for _, k := range all {
				next := k.updated.Add(time.Hour * 1000)
				if have := m.versions[k.typ.String()+"/"+k.id]; int(k.number) < len(have) {
					next = have[k.number].updated
				}
				if (typ == 0 || k.typ == typ) && (q.Since == 0 || !k.updated.Before(since)) &&
					(q.At.To == 0 || !k.updated.After(since) && next.After(since)) {
					want = append(want, k)
				}
			}
			got, _ := m.history(q, func() {
				if len(m.jobs) == 0 && m.rng.IntN(10) == 0 {
					fold(m.t, m.l) // what is on the next page moves
				}
			})
			for i := 1; i < len(got); i++ {
				if got[i].updated.After(got[i-1].updated) {
					m.t.Fatalf("%s comes after %s and is newer", got[i].name(), got[i-1].name())
				}
			}
			slices.SortFunc(want, byName)
			slices.SortFunc(got, byName)
			m.sameList(want, got)
		}
	}
}

// checkChanges lays the changes of the delta over the rows that the bitmaps leave.
func (m *model) checkChanges() {
	m.t.Helper()
	w, err := m.l.View()
	if err != nil {
		m.t.Fatal(err)
	}
	defer w.Close()
	current := map[string]string{}
	hidden := map[[2]uint32]bool{}
	bySeq := map[uint64]string{}
	err = w.Changes(func(c *Change) error {
		bySeq[c.Seq] = changeText(c)
		if c.Method != delta.Delete {
			current[c.Type.String()+"/"+c.ID] = string(c.JSON)
		}
		if c.HasRow {
			hidden[[2]uint32{c.Replaced.Segment, c.Replaced.Row}] = true
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.checkChangesAfter(w, bySeq)
	for i := range w.Manifest().Segments {
		seg := &w.Manifest().Segments[i]
		superseded, err := m.l.Snapshot().Superseded(seg)
		if err != nil {
			m.t.Fatal(err)
		}
		for row := range seg.Rows {
			if superseded != nil && superseded.Contains(uint32(row)) || hidden[[2]uint32{seg.Ordinal, uint32(row)}] {
				continue
			}
			err := m.l.withLine(seg, row, func(line []byte) error {
				h, err := snapshot.ReadHead(line, false)
				name := seg.ResourceType + "/" + string(h.ID)
				if current[name] != "" {
					m.t.Fatalf("%s has two current versions: %s and %s", name, current[name], line)
				}
				current[name] = string(line)
				return err
			})
			if err != nil {
				m.t.Fatal(err)
			}
		}
	}
	want := map[string]string{}
	for name, all := range m.versions {
		if k := all[len(all)-1]; k.content != 0 {
			want[name] = k.json()
		}
	}
	if diff := cmp.Diff(want, current); diff != "" {
		m.t.Fatalf("current resources (-want +got):\n%s", diff)
	}
}

// TestLakeIsLikeAMap does random commits, imports that others write beside, folds and
// restarts, and compares all that can be read with a map of lists.
func TestLakeIsLikeAMap(t *testing.T) {
	seeds, steps := 12, 60
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := &model{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), clock: newClock(), versions: map[string][]known{}, dir: t.TempDir()}
			m.l = openLake(t, m.dir, m.clock)
			for range steps {
				if m.rng.IntN(3) > 0 {
					m.clock.tick(time.Duration(m.rng.IntN(100)) * time.Millisecond)
				}
				switch n := m.rng.IntN(20); {
				case n < 12:
					m.commit()
				case n < 14 && len(m.jobs) == 0:
					m.begin()
				case n < 17 && len(m.jobs) > 0:
					m.publish()
				case n == 17 && len(m.jobs) == 0:
					fold(t, m.l)
				case n == 18:
					m.reopen()
				}
				if m.rng.IntN(5) == 0 {
					m.check()
				}
			}
			m.check()
			if err := m.l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
