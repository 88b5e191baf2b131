package sql

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// fixture is a root with a data store, its lake, and SQL's side of it.
type fixture struct {
	t       testing.TB
	root    *root.Root
	catalog *catalog.Catalog
	record  *catalog.DataStore
	lake    *lake.Lake
	sql     *DataStore
	parser  *parse.Parser
}

func newFixture(t testing.TB, change func(*Options)) *fixture {
	t.Helper()
	r, err := root.Open(filepath.Join(t.TempDir(), "lake"), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Use("")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := hex.DecodeString(d.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(r.DatastoreDir(d.ID), lake.Options{Secret: secret, Delta: delta.Options{Reserve: -1}})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{TempDir: r.TempDir, Threads: 2, Idle: time.Hour}
	if change != nil {
		change(&o)
	}
	f := &fixture{t: t, root: r, catalog: c, record: d, lake: l, sql: New(l, o), parser: parse.NewParser()}
	t.Cleanup(func() {
		if err := errors.Join(f.sql.Close(), l.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		if left := f.temporary(); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
		r.Close()
	})
	return f
}

// temporary lists what lies in the folder of temporary files.
func (f *fixture) temporary() (names []string) {
	f.t.Helper()
	base := filepath.Join(f.root.Dir(), "tmp")
	err := filepath.WalkDir(base, func(p string, _ os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed at this moment
		}
		if rel, _ := filepath.Rel(base, p); rel != "." {
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// issues and found are what is kept beside a resource: what validation found and what NLP did.
func issues(data []byte) beside.Value { return beside.Value{Kind: beside.Issues, Data: data} }
func found(data []byte) beside.Value  { return beside.Value{Kind: beside.NLP, Data: data} }

// write is the write of the resource in a line.
func (f *fixture) write(line []byte, kept ...beside.Value) lake.Write {
	f.t.Helper()
	data := append(slices.Clone(line), make([]byte, 16)...)
	var tree fhir.Tree
	tree.Reset(data)
	res := f.parser.Parse(&tree, 0, uint32(len(line)))
	if res.Root == fhir.NoNode {
		f.t.Fatalf("%s: %v", line, res.Issues)
	}
	content := slices.Clone(line)
	for _, v := range kept {
		content = append(content, v.Data...)
	}
	return lake.Write{
		Type: res.Type, ID: string(res.ID), Method: delta.Update, Beside: kept,
		Content: xxhash.Sum64(content),
		Stamp: func(dst []byte, number uint32, updated string) []byte {
			return fhir.AppendStamped(dst, &tree, res.Root, number, updated)
		},
	}
}

func remove(t r4.TypeID, id string) lake.Write {
	return lake.Write{Type: t, ID: id, Method: delta.Delete}
}

func (f *fixture) commit(writes ...lake.Write) {
	f.t.Helper()
	if _, err := f.lake.Commit(context.Background(), writes); err != nil {
		f.t.Fatal(err)
	}
}

// put commits the resource in a line.
func (f *fixture) put(format string, args ...any) {
	f.t.Helper()
	f.commit(f.write(fmt.Appendf(nil, format, args...)))
}

func (f *fixture) load(lines ...[]byte) {
	f.t.Helper()
	res, err := bulk.Import(context.Background(), bulk.ImportOptions{
		Root: f.root, Catalog: f.catalog, Datastore: f.record, Lake: f.lake, Workers: 2, Level: validate.Minimal,
		Inputs: []string{"-"}, Stdin: bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n')),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if res.Rejected > 0 {
		f.t.Fatalf("rejected: %+v", res.Sample)
	}
}

func (f *fixture) state() *State {
	f.t.Helper()
	st, err := f.sql.State(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

func ask(t testing.TB, st *State, query string) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := st.Write(context.Background(), &b, Query{Text: query, Format: duck.CSV}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return b.String()
}

// ask runs a query over what is current now.
func (f *fixture) ask(query string) string {
	f.t.Helper()
	st := f.state()
	defer st.Close()
	return ask(f.t, st, query)
}

func (f *fixture) same(query, want string) {
	f.t.Helper()
	if got := f.ask(query); got != want {
		f.t.Errorf("%s: got %q, want %q", query, got, want)
	}
}

func decode(t testing.TB, line []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %.200s", err, line)
	}
	return v
}

const (
	patients = `SELECT id, meta.versionId AS v, gender FROM Patient ORDER BY id`
	head     = "id,v,gender\n"
)

func TestSQLSeesWhatTheDeltaHas(t *testing.T) {
	f := newFixture(t, nil)
	f.same(patients, head)
	f.put(`{"resourceType":"Patient","id":"pat-one","gender":"female"}`)
	f.same(patients, head+"pat-one,1,female\n")
	f.load([]byte(`{"resourceType":"Patient","id":"pat-one","gender":"male"}`), []byte(`{"resourceType":"Patient","id":"pat-two"}`))
	f.same(patients, head+"pat-one,2,male\npat-two,1,\n")
	f.put(`{"resourceType":"Patient","id":"pat-two","gender":"other"}`)
	f.put(`{"resourceType":"Patient","id":"pat-three","gender":"unknown"}`)
	f.same(patients, head+"pat-one,2,male\npat-three,1,unknown\npat-two,2,other\n")
	f.commit(remove(r4.TypePatient, "pat-one"), remove(r4.TypePatient, "pat-two"))
	f.same(patients, head+"pat-three,1,unknown\n")
	f.put(`{"resourceType":"Patient","id":"pat-two","gender":"female"}`)
	f.same(patients, head+"pat-three,1,unknown\npat-two,4,female\n")
	f.put(`{"resourceType":"Device","id":"dev-one","status":"active"}`)
	f.same(`SELECT id FROM Device WHERE status = 'active'`, "id\ndev-one\n")
	f.same(`SELECT count(*) AS n FROM (SHOW TABLES)`, "n\n148\n")
}

func TestIssuesOfTheDeltaAreAView(t *testing.T) {
	f := newFixture(t, nil)
	const query = `SELECT "resourceType" AS t, id, "versionId" AS v, code, diagnostics AS d FROM ValidationIssue ORDER BY id, d`
	const head = "t,id,v,code,d\n"
	kept := func(text string) []byte {
		return fmt.Appendf(nil, `[{"severity":"error","code":"value","diagnostics":"%s"},{"severity":"warning","code":"code-invalid","diagnostics":"zz"}]`, text)
	}
	patient := func(id, text string) lake.Write {
		var beside []beside.Value
		if text != "" {
			beside = append(beside, issues(kept(text)))
		}
		return f.write(fmt.Appendf(nil, `{"resourceType":"Patient","id":"%s","gender":"%s"}`, id, text), beside...)
	}
	f.same(query, head)
	for i := range 20 {
		f.commit(patient(fmt.Sprintf("pat-fine-%d", i), ""))
	}
	f.commit(patient("pat-one", "first"), patient("pat-two", "second"))
	all := "Patient,pat-two,1,value,second\nPatient,pat-two,1,code-invalid,zz\n"
	f.same(query, head+"Patient,pat-one,1,value,first\nPatient,pat-one,1,code-invalid,zz\n"+all)
	f.commit(patient("pat-one", "again"))
	f.same(query, head+"Patient,pat-one,2,value,again\nPatient,pat-one,2,code-invalid,zz\n"+all)
	f.commit(patient("pat-one", ""))
	f.same(query, head+all)
	f.commit(remove(r4.TypePatient, "pat-two"))
	f.same(query, head)
}

// TestEntitiesOfTheDeltaAreAView asks who has asthma, while documents are written, changed, deleted and folded in.
func TestEntitiesOfTheDeltaAreAView(t *testing.T) {
	f := newFixture(t, nil)
	const cohort = `SELECT DISTINCT patient FROM nlp_entity
		WHERE operation = 'infer-icd10' AND concept_rank = 0 AND code LIKE 'J45%'
		AND NOT list_has_any(traits, ['NEGATION', 'PERTAINS_TO_FAMILY']) ORDER BY patient`
	document := func(id, patient, trait string) lake.Write {
		result := fmt.Appendf(nil, `{"engine":"1","dictionary":"d","texts":[{"path":"content[0].attachment","status":"SUCCESS","entities":[
			{"text":"asthma","beginOffset":0,"endOffset":6,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.9,"traits":[%s],
			"icd10cm":[{"code":"J45.909","score":0.9},{"code":"J45.20","score":0.8}]}]}]}`, trait)
		return f.write(fmt.Appendf(nil, `{"resourceType":"DocumentReference","id":"%s","status":"current","content":[{"attachment":{"title":"x"}}],"subject":{"reference":"Patient/%s"}}`, id, patient),
			found(bytes.ReplaceAll(result, []byte("\n"), nil)))
	}
	const negated, family = `{"name":"NEGATION","score":0.9}`, `{"name":"DIAGNOSIS","score":0.9},{"name":"PERTAINS_TO_FAMILY","score":0.9}`
	const head = "patient\n"
	f.same(cohort, head)
	f.commit(document("doc-one", "one", ""), document("doc-two", "two", negated), document("doc-three", "three", family))
	f.same(cohort, head+"Patient/one\n")
	f.commit(document("doc-two", "two", ""))
	f.same(cohort, head+"Patient/one\nPatient/two\n")
	compact := func() {
		t.Helper()
		if _, err := bulk.Compact(context.Background(), bulk.CompactOptions{Lake: f.lake, Workers: 2}); err != nil {
			t.Fatal(err)
		}
	}
	compact()
	f.same(cohort, head+"Patient/one\nPatient/two\n")
	f.commit(document("doc-one", "one", negated), document("doc-four", "four", ""))
	f.same(cohort, head+"Patient/four\nPatient/two\n")
	compact()
	f.same(cohort, head+"Patient/four\nPatient/two\n")
	f.same(`SELECT count(*) AS n FROM nlp_entity`, "n\n12\n") // an entity and two codes of each of four documents
	f.commit(remove(r4.TypeDocumentReference, "doc-two"))
	f.same(cohort, head+"Patient/four\n")
	compact()
	f.same(cohort, head+"Patient/four\n")
}

// TestOpenStatesStayAsTheyAre holds states while others write and publish.
func TestOpenStatesStayAsTheyAre(t *testing.T) {
	f := newFixture(t, nil)
	type held struct {
		*State
		want string
	}
	var all []held
	hold := func() { all = append(all, held{f.state(), f.ask(patients)}) }
	hold()
	for i := range 12 {
		f.put(`{"resourceType":"Patient","id":"pat-%d","gender":"male"}`, i%5)
		hold()
		if i%4 == 3 {
			f.load(fmt.Appendf(nil, `{"resourceType":"Patient","id":"pat-%d","gender":"other"}`, i%5))
			hold()
		}
		f.put(`{"resourceType":"Patient","id":"pat-%d","gender":"female"}`, i%3)
		if i%3 == 1 {
			f.commit(remove(r4.TypePatient, fmt.Sprintf("pat-%d", i%5)))
		}
	}
	for i, h := range all {
		// Some have a DuckDB, others have opened none yet.
		if got := ask(t, h.State, patients); got != h.want {
			t.Errorf("state %d at manifest %d, commit %d: got %q, want %q", i, h.Manifest(), h.Seq(), got, h.want)
		}
		h.Close()
		h.Close()
	}
}

// TestPartsAreFewAndSmall writes and asks in turn: what is shredded again is bounded, and
// so is the number of files.
func TestPartsAreFewAndSmall(t *testing.T) {
	f := newFixture(t, nil)
	const n = 150
	parts, shredded := 0, int64(0)
	for i := range n {
		f.put(`{"resourceType":"Patient","id":"pat-%d"}`, i)
		st := f.state()
		layers := st.image.layers
		parts = max(parts, len(layers))
		shredded += layers[len(layers)-1].part.rows
		var rows int64
		for _, l := range layers {
			rows += l.part.rows - l.hidden.count()
		}
		if rows != int64(i+1) {
			t.Fatalf("after %d writes the parts have %d current rows", i+1, rows)
		}
		st.Close()
	}
	if parts > 5 { // logarithm of 150 to the base 4, and one
		t.Errorf("%d parts", parts)
	}
	if shredded > 10*n {
		t.Errorf("%d resources were shredded for %d that were written", shredded, n)
	}
	// The same resource again and again: the parts do not grow.
	for range n {
		f.put(`{"resourceType":"Patient","id":"pat-1","gender":"%s"}`, []string{"male", "female"}[rand.IntN(2)])
	}
	st := f.state()
	defer st.Close()
	for _, l := range st.image.layers {
		if rows := l.part.rows; 2*l.hidden.count() > rows {
			t.Errorf("of a part of %d rows %d are hidden", rows, l.hidden.count())
		}
	}
}

func TestMostlyHiddenPartsAreMadeAgain(t *testing.T) {
	f := newFixture(t, nil)
	var writes, removals []lake.Write
	for i := range 200 {
		writes = append(writes, f.write(fmt.Appendf(nil, `{"resourceType":"Patient","id":"pat-%d"}`, i)))
		removals = append(removals, remove(r4.TypePatient, fmt.Sprintf("pat-%d", i)))
	}
	f.commit(writes...)
	for i := range 21 {
		st := f.state()
		var rows int64
		for _, l := range st.image.layers {
			rows += l.part.rows
		}
		if current := int64(200 - 10*i); rows < current || rows > 3*current+20 {
			t.Errorf("%d are current, and the parts have %d rows", current, rows)
		}
		st.Close()
		if i < 20 {
			f.commit(removals[10*i : 10*i+10]...)
		}
	}
}

func TestTemporaryFilesGo(t *testing.T) {
	f := newFixture(t, nil)
	f.put(`{"resourceType":"Patient","id":"pat-one"}`)
	old := f.state()
	ask(t, old, patients)
	f.put(`{"resourceType":"Patient","id":"pat-one","gender":"male"}`)
	f.same(patients, head+"pat-one,2,male\n")
	folders := func() (n int) {
		for _, name := range f.temporary() {
			if strings.Contains(filepath.Base(name), "part-") {
				n++
			}
		}
		return n
	}
	if n := folders(); n != 2 {
		t.Errorf("%d parts with an old state open: %v", n, f.temporary())
	}
	old.Close()
	if n := folders(); n != 1 {
		t.Errorf("%d parts when the old state is closed: %v", n, f.temporary())
	}
	f.sql.expire()
	if left := f.temporary(); len(left) > 0 {
		t.Errorf("left after an idle time: %v", left)
	}
	f.same(patients, head+"pat-one,2,male\n")
	last := f.state()
	if err := f.sql.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, last, patients); got != head+"pat-one,2,male\n" {
		t.Errorf("a state that was open at Close: %q", got)
	}
	last.Close()
	if _, err := f.sql.State(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestIdleTimeEnds(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Idle = time.Millisecond })
	f.put(`{"resourceType":"Patient","id":"pat-one"}`)
	for range 3 {
		f.same(patients, head+"pat-one,1,\n")
		for len(f.temporary()) > 0 { // ends with the time of the test run
			time.Sleep(time.Millisecond)
		}
	}
}

func TestMemoryOfOneQuery(t *testing.T) {
	f := newFixture(t, nil)
	st := f.state()
	defer st.Close()
	limit := func(q Query) string {
		var b bytes.Buffer
		q.Text, q.Format = `SELECT current_setting('memory_limit') AS m`, duck.CSV
		if _, err := st.Write(context.Background(), &b, q); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for memory, want := range map[int64]string{0: "m\n256.0 MiB\n", 64 << 20: "m\n64.0 MiB\n", 2 << 30: "m\n2.0 GiB\n"} {
		if got := limit(Query{Memory: memory}); got != want {
			t.Errorf("memory %d: %q, want %q", memory, got, want)
		}
	}
}

func TestSnapshotAlone(t *testing.T) {
	f := newFixture(t, nil)
	f.load([]byte(`{"resourceType":"Patient","id":"pat-one","gender":"male"}`))
	f.put(`{"resourceType":"Patient","id":"pat-one","gender":"female"}`)
	st, err := Snapshot(f.lake.Snapshot(), Options{TempDir: f.root.TempDir})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, st, patients); got != head+"pat-one,1,male\n" {
		t.Errorf("got %q", got)
	}
	st.Close()
}

// TestStatesOutliveTheLake is what a command does that owns the root only to read the
// delta.
func TestStatesOutliveTheLake(t *testing.T) {
	f := newFixture(t, nil)
	f.load([]byte(`{"resourceType":"Patient","id":"pat-one","gender":"male"}`), []byte(`{"resourceType":"Patient","id":"pat-two"}`))
	f.put(`{"resourceType":"Patient","id":"pat-one","gender":"female"}`)
	secret, err := hex.DecodeString(f.record.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.lake.Close(); err != nil {
		t.Fatal(err)
	}
	again := func() *lake.Lake {
		l, err := lake.Open(f.root.DatastoreDir(f.record.ID), lake.Options{Secret: secret, Delta: delta.Options{Reserve: -1}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := again()
	st, err := Once(context.Background(), l, Options{TempDir: f.root.TempDir})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, st, patients); got != head+"pat-one,2,female\npat-two,1,\n" {
		t.Errorf("got %q", got)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	f.lake = again()
}

func TestFaults(t *testing.T) {
	f := newFixture(t, nil)
	f.put(`{"resourceType":"Patient","id":"pat-one"}`)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.sql.State(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	st := f.state()
	defer st.Close()
	var user *duck.Error
	if _, err := st.Write(context.Background(), &bytes.Buffer{}, Query{Text: `FROM Patients`, Format: duck.CSV}); !errors.As(err, &user) || user.Hint != "did you mean Patient?" {
		t.Errorf("a faulty query: %v", err)
	}
	if _, err := st.Write(gone, &bytes.Buffer{}, Query{Text: `FROM Patient`, Format: duck.CSV}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled query: %v", err)
	}
	broken := New(f.lake, Options{TempDir: func() (string, func(), error) { return "", nil, os.ErrPermission }})
	defer broken.Close()
	if _, err := broken.State(context.Background()); !errors.Is(err, os.ErrPermission) {
		t.Errorf("without a place for files: %v", err)
	}
	f.commit(lake.Write{Type: r4.TypePatient, ID: "pat-broken", Method: delta.Update, Content: 1, Stamp: func(dst []byte, _ uint32, _ string) []byte {
		return append(dst, `{"resourceType":"Patient","id":`...)
	}})
	if _, err := f.sql.State(context.Background()); err == nil || strings.Contains(err.Error(), "pat-broken") {
		t.Errorf("a resource that cannot be read: %v", err)
	}
	if got := ask(t, st, `SELECT id FROM Patient`); got != "id\npat-one\n" {
		t.Errorf("the state before: %q", got)
	}
	f.commit(remove(r4.TypePatient, "pat-broken"))
	f.same(`SELECT id FROM Patient`, "id\npat-one\n")
}

// lines gives resources of real shapes.
func lines(t testing.TB, set string) (all [][]byte) {
	files := corpus.Files(t, corpus.Folder(t, set))
	for _, name := range corpus.Names(files) {
		corpus.EachLine(files[name], func(_ int, start, end uint32) {
			all = append(all, bytes.TrimSpace(files[name][start:end]))
		})
	}
	return all
}
