package searchdb_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// TestQueriesBesideRowsThatAreAdded: a query that runs while rows are added gives a set
// of rows that was there at one moment, whatever its plan makes of the statistics of a table.
func TestQueriesBesideRowsThatAreAdded(t *testing.T) {
	ctx := context.Background()
	db, err := searchdb.Open(ctx, searchdb.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for range 10 {
		added, err := db.NewAdded(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s, err := db.NewState(ctx, nil, added)
		if err != nil {
			t.Fatal(err)
		}
		const step, steps, bound = 3, 60, 20
		end := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			defer close(end)
			for n := range steps {
				var r postings.Rows
				for i := range step {
					n := uint32(n*step + i)
					r.AddResource(postings.Resource{Type: r4.TypePatient, Version: 1, At: postings.At(7, n), Key: uint64(n), ID: fmt.Sprint(n)})
				}
				if err := added.Add(ctx, &r); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for name, query := range map[string]string{
			// Each group of a small range has its place in a table of that size.
			"group": "SELECT count(*) FROM (SELECT addr, min(id) FROM " + s.Schema() + ".resource GROUP BY addr)",
			// A condition that is true for all rows is dropped.
			"bound": fmt.Sprintf("SELECT count(*) FROM (SELECT DISTINCT addr FROM %s.resource WHERE key < %d)", s.Schema(), step*bound),
		} {
			all.Go(func() {
				last := 0
				for {
					n, err := count(ctx, s, query)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					if n < last || n%step != 0 || name == "bound" && n > step*bound {
						t.Errorf("%s: %d rows, after %d", name, n, last)
					}
					last = n
					select {
					case <-end:
						return
					default:
					}
				}
			})
		}
		all.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := added.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// count gives the number that is the result of a query.
func count(ctx context.Context, s *searchdb.State, query string) (n int, err error) {
	rows, err := s.Query(ctx, query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}
