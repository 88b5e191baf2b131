package bulk

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/lake"
)

// deriving is a data store whose imports derive.
type deriving struct {
	*fixture
	lake *lake.Lake
	now  time.Time
}

func newDeriving(t *testing.T) *deriving {
	t.Helper()
	d := &deriving{fixture: newLake(t), now: clock}
	secret, err := hex.DecodeString(d.opts.Datastore.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	if d.lake, err = lake.Open(d.store.Dir(), lake.Options{Secret: secret, Now: func() time.Time { return d.now }, Delta: delta.Options{Reserve: -1}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.lake.Close() })
	d.opts.Lake, d.opts.Now = d.lake, func() time.Time { return d.now }
	read := notes.Reading{Provider: notes.Builtin(nlp.CoreIndex())}
	d.opts.Notes = &notes.Options{Reading: func() (notes.Reading, error) { return read, nil }}
	d.opts.Derive = func() (bool, error) { return true, nil }
	return d
}

// take imports lines and gives what it came to, in short.
func (d *deriving) take(lines ...string) string {
	d.t.Helper()
	d.now = d.now.Add(time.Minute)
	res := d.load(write(d.t, "in.ndjson", lines...))
	d.check()
	return cameTo(res)
}

func cameTo(res *ImportResult) string {
	return fmt.Sprintf("%d resources: %d imported, %d unchanged, %d duplicates, %d rejected; %d derived, %d withdrawn",
		res.Resources, res.Imported, res.Unchanged, res.Duplicates, res.Rejected, res.Derived, res.Withdrawn)
}

// check checks the files.
func (d *deriving) check() {
	d.t.Helper()
	if rep, err := fsck.Store(context.Background(), d.store); err != nil || !rep.OK() {
		d.t.Errorf("fsck: %+v, %v", rep, err)
	}
}

func documentOf(id, text string) string {
	return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"%s","status":"current","subject":{"reference":"Patient/p"},"content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}`,
		id, base64.StdEncoding.EncodeToString([]byte(text)))
}

var codeText = regexp.MustCompile(`"text":"([^"]*)"`)

// derivedOf gives what is derived from a document, in short.
func (d *deriving) derivedOf(id string) (brief []string) {
	d.t.Helper()
	doc, err := d.lake.Read(r4.TypeDocumentReference, id, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	refs, err := doc.Derived()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, ref := range refs {
		r, err := d.lake.Read(ref.Type, ref.ID, nil)
		if err != nil {
			d.t.Errorf("%s: %v", ref, err)
			continue
		}
		text := ""
		if m := codeText.FindSubmatch(r.JSON); m != nil {
			text = " " + string(m[1])
		}
		brief = append(brief, fmt.Sprintf("%s%s %d", ref.Type, text, r.Number))
	}
	return brief
}

func (d *deriving) expect(step, id string, want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.derivedOf(id)); diff != "" {
		d.t.Errorf("%s: %s (-want +got):\n%s", step, id, diff)
	}
}

// all gives the current resources by "Type/id", and fails when a derived one is named by no document.
func (d *deriving) all() map[string]string {
	d.t.Helper()
	out, named := map[string]string{}, map[string]bool{}
	for ref, line := range exportOf(d.t, d.lake, d.opts) {
		out[ref] = line
		if id, ok := strings.CutPrefix(ref, "DocumentReference/"); ok {
			doc, err := d.lake.Read(r4.TypeDocumentReference, id, nil)
			if err != nil {
				d.t.Fatal(err)
			}
			refs, err := doc.Derived()
			if err != nil {
				d.t.Fatal(err)
			}
			for _, r := range refs {
				named[r.String()] = true
			}
		}
	}
	for ref, line := range out {
		if strings.Contains(line, "SYSTEM_GENERATED") && !named[ref] {
			d.t.Errorf("%s is derived, and no document names it", ref)
		}
	}
	return out
}

func TestImportsDerive(t *testing.T) {
	d := newDeriving(t)
	d.opts.SearchIndex = true
	faulty := strings.Replace(documentOf("x", "Asthma."), `"current"`, `"x"`, 1)
	if got, want := d.take(documentOf("a", "Asthma. No cough. Takes metformin."), `{"resourceType":"Patient","id":"p"}`, faulty, documentOf("b", "Asthma. Fever.")),
		"4 resources: 3 imported, 0 unchanged, 0 duplicates, 1 rejected; 6 derived, 0 withdrawn"; got != want {
		t.Errorf("first: %s", got)
	}
	d.expect("first", "a", "Linkage 1", "Condition Asthma 1", "MedicationStatement metformin 1")
	d.expect("first", "b", "Linkage 1", "Condition Asthma 1", "Observation Fever 1")
	// Again: nothing changes.
	if got, want := d.take(documentOf("a", "Asthma. No cough. Takes metformin."), `{"resourceType":"Patient","id":"p"}`, documentOf("b", "Asthma. Fever.")),
		"3 resources: 0 imported, 3 unchanged, 0 duplicates, 0 rejected; 0 derived, 0 withdrawn"; got != want {
		t.Errorf("again: %s", got)
	}
	d.expect("again", "a", "Linkage 1", "Condition Asthma 1", "MedicationStatement metformin 1")
	// A document changes: what is no longer said goes, what is still said stays.
	if got, want := d.take(documentOf("a", "Asthma. Pneumonia.")),
		"1 resources: 1 imported, 0 unchanged, 0 duplicates, 0 rejected; 2 derived, 1 withdrawn"; got != want {
		t.Errorf("changed: %s", got)
	}
	d.expect("changed", "a", "Linkage 2", "Condition Asthma 1", "Condition Pneumonia 1")
	// It comes more than once: the last line counts.
	if got, want := d.take(documentOf("a", "Fever. Hypertension."), documentOf("c", "Stroke."), documentOf("a", "Fever."), documentOf("c", "Asthma.")),
		"4 resources: 2 imported, 0 unchanged, 2 duplicates, 0 rejected; 6 derived, 4 withdrawn"; got != want {
		t.Errorf("twice: %s", got)
	}
	d.expect("twice", "a", "Linkage 3", "Observation Fever 1")
	d.expect("twice", "c", "Linkage 1", "Condition Asthma 1")
	d.all()
	// Nothing is to be derived any more.
	d.opts.Derive = nil
	if got, want := d.take(documentOf("a", "Fever. Asthma."), documentOf("n", "Fever.")),
		"2 resources: 2 imported, 0 unchanged, 0 duplicates, 0 rejected; 0 derived, 2 withdrawn"; got != want {
		t.Errorf("off: %s", got)
	}
	d.expect("off", "a")
	d.expect("off", "n")
	d.all()
}

func TestImportsDeriveTheSameWithManyWorkers(t *testing.T) {
	var lines []string
	for i := range 500 {
		lines = append(lines, documentOf(fmt.Sprintf("n-%d", i), "Asthma. Fever. Takes metformin. Visit of "+strings.Repeat("x", i%100*40)), fmt.Sprintf(`{"resourceType":"Condition","id":"c-%d","subject":{"reference":"Patient/p"}}`, i))
	}
	var first map[string]string
	for _, workers := range []int{1, 4} {
		d := newDeriving(t)
		d.opts.Workers = workers
		if got, want := d.take(lines...), "1000 resources: 1000 imported, 0 unchanged, 0 duplicates, 0 rejected; 2000 derived, 0 withdrawn"; got != want {
			t.Errorf("%d workers: %s", workers, got)
		}
		files := dataFiles(t, d.store.Dir())
		if first == nil {
			first = files
		} else if diff := cmp.Diff(first, files); diff != "" {
			t.Errorf("%d workers write other files: %.400s", workers, diff)
		}
	}
}

// dataFiles gives the columnar files and those of resources by their paths.
func dataFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"files/*/*.parquet", "files/*/*.ndjson.zst"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(dir, name)
			files[rel] = string(text)
		}
	}
	if len(files) < 4 {
		t.Fatalf("%d files", len(files))
	}
	return files
}

// TestImportsDeriveBesideWrites has REST write documents while an import runs, which is later.
func TestImportsDeriveBesideWrites(t *testing.T) {
	d := newDeriving(t)
	d.take(documentOf("a", "Asthma."), documentOf("b", "Asthma."))
	d.opts.Stdin = &meanwhile{strings.NewReader(documentOf("a", "Fever.") + "\n" + documentOf("new", "Fever. Stroke.") + "\n"), func() {
		d.now = d.now.Add(time.Hour)
		d.rest("a", "Asthma", "Pneumonia")
		d.rest("new", "Pneumonia")
		d.rest("b", "Pneumonia")
	}}
	res, err := d.try(d.opts, "-")
	if err != nil {
		t.Fatal(err)
	}
	d.check()
	if res.Withdrawn != 4 { // two each of a and new; of b REST has done it
		t.Errorf("%s", cameTo(res))
	}
	d.expect("beside", "a", "Linkage 3", "Observation Fever 1")
	d.expect("beside", "new", "Linkage 1", "Observation Fever 1", "Condition Stroke 1")
	d.expect("beside", "b", "Linkage Pneumonia 2", "Condition Pneumonia 1")
	d.all()
}

// rest commits a document of which Conditions of these texts are derived, as REST does: with ids of its own.
func (d *deriving) rest(id string, texts ...string) {
	d.t.Helper()
	linkage := "Linkage/" + id
	if doc, err := d.lake.Read(r4.TypeDocumentReference, id, nil); err == nil { // the id of a Linkage is that of its document
		if refs, err := doc.Derived(); err == nil && len(refs) > 0 {
			linkage = refs[0].String()
		}
	}
	named := []string{linkage}
	writes := []lake.Write{plain(strings.TrimPrefix(linkage, "Linkage/"), r4.TypeLinkage, strings.Join(texts, "+"))}
	for _, text := range texts {
		ref := "Condition/" + id + "-" + text
		named = append(named, ref)
		writes = append(writes, plain(id+"-"+text, r4.TypeCondition, text))
	}
	doc := plain(id, r4.TypeDocumentReference, strings.Join(texts, "+"))
	stamp := doc.Stamp
	doc.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return append(dst, strings.Replace(string(stamp(nil, number, updated)), "SYSTEM_GENERATED", "NOTE", 1)...)
	}
	doc.Beside = beside.Values{{Kind: beside.NLP, Data: []byte(`{"engine":"1","dictionary":"1","texts":[],"derived":{"linkage":"` + named[0] + `","resources":["` + strings.Join(named[1:], `","`) + `"]}}`)}}
	doc.Follow = func(current *lake.Resource) ([]lake.Write, error) {
		var all []lake.Write
		if current != nil {
			refs, err := current.Derived()
			if err != nil {
				return nil, err
			}
			for _, ref := range refs {
				if !slices.Contains(named, ref.String()) {
					all = append(all, lake.Write{Type: ref.Type, ID: ref.ID, Method: delta.Delete})
				}
			}
		}
		return append(all, writes...), nil
	}
	if _, err := d.lake.Commit(context.Background(), []lake.Write{doc}); err != nil {
		d.t.Error(err)
	}
}

func plain(id string, t r4.TypeID, text string) lake.Write {
	w := lake.Write{Type: t, ID: id, Method: delta.Update, Content: uint64(len(text)) + 1000*uint64(text[0])}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return fmt.Appendf(dst, `{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s","tag":[{"display":"SYSTEM_GENERATED"}]},"code":{"text":"%s"}}`, t, id, number, updated, text)
	}
	return w
}

// TestWhatIsDerivedComesBackFromAnExport exports documents with what is derived from them, and imports that into
// the same data store and into an empty one.
func TestWhatIsDerivedComesBackFromAnExport(t *testing.T) {
	d := newDeriving(t)
	d.take(documentOf("a", "Asthma. Takes metformin."), documentOf("b", "Fever."))
	want := d.all()
	var lines []string
	for _, line := range want {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	slices.Sort(lines)
	if got, want := d.take(lines...), "7 resources: 0 imported, 7 unchanged, 0 duplicates, 0 rejected; 0 derived, 0 withdrawn"; got != want {
		t.Errorf("into the same one: %s", got)
	}
	other := newDeriving(t)
	other.now = d.now
	other.opts.Derive, other.opts.Notes = nil, nil
	if got, want := other.take(lines...), "7 resources: 7 imported, 0 unchanged, 0 duplicates, 0 rejected; 0 derived, 0 withdrawn"; got != want {
		t.Errorf("into an empty one: %s", got)
	}
	version := regexp.MustCompile(`"(versionId|lastUpdated)":"[^"]*"`)
	got := exportOf(t, other.lake, other.opts)
	for ref := range want {
		if diff := cmp.Diff(version.ReplaceAllString(want[ref], ""), version.ReplaceAllString(got[ref], "")); diff != "" {
			t.Errorf("%s came back as another one: %s", ref, diff)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d resources came back, want %d", len(got), len(want))
	}
	// An empty one that derives itself has the same, once.
	third := newDeriving(t)
	if got, want := third.take(lines...), "7 resources: 7 imported, 0 unchanged, 0 duplicates, 0 rejected; 0 derived, 0 withdrawn"; got != want {
		t.Logf("what the input and a document give is one resource, whichever comes last: %s", got)
	}
	if len(third.all()) != len(want) {
		t.Errorf("%d resources, want %d", len(third.all()), len(want))
	}
}

func exportOf(t *testing.T, l *lake.Lake, o ImportOptions) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	to, err := blob.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Export(context.Background(), ExportOptions{Lake: l, Output: to, TempDir: o.Root.TempDir}); err != nil {
		t.Fatal(err)
	}
	return exported(t, dir)
}

func TestImportThatIsNotToldWhetherToDeriveFails(t *testing.T) {
	d := newDeriving(t)
	reason := errors.New("no catalog")
	d.opts.Derive = func() (bool, error) { return false, reason }
	if _, err := d.try(d.opts, write(t, "in.ndjson", documentOf("a", "Asthma."))); !errors.Is(err, reason) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsDerivedStaysNamedWhenNotesAreReadAgain(t *testing.T) {
	d := newDeriving(t)
	d.take(documentOf("a", "Asthma. Takes metformin."), documentOf("b", "No fever."))
	d.take(documentOf("a", "Asthma."))
	if _, err := Reread(context.Background(), RereadOptions{Lake: d.lake, Notes: d.opts.Notes, Whole: true, Workers: 2, Now: func() time.Time { return d.now }}); err != nil {
		t.Fatal(err)
	}
	d.check()
	d.expect("read again", "a", "Linkage 2", "Condition Asthma 1")
	d.expect("read again", "b")
	d.all()
	if got, want := d.take(documentOf("a", "Fever.")), "1 resources: 1 imported, 0 unchanged, 0 duplicates, 0 rejected; 2 derived, 1 withdrawn"; got != want {
		t.Errorf("changed: %s", got)
	}
}
