package search

import (
	"context"
	"slices"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
)

// Words are the texts of strings that the present state has in memory, with those that it
// does not see.
func (x *Index) Words(ctx context.Context) (texts []string, err error) {
	m, done, err := x.now(ctx, false)
	if err != nil {
		return nil, err
	}
	defer done()
	added, _ := m.db.Parts("words")
	for _, table := range added {
		rows, err := m.db.Query(ctx, "SELECT folded FROM "+table)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// Entities are the folded texts of entities that states have in memory: those of what was
// written, and those of dictionaries that were made.
func (x *Index) Entities(ctx context.Context) (texts []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.states {
		tables, err := s.db.Query(ctx, "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE NOT internal AND column_name IN ('text_folded', 'folded') AND (table_name = 'entity' OR table_name LIKE '%_texts')")
		if err != nil {
			panic(err)
		}
		var all []string
		for tables.Next() {
			var table, column string
			if err := tables.Scan(&table, &column); err != nil {
				panic(err)
			}
			where := " IS NOT NULL"
			if column == "folded" {
				where += " AND field = " + strconv.Itoa(searchdb.EntityField(search.EntityText))
			}
			all = append(all, "SELECT "+column+" FROM "+table+" WHERE "+column+where)
		}
		tables.Close()
		for _, query := range all {
			rows, err := s.db.Query(ctx, query)
			if err != nil {
				panic(err)
			}
			for rows.Next() {
				var text string
				if err := rows.Scan(&text); err != nil {
					panic(err)
				}
				texts = append(texts, text)
			}
			rows.Close()
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
