package search_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// stored is a resource after a commit of the one writer; json is empty when it is gone.
type stored struct {
	searchtest.Key
	json    []byte
	updated int64
}

// asked is a search beside the writer: what it gave, and between which commits it began
// and had its first page.
type asked struct {
	name     string
	alone    bool // the writer wrote nothing meanwhile
	query    *query.Query
	from, to int64
	pages    []search.Page
	err      error
}

// lives are resources whose one writer remembers each commit. Searches and compactions
// go on beside it.
type lives struct {
	*store
	bodies     map[r4.TypeID][]string // of the examples, without type and id
	refs       []searchtest.Key       // that are written
	rand       *rand.Rand
	commits    [][]stored
	begun      atomic.Int64
	ended      atomic.Int64
	publishing sync.Mutex // imports and compactions are not beside one another
}

// newLives makes the examples a data store that is to be written.
func newLives(t *testing.T, seed uint64) (*lives, *searchtest.Store) {
	s, m := examples(t)
	l := &lives{store: s, bodies: map[r4.TypeID][]string{}, rand: rand.New(rand.NewPCG(seed, 1))}
	for _, typ := range []r4.TypeID{
		r4.TypePatient, r4.TypeObservation, r4.TypeEncounter, r4.TypeCondition, r4.TypePractitioner, r4.TypeOrganization,
		r4.TypeLocation, r4.TypeDiagnosticReport, r4.TypeRiskAssessment, r4.TypeMedicationRequest,
	} {
		data := corpus.Read(t, filepath.Join(corpus.Folder(t, "r4-examples"), typ.String()+".ndjson.gz"))
		corpus.EachLine(data, func(_ int, start, end uint32) {
			head, rest, ok := bytes.Cut(data[start:end], []byte(`","`))
			id, body, ok2 := bytes.Cut(rest, []byte(`",`))
			k := searchtest.Key{Type: typ, ID: strings.TrimPrefix(string(id), `id":"`)}
			if !ok || !ok2 || string(head) != `{"resourceType":"`+typ.String() || m.Get(k) == nil || bytes.HasPrefix(body, []byte(`"meta"`)) || len(body) > 8<<10 {
				return
			}
			l.bodies[typ] = append(l.bodies[typ], string(bytes.TrimSuffix(body, []byte("}"))))
			l.refs = append(l.refs, k)
		})
		if n := len(l.bodies[typ]); n > 0 {
			for i := range 3 { // that are not there yet
				l.refs = append(l.refs, searchtest.Key{Type: typ, ID: fmt.Sprintf("new-%d", i)})
			}
		}
	}
	if len(l.refs) < 100 {
		t.Fatalf("%d resources to write: too few", len(l.refs))
	}
	return l, m
}

// change makes the next commit: some resources take the content of others of their type,
// come, or go; now and then by an import.
func (l *lives) change(n int) {
	l.t.Helper()
	texts := map[searchtest.Key]string{}
	imported := n%40 == 39
	for range 1 + l.rand.IntN(5) {
		k := l.refs[l.rand.IntN(len(l.refs))]
		texts[k] = l.bodies[k.Type][l.rand.IntN(len(l.bodies[k.Type]))]
		if !imported && l.rand.IntN(4) == 0 {
			texts[k] = ""
		}
	}
	l.begun.Add(1)
	if imported {
		l.importAll(texts)
	} else {
		l.commit(texts)
	}
	var all []stored
	for k := range texts {
		r, err := l.lake.Read(k.Type, k.ID, nil)
		switch {
		case err == nil:
			all = append(all, stored{k, append(r.JSON, '\n'), r.Updated})
		case errors.Is(err, lake.ErrNotFound) || errors.As(err, new(*lake.GoneError)):
			all = append(all, stored{Key: k})
		default:
			l.t.Fatal(err)
		}
	}
	l.commits = append(l.commits, all)
	l.ended.Add(1)
}

func (l *lives) commit(texts map[searchtest.Key]string) {
	l.t.Helper()
	var writes []lake.Write
	for k, text := range texts {
		w := lake.Write{Type: k.Type, ID: k.ID, Method: delta.Delete}
		if text != "" {
			w.Method, w.Content = delta.Update, xxhash.Sum64String(text)
			w.Stamp = func(dst []byte, number uint32, updated string) []byte {
				return append(dst, fmt.Sprintf(`{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},%s}`, k.Type, k.ID, number, updated, text)...)
			}
		}
		writes = append(writes, w)
	}
	if _, err := l.lake.Commit(l.t.Context(), writes); err != nil {
		l.t.Fatal(err)
	}
}

// importAll imports resources, beside searches.
func (l *lives) importAll(texts map[searchtest.Key]string) {
	l.t.Helper()
	var file bytes.Buffer
	for k, text := range texts {
		fmt.Fprintf(&file, "{\"resourceType\":\"%s\",\"id\":\"%s\",%s}\n", k.Type, k.ID, text)
	}
	name := filepath.Join(l.t.TempDir(), "in.ndjson")
	if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.publishing.Lock()
	defer l.publishing.Unlock()
	l.load(name)
}

// walkBeside asks for all pages of a search.
func (l *lives) walkBeside(x searchtest.Search) (a asked) {
	r := x.Request(modelNow)
	a.name, a.from = x.String(), l.ended.Load()
	for next := ""; ; {
		q, p, err := l.ask(r, next)
		if a.query == nil {
			a.query, a.to = q, l.begun.Load()
		}
		if err != nil {
			a.err = err
			return a
		}
		a.pages = append(a.pages, *p)
		if next = p.Next; next == "" {
			return a
		}
	}
}

// compactUntil folds what was written into the snapshot, again and again.
func (l *lives) compactUntil(stop chan struct{}, every time.Duration) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(every):
		}
		l.publishing.Lock()
		_, err := bulk.Compact(l.t.Context(), bulk.CompactOptions{Lake: l.lake, SearchIndex: true, Whole: n%4 == 3})
		l.publishing.Unlock()
		if err != nil {
			l.t.Error(err)
			return
		}
	}
}

// differsAt tells how an answer differs from what the definition gives for the state of
// the model; "" when it does not.
func (a *asked) differsAt(m *searchtest.Store) (string, error) {
	want, err := m.Search(a.query)
	if err != nil {
		return "", err
	}
	left := map[searchtest.Key]*searchtest.Resource{}
	for _, x := range want {
		left[x.Key] = x
	}
	var last *searchtest.Resource
	for n, p := range a.pages {
		if p.Total >= 0 && p.Total != int64(len(want)) {
			return fmt.Sprintf("page %d: total %d, want %d", n, p.Total, len(want)), nil
		}
		var matches []*searchtest.Resource
		for i := range p.Matches {
			k := searchtest.Key{Type: p.Matches[i].Type, ID: p.Matches[i].ID}
			x := left[k]
			if x == nil {
				return fmt.Sprintf("page %d: %s comes twice, or does not match", n, k), nil
			}
			delete(left, k)
			if x.Updated != p.Matches[i].Updated {
				return fmt.Sprintf("page %d: %s is of another moment", n, k), nil
			}
			if last != nil && searchtest.Compare(a.query, last, x) > 0 {
				return fmt.Sprintf("page %d: %s comes before %s", n, last, k), nil
			}
			last, matches = x, append(matches, x)
		}
		if !a.alone && slices.ContainsFunc(a.query.Includes, func(i query.Include) bool { return !i.Reverse }) {
			continue // what matches refer to comes as it is when the page is read
		}
		var included []string
		for i := range p.Included {
			included = append(included, searchtest.Key{Type: p.Included[i].Type, ID: p.Included[i].ID}.String())
		}
		slices.Sort(included)
		var wanted []string
		for _, x := range m.Include(a.query, matches) {
			wanted = append(wanted, x.String())
		}
		if !slices.Equal(included, wanted) {
			return fmt.Sprintf("page %d includes %v, want %v", n, included, wanted), nil
		}
	}
	if len(left) > 0 && !a.query.CountOnly() {
		return fmt.Sprintf("%d resources are lost", len(left)), nil
	}
	return "", nil
}

// check goes through the commits and looks for the moment of each answer.
func (l *lives) check(m *searchtest.Store, all []asked) (moments int) {
	l.t.Helper()
	slices.SortStableFunc(all, func(a, b asked) int { return cmp.Compare(a.from, b.from) })
	var pending []*asked
	for n := range int64(len(l.commits)) + 1 {
		if n > 0 {
			for _, x := range l.commits[n-1] {
				m.Delete(x.Key)
				if x.json == nil {
					continue
				}
				if err := m.Put(x.json, x.updated); err != nil {
					l.t.Fatal(err)
				}
			}
		}
		for len(all) > 0 && all[0].from <= n {
			pending = append(pending, &all[0])
			all = all[1:]
		}
		pending = slices.DeleteFunc(pending, func(o *asked) bool {
			moments++
			d, err := o.differsAt(m)
			if err != nil {
				l.t.Fatalf("%s: %v", o.name, err)
			}
			return d == ""
		})
		for _, o := range pending {
			if o.to <= n {
				d, _ := o.differsAt(m)
				l.t.Errorf("%s is of no moment between %d and %d commits; after the last: %s\n%s", o.name, o.from, o.to, d, o.query)
			}
		}
		pending = slices.DeleteFunc(pending, func(o *asked) bool { return o.to <= n })
	}
	return moments
}

// TestRandomSearchesBesideAWriter: while transactions, deletions, imports and compactions
// go on, what each search gives, all of its pages together, is
// what the definition gives after some commit between the request and the answer to its
// first page. What the writer asks for itself is of its last commit, and so is what
// is included.
func TestRandomSearchesBesideAWriter(t *testing.T) {
	l, m := newLives(t, 11)
	var found [3][]asked // by searcher; the last is the writer
	var generators [3]*searchtest.Generator
	var queries [3][]searchtest.Search
	for i := range generators {
		rnd := rand.New(rand.NewPCG(uint64(i), 5))
		generators[i] = searchtest.NewGenerator(m, rnd, search.Features)
		for range randomBeside { // the generator reads the model, which is not yet that of later
			x := generators[i].Next()
			x.Raw += fmt.Sprintf("&_count=%d", 3+rnd.IntN(100))
			if rnd.IntN(6) == 0 {
				x.Raw += "&_total=accurate"
			}
			queries[i] = append(queries[i], x)
		}
	}
	stop := make(chan struct{})
	var searchers, compactor sync.WaitGroup
	for i := range 2 {
		searchers.Go(func() {
			for _, x := range queries[i] {
				found[i] = append(found[i], l.walkBeside(x))
			}
		})
	}
	compactor.Go(func() { l.compactUntil(stop, 300*time.Millisecond) })
	done := make(chan struct{})
	go func() { searchers.Wait(); close(done) }()
	for n := 0; ; n++ {
		l.change(n)
		if x := queries[2]; n%8 == 0 && len(x) > 0 {
			found[2] = append(found[2], l.walkBeside(x[0]))
			queries[2] = x[1:]
		}
		select {
		case <-done:
		default:
			time.Sleep(2 * time.Millisecond) // a search is of a few commits, each of which is evaluated
			continue
		}
		break
	}
	close(stop)
	compactor.Wait()
	resources, walks, pages := 0, 0, 0
	var all []asked
	for i := range found {
		for _, a := range found[i] {
			if a.err != nil {
				t.Errorf("%s: %v", a.name, a.err)
				continue
			}
			if i == 2 && (a.from != a.to || a.from == 0) {
				t.Fatalf("the writer asks after %d and %d commits", a.from, a.to)
			}
			a.alone = i == 2
			all = append(all, a)
			walks, pages = walks+1, pages+len(a.pages)
			for _, p := range a.pages {
				resources += len(p.Matches)
			}
		}
	}
	elsewhen := 0 // what was not so when all began
	for i := range all {
		d, err := all[i].differsAt(m)
		if err != nil {
			t.Fatal(err)
		}
		if d != "" {
			elsewhen++
		}
	}
	moments := l.check(m, all)
	t.Logf("%d commits; %d searches of %d pages found %d resources, %d of the searches what was not so at first; %d moments were evaluated",
		len(l.commits), walks, pages, resources, elsewhen, moments)
	if len(l.commits) < 20 || walks < 2*randomBeside || resources < walks || elsewhen < walks/8 {
		t.Errorf("%d commits, %d searches, %d resources, %d changed: too few to tell anything", len(l.commits), walks, resources, elsewhen)
	}
}
