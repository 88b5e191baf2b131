package duck

import (
	"context"
	"database/sql"
	"fmt"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// Plain is a DuckDB as its own users have it: no views, no sandbox, default
// settings. Benchmarks compare with it; nothing else uses it.
type Plain struct{ db *sql.DB }

// OpenPlain starts an in-memory DuckDB with default settings.
func OpenPlain(ctx context.Context) (*Plain, error) {
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	p := &Plain{db: sql.OpenDB(c)}
	if err := p.db.PingContext(ctx); err != nil {
		p.db.Close()
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	return p, nil
}

// Exec runs statements and gives the number of rows that the last one changed
// or wrote.
func (p *Plain) Exec(ctx context.Context, statements string) (int64, error) {
	r, err := p.db.ExecContext(ctx, statements)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Close frees DuckDB's memory.
func (p *Plain) Close() error { return p.db.Close() }

// Quote makes a string literal of SQL.
func Quote(s string) string { return quote(s) }
