package duck_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// lake is a data store whose files DuckDB itself writes.
type lake struct {
	t     testing.TB
	store *snapshot.Store
	raw   *sql.DB
	n     int
}

func newLake(t testing.TB) *lake {
	t.Helper()
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := sql.OpenDB(c)
	t.Cleanup(func() { raw.Close() })
	// A name with = and ' in it: neither is a partition nor the end of a string.
	s, err := snapshot.Open(filepath.Join(t.TempDir(), "it's=a lake"))
	if err != nil {
		t.Fatal(err)
	}
	return &lake{t: t, store: s, raw: raw}
}

// segment is a new file: the rows of a query.
type segment struct{ resourceType, query string }

func (l *lake) publish(superseded map[uint32][]uint32, segments ...segment) {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	release()
	b := snapshot.NewBuilder(l.store.Dir(), m, func() string { l.n++; return fmt.Sprintf("u-%d", l.n) })
	l.build(b, segments)
	o := snapshot.PublishOptions{Now: time.Unix(0, 0), Superseded: map[uint32]*roaring.Bitmap{}}
	for n, rows := range superseded {
		o.Superseded[n] = roaring.BitmapOf(rows...)
	}
	if _, err := l.store.Publish(b, o); err != nil {
		l.t.Fatal(err)
	}
}

// layer makes segments that no manifest names.
func (l *lake) layer(segments ...segment) duck.Layer {
	l.t.Helper()
	dir := l.t.TempDir()
	b := snapshot.NewBuilder(dir, &snapshot.Manifest{}, func() string { l.n++; return fmt.Sprintf("u-%d", l.n) })
	l.build(b, segments)
	y := duck.Layer{Dir: dir}
	for _, s := range b.Segments() {
		y.Segments = append(y.Segments, s.Segment)
	}
	return y
}

func (l *lake) build(b *snapshot.Builder, segments []segment) {
	l.t.Helper()
	for _, in := range segments {
		s := b.Open(in.resourceType)
		b.Roll(in.resourceType)
		tmp := filepath.Join(l.t.TempDir(), "x.parquet")
		if _, err := l.raw.Exec("COPY (" + in.query + ") TO '" + tmp + "' (FORMAT parquet)"); err != nil {
			l.t.Fatal(err)
		}
		if err := l.raw.QueryRow("SELECT count(*) FROM '" + tmp + "'").Scan(&s.Rows); err != nil {
			l.t.Fatal(err)
		}
		text, err := os.ReadFile(tmp)
		if err != nil {
			l.t.Fatal(err)
		}
		for kind, text := range map[snapshot.FileKind][]byte{snapshot.ColumnsFile: text, snapshot.ResourcesFile: []byte("{}")} {
			w, err := s.Create(kind)
			if err != nil {
				l.t.Fatal(err)
			}
			w.Write(text)
			if err := w.Close(); err != nil {
				l.t.Fatal(err)
			}
		}
	}
}

func (l *lake) open(change func(*duck.Options)) *duck.DB {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	o := duck.Options{Store: l.store, Manifest: m, Threads: 2, TempDir: l.t.TempDir()}
	if change != nil {
		change(&o)
	}
	d, err := duck.Open(context.Background(), o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { d.Close(); release() })
	return d
}

// patients has three files, of which the last alone has a birthDate and a field
// of meta, and two have superseded rows.
func patients(t testing.TB) *lake {
	l := newLake(t)
	l.publish(nil,
		segment{"Patient", `SELECT 'Patient' AS "resourceType", 'pat-' || i AS id, {'versionId': '1'} AS meta, i % 2 = 0 AS active FROM range(5) t(i)`},
		segment{"Observation", `SELECT 'Observation' AS "resourceType", 'obs-' || i AS id, {'value': i::VARCHAR, 'value__decimal': (i * 1.5)::DECIMAL(38,6)} AS "valueQuantity" FROM range(3) t(i)`},
		segment{"Group", `SELECT 'Group' AS "resourceType", 'grp-1' AS id`})
	l.publish(map[uint32][]uint32{0: {1, 3}, 3: {0}},
		segment{"Patient", `SELECT 'Patient' AS "resourceType", 'pat-' || i AS id, {'versionId': '2'} AS meta FROM range(2) t(i)`},
		segment{"Patient", `SELECT 'Patient' AS "resourceType", 'pat-3' AS id, {'versionId': '2', 'source': 'http://example.org'} AS meta, '1980-02-03' AS "birthDate"`})
	return l
}

func csv(t testing.TB, d *duck.DB, query string) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := d.Write(context.Background(), &b, query, duck.CSV, 0); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return b.String()
}

func TestViews(t *testing.T) {
	d := patients(t).open(nil)
	tests := []struct{ name, query, want string }{
		{"current rows", `SELECT id, meta.versionId v FROM Patient ORDER BY id`, "id,v\npat-0,1\npat-1,2\npat-2,1\npat-3,2\npat-4,1\n"},
		{"count", `SELECT count(*) AS n FROM Patient;`, "n\n5\n"},
		{"a column of the last file alone", `SELECT id, "birthDate" FROM Patient WHERE "birthDate" IS NOT NULL`, "id,birthDate\npat-3,1980-02-03\n"},
		{"a struct field of the last file alone", `SELECT id, meta.source s FROM Patient WHERE meta.source IS NOT NULL`, "id,s\npat-3,http://example.org\n"},
		{"no bookkeeping columns", `SELECT column_name AS c FROM (DESCRIBE Patient)`, "c\nresourceType\nid\nmeta\nactive\nbirthDate\n"},
		{"a word of SQL", `SELECT id FROM "Group"`, "id\ngrp-1\n"},
		{"any case", `select ID from patient where id = 'pat-0'`, "id\npat-0\n"},
		{"no data", `SELECT count(*) AS n FROM Encounter WHERE subject.reference__id = 'x' AND period.start__start > now()`, "n\n0\n"},
		{"no data, deep", `SELECT item[1].adjudication[1].amount.value__decimal AS x FROM ExplanationOfBenefit`, "x\n"},
		{"join", `SELECT count(*) AS n FROM Patient p, Observation o`, "n\n15\n"},
		{"explicit time zone", `SELECT current_setting('TimeZone') AS z`, "z\nUTC\n"},
		{"tables", `SELECT count(*) AS n FROM (SHOW TABLES)`, "n\n148\n"},
		{"no data, after the list of tables", `SELECT status FROM Encounter e, (SHOW TABLES) LIMIT 0`, "status\n"},
		{"columns of all", `SELECT count(*) > 290 AS n FROM information_schema.columns`, "n\ntrue\n"},
		{"summarize", `SELECT column_name AS c FROM (SUMMARIZE Observation) LIMIT 1`, "c\nresourceType\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, csv(t, d, tt.query)); d != "" {
				t.Errorf("%s (-want +got):\n%s", tt.query, d)
			}
		})
	}
}

// TestViewsShowWhatWasWrittenSince lays over a snapshot rows to hide and files to add,
// one of a type that the snapshot does not have.
func TestViewsShowWhatWasWrittenSince(t *testing.T) {
	l := patients(t)
	older := l.layer(
		segment{"Patient", `SELECT 'Patient' AS "resourceType", 'pat-' || i AS id, {'versionId': '2'} AS meta FROM range(2) t(i)`},
		segment{"Account", `SELECT 'Account' AS "resourceType", 'acc-1' AS id`})
	older.Hidden = map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0), 1: roaring.BitmapOf(0)}
	newer := l.layer(
		segment{"Patient", `SELECT 'Patient' AS "resourceType", 'pat-0' AS id, {'versionId': '3'} AS meta, 'de' AS language`},
		segment{"Device", `SELECT 'Device' AS "resourceType", 'dev-1' AS id`})
	d := l.open(func(o *duck.Options) {
		o.Hidden = map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0), 1: roaring.BitmapOf(0, 2), 3: roaring.BitmapOf(1)}
		o.Added = []duck.Layer{older, newer}
	})
	for query, want := range map[string]string{
		`SELECT id, meta.versionId v, language FROM Patient ORDER BY id`: "id,v,language\npat-0,3,de\npat-1,2,\npat-2,1,\npat-3,2,\npat-4,1,\n",
		`SELECT id FROM Observation`:                                     "id\nobs-1\n",
		`SELECT id FROM Device`:                                          "id\ndev-1\n",
		`SELECT count(*) AS n FROM Account WHERE status = 'active'`:      "n\n0\n",
	} {
		if diff := cmp.Diff(want, csv(t, d, query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	bad := l.open(func(o *duck.Options) { o.Hidden = map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(99)} })
	if _, err := bad.Write(context.Background(), &bytes.Buffer{}, `SELECT id FROM Patient`, duck.CSV, 0); err == nil {
		t.Error("a row that is not there was hidden")
	}
}

func TestViewsOfAnEmptyStore(t *testing.T) {
	d := newLake(t).open(nil)
	if got := csv(t, d, `SELECT count(*) AS n, max(meta.lastUpdated) AS m FROM Patient`); got != "n,m\n0,\n" {
		t.Errorf("got %q", got)
	}
	if got := csv(t, d, `SELECT count(*) AS n FROM (SHOW TABLES)`); got != "n\n148\n" {
		t.Errorf("got %q", got)
	}
}

func TestStatements(t *testing.T) {
	d := patients(t).open(nil)
	good := []string{
		`FROM Patient`, `VALUES (1), (2)`, `WITH p AS (FROM Patient) SELECT * FROM p`, `DESCRIBE Patient`, `SHOW TABLES`,
		`SUMMARIZE Patient`, `EXPLAIN SELECT * FROM Patient`, `explain analyze FROM Patient`, `TABLE Patient`,
		"SELECT ';' AS s; -- one; two\n ;", "/* c; */ SELECT 1 -- end", `PIVOT Patient ON active IN (true, false) USING count(*)`,
		`SELECT list_transform([1, 2], lambda x: x + 1) AS l`, `(SELECT 1) UNION ALL (SELECT 2)`,
	}
	for _, q := range good {
		if _, err := d.Write(context.Background(), &bytes.Buffer{}, q, duck.NDJSON, 0); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	bad := []struct{ query, want string }{
		{``, "the query is empty"},
		{`-- nothing`, "the query is empty"},
		{`SELECT 1; SELECT 2`, "2 statements where one is expected; run them one by one"},
		{`SELEC 1`, `syntax error at or near "SELEC"`},
		{"SELECT\n1 +", `(line 2)`},
		{`SELECT * FROM Group`, `the resource type is written "Group", with its quotes`},
		{`SELECT id FROM Patient JOIN Binary ON true WHERE true`, `the resource type is written "Binary", with its quotes`},
		{"SELECT 1,\n nothere FROM Patient", `Referenced column "nothere" not found`},
		{`SELECT * FROM Patients`, "there is no table Patients; did you mean Patient?"},
		{`SELECT * FROM obsrvation`, "did you mean Observation?"},
		{`SELECT * FROM zzzzzz`, "tables are named as the resource types"},
		{`SELECT 1::INTEGER + 'x'::INTEGER`, "Could not convert string 'x'"},
		{`DROP VIEW Patient`, "only queries"},
		{`EXPLAIN ANALYZE COPY (SELECT 1) TO 'x'`, "only queries"},
	}
	for _, tt := range bad {
		_, err := d.Write(context.Background(), &bytes.Buffer{}, tt.query, duck.NDJSON, 0)
		var user *duck.Error
		if !errors.As(err, &user) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.query, err, tt.want)
		}
	}
}

func TestSandbox(t *testing.T) {
	l := patients(t)
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("a,b\n1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := l.open(nil)
	m, release, err := l.store.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	inside := strings.ReplaceAll(l.store.Path(&m.Segments[0].Columns), "'", "''")
	out := strings.ReplaceAll(filepath.Join(filepath.Dir(secret), "out.csv"), "'", "''")
	queries := []string{
		`SELECT * FROM read_csv('/etc/passwd')`,
		`SELECT * FROM read_text('/etc/passwd')`,
		`SELECT * FROM '` + secret + `'`,
		`SELECT * FROM read_csv('` + secret + `')`,
		`SELECT * FROM read_blob('` + filepath.Dir(secret) + `/*')`,
		`SELECT * FROM glob('/etc/*')`,
		`SELECT * FROM parquet_metadata('/etc/passwd')`,
		`SELECT * FROM sniff_csv('` + secret + `')`,
		`SELECT * FROM read_parquet('https://example.org/x.parquet')`,
		`SELECT * FROM read_parquet('s3://bucket/x.parquet')`,
		`SELECT * FROM query('COPY (SELECT 1) TO ''` + out + `''')`,
		`SELECT * FROM json_execute_serialized_sql('x')`,
		`SELECT * FROM read_duckdb('x.db')`,
		`SELECT getenv('HOME')`,
		`COPY (SELECT 1) TO '` + out + `'`,
		`COPY (SELECT 1) TO '` + inside + `' (FORMAT parquet, USE_TMP_FILE false)`,
		`EXPLAIN ANALYZE COPY (SELECT 1) TO '` + inside + `' (FORMAT parquet, USE_TMP_FILE false)`,
		`EXPLAIN (FORMAT json) COPY (SELECT 1) TO '` + inside + `' (FORMAT parquet, USE_TMP_FILE false)`,
		`SELECT 1; COPY (SELECT 1) TO '` + inside + `' (FORMAT parquet, USE_TMP_FILE false)`,
		`WITH x AS (COPY (SELECT 1) TO '` + inside + `') SELECT 1`,
		`EXPORT DATABASE '` + out + `'`,
		`IMPORT DATABASE '` + out + `'`,
		`ATTACH '` + out + `'`,
		`INSTALL httpfs`, `LOAD httpfs`, `CALL pragma_version()`, `PRAGMA version`,
		`SET memory_limit = '100GB'`, `SET enable_external_access = true`, `RESET memory_limit`,
		`CREATE TABLE x AS SELECT 1`, `CREATE OR REPLACE VIEW Patient AS SELECT 1`, `DELETE FROM fhirlake."Patient"`,
		`INSERT INTO fhirlake."Patient" VALUES (0, '1')`, `CHECKPOINT`, `BEGIN`, `PREPARE x AS SELECT 1`, `EXECUTE x`,
		`CREATE SECRET (TYPE s3)`, `CREATE MACRO f() AS 1`, `USE fhirlake`, `VACUUM`,
	}
	for _, q := range queries {
		var b bytes.Buffer
		if n, err := d.Write(context.Background(), &b, q, duck.CSV, 0); err == nil {
			t.Errorf("%s: %d rows: %s", q, n, b.String())
		}
	}
	for i := range m.Segments {
		if err := l.store.Verify(&m.Segments[i].Columns); err != nil {
			t.Errorf("a data file changed: %v", err)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written outside")
	}
	if got := csv(t, d, `SELECT count(*) AS n FROM Patient`); got != "n\n5\n" {
		t.Errorf("after all that: %q", got)
	}
}

func TestLimits(t *testing.T) {
	d := newLake(t).open(func(o *duck.Options) { o.Timeout = 200 * time.Millisecond; o.MemoryLimit = 32 << 20; o.TempDir = "" })
	_, err := d.Write(context.Background(), &bytes.Buffer{}, `SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 7 = 3`, duck.CSV, 0)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timeout: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Write(ctx, &bytes.Buffer{}, `SELECT 1`, duck.CSV, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	d = newLake(t).open(func(o *duck.Options) { o.MemoryLimit = 16 << 20; o.TempDir = "" })
	_, err = d.Write(context.Background(), &bytes.Buffer{}, `SELECT count(*) FROM (SELECT i, hash(i) h FROM range(5000000) t(i) ORDER BY h LIMIT 4000000)`, duck.CSV, 0)
	if err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("memory: %v", err)
	}
}

func TestConcurrentQueries(t *testing.T) {
	d := patients(t).open(nil)
	done := make(chan error)
	for i := range 8 {
		go func() {
			q := []string{`SELECT count(*) FROM Patient`, `SELECT count(*) FROM Observation`, `SHOW TABLES`, `FROM Encounter`}[i%4]
			_, err := d.Write(context.Background(), &bytes.Buffer{}, q, duck.CSV, 0)
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestOpenDamagedBitmap(t *testing.T) {
	l := patients(t)
	m, release, err := l.store.Current()
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := os.WriteFile(l.store.Path(m.Segments[0].Superseded), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := l.open(nil)
	if _, err := d.Query(context.Background(), `FROM Patient`); err == nil {
		t.Error("superseded rows would be shown")
	}
}
