package search

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// planner makes SQL of a query. Its texts are sets: queries with the one column addr,
// which may have an address more than once.
type planner struct {
	q      *query.Query
	schema string
	hash   *postings.Hasher
	bases  []uint64 // hashes of the URLs at which the data store is known, and 0
	// window limits the addresses of what is found, and alive those of the resources
	// between it and the end of a chain: each "" or a condition that begins with AND.
	window, alive string
	span          *span // the addresses of window, when it is one run
	// lookup finds the hashes that a query of a dictionary gives; ok is false when they
	// are too many for a list.
	lookup func(text string) (hashes []uint64, ok bool, err error)
	aside  *aside // makes tables of what the index has no rows of
}

// notIndexed refuses what the index does not have.
func notIndexed(what string) error {
	return outcome.Faultf(outcome.Malformed, "%s is not answered: it is not indexed", what)
}

// from is a table of the state.
func (p *planner) from(table string) string { return " FROM " + p.schema + `."` + table + `" ` }

// all is the set of what the query finds: current or not, in the window.
func (p *planner) all() (string, error) {
	var sets []string
	for i := 0; i < len(p.q.Selects); {
		types := []r4.TypeID{p.q.Selects[i].Type}
		n := i + 1
		for ; n < len(p.q.Selects) && alike(&p.q.Selects[i], &p.q.Selects[n]); n++ {
			types = append(types, p.q.Selects[n].Type)
		}
		where := slices.DeleteFunc(slices.Clone(p.q.Selects[i].Where), func(f query.Filter) bool { // the finder reads for them
			_, ok := f.(query.Words)
			return ok
		})
		set, err := p.filters(types, where, p.window)
		if err != nil {
			return "", err
		}
		sets, i = append(sets, set), n
	}
	return union(sets), nil
}

// alike tells whether two types are asked the same, of nothing that differs by type.
func alike(a, b *query.Select) bool {
	for _, f := range a.Where {
		switch f.(type) {
		case query.ID, query.Stored, query.Constant:
		default:
			return false
		}
	}
	return reflect.DeepEqual(a.Where, b.Where)
}

// filters is the set of resources of some types for which all of some filters hold.
func (p *planner) filters(types []r4.TypeID, where []query.Filter, window string) (string, error) {
	var sets, without []string
	words := topWords(where)
	for i, f := range where {
		if followed(where, i) {
			continue
		}
		if all := together(where, i); len(all) > 1 {
			set, err := p.row(types[0], all, window)
			if err != nil {
				return "", err
			}
			sets = append(sets, set)
			continue
		}
		if _, ok := f.(query.Words); ok {
			continue
		}
		set, not, err := p.filter(types, f, window)
		if err != nil {
			return "", err
		}
		if not {
			without = append(without, set)
		} else {
			sets = append(sets, set)
		}
	}
	if len(sets) == 0 {
		sets = append(sets, p.resources(types, window))
	}
	if len(words) > 0 { // of one type: see alike
		set, err := p.aside.words(types[0], words, intersect(sets, without))
		return set + " WHERE true" + window, err
	}
	return intersect(sets, without), nil
}

// oneRow tells whether a resource has at most one row that a filter looks at, so that more
// filters of the kind can look at it together.
func oneRow(f query.Filter) (m query.Match, ok bool) {
	m, ok = f.(query.Match)
	if !ok || m.Not || m.Facet != search.Main || len(m.Param.Bindings) > 0 || len(m.Param.Terms) != 1 || m.Param.Type == r4.SearchSpecial {
		return m, false
	}
	t := m.Param.Terms[0]
	return m, (t.Kind == search.KindDate || t.Kind == search.KindNumber || t.Kind == search.KindQuantity) && t.Single()
}

// together are the filters behind one that look at the same row, from the first of them on:
// DuckDB prunes by `high > a AND low < b`, by either alone it hardly does.
func together(where []query.Filter, i int) (all []query.Match) {
	first, ok := oneRow(where[i])
	if !ok {
		return nil
	}
	for _, f := range where[i:] {
		if m, ok := oneRow(f); ok && m.Param == first.Param {
			all = append(all, m)
		}
	}
	return all
}

// row is the set of the resources whose one row several filters match.
func (p *planner) row(typ r4.TypeID, all []query.Match, window string) (string, error) {
	param := all[0].Param
	t := param.Terms[0]
	set := "SELECT addr" + p.from(t.Kind.String()) + "WHERE " + p.group(t, search.Main)
	for _, m := range all {
		where, _, err := p.anyOf(m.Values, t, search.Main)
		if err != nil {
			return "", err
		}
		set += " AND " + where
	}
	return p.ofType(set+window, param, typ, window), nil
}

// followed tells whether an earlier filter looks at the row of this one.
func followed(where []query.Filter, i int) bool {
	for j := range where[:i] {
		if m, ok := oneRow(where[j]); ok {
			if n, ok := oneRow(where[i]); ok && m.Param == n.Param {
				return true
			}
		}
	}
	return false
}

// intersect is the set of what is in all of some sets and in none of others.
func intersect(sets, without []string) string {
	if len(sets) == 1 && len(without) == 0 {
		return sets[0]
	}
	var b strings.Builder
	b.WriteString("SELECT addr FROM (" + sets[0] + ") WHERE true")
	for _, s := range sets[1:] {
		b.WriteString(" AND addr IN (" + s + ")")
	}
	for _, s := range without {
		b.WriteString(" AND addr NOT IN (" + s + ")")
	}
	return b.String()
}

const nothing = "SELECT 0::UBIGINT AS addr WHERE false"

func union(sets []string) string {
	switch len(sets) {
	case 0:
		return nothing
	case 1:
		return sets[0]
	}
	return "SELECT addr FROM (" + strings.Join(sets, " UNION ALL ") + ")"
}

// resources is the set of all resources of some types.
func (p *planner) resources(types []r4.TypeID, window string) string {
	return "SELECT addr" + p.from("resource") + "WHERE " + typeIn(types) + window
}

func typeIn(types []r4.TypeID) string {
	if len(types) == len(r4.ResourceTypes()) {
		return "true"
	}
	var list []string
	for _, t := range types {
		list = append(list, strconv.FormatUint(uint64(postings.TypeNumber(t)), 10))
	}
	if len(list) == 1 {
		return "type = " + list[0]
	}
	return "type IN (" + strings.Join(list, ",") + ")"
}

// filter is the set of the resources for which a filter holds; with not, does not hold.
// Filters that differ by type are asked of one type.
func (p *planner) filter(types []r4.TypeID, f query.Filter, window string) (set string, not bool, err error) {
	typ := types[0]
	switch f := f.(type) {
	case query.Match:
		set, err = p.match(typ, f, window)
		return set, f.Not, err
	case query.Missing:
		if f.Param.Origin == search.OriginEntities {
			set, err = p.found(f.Param, nil, window)
			return set, f.Want, err
		}
		var sets []string
		facet := search.Main
		if f.Param.Type == r4.SearchSpecial {
			facet = search.FacetLatitude // near has no other rows
		}
		for _, t := range f.Param.Terms {
			sets = append(sets, "SELECT addr"+p.from(facet.Kind(t.Kind).String())+"WHERE "+p.group(t, facet)+window)
		}
		return p.ofType(union(sets), f.Param, typ, window), f.Want, nil
	case query.Chain:
		set, err = p.chain(typ, f, window)
	case query.Has:
		set, err = p.has(typ, f, window)
	case query.AllOf:
		set, err = p.filters(types, f, window)
	case query.AnyOf:
		set, err = p.either(types, f, window)
	case query.ID:
		return p.ids(types, f.IDs, window), f.Not, nil
	case query.Stored:
		if f.First {
			rows, err := p.aside.created(types)
			return "SELECT addr FROM " + rows + " WHERE " + each(f.Times, func(d query.Date) string { return p.time(d, "stored", "(stored + 1)") }) + window, false, err
		}
		set = "SELECT addr" + p.from("resource") + "WHERE " + typeIn(types) + " AND " + each(f.Times, func(d query.Date) string {
			return p.time(d, "updated", "(updated + 1)")
		}) + window
	case query.Constant:
		if f {
			return p.resources(types, window), false, nil
		}
		return nothing, false, nil
	default:
		err = notIndexed("a filter of this kind")
	}
	return set, false, err
}

// either is the set of the resources for which one of some filters holds.
func (p *planner) either(types []r4.TypeID, any query.AnyOf, window string) (string, error) {
	var sets []string
	for _, f := range any {
		set, err := p.filters(types, []query.Filter{f}, window)
		if err != nil {
			return "", err
		}
		sets = append(sets, set)
	}
	return union(sets), nil
}

// inner is the set of the current resources of a Select at the other end of a reference.
func (p *planner) inner(s *query.Select) (string, error) {
	set, err := p.filters([]r4.TypeID{s.Type}, s.Where, "")
	if err == nil && p.alive != "" {
		set = "SELECT addr FROM (" + set + ") WHERE true" + p.alive
	}
	return set, err
}

// chain is the set of the resources that refer to others for which something holds.
func (p *planner) chain(typ r4.TypeID, c query.Chain, window string) (string, error) {
	var sets []string
	for i := range c.To {
		to := &c.To[i]
		inner, err := p.inner(to)
		if err != nil {
			return "", err
		}
		keys := "SELECT key" + p.from("resource") + "WHERE " + typeIn([]r4.TypeID{to.Type}) + " AND addr IN (" + inner + ")"
		for _, t := range c.Param.Terms {
			if t.Kind == search.KindReference && (t.Target == 0 || t.Target == to.Type) {
				sets = append(sets, "SELECT addr"+p.from("reference")+"WHERE "+p.group(t, search.Main)+window+" AND "+p.local()+" AND target IN ("+keys+")")
			}
		}
	}
	return p.ofType(union(sets), c.Param, typ, window), nil
}

// has is the set of the resources that others refer to for which something holds.
func (p *planner) has(typ r4.TypeID, h query.Has, window string) (string, error) {
	inner, err := p.inner(&h.From)
	if err != nil {
		return "", err
	}
	var sets []string
	for _, t := range h.Param.Terms {
		if t.Kind == search.KindReference && (t.Target == 0 || t.Target == typ) {
			sets = append(sets, "SELECT target"+p.from("reference")+"WHERE "+p.group(t, search.Main)+" AND "+p.local()+" AND addr IN ("+inner+")")
		}
	}
	if len(sets) == 0 {
		return nothing, nil
	}
	return "SELECT addr" + p.from("resource") + "WHERE " + typeIn([]r4.TypeID{typ}) + window + " AND key IN (" + strings.Join(sets, " UNION ALL ") + ")", nil
}

// local is the condition that a reference is to a resource of this data store.
func (p *planner) local() string { return inHashes("base", p.bases) }

// group chooses the rows of a term.
func (p *planner) group(t search.Term, f search.Facet) string {
	s := "grp = " + strconv.FormatUint(uint64(t.Group(f)), 10)
	if t.Target != 0 && f == search.Main {
		s += fmt.Sprintf(" AND type = %d", postings.TypeNumber(t.Target))
	}
	return s
}

// ofType limits a set to resources of a type, unless the groups are of that type alone:
// a custom parameter may have an expression without a type, and its group is shared.
func (p *planner) ofType(set string, x *search.Parameter, typ r4.TypeID, window string) string {
	if p.ownGroups(x, typ) {
		return set
	}
	return intersect([]string{set, p.resources([]r4.TypeID{typ}, window)}, nil)
}

// ownGroups tells whether only resources of a type have rows in a parameter's groups.
func (p *planner) ownGroups(x *search.Parameter, typ r4.TypeID) bool {
	terms := x.Terms
	for _, b := range x.Bindings {
		terms = append(slices.Clip(terms), slices.Concat(b.Components...)...)
	}
	return !slices.ContainsFunc(terms, func(t search.Term) bool { return !strings.HasPrefix(t.Path(), typ.String()+".") })
}

// ids is the set of resources with one of some ids.
func (p *planner) ids(types []r4.TypeID, ids []string, window string) string {
	where := "WHERE " + typeIn(types) + " AND "
	if len(types) == 1 {
		var keys []uint64
		for _, id := range ids {
			keys = append(keys, p.hash.Resource(types[0], []byte(id)))
		}
		return "SELECT addr" + p.from("resource") + where + inHashes("key", keys) + window
	}
	return "SELECT addr" + p.from("resource") + where + each(ids, func(id string) string { return "id = " + searchdb.Quote(id) }) + window
}

// match is the set of the resources that have a row that matches one of the values.
func (p *planner) match(typ r4.TypeID, m query.Match, window string) (string, error) {
	if m.Param.Origin == search.OriginEntities {
		return p.found(m.Param, m.Values, window)
	}
	var sets []string
	if len(m.Param.Bindings) > 0 {
		for _, v := range m.Values {
			c, ok := v.(query.Composite)
			if !ok {
				return "", fmt.Errorf("search: %T as value of a composite", v)
			}
			for i := range m.Param.Bindings {
				set, err := p.binding(c, &m.Param.Bindings[i], window)
				if err != nil {
					return "", err
				}
				sets = append(sets, set)
			}
		}
	}
	for _, t := range m.Param.Terms {
		if m.Param.Type == r4.SearchSpecial {
			set, err := p.near(m.Values, t, window)
			if err != nil {
				return "", err
			}
			sets = append(sets, set)
			continue
		}
		rows, err := p.rows(m.Values, t, m.Facet, "addr")
		if err != nil {
			return "", err
		}
		sets = append(sets, rows+window)
	}
	return p.ofType(union(sets), m.Param, typ, window), nil
}

// rows are those of a term that one of the values matches.
func (p *planner) rows(values []query.Value, t search.Term, facet search.Facet, columns string) (string, error) {
	where, _, err := p.anyOf(values, t, facet)
	return "SELECT " + columns + p.from(facet.Kind(t.Kind).String()) + "WHERE " + p.group(t, facet) + " AND " + where, err
}

// binding binds the components of a value: in one element, or in the resource.
func (p *planner) binding(v query.Composite, b *search.Binding, window string) (string, error) {
	var whole, parts []string
	for i, terms := range b.Components {
		columns, list := "addr", &whole
		if b.Parts && !b.Whole[i] {
			columns, list = "addr, part", &parts
		}
		var rows []string
		for _, t := range terms {
			r, err := p.rows(v.Parts[i:i+1], t, search.Main, columns)
			if err != nil {
				return "", err
			}
			if columns != "addr" {
				r += " AND part <> 0"
			}
			rows = append(rows, r+window)
		}
		*list = append(*list, strings.Join(rows, " UNION ALL "))
	}
	for i, s := range whole {
		whole[i] = "SELECT addr FROM (" + s + ")"
	}
	if len(parts) > 0 {
		set := "SELECT addr FROM (" + parts[0] + ") WHERE true"
		for _, s := range parts[1:] {
			set += " AND (addr, part) IN (" + s + ")"
		}
		whole = append([]string{set}, whole...)
	}
	return intersect(whole, nil), nil
}

// each is the condition that one of some values matches.
func each[T any](values []T, match func(T) string) string {
	var list []string
	for _, v := range values {
		list = append(list, match(v))
	}
	return or(list)
}

func or(list []string) string {
	switch len(list) {
	case 0:
		return "false"
	case 1:
		return list[0]
	}
	return "(" + strings.Join(list, " OR ") + ")"
}

// inHashes is the condition that a column has one of some hashes.
func inHashes(column string, hashes []uint64) string {
	hashes = slices.Compact(slices.Sorted(slices.Values(hashes)))
	if len(hashes) == 0 {
		return "false"
	}
	if len(hashes) == 1 {
		return column + " = " + strconv.FormatUint(hashes[0], 10)
	}
	var b strings.Builder
	b.WriteString(column + " IN (")
	for i, h := range hashes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(h, 10))
	}
	b.WriteByte(')')
	return b.String()
}

// float writes a number so that it is read as the same.
func float(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "'inf'::DOUBLE"
	case math.IsInf(f, -1):
		return "'-inf'::DOUBLE"
	}
	return strconv.FormatFloat(f, 'e', -1, 64) + "::DOUBLE"
}
