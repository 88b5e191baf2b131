package identify

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// maxID is the length that the id datatype allows (FHIR R4, 2.24.0.1).
const maxID = 64

// unstorable tells why a faulty resource cannot be stored under its id, "" when it
// can: the members that say what it is and which version must be there once and be
// of the right kind, or readers would differ in what they take it for
// (docs/decisions/0015-what-minimal-takes.md).
func unstorable(t *fhir.Tree, r *pipeline.Record) (element, why string) {
	if !validID(r.ID) {
		return ".id", "the id is not valid: a resource is stored under 1 to 64 letters, digits, '-' and '.'"
	}
	var seen [3]int
	names := [...]string{"resourceType", "id", "meta"}
	var buf []byte
	for c := t.FirstChild(r.Root); c != fhir.NoNode; c = t.NextSibling(r.Root, c) {
		buf = fhir.AppendUnescaped(buf[:0], t.Key(c))
		for k, name := range names {
			if string(buf) != name {
				continue
			}
			if seen[k]++; seen[k] > 1 {
				return "", fmt.Sprintf("element '%s' occurs twice: which one counts would depend on the reader", name)
			}
			if name == "meta" && t.Nodes[c].Kind != fhir.KindObject {
				return ".meta", "element 'meta' is no object: it could not take the version and time of the stored resource"
			}
		}
	}
	return "", ""
}

// validID: [A-Za-z0-9\-\.]{1,64}
func validID(id []byte) bool {
	for _, c := range id {
		if c-'0' > 9 && c|0x20-'a' > 25 && c != '-' && c != '.' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= maxID
}
