package index

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// token takes a value of a token parameter (R4, 3.1.1.4.10: the table of datatypes).
func (w *worker) token(g *group, v fhirpath.Value) {
	t, n := v.Node()
	if t == nil { // of System: exists(), a comparison, a text
		if v.HasValue() {
			w.text = v.AppendString(w.text[:0])
			w.values.Tokens = append(w.values.Tokens, search.Token{Row: w.in(g.main), Code: w.values.Add(w.text)})
		}
		return
	}
	switch typ := v.Type(); typ {
	case r4.TypeCodeableConcept:
		w.concept(g, n)
	case r4.TypeCoding:
		if !w.coding(g, n) && w.has(n, codingDisplay) {
			w.blank(g)
		}
		w.show(g, w.tree.Child(n, codingDisplay))
	case r4.TypeIdentifier:
		w.identifier(g, n)
	case r4.TypeContactPoint:
		if c := w.tree.Child(n, contactValue); c != fhir.NoNode {
			w.values.Tokens = append(w.values.Tokens, search.Token{Row: w.in(g.main), Code: w.add(c)})
		}
	default:
		if r4.TypeAt(typ).Kind == r4.KindPrimitive && v.HasValue() {
			w.primitiveToken(g, typ, n)
		}
	}
}

func (w *worker) primitiveToken(g *group, typ r4.TypeID, n fhir.NodeID) {
	row := search.Token{Row: w.in(g.main)}
	switch typ {
	case r4.TypeCode:
		text := w.decoded(n)
		row.Code = w.values.Add(text)
		if s := impliedSystem(w.implied, w.tree.Nodes[n].Element, text); s != "" {
			row.System, row.Implied = w.onceString(s), true
		}
	case r4.TypeString, r4.TypeMarkdown:
		row.Code, row.Folded = w.values.Took(search.AppendLower(w.values.Arena(), w.decoded(n))), true
	default:
		row.Code = w.add(n)
	}
	w.values.Tokens = append(w.values.Tokens, row)
}

// blank says that there is a value, though one without system and code.
func (w *worker) blank(g *group) {
	w.values.Tokens = append(w.values.Tokens, search.Token{Row: w.in(g.main)})
}

// coding adds system and code of a Coding, and tells whether it has any.
func (w *worker) coding(g *group, n fhir.NodeID) bool {
	system, code := fhir.NoNode, fhir.NoNode
	for c := w.tree.FirstChild(n); c != fhir.NoNode; c = w.tree.NextSibling(n, c) {
		switch {
		case w.is(c, codingSystem):
			system = c
		case w.is(c, codingCode):
			code = c
		}
	}
	if system == fhir.NoNode && code == fhir.NoNode {
		return false
	}
	w.values.Tokens = append(w.values.Tokens, search.Token{Row: w.in(g.main), System: w.system(system), Code: w.add(code)})
	return true
}

// concept adds each coding of a CodeableConcept, and the texts for :text, the same one
// once.
func (w *worker) concept(g *group, n fhir.NodeID) {
	any, text := false, fhir.NoNode
	var last []byte
	for c := w.tree.FirstChild(n); c != fhir.NoNode; c = w.tree.NextSibling(n, c) {
		switch {
		case w.is(c, conceptText):
			text = c
		case w.is(c, conceptCoding) && w.tree.Nodes[c].Kind == fhir.KindArray:
			for d := w.tree.FirstChild(c); d != fhir.NoNode; d = w.tree.NextSibling(c, d) {
				if w.tree.Nodes[d].Kind != fhir.KindObject {
					continue
				}
				any = w.coding(g, d) || any
				display := w.tree.Child(d, codingDisplay)
				if display != fhir.NoNode && !bytes.Equal(last, w.tree.Raw(display)) {
					w.show(g, display)
					last = w.tree.Raw(display)
				}
			}
		}
	}
	if text != fhir.NoNode && !bytes.Equal(last, w.tree.Raw(text)) {
		w.show(g, text)
	}
	if !any && (text != fhir.NoNode || last != nil) {
		w.blank(g)
	}
}

// identifier adds system and value of an Identifier, and for :of-type the value under
// each coding of its type.
func (w *worker) identifier(g *group, n fhir.NodeID) {
	system, value, typ := fhir.NoNode, fhir.NoNode, fhir.NoNode
	for c := w.tree.FirstChild(n); c != fhir.NoNode; c = w.tree.NextSibling(n, c) {
		switch {
		case w.is(c, identifierSystem):
			system = c
		case w.is(c, identifierValue):
			value = c
		case w.is(c, identifierType):
			typ = c
		}
	}
	if system != fhir.NoNode || value != fhir.NoNode {
		w.values.Tokens = append(w.values.Tokens, search.Token{Row: w.in(g.main), System: w.system(system), Code: w.add(value)})
	} else if typ != fhir.NoNode {
		w.blank(g)
	}
	if typ == fhir.NoNode || g.ofType == 0 {
		return
	}
	w.show(g, w.tree.Child(typ, conceptText))
	list := w.tree.Child(typ, conceptCoding)
	if list == fhir.NoNode || value == fhir.NoNode {
		return
	}
	for d := w.tree.FirstChild(list); d != fhir.NoNode; d = w.tree.NextSibling(list, d) {
		if w.tree.Nodes[d].Kind != fhir.KindObject {
			continue
		}
		code := w.tree.Child(d, codingCode)
		if code == fhir.NoNode {
			continue
		}
		row := search.Token{Row: w.in(g.ofType), System: w.system(w.tree.Child(d, codingSystem))}
		start := w.add(code)
		w.values.AddString("|")
		row.Code = search.Text{Start: start.Start, End: w.add(value).End}
		w.values.Tokens = append(w.values.Tokens, row)
	}
}

// show adds a text for :text.
func (w *worker) show(g *group, n fhir.NodeID) {
	if n != fhir.NoNode && g.text != 0 {
		w.addString(g.text, n)
	}
}

func (w *worker) has(n fhir.NodeID, e r4.ElementID) bool { return w.tree.Child(n, e) != fhir.NoNode }
