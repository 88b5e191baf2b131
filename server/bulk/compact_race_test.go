package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/backup"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// place is a version of a Patient.
type place struct {
	id     string
	number uint32
}

// busy is a data store that many use at once, and what was acknowledged.
type busy struct {
	*model
	mu    sync.Mutex
	texts map[place]string
	last  map[string]uint32
	done  chan struct{} // closed when all end
}

func (b *busy) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// now is what was acknowledged up to this moment.
func (b *busy) now() (texts map[place]string, last map[string]uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.texts), maps.Clone(b.last)
}

// write writes versions of some Patients of its own until the end.
func (b *busy) write(name string) {
	for n := 0; !b.ended(); n++ {
		id := fmt.Sprintf("%s-%d", name, n%7)
		text := ""
		w := lake.Write{Type: r4.TypePatient, ID: id, Method: delta.Update, Content: uint64(n) + 1}
		w.Stamp = func(dst []byte, number uint32, updated string) []byte {
			at, _ := time.Parse(time.RFC3339, updated)
			text = stamped(id, int(number), at, fmt.Sprint("n", n))
			return append(dst, text...)
		}
		if n%11 == 10 {
			w.Method, w.Stamp = delta.Delete, nil
		}
		out, err := b.lake.Commit(context.Background(), []lake.Write{w})
		if err != nil {
			b.t.Error(err)
			return
		}
		if !out[0].Unchanged {
			b.mu.Lock()
			b.texts[place{id, out[0].Number}], b.last[id] = text, out[0].Number
			b.mu.Unlock()
		}
	}
}

// readOne reads the current version of each resource: it is what was acknowledged, or a
// later one.
func (b *busy) readOne() {
	for !b.ended() {
		_, last := b.now()
		for id, number := range last {
			got, err := b.lake.Read(r4.TypePatient, id, nil)
			var gone *lake.GoneError
			if errors.As(err, &gone) {
				got.Version, err = gone.Version, nil
			}
			if err != nil || got.Number < number {
				b.t.Errorf("%s: version %d, %v; %d was acknowledged", id, got.Number, err, number)
				return
			}
		}
	}
}

// readVersions reads each version that was acknowledged.
func (b *busy) readVersions() {
	for !b.ended() {
		texts, _ := b.now()
		for p, text := range texts {
			got, err := b.lake.ReadVersion(r4.TypePatient, p.id, p.number, nil)
			var gone *lake.GoneError
			if text == "" && errors.As(err, &gone) {
				continue
			}
			if err != nil || string(got.JSON) != text {
				b.t.Errorf("%v: %v\ngot  %s\nwant %s", p, err, got.JSON, text)
				return
			}
		}
	}
}

// readHistory reads the history page by page. What was there when it began is on its
// pages once.
func (b *busy) readHistory(q lake.HistoryQuery) {
	for !b.ended() {
		before, _ := b.now()
		seen := map[place]int{}
		q.After = ""
		for {
			next, _, err := b.lake.History(q, func(r *lake.Resource) error {
				seen[place{r.ID, r.Number}]++
				return nil
			})
			if err != nil {
				b.t.Error(err)
				return
			}
			if q.After = next; next == "" {
				break
			}
		}
		for p := range before {
			if seen[p] != 1 {
				b.t.Errorf("%v is %d times in a history of %d versions", p, seen[p], len(seen))
				return
			}
		}
	}
}

// query holds a manifest for a while: each id is current once, and its files stay.
func (b *busy) query() {
	for !b.ended() {
		if err := b.queryOnce(); err != nil {
			b.t.Error(err)
			return
		}
	}
}

func (b *busy) queryOnce() (err error) {
	v, err := b.lake.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	if v.Manifest().Number == 0 {
		return nil
	}
	db, err := duck.Open(context.Background(), duck.Options{Store: b.lake.Snapshot(), Manifest: v.Manifest()})
	if err != nil {
		return err
	}
	defer db.Close()
	for range 3 {
		var out bytes.Buffer
		_, err := db.Write(context.Background(), &out, `SELECT count(*) - count(DISTINCT id) AS twice FROM "Patient"`, duck.NDJSON, 0)
		if err != nil {
			return err
		}
		if got := strings.TrimSpace(out.String()); got != `{"twice":0}` {
			return fmt.Errorf("resources that are current twice: %s", got)
		}
		time.Sleep(5 * time.Millisecond) // the manifest is old by now
	}
	return nil
}

// backUp copies the data store and opens the copy: it has what was acknowledged before.
func (b *busy) backUp(dir string) {
	src := backup.Source{
		Root: b.f.opts.Root, Catalog: b.f.opts.Catalog,
		Lake: func(string) (*lake.Lake, error) { return b.lake, nil },
	}
	for n := 0; !b.ended(); n++ {
		texts, _ := b.now()
		to := filepath.Join(dir, fmt.Sprint(n))
		if _, err := backup.Write(context.Background(), src, to, time.Now(), nil); err != nil {
			b.t.Error(err)
			return
		}
		c := *b.model
		f := *b.f
		var err error
		if f.store, err = snapshot.Open(filepath.Join(to, "datastores", b.f.opts.Datastore.ID)); err != nil {
			b.t.Error(err)
			return
		}
		c.f = &f
		c.open()
		for p, text := range texts {
			got, err := c.lake.ReadVersion(r4.TypePatient, p.id, p.number, nil)
			var gone *lake.GoneError
			if text == "" && errors.As(err, &gone) {
				continue
			}
			if err != nil || string(got.JSON) != text {
				b.t.Errorf("in the backup: %v: %v", p, err)
				break
			}
		}
		// A compaction of the copy has all that it needs.
		if _, err := Compact(context.Background(), CompactOptions{Lake: c.lake}); err != nil {
			b.t.Errorf("compact a backup: %v", err)
		}
		if err := c.lake.Close(); err != nil {
			b.t.Error(err)
		}
	}
}

// TestReadersBesideCompactions reads in every way while others write, compactions move
// what they wrote, and files that nobody needs any more are removed.
func TestReadersBesideCompactions(t *testing.T) {
	m := newModel(t, 1)
	if err := m.lake.Close(); err != nil {
		t.Fatal(err)
	}
	m.real = true
	m.open()
	b := &busy{model: m, texts: map[place]string{}, last: map[string]uint32{}, done: make(chan struct{})}
	var all sync.WaitGroup
	dir := t.TempDir()
	for _, f := range []func(){
		func() { b.write("a") }, func() { b.write("b") }, b.readOne, b.readVersions,
		func() { b.readHistory(lake.HistoryQuery{Count: 17}) },
		func() { b.readHistory(lake.HistoryQuery{Type: r4.TypePatient, Count: 40}) },
		b.query, func() { b.backUp(dir) },
	} {
		all.Go(f)
	}
	const compactions = 8
	for n := range compactions {
		for b.lake.Delta().Stats().Entries < 20 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		if n == compactions/2 { // imports take turns with compactions
			o := m.f.opts
			o.Lake, o.Now = m.lake, time.Now
			var lines []string
			for i := range 50 {
				lines = append(lines, patient(fmt.Sprint("imported-", i), "x"))
			}
			if _, err := m.f.try(o, write(t, "some.ndjson", lines...)); err != nil {
				t.Error(err)
			}
		}
		if _, err := Compact(context.Background(), CompactOptions{Lake: m.lake, Whole: n%4 == 3, NewID: m.f.opts.NewID}); err != nil {
			t.Errorf("compaction %d: %v", n, err)
		}
	}
	close(b.done)
	all.Wait()
	m.compactWith(CompactOptions{Whole: true})
	m.checkSound()
	if e := m.manifest(); e.Layers != 1 || e.Rows != int64(len(b.texts))+50 {
		t.Errorf("%d layers and %d rows for %d versions", e.Layers, e.Rows, len(b.texts)+50)
	}
}

// TestErasureBesideWrites erases a resource again and again while it is written. What is
// there in the end is what was written after an erasure, if anything, and nothing of what
// was acknowledged before the last one began.
func TestErasureBesideWrites(t *testing.T) {
	m := newModel(t, 1)
	if err := m.lake.Close(); err != nil {
		t.Fatal(err)
	}
	m.real = true
	m.open()
	var mu sync.Mutex
	n := 0 // acknowledged
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for k := 1; ; k++ {
			select {
			case <-done:
				return
			default:
			}
			for _, id := range []string{"victim", "other"} {
				if err := m.tryStore(id, fmt.Sprint("text-", k), uint64(k)); err != nil {
					t.Error(err)
					return
				}
			}
			mu.Lock()
			n = k
			mu.Unlock()
		}
	})
	atLast := 0
	for range 15 {
		time.Sleep(2 * time.Millisecond)
		mu.Lock()
		atLast = n
		mu.Unlock()
		if _, err := Compact(context.Background(), CompactOptions{Lake: m.lake, Erase: []Resource{{r4.TypePatient, "victim"}}}); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	all.Wait()
	m.compactWith(CompactOptions{})
	var left []string
	_, _, err := m.lake.History(lake.HistoryQuery{Type: r4.TypePatient, ID: "victim", Count: 1 << 20}, func(r *lake.Resource) error {
		left = append(left, string(r.JSON))
		return nil
	})
	if err != nil && !errors.Is(err, lake.ErrNotFound) {
		t.Fatal(err)
	}
	for _, text := range left {
		_, after, _ := strings.Cut(text, "text-")
		var k int
		if _, err := fmt.Sscanf(after, "%d", &k); err != nil || k <= atLast {
			t.Errorf("written before the last erasure and there: %s", text)
		}
	}
	if v, err := m.lake.Read(r4.TypePatient, "other", nil); err != nil || int(v.Number) != n {
		t.Errorf("the other one has version %d, %v; %d were acknowledged", v.Number, err, n)
	}
	m.checkSound()
}
