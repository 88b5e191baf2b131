package searchdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/postings"
)

// # What NLP found
//
// Its rows are in no index: the entities files of a snapshot (docs/formats/entities.md) are
// read where they are. Texts are compared folded, and the files have them as they were
// written. So the first search that looks into a file makes a dictionary of it, in memory:
// each text of each column once, with its folded form. What a search looks for becomes a list
// of texts by it, and a list is what Parquet is read by fastest. A dictionary lives as long as
// a state that has looked into it.
//
// Rows of what was written since have their folded texts beside them.

// entityTexts are the columns of texts; a dictionary has the places of them here.
var entityTexts = []search.EntityColumn{
	search.EntityCategory, search.EntityType, search.EntityText, search.EntityConceptCode, search.EntityConceptDescription,
}

// entityFile is an entities file that states look into.
type entityFile struct {
	rows       string // a view of its rows, in SQL
	dictionary string // a table
	users      int    // guarded by DB.mu

	making sync.Mutex
	viewed bool // guarded by making, as made
	made   bool
}

// EntityFile gives the rows of an entities file, as a table of SQL that has no name of a
// file in it.
func (s *State) EntityFile(ctx context.Context, path string) (table string, err error) {
	f := s.entityFile(path)
	f.making.Lock()
	defer f.making.Unlock()
	if !f.viewed {
		if _, err := s.d.db.ExecContext(ctx, "CREATE OR REPLACE VIEW "+f.rows+" AS SELECT * FROM "+readEntities(path)); err != nil {
			return "", fmt.Errorf("open what NLP found: %w", err)
		}
		f.viewed = true
	}
	return f.rows, nil
}

// Dictionary makes the dictionary of an entities file, if there is none yet, and gives the
// table: its columns are value and folded, and field, which [EntityField] gives.
func (s *State) Dictionary(ctx context.Context, path string) (table string, err error) {
	f := s.entityFile(path)
	f.making.Lock()
	defer f.making.Unlock()
	if !f.made {
		if err := s.d.fill(ctx, f.dictionary, path); err != nil {
			return "", fmt.Errorf("make a dictionary of what NLP found: %w", err)
		}
		f.made = true
	}
	return f.dictionary, nil
}

// entityFile gives a file, which the state has until it is closed.
func (s *State) entityFile(path string) *entityFile {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	f := s.d.entities[path]
	if f == nil {
		s.d.next++
		f = &entityFile{rows: fmt.Sprintf("n%d", s.d.next), dictionary: fmt.Sprintf("n%d_texts", s.d.next)}
		s.d.entities[path] = f
	}
	if !slices.Contains(s.entities, path) {
		f.users++
		s.entities = append(s.entities, path)
	}
	return f
}

func readEntities(path string) string {
	return "read_parquet([" + Quote(path) + "], hive_partitioning=false)"
}

// EntityField is the number that dictionaries have for a column of texts.
func EntityField(c search.EntityColumn) int { return slices.Index(entityTexts, c) }

func (d *DB) fill(ctx context.Context, table, path string) error {
	if _, err := d.db.ExecContext(ctx, "CREATE OR REPLACE TABLE "+table+" (field UTINYINT NOT NULL, value VARCHAR NOT NULL, folded VARCHAR NOT NULL)"); err != nil {
		return err
	}
	var all []string
	for i, c := range entityTexts {
		all = append(all, fmt.Sprintf("SELECT DISTINCT %d::UTINYINT, %s FROM %s WHERE %s IS NOT NULL", i, ident(string(c)), readEntities(path), ident(string(c))))
	}
	rows, err := d.db.QueryContext(ctx, strings.Join(all, " UNION ALL "))
	if err != nil {
		return err
	}
	defer rows.Close()
	err = d.conn(ctx, func(conn driver.Conn) error {
		a, err := duckdb.NewAppender(conn, "", "main", table)
		if err != nil {
			return err
		}
		var field uint8
		var value string
		var folded []byte
		for rows.Next() {
			if err = rows.Scan(&field, &value); err != nil {
				break
			}
			folded, _ = search.AppendFolded(folded[:0], []byte(value))
			if err = a.AppendRow(field, value, string(folded)); err != nil {
				break
			}
		}
		return errors.Join(err, rows.Err(), a.Close())
	})
	return err
}

// forget lets a file go with its last user. The caller holds mu.
func (d *DB) forget(path string) error {
	f := d.entities[path]
	if f.users--; f.users > 0 {
		return nil
	}
	delete(d.entities, path)
	_, err := d.db.Exec(fmt.Sprintf("DROP VIEW IF EXISTS %s; DROP TABLE IF EXISTS %s", f.rows, f.dictionary))
	return err
}

// Entities are the tables of what NLP found in what was written: the columns of an entities
// file that searches look at, with addr for its row, and of each text the folded form, in
// a column whose name ends with _folded.
func (s *State) Entities() (tables []string) {
	for _, a := range s.added {
		tables = append(tables, a.name+".entity")
	}
	return tables
}

// createEntities makes the table of [State.Entities].
func createEntities(schema string) string {
	columns := "addr UBIGINT NOT NULL, operation VARCHAR NOT NULL"
	for _, c := range entityTexts {
		columns += fmt.Sprintf(", %s VARCHAR, %s VARCHAR", ident(string(c)), ident(string(c)+"_folded"))
	}
	return fmt.Sprintf("CREATE TABLE %s.entity (%s, %s DOUBLE, %s DOUBLE)", schema, columns, ident(string(search.EntityScore)), ident(string(search.EntityConceptScore)))
}

// EntityRows are rows of what NLP found, to be added. It belongs to one goroutine.
type EntityRows struct {
	rows  []driver.Value // of createEntities, a row after the other
	width int
}

// maxConcepts is how many concepts of a system an entity has rows of.
const maxConcepts = 5

// Reset forgets the rows.
func (r *EntityRows) Reset() {
	clear(r.rows)
	r.rows = r.rows[:0]
}

// Len is the number of rows.
func (r *EntityRows) Len() int {
	if r.width == 0 {
		return 0
	}
	return len(r.rows) / r.width
}

// Add adds the rows of a resource, as docs/formats/entities.md says. It copies the result.
func (r *EntityRows) Add(at postings.Address, found *entity.Result) {
	r.add(at, search.StatusOperation, &entity.Span{Type: []byte(found.Status().String())}, nil)
	for i := range found.Texts {
		for j := range found.Texts[i].Entities {
			e := &found.Texts[i].Entities[j]
			r.add(at, entity.DetectEntities.String(), &e.Span, nil)
			for o := entity.InferICD10CM; o < entity.Operations; o++ {
				concepts := e.Concepts[o]
				for k := range concepts[:min(len(concepts), maxConcepts)] {
					r.add(at, o.String(), &e.Span, &concepts[k])
				}
			}
		}
	}
}

func (r *EntityRows) add(at postings.Address, operation string, s *entity.Span, c *entity.Concept) {
	start := len(r.rows)
	r.rows = append(r.rows, uint64(at), operation)
	if c == nil {
		c = &entity.Concept{}
	}
	for _, text := range [...][]byte{s.Category, s.Type, s.Text, c.Code, c.Description} { // as entityTexts
		if len(text) == 0 {
			r.rows = append(r.rows, nil, nil)
			continue
		}
		folded, _ := search.AppendFolded(nil, text)
		r.rows = append(r.rows, string(text), string(folded))
	}
	for _, score := range [...]entity.Score{s.Score, c.Score} {
		if len(score) == 0 {
			r.rows = append(r.rows, nil)
			continue
		}
		r.rows = append(r.rows, score.Float())
	}
	r.width = len(r.rows) - start
}

// AddEntities adds rows of what NLP found. After an error some may be there: it is of no
// more use.
func (a *Added) AddEntities(ctx context.Context, r *EntityRows) error {
	if r.Len() == 0 {
		return nil
	}
	a.append.Lock()
	defer a.append.Unlock()
	err := a.d.conn(ctx, func(conn driver.Conn) error {
		to, err := duckdb.NewAppender(conn, "", a.name, "entity")
		if err != nil {
			return err
		}
		for row := range slices.Chunk(r.rows, r.width) {
			if err := to.AppendRow(row...); err != nil {
				return errors.Join(err, to.Close())
			}
		}
		return to.Close()
	})
	if err != nil {
		return fmt.Errorf("add to search index: %w", err)
	}
	return nil
}
