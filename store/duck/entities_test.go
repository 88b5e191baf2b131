package duck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// entityRow is a row of a file of entities as SQL: of the document in a row of the
// segment, an entity or a concept of it.
func entityRow(row int, operation, text, traits, code string) string {
	of := func(s string) string {
		if s == "" {
			return "NULL::VARCHAR"
		}
		return "'" + s + "'"
	}
	rank := "NULL::INTEGER"
	if code != "" {
		rank = "0"
	}
	return fmt.Sprintf(`SELECT %d::INTEGER AS "row", 'DocumentReference' AS document_type, 'doc-%d' AS document_id, 'Patient/%d' AS patient,
		0::INTEGER AS attachment, 0::INTEGER AS entity_id, %s AS operation, 'MEDICAL_CONDITION' AS category, 'DX_NAME' AS type, %s AS text,
		0::INTEGER AS begin_offset, 6::INTEGER AS end_offset, 0.92::DOUBLE AS score, %s AS traits,
		%s AS system, %s AS code, NULL::VARCHAR AS description, 0.9::DOUBLE AS concept_score, %s AS concept_rank`,
		row, row, row, of(operation), of(text), of(traits), of(code), of(code), rank)
}

// noted adds to b a segment of documents with entity rows.
func (l *lake) noted(b *snapshot.Builder, rows int64, entities ...string) {
	l.t.Helper()
	l.build(b, []segment{{"DocumentReference", fmt.Sprintf("SELECT 'DocumentReference' AS resourceType, 'doc-' || i AS id FROM range(%d) t(i)", rows)}})
	all := b.Segments()
	s := all[len(all)-1]
	query, n := "", 0
	for _, e := range entities {
		if n++; n > 1 {
			query += " UNION ALL "
		}
		query += e
	}
	tmp := filepath.Join(l.t.TempDir(), "x.parquet")
	if _, err := l.raw.Exec("COPY (" + query + ") TO '" + tmp + "' (FORMAT parquet)"); err != nil {
		l.t.Fatal(err)
	}
	text, err := os.ReadFile(tmp)
	if err != nil {
		l.t.Fatal(err)
	}
	a := snapshot.Annotation{Kind: snapshot.Entities, Rows: int64(n)}
	w, err := s.CreateAnnotations(snapshot.Entities, 1, &a.File)
	if err != nil {
		l.t.Fatal(err)
	}
	w.Write(text)
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	s.Annotations = append(s.Annotations, a)
}

// publishNoted publishes a segment of documents with entity rows.
func (l *lake) publishNoted(superseded map[uint32]*roaring.Bitmap, rows int64, entities ...string) {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	release()
	b := snapshot.NewBuilder(l.store.Dir(), m, func() string { l.n++; return fmt.Sprintf("u-%d", l.n) })
	l.noted(b, rows, entities...)
	if _, err := l.store.Publish(b, snapshot.PublishOptions{Now: time.Unix(0, 0), KeepVersions: true, Superseded: superseded}); err != nil {
		l.t.Fatal(err)
	}
}

func TestEntitiesOfCurrentRowsAreAView(t *testing.T) {
	l := newLake(t)
	const header = "document_type,document_id,patient,attachment,entity_id,operation,category,type,text,begin_offset,end_offset,score,traits,system,code,description,concept_score,concept_rank\n"
	if got := csv(t, l.open(nil), "SELECT * FROM nlp_entity"); got != header {
		t.Errorf("of an empty store: %q", got)
	}
	const types = `SELECT string_agg(column_name || ' ' || column_type, ', ') AS t FROM (DESCRIBE SELECT * FROM nlp_entity)`
	empty := csv(t, l.open(nil), types)

	l.publishNoted(nil, 3,
		entityRow(0, "status", "", "", ""), entityRow(0, "detect-entities", "asthma", "DIAGNOSIS NEGATION", ""), entityRow(0, "infer-icd10", "asthma", "DIAGNOSIS NEGATION", "J45.909"),
		entityRow(1, "status", "", "", ""),
		entityRow(2, "status", "", "", ""), entityRow(2, "detect-entities", "fever", "", ""), entityRow(2, "infer-icd10", "fever", "", "R50.9"))
	if diff := cmp.Diff(empty, csv(t, l.open(nil), types)); diff != "" {
		t.Errorf("the types of an empty view are others (-empty +got):\n%s", diff)
	}
	const all = `SELECT document_id AS d, operation AS o, code AS c, traits, list_contains(traits, 'NEGATION') AS neg FROM nlp_entity ORDER BY d, o`
	want := `d,o,c,traits,neg
doc-0,detect-entities,,"[""DIAGNOSIS"",""NEGATION""]",true
doc-0,infer-icd10,J45.909,"[""DIAGNOSIS"",""NEGATION""]",true
doc-2,detect-entities,,[],false
doc-2,infer-icd10,R50.9,[],false
`
	if diff := cmp.Diff(want, csv(t, l.open(nil), all)); diff != "" {
		t.Errorf("one segment (-want +got):\n%s", diff)
	}

	l.publishNoted(map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0, 1)}, 1, entityRow(0, "detect-entities", "asthma", "", ""))
	const texts = `SELECT document_id AS d, text FROM NLP_Entity WHERE operation = 'detect-entities' ORDER BY ALL`
	if got, want := csv(t, l.open(nil), texts), "d,text\ndoc-0,asthma\ndoc-2,fever\n"; got != want {
		t.Errorf("after a new version: %s, want %s", got, want)
	}

	// What was written since hides rows and adds others.
	dir := t.TempDir()
	b := snapshot.NewTemporary(dir)
	l.noted(b, 3, entityRow(0, "detect-entities", "hidden", "", ""), entityRow(2, "detect-entities", "cough", "", ""))
	y := duck.Layer{Dir: dir, Segments: []snapshot.Segment{b.Segments()[0].Segment}, Hidden: map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0)}}
	d := l.open(func(o *duck.Options) {
		o.Hidden = map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(2)}
		o.Added = []duck.Layer{y}
	})
	if got, want := csv(t, d, texts), "d,text\ndoc-0,asthma\ndoc-2,cough\n"; got != want {
		t.Errorf("with what was written since: %s, want %s", got, want)
	}

	l.publishNoted(map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0, 1, 2), 1: roaring.BitmapOf(0), 2: roaring.BitmapOf(0)}, 1, entityRow(0, "detect-entities", "x", "", ""))
	if got := csv(t, l.open(nil), `SELECT count(*) AS n FROM nlp_entity`); got != "n\n0\n" {
		t.Errorf("nothing is current: %s", got)
	}
}
