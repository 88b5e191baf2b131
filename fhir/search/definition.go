package search

import (
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

var searchTypes = map[string]r4.SearchType{
	"number": r4.SearchNumber, "date": r4.SearchDate, "string": r4.SearchString, "token": r4.SearchToken,
	"reference": r4.SearchReference, "composite": r4.SearchComposite, "quantity": r4.SearchQuantity,
	"uri": r4.SearchURI, "special": r4.SearchSpecial,
}

// Definition reads a SearchParameter resource, the node root of t: one parameter for
// each of its base types, for [NewTable]. A definition that cannot be one is a [Fault]
// with its reason. The result does not alias the tree.
func Definition(t *fhir.Tree, root fhir.NodeID) ([]r4.SearchParameter, error) {
	d := definition{t, root}
	p := r4.SearchParameter{
		Code:       d.text("code"),
		URL:        d.text("url"),
		Type:       searchTypes[d.text("type")],
		Expression: d.text("expression"),
		Usage:      d.text("xpathUsage"),
	}
	fault := func(element, reason string) error { return Fault{p.URL, p.Code, element, reason} }
	switch {
	case t.Nodes[root].Type != r4.TypeSearchParameter:
		return nil, fault("", "it is no SearchParameter resource")
	case p.URL == "":
		return nil, fault("url", "it has no url")
	case p.Code == "" || strings.ContainsAny(p.Code, ":.&=$|, \t\r\n") || p.Code[0] == '_':
		return nil, fault("code", "its code '"+fhir.Cut(p.Code)+"' is empty, begins with _ or has a character that a search has another use for (: . & = $ | , and white space)")
	case p.Type == r4.SearchNone:
		return nil, fault("type", "its type '"+fhir.Cut(d.text("type"))+"' is none of number, date, string, token, reference, composite, quantity, uri")
	case p.Type == r4.SearchSpecial:
		return nil, fault("type", "parameters of type special have rules of their own, which no definition tells")
	case p.Expression == "":
		return nil, fault("expression", "it has no expression")
	}
	if p.Usage == "normal" {
		p.Usage = ""
	}
	p.SingleValue = d.child("multipleOr") != fhir.NoNode && string(t.Raw(d.child("multipleOr"))) == "false"
	p.Comparators = d.texts("comparator")
	for _, name := range d.texts("target") {
		target, ok := r4.TypeByName(name)
		if !ok || r4.TypeAt(target).Kind != r4.KindResource {
			return nil, fault("target", fhir.Cut(name)+" in its target is no resource type")
		}
		if target == r4.TypeResource {
			p.Targets = nil
			break
		}
		p.Targets = append(p.Targets, target)
	}
	for c := range d.items("component") {
		part := definition{t, c}
		url, _, _ := strings.Cut(part.text("definition"), "|")
		p.Components = append(p.Components, r4.SearchComponent{URL: url, Expression: part.text("expression")})
	}
	var list []r4.SearchParameter
	for _, name := range d.texts("base") {
		base, ok := r4.TypeByName(name)
		if !ok || r4.TypeAt(base).Kind != r4.KindResource {
			return nil, fault("base", fhir.Cut(name)+" in its base is no resource type")
		}
		q := p
		q.Base = base
		if q.Expression = restrict(p.Expression, base); q.Expression == "" {
			return nil, fault("expression", "no term of its expression begins at "+name)
		}
		list = append(list, q)
	}
	if len(list) == 0 {
		return nil, fault("base", "it has no base")
	}
	return list, nil
}

// restrict keeps the terms of a union that begin at the base type, at one that it
// specialises, or at no type: definitions write one expression for all base types.
func restrict(expression string, base r4.TypeID) string {
	var kept []string
	for _, term := range union(expression) {
		name := strings.TrimLeft(term, "(")
		if i := strings.IndexFunc(name, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }); i >= 0 {
			name = name[:i]
		}
		head, ok := r4.TypeByName(name)
		if !ok || r4.TypeAt(head).Kind != r4.KindResource || isA(base, head) {
			kept = append(kept, term)
		}
	}
	return strings.Join(kept, " | ")
}

func isA(t, base r4.TypeID) bool {
	for ; t != 0; t = r4.TypeAt(t).Base {
		if t == base {
			return true
		}
	}
	return false
}

// definition reads the members of an object.
type definition struct {
	t    *fhir.Tree
	node fhir.NodeID
}

func (d definition) child(name string) fhir.NodeID {
	return d.t.Child(d.node, d.t.Nodes[d.node].Type.ElementByName(name))
}

func (d definition) text(name string) string {
	c := d.child(name)
	if c == fhir.NoNode || d.t.Nodes[c].Kind != fhir.KindString {
		return ""
	}
	return string(d.t.String(c, nil))
}

// items yields the items of an array.
func (d definition) items(name string) func(yield func(fhir.NodeID) bool) {
	return func(yield func(fhir.NodeID) bool) {
		list := d.child(name)
		if list == fhir.NoNode || d.t.Nodes[list].Kind != fhir.KindArray {
			return
		}
		for c := d.t.FirstChild(list); c != fhir.NoNode; c = d.t.NextSibling(list, c) {
			if !yield(c) {
				return
			}
		}
	}
}

func (d definition) texts(name string) (all []string) {
	for c := range d.items(name) {
		if d.t.Nodes[c].Kind == fhir.KindString {
			all = append(all, string(d.t.String(c, nil)))
		}
	}
	return all
}
