package duck_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/duck"
)

const everyKind = `SELECT * FROM (VALUES
	(1, true, 1.50::DECIMAL(38,6), 'plain', {'b': 1, 'a': [1.10::DECIMAL(38,6), NULL]}, TIMESTAMP '2026-01-02 03:04:05', 1e30::DOUBLE),
	(NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(170141183460469231731687303715884105727, false, 0, e'a "quoted", two\nlines', {'b': 2, 'a': []}, NULL, 'nan'::DOUBLE),
	(0, false, 0, '', NULL, NULL, 0)) t(n, ok, d, s, nested, ts, f)`

func write(t *testing.T, d *duck.DB, query string, f duck.Format, width int) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := d.Write(context.Background(), &b, query, f, width); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormats(t *testing.T) {
	d := newLake(t).open(nil)
	tests := []struct {
		name   string
		query  string
		format duck.Format
		width  int
		want   string
	}{
		{"csv", everyKind, duck.CSV, 0, `n,ok,d,s,nested,ts,f
1,true,1.500000,plain,"{""b"":1,""a"":[1.100000,null]}",2026-01-02 03:04:05,1e+30
,,,,,,
170141183460469231731687303715884105727,false,0.000000,"a ""quoted"", two
lines","{""b"":2,""a"":[]}",,nan
0,false,0.000000,"",,,0.0
`},
		{"ndjson", everyKind, duck.NDJSON, 0, `{"n":1,"ok":true,"d":1.500000,"s":"plain","nested":{"b":1,"a":[1.100000,null]},"ts":"2026-01-02 03:04:05","f":1e+30}
{"n":null,"ok":null,"d":null,"s":null,"nested":null,"ts":null,"f":null}
{"n":170141183460469231731687303715884105727,"ok":false,"d":0.000000,"s":"a \"quoted\", two\nlines","nested":{"b":2,"a":[]},"ts":null,"f":"nan"}
{"n":0,"ok":false,"d":0.000000,"s":"","nested":null,"ts":null,"f":0.0}
`},
		{"json", `SELECT 1 AS a UNION ALL SELECT 2`, duck.JSONText, 0, "[\n{\"a\":1},\n{\"a\":2}\n]\n"},
		{"json, no rows", `SELECT 1 AS a WHERE false`, duck.JSONText, 0, "[]\n"},
		{"ndjson, no rows", `SELECT 1 AS a WHERE false`, duck.NDJSON, 0, ""},
		{"csv, no rows", `SELECT 1 AS a WHERE false`, duck.CSV, 0, "a\n"},
		{"two columns of one name", `SELECT 1 AS a, 2 AS a`, duck.JSONText, 0, "[\n{\"a\":1,\"a_1\":2}\n]\n"},
		{"json text is kept", `SELECT '{"z":1.0,"a":2}'::JSON AS j`, duck.NDJSON, 0, `{"j":{"z":1.0,"a":2}}` + "\n"},
		{
			"table", `SELECT * FROM (VALUES (1, 'ä'), (NULL, 'two words')) t(n, word)`, duck.Table, 0,
			"┌──────┬───────────┐\n│ n    │ word      │\n├──────┼───────────┤\n│    1 │ ä         │\n│ NULL │ two words │\n└──────┴───────────┘\n2 rows\n",
		},
		{
			"table, narrow terminal", `SELECT 1 AS n, 'a rather long text' AS word`, duck.Table, 20,
			"┌───┬──────────────┐\n│ n │ word         │\n├───┼──────────────┤\n│ 1 │ a rather lo… │\n└───┴──────────────┘\n1 row\n",
		},
		{"table, no rows", `SELECT 1 AS n WHERE false`, duck.Table, 0, "┌───┐\n│ n │\n├───┤\n└───┘\n0 rows\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, write(t, d, tt.query, tt.format, tt.width)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestOrderIsKept(t *testing.T) {
	d := newLake(t).open(nil)
	lines := strings.Split(write(t, d, `SELECT i FROM range(300000) t(i) ORDER BY i DESC`, duck.CSV, 0), "\n")
	if lines[1] != "299999" || lines[150000] != "150000" || lines[300000] != "0" {
		t.Errorf("out of order: %s, %s, %s", lines[1], lines[150000], lines[300000])
	}
}

func TestParquet(t *testing.T) {
	l := patients(t)
	d := l.open(nil)
	for range 2 { // the file of the first result is gone by the second
		name := filepath.Join(t.TempDir(), "out.parquet")
		text := write(t, d, "SELECT id, meta FROM Patient ORDER BY id; -- end", duck.Parquet, 0)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var n int
		var v string
		if err := l.raw.QueryRow("SELECT count(*), max(meta.versionId) FROM '"+name+"'").Scan(&n, &v); err != nil || n != 5 || v != "2" {
			t.Errorf("read back %d rows, %q, %v", n, v, err)
		}
	}
	if _, err := d.Write(context.Background(), &bytes.Buffer{}, "SELECT * FROM Patients", duck.Parquet, 0); err == nil || !strings.Contains(err.Error(), "did you mean Patient?") {
		t.Errorf("got %v", err)
	}
}

func TestParseFormat(t *testing.T) {
	if f, err := duck.ParseFormat("CSV"); err != nil || f != duck.CSV {
		t.Errorf("%q, %v", f, err)
	}
	if _, err := duck.ParseFormat("xml"); err == nil {
		t.Error("xml is no format")
	}
}
