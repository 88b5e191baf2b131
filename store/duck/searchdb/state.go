package searchdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/fhirlake/fhirlake/store/postings"
)

// Options says how to open a DB.
type Options struct {
	Memory  int64  // bytes; 0: 512 MiB
	TempDir string // takes what does not fit; "" lets such a query fail
	Threads int    // 0: as many as there are processors
}

// DB is the DuckDB of one data store's search: it has the states that are in use, and the rows that
// they share. It
// is safe for concurrent use.
type DB struct {
	db *sql.DB

	mu       sync.Mutex
	files    map[string]*attached   // by path
	entities map[string]*entityFile // by path
	next     int                    // number of the next file, state or table
}

// attached is an index file.
type attached struct {
	name  string // in SQL
	users int
}

// Open starts a DuckDB without any index.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Memory <= 0 {
		o.Memory = 512 << 20
	}
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open search database: %w", err)
	}
	d := &DB{db: sql.OpenDB(c), files: map[string]*attached{}, entities: map[string]*entityFile{}}
	// What is read of entities files stays in no cache of DuckDB's: the system has one, and what
	// is erased is to leave the memory.
	if _, err := d.db.ExecContext(ctx, settings(o.Memory, o.Threads, o.TempDir)+"SET enable_external_file_cache=false;"); err != nil {
		return nil, errors.Join(fmt.Errorf("open search database: %w", err), d.db.Close())
	}
	return d, nil
}

// Close ends all queries. States that are still open are gone.
func (d *DB) Close() error { return d.db.Close() }

// State is a set of index files and of rows in memory, as tables of SQL: a table T of
// postings.Tables is <Schema>.T. Rows may be added while queries run; a query sees what was
// added before it began. It is safe for concurrent use.
type State struct {
	d      *DB
	name   string
	files  []string // paths
	parts  []string // their names in SQL
	added  []*Added
	append sync.Mutex // of dead addresses, one call at a time

	entities []string // paths of the entities files that it looks into; guarded by DB.mu
}

// NewState makes a state of index files and of what was added and will be.
func (d *DB) NewState(ctx context.Context, files []string, added ...*Added) (*State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next++
	s := &State{d: d, name: fmt.Sprintf("s%d", d.next)}
	err := d.makeState(ctx, s, files, added)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open search index: %w", err), d.drop(s))
	}
	return s, nil
}

func (d *DB) makeState(ctx context.Context, s *State, files []string, added []*Added) error {
	var names []string
	for _, path := range files {
		f := d.files[path]
		if f == nil {
			d.next++
			f = &attached{name: fmt.Sprintf("f%d", d.next)}
			if _, err := d.db.ExecContext(ctx, "ATTACH "+Quote(path)+" AS "+f.name+" (READ_ONLY)"); err != nil {
				return err
			}
			d.files[path] = f
		}
		f.users++
		s.files = append(s.files, path)
		names = append(names, f.name)
	}
	s.parts = names
	for _, a := range added {
		a.users++
		s.added = append(s.added, a)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE SCHEMA %s; CREATE SCHEMA %s_added;\n", s.name, s.name)
	fmt.Fprintf(&b, "CREATE TABLE %s (addr UBIGINT NOT NULL, change UINTEGER NOT NULL);\n", s.Dead())
	for _, t := range postings.Tables {
		var from []string
		for _, a := range added {
			from = append(from, "SELECT * FROM "+a.name+"."+ident(t.Name))
		}
		for _, n := range names {
			from = append(from, "SELECT * FROM "+n+".main."+ident(t.Name))
		}
		if len(from) == 0 {
			b.WriteString(createTable(s.name+"."+ident(t.Name), t) + ";\n")
			continue
		}
		fmt.Fprintf(&b, "CREATE VIEW %s.%s AS %s;\n", s.name, ident(t.Name), strings.Join(from, " UNION ALL "))
	}
	_, err := d.db.ExecContext(ctx, b.String())
	return err
}

// Close lets the state's files and rows go. No query runs in it.
func (s *State) Close() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.d.drop(s)
}

func (d *DB) drop(s *State) error {
	_, err := d.db.Exec(fmt.Sprintf("DROP SCHEMA IF EXISTS %s CASCADE; DROP SCHEMA IF EXISTS %s_added CASCADE", s.name, s.name))
	for _, path := range s.files {
		f := d.files[path]
		if f.users--; f.users == 0 {
			delete(d.files, path)
			if _, e := d.db.Exec("DETACH " + f.name); err == nil {
				err = e
			}
		}
	}
	s.files = nil
	for _, path := range s.entities {
		if e := d.forget(path); err == nil {
			err = e
		}
	}
	s.entities = nil
	for _, a := range s.added {
		if e := d.release(a); err == nil {
			err = e
		}
	}
	s.added = nil
	return err
}

// Schema is the schema of the state's tables.
func (s *State) Schema() string { return s.name }

// Parts are what a table of the state is put together from: rows that were added, in
// no order, and the tables of the index files, each in the order of its postings.Table.
func (s *State) Parts(table string) (added, files []string) {
	for _, a := range s.added {
		added = append(added, a.name+"."+ident(table))
	}
	for _, name := range s.parts {
		files = append(files, name+".main."+ident(table))
	}
	return added, files
}

// Rows is the result of a query.
type Rows struct {
	*sql.Rows
	tx *sql.Tx
}

// Close ends the query. It may be called again.
func (r *Rows) Close() error {
	defer r.tx.Rollback() // of nothing: it was read only
	return r.Rows.Close()
}

// Query runs a query over the state's tables; the caller closes the rows.
//
// It is planned and run in one transaction. By itself DuckDB plans it in one and runs it in
// another: rows that are added between them are seen by a plan whose statistics do not have
// them, which drops conditions that were always true and makes hash tables too small.
func (s *State) Query(ctx context.Context, text string) (*Rows, error) {
	// A BEGIN that is cut off would leave its transaction behind, in a connection that others use.
	tx, err := s.d.db.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, text)
	if err != nil {
		tx.Rollback()
		return nil, err
	}
	return &Rows{rows, tx}, nil
}

// conn calls f with a connection for an Appender.
func (d *DB) conn(ctx context.Context, f func(driver.Conn) error) error {
	c, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Raw(func(raw any) error {
		conn, ok := raw.(driver.Conn)
		if !ok {
			return errors.New("the connection is none of DuckDB")
		}
		return f(conn)
	})
}

// Dead is an address of a resource that is not current since a change of the caller's
// count.
type Dead struct {
	At     postings.Address
	Change uint32
}

// Dead is the name of the table of what [State.AddDead] was told, for queries that leave
// it out: its columns are addr and change.
func (s *State) Dead() string { return s.name + "_added.dead" }

// AddDead adds to the table of dead addresses.
func (s *State) AddDead(ctx context.Context, list []Dead) error {
	if len(list) == 0 {
		return nil
	}
	s.append.Lock()
	defer s.append.Unlock()
	err := s.d.conn(ctx, func(conn driver.Conn) error {
		a, err := duckdb.NewAppender(conn, "", s.name+"_added", "dead")
		if err != nil {
			return err
		}
		for _, x := range list {
			if err := a.AppendRow(uint64(x.At), x.Change); err != nil {
				return errors.Join(err, a.Close())
			}
		}
		return a.Close()
	})
	if err != nil {
		return fmt.Errorf("add to search index: %w", err)
	}
	return nil
}
