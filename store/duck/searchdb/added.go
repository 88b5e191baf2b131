package searchdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/fhirlake/fhirlake/store/postings"
)

// Added is rows in memory, which states share: it lives until it is closed and no state
// has it. It is safe for concurrent use.
type Added struct {
	d      *DB
	name   string     // the schema of its tables
	users  int        // guarded by DB.mu
	append sync.Mutex // one at a time, so that rows of one call come together
}

// NewAdded makes one without rows.
func (d *DB) NewAdded(ctx context.Context) (*Added, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next++
	a := &Added{d: d, name: fmt.Sprintf("a%d", d.next), users: 1}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE SCHEMA %s;\n", a.name)
	for _, t := range postings.Tables {
		b.WriteString(createTable(a.name+"."+ident(t.Name), t) + ";\n")
	}
	b.WriteString(createEntities(a.name))
	if _, err := d.db.ExecContext(ctx, b.String()); err != nil {
		return nil, errors.Join(fmt.Errorf("open search index: %w", err), d.release(a))
	}
	return a, nil
}

// Close says that its maker needs it no more, once.
func (a *Added) Close() error {
	a.d.mu.Lock()
	defer a.d.mu.Unlock()
	return a.d.release(a)
}

// release frees the rows when nobody has them. The caller holds mu.
func (d *DB) release(a *Added) error {
	if a.users--; a.users > 0 {
		return nil
	}
	_, err := d.db.Exec("DROP SCHEMA IF EXISTS " + a.name + " CASCADE")
	return err
}

// Add adds rows. After an error some may be there: it is of no more use.
func (a *Added) Add(ctx context.Context, r *postings.Rows) error {
	a.append.Lock()
	defer a.append.Unlock()
	err := a.d.conn(ctx, func(conn driver.Conn) error {
		// Resources come last: a row of a value whose resource is not there is
		// not found.
		for _, t := range slices.Backward(postings.Tables) {
			if err := a.addTable(conn, t, r); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add to search index: %w", err)
	}
	return nil
}

func (a *Added) addTable(conn driver.Conn, t *postings.Table, r *postings.Rows) error {
	n := t.Rows(r)
	if n == 0 {
		return nil
	}
	to, err := duckdb.NewAppender(conn, "", a.name, t.Name)
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(t.Columns))
	for i := range n {
		for c := range t.Columns {
			bits, text := t.Value(r, i, c)
			row[c] = driverValue(t.Columns[c].Type, bits, text)
		}
		if err := to.AppendRow(row...); err != nil {
			return errors.Join(err, to.Close())
		}
	}
	return to.Close()
}

func driverValue(t postings.ColumnType, bits uint64, text string) driver.Value {
	switch t {
	case postings.Bool:
		return bits != 0
	case postings.Uint32:
		return uint32(bits)
	case postings.Uint64:
		return bits
	case postings.Int64:
		return int64(bits)
	case postings.Float:
		return math.Float64frombits(bits)
	}
	return text
}
