package duck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/duck"
)

// readArrow gives the JSON of all rows of a stream, and its schema.
func readArrow(t *testing.T, stream []byte) (rows []string, schema string) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for _, f := range r.Schema().Fields() {
		schema += f.Name + " " + f.Type.String() + "\n"
	}
	for r.Next() {
		text, err := r.RecordBatch().MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var some []json.RawMessage
		if err := json.Unmarshal(text, &some); err != nil {
			t.Fatal(err)
		}
		for _, row := range some {
			rows = append(rows, string(row))
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return rows, schema
}

func TestArrowHasTheTypesOfDuckDB(t *testing.T) {
	d := newLake(t).open(nil)
	stream := write(t, d, `SELECT 1::INTEGER AS i, 'ü' AS "name with ""quotes""", NULL::DOUBLE AS x, 1.50::DECIMAL(10,2) AS d,
		[{'a': 1, 'b': ['x', NULL]}] AS nested, TIMESTAMP '2026-01-02 03:04:05' AS at, true AS yes`, duck.Arrow, 0)
	rows, schema := readArrow(t, []byte(stream))
	wantSchema := "i int32\nname with \"quotes\" utf8\nx float64\nd decimal(10, 2)\n" +
		"nested list<l: struct<a: int32 nullable, b: list<l: utf8, nullable> nullable>, nullable>\nat timestamp[us]\nyes bool\n"
	if diff := cmp.Diff(wantSchema, schema); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	if len(rows) != 1 || !strings.Contains(rows[0], `"nested":[{"a":1,"b":["x",null]}]`) {
		t.Errorf("rows: %s", rows)
	}
}

func TestArrowOfManyAndOfNoRows(t *testing.T) {
	d := newLake(t).open(nil)
	for query, want := range map[string]int{"FROM range(10000)": 10000, "FROM range(10) WHERE range > 10": 0} {
		rows, schema := readArrow(t, []byte(write(t, d, query, duck.Arrow, 0)))
		if len(rows) != want || schema != "range int64\n" {
			t.Errorf("%s: %d rows, want %d; schema %s", query, len(rows), want, schema)
		}
	}
}

func TestErrorsOfArrow(t *testing.T) {
	d := newLake(t).open(nil)
	for query, want := range map[string]string{
		"SELECT * FROM Patients": "there is no table Patients",
		"DROP TABLE x":           "only queries can be run here",
		"SELECT CAST('x' || range AS INTEGER) FROM range(5000)": "Could not convert string",
	} {
		var out bytes.Buffer
		_, err := d.Write(context.Background(), &out, query, duck.Arrow, 0)
		var e *duck.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	if _, err := d.Write(context.Background(), broken{}, "FROM range(100000)", duck.Arrow, 0); !errors.Is(err, errBroken) {
		t.Errorf("a writer that fails: %v", err)
	}
}

var errBroken = errors.New("nobody reads")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
