package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// containedIDs lists the resources that n contains by their ids, and checks what
// holds for them but dom-3 (FHIR R4 2.3.3). It gives the list of them, NoNode for
// none, and where their ids are.
func (v *Validator) containedIDs(n fhir.NodeID) (list fhir.NodeID, ids span) {
	from := int32(len(v.contained))
	if list = v.containedList(n); list == fhir.NoNode {
		return list, span{from, from}
	}
	for c := v.tree.FirstChild(list); c != fhir.NoNode; c = v.tree.NextSibling(list, c) {
		typ := v.nodes[c].Type
		if !typ.IsResourceType() {
			continue
		}
		if inner := v.containedList(c); inner != fhir.NoNode {
			v.broken(inner, conDom2, "")
		}
		if meta := v.member(c, "meta"); meta != fhir.NoNode && v.nodes[meta].Kind == fhir.KindObject {
			v.containedMeta(meta)
		}
		if id := v.member(c, "id"); id != fhir.NoNode && v.nodes[id].Kind == fhir.KindString {
			m := v.mark(id)
			m.of = c
			v.contained = append(v.contained, m)
		}
	}
	v.repeated(v.contained[from:], func(again mark) {
		v.fault(again.node, fhir.CodeDuplicate, "two contained resources have the id '%s'; expected ids that are unique", v.quote(again.node))
	})
	return list, span{from, int32(len(v.contained))}
}

// containedList gives the member contained of a resource, or NoNode.
func (v *Validator) containedList(n fhir.NodeID) fhir.NodeID {
	e := v.table.resources[v.nodes[n].Type].contained
	if e == 0 {
		return fhir.NoNode
	}
	return v.tree.Child(n, e)
}

// containedMeta checks dom-4 and dom-5: a contained resource has neither versions
// nor security labels of its own.
func (v *Validator) containedMeta(meta fhir.NodeID) {
	for c := v.tree.FirstChild(meta); c != fhir.NoNode; c = v.tree.NextSibling(meta, c) {
		switch v.nodes[c].Element {
		case elMetaVersion, elMetaUpdated:
			v.broken(c, conDom4, "")
		case elMetaSecurity:
			v.broken(c, conDom5, "")
		}
	}
}

// unreferenced checks dom-3 for the container that v.at names, of which list has
// the contained resources: each is referred to, or refers to the container.
func (v *Validator) unreferenced(list fhir.NodeID) {
	n := v.at.container
	marks := v.contained[v.at.contained.from:v.at.contained.to]
	item := v.tree.FirstChild(list)
	refers := false // item refers to the container
	for c, end := n+1, v.after(n); c < end; c++ {
		for item != fhir.NoNode && c >= v.after(item) {
			v.settle(item, refers, marks)
			item, refers = v.tree.NextSibling(list, item), false
		}
		nd := &v.nodes[c]
		if nd.Kind != fhir.KindString || nd.Start == nd.End || v.tree.Data[nd.Start] != '#' || !mayRefer(nd) {
			continue
		}
		if text := v.text(c); len(text) > 1 {
			if found := v.find(marks, text[1:]); found != nil {
				found[0].met = true
			}
		} else if item != fhir.NoNode && c > item {
			refers = true
		}
	}
	if item != fhir.NoNode {
		v.settle(item, refers, marks)
	}
	v.again = v.again[:0]
	for i, m := range marks {
		if !m.met && (i == 0 || !v.same(marks[i-1], m)) {
			v.again = append(v.again, m)
		}
	}
	sortByNode(v.again)
	for _, m := range v.again {
		v.broken(m.of, conDom3, "nothing refers to '#"+v.quote(m.node)+"', and it does not refer to its container")
	}
}

// settle notes that the contained resource item has been read; refers tells
// whether it refers to the container.
func (v *Validator) settle(item fhir.NodeID, refers bool, marks []mark) {
	id := v.member(item, "id")
	if id == fhir.NoNode || v.nodes[id].Kind != fhir.KindString {
		if !refers && v.nodes[item].Type.IsResourceType() {
			v.broken(item, conDom3, "it has no id, and it does not refer to its container")
		}
		return
	}
	if !refers {
		return
	}
	if found := v.find(marks, v.text(id)); found != nil {
		found[0].met = true
	}
}

// mayRefer tells whether a string is of a type that dom-3 counts as a reference.
func mayRefer(nd *fhir.Node) bool {
	switch nd.Type {
	case r4.TypeUri, r4.TypeUrl, r4.TypeCanonical:
		return true
	}
	return nd.Element == elReference
}
