package searchdb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/postings"
)

// Input is an index file on its way into another one: the rows of the segments that are
// kept.
type Input struct {
	Path string
	// Keep are the ordinals of the segments whose rows are taken, Drop those of the others
	// that the file has rows of.
	Keep, Drop []uint32
}

// Merge makes one index file of inputs and syncs it; resources is how many it has. No
// segment is in two of them. After an error nothing is left.
//
// Of one it copies the rows in their order. Of several it sorts them again, in ranges
// of groups that fit memory: DuckDB has no merge of sorted tables, but takes runs that are
// in order for less.
func Merge(ctx context.Context, inputs []Input, o BuildOptions) (resources int64, err error) {
	err = create(ctx, o, func(db *sql.DB, memory int64) error {
		m := merger{db: db, inputs: inputs, memory: memory}
		for i := range inputs {
			if err := exec(ctx, db, "ATTACH "+Quote(inputs[i].Path)+" AS "+m.name(i)+" (READ_ONLY)"); err != nil {
				return err
			}
		}
		for _, t := range postings.Tables {
			if err := m.table(ctx, t); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		return db.QueryRowContext(ctx, "SELECT count(*) FROM x.resource").Scan(&resources)
	})
	if err != nil {
		return 0, fmt.Errorf("merge search index: %w", err)
	}
	return resources, nil
}

// merger writes the tables of inputs into the file attached as x.
type merger struct {
	db     *sql.DB
	inputs []Input
	memory int64
}

// name is that of an input in SQL.
func (m *merger) name(i int) string { return fmt.Sprintf("p%d", i) }

// table writes a table; those of texts come after those that name them.
func (m *merger) table(ctx context.Context, t *postings.Table) error {
	if err := exec(ctx, m.db, createTable("x."+ident(t.Name), t)); err != nil {
		return err
	}
	insert := "INSERT INTO x." + ident(t.Name) + " SELECT "
	order := " ORDER BY " + strings.Join(quoted(t.Order), ",")
	one := len(m.inputs) == 1 // it has the order already
	switch used := m.used(t); {
	case t.Texts && one && used == "", !t.Texts && one:
		return exec(ctx, m.db, insert+"* FROM "+m.rows(t))
	case t.Texts && one: // the join with what is used takes no care of the order
		return exec(ctx, m.db, insert+"* FROM "+m.rows(t)+used+order)
	case t.Texts:
		return exec(ctx, m.db, insert+distinct(t)+" FROM "+m.rows(t)+used+" GROUP BY hash"+order)
	case !t.Grouped:
		return exec(ctx, m.db, insert+"* FROM "+m.rows(t)+order)
	}
	total, err := m.groups(ctx, t)
	if err != nil {
		return err
	}
	for _, r := range cut(total, m.memory/rowMemory) {
		if err := exec(ctx, m.db, fmt.Sprintf("%s* FROM %s WHERE grp BETWEEN %d AND %d%s", insert, m.rows(t), r.from, r.to, order)); err != nil {
			return err
		}
	}
	return nil
}

// rows is what comes after FROM to read the rows of a table that are kept; of texts all,
// since those have no segment.
func (m *merger) rows(t *postings.Table) string {
	var all []string
	for i := range m.inputs {
		where := ""
		if !t.Texts {
			where = m.inputs[i].kept()
		}
		all = append(all, "SELECT * FROM "+m.name(i)+".main."+ident(t.Name)+where)
	}
	return "(" + strings.Join(all, " UNION ALL ") + ") AS t"
}

// used is the condition that a text is one of a row that is there. It is empty when all
// rows of the inputs are kept, and for tables that are not of texts.
func (m *merger) used(t *postings.Table) string {
	if !t.Texts || !slices.ContainsFunc(m.inputs, func(p Input) bool { return len(p.Drop) > 0 }) {
		return ""
	}
	var all []string
	for _, u := range t.Uses() {
		all = append(all, "SELECT "+ident(u.Column)+" FROM x."+ident(u.Table))
	}
	return " WHERE hash IN (" + strings.Join(all, " UNION ") + ")"
}

// groups counts the rows of each group in all inputs, also those that are not kept.
func (m *merger) groups(ctx context.Context, t *postings.Table) (total map[search.GroupID]int64, err error) {
	total = map[search.GroupID]int64{}
	for i := range m.inputs {
		err := m.countGroups(ctx, "SELECT grp, count(*) FROM "+m.name(i)+".main."+ident(t.Name)+" GROUP BY grp", total)
		if err != nil {
			return nil, err
		}
	}
	return total, nil
}

func (m *merger) countGroups(ctx context.Context, query string, total map[search.GroupID]int64) error {
	rows, err := m.db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var g search.GroupID
		var n int64
		if err := rows.Scan(&g, &n); err != nil {
			return err
		}
		total[g] += n
	}
	return rows.Err()
}

// kept is the condition that an address is of a segment that is kept: one range for
// neighbours that have no other segment of the file between them.
func (p *Input) kept() string {
	if len(p.Drop) == 0 {
		return ""
	}
	type segment struct {
		ordinal uint32
		keep    bool
	}
	var all []segment
	for _, n := range p.Keep {
		all = append(all, segment{n, true})
	}
	for _, n := range p.Drop {
		all = append(all, segment{n, false})
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.ordinal, b.ordinal) })
	var ranges []string
	for i := 0; i < len(all); i++ {
		if !all[i].keep {
			continue
		}
		first := all[i].ordinal
		for i+1 < len(all) && all[i+1].keep {
			i++
		}
		ranges = append(ranges, fmt.Sprintf("addr BETWEEN %d AND %d", postings.At(first, 0), postings.At(all[i].ordinal, math.MaxUint32)))
	}
	if len(ranges) == 0 {
		return " WHERE false"
	}
	return " WHERE (" + strings.Join(ranges, " OR ") + ")"
}
