package searchdb_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// entitiesFile makes an entities file with the columns that searches look at.
func entitiesFile(t *testing.T, rows ...string) string {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	path := filepath.Join(t.TempDir(), "it's.entities.parquet")
	_, err = db.Exec(`COPY (SELECT * FROM (VALUES ` + strings.Join(rows, ",") +
		`) v("row", operation, category, type, text, score, code, description, concept_score)) TO ` + searchdb.Quote(path) + " (FORMAT parquet)")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func openDB(t *testing.T) *searchdb.DB {
	t.Helper()
	db, err := searchdb.Open(t.Context(), searchdb.Options{TempDir: t.TempDir(), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// answers gives the rows of a query, as texts.
func answers(t *testing.T, s *searchdb.State, query string) (all []string) {
	t.Helper()
	rows, err := s.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintln(row...)))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// TestDictionaryHasEachTextOnce: it has the texts of each column with their folded forms,
// whoever asks first, and goes with the last state that asked.
func TestDictionaryHasEachTextOnce(t *testing.T) {
	path := entitiesFile(t,
		"(0, 'status', NULL, 'SUCCESS', NULL, NULL, NULL, NULL, NULL)",
		"(0, 'detect-entities', 'MEDICATION', 'BRAND_NAME', 'Été''s', 0.9, NULL, NULL, NULL)",
		"(0, 'infer-rxnorm', 'MEDICATION', 'BRAND_NAME', 'Été''s', 0.9, 'J02.0', 'Sore throat', 0.7)",
		"(3, 'infer-rxnorm', 'MEDICATION', 'BRAND_NAME', 'été''s', 0.9, 'J02.0', 'Sore throat', 0.7)")
	db := openDB(t)
	one, err := db.NewState(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := db.NewState(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	table, err := one.Dictionary(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if again, err := other.Dictionary(t.Context(), path); err != nil || again != table {
			t.Fatalf("another dictionary %s: %v", again, err)
		}
	}
	rows, err := one.EntityFile(t.Context(), path)
	if again, e := other.EntityFile(t.Context(), path); err != nil || e != nil || again != rows {
		t.Fatalf("rows are %s and %s: %v, %v", rows, again, err, e)
	}
	if got := answers(t, one, `SELECT "row" FROM `+rows); len(got) != 4 {
		t.Errorf("%d rows", len(got))
	}
	query := "SELECT field, value, folded FROM " + table
	want := []string{
		fmt.Sprint(searchdb.EntityField(search.EntityCategory), " MEDICATION medication"),
		fmt.Sprint(searchdb.EntityField(search.EntityType), " BRAND_NAME brand name"),
		fmt.Sprint(searchdb.EntityField(search.EntityType), " SUCCESS success"),
		fmt.Sprint(searchdb.EntityField(search.EntityText), " Été's etes"),
		fmt.Sprint(searchdb.EntityField(search.EntityText), " été's etes"),
		fmt.Sprint(searchdb.EntityField(search.EntityConceptCode), " J02.0 j020"),
		fmt.Sprint(searchdb.EntityField(search.EntityConceptDescription), " Sore throat sore throat"),
	}
	slices.Sort(want)
	if d := cmp.Diff(want, answers(t, one, query)); d != "" {
		t.Error(d)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, answers(t, other, query)); d != "" {
		t.Errorf("after one of two states is closed: %s", d)
	}
	last, err := db.NewState(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{query, "SELECT * FROM " + rows} {
		if _, err := last.Query(t.Context(), query); err == nil {
			t.Errorf("%s outlives its states", query)
		}
	}
}

// TestDictionaryIsMadeAfterAFailure: what fails once, because its time was over or its file
// was not there, is tried again.
func TestDictionaryIsMadeAfterAFailure(t *testing.T) {
	path := entitiesFile(t, "(0, 'status', NULL, 'SUCCESS', NULL, NULL, NULL, NULL, NULL)")
	s, err := openDB(t).NewState(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Dictionary(over, path); err == nil {
		t.Error("a dictionary is made without time")
	}
	table, err := s.Dictionary(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if got := answers(t, s, "SELECT value FROM "+table); len(got) != 1 {
		t.Errorf("the dictionary has %q", got)
	}
	if _, err := s.Dictionary(t.Context(), path+".gone"); err == nil {
		t.Error("a file that is not there has a dictionary")
	}
	if _, err := s.EntityFile(t.Context(), path+".gone"); err == nil {
		t.Error("a file that is not there has rows")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestEntitiesOfWhatWasWritten: rows are as an entities file has them, with folded texts;
// what is empty is null.
func TestEntitiesOfWhatWasWritten(t *testing.T) {
	db := openDB(t)
	added, err := db.NewAdded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.NewState(t.Context(), nil, added)
	if err != nil {
		t.Fatal(err)
	}
	var r entity.Reader
	var rows searchdb.EntityRows
	for i, text := range []string{
		`{"engine":"1","dictionary":"2","texts":[{"path":"content[0].attachment","status":"SUCCESS","entities":[
			{"text":"Sore throat","beginOffset":0,"endOffset":11,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.97,
				"icd10cm":[{"code":"J02.9","description":"Acute pharyngitis","score":0.91},{"code":"J02.0","score":0.85}]},
			{"text":"aspirin","beginOffset":20,"endOffset":27,"category":"MEDICATION","type":"GENERIC_NAME","score":0.9}]}]}`,
		`{"engine":"1","dictionary":"2","texts":[{"path":"content[0].attachment","status":"UNSUPPORTED","message":"it is an image"}]}`,
	} {
		result, err := r.Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rows.Add(postings.At(7, uint32(i)), result)
	}
	if rows.Len() != 6 {
		t.Errorf("%d rows", rows.Len())
	}
	if err := added.AddEntities(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	if rows.Reset(); rows.Len() != 0 {
		t.Errorf("%d rows after Reset", rows.Len())
	}
	if err := added.AddEntities(t.Context(), &rows); err != nil { // of nothing
		t.Fatal(err)
	}
	tables := s.Entities()
	if len(tables) != 1 {
		t.Fatalf("tables %q", tables)
	}
	want := []string{
		"0 detect-entities MEDICAL_CONDITION DX_NAME dx name Sore throat sore throat - - 0.97 -",
		"0 detect-entities MEDICATION GENERIC_NAME generic name aspirin aspirin - - 0.9 -",
		"0 infer-icd10 MEDICAL_CONDITION DX_NAME dx name Sore throat sore throat J02.0 - 0.97 0.85",
		"0 infer-icd10 MEDICAL_CONDITION DX_NAME dx name Sore throat sore throat J02.9 acute pharyngitis 0.97 0.91",
		"0 status - SUCCESS success - - - - - -",
		"1 status - UNSUPPORTED unsupported - - - - - -",
	}
	got := answers(t, s, "SELECT concat_ws(' ', addr & 4294967295, operation, "+strings.Join([]string{
		"ifnull(category, '-')", "ifnull(type, '-')", "ifnull(type_folded, '-')", "ifnull(text, '-')", "ifnull(text_folded, '-')",
		"ifnull(code, '-')", "ifnull(description_folded, '-')", "ifnull(score::VARCHAR, '-')", "ifnull(concept_score::VARCHAR, '-')",
	}, ", ")+") FROM "+tables[0])
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
