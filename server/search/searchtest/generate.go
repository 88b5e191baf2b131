package searchtest

import (
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// Generator makes searches about the resources of a store: their values are drawn from
// what is there, so most of them find something. Every prefix, modifier and kind of
// filter that Store.Search evaluates comes up. The same store and seed give the same
// searches. It belongs to one goroutine.
type Generator struct {
	store    *Store
	rand     *rand.Rand
	features query.Features
	types    []r4.TypeID               // that have resources
	sources  map[*Resource][]*Resource // that refer to a resource
}

// NewGenerator makes a generator for the resources that s has now. features are those of
// the parser: Near, ReferenceOrder and FirstStored say what is made.
func NewGenerator(s *Store, rnd *rand.Rand, features query.Features) *Generator {
	g := &Generator{store: s, rand: rnd, features: features, sources: map[*Resource][]*Resource{}}
	for _, typ := range r4.ResourceTypes() {
		list := s.types[typ]
		if len(list) > 0 {
			g.types = append(g.types, typ)
		}
		for _, x := range list {
			for _, r := range x.references {
				target := s.byKey[Key{r.Type, x.text(r.ID)}]
				if target != nil && r.URL.Empty() && !slices.Contains(g.sources[target], x) {
					g.sources[target] = append(g.sources[target], x)
				}
			}
		}
	}
	return g
}

// Search is a search as a client sends it.
type Search struct {
	Type        r4.TypeID          // 0 for all types
	Compartment *query.Compartment // nil for none
	Raw         string             // the query of the URL
}

// String gives it as a relative URL.
func (s Search) String() string {
	path := ""
	if s.Compartment != nil {
		path = s.Compartment.Type.String() + "/" + s.Compartment.ID + "/*"
	}
	if s.Type != 0 {
		path = strings.TrimSuffix(path, "*") + s.Type.String()
	}
	return path + "?" + s.Raw
}

// Request gives it to a parser, strictly.
func (s Search) Request(now time.Time) query.Request {
	return query.Request{Type: s.Type, Compartment: s.Compartment, Raw: []string{s.Raw}, Strict: true, Bases: []string{Base}, Now: now}
}

// Base is where generated searches take the resources of the store to be.
const Base = "http://localhost/r4/"

// maxHops bounds the chains that are made.
const maxHops = 3

// Next makes a search.
func (g *Generator) Next() Search {
	typ := g.types[g.rand.IntN(len(g.types))]
	x := g.resource(typ)
	s := Search{Type: typ}
	if g.oneIn(20) {
		s.Type = 0
		s.Raw = g.common(x)
		return s
	}
	if g.oneIn(12) {
		s.Compartment = g.compartment(x)
	}
	var pairs []string
	for range 1 + g.rand.IntN(3) {
		about := x
		if g.oneIn(4) {
			about = g.resource(typ)
		}
		if name, value, ok := g.condition(about, maxHops); ok {
			pairs = append(pairs, pair(name, value))
		}
	}
	if g.oneIn(3) {
		pairs = append(pairs, g.sort(typ)...)
	}
	if g.oneIn(4) {
		pairs = append(pairs, g.include(x)...)
	}
	s.Raw = strings.Join(pairs, "&")
	return s
}

func pair(name, value string) string { return url.QueryEscape(name) + "=" + url.QueryEscape(value) }

func (g *Generator) oneIn(n int) bool { return g.rand.IntN(n) == 0 }

func (g *Generator) resource(typ r4.TypeID) *Resource { return pick(g.rand, g.store.types[typ]) }

// pick gives one of a list that is not empty.
func pick[T any](rnd *rand.Rand, list []T) T { return list[rnd.IntN(len(list))] }

// common makes a search of all types, or of some.
func (g *Generator) common(x *Resource) string {
	pairs := []string{pair("_id", x.ID)}
	if g.oneIn(2) {
		pairs[0] = pair("_lastUpdated", g.prefix()+g.dateText(search.Range{Start: x.Updated, End: x.Updated + 1}))
	}
	if g.oneIn(2) {
		pairs = append(pairs, pair("_type", x.Type.String()+","+pick(g.rand, g.types).String()))
	}
	if g.oneIn(3) {
		pairs = append(pairs, pair("_sort", "-_lastUpdated,_id"))
	}
	return strings.Join(pairs, "&")
}

// compartment gives one that x may be in, nil when there is none.
func (g *Generator) compartment(x *Resource) *query.Compartment {
	var all []*query.Compartment
	for _, d := range r4.Compartments() {
		if d.Type == x.Type {
			all = append(all, &query.Compartment{Type: d.Type, ID: x.ID})
		}
		if d.SearchCodes(x.Type) == nil {
			continue
		}
		for _, target := range g.targets(x) {
			if target.Type == d.Type {
				all = append(all, &query.Compartment{Type: d.Type, ID: target.ID})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return pick(g.rand, all)
}

// targets gives the resources that x refers to.
func (g *Generator) targets(x *Resource) (all []*Resource) {
	for _, p := range g.store.Table.Parameters(x.Type) {
		if p.Type == r4.SearchReference {
			for t := range g.follow(x, p) {
				all = append(all, t)
			}
		}
	}
	return all
}

func (g *Generator) follow(x *Resource, p *search.Parameter) func(func(*Resource) bool) {
	return evaluation{g.store, &query.Query{}}.follow(x, p)
}

// condition makes a filter that x may pass.
func (g *Generator) condition(x *Resource, hops int) (name, value string, ok bool) {
	if hops > 0 && g.oneIn(4) {
		if name, value, ok = g.chain(x, hops); ok {
			return name, value, true
		}
	}
	if hops > 0 && g.oneIn(5) {
		if name, value, ok = g.has(x, hops); ok {
			return name, value, true
		}
	}
	return g.leaf(x)
}

// chain makes a filter of what x refers to.
func (g *Generator) chain(x *Resource, hops int) (name, value string, ok bool) {
	type way struct {
		p  *search.Parameter
		to *Resource
	}
	var ways []way
	for _, p := range g.store.Table.Parameters(x.Type) {
		if p.Type == r4.SearchReference {
			for t := range g.follow(x, p) {
				if takes(p, t.Type) {
					ways = append(ways, way{p, t})
				}
			}
		}
	}
	if len(ways) == 0 {
		return "", "", false
	}
	w := pick(g.rand, ways)
	name, value, ok = g.condition(w.to, hops-1)
	code := w.p.Code
	if len(w.p.Terms) != 1 || w.p.Terms[0].Target == 0 || g.oneIn(4) {
		code += ":" + w.to.Type.String()
	}
	return code + "." + name, value, ok
}

// takes tells whether a parameter is meant to refer to a type: resources may have
// references that are not.
func takes(p *search.Parameter, typ r4.TypeID) bool {
	return len(p.Targets) == 0 || slices.Contains(p.Targets, typ)
}

// has makes a filter of what refers to x.
func (g *Generator) has(x *Resource, hops int) (name, value string, ok bool) {
	sources := g.sources[x]
	if len(sources) == 0 {
		return "", "", false
	}
	from := pick(g.rand, sources)
	var codes []string
	for _, p := range g.store.Table.Parameters(from.Type) {
		if p.Type != r4.SearchReference {
			continue
		}
		for t := range g.follow(from, p) {
			if t == x && takes(p, x.Type) {
				codes = append(codes, p.Code)
				break
			}
		}
	}
	if len(codes) == 0 {
		return "", "", false
	}
	if from.Type == r4.TypeList && slices.Contains(codes, "item") && g.oneIn(2) {
		return "_list", from.ID, true
	}
	name, value, ok = g.condition(from, hops-1)
	return "_has:" + from.Type.String() + ":" + pick(g.rand, codes) + ":" + name, value, ok
}

// sort makes up to three keys.
func (g *Generator) sort(typ r4.TypeID) []string {
	var codes []string
	for _, p := range g.store.Table.Parameters(typ) {
		switch {
		case p.Origin == search.OriginText, p.Origin == search.OriginContent, p.Origin == search.OriginQuery, p.Origin == search.OriginEntities:
		case p.Origin == search.OriginCreated && g.features&query.FirstStored == 0:
		case search.KindOf(p.Type) == search.KindNone:
		case p.Type == r4.SearchReference && g.features&query.ReferenceOrder == 0:
		default:
			codes = append(codes, p.Code)
		}
	}
	var keys []string
	for range 1 + g.rand.IntN(3) {
		key := pick(g.rand, codes)
		if g.oneIn(2) {
			key = "-" + key
		}
		keys = append(keys, key)
	}
	return []string{pair("_sort", strings.Join(keys, ","))}
}

// include makes includes that x has something for.
func (g *Generator) include(x *Resource) []string {
	iterate := ""
	if g.oneIn(3) {
		iterate = ":iterate"
	}
	var list []string
	for _, p := range g.store.Table.Parameters(x.Type) {
		if p.Type != r4.SearchReference {
			continue
		}
		for t := range g.follow(x, p) {
			list = append(list, pair("_include"+iterate, x.Type.String()+":"+p.Code))
			if takes(p, t.Type) {
				list = append(list, pair("_include"+iterate, x.Type.String()+":"+p.Code+":"+t.Type.String()))
			}
		}
	}
	for _, from := range g.sources[x] {
		for _, p := range g.store.Table.Parameters(from.Type) {
			if p.Type != r4.SearchReference {
				continue
			}
			for t := range g.follow(from, p) {
				if t == x && takes(p, x.Type) {
					list = append(list, pair("_revinclude"+iterate, from.Type.String()+":"+p.Code))
				}
			}
		}
	}
	list = append(list, pair("_include", "*"), pair("_include"+iterate, x.Type.String()+":*"))
	return []string{pick(g.rand, list), pick(g.rand, list)}
}
