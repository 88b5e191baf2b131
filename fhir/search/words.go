package search

import (
	"bytes"
	"encoding/base64"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Texts yields the texts of resources that _text and _content look into (R4, 3.1.1.4.20). It belongs to one goroutine.
//
// _text looks into the narrative of the resource alone. _content looks into every value of
// the resource and of what it contains that is a text or a number; of a narrative that is
// what a reader sees, of an attachment of text its decoded data. Other binary data, and
// names of elements, are no content.
type Texts struct {
	buf, decoded []byte
}

var (
	attachmentData = r4.TypeAttachment.ElementByName("data")
	attachmentType = r4.TypeAttachment.ElementByName("contentType")
	narrativeDiv   = r4.TypeNarrative.ElementByName("div")
)

// Each calls f with each text, which is valid during the call, until it returns false.
func (x *Texts) Each(t *fhir.Tree, root fhir.NodeID, content bool, f func(text []byte) bool) {
	if !content {
		if n := t.Child(root, t.Nodes[root].Type.ElementByName("text")); n != fhir.NoNode && t.Nodes[n].Kind == fhir.KindObject {
			if div := t.Child(n, narrativeDiv); div != fhir.NoNode {
				f(x.text(t, div))
			}
		}
		return
	}
	data := fhir.NoNode // of an attachment of text
	for n := root; n < fhir.NodeID(t.Nodes[root].Next); n++ {
		switch nd := &t.Nodes[n]; {
		case nd.Kind == fhir.KindObject && nd.Type == r4.TypeAttachment:
			data = fhir.NoNode
			if c := t.Child(n, attachmentType); c != fhir.NoNode && bytes.HasPrefix(bytes.ToLower(t.Raw(c)), []byte("text/")) {
				data = t.Child(n, attachmentData)
			}
		case nd.Kind == fhir.KindNumber:
			if !f(t.Raw(n)) {
				return
			}
		case nd.Kind != fhir.KindString || nd.Element == r4.ElementResourceType:
		case r4.TypeAt(nd.Type).Primitive != r4.PrimitiveBase64Binary || n == data:
			if !f(x.text(t, n)) {
				return
			}
		}
	}
}

// text gives what a reader sees of a string.
func (x *Texts) text(t *fhir.Tree, n fhir.NodeID) []byte {
	s := t.Raw(n)
	if t.Nodes[n].Flags&fhir.FlagEscaped != 0 {
		x.decoded = fhir.AppendUnescaped(x.decoded[:0], s)
		s = x.decoded
	}
	switch r4.TypeAt(t.Nodes[n].Type).Primitive {
	case r4.PrimitiveXHTML:
		x.buf = appendVisible(x.buf[:0], s)
		return x.buf
	case r4.PrimitiveBase64Binary:
		x.buf = append(x.buf[:0], make([]byte, base64.StdEncoding.DecodedLen(len(s)))...)
		n, _ := base64.StdEncoding.Decode(x.buf, s) // as far as it is base64
		return x.buf[:n]
	}
	return s
}

// HasPhrase tells whether words follow one another in a folded text; both have one space
// between words.
func HasPhrase(folded, words []byte) bool {
	for from := 0; ; {
		i := bytes.Index(folded[from:], words)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(words)
		if (start == 0 || folded[start-1] == ' ') && (end == len(folded) || folded[end] == ' ') {
			return true
		}
		from = start + 1
	}
}
