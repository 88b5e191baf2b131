package searchdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/postings"
)

// BuildOptions says how to build an index file.
type BuildOptions struct {
	// Path is of the file, which must not exist. TempDir takes what does not fit
	// memory; it is made and removed.
	Path, TempDir string
	Memory        int64 // bytes; 0: 512 MiB
	Threads       int   // 0: as many as there are processors
}

// Build makes an index file of runs and syncs it. After an error nothing is left.
func Build(ctx context.Context, runs []*postings.Run, o BuildOptions) error {
	err := create(ctx, o, func(db *sql.DB, memory int64) error {
		for _, t := range postings.Tables {
			if err := buildTable(ctx, db, t, runs, memory); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("build search index: %w", err)
	}
	return nil
}

// create makes an index file, which fill fills as the database x, and syncs it. After an
// error nothing is left.
func create(ctx context.Context, o BuildOptions, fill func(db *sql.DB, memory int64) error) (err error) {
	if o.Memory <= 0 {
		o.Memory = 512 << 20
	}
	defer func() {
		os.RemoveAll(o.TempDir) // a leftover does no harm
		if err != nil {
			os.Remove(o.Path)
			os.Remove(o.Path + ".wal")
		}
	}()
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	db.SetMaxOpenConns(1) // settings of a connection are those of all statements
	if _, err := db.ExecContext(ctx, settings(o.Memory, o.Threads, o.TempDir)+"ATTACH "+Quote(o.Path)+" AS x"); err != nil {
		return err
	}
	if err := fill(db, o.Memory); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CHECKPOINT x; DETACH x"); err != nil {
		return err
	}
	return syncFile(o.Path)
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// settings are those of every DuckDB of this package: it reads and writes the files
// that it is told, and nothing is loaded.
func settings(memory int64, threads int, tempDir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SET memory_limit='%dKiB';\nSET temp_directory=%s;\n", max(memory>>10, 1), Quote(tempDir))
	if threads > 0 {
		fmt.Fprintf(&b, "SET threads=%d;\n", threads)
	}
	b.WriteString("SET autoinstall_known_extensions=false;\nSET autoload_known_extensions=false;\nSET TimeZone='UTC';\n")
	return b.String()
}

func buildTable(ctx context.Context, db *sql.DB, t *postings.Table, runs []*postings.Run, memory int64) error {
	if _, err := db.ExecContext(ctx, createTable("x."+ident(t.Name), t)); err != nil {
		return err
	}
	insert := "INSERT INTO x." + ident(t.Name) + " "
	order := " ORDER BY " + strings.Join(quoted(t.Order), ",")
	all := fromRuns(t, runs, func(r *postings.Run) bool { return r.Rows[t.Name] > 0 })
	switch {
	case all == "":
		return nil
	case t.Texts:
		return exec(ctx, db, insert+"SELECT "+distinct(t)+" "+all+" GROUP BY hash"+order)
	case !t.Grouped:
		return exec(ctx, db, insert+"SELECT * "+all+order)
	}
	for _, s := range ranges(t, runs, memory) {
		from := fromRuns(t, runs, func(r *postings.Run) bool { return s.has(r.Groups[t.Name]) })
		if err := exec(ctx, db, fmt.Sprintf("%sSELECT * %s WHERE grp BETWEEN %d AND %d%s", insert, from, s.from, s.to, order)); err != nil {
			return err
		}
	}
	return nil
}

// fromRuns is the FROM that reads a table of the runs that are wanted; "" for none. What
// DuckDB keeps of each file is not in its memory limit, so others are left out.
func fromRuns(t *postings.Table, runs []*postings.Run, wanted func(*postings.Run) bool) string {
	var files []string
	for _, r := range runs {
		if wanted(r) {
			files = append(files, Quote(r.Path(t.Name)))
		}
	}
	if len(files) == 0 {
		return ""
	}
	return "FROM read_parquet([" + strings.Join(files, ",") + "], hive_partitioning=false)"
}

func exec(ctx context.Context, db *sql.DB, text string) error {
	_, err := db.ExecContext(ctx, text)
	return err
}

// distinct is the select list that takes one row for each hash.
func distinct(t *postings.Table) string {
	var list []string
	for _, c := range t.Columns {
		if c.Name == "hash" {
			list = append(list, "hash")
			continue
		}
		list = append(list, "any_value("+ident(c.Name)+") AS "+ident(c.Name))
	}
	return strings.Join(list, ",")
}

// part is a range of value groups, with both.
type part struct{ from, to search.GroupID }

// has tells whether one of some groups is in the range.
func (p part) has(groups map[search.GroupID]int64) bool {
	for g := range groups {
		if p.from <= g && g <= p.to {
			return true
		}
	}
	return false
}

// rowMemory is what DuckDB takes to sort one row, with room to spare: a sort that
// spills costs three times one that does not (docs/decisions/0034).
const rowMemory = 100

// ranges cuts the groups into ranges that can each be sorted in memory, as far as
// groups are small enough.
func ranges(t *postings.Table, runs []*postings.Run, memory int64) []part {
	total := map[search.GroupID]int64{}
	for _, r := range runs {
		for g, n := range r.Groups[t.Name] {
			total[g] += n
		}
	}
	return cut(total, memory/rowMemory)
}

// cut cuts groups with these numbers of rows into ranges of up to limit rows, or of one
// group.
func cut(total map[search.GroupID]int64, limit int64) (parts []part) {
	rows := int64(0)
	for _, g := range slices.Sorted(maps.Keys(total)) {
		if len(parts) == 0 || rows+total[g] > limit {
			parts, rows = append(parts, part{from: g}), 0
		}
		parts[len(parts)-1].to = g
		rows += total[g]
	}
	return parts
}

func createTable(name string, t *postings.Table) string {
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, ident(c.Name)+" "+string(c.Type)+" NOT NULL")
	}
	return "CREATE TABLE " + name + " (" + strings.Join(columns, ", ") + ")"
}

func quoted(names []string) (all []string) {
	for _, n := range names {
		all = append(all, ident(n))
	}
	return all
}

// Quote makes an SQL string literal.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
