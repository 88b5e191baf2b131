package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// finder answers one query at one moment.
type finder struct {
	x *Index
	*moment
	q       *query.Query
	plan    planner
	aside   *aside
	words   map[r4.TypeID][]query.Words // what the texts of a resource must have, by type; nil for nothing
	scanned int                         // resources whose texts were looked into
	links   bool                        // the query has chains, or _has
	looked  map[string][]uint64         // what lookup found, by its query
	part    string                      // what is being worked out, for the fault of a search that takes too long
	explain bool
	log     []string // the SQL texts, when they are asked for
}

func (x *Index) newFinder(ctx context.Context, m *moment, q *query.Query) (*finder, error) {
	f := &finder{x: x, moment: m, q: q, part: "reading the index", words: wordsOf(q), looked: map[string][]uint64{}}
	hash, err := postings.NewHasher(x.o.Secret)
	if err != nil {
		return nil, err
	}
	f.plan = planner{q: q, schema: m.db.Schema(), hash: hash, bases: []uint64{0}}
	for _, base := range q.Bases {
		f.plan.bases = append(f.plan.bases, hash.Text([]byte(base)))
	}
	f.plan.lookup = func(text string) ([]uint64, bool, error) { return f.lookup(ctx, text) }
	f.aside = &aside{finder: f, ctx: ctx}
	f.plan.aside = f.aside
	if err := f.aside.countFound(); err != nil {
		return nil, err
	}
	var types []r4.TypeID
	for i := range q.Selects {
		types = linked(q.Selects[i].Where, types)
	}
	if f.links = len(types) > 0; f.links {
		f.plan.alive, err = m.aliveSQL(ctx, x.o.Lake.Snapshot(), types)
	}
	return f, err
}

// linked lists the types of the resources that chains go through.
func linked(filters []query.Filter, types []r4.TypeID) []r4.TypeID {
	through := func(s *query.Select) {
		if !slices.Contains(types, s.Type) {
			types = append(types, s.Type)
		}
		types = linked(s.Where, types)
	}
	for _, f := range filters {
		switch f := f.(type) {
		case query.Chain:
			for i := range f.To {
				through(&f.To[i])
			}
		case query.Has:
			through(&f.From)
		case query.AllOf:
			types = linked(f, types)
		case query.AnyOf:
			types = linked(f, types)
		}
	}
	return types
}

// run runs a query of the state.
func (f *finder) run(ctx context.Context, text string) (*searchdb.Rows, error) {
	if f.explain {
		f.log = append(f.log, text)
	}
	return f.db.Query(ctx, text)
}

// maxLookup is how many hashes are made a list: DuckDB prunes by them.
const maxLookup = 500

// lookup finds the hashes that a query of a dictionary gives. It asks once: SQL is made
// anew for each window.
func (f *finder) lookup(ctx context.Context, text string) (hashes []uint64, ok bool, err error) {
	if hashes, ok := f.looked[text]; ok {
		return hashes, len(hashes) <= maxLookup, nil
	}
	defer func() {
		if err == nil {
			f.looked[text] = hashes
		}
	}()
	rows, err := f.run(ctx, fmt.Sprintf("%s LIMIT %d", text, maxLookup+1))
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var h uint64
		if err := rows.Scan(&h); err != nil {
			return nil, false, err
		}
		hashes = append(hashes, h)
	}
	return hashes, len(hashes) <= maxLookup, rows.Err()
}

// addresses runs a query that gives addresses.
func (f *finder) addresses(ctx context.Context, text string) (list []postings.Address, err error) {
	rows, err := f.run(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a uint64
		if err := rows.Scan(&a); err != nil {
			return nil, err
		}
		list = append(list, postings.Address(a))
	}
	return list, rows.Err()
}

// span is a run of addresses of one segment, with both ends.
type span struct{ from, to postings.Address }

// spans are the addresses that resources of the query may have, after one, in order.
func (f *finder) spans(after postings.Address) (all []span) {
	add := func(from, to postings.Address) {
		if from = max(from, after+1); from <= to {
			all = append(all, span{from, to})
		}
	}
	for _, seg := range f.segments {
		if slices.ContainsFunc(f.q.Selects, func(s query.Select) bool { return s.Type.String() == seg.ResourceType }) {
			// Rows count from 0, and after from -1: the first address of all is
			// never asked for with an after.
			from := postings.At(seg.Ordinal, 0)
			if after == noAddress {
				all = append(all, span{from, postings.At(seg.Ordinal, uint32(seg.Rows-1))})
				continue
			}
			add(from, postings.At(seg.Ordinal, uint32(seg.Rows-1)))
		}
	}
	if f.changes > f.floor {
		if after == noAddress {
			after = 0
		}
		add(ofChange(f.floor+1), ofChange(f.changes))
	}
	return all
}

// noAddress is the address before the first.
const noAddress = postings.Address(math.MaxUint64)

// Windows grow until a page is full (docs/decisions/0034).
const (
	firstWindow  = 64 << 10 // addresses
	windowGrowth = 16
)

// window takes spans of some addresses off the front.
func window(spans []span, size int64) (w span, rest []span) {
	w = spans[0]
	for i := range spans {
		s := &spans[i]
		if n := int64(s.to-s.from) + 1; n > size {
			w.to = s.from + postings.Address(size) - 1
			s.from = w.to + 1
			return w, spans[i:]
		} else {
			size -= n
		}
		w.to = s.to
		if size == 0 {
			return w, spans[i+1:]
		}
	}
	return w, nil
}

// simple tells whether the index gives the result in the order of addresses without
// working out all of it.
func simple(q *query.Query) bool {
	if len(q.Selects) != 1 {
		return false
	}
	where := q.Selects[0].Where
	switch len(where) {
	case 0:
		return true
	case 1:
		m, ok := where[0].(query.Match)
		return ok && !m.Not && len(m.Values) == 1 && len(m.Param.Bindings) == 0 && m.Param.Origin == search.OriginRows
	}
	all := together(where, 0)
	return len(all) == len(where) && !slices.ContainsFunc(all, func(m query.Match) bool { return len(m.Values) != 1 })
}

// ordered gives the table and the condition of the rows that match, when these lie in
// each part of the table in the order of their addresses: those of one hash do.
func (f *finder) ordered() (table, where string, ok bool, err error) {
	if !simple(f.q) || len(f.q.Selects[0].Where) != 1 {
		return "", "", false, nil
	}
	m := f.q.Selects[0].Where[0].(query.Match) // as simple says
	if len(m.Param.Terms) != 1 || m.Param.Type == r4.SearchSpecial || !f.plan.ownGroups(m.Param, f.q.Selects[0].Type) {
		return "", "", false, nil
	}
	t := m.Param.Terms[0]
	where, ok, err = f.plan.anyOf(m.Values, t, m.Facet)
	return m.Facet.Kind(t.Kind).String(), f.plan.group(t, m.Facet) + " AND " + where, ok, err
}

// orderedText is a query of the first addresses behind one, of rows that lie in order:
// DuckDB keeps the order of a table and reads no further than the limit.
func (f *finder) orderedText(table, where string, after postings.Address, limit int) string {
	if after != noAddress {
		where += fmt.Sprintf(" AND addr > %d", after)
	}
	added, files := f.db.Parts(table)
	var parts []string
	for _, name := range added {
		parts = append(parts, fmt.Sprintf("(SELECT addr FROM %s WHERE %s ORDER BY addr LIMIT %d)", name, where, limit))
	}
	for _, name := range files {
		parts = append(parts, fmt.Sprintf("(SELECT addr FROM %s WHERE %s LIMIT %d)", name, where, limit))
	}
	return fmt.Sprintf("SELECT addr FROM (%s) ORDER BY addr LIMIT %d", strings.Join(parts, " UNION ALL "), limit)
}

// page finds the current resources behind an address that match, at most limit of them,
// in the order of addresses. More tells that there may be others.
func (f *finder) page(ctx context.Context, after postings.Address, limit int) (found []postings.Address, more bool, err error) {
	f.part = "finding what matches " + f.names()
	table, where, ordered, err := f.ordered()
	if err != nil {
		return nil, false, err
	}
	entities, onlyEntities := alone(f.q)
	spans := f.spans(after)
	size := int64(firstWindow)
	columns := "DISTINCT addr"
	switch {
	case simple(f.q):
		size, columns = math.MaxInt64, "addr" // few rows more are less than what sorts out all
	case f.links:
		size = math.MaxInt64 // the other ends of references are what costs, in each window anew
	}
	extra := 16
	for len(spans) > 0 {
		var w span
		w, spans = window(spans, size)
		if size < math.MaxInt64/windowGrowth {
			size *= windowGrowth
		}
		for {
			want := limit - len(found) + extra
			f.plan.window, f.plan.span = fmt.Sprintf(" AND addr >= %d AND addr <= %d", w.from, w.to), &span{w.from, w.to}
			var text string
			switch {
			case ordered:
				text = f.orderedText(table, where, after, want)
			case onlyEntities:
				want *= entityRows
				if text, err = f.plan.foundFirst(entities, want); err != nil {
					return nil, false, err
				}
			default:
				set, err := f.plan.all()
				if err != nil {
					return nil, false, err
				}
				text = fmt.Sprintf("SELECT %s FROM (%s) ORDER BY addr LIMIT %d", columns, set, want)
			}
			list, err := f.addresses(ctx, text)
			if err != nil {
				return nil, false, err
			}
			full := len(list) == want
			var last postings.Address
			if full {
				last = list[len(list)-1]
			}
			alive, err := f.keepAlive(f.x.o.Lake.Snapshot(), slices.Compact(list))
			if err == nil {
				alive, err = f.keepWords(ctx, alive, f.words)
			}
			if err != nil {
				return nil, false, err
			}
			for _, a := range alive {
				if len(found) == limit {
					return found, true, nil
				}
				found = append(found, a)
			}
			if !full || last == w.to {
				break
			}
			w.from, after = last+1, last
			extra = min(extra*4, 64<<10) // there are many that are not current
		}
	}
	return found, false, nil
}

// names lists the parameters of the query, without their values.
func (f *finder) names() string {
	var names []string
	for i := range f.q.Selects {
		names = codes(f.q.Selects[i].Where, names)
	}
	if len(names) == 0 {
		return "all resources"
	}
	return strings.Join(names, ", ")
}

// codes lists the parameters of filters.
func codes(filters []query.Filter, names []string) []string {
	add := func(code string) {
		if !slices.Contains(names, code) {
			names = append(names, code)
		}
	}
	for _, f := range filters {
		switch f := f.(type) {
		case query.Match:
			add(f.Param.Code)
		case query.Missing:
			add(f.Param.Code + ":missing")
		case query.Chain:
			for i := range f.To {
				for _, inner := range codes(f.To[i].Where, nil) {
					add(f.Param.Code + "." + inner)
				}
			}
		case query.Has:
			for _, inner := range codes(f.From.Where, nil) {
				add("_has:" + f.From.Type.String() + ":" + f.Param.Code + ":" + inner)
			}
		case query.AllOf:
			names = codes(f, names)
		case query.AnyOf:
			names = codes(f, names)
		case query.Words:
			if f.Content {
				add("_content")
			} else {
				add("_text")
			}
		case query.ID:
			add("_id")
		case query.Stored:
			if f.First {
				add("createdAt")
			} else {
				add("_lastUpdated")
			}
		}
	}
	return names
}

// total counts the current resources that match.
func (f *finder) total(ctx context.Context) (n int64, err error) {
	f.part = "counting what matches " + f.names()
	f.plan.window = ""
	set, err := f.plan.all()
	if err != nil {
		return 0, err
	}
	if f.words != nil {
		err := f.eachChunk(ctx, set, func(list []postings.Address) error {
			kept, err := f.keepWords(ctx, list, f.words)
			n += int64(len(kept))
			return err
		})
		return n, err
	}
	err = f.eachSegment(ctx, set, func(segment uint32, rows *roaring.Bitmap) error {
		alive, err := f.countAlive(f.x.o.Lake.Snapshot(), segment, rows)
		n += alive
		return err
	})
	return n, err
}

// eachSegment calls each with the rows of a set by their segments, current or not.
func (f *finder) eachSegment(ctx context.Context, set string, each func(segment uint32, rows *roaring.Bitmap) error) error {
	rowsOf := int64(f.changes) + 1
	for _, seg := range f.segments {
		rowsOf = max(rowsOf, seg.Rows)
	}
	bits := (rowsOf + 7) / 8 * 8 // whole bytes
	rows, err := f.run(ctx, fmt.Sprintf(
		"SELECT (addr >> 32)::UINTEGER, bitstring_agg((addr & 4294967295)::UINTEGER, 0, %d)::BLOB FROM (%s) WHERE (addr & 4294967295) < %d GROUP BY 1", bits-1, set, bits))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var segment uint32
		var text []byte
		if err := rows.Scan(&segment, &text); err != nil {
			return err
		}
		if err := each(segment, bitmap(text)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bitmap reads a bit string: the first bit is the highest of the first byte.
func bitmap(text []byte) *roaring.Bitmap {
	b := roaring.New()
	var list []uint32
	for i, c := range text {
		for j := 0; c != 0; j++ {
			if c&0x80 != 0 {
				list = append(list, uint32(i)*8+uint32(j))
			}
			c <<= 1
		}
	}
	b.AddMany(list)
	return b
}

// sorted finds what matches in the order of the sort keys, behind the first skip of
// them. It gives how many it passed, so that the next page goes on there.
func (f *finder) sorted(ctx context.Context, skip, limit int) (found []postings.Address, passed int, more bool, err error) {
	f.part = "sorting what matches " + f.names()
	t, err := f.plan.top()
	if err != nil {
		return nil, 0, false, err
	}
	all := ""
	extra := 16
	for passed = skip; ; {
		want := limit - len(found) + extra
		if t == nil && all == "" {
			if all, err = f.allInOrder(); err != nil {
				return nil, 0, false, err
			}
		}
		text := fmt.Sprintf("%s LIMIT %d OFFSET %d", all, want, passed)
		if t != nil {
			text = f.topText(t, passed, want)
		}
		list, err := f.addresses(ctx, text)
		if err != nil {
			return nil, 0, false, err
		}
		if t != nil && !t.whole && len(list) < want {
			// What has no value comes next: from here on in the order of everything,
			// which begins alike.
			t = nil
			continue
		}
		wanted, err := f.wanted(ctx, list)
		if err != nil {
			return nil, 0, false, err
		}
		for i, a := range list {
			if wanted[i] && len(found) == limit {
				return found, passed, true, nil
			}
			if wanted[i] {
				found = append(found, a)
			}
			passed++
		}
		if len(list) < want {
			return found, passed, false, nil
		}
		extra = min(extra*4, 64<<10)
	}
}

// wanted tells of each address whether its resource is current and has the words that are
// asked for.
func (f *finder) wanted(ctx context.Context, list []postings.Address) ([]bool, error) {
	kept, err := f.keepAlive(f.x.o.Lake.Snapshot(), slices.Clone(list))
	if err == nil {
		kept, err = f.keepWords(ctx, kept, f.words)
	}
	wanted := make([]bool, len(list))
	for i, a := range list { // what is kept is in the order of the list
		if len(kept) > 0 && kept[0] == a {
			wanted[i], kept = true, kept[1:]
		}
	}
	return wanted, err
}

// allInOrder is a query of everything that matches in the order of the sort keys.
func (f *finder) allInOrder() (string, error) {
	f.plan.window = f.bounds() // what is written meanwhile would move what is passed
	set, err := f.plan.all()
	if err != nil {
		return "", err
	}
	return f.plan.order(set)
}

// order is a query of the addresses of a set in the order of the sort keys. Values that
// a resource has several of sort by the least, falling by the greatest; resources without
// one come last; equal ones are in the order of their addresses (R4, 3.1.1.5.2).
func (p *planner) order(set string) (string, error) {
	var with, joins, keys []string
	with = append(with, "c AS MATERIALIZED (SELECT DISTINCT addr FROM ("+set+"))")
	for i, k := range p.q.Selects[0].Sort {
		name := fmt.Sprintf("k%d", i)
		rows, err := p.sortValues(i, set)
		if err != nil {
			return "", err
		}
		least, direction := "min", "ASC"
		if k.Descending {
			least, direction = "max", "DESC"
		}
		with = append(with, fmt.Sprintf("%s AS (SELECT addr, %s(v) AS v FROM (%s) WHERE addr IN (SELECT addr FROM c) GROUP BY addr)", name, least, rows))
		joins = append(joins, " LEFT JOIN "+name+" ON "+name+".addr = c.addr")
		keys = append(keys, name+".v "+direction+" NULLS LAST, ")
	}
	return "WITH " + strings.Join(with, ", ") + " SELECT c.addr FROM c" + strings.Join(joins, "") +
		" ORDER BY " + strings.Join(keys, "") + "c.addr", nil
}

// sortValues are addresses with the values v that sort key i sorts by.
func (p *planner) sortValues(i int, set string) (string, error) {
	switch p.q.Selects[0].Sort[i].Param.Origin {
	case search.OriginID:
		return "SELECT addr, id AS v" + p.from("resource"), nil
	case search.OriginUpdated:
		return "SELECT addr, updated AS v" + p.from("resource"), nil
	case search.OriginCreated:
		var types []r4.TypeID
		for s := range p.q.Selects {
			types = append(types, p.q.Selects[s].Type)
		}
		rows, err := p.aside.created(types)
		return "SELECT addr, stored AS v FROM " + rows, err
	}
	var sets []string
	for s := range p.q.Selects {
		k := p.q.Selects[s].Sort[i]
		for _, t := range k.Param.Terms {
			where := "WHERE " + p.group(t, search.Main)
			from := p.from(t.Kind.String())
			switch t.Kind {
			case search.KindToken:
				sets = append(sets, "SELECT addr, text AS v"+from+"JOIN "+p.schema+`."value" ON hash = code `+where)
			case search.KindString:
				sets = append(sets, "SELECT addr, folded AS v"+from+"JOIN "+p.schema+`."words" ON hash = words `+where+" AND NOT later")
			case search.KindURI:
				sets = append(sets, "SELECT addr, text AS v"+from+"JOIN "+p.schema+`."value" ON hash = uri `+where)
			case search.KindDate, search.KindNumber, search.KindQuantity:
				bound := "low"
				if k.Descending {
					bound = "high"
				}
				sets = append(sets, "SELECT addr, "+bound+" AS v"+from+where)
			case search.KindReference:
				rows, err := p.referenceOrder(set, t)
				if err != nil {
					return "", err
				}
				sets = append(sets, rows)
			default:
				return "", notIndexed("_sort by " + k.Param.Code)
			}
		}
	}
	return strings.Join(sets, " UNION ALL "), nil
}
