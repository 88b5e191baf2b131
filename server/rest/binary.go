package rest

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A Binary is written and read as what it is, unless FHIR's format is named (FHIR R4,
// 2.41.2).

var (
	binaryContentType = r4.TypeBinary.ElementByName("contentType")
	binaryData        = r4.TypeBinary.ElementByName("data")
	binarySecurity    = r4.TypeBinary.ElementByName("securityContext")
	referenceText     = r4.TypeReference.ElementByName("reference")
)

// appendBinary appends the Binary of a body of another format.
func appendBinary(dst []byte, c *call, content string, body []byte) []byte {
	dst = append(dst, `{"resourceType":"Binary"`...)
	if c.kind == targetInstance {
		dst = fhir.AppendQuoted(append(dst, `,"id":`...), c.id)
	}
	dst = fhir.AppendQuoted(append(dst, `,"contentType":`...), content)
	if s := c.header.Get("X-Security-Context"); s != "" {
		dst = append(fhir.AppendQuoted(append(dst, `,"securityContext":{"reference":`...), s), '}')
	}
	if len(body) > 0 {
		dst = append(dst, `,"data":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, body), '"')
	}
	return append(dst, '}')
}

// headerValue tells whether a header can have a text as its value: a resource that was
// stored with issues may have any.
func headerValue(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == utf8.RuneError })
}

// sendBinary sends the content of a Binary, and tells whether it could: with other
// issues than the resource has, the resource itself goes out.
func (x *exchange) sendBinary(status int, text []byte) bool {
	r, root, ok := readTree(text)
	defer r.release()
	if !ok {
		return false
	}
	content := stringOf(&r.tree, root, binaryContentType)
	if !headerValue(content) {
		return false
	}
	var body []byte
	if n := r.tree.Child(root, binaryData); n != fhir.NoNode {
		var err error
		if body, err = base64.StdEncoding.AppendDecode(nil, r.tree.String(n, nil)); err != nil {
			return false
		}
	}
	h := x.w.Header()
	if n := r.tree.Child(root, binarySecurity); n != fhir.NoNode {
		if s := stringOf(&r.tree, n, referenceText); headerValue(s) {
			h.Set("X-Security-Context", s)
		}
	}
	h.Set("Content-Type", content)
	// What a client stored must not act as a page of this server.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	x.w.Write(body)
	return true
}
