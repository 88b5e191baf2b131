package validate

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// document checks a Bundle that is a document (FHIR R4 3.3.1): what it must have,
// that its first resource is a Composition, and that what this refers to is in it.
func (v *Validator) document(n, entries fhir.NodeID) {
	if id := v.member(n, "identifier"); !v.has(id, "system") || !v.has(id, "value") {
		v.broken(n, conBdl9, "")
	}
	if v.tree.Child(n, elBundleTime) == fhir.NoNode {
		v.broken(n, conBdl10, "")
	}
	first := v.firstResource(entries)
	if first == fhir.NoNode || v.nodes[first].Type != r4.TypeComposition {
		v.broken(n, conBdl11, "")
		return
	}
	v.bundled(first, entries, inDocument)
}

// firstResource gives the resource of the first entry, or NoNode.
func (v *Validator) firstResource(entries fhir.NodeID) fhir.NodeID {
	if e, end := v.values(entries); e < end && v.nodes[e].Kind == fhir.KindObject {
		return v.tree.Child(e, elEntryResource)
	}
	return fhir.NoNode
}

// The references that must be resolved within the Bundle: those of a Composition
// (FHIR R4 3.3.1) and of a MessageHeader (2.36.2).
var (
	inDocument = elementSet(
		element(r4.TypeComposition, "subject"), element(r4.TypeComposition, "encounter"), element(r4.TypeComposition, "author"),
		element(r4.TypeComposition, "custodian"), element(r4.TypeCompositionAttester, "party"),
		element(r4.TypeCompositionEvent, "detail"), element(r4.TypeCompositionSection, "author"),
		element(r4.TypeCompositionSection, "focus"), element(r4.TypeCompositionSection, "entry"),
	)
	inMessage = elementSet(element(r4.TypeMessageHeader, "focus"))
)

func elementSet(list ...r4.ElementID) map[r4.ElementID]bool {
	set := map[r4.ElementID]bool{}
	for _, e := range list {
		set[e] = true
	}
	return set
}

// bundled checks that the references of the resource first, the first of its
// Bundle, lead to entries, as far as their element is in the set.
func (v *Validator) bundled(first, entries fhir.NodeID, set map[r4.ElementID]bool) {
	var base []byte // of relative references, nil when the fullUrl is no URL of a server
	if e, _ := v.values(entries); v.nodes[e].Kind == fhir.KindObject {
		if url := v.tree.Child(e, elEntryFullURL); url != fhir.NoNode {
			b, _, _ := splitURL(v.text(url))
			base = bytes.Clone(b)
		}
	}
	v.spare = v.spare[:0] // ids of all resources, made when one is looked for
	for c, end := first+1, v.after(first); c < end && !v.full(); c++ {
		if nd := &v.nodes[c]; nd.Kind != fhir.KindObject || !set[nd.Element] {
			continue
		}
		ref := v.tree.Child(c, elReference)
		if ref == fhir.NoNode || v.nodes[ref].Kind != fhir.KindString {
			continue
		}
		text := v.tree.String(ref, nil)
		if len(text) == 0 || text[0] == '#' || bytes.IndexByte(text, '?') >= 0 {
			continue
		}
		switch v.entriesFor(text, base, entries) {
		case 0:
			v.fault(ref, fhir.CodeNotFound, "no entry of the Bundle is what '%s' refers to; expected one with its fullUrl", v.quote(ref))
		case 1:
		default:
			v.fault(ref, fhir.CodeInvalid, "several entries of the Bundle are what '%s' refers to; expected a version", v.quote(ref))
		}
	}
}

// maxVersions bounds how many entries with one fullUrl or id are told apart.
const maxVersions = 100

// entriesFor counts the entries that a reference leads to (FHIR R4 2.36.4.1).
// More than one count as two.
func (v *Validator) entriesFor(ref, base []byte, entries fhir.NodeID) int {
	text, version := cutVersion(ref)
	if !isAbsolute(text) {
		typ, form := relative(ref)
		if form != formGood {
			return 1 // reported as such
		}
		if base == nil {
			return v.resourcesLike(typ, text[bytes.IndexByte(text, '/')+1:], version, entries)
		}
		text = append(base[:len(base):len(base)], text...)
	}
	count := 0
	for i, m := range v.find(v.urls[v.at.urls.from:v.at.urls.to], text) {
		if i == maxVersions {
			return 1
		}
		if resource := v.tree.Child(m.of, elEntryResource); v.hasVersion(resource, version) {
			if count++; count > 1 {
				break
			}
		}
	}
	return count
}

// resourcesLike counts the entries whose resources have type, id and version,
// whatever their fullUrl.
func (v *Validator) resourcesLike(typ r4.TypeID, id, version []byte, entries fhir.NodeID) int {
	if len(v.spare) == 0 {
		for e, end := v.values(entries); e < end; e = v.after(e) {
			resource := fhir.NoNode
			if v.nodes[e].Kind == fhir.KindObject {
				resource = v.tree.Child(e, elEntryResource)
			}
			if own := v.member(resource, "id"); own != fhir.NoNode {
				m := v.mark(own)
				m.of = resource
				v.spare = append(v.spare, m)
			}
		}
		sortMarks(v.spare)
	}
	count := 0
	for i, m := range v.find(v.spare, id) {
		if i == maxVersions {
			return 1
		}
		if v.nodes[m.of].Type == typ && v.hasVersion(m.of, version) {
			if count++; count > 1 {
				break
			}
		}
	}
	return count
}

// hasVersion tells whether the resource, which may be NoNode, has the version, if
// one is asked for.
func (v *Validator) hasVersion(resource fhir.NodeID, version []byte) bool {
	if len(version) == 0 {
		return true
	}
	if resource == fhir.NoNode {
		return false
	}
	own := v.memberOfMeta(resource, elMetaVersion)
	return own != fhir.NoNode && bytes.Equal(v.text(own), version)
}
