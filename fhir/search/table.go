package search

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Origin tells where the values of a parameter come from.
type Origin uint8

// The origins. All but OriginRows are of parameters that have no rows in the index.
const (
	OriginRows     Origin = iota // from rows that stages/index extracts
	OriginID                     // _id: the logical id under which the resource is stored
	OriginUpdated                // _lastUpdated: when the current version was stored; what a resource says of it is replaced
	OriginCreated                // createdAt: when version 1 was stored
	OriginText                   // _text: words of the narrative, which are no rows
	OriginContent                // _content: words of all texts of the resource, which are no rows
	OriginQuery                  // _query, _filter: a search of its own
	OriginEntities               // what NLP found in the texts of the resource, which has rows of its own
)

// Parameter is a search parameter of one resource type.
type Parameter struct {
	*r4.SearchParameter // the caller must not change it
	Custom              bool
	Origin              Origin
	Terms               []Term    // whose values it matches, any of them; none for a composite
	Bindings            []Binding // of a composite: any may match
	Entities            *Entities // with OriginEntities, a composite or not; it has no terms and no bindings
}

// Fault is why a search parameter cannot be offered.
type Fault struct {
	URL     string // canonical URL of its definition
	Code    string
	Element string // of the SearchParameter resource that is at fault
	Reason  string
}

// Error makes a Fault an error.
func (f Fault) Error() string {
	return fmt.Sprintf("search parameter %s (%s): %s", f.URL, f.Code, f.Reason)
}

// Table is the registry of the search parameters of all resource types with the
// groups that they share. It is immutable and safe for many goroutines.
type Table struct {
	types map[r4.TypeID]*typeTable
}

type typeTable struct {
	byCode map[string]*Parameter
	all    []*Parameter // sorted by code
	groups []*Group     // in the order of first use
	byText map[string]*Group
	custom bool // the parameters that are being added are custom ones
}

// R4 gives the table of R4's own parameters, and of createdAt and those of what NLP finds.
func R4() *Table { return r4Table() }

var r4Table = sync.OnceValue(func() *Table {
	t, faults := NewTable(nil, nil)
	if len(faults) > 0 {
		panic(faults[0])
	}
	return t
})

// createdAt is HealthLake's: when the first version was stored.
var createdAt = r4.SearchParameter{Code: "createdAt", Base: r4.TypeResource, Type: r4.SearchDate}

// origins of the parameters that have no rows, by URL.
var origins = map[string]Origin{
	"http://hl7.org/fhir/SearchParameter/Resource-id":          OriginID,
	"http://hl7.org/fhir/SearchParameter/Resource-lastUpdated": OriginUpdated,
	"http://hl7.org/fhir/SearchParameter/DomainResource-text":  OriginText,
	"http://hl7.org/fhir/SearchParameter/Resource-content":     OriginContent,
	"http://hl7.org/fhir/SearchParameter/Resource-query":       OriginQuery,
	"http://hl7.org/fhir/SearchParameter/filter":               OriginQuery,
}

// NewTable makes the table of R4's parameters and custom ones. One with the URL and
// base of a parameter of R4 takes its place. A custom parameter that cannot be had is
// left out and told as a fault; the others are there. check tells, as stages/index
// does, whether a group of a custom parameter can be evaluated; nil asks for no check.
func NewTable(custom []r4.SearchParameter, check func(typ r4.TypeID, g *Group) error) (*Table, []Fault) {
	b := builder{check: check, custom: map[r4.TypeID][]*r4.SearchParameter{}, byURL: map[string]*r4.SearchParameter{}, faulty: map[string]bool{}}
	for i := range custom {
		b.custom[custom[i].Base] = append(b.custom[custom[i].Base], &custom[i])
		b.byURL[custom[i].URL] = &custom[i]
	}
	t := &Table{types: map[r4.TypeID]*typeTable{}}
	for _, typ := range r4.ResourceTypes() {
		t.types[typ] = b.typeTable(typ)
	}
	if faults := t.collisions(); len(faults) > 0 {
		b.faults = append(b.faults, faults...)
	}
	return t, b.faults
}

// Parameter gives the parameter of a type that a code names, or nil.
func (t *Table) Parameter(typ r4.TypeID, code string) *Parameter {
	if tt := t.types[typ]; tt != nil {
		return tt.byCode[code]
	}
	return nil
}

// Parameters gives the parameters of a type, sorted by code. The caller must not
// change them.
func (t *Table) Parameters(typ r4.TypeID) []*Parameter {
	if tt := t.types[typ]; tt != nil {
		return tt.all
	}
	return nil
}

// Groups gives the groups that the parameters of a type have values in. The caller
// must not change them.
func (t *Table) Groups(typ r4.TypeID) []*Group {
	if tt := t.types[typ]; tt != nil {
		return tt.groups
	}
	return nil
}

// CustomGroups gives the groups of a parameter that no parameter of R4 has.
func (p *Parameter) CustomGroups() (all []*Group) {
	for _, t := range p.terms() {
		if t.group.Custom && !slices.Contains(all, t.group) {
			all = append(all, t.group)
		}
	}
	return all
}

// Only gives a table with some of the groups and without parameters, for stages/index:
// what is extracted of a group does not depend on the others (invariant 4).
func (t *Table) Only(keep func(typ r4.TypeID, g *Group) bool) *Table {
	some := &Table{types: map[r4.TypeID]*typeTable{}}
	for typ, tt := range t.types {
		x := &typeTable{}
		for _, g := range tt.groups {
			if keep(typ, g) {
				x.groups = append(x.groups, g)
			}
		}
		some.types[typ] = x
	}
	return some
}

// Numbers yields all group numbers of the table with their texts.
func (t *Table) Numbers() map[GroupID][]string {
	all := map[GroupID][]string{}
	add := func(id GroupID, text string) {
		if !slices.Contains(all[id], text) {
			all[id] = append(all[id], text)
		}
	}
	for _, tt := range t.types {
		for _, g := range tt.groups {
			for _, f := range g.facets() {
				add(g.ID(f), g.text()+facetNames[f])
			}
			for _, target := range g.Targets {
				add(g.IdentifiersOf(target), g.text()+facetNames[FacetIdentifier]+":"+target.String())
			}
		}
	}
	return all
}

// collisions takes out custom parameters whose group has the number of another.
func (t *Table) collisions() (faults []Fault) {
	clash := map[string]bool{}
	for _, texts := range t.Numbers() {
		if len(texts) > 1 {
			for _, text := range texts {
				text, _, _ = strings.Cut(text, "#")
				clash[text] = true
			}
		}
	}
	if len(clash) == 0 {
		return nil
	}
	for _, typ := range r4.ResourceTypes() {
		tt := t.types[typ]
		for _, p := range tt.all {
			if p.Custom && slices.ContainsFunc(p.terms(), func(m Term) bool { return clash[m.group.text()] }) {
				delete(tt.byCode, p.Code)
				faults = append(faults, Fault{p.URL, p.Code, "expression", "its values have the same number as those of another parameter; write its expression another way"})
			}
		}
		tt.sort()
	}
	return faults
}

// terms gives all terms of a parameter, those of components too.
func (p *Parameter) terms() []Term {
	all := slices.Clone(p.Terms)
	for _, b := range p.Bindings {
		all = append(all, slices.Concat(b.Components...)...)
	}
	return all
}

func (tt *typeTable) sort() {
	tt.all = slices.SortedFunc(maps.Values(tt.byCode), func(a, b *Parameter) int { return cmp.Compare(a.Code, b.Code) })
}

// builder makes the tables of the types.
type builder struct {
	check  func(typ r4.TypeID, g *Group) error
	custom map[r4.TypeID][]*r4.SearchParameter // by base
	byURL  map[string]*r4.SearchParameter      // custom ones
	faulty map[string]bool                     // by URL
	faults []Fault
}

func (b *builder) fault(p *r4.SearchParameter, element, reason string) {
	if !b.faulty[p.URL] {
		b.faulty[p.URL] = true
		b.faults = append(b.faults, Fault{p.URL, p.Code, element, reason})
	}
}

func (b *builder) typeTable(typ r4.TypeID) *typeTable {
	tt := &typeTable{byCode: map[string]*Parameter{}, byText: map[string]*Group{}}
	replaced := map[string]*r4.SearchParameter{} // custom ones, by URL
	for t := typ; t != 0; t = r4.TypeAt(t).Base {
		for _, p := range b.custom[t] {
			replaced[p.URL] = p
		}
	}
	for p := range r4.AllSearchParameters(typ) {
		if replaced[p.URL] != nil || tt.byCode[p.Code] != nil {
			continue
		}
		if q := b.parameter(tt, typ, p, false); q != nil {
			tt.byCode[p.Code] = q
		}
	}
	tt.byCode[createdAt.Code] = b.parameter(tt, typ, &createdAt, false)
	for _, p := range entityParameters {
		if p.Base == typ {
			tt.byCode[p.Code] = p
		}
	}
	tt.custom = true
	for t := typ; t != 0; t = r4.TypeAt(t).Base {
		for _, p := range b.custom[t] {
			if other := tt.byCode[p.Code]; other != nil {
				b.fault(p, "code", "the code "+p.Code+" of "+typ.String()+" belongs to "+cmp.Or(other.URL, "fhirlake")+" already")
				continue
			}
			if q := b.parameter(tt, typ, p, true); q != nil {
				tt.byCode[p.Code] = q
			}
		}
	}
	tt.sort()
	return tt
}

// parameter makes a parameter with its terms; nil when it cannot be had.
func (b *builder) parameter(tt *typeTable, typ r4.TypeID, p *r4.SearchParameter, custom bool) *Parameter {
	known := len(tt.groups)
	q := b.assemble(tt, typ, p, custom)
	if q != nil && custom && b.check != nil {
		for _, g := range tt.groups[known:] {
			if err := b.check(typ, g); err != nil {
				b.fault(p, "expression", err.Error())
				q = nil
				break
			}
		}
	}
	if q == nil {
		for _, g := range tt.groups[known:] {
			delete(tt.byText, g.text())
		}
		tt.groups = tt.groups[:known]
	}
	return q
}

func (b *builder) assemble(tt *typeTable, typ r4.TypeID, p *r4.SearchParameter, custom bool) *Parameter {
	q := &Parameter{SearchParameter: p, Custom: custom, Origin: origins[p.URL]}
	if p == &createdAt {
		q.Origin = OriginCreated
	}
	if q.Origin != OriginRows {
		return q
	}
	if p.Expression == "" {
		b.fault(p, "expression", "it has no expression")
		return nil
	}
	if p.Type == r4.SearchComposite {
		if q.Bindings = b.bindings(tt, typ, p); q.Bindings == nil {
			return nil
		}
		return q
	}
	kind := KindOf(p.Type)
	if p.Code == "near" && p.Type == r4.SearchSpecial { // Location.position: see FacetLatitude
		kind = KindNumber
	}
	if kind == KindNone {
		b.fault(p, "type", "its type is not offered for custom parameters")
		return nil
	}
	for _, term := range union(p.Expression) {
		q.Terms = append(q.Terms, tt.term(kind, typ, p, path(term, typ.String())))
	}
	return q
}

// bundled is what two parameters of Bundle have; each means one type of resource.
const bundled = "Bundle.entry[0].resource"

// term finds or makes the group of a path.
func (tt *typeTable) term(kind Kind, typ r4.TypeID, p *r4.SearchParameter, path string) Term {
	var to r4.TypeID
	if kind == KindReference && tt.custom {
		short, to := target(path)
		g := tt.group(kind, path, p)
		if to != 0 { // the group of short may be indexed without the identifiers of this type
			g.Expression, g.Targets = short, []r4.TypeID{to}
		}
		return Term{Kind: kind, Target: to, group: g}
	}
	if kind == KindReference {
		if path, to = target(path); path == bundled && len(p.Targets) == 1 {
			to = p.Targets[0]
		}
	}
	g := tt.group(kind, path, p)
	if to != 0 && !slices.Contains(g.Targets, to) {
		g.Targets = append(g.Targets, to)
	}
	return Term{Kind: kind, Target: to, group: g}
}

func (tt *typeTable) group(kind Kind, path string, p *r4.SearchParameter) *Group {
	g := &Group{Kind: kind, Path: path, Expression: path, URL: p.URL, Code: p.Code, Custom: tt.custom}
	if known := tt.byText[g.text()]; known != nil {
		return known
	}
	for f, name := range facetNames {
		g.ids[f] = groupID(g.text() + name)
	}
	tt.byText[g.text()] = g
	tt.groups = append(tt.groups, g)
	return g
}

// bindings makes those of a composite: one for each term of its expression.
func (b *builder) bindings(tt *typeTable, typ r4.TypeID, p *r4.SearchParameter) (all []Binding) {
	components := b.components(p)
	if components == nil {
		return nil
	}
	own := ""
	if tt.custom {
		// The numbers of elements are those of one extraction, so the groups of a composite
		// are to be extracted together.
		own = " of " + p.URL
		for _, c := range components {
			own += "; " + KindOf(c.Type).String() + " " + c.Expression
		}
	}
	for _, term := range union(p.Expression) {
		focus := path(term, typ.String())
		x := Binding{Parts: focus != typ.String(), Whole: make([]bool, len(components))}
		for i, c := range components {
			var terms []Term
			for _, part := range union(c.Expression) {
				rest, whole := strings.CutPrefix(part, "%resource.")
				switch part = path(part, ""); {
				case whole:
					x.Whole[i] = true
					terms = append(terms, tt.term(KindOf(c.Type), typ, p, path(rest, typ.String())))
				case !x.Parts:
					terms = append(terms, tt.term(KindOf(c.Type), typ, p, path(part, typ.String())))
				default:
					terms = append(terms, tt.part(KindOf(c.Type), focus, part, own, p))
				}
			}
			x.Components = append(x.Components, terms)
		}
		all = append(all, x)
	}
	return all
}

// part finds or makes the group of what a component gives from the items of focus. own
// makes it one that no other parameter has.
func (tt *typeTable) part(kind Kind, focus, expression, own string, p *r4.SearchParameter) Term {
	whole := focus + "." + expression
	if own != "" || !isPath(expression) {
		whole = focus + ".select(" + expression + ")" + own
	}
	g := tt.group(kind, whole, p)
	if g.Focus == "" {
		g.Focus, g.Expression = focus, expression
	}
	return Term{Kind: kind, group: g}
}

// relationship has, in R4, the expressions of its two components the wrong way
// round: the reference is `code` and the code is `target`.
const relationship = "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"

// components gives those of a composite with the types of their parameters; nil when
// it cannot be had.
func (b *builder) components(p *r4.SearchParameter) []r4.SearchComponent {
	if len(p.Components) == 0 {
		b.fault(p, "component", "it is a composite without components")
		return nil
	}
	list := slices.Clone(p.Components)
	for i := range list {
		c := &list[i]
		if c.Type == r4.SearchNone {
			q := b.byURL[c.URL]
			if q == nil {
				q = definitionOf(c.URL)
			}
			if q == nil {
				b.fault(p, "component", "its component "+c.URL+" is not known")
				return nil
			}
			c.Code, c.Type = q.Code, q.Type
		}
		if KindOf(c.Type) == KindNone || c.Expression == "" {
			b.fault(p, "component", "its component "+c.URL+" is of a type that composites do not have, or has no expression")
			return nil
		}
	}
	if p.URL == relationship && list[0].Expression == "code" {
		list[0].Expression, list[1].Expression = list[1].Expression, list[0].Expression
	}
	return list
}

// definitionOf finds a parameter of R4 by its URL.
func definitionOf(url string) *r4.SearchParameter {
	for t := range r4.TypeID(r4.NumTypes()) {
		own := r4.SearchParameters(t)
		for i := range own {
			if own[i].URL == url {
				return &own[i]
			}
		}
	}
	return nil
}
