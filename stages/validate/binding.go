package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// codes checks a CodeableConcept with a required binding: one of its codings at
// least is of the value set (FHIR R4 4.1.3.1). Without any coding an extension
// must say why.
func (v *Validator) codes(n fhir.NodeID, p *plan) {
	set := r4.CodeSetAt(p.codes)
	code, extended := fhir.NoNode, false
	for c := v.tree.FirstChild(n); c != fhir.NoNode; c = v.tree.NextSibling(n, c) {
		switch nd := &v.nodes[c]; {
		case nd.Element == elConceptExt:
			extended = true
		case nd.Element != elCoding:
		default:
			for d, end := v.values(c); d < end; d = v.after(d) {
				if v.nodes[d].Kind != fhir.KindObject {
					continue
				}
				system, value := v.tree.Child(d, elCodingSystem), v.tree.Child(d, elCodingCode)
				if system == fhir.NoNode || value == fhir.NoNode {
					extended = extended || v.hasExtension(d)
					continue
				}
				code = value
				v.buf2 = append(v.buf2[:0], v.text(system)...)
				if set.ContainsCoding(v.buf2, v.text(value)) {
					return
				}
			}
		}
	}
	switch {
	case code != fhir.NoNode:
		v.fault(n, fhir.CodeUnknown, "no coding is in the required value set %s; found '%s'", set.URL, v.quote(code))
	case !extended:
		v.fault(n, fhir.CodeUnknown, "found no coding with system and code; expected one of the required value set %s", set.URL)
	}
}

// hasExtension tells whether an extension is anywhere below n: whoever leaves a
// value out may say why.
func (v *Validator) hasExtension(n fhir.NodeID) bool {
	for c := n + 1; c < v.after(n); c++ {
		if v.nodes[c].Type == r4.TypeExtension {
			return true
		}
	}
	return false
}

// system checks Coding.system and Identifier.system, which identify, so they are
// absolute; and a value set is no code system (FHIR R4 2.24.0.5, 4.2.7).
func (v *Validator) system(n fhir.NodeID) {
	text := v.text(n)
	switch {
	case len(text) == 0:
	case !isAbsolute(text):
		v.value(n, "is no absolute URI; expected such as 'http://loinc.org' or 'urn:oid:1.2.3'")
	case v.nodes[n].Element == elCodingSystem && v.begins(n, "http://hl7.org/fhir/ValueSet/"):
		v.value(n, "is a value set; expected the code system that the code is of")
	}
}

// isAbsolute tells whether text begins with a scheme (RFC 3986, 3.1).
func isAbsolute(text []byte) bool {
	if len(text) > 8 && (string(text[:7]) == "http://" || string(text[:8]) == "https://" || string(text[:4]) == "urn:") {
		return true
	}
	for i, c := range text {
		switch {
		case letter[c]:
		case i > 0 && (c-'0' <= 9 || c == '+' || c == '-' || c == '.'):
		default:
			return i > 0 && c == ':'
		}
	}
	return false
}
