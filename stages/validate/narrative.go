package validate

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
)

// narrative checks the XHTML of Narrative.div (package xhtml): well formed, with
// what txt-1 allows only, and with some content (txt-2).
func (v *Validator) narrative(n fhir.NodeID) {
	text := v.tree.Raw(n)
	if v.nodes[n].Flags&fhir.FlagEscaped != 0 {
		v.buf = appendUnescaped(v.buf[:0], text)
		text = v.buf
	}
	if why := v.xhtml.Check(text); why != "" {
		v.broken(n, conTxt1, why)
	} else if !v.xhtml.Visible() {
		v.broken(n, conTxt2, "")
	}
}

// appendUnescaped is fhir.AppendUnescaped for long text with few escapes: it
// copies what is between them at once.
func appendUnescaped(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		n := 0
		for bytes.HasPrefix(s[i+n:], []byte(`\u`)) { // a run of them at once, since two may be one character
			n = min(n+6, len(s)-i)
		}
		if n == 0 {
			n = min(2, len(s)-i)
		}
		dst = fhir.AppendUnescaped(dst, s[i:i+n])
		s = s[i+n:]
	}
}
