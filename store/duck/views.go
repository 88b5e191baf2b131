package duck

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// catalogWords are what a query has that looks at the list of tables: such a
// query gets all views.
var catalogWords = []string{"show", "information_schema", "duckdb_", "pragma_", "pg_catalog", "sqlite_", "query_table", "query"}

// viewState tells how far a view is made. The list of tables has all types, but
// the columns of a type without data cost up to 0.1 s to make, so until a query
// names it such a type has the first few alone.
type viewState uint8

const (
	absent viewState = iota
	narrow
	whole
)

// needViews makes the views that a query may use: of each type whose name
// occurs in its text as a word. A word in a string or comment makes a view for
// nothing; that costs time, never correctness.
func (d *DB) needViews(ctx context.Context, query string) error {
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(query), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
	}) {
		words[w] = true
	}
	all := false
	for _, c := range catalogWords {
		for w := range words {
			all = all || strings.HasPrefix(w, c)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	need := func(name string, hasData bool, make func(want viewState) error) error {
		want := absent
		switch {
		case words[strings.ToLower(name)] || all && hasData:
			want = whole
		case all:
			want = narrow
		}
		if d.made[name] >= want {
			return nil
		}
		if err := make(want); err != nil {
			return fmt.Errorf("make view %s: %w", name, err)
		}
		d.made[name] = want
		return nil
	}
	for _, id := range r4.ResourceTypes() {
		name := id.String()
		err := need(name, len(d.types[name]) > 0, func(want viewState) error { return d.makeView(ctx, id, name, want) })
		if err != nil {
			return err
		}
	}
	if err := need(issuesView, true, func(viewState) error { return d.makeIssuesView(ctx) }); err != nil {
		return err
	}
	return need(entitiesView, true, func(viewState) error { return d.makeEntitiesView(ctx) })
}

func (d *DB) makeView(ctx context.Context, id r4.TypeID, name string, want viewState) error {
	segments := d.types[name]
	if len(segments) == 0 {
		return d.engine.exec(ctx, "CREATE OR REPLACE VIEW "+ident(name)+" AS "+emptyView(id, want == whole))
	}
	dirty := hasGone(segments)
	if dirty {
		// The virtual column file_index is the position in the list of files.
		index := func(i int, _ *segment) string { return strconv.Itoa(i) }
		if err := d.loadBitmaps(ctx, name, "UBIGINT", segments, index); err != nil {
			return err
		}
	}
	return d.engine.exec(ctx, "CREATE OR REPLACE VIEW "+ident(name)+" AS "+viewText(name, segments, dirty))
}

// viewText is the query of a view. file_index and file_row_number are virtual
// columns of read_parquet: they can be asked for and are not in *.
func viewText(name string, segments []*segment, dirty bool) string {
	var b strings.Builder
	b.WriteString("SELECT t.* FROM read_parquet([")
	for _, s := range segments {
		b.WriteString(quote(s.path(&s.Columns)) + ",")
	}
	// Without union_by_name DuckDB drops in silence what the first file has
	// not; hive_partitioning would make columns of a path with "=" in it.
	b.WriteString("], union_by_name=true, hive_partitioning=false) AS t")
	if dirty {
		fmt.Fprintf(&b, " LEFT JOIN fhirlake.%s AS s ON s.file = t.file_index"+
			" WHERE s.file IS NULL OR get_bit(s.bits, t.file_row_number::INTEGER) = 0", ident(name))
	}
	return b.String()
}

// loadBitmaps makes the table that a view joins: for each file with superseded
// rows, one bit for each of its rows. A table with a line for each superseded
// row takes 100 times the memory and is slower where rows are many
// (docs/decisions/0013). key gives what the view knows a file by, as SQL.
func (d *DB) loadBitmaps(ctx context.Context, name, keyType string, segments []*segment, key func(int, *segment) string) error {
	table := "fhirlake." + ident(name)
	if err := d.engine.exec(ctx, "CREATE OR REPLACE TABLE "+table+" (file "+keyType+", bits BIT)"); err != nil {
		return err
	}
	for i, s := range segments {
		rows, err := d.gone(s)
		if err != nil {
			return err
		}
		if rows == nil {
			continue
		}
		text := make([]byte, s.Rows)
		for j := range text {
			text[j] = '0'
		}
		for it := rows.Iterator(); it.HasNext(); {
			text[it.Next()] = '1'
		}
		if err := d.engine.exec(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%s, '%s'::BIT)", table, key(i, s), text)); err != nil {
			return err
		}
	}
	return nil
}

// nearest finds the view that a misspelt name may mean.
func nearest(name string) string {
	name = strings.ToLower(name)
	best, at := "", 1+len(name)/3
	try := func(view string) {
		if n := distance(name, strings.ToLower(view)); n <= at {
			best, at = view, n-1
		}
	}
	for _, id := range r4.ResourceTypes() {
		try(id.String())
	}
	try(issuesView)
	try(entitiesView)
	return best
}

// distance is the number of letters to change, add or drop (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
