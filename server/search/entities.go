package search

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// What NLP found in resources is in no index: its rows lie in entities files beside the
// segments of the snapshot, and in a table in memory for what was written since. Both are
// asked for addresses, as the tables of the index are (docs/decisions/0057).

// entityFile is the entities file of a segment with current rows.
type entityFile struct {
	segment uint32
	rows    int64 // of the segment
	path    string
}

// entityRows is about how many rows of a document match, so that a page of documents is had
// at once.
const entityRows = 8

// entitiesOf is the type of the resources that have such parameters. NLP may read others.
const entitiesOf = r4.TypeDocumentReference

// entityFilesOf lists those of segments, in the order of their ordinals.
func entityFilesOf(segments []*snapshot.Segment, path func(*snapshot.File) string) (all []entityFile) {
	for _, seg := range segments {
		if a := seg.Annotation(snapshot.Entities); a != nil && seg.ResourceType == entitiesOf.String() {
			all = append(all, entityFile{seg.Ordinal, seg.Rows, path(&a.File)})
		}
	}
	return all
}

// found is the set of the resources in which NLP found what one of some values says.
func (p *planner) found(x *search.Parameter, values []query.Value, window string) (string, error) {
	parts, err := p.foundIn(x, values, p.spanOf(window))
	if err != nil {
		return "", err
	}
	var sets []string
	for _, part := range parts {
		sets = append(sets, part.query)
	}
	set := union(sets)
	if window != "" {
		set = "SELECT addr FROM (" + set + ") WHERE true" + window
	}
	return set, nil
}

// foundFirst is a query of the first addresses within the window that [planner.found] would
// give, maybe more than once each. DuckDB reads no further than the limit where rows are in
// order.
func (p *planner) foundFirst(m query.Match, limit int) (string, error) {
	parts, err := p.foundIn(m.Param, m.Values, p.spanOf(p.window))
	if err != nil {
		return "", err
	}
	var sets []string
	for _, part := range parts {
		order := ""
		if !part.inOrder {
			order = " ORDER BY addr"
		}
		sets = append(sets, fmt.Sprintf("(%s%s%s LIMIT %d)", part.query, p.window, order, limit))
	}
	return fmt.Sprintf("SELECT addr FROM (%s) ORDER BY addr LIMIT %d", union(sets), limit), nil
}

// alone gives the filter of a query that has no other, when it is about what NLP found.
func alone(q *query.Query) (m query.Match, ok bool) {
	if len(q.Selects) != 1 || len(q.Selects[0].Where) != 1 {
		return m, false
	}
	m, ok = q.Selects[0].Where[0].(query.Match)
	return m, ok && m.Param.Origin == search.OriginEntities && !m.Not
}

// spanOf gives the addresses that a window lets through, when they are one run; nil when
// they are not.
func (p *planner) spanOf(window string) *span {
	if window == "" || window != p.window {
		return nil
	}
	return p.span
}

// foundPart is a query of the addresses of rows, which ends with a condition; inOrder tells
// that it gives them in their order.
type foundPart struct {
	query   string
	inOrder bool
}

// foundIn are queries of the rows that one of some values matches, or, without values, that
// have one: of each entities file in which there may be some, within a span, then of each
// table of what was written.
func (p *planner) foundIn(x *search.Parameter, values []query.Value, within *span) (parts []foundPart, err error) {
	where, err := p.foundWhere(x, values)
	if err != nil {
		return nil, err
	}
	operation := "operation = " + searchdb.Quote(x.Entities.Operation) + " AND "
	for i, f := range p.aside.entities {
		rows, some := f.within(within)
		if !some {
			continue
		}
		source := entitySource{file: i, listed: true}
		c := where(&source)
		if source.listed && c == "false" {
			continue
		}
		table, err := p.aside.db.EntityFile(p.aside.ctx, f.path)
		if err != nil {
			return nil, err
		}
		if !source.listed {
			if table, err = p.foldedRows(table, f.path, x.Entities.Columns); err != nil {
				return nil, err
			}
			c = where(&entitySource{})
		}
		parts = append(parts, foundPart{fmt.Sprintf("SELECT addr FROM (SELECT %d::UBIGINT + \"row\"::UBIGINT AS addr, * FROM %s WHERE %s%s%s) WHERE true",
			postings.At(f.segment, 0), table, operation, c, rows), source.listed})
	}
	for _, table := range p.aside.db.Entities() {
		parts = append(parts, foundPart{"SELECT addr FROM " + table + " WHERE " + operation + where(&entitySource{}), false})
	}
	return parts, nil
}

// foldedRows are the rows of an entities file with the folded forms of some columns, as the
// tables of what was written have them.
func (p *planner) foldedRows(table, path string, columns []search.EntityColumn) (string, error) {
	dictionary, err := p.aside.db.Dictionary(p.aside.ctx, path)
	if err != nil {
		return "", err
	}
	list, joins := `e."row", e.operation`, ""
	for i, c := range columns {
		list += ", e." + string(c)
		if !c.Number() {
			list += fmt.Sprintf(", d%d.folded AS %s_folded", i, c)
			joins += fmt.Sprintf(" LEFT JOIN %s d%d ON d%d.field = %d AND d%d.value = e.%s", dictionary, i, i, searchdb.EntityField(c), i, c)
		}
	}
	return "(SELECT " + list + " FROM " + table + " e" + joins + ")", nil
}

// within gives the condition that a row is within a span, "" when all are; some is false
// when none is.
func (f *entityFile) within(s *span) (rows string, some bool) {
	first, last := postings.At(f.segment, 0), postings.At(f.segment, uint32(f.rows-1))
	if s == nil {
		return "", true
	}
	if s.from > first {
		rows += fmt.Sprintf(` AND "row" >= %d`, s.from.Row())
	}
	if s.to < last {
		rows += fmt.Sprintf(` AND "row" <= %d`, s.to.Row())
	}
	return rows, s.from <= last && s.to >= first
}

// entitySource is what a condition is made for: rows that have folded texts beside them, or,
// when listed, an entities file, whose texts are listed. It is not, afterwards, when the list
// would be too long.
type entitySource struct {
	listed bool
	file   int // index in state.entities
}

// foundWhere makes conditions on rows: "false" when none matches.
func (p *planner) foundWhere(x *search.Parameter, values []query.Value) (where func(*entitySource) string, err error) {
	columns := x.Entities.Columns
	if values == nil {
		return func(*entitySource) string {
			var there []string
			for _, c := range columns {
				there = append(there, string(c)+" IS NOT NULL")
			}
			return strings.Join(there, " AND ")
		}, nil
	}
	var any []func(*entitySource) string
	if len(columns) == 1 && !columns[0].Number() && x.Type != r4.SearchToken {
		one, err := p.foundTexts(columns[0], values, true)
		if err != nil {
			return nil, err
		}
		any = append(any, one)
	} else {
		for _, v := range values {
			one, err := p.foundRow(columns, v, len(values) <= fewFound)
			if err != nil {
				return nil, err
			}
			any = append(any, one)
		}
	}
	return func(s *entitySource) string {
		var list []string
		for _, one := range any {
			if c := one(s); c != "false" {
				list = append(list, c)
			}
		}
		return or(list)
	}, nil
}

// foundRow is the condition that one row is what one value says.
func (p *planner) foundRow(columns []search.EntityColumn, v query.Value, lists bool) (func(*entitySource) string, error) {
	parts := []query.Value{v}
	if c, ok := v.(query.Composite); ok {
		parts = c.Parts
	}
	if len(parts) != len(columns) {
		return nil, fmt.Errorf("search: %d values for %d columns of entities", len(parts), len(columns))
	}
	var all []func(*entitySource) string
	for i, column := range columns {
		switch v := parts[i].(type) {
		case query.Number:
			c := number(v.Prefix, v.Amount, string(column), string(column))
			all = append(all, func(*entitySource) string { return c })
		case query.Token:
			c := string(column) + " = " + searchdb.Quote(strings.ToUpper(v.Code))
			if v.Test == query.OneSystem { // they have none
				c = "false"
			}
			all = append(all, func(*entitySource) string { return c })
		case query.String:
			one, err := p.foundTexts(column, []query.Value{v}, lists)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		default:
			return nil, notIndexed("a value of this kind")
		}
	}
	return func(s *entitySource) string {
		var list []string
		for _, one := range all {
			c := one(s)
			if c == "false" {
				return c
			}
			list = append(list, c)
		}
		return strings.Join(list, " AND ")
	}, nil
}

// foundTexts is the condition that a text is what one of some values says; lists tells whether
// texts may be listed.
func (p *planner) foundTexts(column search.EntityColumn, values []query.Value, lists bool) (func(*entitySource) string, error) {
	name := string(column)
	var exact, folded, written []string
	for _, v := range values {
		v, ok := v.(query.String)
		if !ok {
			return nil, notIndexed("a value of this kind")
		}
		test := func(column string) string { return begins(column, v.Folded) }
		switch v.Test {
		case query.Exactly:
			exact = append(exact, searchdb.Quote(v.Exact))
			continue
		case query.Contains:
			test = func(column string) string { return "contains(" + column + ", " + searchdb.Quote(v.Folded) + ")" }
		}
		folded, written = append(folded, test("folded")), append(written, test(name+"_folded"))
	}
	var known [][]string
	if len(folded) > 0 && lists {
		var err error
		if known, err = p.aside.entityTexts(column, or(folded)); err != nil {
			return nil, err
		}
	}
	return func(s *entitySource) string {
		texts, any := exact, []string(nil)
		switch {
		case len(folded) == 0:
		case !s.listed:
			any = append(any, or(written))
		case !lists || len(known[s.file]) > maxLookup:
			s.listed = false
			return ""
		default:
			texts = append(texts[:len(texts):len(texts)], known[s.file]...)
		}
		if len(texts) > 0 {
			any = append(any, name+" IN ("+strings.Join(texts, ",")+")")
		}
		return or(any)
	}, nil
}

// Each value is in the SQL once for each entities file. maxFound bounds those of a search, where
// one of a composite counts as compositeValues. Composites of up to fewFound values have a list
// of texts for each.
const (
	maxFound        = 2_000
	compositeValues = 10
	fewFound        = 20
)

// foundValues counts the values of filters that are about what NLP found.
func foundValues(filters []query.Filter) (n int) {
	for _, f := range filters {
		switch f := f.(type) {
		case query.Match:
			if f.Param.Origin != search.OriginEntities {
				continue
			}
			if f.Param.Type == r4.SearchComposite {
				n += (compositeValues - 1) * len(f.Values)
			}
			n += len(f.Values)
		case query.Chain:
			for i := range f.To {
				n += foundValues(f.To[i].Where)
			}
		case query.Has:
			n += foundValues(f.From.Where)
		case query.AllOf:
			n += foundValues(f)
		case query.AnyOf:
			n += foundValues(f)
		}
	}
	return n
}

// countFound refuses a search with too many values of what NLP found.
func (a *aside) countFound() error {
	n := 0
	for i := range a.q.Selects {
		n += foundValues(a.q.Selects[i].Where)
	}
	if n > maxFound {
		return outcome.Faultf(outcome.TooCostly, "the search has more than %d values of what NLP found, or %d of composites; ask for fewer", maxFound, maxFound/compositeValues)
	}
	return nil
}

// entityTexts gives, of each entities file, the texts of a column whose folded form a
// condition holds for, as literals of SQL: of more than maxLookup only some. It asks once: SQL
// is made anew for each window.
func (a *aside) entityTexts(column search.EntityColumn, where string) ([][]string, error) {
	if len(a.entities) == 0 {
		return nil, nil
	}
	field := searchdb.EntityField(column)
	key := fmt.Sprintf("%d %s", field, where)
	if known, ok := a.texts[key]; ok {
		return known, nil
	}
	defer func(part string) { a.part = part }(a.part)
	a.part = "looking up what NLP found"
	var all []string
	for i, f := range a.entities {
		table, err := a.db.Dictionary(a.ctx, f.path)
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintf("(SELECT %d AS file, value FROM %s WHERE field = %d AND %s LIMIT %d)", i, table, field, where, maxLookup+1))
	}
	rows, err := a.run(a.ctx, strings.Join(all, " UNION ALL "))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := make([][]string, len(a.entities))
	for rows.Next() {
		var i int
		var text string
		if err := rows.Scan(&i, &text); err != nil {
			return nil, err
		}
		known[i] = append(known[i], searchdb.Quote(text))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if a.texts == nil {
		a.texts = map[string][][]string{}
	}
	a.texts[key] = known
	return known, nil
}

// addEntities makes rows of what NLP found in a change.
func (f *feeder) addEntities(at postings.Address, c *lake.Change) error {
	data := c.Beside.Of(beside.NLP)
	if len(data) == 0 || c.Type != entitiesOf {
		return nil
	}
	result, err := f.reader.Read(data)
	if err != nil {
		return err
	}
	f.found.Add(at, result)
	return nil
}
