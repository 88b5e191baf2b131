package bulk

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// known is a version of a resource as the model has it.
type known struct {
	text    string // as stored; "" of a deletion
	updated int64
	issues  bool
	notes   string // of NLP beside it; "" is none
}

// model is a data store beside what it should have.
type model struct {
	t     *testing.T
	f     *fixture
	lake  *lake.Lake
	rng   *rand.Rand
	now   time.Time
	kept  compact.Retention
	types []r4.TypeID // of its resources
	all   map[Resource]map[uint32]known
	last  map[Resource]uint32

	stopped bool // something ended early: files may be left
	real    bool // the clock is that of the machine: many use the data store at once
}

func newModel(t *testing.T, seed uint64) *model {
	f := newLake(t)
	m := &model{
		t: t, f: f, rng: rand.New(rand.NewPCG(seed, 11)), now: clock, types: modelTypes,
		all: map[Resource]map[uint32]known{}, last: map[Resource]uint32{},
	}
	m.f.opts.Level, m.f.opts.Notes = validate.Minimal, readBy(wholeText{})
	m.open()
	t.Cleanup(func() { m.lake.Close() })
	return m
}

func (m *model) open() {
	secret, err := hex.DecodeString(m.f.opts.Datastore.HashKey)
	if err != nil {
		m.t.Fatal(err)
	}
	m.lake, err = lake.Open(m.f.store.Dir(), lake.Options{Secret: secret, Now: m.clock, Delta: delta.Options{Reserve: -1, Memory: 8 << 20}})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) clock() time.Time {
	if m.real {
		return time.Now()
	}
	return m.now
}

var modelTypes = []r4.TypeID{r4.TypePatient, r4.TypeBasic, r4.TypeObservation, r4.TypeDocumentReference}

func (m *model) pick() Resource {
	return Resource{m.types[m.rng.IntN(len(m.types))], fmt.Sprintf("r%d", m.rng.IntN(25))}
}

// asSent is a resource as a client sends it. Patients have a gender that is none now
// and then, documents such a status, which is kept as an issue.
func asSent(r Resource, content int) (text string, issues bool) {
	switch r.Type {
	case r4.TypePatient:
		issues = content%5 == 0
		gender := "female"
		if issues {
			gender = "unheard-of"
		}
		return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","gender":"%s","name":[{"family":"f%d"}]}`, r.ID, gender, content), issues
	case r4.TypeBasic:
		return fmt.Sprintf(`{"resourceType":"Basic","id":"%s","code":{"text":"%s %d"}}`, r.ID, strings.Repeat("x", content%700), content), false
	case r4.TypeDocumentReference:
		status, attachment := "current", fmt.Sprintf(`{"title":"t%d"}`, content)
		if issues = content%5 == 0; issues {
			status = "unheard-of"
		}
		if note := noteOf(content); note != "" {
			attachment = fmt.Sprintf(`{"contentType":"text/plain","data":"%s"}`, base64.StdEncoding.EncodeToString([]byte(note)))
		}
		return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"%s","status":"%s","content":[{"attachment":%s}]}`, r.ID, status, attachment), issues
	}
	return fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"c"},"valueInteger":%d}`, r.ID, content), false
}

// noteOf is the note in a document; most have one.
func noteOf(content int) string {
	if content%4 == 0 {
		return ""
	}
	return fmt.Sprintf("note %d", content)
}

// notesOf is what [wholeText] finds in a resource.
func notesOf(r Resource, content int) string {
	note := noteOf(content)
	if r.Type != r4.TypeDocumentReference || note == "" {
		return ""
	}
	return fmt.Sprintf(`{"engine":"1","dictionary":"d","texts":[{"path":"content[0].attachment","status":"SUCCESS","entities":[%s]}]}`, entityOf([]byte(note)))
}

// wholeText reads notes: a text is one entity.
type wholeText struct{}

func (wholeText) Version() (engine, dictionary string) { return "1", "d" }
func (wholeText) NewReader() (notes.Reader, error)     { return wholeText{}, nil }
func (wholeText) Append(_ context.Context, dst, text []byte) ([]byte, error) {
	return append(dst, entityOf(text)...), nil
}

func entityOf(text []byte) string {
	return fmt.Sprintf(`{"text":"%s","beginOffset":0,"endOffset":%d,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.9}`, text, len(text))
}

// readBy are the options with which notes are read.
func readBy(p notes.Provider) *notes.Options {
	return &notes.Options{Reading: func() (notes.Reading, error) { return notes.Reading{Provider: p}, nil }}
}

// besideOf is what is kept beside a resource that REST writes.
func besideOf(issues bool, found string) (kept beside.Values) {
	if issues {
		kept = append(kept, beside.Value{Kind: beside.Issues, Data: []byte(`[{"severity":"error","code":"value"}]`)})
	}
	if found != "" {
		kept = append(kept, beside.Value{Kind: beside.NLP, Data: []byte(found)})
	}
	return kept
}

// has tells whether a version has beside it what the model knows.
func (k known) has(kept beside.Values) bool {
	return (kept.Of(beside.Issues) != nil) == k.issues && string(kept.Of(beside.NLP)) == k.notes
}

func withMeta(text string, number uint32, at int64) string {
	id := strings.Index(text, `"id":"`)
	end := id + 6 + strings.IndexByte(text[id+6:], '"') + 1
	return fmt.Sprintf(`%s,"meta":{"versionId":"%d","lastUpdated":"%s"}%s`, text[:end], number, fhir.FormatInstant(time.UnixMicro(at)), text[end:])
}

func (m *model) add(r Resource, number uint32, k known) {
	if m.all[r] == nil {
		m.all[r] = map[uint32]known{}
	}
	m.all[r][number], m.last[r] = k, number
}

// write commits one write or deletion.
func (m *model) write() { m.writeTo(m.pick()) }

func (m *model) writeTo(r Resource) {
	content := m.rng.IntN(1 << 20)
	text, issues := asSent(r, content)
	found := notesOf(r, content)
	w := lake.Write{Type: r.Type, ID: r.ID, Method: delta.Update, Content: xxhash.Sum64String(text)}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		at, _ := time.Parse(time.RFC3339, updated)
		return append(dst, withMeta(text, number, at.UnixMicro())...)
	}
	w.Beside = besideOf(issues, found)
	if m.rng.IntN(4) == 0 {
		w.Method, w.Stamp, w.Beside = delta.Delete, nil, nil
	}
	out, err := m.lake.Commit(context.Background(), []lake.Write{w})
	if err != nil {
		m.t.Fatal(err)
	}
	switch v := &out[0]; {
	case v.Unchanged:
	case w.Method == delta.Delete:
		m.add(r, v.Number, known{updated: v.Updated})
	default:
		m.add(r, v.Number, known{withMeta(text, v.Number, v.Updated), v.Updated, issues, found})
	}
}

// load imports some resources, some of them twice, while others are written.
func (m *model) load() {
	chosen := map[Resource]int{}
	var lines []string
	for range 1 + m.rng.IntN(30) {
		r := m.pick()
		if m.rng.IntN(10) == 0 {
			r.ID = fmt.Sprintf("i%d", m.rng.IntN(1000))
		}
		chosen[r] = m.rng.IntN(1 << 20)
		text, _ := asSent(r, chosen[r])
		lines = append(lines, text)
	}
	started := m.now.UnixMilli() * 1000
	before := map[Resource]uint32{}
	for r := range chosen {
		before[r] = m.last[r]
	}
	o := m.f.opts
	o.Lake, o.Now = m.lake, m.clock
	o.Stdin = &meanwhile{strings.NewReader(strings.Join(lines, "\n") + "\n"), func() {
		m.now = m.now.Add(time.Minute)
		for range m.rng.IntN(12) {
			m.write()
		}
	}}
	if _, err := m.f.try(o, "-"); err != nil {
		m.t.Fatal(err)
	}
	for r, content := range chosen {
		text, issues := asSent(r, content)
		if m.last[r] == before[r] {
			m.add(r, before[r]+1, known{withMeta(text, before[r]+1, started), started, issues, notesOf(r, content)})
			continue
		}
		at := m.now.UnixMilli() * 1000 // of the publication: what was written meanwhile has it too
		m.add(r, m.last[r]+1, known{withMeta(text, m.last[r]+1, at), at, issues, notesOf(r, content)})
	}
}

// compact compacts, and erases some resources now and then.
func (m *model) compact() {
	o := CompactOptions{Lake: m.lake, Retention: m.kept, Whole: m.rng.IntN(4) == 0, Now: m.clock, NewID: m.f.opts.NewID, Workers: 1 + m.rng.IntN(2)}
	for range m.rng.IntN(3) {
		r := m.pick()
		o.Erase = append(o.Erase, r)
		delete(m.all, r)
		delete(m.last, r)
	}
	if _, err := Compact(context.Background(), o); err != nil {
		m.t.Fatal(err)
	}
	if n := m.lake.Delta().Stats().Entries; n > 0 {
		m.t.Errorf("%d versions are left in the delta", n)
	}
	m.expectErased(o.Erase)
}

// expectErased looks at every line of every file for what was erased.
func (m *model) expectErased(erased []Resource) {
	m.t.Helper()
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	defer release()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		m.t.Fatal(err)
	}
	defer d.Close()
	for i := range man.Segments {
		x, err := snapshot.OpenResources(m.f.store.Dir(), man.Segments[i].Resources.Path)
		if err != nil {
			m.t.Fatal(err)
		}
		err = d.Each(x, func(_ int64, line []byte) error {
			for _, r := range erased {
				if bytes.HasPrefix(line, fmt.Appendf(nil, `{"resourceType":"%s","id":"%s",`, r.Type, r.ID)) {
					m.t.Errorf("%v was erased and is there: %s", r, line)
				}
			}
			return nil
		})
		if err = errors.Join(err, x.Close()); err != nil {
			m.t.Fatal(err)
		}
	}
}

// check compares everything.
func (m *model) check() {
	m.t.Helper()
	for _, typ := range modelTypes {
		for i := range 25 {
			m.checkResource(Resource{typ, fmt.Sprintf("r%d", i)})
		}
	}
	m.checkHistory()
	m.checkSound()
}

// checkSound runs fsck.
func (m *model) checkSound() {
	m.t.Helper()
	rep, err := fsck.Store(context.Background(), m.f.store)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range rep.Findings {
		if f.Severity != fsck.Leftover || !m.stopped {
			m.t.Errorf("fsck: %v", f)
		}
	}
}

func (m *model) checkResource(r Resource) {
	m.t.Helper()
	want, number := m.all[r], m.last[r]
	got, err := m.lake.Read(r.Type, r.ID, nil)
	var gone *lake.GoneError
	switch {
	case number == 0:
		if !errors.Is(err, lake.ErrNotFound) {
			m.t.Fatalf("%v was never there, or erased: %s, %v", r, got.JSON, err)
		}
		return
	case want[number].text == "":
		if !errors.As(err, &gone) || gone.Version.Number != number {
			m.t.Fatalf("%v is deleted in version %d: %s, %v", r, number, got.JSON, err)
		}
	case err != nil || string(got.JSON) != want[number].text || !want[number].has(got.Beside):
		m.t.Fatalf("%v: %v\ngot  %s %s\nwant %+v", r, err, got.JSON, got.Beside, want[number])
	}
	for n, k := range want {
		got, err := m.lake.ReadVersion(r.Type, r.ID, n, nil)
		if errors.Is(err, lake.ErrNotFound) && m.mayBeGone(r, n) {
			continue
		}
		if k.text == "" && errors.As(err, &gone) {
			continue
		}
		if err != nil || string(got.JSON) != k.text || !k.has(got.Beside) {
			m.t.Fatalf("%v version %d: %v\ngot  %s %s\nwant %+v", r, n, err, got.JSON, got.Beside, k)
		}
	}
}

// mayBeGone tells whether the retention allows a version to be missing.
func (m *model) mayBeGone(r Resource, n uint32) bool {
	return m.kept.Versions > 0 && int(m.last[r]-n) >= m.kept.Versions
}

// checkHistory reads the history of the system page by page.
func (m *model) checkHistory() {
	m.t.Helper()
	type place struct {
		Resource
		number uint32
	}
	got := map[place]string{}
	last := int64(1) << 62
	var token lake.Token
	for {
		next, _, err := m.lake.History(lake.HistoryQuery{Count: 1 + m.rng.IntN(50), After: token}, func(r *lake.Resource) error {
			p := place{Resource{r.Type, r.ID}, r.Number}
			if _, ok := got[p]; ok {
				m.t.Errorf("%v comes twice", p)
			}
			if r.Updated > last {
				m.t.Errorf("%v is not in order", p)
			}
			got[p], last = string(r.JSON), r.Updated
			if k := m.all[p.Resource][p.number]; !k.has(r.Beside) {
				m.t.Errorf("%v in the history has %s beside it, want %+v", p, r.Beside, k)
			}
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
		if token = next; token == "" {
			break
		}
	}
	want := map[place]string{}
	for r, versions := range m.all {
		for n, k := range versions {
			p := place{r, n}
			if _, ok := got[p]; !ok && m.mayBeGone(r, n) {
				continue
			}
			want[p] = k.text
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(place{})); diff != "" {
		m.t.Fatalf("history (-want +got):\n%s", diff)
	}
}

// TestCompactionChangesNothingThatIsKept does random things to a data store and to a
// model of it.
func TestCompactionChangesNothingThatIsKept(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := newModel(t, seed)
			if seed%2 == 1 {
				m.kept.Versions = 2
			}
			for step := range 40 {
				m.now = m.now.Add(time.Duration(1+m.rng.IntN(5000)) * time.Millisecond)
				switch n := m.rng.IntN(10); {
				case n < 5:
					for range m.rng.IntN(20) {
						m.write()
						m.now = m.now.Add(time.Duration(m.rng.IntN(3)) * time.Millisecond)
					}
				case n < 7:
					m.load()
				case n < 9:
					m.compact()
				default:
					if err := m.lake.Close(); err != nil {
						t.Fatal(err)
					}
					m.open()
				}
				m.check()
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
			}
		})
	}
}

// TestLayersStayFew folds many small pieces: the number of layers grows with the
// logarithm of what is there, and a whole compaction leaves one.
func TestLayersStayFew(t *testing.T) {
	m := newModel(t, 99)
	most := 0
	for range 60 {
		m.now = m.now.Add(time.Second)
		for range 5 {
			m.write()
		}
		m.compactWith(CompactOptions{})
		man := m.manifest()
		most = max(most, man.Layers)
	}
	if most > 9 {
		t.Errorf("%d layers after 300 writes", most)
	}
	m.compactWith(CompactOptions{Whole: true})
	if e := m.manifest(); e.Layers != 1 || e.Segments > len(modelTypes) {
		t.Errorf("%d layers and %d segments after a whole compaction", e.Layers, e.Segments)
	}
	before := m.manifest()
	res := m.compactWith(CompactOptions{})
	if after := m.manifest(); after != before || res.Versions != 0 {
		t.Errorf("a compaction without anything to do changed %+v to %+v", before, after)
	}
	m.check()
}

func (m *model) compactWith(o CompactOptions) *CompactResult {
	m.t.Helper()
	o.Lake, o.Now, o.NewID = m.lake, m.clock, m.f.opts.NewID
	res, err := Compact(context.Background(), o)
	if err != nil {
		m.t.Fatal(err)
	}
	return res
}

func (m *model) manifest() Extent {
	man, release, err := m.f.store.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	defer release()
	return extentOf(man)
}

// TestOldVersionsGoAfterTheirTime keeps versions for an hour after they were replaced.
func TestOldVersionsGoAfterTheirTime(t *testing.T) {
	m := newModel(t, 5)
	r := Resource{r4.TypePatient, "a"}
	for n := range 4 {
		text, _ := asSent(r, n+1)
		w := lake.Write{Type: r.Type, ID: r.ID, Method: delta.Update, Content: uint64(n)}
		w.Stamp = func(dst []byte, number uint32, updated string) []byte {
			return append(dst, withMeta(text, number, m.now.UnixMicro())...)
		}
		if _, err := m.lake.Commit(context.Background(), []lake.Write{w}); err != nil {
			t.Fatal(err)
		}
		m.now = m.now.Add(30 * time.Minute)
	}
	m.compactWith(CompactOptions{Retention: compact.Retention{Age: time.Hour}, Whole: true})
	var left []uint32
	_, _, err := m.lake.History(lake.HistoryQuery{Type: r.Type, ID: r.ID}, func(v *lake.Resource) error {
		left = append(left, v.Number)
		return nil
	})
	if err != nil || !slices.Equal(left, []uint32{4, 3, 2}) {
		t.Errorf("versions %v, %v are left; 1 was replaced 90 minutes ago, 2 an hour ago", left, err)
	}
	if rows := m.manifest().Rows; rows != 3 {
		t.Errorf("%d rows are left", rows)
	}
}
