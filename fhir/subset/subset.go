// Package subset copies parts of resources: what the parameters _summary and _elements leave
// of one (FHIR R4, 3.1.1.5.8 and 3.1.1.5.9), tagged as SUBSETTED.
//
// Read [Projection] first.
package subset

import (
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A Projection copies a part of a resource.
type Projection struct {
	Keep func(*r4.Element) bool // of the elements of the resource
	Deep bool                   // the rule holds for backbone elements, too
}

// Append appends what is kept of a resource, tagged as SUBSETTED. The text of the tree is
// well-formed.
func (p *Projection) Append(dst []byte, t *fhir.Tree, root fhir.NodeID) []byte {
	c := copying{t: t, keep: p.Keep, deep: p.Deep}
	dst, _ = c.object(dst, root, true)
	return dst
}

// Always tells whether an element is kept whatever is asked for: id, meta, what is mandatory
// and what modifies the meaning of others.
func Always(e *r4.Element) bool {
	return e.Name == "id" || e.Name == "meta" || e.Min > 0 || e.IsModifier
}

// Elements gives the rule of a list of elements, each with the name of a type before it or
// without, for the resources of a type.
func Elements(t r4.TypeID, names []string) func(*r4.Element) bool {
	wanted := map[string]bool{}
	for _, name := range names {
		name = strings.TrimPrefix(name, t.String()+".")
		name, _, _ = strings.Cut(name, ".")
		wanted[strings.TrimSuffix(name, "[x]")] = true
	}
	return func(e *r4.Element) bool {
		return wanted[e.Name] || e.Choice != "" && wanted[e.Choice] || Always(e)
	}
}

// copying is a projection at work.
type copying struct {
	t    *fhir.Tree
	keep func(*r4.Element) bool
	deep bool
}

var (
	metaTag = r4.TypeMeta.ElementByName("tag")
	tagText = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
)

// object appends an object with the members that are kept, and tells whether it has
// any.
func (p *copying) object(dst []byte, n fhir.NodeID, root bool) (_ []byte, some bool) {
	dst = append(dst, '{')
	for c := p.t.FirstChild(n); c != fhir.NoNode; c = p.t.NextSibling(n, c) {
		nd := &p.t.Nodes[c]
		typeName := root && nd.Element == 0 && string(p.t.Key(c)) == "resourceType"
		if !typeName && (nd.Element == 0 || !p.keep(r4.ElementAt(nd.Element)) && !(!root && r4.ElementAt(nd.Element).Name == "id")) {
			continue
		}
		before := len(dst)
		if some {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), p.t.Key(c)...), `":`...)
		ok := true
		switch {
		case root && nd.Element != 0 && r4.ElementAt(nd.Element).Name == "meta" && nd.Kind == fhir.KindObject:
			dst = p.meta(dst, c)
		default:
			dst, ok = p.value(dst, c)
		}
		if !ok {
			dst = dst[:before]
		}
		some = some || ok
	}
	return append(dst, '}'), some
}

// value appends a value, of backbone elements the part that is kept.
func (p *copying) value(dst []byte, n fhir.NodeID) (_ []byte, some bool) {
	nd := &p.t.Nodes[n]
	backbone := p.deep && nd.Element != 0 && nd.Flags&fhir.FlagTwin == 0 && r4.TypeAt(r4.ElementAt(nd.Element).Type).Kind == r4.KindBackbone
	switch {
	case backbone && nd.Kind == fhir.KindObject:
		return p.object(dst, n, false)
	case backbone && nd.Kind == fhir.KindArray:
		dst = append(dst, '[')
		for c := p.t.FirstChild(n); c != fhir.NoNode; c = p.t.NextSibling(n, c) {
			before := len(dst)
			if some {
				dst = append(dst, ',')
			}
			ok := false
			if dst, ok = p.value(dst, c); !ok {
				dst = dst[:before]
			}
			some = some || ok
		}
		return append(dst, ']'), some
	}
	return append(dst, p.t.JSON(n)...), true
}

// meta appends meta with the tag.
func (p *copying) meta(dst []byte, n fhir.NodeID) []byte {
	nd := &p.t.Nodes[n]
	tags := p.t.Child(n, metaTag)
	if tags != fhir.NoNode && p.t.Nodes[tags].Kind == fhir.KindArray {
		at := p.t.Nodes[tags].Start + 1
		dst = append(append(dst, p.t.Data[nd.Start:at]...), tagText...)
		if p.t.FirstChild(tags) != fhir.NoNode {
			dst = append(dst, ',')
		}
		return append(dst, p.t.Data[at:nd.End]...)
	}
	dst = append(append(dst, `{"tag":[`...), tagText...)
	dst = append(dst, ']')
	if p.t.FirstChild(n) != fhir.NoNode {
		dst = append(dst, ',')
	}
	return append(dst, p.t.Data[nd.Start+1:nd.End]...)
}
