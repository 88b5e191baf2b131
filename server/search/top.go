package search

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// top says how the only sort key of a query is read from the rows of its values: DuckDB
// keeps the first of them and passes over blocks of rows that have none, so it needs not
// all that matches.
type top struct {
	table, where, value string
	descending          bool
	// whole tells that every resource has such a row; else those that have none come
	// behind the last one.
	whole bool
}

// top is nil when the sort keys cannot be had so: a resource must have one row at most.
func (p *planner) top() (*top, error) {
	if len(p.q.Selects) != 1 || len(p.q.Selects[0].Sort) != 1 {
		return nil, nil
	}
	s := &p.q.Selects[0]
	k := s.Sort[0]
	t := &top{table: "resource", where: typeIn([]r4.TypeID{s.Type}), descending: k.Descending, whole: true}
	switch k.Param.Origin {
	case search.OriginID:
		t.value = "id"
	case search.OriginUpdated:
		t.value = "updated"
	case search.OriginRows:
		m, ok := oneRow(query.Match{Param: k.Param})
		if !ok || !p.ownGroups(k.Param, s.Type) {
			return nil, nil
		}
		term := m.Param.Terms[0]
		t.table, t.where, t.value, t.whole = term.Kind.String(), p.group(term, search.Main), "low", false
		if k.Descending {
			t.value = "high"
		}
	default:
		return nil, nil
	}
	if len(s.Where) > 0 {
		p.window = ""
		set, err := p.all()
		if err != nil {
			return nil, err
		}
		t.where += " AND addr IN (" + set + ")"
	}
	return t, nil
}

// topText is a query of the addresses from skip on, at most limit of them. It asks each
// part of the table: over their union DuckDB does not pass over blocks.
func (f *finder) topText(t *top, skip, limit int) string {
	order := " ORDER BY v, addr"
	if t.descending {
		order = " ORDER BY v DESC, addr"
	}
	added, files := f.db.Parts(t.table)
	var parts []string
	part := func(name, bounds string) {
		parts = append(parts, fmt.Sprintf("(SELECT addr, %s AS v FROM %s WHERE %s%s%s LIMIT %d)", t.value, name, t.where, bounds, order, skip+limit))
	}
	for _, name := range files {
		part(name, "")
	}
	for _, name := range added {
		part(name, f.bounds()) // what is written meanwhile would move what is passed
	}
	return fmt.Sprintf("SELECT addr FROM (%s)%s LIMIT %d OFFSET %d", strings.Join(parts, " UNION ALL "), order, limit, skip)
}
