package validate

import (
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
)

// attachment checks that the size of an Attachment is that of its data (FHIR R4
// 2.24.0.10: "the number of bytes of data that make up this attachment (before
// base64 encoding, if that is done)").
func (v *Validator) attachment(n fhir.NodeID) {
	data, size := fhir.NoNode, fhir.NoNode
	for c, end := n+1, v.after(n); c < end; c = v.after(c) {
		switch v.nodes[c].Element {
		case elAttachmentData:
			data = c
		case elAttachmentSize:
			size = c
		}
	}
	if data == fhir.NoNode || size == fhir.NoNode || v.nodes[data].Kind != fhir.KindString || v.nodes[size].Kind != fhir.KindNumber {
		return
	}
	found, ok := base64Size(v.text(data))
	stated, err := strconv.Atoi(string(v.tree.Raw(size)))
	if ok && err == nil && found != stated {
		v.value(size, "is not the size of the data; expected %d", found)
	}
}

// base64Size gives how many bytes a base64 text stands for, white space aside;
// ok is false for what is no base64.
func base64Size(text []byte) (size int, ok bool) {
	n, pads := 0, 0
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		case '=':
			pads++
			n++
		default:
			n++
		}
	}
	return n/4*3 - pads, n%4 == 0 && pads <= 2
}
