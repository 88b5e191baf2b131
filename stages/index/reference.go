package index

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// reference takes a value of a reference parameter: a Reference, a canonical, a uri,
// or a resource that stands in a Bundle.
func (w *worker) reference(g *group, v fhirpath.Value) {
	t, n := v.Node()
	if t == nil {
		return
	}
	row := search.Reference{Row: w.in(g.main)}
	switch typ := v.Type(); typ {
	case r4.TypeReference:
		w.fromReference(g, row, n)
		return
	case r4.TypeCanonical, r4.TypeUri, r4.TypeUrl, r4.TypeOid, r4.TypeUuid:
		if !v.HasValue() {
			return
		}
		w.setParts(&row, search.CanonicalOf(w.decoded(n)))
	default:
		if !typ.IsResourceType() {
			return
		}
		row.Type = typ
		row.ID = w.add(w.tree.Child(n, typ.ElementByName("id")))
	}
	w.values.References = append(w.values.References, row)
}

func (w *worker) setParts(row *search.Reference, p search.ReferenceParts) {
	row.Type, row.ID = p.Type, w.values.Add(p.ID)
	row.URL, row.Version = w.values.Add(p.URL), w.values.Add(p.Version)
}

func (w *worker) fromReference(g *group, row search.Reference, n fhir.NodeID) {
	text, typ, identifier, display := fhir.NoNode, fhir.NoNode, fhir.NoNode, false
	for c := w.tree.FirstChild(n); c != fhir.NoNode; c = w.tree.NextSibling(n, c) {
		switch {
		case w.is(c, referenceReference):
			text = c
		case w.is(c, referenceType):
			typ = c
		case w.is(c, referenceIdentifier):
			identifier = c
		case w.is(c, referenceDisplay):
			display = true
		}
	}
	if text == fhir.NoNode && identifier == fhir.NoNode && !display {
		return // extensions alone
	}
	if text != fhir.NoNode {
		b := w.decoded(text)
		p := search.ReferenceOf(b)
		if len(b) > 0 && b[0] == '#' {
			p.Type = w.contained(b[1:])
		}
		w.setParts(&row, p)
	}
	if row.Type == 0 && typ != fhir.NoNode {
		row.Type = r4.ResourceTypeByName(w.plain(typ))
	}
	w.values.References = append(w.values.References, row)
	if identifier == fhir.NoNode {
		return
	}
	w.identifier(&group{main: g.identifier}, identifier)
	for _, t := range g.toType {
		if t.target == row.Type {
			w.identifier(&group{main: t.id}, identifier)
		}
	}
}

// contained gives the type of the contained resource with an id, of the resource
// itself for no id, 0 when there is none.
func (w *worker) contained(id []byte) r4.TypeID {
	typ := w.tree.Nodes[w.root].Type
	if len(id) == 0 {
		return typ
	}
	list := w.tree.Child(w.root, typ.ElementByName("contained"))
	if list == fhir.NoNode {
		return 0
	}
	for c := w.tree.FirstChild(list); c != fhir.NoNode; c = w.tree.NextSibling(list, c) {
		t := w.tree.Nodes[c].Type
		if !t.IsResourceType() || w.tree.Nodes[c].Kind != fhir.KindObject {
			continue
		}
		if n := w.tree.Child(c, t.ElementByName("id")); n != fhir.NoNode && bytes.Equal(w.plain(n), id) {
			return t
		}
	}
	return 0
}

// uri takes a value of a uri parameter: a uri or what specialises it. A canonical is
// split from its version.
func (w *worker) uri(g *group, v fhirpath.Value) {
	t, _ := v.Node()
	if t == nil || !v.HasValue() || r4.TypeAt(v.Type()).Kind != r4.KindPrimitive {
		return
	}
	_, n := v.Node()
	row := search.URI{Row: w.in(g.main)}
	if v.Type() == r4.TypeCanonical {
		p := search.CanonicalOf(w.decoded(n))
		row.Value, row.Version = w.values.Add(p.URL), w.values.Add(p.Version)
	} else {
		row.Value = w.add(n)
	}
	w.values.URIs = append(w.values.URIs, row)
}
