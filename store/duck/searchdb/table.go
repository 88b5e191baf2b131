package searchdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/fhirlake/fhirlake/store/postings"
)

// Table is a table of what one search worked out beside the index: addresses, hashes,
// texts. Drop frees it; closing the state does too.
type Table struct {
	s     *State
	table string
}

// NewTable makes a table and fills it: fill calls add with a value for each column, of
// the Go type that its ColumnType has.
func (s *State) NewTable(ctx context.Context, columns []postings.Column, fill func(add func(row ...any) error) error) (*Table, error) {
	s.d.mu.Lock()
	s.d.next++
	t := &Table{s, fmt.Sprintf("t%d", s.d.next)}
	s.d.mu.Unlock()
	var list []string
	for _, c := range columns {
		list = append(list, ident(c.Name)+" "+string(c.Type)+" NOT NULL")
	}
	if _, err := s.d.db.ExecContext(ctx, "CREATE TABLE "+t.Name()+" ("+strings.Join(list, ", ")+")"); err != nil {
		return nil, fmt.Errorf("make a table of a search: %w", err)
	}
	err := s.d.conn(ctx, func(conn driver.Conn) error {
		a, err := duckdb.NewAppender(conn, "", s.name+"_added", t.table)
		if err != nil {
			return err
		}
		row := make([]driver.Value, len(columns))
		err = fill(func(values ...any) error {
			for i, v := range values {
				row[i] = v
			}
			return a.AppendRow(row...)
		})
		return errors.Join(err, a.Close())
	})
	if err != nil {
		return nil, errors.Join(err, t.Drop())
	}
	return t, nil
}

// Name is the table in SQL.
func (t *Table) Name() string { return t.s.name + "_added." + t.table }

// Drop removes the table. No query uses it.
func (t *Table) Drop() error {
	_, err := t.s.d.db.Exec("DROP TABLE IF EXISTS " + t.Name())
	return err
}
