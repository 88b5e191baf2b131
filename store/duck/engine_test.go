package duck_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/store/duck"
)

// TestResultsAreStreamed takes the first rows of a result that no memory can hold.
func TestResultsAreStreamed(t *testing.T) {
	d := newLake(t).open(func(o *duck.Options) { o.MemoryLimit = 64 << 20 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := d.Query(ctx, `SELECT range AS i, repeat('x', 100) AS x FROM range(1000000000000)`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		if row := rows.Next(); row == nil || row[0].Text != fmt.Sprint(i) || len(row[1].Text) != 100 {
			t.Fatalf("row %d is %v", i, row)
		}
	}
	cancel()
	for rows.Next() != nil { // what DuckDB has ready
	}
	if err := rows.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle: %v", err)
	}
	if err := rows.Close(); err != nil || rows.Next() != nil {
		t.Errorf("closed twice: %v", err)
	}

	left, err := d.Query(t.Context(), `SELECT range FROM range(1000000000000)`)
	if err != nil {
		t.Fatal(err)
	}
	left.Next()
	if err := left.Close(); err != nil {
		t.Errorf("left in the middle: %v", err)
	}
	if got := csv(t, d, `SELECT 1 AS n`); got != "n\n1\n" {
		t.Errorf("the next query: %q", got)
	}
}

func TestAnErrorInTheMiddleOfAResult(t *testing.T) {
	d := newLake(t).open(nil)
	rows, err := d.Query(t.Context(), `SELECT CASE WHEN range = 900000 THEN error('too far') ELSE 'good' END AS v FROM range(1000000)`)
	n := 0
	if err == nil {
		for rows.Next() != nil {
			n++
		}
		err = rows.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "too far") {
		t.Errorf("after %d rows: %v", n, err)
	}
}

// TestTextsOfAllLengths crosses the length up to which DuckDB keeps a text in place, and
// the sizes of its chunks and bit masks.
func TestTextsOfAllLengths(t *testing.T) {
	d := newLake(t).open(nil)
	rows, err := d.Query(t.Context(), `SELECT CASE WHEN range % 7 = 3 THEN NULL ELSE repeat('ä', range % 40) END AS v FROM range(5000)`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		row := rows.Next()
		if row == nil {
			t.Fatalf("%d rows", i)
		}
		want := duck.Value{Text: strings.Repeat("ä", i%40)}
		if i%7 == 3 {
			want = duck.Value{Null: true}
		}
		if row[0] != want {
			t.Fatalf("row %d is %+v, want %+v", i, row[0], want)
		}
	}
	if row := rows.Next(); row != nil {
		t.Errorf("one more row: %v", row)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

func TestAQueryWithNUL(t *testing.T) {
	d := newLake(t).open(nil)
	var user *duck.Error
	if _, err := d.Query(t.Context(), "SELECT 1 \x00 ; DROP VIEW x"); !errors.As(err, &user) {
		t.Errorf("got %v, want the author's fault", err)
	}
}

// TestSettingsHoldForAllConnections has more connections than one at a time.
func TestSettingsHoldForAllConnections(t *testing.T) {
	d := newLake(t).open(nil)
	const query = `SELECT current_setting('TimeZone') AS z, current_setting('lock_configuration') AS l, current_setting('enable_external_access') AS e, current_setting('parquet_metadata_cache') AS c`
	var open []*duck.Rows
	for range 4 {
		r, err := d.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	for _, r := range open {
		if row := fmt.Sprint(r.Next()); row != "[{UTC false} {true false} {false false} {true false}]" {
			t.Errorf("got %s", row)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
