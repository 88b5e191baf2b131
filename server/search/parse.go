package search

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Limits of a query. What is beyond is refused: it would take more work than a search
// may.
const (
	maxParams = 200  // parameters
	maxValues = 5000 // values of all parameters together
	maxLinks  = 32   // hops of all chains together
	maxDepth  = 16   // hops of one chain
)

// Scope is what a search is asked of.
type Scope struct {
	Table *search.Table
	Type  r4.TypeID // 0: of all types
	Base  string    // absolute URL of the data store, without a slash at the end

	// Compartment and ID are those of a search in a compartment.
	Compartment *r4.CompartmentDefinition
	ID          string

	Strict bool // refuse what is not known (Prefer: handling=strict)
}

// unknown is a parameter that is not known or not answered. Unlike a fault in the value
// of a known one it may be ignored.
type unknown struct{ name, reason string }

func (u *unknown) Error() string { return fmt.Sprintf("parameter '%s' %s", clip(u.name), u.reason) }

func malformed(format string, args ...any) error {
	return outcome.Faultf(outcome.Malformed, format, args...)
}

// parser reads one query.
type parser struct {
	Scope
	q      *Query
	values int
	links  int
}

// Parse reads the parameters of a search. The error is a fault of the request.
func Parse(s Scope, params []Param) (*Query, error) {
	p := &parser{Scope: s, q: &Query{Base: s.Base, Result: Result{Count: defaultCount}}}
	if len(params) > maxParams {
		return nil, outcome.Faultf(outcome.TooCostly, "the search has %d parameters; at most %d are answered", len(params), maxParams)
	}
	if err := p.types(params); err != nil {
		return nil, err
	}
	if s.Compartment != nil {
		c, err := p.compartment()
		if err != nil {
			return nil, err
		}
		p.q.Conditions = append(p.q.Conditions, c)
	}
	for i, param := range params {
		if !utf8.ValidString(param.Value) || strings.Contains(param.Value, "\x00") {
			return nil, malformed("parameter '%s': its value is no text", clip(param.Name))
		}
		if slices.Contains(params[:i], param) && param.Name != "_sort" {
			continue // the same condition again
		}
		if err := p.param(param); err != nil {
			return nil, err
		}
	}
	return p.q, p.checkResult()
}

// param reads one parameter, or notes that it is ignored.
func (p *parser) param(param Param) error {
	known, err := p.resultParam(param)
	if !known && err == nil {
		if param.Value == "" {
			err = &unknown{param.Name, "has no value"}
		} else {
			var c Condition
			c, err = p.condition(p.Type, param.Name, param.Value, 0)
			if err == nil {
				c.Name = param.Name
				p.q.Conditions = append(p.q.Conditions, c)
			}
		}
	}
	if u, ok := err.(*unknown); ok {
		if p.Strict {
			return malformed("%s", u.Error())
		}
		p.q.Ignored = append(p.q.Ignored, Ignored{u.name, u.Error()})
		return nil
	}
	if err == nil {
		p.q.Kept = append(p.q.Kept, param)
	}
	return err
}

// types sets whose resources are found.
func (p *parser) types(params []Param) error {
	if p.Type != 0 {
		p.q.Types = []r4.TypeID{p.Type}
		return nil
	}
	for _, param := range params {
		if param.Name != "_type" {
			continue
		}
		if p.q.Types != nil {
			return malformed("parameter _type is given twice")
		}
		for name := range strings.SplitSeq(param.Value, ",") {
			t := r4.ResourceTypeByName([]byte(name))
			if t == 0 {
				return malformed("parameter _type: '%s' is no resource type", clip(name))
			}
			p.q.Types = append(p.q.Types, t)
		}
	}
	if p.q.Types == nil && p.Compartment != nil {
		for _, m := range p.Compartment.Members {
			p.q.Types = append(p.q.Types, m.Type)
		}
	}
	if p.q.Types == nil {
		p.q.Types = slices.Clone(r4.ResourceTypes())
	}
	slices.SortFunc(p.q.Types, func(a, b r4.TypeID) int { return strings.Compare(a.String(), b.String()) })
	p.q.Types = slices.Compact(p.q.Types)
	return nil
}

// compartment makes the condition that a resource is in the compartment: one of its
// parameters points to the resource that the compartment is of.
func (p *parser) compartment() (Condition, error) {
	c := Condition{Name: p.Compartment.Code + "/" + p.ID}
	for _, t := range p.q.Types {
		for _, code := range p.Compartment.SearchCodes(t) {
			if code == "{def}" {
				leaf := &Leaf{Types: []r4.TypeID{t}, Parameters: []*search.Parameter{p.Table.Parameter(t, "_id")}, Values: []Value{{Text: p.ID}}}
				c.Any = append(c.Any, Condition{Name: c.Name, Leaf: leaf})
				continue
			}
			param := p.Table.Parameter(t, code)
			if param == nil || param.Type != r4.SearchReference {
				continue
			}
			v := Value{References: []search.ReferenceParts{{Type: p.Compartment.Type, ID: []byte(p.ID)}, p.absolute(p.Compartment.Type, p.ID)}}
			c.Any = append(c.Any, Condition{Name: c.Name, Leaf: &Leaf{Types: []r4.TypeID{t}, Parameters: []*search.Parameter{param}, Values: []Value{v}}})
		}
	}
	if len(c.Any) == 0 {
		return c, outcome.Faultf(outcome.NotFound, "no resource of this type is in the compartment of a %s", p.Compartment.Code)
	}
	return c, nil
}

// condition reads a parameter of resources of a type, 0 being all types of the query.
func (p *parser) condition(typ r4.TypeID, name, value string, depth int) (Condition, error) {
	if depth > maxDepth {
		return Condition{}, outcome.Faultf(outcome.TooCostly, "parameter '%s': a chain of more than %d hops", clip(name), maxDepth)
	}
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return p.has(typ, name, rest, value, depth)
	}
	head, rest, chained := strings.Cut(name, ".")
	code, modifier, modified := strings.Cut(head, ":")
	if code == "_list" && !chained && !modified {
		return p.list(typ, value)
	}
	parameters := p.parameters(typ, code)
	if len(parameters) == 0 {
		if typ == 0 {
			return Condition{}, &unknown{name, "is not known for all of these types"}
		}
		return Condition{}, &unknown{name, "is not known for " + typ.String()}
	}
	if chained {
		return p.chain(parameters, name, modifier, rest, value, depth)
	}
	leaf := &Leaf{Types: p.typesOf(typ), Parameters: parameters}
	if modified {
		var err error
		if leaf.Modifier, leaf.Target, err = readModifier(name, modifier, parameters[0]); err != nil {
			return Condition{}, err
		}
	}
	if reason := notAnswered(parameters[0]); reason != "" {
		return Condition{}, &unknown{name, reason}
	}
	return Condition{Name: name, Leaf: leaf}, p.leaf(leaf, name, value)
}

// notAnswered says why a parameter that R4 defines is not answered; "" when it is.
func notAnswered(p *search.Parameter) string {
	switch p.Origin {
	case search.OriginText, search.OriginContent:
		return "is not answered: words of texts are not indexed"
	case search.OriginCreated:
		return "is not answered: the time of the first version is not indexed"
	case search.OriginQuery:
		return "is not answered"
	}
	if p.Type == r4.SearchSpecial {
		return "is not answered"
	}
	return ""
}

// parameters gives what a code means, for a type or for all of the query, which then
// must all have it.
func (p *parser) parameters(typ r4.TypeID, code string) (all []*search.Parameter) {
	for _, t := range p.typesOf(typ) {
		x := p.Table.Parameter(t, code)
		if x == nil || len(all) > 0 && (x.Type != all[0].Type || x.Origin != all[0].Origin) {
			return nil
		}
		all = append(all, x)
	}
	return all
}

// typesOf is a type, or for 0 all types of the query.
func (p *parser) typesOf(typ r4.TypeID) []r4.TypeID {
	if typ == 0 {
		return p.q.Types
	}
	return []r4.TypeID{typ}
}

var modifiers = map[string]Modifier{
	"missing": ModifierMissing, "exact": ModifierExact, "contains": ModifierContains, "not": ModifierNot, "text": ModifierText,
	"of-type": ModifierOfType, "identifier": ModifierIdentifier, "above": ModifierAbove, "below": ModifierBelow,
}

// allowed has, by type of parameter, the modifiers that are answered. Those of R4 that
// need a terminology or a hierarchy are not: in, not-in, and above and below of tokens
// and references.
var allowed = map[r4.SearchType][]Modifier{
	r4.SearchNumber:    {ModifierMissing},
	r4.SearchDate:      {ModifierMissing},
	r4.SearchString:    {ModifierMissing, ModifierExact, ModifierContains},
	r4.SearchToken:     {ModifierMissing, ModifierNot, ModifierText, ModifierOfType},
	r4.SearchReference: {ModifierMissing, ModifierIdentifier, ModifierType},
	r4.SearchQuantity:  {ModifierMissing},
	r4.SearchURI:       {ModifierMissing, ModifierAbove, ModifierBelow},
}

// readModifier reads the modifier of a parameter. One that is not answered is refused in
// any case (R4, 3.1.1.4.4).
func readModifier(name, text string, x *search.Parameter) (m Modifier, target r4.TypeID, err error) {
	m, ok := modifiers[text]
	if !ok && x.Type == r4.SearchReference {
		if target = r4.ResourceTypeByName([]byte(text)); target != 0 {
			m, ok = ModifierType, true
		}
	}
	switch {
	case !ok || !slices.Contains(allowed[x.Type], m):
		return 0, 0, malformed("parameter '%s': the modifier '%s' is not answered for this parameter", clip(name), clip(text))
	case x.Origin != search.OriginRows && m != ModifierNot:
		return 0, 0, malformed("parameter '%s': %s takes no modifier '%s'", clip(name), x.Code, clip(text))
	}
	return m, target, nil
}

// link counts a hop.
func (p *parser) link(name string) error {
	if p.links++; p.links > maxLinks {
		return outcome.Faultf(outcome.TooCostly, "parameter '%s': the search has more than %d hops", clip(name), maxLinks)
	}
	return nil
}

// chain reads what follows the point: a parameter of the resources that a reference
// points to. Where these may be of several types, all count that know it.
func (p *parser) chain(parameters []*search.Parameter, name, modifier, rest, value string, depth int) (Condition, error) {
	c := Condition{Name: name}
	var target r4.TypeID
	if modifier != "" {
		if target = r4.ResourceTypeByName([]byte(modifier)); target == 0 {
			return c, malformed("parameter '%s': '%s' is no resource type", clip(name), clip(modifier))
		}
	}
	var first error
	for _, x := range parameters {
		if x.Type != r4.SearchReference {
			return c, malformed("parameter '%s': %s is no reference", clip(name), x.Code)
		}
		targets := x.Targets
		if target != 0 {
			if len(targets) > 0 && !slices.Contains(targets, target) {
				return c, malformed("parameter '%s': %s does not point to %s", clip(name), x.Code, target)
			}
			targets = []r4.TypeID{target}
		}
		if len(targets) == 0 {
			targets = r4.ResourceTypes()
		}
		for _, t := range targets {
			inner, err := p.condition(t, rest, value, depth+1)
			if _, ok := err.(*unknown); ok {
				if first == nil {
					first = err
				}
				continue
			}
			if err != nil {
				return c, err
			}
			if err := p.link(name); err != nil {
				return c, err
			}
			c.Any = append(c.Any, Condition{Name: name, Link: &Link{Reference: x, Source: sourceOf(p, x), Target: t, Inner: inner}})
		}
	}
	switch len(c.Any) {
	case 0:
		return c, &unknown{name, "is not known: " + first.Error()}
	case 1:
		return c.Any[0], nil
	}
	return c, nil
}

// sourceOf finds the type whose parameter x is: a parameter of all types is one for each.
func sourceOf(p *parser, x *search.Parameter) r4.TypeID {
	for _, t := range r4.ResourceTypes() {
		if p.Table.Parameter(t, x.Code) == x {
			return t
		}
	}
	return 0
}

// has reads _has:Type:reference:parameter: a resource of the type that refers to the
// one looked for, and has something.
func (p *parser) has(typ r4.TypeID, name, rest, value string, depth int) (Condition, error) {
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) != 3 {
		return Condition{}, malformed("parameter '%s': expected _has:Type:reference:parameter", clip(name))
	}
	source := r4.ResourceTypeByName([]byte(parts[0]))
	if source == 0 {
		return Condition{}, malformed("parameter '%s': '%s' is no resource type", clip(name), clip(parts[0]))
	}
	x := p.Table.Parameter(source, parts[1])
	switch {
	case x == nil:
		return Condition{}, &unknown{name, "is not known: " + source.String() + " has no parameter " + clip(parts[1])}
	case x.Type != r4.SearchReference:
		return Condition{}, malformed("parameter '%s': %s is no reference", clip(name), x.Code)
	case typ != 0 && len(x.Targets) > 0 && !slices.Contains(x.Targets, typ):
		return Condition{}, malformed("parameter '%s': %s of %s does not point to %s", clip(name), x.Code, source, typ)
	}
	if err := p.link(name); err != nil {
		return Condition{}, err
	}
	inner, err := p.condition(source, parts[2], value, depth+1)
	return Condition{Name: name, Link: &Link{Reverse: true, Reference: x, Source: source, Target: typ, Inner: inner}}, err
}

// list reads _list: what is an item of the list (R4, 3.1.1.4.14).
func (p *parser) list(typ r4.TypeID, value string) (Condition, error) {
	inner, err := p.condition(r4.TypeList, "_id", value, 0)
	return Condition{Link: &Link{Reverse: true, Reference: p.Table.Parameter(r4.TypeList, "item"), Source: r4.TypeList, Target: typ, Inner: inner}}, err
}

// clip bounds what a message repeats of its input.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
