package bulk

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// note is a document with a text.
func note(id, text string) string {
	return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"%s","status":"current","subject":{"reference":"Patient/%s"},"content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}`,
		id, id, base64.StdEncoding.EncodeToString([]byte(text)))
}

// entitiesOf is what SQL says was found in the notes of a snapshot.
func entitiesOf(t *testing.T, s *snapshot.Store) string {
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
	var out bytes.Buffer
	const query = `SELECT document_id AS d, patient, operation AS o, text, array_to_string(traits, ' ') AS traits, code FROM nlp_entity
		WHERE category = 'MEDICAL_CONDITION' AND coalesce(concept_rank, 0) = 0 ORDER BY ALL`
	if _, err := db.Write(context.Background(), &out, query, duck.CSV, 0); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(out.String(), "d,patient,o,text,traits,code\n")
}

// blind is a provider that finds nothing.
type blind struct{}

func (blind) Version() (engine, dictionary string) { return "blind", "none" }

func (blind) NewReader() (notes.Reader, error)                              { return blind{}, nil }
func (blind) Append(_ context.Context, dst, _ []byte) (_ []byte, err error) { return dst, nil }

// TestWhatNotesSayIsInSQL imports documents, some again, and some that others write in the meantime,
// folds all of it together and reads it again.
func TestWhatNotesSayIsInSQL(t *testing.T) {
	f := newLake(t)
	core := notes.Builtin(nlp.CoreIndex())
	f.opts.Notes = &notes.Options{Reading: func() (notes.Reading, error) { return notes.Reading{Provider: core}, nil }}
	of := func(id, text, traits, code string) string {
		line := fmt.Sprintf("%s,Patient/%s,%%s,%s,%s,%%s\n", id, id, text, traits)
		return fmt.Sprintf(line, "detect-entities", "") + fmt.Sprintf(line, "infer-icd10", code)
	}
	same := func(want string) {
		t.Helper()
		if diff := cmp.Diff(want, entitiesOf(t, f.store)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f.load(write(t, "first.ndjson", note("a", "Asthma."), note("b", "Pneumonia."), `{"resourceType":"Patient","id":"p"}`, note("c", "Nothing here.")))
	same(of("a", "Asthma", "DIAGNOSIS", "J45.909") + of("b", "Pneumonia", "DIAGNOSIS", "J18.9"))
	f.load(write(t, "second.ndjson", note("a", "No asthma."), note("b", "Pneumonia.")))
	same(of("a", "asthma", "NEGATION DIAGNOSIS", "J45.909") + of("b", "Pneumonia", "DIAGNOSIS", "J18.9"))

	secret, err := hex.DecodeString(f.opts.Datastore.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(f.store.Dir(), lake.Options{Secret: secret, Delta: delta.Options{Reserve: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := f.opts
	o.Lake = l
	o.Stdin = &meanwhile{strings.NewReader(note("b", "Asthma.") + "\n" + note("c", "Pneumonia.") + "\n"), func() {
		w := lake.Write{Type: r4.TypeDocumentReference, ID: "b", Method: delta.Update, Content: xxhash.Sum64String("beside")}
		w.Stamp = func(dst []byte, number uint32, updated string) []byte {
			return append(dst, fmt.Sprintf(`{"resourceType":"DocumentReference","id":"b","meta":{"versionId":"%d","lastUpdated":"%s"},"status":"current"}`, number, updated)...)
		}
		if _, err := l.Commit(context.Background(), []lake.Write{w}); err != nil {
			t.Error(err)
		}
	}}
	if _, err := f.try(o, "-"); err != nil {
		t.Fatal(err)
	}
	last := of("a", "asthma", "NEGATION DIAGNOSIS", "J45.909") + of("b", "Asthma", "DIAGNOSIS", "J45.909") + of("c", "Pneumonia", "DIAGNOSIS", "J18.9")
	same(last)
	if _, err := Compact(context.Background(), CompactOptions{Lake: l, Whole: true, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	same(last)

	// Another provider finds something else, and the first one the same again.
	for _, who := range []struct {
		notes.Provider
		want string
	}{{blind{}, ""}, {core, last}} {
		reading := &notes.Options{Reading: func() (notes.Reading, error) { return notes.Reading{Provider: who.Provider}, nil }}
		if _, err := Reread(context.Background(), RereadOptions{Lake: l, Notes: reading, Workers: 2}); err != nil {
			t.Fatal(err)
		}
		same(who.want)
	}
	rep, err := fsck.Store(context.Background(), f.store)
	if err != nil || !rep.OK() {
		t.Errorf("fsck: %+v %v", rep, err)
	}
}
