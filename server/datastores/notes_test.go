package datastores_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/stages/nlp"
	nlpnotes "github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// note is a DocumentReference with a text.
func note(id, text string) string {
	return fmt.Sprintf(`{"resourceType":"DocumentReference","id":%q,"status":"current","subject":{"reference":"Patient/p"},"content":[{"attachment":{"contentType":"text/plain","data":%q}}]}`,
		id, base64.StdEncoding.EncodeToString([]byte(text)))
}

// resource sends a request and gives the resource that is answered.
func (s *searched) resource(method, path, body string) string {
	s.t.Helper()
	q, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/fhir+json")
	res, err := s.client.Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %d %.300s %v", method, path, res.StatusCode, text, err)
	}
	return string(text)
}

// extension is the part of an Extension that the tests look at.
type extension struct {
	URL         string
	ValueString string
	Extension   []extension
}

// decorated gives the texts of the entities that a resource shows, with their number of traits, and the
// status; nothing when it shows nothing.
func decorated(t *testing.T, resource string) string {
	t.Helper()
	var r struct{ Extension []extension }
	if err := json.Unmarshal([]byte(resource), &r); err != nil {
		t.Fatalf("%v: %s", err, resource)
	}
	var out []string
	for _, group := range r.Extension {
		if group.URL != fhir.DecorationURL {
			continue
		}
		for _, part := range group.Extension {
			switch {
			case strings.HasSuffix(part.URL, "/status/"):
				out = append(out, part.ValueString)
			case strings.HasSuffix(part.URL, "/detect-entities/"):
				for _, e := range part.Extension {
					for _, x := range e.Extension {
						if strings.HasSuffix(x.URL, "-text") || strings.HasSuffix(x.URL, "-trait") {
							out = append(out, x.ValueString)
						}
					}
				}
			}
		}
	}
	return strings.Join(out, " ")
}

func TestNotesThatAreWrittenShowWhatTheySay(t *testing.T) {
	s := newSearched(t)
	const fever = "fever NEGATION SYMPTOM SUCCESS"
	for name, got := range map[string]string{
		"create":  s.resource("PUT", "/DocumentReference/n", note("n", "No fever.")),
		"read":    s.resource("GET", "/DocumentReference/n", ""),
		"version": s.resource("GET", "/DocumentReference/n/_history/1", ""),
	} {
		if f := decorated(t, got); f != fever {
			t.Errorf("%s shows %q, want %q", name, f, fever)
		}
	}
	for name, path := range map[string]string{"search": "/DocumentReference?_id=n", "history": "/DocumentReference/n/_history"} {
		if got := s.resource("GET", path, ""); !strings.Contains(got, fhir.DecorationURL) {
			t.Errorf("%s shows nothing: %.200s", name, got)
		}
	}
	if f := decorated(t, s.resource("PUT", "/DocumentReference/n", note("n", "Asthma."))); f != "Asthma DIAGNOSIS SUCCESS" {
		t.Errorf("the update shows %q", f)
	}
	if f := decorated(t, s.resource("GET", "/DocumentReference/n/_history/1", "")); f != fever {
		t.Errorf("the first version shows %q", f)
	}
	shown := s.resource("GET", "/DocumentReference/n", "")
	if again := s.resource("PUT", "/DocumentReference/n", shown); !strings.Contains(again, `"versionId":"2"`) {
		t.Errorf("what was shown is stored as another version: %.300s", again)
	}
}

func TestDataStoreIsToldNotToReadNotes(t *testing.T) {
	s := newSearched(t)
	set := func(on bool) {
		if _, err := s.catalog.UpdateDataStore(s.id, func(d *catalog.DataStore) error {
			return d.SetNLP(func(n *catalog.NLP) { n.Status = catalog.SwitchOf(on) })
		}); err != nil {
			t.Fatal(err)
		}
	}
	set(false)
	if f := decorated(t, s.resource("PUT", "/DocumentReference/n", note("n", "No fever."))); f != "" {
		t.Errorf("it shows %q", f)
	}
	set(true)
	if f := decorated(t, s.resource("PUT", "/DocumentReference/m", note("m", "No fever."))); f == "" {
		t.Error("it shows nothing")
	}
}

func TestNoteInABinaryIsRead(t *testing.T) {
	s := newSearched(t)
	document := `{"resourceType":"DocumentReference","id":"n","status":"current","content":[{"attachment":{"contentType":"text/plain","url":"Binary/b"}}]}`
	if f := decorated(t, s.resource("PUT", "/DocumentReference/n", document)); f != "UNSUPPORTED" {
		t.Errorf("before the Binary is there, it shows %q", f)
	}
	s.resource("PUT", "/Binary/b", `{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"`+base64.StdEncoding.EncodeToString([]byte("Asthma."))+`"}`)
	res, err := s.compact.Reread(t.Context(), s.id, datastores.Request{})
	if err != nil || res.Read != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	if f := decorated(t, s.resource("GET", "/DocumentReference/n", "")); f != "Asthma DIAGNOSIS SUCCESS" {
		t.Errorf("afterwards it shows %q", f)
	}
}

// loadNotes imports documents.
func (s *searched) loadNotes(want datastores.Reading, documents ...string) *bulk.ImportResult {
	s.t.Helper()
	name := filepath.Join(s.t.TempDir(), "DocumentReference.ndjson")
	if err := os.WriteFile(name, []byte(strings.Join(documents, "\n")), 0o644); err != nil {
		s.t.Fatal(err)
	}
	l, err := s.set.Lake(s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := bulk.Import(s.t.Context(), bulk.ImportOptions{
		Root: s.root, Catalog: s.catalog, Datastore: s.data, Lake: l, Inputs: []string{name}, SearchIndex: true, Memory: 256 << 20,
		Notes: s.set.Notes(s.id, want),
	})
	if err != nil || res.Rejected > 0 {
		s.t.Fatalf("%+v, %v", res, err)
	}
	return res
}

func TestRereadReplacesOnlyWhatWasFound(t *testing.T) {
	s := newSearched(t)
	s.loadNotes(datastores.ReadNone, note("a", "No fever."), note("b", "Asthma."))
	before := s.resource("GET", "/DocumentReference/a", "")
	if f := decorated(t, before); f != "" {
		t.Fatalf("a job that reads nothing shows %q", f)
	}
	reread := func(whole bool, read int64) {
		t.Helper()
		res, err := s.compact.Reread(t.Context(), s.id, datastores.Request{Whole: whole})
		if err != nil || res.Read != read {
			t.Fatalf("%+v, %v; want %d read", res, err, read)
		}
	}
	reread(false, 2)
	after := s.resource("GET", "/DocumentReference/a", "")
	if f := decorated(t, after); f != "fever NEGATION SYMPTOM SUCCESS" {
		t.Errorf("it shows %q", f)
	}
	if want := strings.TrimSuffix(before, "}"); !strings.HasPrefix(after, want) {
		t.Errorf("the rest of it changed: %.300s", after)
	}
	reread(false, 0)
	reread(true, 2)
	if again := s.resource("GET", "/DocumentReference/a", ""); again != after {
		t.Errorf("read once more it shows %s", again)
	}
	// Another dictionary is another result.
	other := nlpnotes.Builtin(terminology.Compile(append(nlp.CoreTerms(), terminology.Term{Text: "everglade", Preferred: "Everglade", Reviewed: true, Category: terminology.Anatomy, Type: terminology.SystemOrganSite})))
	s.set.ProvideNotes(func() (nlpnotes.Provider, error) { return other, nil })
	reread(false, 2)
	// The same resources once more are unchanged, and nothing is read.
	if res := s.loadNotes(datastores.ReadAsSet, note("a", "No fever."), note("b", "Asthma.")); res.Unchanged != 2 {
		t.Errorf("%+v", res)
	}
	s.restart()
	if f := decorated(t, s.resource("GET", "/DocumentReference/b", "")); f != "Asthma DIAGNOSIS SUCCESS" {
		t.Errorf("after a restart it shows %q", f)
	}
}

func TestRereadAfterWritesCompactsThem(t *testing.T) {
	s := newSearched(t)
	s.loadNotes(datastores.ReadAsSet, note("a", "No fever."))
	s.resource("PUT", "/DocumentReference/a", note("a", "Asthma."))
	s.resource("PUT", "/DocumentReference/b", note("b", "Cough."))
	s.resource("DELETE", "/DocumentReference/b", "")
	if _, err := s.compact.Reread(t.Context(), s.id, datastores.Request{Whole: true}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/DocumentReference/a":            "Asthma DIAGNOSIS SUCCESS",
		"/DocumentReference/a/_history/1": "fever NEGATION SYMPTOM SUCCESS",
		"/DocumentReference/b/_history/1": "Cough SYMPTOM SUCCESS",
	} {
		if f := decorated(t, s.resource("GET", path, "")); f != want {
			t.Errorf("%s shows %q, want %q", path, f, want)
		}
	}
}

func TestNotesWaitForBinariesThatComeLaterInTheSameJob(t *testing.T) {
	s := newSearched(t)
	documents := []string{`{"resourceType":"DocumentReference","id":"n","status":"current","content":[{"attachment":{"contentType":"text/plain","url":"Binary/b"}}]}`}
	for i := range 3 { // each fills a batch
		documents = append(documents, note(fmt.Sprint("long", i), strings.Repeat("No fever. ", 100_000)))
	}
	documents = append(documents, `{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"`+base64.StdEncoding.EncodeToString([]byte("Asthma."))+`"}`)
	if res := s.loadNotes(datastores.ReadAsSet, documents...); !res.NotesWait {
		t.Fatal("nothing waits")
	}
	if err := s.compact.RereadWaiting(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	if f := decorated(t, s.resource("GET", "/DocumentReference/n", "")); f != "Asthma DIAGNOSIS SUCCESS" {
		t.Errorf("it shows %q", f)
	}
	if res := s.loadNotes(datastores.ReadAsSet, documents[0]); res.NotesWait || res.Unchanged != 1 {
		t.Errorf("%+v", res)
	}
}

// TestARereadThatFailsChangesNothing ends one before it is published, and one whose provider does not come.
func TestARereadThatFailsChangesNothing(t *testing.T) {
	s := newSearched(t)
	s.loadNotes(datastores.ReadAsSet, note("a", "No fever."))
	before := s.resource("GET", "/DocumentReference/a", "")
	files := func() (n int) {
		all, err := filepath.Glob(filepath.Join(s.root.DatastoreDir(s.id), "files", "DocumentReference", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	count := files()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := s.compact.Reread(canceled, s.id, datastores.Request{Whole: true}); err == nil {
		t.Errorf("canceled: %+v", res)
	}
	calls := 0
	s.set.ProvideNotes(func() (nlpnotes.Provider, error) {
		if calls++; calls > 1 { // it is there when the job begins
			return nil, errors.New("the model is gone")
		}
		return nlpnotes.Builtin(nlp.CoreIndex()), nil
	})
	if res, err := s.compact.Reread(t.Context(), s.id, datastores.Request{Whole: true}); err == nil || !strings.Contains(err.Error(), "the model is gone") {
		t.Errorf("without a provider: %+v, %v", res, err)
	}
	if after := s.resource("GET", "/DocumentReference/a", ""); after != before {
		t.Errorf("it shows %s", after)
	}
	if n := files(); n != count {
		t.Errorf("%d files, before there were %d", n, count)
	}
}

// TestARereadThatWasKilledIsRunAgain leaves the files that a process leaves which ends before publication.
func TestARereadThatWasKilledIsRunAgain(t *testing.T) {
	s := newSearched(t)
	s.loadNotes(datastores.ReadNone, note("a", "No fever."))
	columns, err := filepath.Glob(filepath.Join(s.root.DatastoreDir(s.id), "files", "DocumentReference", "*.parquet"))
	if err != nil || len(columns) != 1 {
		t.Fatal(columns, err)
	}
	for _, kind := range []string{".2.nlp.zst", ".2.entities.parquet"} {
		if err := os.WriteFile(strings.TrimSuffix(columns[0], ".parquet")+kind, []byte("half of it"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := s.compact.Reread(t.Context(), s.id, datastores.Request{}); err != nil || res.Read != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	if f := decorated(t, s.resource("GET", "/DocumentReference/a", "")); f != "fever NEGATION SYMPTOM SUCCESS" {
		t.Errorf("it shows %q", f)
	}
}
