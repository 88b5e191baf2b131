package search

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// ReferenceParts are those of a reference; they alias its text.
type ReferenceParts struct {
	Type    r4.TypeID // of the target; 0 when nothing tells
	ID      []byte    // logical id, of a literal reference
	URL     []byte    // of what is no relative literal reference, without version
	Version []byte    // versionId, or the version of a canonical
}

// ReferenceOf takes a reference apart (R4, 2.3.0.1 and 3.1.1.4.12):
//
//	Patient/1/_history/2             type, id, version
//	http://example.org/Patient/1     type, id, and the URL
//	urn:uuid:..., #p1                the URL
//	Practitioner?identifier=s|1      type, and the whole as URL
//	http://example.org/vs|1          the URL, and the version: a canonical
//
// What is stored and what is asked for are equal when type, id and URL are; a version
// counts when it is asked for. A relative reference equals the absolute one that has
// the server's own base before it.
func ReferenceOf(text []byte) (p ReferenceParts) {
	if typ, id, ok := columnar.ReferenceParts(text); ok {
		p.Type, p.ID = r4.ResourceTypeByName(typ), id
		if i := bytes.LastIndexByte(text, '/'); bytes.HasSuffix(text[:i+1], history) {
			text, p.Version = text[:i+1-len(history)], text[i+1:]
		}
		if len(text) != len(typ)+1+len(id) {
			p.URL = text
		}
		return p
	}
	if head, _, ok := bytes.Cut(text, []byte{'?'}); ok {
		if t := r4.ResourceTypeByName(head[bytes.LastIndexByte(head, '/')+1:]); t != 0 {
			return ReferenceParts{Type: t, URL: text}
		}
	}
	return CanonicalOf(text)
}

var history = []byte("/_history/")

// CanonicalOf takes a canonical apart: its URL and, after the bar, its version (R4,
// 2.24.0.1). A URL that has the form of a literal reference stays one.
func CanonicalOf(text []byte) ReferenceParts {
	if i := bytes.LastIndexByte(text, '|'); i >= 0 {
		return ReferenceParts{URL: text[:i], Version: text[i+1:]}
	}
	return ReferenceParts{URL: text}
}
