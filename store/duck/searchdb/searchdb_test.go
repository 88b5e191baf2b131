package searchdb_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// sample makes rows of n resources of one segment: every kind, groups shared and
// values repeated.
func sample(t testing.TB, segment uint32, n int) *postings.Rows {
	t.Helper()
	h, err := postings.NewHasher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r := &postings.Rows{}
	var v search.Values
	for i := range n {
		id := fmt.Sprintf("res-%d-%d", segment, i)
		r.AddResource(postings.Resource{
			Type: r4.TypePatient, Version: 1, At: postings.At(segment, uint32(i)), Key: h.Resource(r4.TypePatient, []byte(id)), Updated: int64(i), ID: id,
		})
		row := func(g int) search.Row {
			return search.Row{Record: int32(i), Group: search.GroupID(g + i%7*1000), Part: uint32(i % 3)}
		}
		v.Tokens = append(v.Tokens, search.Token{Row: row(1), System: v.AddString("urn:s"), Code: v.AddString(fmt.Sprint("c", i%11)), Implied: i%2 == 0})
		v.Strings = append(v.Strings, search.String{Row: row(2), Folded: v.AddString("anna"), Exact: v.AddString("Änna")})
		if i == 7 { // texts of this segment alone
			only := fmt.Sprint("only-", segment)
			v.Tokens = append(v.Tokens, search.Token{Row: row(1), Code: v.AddString(only)})
			v.Strings = append(v.Strings, search.String{Row: row(2), Folded: v.AddString(only), Exact: v.AddString(only)})
		}
		v.Dates = append(v.Dates, search.Date{Row: row(3), Range: search.Range{Start: search.Earliest, End: int64(i)}})
		v.Numbers = append(v.Numbers, search.Number{Row: row(4), Interval: search.Interval{Low: 0.5 - float64(i), High: math.Inf(1)}})
		v.Quantities = append(v.Quantities, search.Quantity{Row: row(5), Interval: search.Interval{Low: 1, High: 2}, Code: v.AddString("mg")})
		v.References = append(v.References, search.Reference{Row: row(6), Type: r4.TypePatient, ID: v.AddString(id)})
		v.URIs = append(v.URIs, search.URI{Row: row(7), Value: v.AddString("http://example.org/it's")})
	}
	r.Add(h, &v, func(i int32) (postings.Address, bool) { return postings.At(segment, uint32(i)), i != 5 })
	return r
}

func dump(t testing.TB, s *searchdb.State, query string) []string {
	t.Helper()
	rows, err := s.Query(context.Background(), strings.ReplaceAll(query, "$", s.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestIndexFileHasTheRowsOfItsRuns(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	db, err := searchdb.Open(ctx, searchdb.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	rows, err := db.NewAdded(ctx)
	if err != nil {
		t.Fatal(err)
	}
	added, err := db.NewState(ctx, nil, rows)
	if err != nil {
		t.Fatal(err)
	}
	var runs []*postings.Run
	for i := range uint32(3) {
		if err := rows.Add(ctx, sample(t, i, 400)); err != nil {
			t.Fatal(err)
		}
		r, err := postings.WriteRun(filepath.Join(dir, fmt.Sprint("run", i)), sample(t, i, 400))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	o := searchdb.BuildOptions{Path: filepath.Join(dir, "it's.duckdb"), TempDir: filepath.Join(dir, "tmp"), Threads: 2, Memory: 64 << 20}
	if err := searchdb.Build(ctx, runs, o); err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		r.Remove()
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	built, err := db.NewState(ctx, []string{o.Path})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range postings.Tables {
		query := `SELECT t::VARCHAR FROM $."` + table.Name + `" t`
		got, want := dump(t, built, query), dump(t, added, query)
		if table.Texts {
			slices.Sort(want)
			want = slices.Compact(want)
		}
		if !table.Texts && len(want) < 1000 {
			t.Fatalf("table %s: %d rows", table.Name, len(want))
		}
		keys := `SELECT row(` + strings.Join(table.Order, ",") + `)::VARCHAR FROM $."` + table.Name + `" t`
		ordered := dump(t, built, keys+` ORDER BY `+strings.Join(table.Order, ","))
		if d := cmp.Diff(ordered, dump(t, built, keys)); d != "" {
			t.Errorf("table %s is not in its order (-want +got):\n%s", table.Name, d)
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("table %s (-want +got):\n%s", table.Name, d)
		}
	}
	if got := dump(t, built, `SELECT count(*)::VARCHAR FROM $.token WHERE addr & 4294967295 = 5`); got[0] != "0" {
		t.Errorf("%s rows of records that are not stored", got[0])
	}
	more, err := db.NewAdded(ctx)
	if err != nil {
		t.Fatal(err)
	}
	both, err := db.NewState(ctx, []string{o.Path}, more)
	if err != nil {
		t.Fatal(err)
	}
	if err := more.Add(ctx, sample(t, 9, 10)); err != nil {
		t.Fatal(err)
	}
	if err := built.Close(); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, both, `SELECT count(*)::VARCHAR FROM $.resource`); got[0] != "1210" {
		t.Errorf("%s resources in a file and what was added, want 1210", got[0])
	}
	if err := both.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBuildLeavesNothingAfterAnError(t *testing.T) {
	dir := t.TempDir()
	r, err := postings.WriteRun(filepath.Join(dir, "run"), sample(t, 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.Path("token"), []byte("no Parquet"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := searchdb.BuildOptions{Path: filepath.Join(dir, "x.duckdb"), TempDir: filepath.Join(dir, "tmp")}
	if err := searchdb.Build(context.Background(), []*postings.Run{r}, o); err == nil {
		t.Fatal("a damaged run was taken")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "x.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
