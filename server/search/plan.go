package search

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// planner makes SQL of a query. Its texts are sets: queries with the one column addr,
// which may have an address more than once.
type planner struct {
	schema string
	hash   *postings.Hasher
	table  *search.Table
	now    int64 // microseconds, for the prefix ap
	// window limits the addresses of what is found, and alive those of the resources
	// between it and the end of a chain: each "" or a condition that begins with AND.
	window, alive string
	// lookup finds the hashes that a query of a dictionary gives; ok is false when they
	// are too many for a list.
	lookup func(text string) (hashes []uint64, ok bool, err error)
}

// from is a table of the state.
func (p *planner) from(table string) string { return " FROM " + p.schema + `."` + table + `" ` }

// query is the set of what the query finds: current or not, in the window.
func (p *planner) query(q *Query) (string, error) {
	var sets, without []string
	for i := range q.Conditions {
		set, not, err := p.condition(&q.Conditions[i], p.window)
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
		sets = append(sets, p.resources(q.Types, p.window))
	}
	return intersect(sets, without), nil
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

// resources is the set of all resources of some types.
func (p *planner) resources(types []r4.TypeID, window string) string {
	if len(types) == len(r4.ResourceTypes()) {
		return "SELECT addr" + p.from("resource") + "WHERE true" + window
	}
	return "SELECT addr" + p.from("resource") + "WHERE " + typeIn(types) + window
}

func typeIn(types []r4.TypeID) string {
	if len(types) == 1 {
		return fmt.Sprintf("type = %d", postings.TypeNumber(types[0]))
	}
	var list []string
	for _, t := range types {
		list = append(list, strconv.FormatUint(uint64(postings.TypeNumber(t)), 10))
	}
	return "type IN (" + strings.Join(list, ",") + ")"
}

// condition is the set of a condition; with not, of what it excludes.
func (p *planner) condition(c *Condition, window string) (set string, not bool, err error) {
	switch {
	case c.Leaf != nil:
		set, err = p.leaf(c.Leaf, window)
		return set, c.Leaf.Not, err
	case c.Link != nil:
		set, err = p.link(c.Link, window)
		return set, false, err
	}
	var sets []string
	for i := range c.Any {
		set, not, err := p.condition(&c.Any[i], window)
		if err != nil {
			return "", false, err
		}
		if not { // only links and positive leaves are alternatives
			return "", false, fmt.Errorf("search: an alternative of '%s' excludes", clip(c.Name))
		}
		sets = append(sets, set)
	}
	return union(sets), false, nil
}

func union(sets []string) string {
	switch len(sets) {
	case 0:
		return "SELECT 0::UBIGINT AS addr WHERE false"
	case 1:
		return sets[0]
	}
	return "SELECT addr FROM (" + strings.Join(sets, " UNION ALL ") + ")"
}

// inner is the set of the current resources of a type that a condition holds for.
func (p *planner) inner(c *Condition, typ r4.TypeID) (string, error) {
	set, not, err := p.condition(c, "")
	if err != nil {
		return "", err
	}
	if not {
		set = intersect([]string{p.resources([]r4.TypeID{typ}, "")}, []string{set})
	}
	if p.alive != "" {
		set = "SELECT addr FROM (" + set + ") WHERE true" + p.alive
	}
	return set, nil
}

// link is the set of a hop.
func (p *planner) link(l *Link, window string) (string, error) {
	if l.Reverse {
		inner, err := p.inner(&l.Inner, l.Source)
		if err != nil {
			return "", err
		}
		var sets []string
		for _, term := range l.Reference.Terms {
			sets = append(sets, "SELECT target"+p.from("reference")+"WHERE "+p.group(term, search.Main)+" AND addr IN ("+inner+")")
		}
		where := "true"
		if l.Target != 0 {
			where = typeIn([]r4.TypeID{l.Target})
		}
		return "SELECT addr" + p.from("resource") + "WHERE " + where + window + " AND key IN (" + strings.Join(sets, " UNION ALL ") + ")", nil
	}
	inner, err := p.inner(&l.Inner, l.Target)
	if err != nil {
		return "", err
	}
	keys := "SELECT key" + p.from("resource") + "WHERE " + typeIn([]r4.TypeID{l.Target}) + " AND addr IN (" + inner + ")"
	var sets []string
	for _, term := range l.Reference.Terms {
		sets = append(sets, "SELECT addr"+p.from("reference")+"WHERE "+p.group(term, search.Main)+window+" AND target IN ("+keys+")")
	}
	return p.ofType(union(sets), l.Reference, l.Source, window), nil
}

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
	terms := x.Terms
	for _, b := range x.Bindings {
		terms = append(slices.Clip(terms), slices.Concat(b.Components...)...)
	}
	for _, t := range terms {
		if !strings.HasPrefix(t.Path(), typ.String()+".") {
			return intersect([]string{set, p.resources([]r4.TypeID{typ}, window)}, nil)
		}
	}
	return set
}

// leaf is the set of the resources that have a value that matches.
func (p *planner) leaf(l *Leaf, window string) (string, error) {
	switch l.Parameters[0].Origin {
	case search.OriginID:
		return p.ids(l, window), nil
	case search.OriginUpdated:
		return "SELECT addr" + p.from("resource") + "WHERE " + typeIn(l.Types) + " AND " + p.any(l.Values, func(v *Value) string {
			return p.time(v, "updated", "(updated + 1000)") // whole milliseconds
		}) + window, nil
	}
	var sets []string
	for i, x := range l.Parameters {
		set, err := p.parameter(l, x, window)
		if err != nil {
			return "", err
		}
		sets = append(sets, p.ofType(set, x, l.Types[i], window))
	}
	return union(sets), nil
}

func (p *planner) parameter(l *Leaf, x *search.Parameter, window string) (string, error) {
	if len(x.Bindings) > 0 {
		return p.composite(l, x, window)
	}
	var sets []string
	for _, t := range x.Terms {
		facet := search.Main
		switch l.Modifier {
		case ModifierText:
			facet = search.FacetText
		case ModifierOfType:
			facet = search.FacetOfType
		case ModifierIdentifier:
			facet = search.FacetIdentifier
		}
		rows, err := p.rows(l, t, facet, "addr")
		if err != nil {
			return "", err
		}
		sets = append(sets, rows+window)
	}
	return union(sets), nil
}

// ids is the set of resources with an id.
func (p *planner) ids(l *Leaf, window string) string {
	if len(l.Types) == 1 {
		var keys []uint64
		for _, v := range l.Values {
			keys = append(keys, p.hash.Resource(l.Types[0], []byte(v.Text)))
		}
		return "SELECT addr" + p.from("resource") + "WHERE " + typeIn(l.Types) + " AND " + in("key", keys) + window
	}
	var ids []string
	for _, v := range l.Values {
		ids = append(ids, searchdb.Quote(v.Text))
	}
	return "SELECT addr" + p.from("resource") + "WHERE " + typeIn(l.Types) + " AND id IN (" + strings.Join(ids, ",") + ")" + window
}

// rows are those of a term that one of the values matches.
func (p *planner) rows(l *Leaf, t search.Term, facet search.Facet, columns string) (string, error) {
	kind := facet.Kind(t.Kind)
	where := "true"
	if l.Modifier != ModifierMissing {
		var err error
		if where, err = p.match(l, kind); err != nil {
			return "", err
		}
	}
	return "SELECT " + columns + p.from(kind.String()) + "WHERE " + p.group(t, facet) + " AND " + where, nil
}

// match is the condition that a row has one of the values.
func (p *planner) match(l *Leaf, kind search.Kind) (string, error) {
	switch kind {
	case search.KindToken:
		return p.tokens(l.Values), nil
	case search.KindString:
		return p.strings(l)
	case search.KindDate:
		return p.any(l.Values, func(v *Value) string { return p.time(v, "low", "high") }), nil
	case search.KindNumber:
		return p.any(l.Values, func(v *Value) string { return number(v.Prefix, v.Amount, "low", "high") }), nil
	case search.KindQuantity:
		return p.any(l.Values, p.quantity), nil
	case search.KindReference:
		return p.references(l.Values), nil
	case search.KindURI:
		return p.uris(l)
	}
	return "", fmt.Errorf("search: rows of kind %s", kind)
}

// any is the condition that one of the values matches.
func (p *planner) any(values []Value, match func(*Value) string) string {
	var list []string
	for i := range values {
		list = append(list, match(&values[i]))
	}
	return either(list)
}

func either(list []string) string {
	switch len(list) {
	case 0:
		return "false"
	case 1:
		return list[0]
	}
	return "(" + strings.Join(list, " OR ") + ")"
}

// in is the condition that a column has one of some hashes.
func in(column string, hashes []uint64) string {
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

// codes are the hashes that rows with a code may have: it as it stands and, of elements
// whose case does not count, folded.
func (p *planner) codes(code string) []uint64 {
	folded, _ := search.AppendFolded(nil, []byte(code))
	hashes := []uint64{p.hash.Code([]byte(code), false)}
	if len(folded) > 0 {
		hashes = append(hashes, p.hash.Code(folded, true))
	}
	return hashes
}

func (p *planner) tokens(values []Value) string {
	var plain []uint64 // codes of any system
	bySystem := map[uint64][]uint64{}
	var list []string
	var order []uint64
	for i := range values {
		v := &values[i]
		switch {
		case !v.HasSystem:
			plain = append(plain, p.codes(v.Code)...)
		case v.System == "":
			list = append(list, "("+in("code", p.codes(v.Code))+" AND (system = 0 OR implied))")
		case v.Code == "":
			list = append(list, in("system", []uint64{p.hash.Text([]byte(v.System))}))
		default:
			s := p.hash.Text([]byte(v.System))
			if bySystem[s] == nil {
				order = append(order, s)
			}
			bySystem[s] = append(bySystem[s], p.codes(v.Code)...)
		}
	}
	for _, s := range order {
		list = append(list, "("+in("code", bySystem[s])+" AND system = "+strconv.FormatUint(s, 10)+")")
	}
	if plain != nil {
		list = append(list, in("code", plain))
	}
	return either(list)
}

// last follows every other rune.
const last = "\U0010FFFF"

// strings are texts that begin with, contain or are a text (R4, 3.1.1.4.8).
func (p *planner) strings(l *Leaf) (string, error) {
	var exact []uint64
	var list []string
	for i := range l.Values {
		text := l.Values[i].Text
		f, _ := search.AppendFolded(nil, []byte(text))
		folded := searchdb.Quote(string(f))
		switch {
		case l.Modifier == ModifierExact:
			exact = append(exact, p.hash.Words(f, []byte(text), false))
		case len(f) == 0: // nothing but punctuation: no text has it
		case l.Modifier == ModifierContains:
			list = append(list, "(NOT later AND contains(folded, "+folded+"))")
		default:
			list = append(list, "(folded >= "+folded+" AND folded < "+searchdb.Quote(string(f)+last)+")")
		}
	}
	if l.Modifier == ModifierExact {
		return in("words", exact), nil
	}
	return p.texts("words", "words", list)
}

// texts is the condition that a column has the hash of a text of a dictionary.
func (p *planner) texts(column, dictionary string, conditions []string) (string, error) {
	if len(conditions) == 0 {
		return "false", nil
	}
	set := "SELECT hash" + p.from(dictionary) + "WHERE " + either(conditions)
	hashes, ok, err := p.lookup(set)
	if err != nil {
		return "", err
	}
	if ok {
		return in(column, hashes), nil
	}
	return column + " IN (" + set + ")", nil
}

// time is search.Prefix.MatchesTime in SQL.
func (p *planner) time(v *Value, low, high string) string {
	q := v.Time
	switch v.Prefix {
	case search.Equal:
		return fmt.Sprintf("(%s >= %d AND %s < %d AND %s <= %d)", low, q.Start, low, q.End, high, q.End)
	case search.NotEqual:
		return fmt.Sprintf("(%s < %d OR %s > %d)", low, q.Start, high, q.End)
	case search.Greater:
		return fmt.Sprintf("%s > %d", high, q.End)
	case search.Less:
		return fmt.Sprintf("%s < %d", low, q.Start)
	case search.GreaterOrEqual:
		return fmt.Sprintf("%s > %d", high, q.Start)
	case search.LessOrEqual:
		return fmt.Sprintf("%s < %d", low, q.End)
	case search.StartsAfter:
		return fmt.Sprintf("%s >= %d", low, q.End)
	case search.EndsBefore:
		return fmt.Sprintf("%s <= %d", high, q.Start)
	}
	near := q.Near(p.now)
	return fmt.Sprintf("(%s < %d AND %s > %d)", low, near.End, high, near.Start)
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

// number is search.Prefix.MatchesNumber in SQL.
func number(prefix search.Prefix, a search.Amount, low, high string) string {
	switch prefix {
	case search.Equal:
		return fmt.Sprintf("(%s >= %s AND %s < %s AND %s < %s)", low, float(a.Low), low, float(a.High), high, float(a.High))
	case search.NotEqual:
		return fmt.Sprintf("(%s < %s OR %s >= %s)", low, float(a.Low), high, float(a.High))
	case search.Greater:
		return high + " > " + float(a.Exact)
	case search.Less:
		return low + " < " + float(a.Exact)
	case search.GreaterOrEqual:
		return high + " >= " + float(a.Exact)
	case search.LessOrEqual:
		return low + " <= " + float(a.Exact)
	case search.StartsAfter:
		return low + " > " + float(a.Exact)
	case search.EndsBefore:
		return high + " < " + float(a.Exact)
	}
	from, to := a.Near()
	return fmt.Sprintf("(%s <= %s AND %s >= %s)", low, float(to), high, float(from))
}

// quantity compares in the unit that was asked for and, where that converts, in the base
// unit: a row of the same unit matches either way.
func (p *planner) quantity(v *Value) string {
	plain := number(v.Prefix, v.Amount, "low", "high")
	if v.Code == "" {
		if !v.HasSystem {
			return plain
		}
		return "(" + in("system", []uint64{p.hash.Text([]byte(v.System))}) + " AND " + plain + ")"
	}
	code := strconv.FormatUint(p.hash.Text([]byte(v.Code)), 10)
	if !v.HasSystem { // number||code: the code or the unit as humans read it
		return "((code = " + code + " OR unit = " + code + ") AND " + plain + ")"
	}
	same := fmt.Sprintf("(system = %d AND code = %s AND %s)", p.hash.Text([]byte(v.System)), code, plain)
	if v.Base == "" {
		return same
	}
	base := strconv.FormatUint(p.hash.Text([]byte(v.Base)), 10)
	return "(CASE WHEN base = " + base + " THEN " + number(v.Prefix, v.In, "base_low", "base_high") + " ELSE " + same + " END)"
}

func (p *planner) references(values []Value) string {
	var plain []uint64
	var list []string
	for i := range values {
		for _, r := range values[i].References {
			h := p.hash.Target(r)
			if len(r.Version) == 0 {
				plain = append(plain, h)
				continue
			}
			list = append(list, fmt.Sprintf("(target = %d AND version = %d)", h, p.hash.Text(r.Version)))
		}
	}
	if plain != nil {
		list = append(list, in("target", plain))
	}
	return either(list)
}

func (p *planner) uris(l *Leaf) (string, error) {
	var plain []uint64
	var list, below []string
	for i := range l.Values {
		text := l.Values[i].Text
		switch l.Modifier {
		case ModifierBelow:
			below = append(below, "(text >= "+searchdb.Quote(text)+" AND text < "+searchdb.Quote(text+last)+")")
		case ModifierAbove:
			for j := range len(text) {
				if text[j] == '/' {
					plain = append(plain, p.hash.Text([]byte(text[:j])), p.hash.Text([]byte(text[:j+1])))
				}
			}
			plain = append(plain, p.hash.Text([]byte(text)))
		default:
			plain = append(plain, p.hash.Text([]byte(text)))
			if c := search.CanonicalOf([]byte(text)); len(c.Version) > 0 {
				list = append(list, fmt.Sprintf("(uri = %d AND version = %d)", p.hash.Text(c.URL), p.hash.Text(c.Version)))
			}
		}
	}
	if plain = slices.DeleteFunc(plain, func(h uint64) bool { return h == 0 }); len(plain) > 0 {
		list = append(list, in("uri", plain))
	}
	if below != nil {
		c, err := p.texts("uri", "value", below)
		if err != nil {
			return "", err
		}
		list = append(list, c)
	}
	return either(list), nil
}

// composite binds the components of a value: in one element, or in the resource.
func (p *planner) composite(l *Leaf, x *search.Parameter, window string) (string, error) {
	var sets []string
	for i := range l.Values {
		for j := range x.Bindings {
			set, err := p.binding(&l.Values[i], &x.Bindings[j], window)
			if err != nil {
				return "", err
			}
			sets = append(sets, set)
		}
	}
	return union(sets), nil
}

func (p *planner) binding(v *Value, b *search.Binding, window string) (string, error) {
	var whole, parts []string
	for i, terms := range b.Components {
		columns, list := "addr", &whole
		if b.Parts && !b.Whole[i] {
			columns, list = "addr, part", &parts
		}
		var rows []string
		for _, t := range terms {
			r, err := p.rows(&Leaf{Values: v.Parts[i : i+1]}, t, search.Main, columns)
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
	if len(parts) > 0 {
		set := "SELECT addr FROM (" + parts[0] + ") WHERE true"
		for _, s := range parts[1:] {
			set += " AND (addr, part) IN (" + s + ")"
		}
		whole = append([]string{set}, whole...)
	}
	for i, s := range whole {
		whole[i] = "SELECT addr FROM (" + s + ")"
	}
	return intersect(whole, nil), nil
}
