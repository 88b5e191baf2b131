package derive

import (
	"bytes"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The elements of a document that are taken over.
var (
	documentSubject   = r4.TypeDocumentReference.ElementByName("subject")
	documentDate      = r4.TypeDocumentReference.ElementByName("date")
	documentContext   = r4.TypeDocumentReference.ElementByName("context")
	contextEncounter  = r4.TypeDocumentReferenceContext.ElementByName("encounter")
	referenceText     = r4.TypeReference.ElementByName("reference")
	referenceTypeName = r4.TypeReference.ElementByName("type")
)

// document is what the resources of a document share, as JSON text of the document. Absent
// elements are nil.
type document struct {
	id        []byte
	subject   []byte // a Reference
	date      []byte // an instant, with its quotes
	encounter []byte // a Reference
}

// read reads the DocumentReference at root and tells whether anything may be derived from it:
// Condition and MedicationStatement must have a subject, which is a Patient or a Group.
func (d *document) read(t *fhir.Tree, root fhir.NodeID, id []byte) bool {
	*d = document{id: id}
	if d.subject = referenceTo(t, t.Child(root, documentSubject), r4.TypePatient, r4.TypeGroup); d.subject == nil {
		return false
	}
	if n := t.Child(root, documentDate); n != fhir.NoNode && t.Nodes[n].Kind == fhir.KindString {
		d.date = t.JSON(n)
	}
	d.encounter = encounter(t, t.Child(root, documentContext))
	return true
}

// encounter gives the Encounter that a document is about, if it is about one.
func encounter(t *fhir.Tree, context fhir.NodeID) []byte {
	if context == fhir.NoNode || t.Nodes[context].Kind != fhir.KindObject {
		return nil
	}
	list := t.Child(context, contextEncounter)
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return nil
	}
	first := t.FirstChild(list)
	if first == fhir.NoNode || t.NextSibling(list, first) != fhir.NoNode {
		return nil
	}
	return referenceTo(t, first, r4.TypeEncounter)
}

// referenceTo gives the text of a Reference that may be copied to another resource: what it
// refers to is, as far as its text tells, of one of the types, and is not contained.
func referenceTo(t *fhir.Tree, n fhir.NodeID, types ...r4.TypeID) []byte {
	if n == fhir.NoNode || t.Nodes[n].Kind != fhir.KindObject {
		return nil
	}
	var buf []byte
	end := t.Nodes[n].Next
	for c := fhir.NodeID(n) + 1; uint32(c) < end; c++ {
		nd := &t.Nodes[c]
		if nd.Kind != fhir.KindString || nd.Flags&fhir.FlagTwin != 0 {
			continue
		}
		switch nd.Element {
		case referenceText: // also one in an extension
			buf = fhir.AppendUnescaped(buf[:0], t.Raw(c))
			if bytes.HasPrefix(buf, []byte("#")) {
				return nil
			}
		case referenceTypeName:
			buf = fhir.AppendUnescaped(buf[:0], t.Raw(c))
		default:
			continue
		}
		if !isMemberOf(t, c, n) {
			continue
		}
		typ := r4.ResourceTypeByName(buf)
		if nd.Element == referenceText {
			typ = targetType(buf)
		}
		if typ != 0 && !slices.Contains(types, typ) {
			return nil
		}
	}
	return t.JSON(n)
}

// isMemberOf tells whether node c is a member of object n.
func isMemberOf(t *fhir.Tree, c, n fhir.NodeID) bool {
	for m := t.FirstChild(n); m != fhir.NoNode && m <= c; m = t.NextSibling(n, m) {
		if m == c {
			return true
		}
	}
	return false
}

// targetType gives the resource type in the text of a reference: Type/id, with or without a
// server before it and a version after it, or Type?query. 0: it does not tell.
func targetType(text []byte) r4.TypeID {
	path, _, query := bytes.Cut(text, []byte("?"))
	path, _, _ = bytes.Cut(path, []byte("/_history/"))
	if !query {
		i := bytes.LastIndexByte(path, '/')
		if i < 0 {
			return 0
		}
		path = path[:i]
	}
	return r4.ResourceTypeByName(path[bytes.LastIndexByte(path, '/')+1:])
}
