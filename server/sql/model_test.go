package sql

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/duck/ducktest"
	"github.com/fhirlake/fhirlake/store/lake"
)

// name is a type and an id.
type name struct {
	typ r4.TypeID
	id  string
}

// content is what a data store has: its current resources, and beside each how many issues
// are kept, and the texts of the entities.
type content struct {
	resources map[name][]byte
	issues    map[name]int
	entities  map[name][]string
}

// current reads what a lake has of some resources, one by one.
func current(t testing.TB, l *lake.Lake, known map[name]bool) content {
	t.Helper()
	c := content{map[name][]byte{}, map[name]int{}, map[name][]string{}}
	for n := range known {
		r, err := l.Read(n.typ, n.id, nil)
		var gone *lake.GoneError
		if errors.As(err, &gone) || errors.Is(err, lake.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c.resources[n] = bytes.Clone(r.JSON)
		var issues []json.RawMessage
		if kept := r.Beside.Of(beside.Issues); kept != nil {
			if err := json.Unmarshal(kept, &issues); err != nil {
				t.Fatal(err)
			}
			c.issues[n] = len(issues)
		}
		if kept := r.Beside.Of(beside.NLP); kept != nil {
			var result struct {
				Texts []struct{ Entities []struct{ Text string } }
			}
			if err := json.Unmarshal(kept, &result); err != nil {
				t.Fatal(err)
			}
			for _, e := range result.Texts[0].Entities {
				c.entities[n] = append(c.entities[n], e.Text)
			}
		}
	}
	return c
}

// same compares every view of a state with what a data store has, leaf by leaf.
func same(t testing.TB, st *State, want content, known map[name]bool) {
	t.Helper()
	rows := func(view string, f func(row map[string]any)) {
		t.Helper()
		var b bytes.Buffer
		if _, err := st.Write(context.Background(), &b, Query{Text: fmt.Sprintf(`SELECT * FROM %q`, view), Format: duck.NDJSON}); err != nil {
			t.Fatalf("%s: %v", view, err)
		}
		for line := range bytes.Lines(b.Bytes()) {
			f(decode(t, line))
		}
	}
	types := map[r4.TypeID]bool{}
	for n := range known {
		types[n.typ] = true
	}
	seen := 0
	for typ := range types {
		rows(typ.String(), func(row map[string]any) {
			n := name{typ, row["id"].(string)}
			line, ok := want.resources[n]
			if !ok {
				t.Fatalf("%s/%s is a row, and no current resource", typ, n.id)
			}
			if err := ducktest.SameMembers(typ.String()+"/"+n.id, decode(t, line), row); err != nil {
				t.Fatal(err)
			}
			seen++
		})
	}
	if seen != len(want.resources) {
		t.Fatalf("%d rows of %d current resources", seen, len(want.resources))
	}
	issues := map[name]int{}
	rows("ValidationIssue", func(row map[string]any) {
		typ := r4.ResourceTypeByName([]byte(row["resourceType"].(string)))
		n := name{typ, row["id"].(string)}
		issues[n]++
		if v := decode(t, want.resources[n])["meta"].(map[string]any)["versionId"]; v != row["versionId"] {
			t.Fatalf("an issue of version %v of %s/%s, of which %v is the current one", row["versionId"], typ, n.id, v)
		}
	})
	for n := range known {
		if issues[n] != want.issues[n] {
			t.Fatalf("%s/%s has %d issues in SQL, %d beside it", n.typ, n.id, issues[n], want.issues[n])
		}
	}
	entities, concepts := map[name][]string{}, map[name]int{}
	rows("nlp_entity", func(row map[string]any) {
		n := name{r4.ResourceTypeByName([]byte(row["document_type"].(string))), row["document_id"].(string)}
		if row["operation"] == "detect-entities" {
			entities[n] = append(entities[n], row["text"].(string))
		} else {
			concepts[n]++
		}
	})
	for n := range known {
		slices.Sort(entities[n]) // the rows of a view have no order
		if !slices.Equal(entities[n], want.entities[n]) || concepts[n] != len(want.entities[n]) {
			t.Fatalf("%s/%s has entities %q and %d concepts in SQL, %q beside it", n.typ, n.id, entities[n], concepts[n], want.entities[n])
		}
	}
}

// TestEveryLeafOfTheDeltaComesBackThroughSQL writes resources of all types.
func TestEveryLeafOfTheDeltaComesBackThroughSQL(t *testing.T) {
	for _, set := range []string{"r4-examples", "synthea-small"} {
		t.Run(set, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.Memory = 1 << 30 }) // whole StructureDefinitions are large
			known := map[name]bool{}
			var writes []lake.Write
			for i, line := range lines(t, set) {
				var kept beside.Values
				if i%7 == 0 {
					kept = append(kept, issues([]byte(`[{"severity":"error","code":"value"}]`)))
				}
				if i%5 == 0 {
					kept = append(kept, found(resultWith(i, 1+i%3)))
				}
				w := f.write(line, kept...)
				n := name{w.Type, w.ID}
				if set == "synthea-small" && i%4 > 0 {
					continue // the other lines have the same shapes
				}
				if !w.Type.IsResourceType() || len(w.ID) > delta.MaxID || known[n] {
					continue // what REST takes no more than an import does
				}
				known[n] = true
				writes = append(writes, w)
			}
			for batch := range slices.Chunk(writes, 100) {
				f.commit(batch...)
			}
			if len(known) < 1000 {
				t.Errorf("%d resources", len(known))
			}
			st := f.state()
			defer st.Close()
			same(t, st, current(t, f.lake, known), known)
		})
	}
}

// resultWith is a result of NLP with n entities that no other has.
func resultWith(of, n int) []byte {
	b := []byte(`{"engine":"1","dictionary":"d","texts":[{"path":"text","status":"SUCCESS","entities":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"text":"%d-%d","beginOffset":%d,"endOffset":9,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.9,"icd10cm":[{"code":"J45","score":0.5}]}`, of, i, i)
	}
	return append(b, `]}]}`...)
}

// model does random things to a data store, of a few resources.
type model struct {
	*fixture
	rng   *rand.Rand
	pool  [][]byte
	known map[name]bool
	n     int
}

// line is a random resource with content that no other has.
func (m *model) line() []byte {
	m.n++
	line := m.pool[m.rng.IntN(len(m.pool))]
	return fmt.Appendf(nil, `{"implicitRules":"urn:%d",%s`, m.n, line[1:])
}

func (m *model) write() lake.Write {
	line := m.line()
	var kept beside.Values
	if m.rng.IntN(4) == 0 {
		kept = append(kept, issues(fmt.Appendf(nil, `[{"severity":"error","code":"value","diagnostics":"%d"}]`, m.n)))
	}
	if m.rng.IntN(3) == 0 {
		kept = append(kept, found(resultWith(m.n, m.rng.IntN(4))))
	}
	w := m.fixture.write(line, kept...)
	m.known[name{w.Type, w.ID}] = true
	if m.rng.IntN(3) == 0 {
		return remove(w.Type, w.ID)
	}
	return w
}

func (m *model) step() {
	switch n := m.rng.IntN(20); {
	case n < 12:
		m.commit(m.write())
	case n < 16:
		var writes []lake.Write
		seen := map[name]bool{}
		for range 1 + m.rng.IntN(30) {
			if w := m.write(); !seen[name{w.Type, w.ID}] {
				seen[name{w.Type, w.ID}] = true
				writes = append(writes, w)
			}
		}
		m.commit(writes...)
	case n < 17:
		m.compact()
	case n < 19:
		var batch [][]byte
		for range 1 + m.rng.IntN(20) {
			line := m.line()
			w := m.fixture.write(line)
			m.known[name{w.Type, w.ID}] = true
			batch = append(batch, line)
		}
		m.load(batch...)
	default:
		m.sql.expire()
	}
}

// compact folds the delta in; at times it erases a resource.
func (m *model) compact() {
	m.t.Helper()
	o := bulk.CompactOptions{Lake: m.lake, Whole: m.rng.IntN(3) == 0, Workers: 2}
	for n := range m.known {
		if m.rng.IntN(20) == 0 {
			o.Erase = append(o.Erase, bulk.Resource{Type: n.typ, ID: n.id})
			break
		}
	}
	if _, err := bulk.Compact(context.Background(), o); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.lake.Snapshot().Sweep(); err != nil {
		m.t.Fatal(err)
	}
}

// TestSQLIsLikeTheLake does random writes, deletions, imports, compactions and erasures, and compares every view
// with the current resources after each. Some states are held, and compared later.
func TestSQLIsLikeTheLake(t *testing.T) {
	seeds, steps := 3, 30
	if testing.Short() {
		seeds = 2
	}
	var pool [][]byte
	for i, line := range lines(t, "synthea-small") {
		if i%151 == 0 && !bytes.Contains(line, []byte(`"implicitRules"`)) {
			pool = append(pool, line)
		}
	}
	pool = pool[:min(len(pool), 40)]
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{fixture: newFixture(t, nil), rng: rand.New(rand.NewPCG(uint64(seed), 7)), pool: pool, known: map[name]bool{}}
			type held struct {
				*State
				want  content
				known map[name]bool
			}
			var old []held
			for range steps {
				m.step()
				want := current(t, m.lake, m.known)
				st := m.state()
				if m.rng.IntN(2) == 0 { // asked later it sees the same
					same(t, st, want, m.known)
				}
				if m.rng.IntN(8) > 0 {
					st.Close()
					continue
				}
				known := map[name]bool{}
				for n := range m.known {
					known[n] = true
				}
				old = append(old, held{st, want, known})
			}
			m.rng.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
			for _, h := range old {
				same(t, h.State, h.want, h.known)
				h.Close()
			}
		})
	}
}

// TestQueriesSeeOneStateWhileWritesGoOn has writers that keep a sum, as each commit moves
// one from a resource to another, and an import beside them.
func TestQueriesSeeOneStateWhileWritesGoOn(t *testing.T) {
	f := newFixture(t, nil)
	const accounts, each = 8, 100
	write := func(parser *fixture, i, n int) lake.Write {
		return parser.write(fmt.Appendf(nil, `{"resourceType":"Observation","id":"obs-%d","status":"final","code":{"text":"balance"},"valueInteger":%d}`, i, n))
	}
	balances := make([]int, accounts)
	var first []lake.Write
	for i := range balances {
		balances[i] = each
		first = append(first, write(f, i, each))
	}
	f.commit(first...)

	var all sync.WaitGroup
	var stop atomic.Bool
	all.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := 0; !stop.Load(); n++ {
			from, to := rng.IntN(accounts), rng.IntN(accounts)
			if from == to {
				continue
			}
			balances[from]--
			balances[to]++
			if _, err := f.lake.Commit(context.Background(), []lake.Write{write(f, from, balances[from]), write(f, to, balances[to])}); err != nil {
				t.Error(err)
				return
			}
			if n%40 == 39 { // imports follow what was written, so the sum stays
				f.load(fmt.Appendf(nil, `{"resourceType":"Patient","id":"pat-%d"}`, n))
			}
		}
	})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := uint64(0)
			for range 25 {
				st, err := f.sql.State(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if st.Seq() < last {
					t.Errorf("commit %d after commit %d", st.Seq(), last)
				}
				last = st.Seq()
				// The same state twice, each with a count and a sum.
				for range 2 {
					var b bytes.Buffer
					_, err := st.Write(context.Background(), &b, Query{Text: `SELECT count(*) AS n, sum("valueInteger") AS s FROM Observation`, Format: duck.CSV})
					if want := fmt.Sprintf("n,s\n%d,%d\n", accounts, accounts*each); err != nil || b.String() != want {
						t.Errorf("got %q, %v, want %q", b.String(), err, want)
					}
				}
				st.Close()
			}
		})
	}
	readers.Wait()
	stop.Store(true)
	all.Wait()
}

// TestAStateKeepsItsFiles has a compaction remove files that a state reads.
func TestAStateKeepsItsFiles(t *testing.T) {
	f := newFixture(t, nil)
	f.load([]byte(`{"resourceType":"Patient","id":"pat-one","gender":"male"}`))
	f.put(`{"resourceType":"Patient","id":"pat-two","gender":"male"}`)
	before := head + "pat-one,1,male\npat-two,1,male\n"
	m, release, err := f.lake.Snapshot().Current()
	if err != nil {
		t.Fatal(err)
	}
	file := f.lake.Snapshot().Path(&m.Segments[0].Columns)
	release()
	st, idle := f.state(), f.state()
	f.same(patients, before)
	f.put(`{"resourceType":"Patient","id":"pat-one","gender":"female"}`)
	f.put(`{"resourceType":"Patient","id":"pat-two","gender":"female"}`)
	if _, err := bulk.Compact(context.Background(), bulk.CompactOptions{Lake: f.lake, Whole: true}); err != nil {
		t.Fatal(err)
	}
	sweep := func() (there bool) {
		t.Helper()
		if _, err := f.lake.Snapshot().Sweep(); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(file)
		return err == nil
	}
	if !sweep() {
		t.Fatal("a file that a state reads was swept")
	}
	f.same(patients, head+"pat-one,2,female\npat-two,2,female\n")
	for _, s := range []*State{st, idle} {
		if got := ask(t, s, patients); got != before {
			t.Errorf("the old state: %q, want %q", got, before)
		}
		s.Close()
	}
	if sweep() {
		t.Error("the files are held although no query reads them")
	}
	f.same(patients, head+"pat-one,2,female\npat-two,2,female\n")
}

// TestManyAskAtOnce has more who ask than queries may run, of a set.
func TestManyAskAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	s := NewSet(SetOptions{
		Lake: func(id string) (*lake.Lake, error) {
			if id != "here" {
				return nil, os.ErrNotExist
			}
			return f.lake, nil
		},
		Queries: 2, Options: f.sql.o,
	})
	var all sync.WaitGroup
	var running atomic.Int32
	for i := range 12 {
		w := f.write(fmt.Appendf(nil, `{"resourceType":"Patient","id":"pat-%d"}`, i))
		all.Go(func() {
			if _, err := f.lake.Commit(context.Background(), []lake.Write{w}); err != nil {
				t.Error(err)
			}
			st, err := s.State(context.Background(), "here")
			if err != nil {
				t.Error(err)
				return
			}
			defer st.Close()
			if n := running.Add(1); n > 2 {
				t.Errorf("%d queries at once", n)
			}
			defer running.Add(-1)
			var b bytes.Buffer
			_, err = st.Write(context.Background(), &b, Query{Text: fmt.Sprintf(`SELECT id FROM Patient WHERE id = 'pat-%d'`, i), Format: duck.CSV})
			if want := fmt.Sprintf("id\npat-%d\n", i); err != nil || b.String() != want {
				t.Errorf("the resource that was written just now: %q, %v", b.String(), err)
			}
		})
	}
	all.Wait()
	if _, err := s.State(context.Background(), "elsewhere"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such data store: %v", err)
	}
	held, err := s.State(context.Background(), "here")
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.State(context.Background(), "here")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.State(gone, "here"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn: %v", err)
	}
	if err := errors.Join(held.Close(), other.Close(), s.Forget("here")); err != nil {
		t.Fatal(err)
	}
	if left := f.temporary(); len(left) > 0 {
		t.Errorf("left of a data store that was forgotten: %v", left)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.State(context.Background(), "here"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
