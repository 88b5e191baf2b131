package validate

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// reference checks a Reference (FHIR R4 2.3): the form of its text, that a
// fragment leads to a contained resource, and that what it leads to is of a type
// that the element allows.
func (v *Validator) reference(n fhir.NodeID, p *plan) {
	ref, typ := fhir.NoNode, fhir.NoNode
	for c, end := n+1, v.after(n); c < end; c = v.after(c) {
		switch v.nodes[c].Element {
		case elReference:
			ref = c
		case elReferenceType:
			typ = c
		}
	}
	var found r4.TypeID
	if ref != fhir.NoNode && v.nodes[ref].Kind == fhir.KindString {
		if found = v.target(n, ref); found != 0 && !p.targets.allows(found) {
			v.value(ref, "refers to %s; expected a reference to %s", found, targetNames(v.nodes[n].Element))
		}
	}
	if typ != fhir.NoNode && v.nodes[typ].Kind == fhir.KindString {
		v.referenceType(n, typ, p, found)
	}
}

// referenceType checks name, the type of Reference n, against what the element
// allows and against the type of what the reference leads to, 0 when that is not
// known.
func (v *Validator) referenceType(n, name fhir.NodeID, p *plan, found r4.TypeID) {
	switch typ := r4.ResourceTypeByName(v.text(name)); {
	case typ == 0: // a logical model may be named by URL
	case found != 0 && typ != found:
		v.value(name, "is not the type that the reference leads to; expected %s", found)
	case found == 0 && !p.targets.allows(typ):
		v.value(name, "is not allowed here; expected %s", targetNames(v.nodes[n].Element))
	}
}

// target gives the type of what the text ref of Reference n leads to, 0 when that
// is not known, and checks its form.
func (v *Validator) target(n, ref fhir.NodeID) r4.TypeID {
	text := v.text(ref)
	if len(text) == 0 {
		return 0
	}
	if text[0] == '#' {
		return v.fragment(n, ref, text[1:])
	}
	if i := bytes.IndexByte(text, ':'); i > 0 && isAbsolute(text) {
		if string(text[:i]) == "http" || string(text[:i]) == "https" {
			_, typ, _ := splitURL(text)
			return typ
		}
		return v.entryType(text)
	}
	typ, form := relative(text)
	switch form {
	case formBadType:
		v.value(ref, "is no reference to a resource; expected [type]/[id], #[id] or an absolute URL")
	case formBadID:
		v.value(ref, "has no valid id; expected [type]/[id] with up to 64 letters, digits, '-' and '.'")
	}
	return typ
}

// fragment finds the contained resource that `#id` leads to (ref-1).
func (v *Validator) fragment(n, ref fhir.NodeID, id []byte) r4.TypeID {
	if len(id) == 0 { // the container
		if v.at.resource == v.at.container {
			return 0
		}
		return v.nodes[v.at.container].Type
	}
	list := v.find(v.contained[v.at.contained.from:v.at.contained.to], id)
	if list == nil {
		v.broken(n, conRef1, "no contained resource has the id of '"+v.quote(ref)+"'")
		return 0
	}
	return v.nodes[list[0].of].Type
}

// canonical checks that a canonical URL that is a fragment leads to a contained
// resource (FHIR R4 2.3.0.2).
func (v *Validator) canonical(n fhir.NodeID) {
	text := v.text(n)
	if len(text) > 1 && text[0] == '#' && v.find(v.contained[v.at.contained.from:v.at.contained.to], text[1:]) == nil {
		v.fault(n, fhir.CodeNotFound, "no contained resource has the id of '%s'", v.quote(n))
	}
}

// entryType gives the type of the resource in the Bundle with the given fullUrl,
// or 0.
func (v *Validator) entryType(url []byte) r4.TypeID {
	if v.at.bundle == fhir.NoNode {
		return 0
	}
	list := v.find(v.urls[v.at.urls.from:v.at.urls.to], url)
	if list == nil {
		return 0
	}
	if r := v.tree.Child(list[0].of, elEntryResource); r != fhir.NoNode {
		return v.nodes[r].Type
	}
	return 0
}

type form uint8

const (
	formGood form = iota
	formBadType
	formBadID
)

// relative reads a reference without scheme: Type/id, Type/id/_history/version,
// or a search that finds one resource, Type?query.
func relative(text []byte) (r4.TypeID, form) {
	i := bytes.IndexByte(text, '/')
	if q := bytes.IndexByte(text, '?'); q >= 0 && (i < 0 || q < i) {
		if typ := r4.ResourceTypeByName(text[:q]); typ != 0 {
			return typ, formGood
		}
		return 0, formBadType
	}
	if i < 0 {
		return 0, formBadType
	}
	typ := r4.ResourceTypeByName(text[:i])
	if typ == 0 {
		return 0, formBadType
	}
	id, version, versioned := bytes.Cut(text[i+1:], []byte("/_history/"))
	if !isID(id) || versioned && !isID(version) {
		return typ, formBadID
	}
	return typ, formGood
}

// splitURL splits the URL of a resource on a server, [base]/[type]/[id] with or
// without version, and gives 0 for the type of any other.
func splitURL(url []byte) (base []byte, typ r4.TypeID, id []byte) {
	url, _ = cutVersion(url)
	i := bytes.LastIndexByte(url, '/')
	if i < 0 || !isID(url[i+1:]) {
		return nil, 0, nil
	}
	j := bytes.LastIndexByte(url[:i], '/')
	if typ = r4.ResourceTypeByName(url[j+1 : i]); typ == 0 {
		return nil, 0, nil
	}
	return url[:j+1], typ, url[i+1:]
}

// cutVersion cuts /_history/[version] off a URL.
func cutVersion(url []byte) (rest, version []byte) {
	rest, version, _ = bytes.Cut(url, []byte("/_history/"))
	return rest, version
}

const maxID = 64

var idByte = bytesOf(letters + digits + "-.")

func isID(text []byte) bool { return len(text) <= maxID && only(text, idByte) }

// targetNames lists the types that an element may refer to, for messages.
func targetNames(e r4.ElementID) string {
	var names []byte
	for i, typ := range r4.ElementAt(e).Targets {
		if i == 10 {
			return string(append(names, " or others"...))
		}
		if i > 0 {
			names = append(names, ", "...)
		}
		names = append(names, typ.String()...)
	}
	return string(names)
}
