package parse

import (
	"bytes"
	"math/bits"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

const (
	maxDecimal  = 1024 // bytes of a decimal's text
	maxExponent = 308  // of a decimal
	maxID       = 64   // characters of an id
)

// primitive reads the value at i of element e, one of a primitive type, and
// checks it. The common shapes are decided here; all else goes to text.
func (p *Parser) primitive(i int, e r4.ElementID, m *member) int {
	d := p.d
	if i >= len(d) {
		return p.fatal(i, "text ends before a value")
	}
	s := i + 1
	switch m.prim {
	case r4.PrimitiveString, r4.PrimitiveMarkdown, r4.PrimitiveXHTML, r4.PrimitiveBase64Binary:
		if d[i] != '"' {
			break
		}
		j := s
		for j+8 <= len(d) {
			if x := special(load8(d, j), floorText); x != 0 {
				j += bits.TrailingZeros64(x) >> 3
				if d[j] == '"' && j > s && m.prim <= r4.PrimitiveMarkdown {
					p.leaf(e, m.typ, fhir.KindString, 0, s, j)
					return j + 1
				}
				break
			}
			j += 8
		}
		return p.text(s, j, e, m)

	case r4.PrimitiveCode, r4.PrimitiveURI, r4.PrimitiveURL, r4.PrimitiveCanonical:
		if d[i] != '"' {
			break
		}
		j := s
		for j+8 <= len(d) {
			if x := special(load8(d, j), floorToken); x != 0 {
				j += bits.TrailingZeros64(x) >> 3
				if d[j] == '"' && j > s && (m.codes == 0 || r4.CodeSetAt(m.codes).Contains(d[s:j])) {
					p.leaf(e, m.typ, fhir.KindString, 0, s, j)
					return j + 1
				}
				break
			}
			j += 8
		}
		return p.text(s, s, e, m)

	case r4.PrimitiveDateTime, r4.PrimitiveInstant, r4.PrimitiveDate:
		if d[i] != '"' {
			break
		}
		if j := temporalEnd(d, s, m.prim); j > 0 && j < len(d) && d[j] == '"' {
			p.leaf(e, m.typ, fhir.KindString, 0, s, j)
			return j + 1
		}
		return p.text(s, s, e, m)

	case r4.PrimitiveID:
		if d[i] != '"' {
			break
		}
		j := s
		for j < len(d) && idByte[d[j]] {
			j++
		}
		if j < len(d) && d[j] == '"' && j > s && j-s <= maxID {
			p.leaf(e, m.typ, fhir.KindString, 0, s, j)
			return j + 1
		}
		return p.text(s, s, e, m)

	case r4.PrimitiveTime, r4.PrimitiveOID, r4.PrimitiveUUID:
		if d[i] == '"' {
			return p.text(s, s, e, m)
		}

	case r4.PrimitiveDecimal, r4.PrimitiveInteger, r4.PrimitiveUnsignedInt, r4.PrimitivePositiveInt:
		if d[i] == '-' || d[i]-'0' <= 9 {
			return p.number(i, e, m)
		}

	case r4.PrimitiveBoolean:
		if end, kind := literal(d, i); end >= 0 && kind != fhir.KindNull {
			p.leaf(e, m.typ, kind, 0, i, end)
			return end
		}
	}
	return p.wrongKind(i, e, wanted(m.prim))
}

func wanted(prim r4.Primitive) string {
	switch prim {
	case r4.PrimitiveDecimal, r4.PrimitiveInteger, r4.PrimitiveUnsignedInt, r4.PrimitivePositiveInt:
		return "a number"
	case r4.PrimitiveBoolean:
		return "true or false"
	}
	return "a string"
}

var idByte = func() (t [256]bool) {
	for c := range t {
		t[c] = '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-' || c == '.'
	}
	return t
}()

// number reads and checks a number.
func (p *Parser) number(i int, e r4.ElementID, m *member) int {
	end, frac, exp := p.numberEnd(i)
	if end < 0 {
		return end
	}
	text := p.d[i:end]
	if m.prim == r4.PrimitiveDecimal {
		if end != exp && !smallExponent(p.d[exp+1:end]) {
			p.value(i, e, text, "is beyond the range of a decimal; expected an exponent between -%d and %d", maxExponent, maxExponent)
		} else if len(text) > maxDecimal {
			p.add(fhir.Error, fhir.CodeTooLong, i, e, "decimal has %d characters; expected at most %d", []any{len(text), maxDecimal})
		}
	} else {
		switch name := m.typ.String(); {
		case frac != end:
			p.value(i, e, text, "is not a valid %s; expected a whole number without point and exponent", name)
		case text[0] == '-' && len(text) == 2 && text[1] == '0':
			p.value(i, e, text, "is not a valid %s; expected 0 without a sign", name)
		case text[0] == '-' && m.prim != r4.PrimitiveInteger:
			p.value(i, e, text, "is not a valid %s; expected a number without a sign", name)
		case m.prim == r4.PrimitivePositiveInt && text[0] == '0':
			p.value(i, e, text, "is not a valid %s; expected 1 or more", name)
		case !fits32(text):
			p.value(i, e, text, "is not a valid %s; expected a number of 32 bits", name)
		}
	}
	p.leaf(e, m.typ, fhir.KindNumber, 0, i, end)
	return end
}

// smallExponent tells whether the exponent, maybe signed, is within the limit.
func smallExponent(s []byte) bool {
	n := 0
	for _, c := range s {
		if c == '+' || c == '-' {
			continue
		}
		if n = 10*n + int(c-'0'); n > maxExponent {
			return false
		}
	}
	return true
}

// fits32 tells whether an integer in digits, maybe negative, fits into 32 bits.
func fits32(s []byte) bool {
	limit := int64(1<<31 - 1)
	if s[0] == '-' {
		s, limit = s[1:], 1<<31
	}
	if len(s) > 10 {
		return false
	}
	var n int64
	for _, c := range s {
		n = 10*n + int64(c-'0')
	}
	return n <= limit
}

// text reads the rest of the string whose text begins at s and is plain up to j,
// and checks its value in full.
func (p *Parser) text(s, j int, e r4.ElementID, m *member) int {
	end, flags := p.stringEnd(s, j)
	if end < 0 {
		return end
	}
	if m.form == formResourceType {
		flags &^= flagControl // its value is judged elsewhere
	} else {
		v := p.d[s:end]
		// Texts may be long, and none of what is checked needs them decoded.
		long := m.prim <= r4.PrimitiveMarkdown || m.prim == r4.PrimitiveXHTML && startsDiv(v)
		if flags != 0 && !long {
			p.buf = fhir.AppendUnescaped(p.buf[:0], v)
			v = p.buf
		}
		if flags&flagControl != 0 {
			p.add(fhir.Warning, fhir.CodeValue, s-1, e, "string has an escaped control character; expected none but tab, line feed and carriage return", nil)
			flags &^= flagControl
		}
		p.checkText(s-1, v, e, m)
	}
	p.leaf(e, m.typ, fhir.KindString, flags, s, end)
	return end + 1
}

// checkText checks v, the value of a string at offset i, by the regular
// expression that R4 gives for its type (datatypes, 2.24.0.1) and the calendar.
func (p *Parser) checkText(i int, v []byte, e r4.ElementID, m *member) {
	if len(v) == 0 {
		p.add(fhir.Error, fhir.CodeValue, i, e, "string is empty; expected at least one character", nil)
		return
	}
	name := m.typ.String()
	switch m.prim {
	case r4.PrimitiveCode:
		if !validCode(v) {
			p.value(i, e, v, "is not a valid code; expected no white space but single ones inside")
		} else if m.codes != 0 && !r4.CodeSetAt(m.codes).Contains(v) {
			p.add(fhir.Error, fhir.CodeUnknown, i, e, "code '%s' is not in the required value set %s%s",
				[]any{fhir.Cut(v), r4.ElementAt(e).Binding.ValueSet, suggestCode(m.codes, v)})
		}
	case r4.PrimitiveURI, r4.PrimitiveURL, r4.PrimitiveCanonical:
		if bytes.ContainsAny(v, " \t\r\n") {
			p.value(i, e, v, "is not a valid %s; expected no white space", name)
		}
	case r4.PrimitiveID:
		if len(v) > maxID || bytes.ContainsFunc(v, func(r rune) bool { return r > 127 || !idByte[r] }) {
			p.value(i, e, v, "is not a valid id; expected 1 to %d letters, digits, '-' and '.'", maxID)
		}
	case r4.PrimitiveOID:
		if !validOID(v) {
			p.value(i, e, v, "is not a valid oid; expected such as 'urn:oid:1.2.3'")
		}
	case r4.PrimitiveUUID:
		if !validUUID(v) {
			p.value(i, e, v, "is not a valid uuid; expected such as 'urn:uuid:c757873d-ec9a-4326-a141-556f43239520'")
		}
	case r4.PrimitiveBase64Binary:
		if why := whyNotBase64(v); why != "" {
			p.value(i, e, v, "is not valid base64Binary; expected %s", why)
		}
	case r4.PrimitiveXHTML:
		if !startsDiv(v) {
			p.value(i, e, v, "is not a valid narrative; expected a <div> element")
		}
	case r4.PrimitiveDate, r4.PrimitiveDateTime, r4.PrimitiveInstant, r4.PrimitiveTime:
		if !p.validTemporal(v, m.prim) {
			p.value(i, e, v, "is not a valid %s; expected %s", name, whyNotTemporal(v, m.prim))
		}
	}
}

func suggestCode(set uint16, v []byte) string {
	var names []string
	for _, c := range r4.CodeSetAt(set).Codings {
		if names = append(names, c.Code); len(names) > 500 {
			return ""
		}
	}
	return suggest(names, string(v))
}

// validCode: [^\s]+(\s[^\s]+)*
func validCode(v []byte) bool {
	space := true
	for _, c := range v {
		s := c == ' ' || c == '\t' || c == '\n' || c == '\r'
		if s && space {
			return false
		}
		space = s
	}
	return !space
}

// validOID: urn:oid:[0-2](\.(0|[1-9][0-9]*))+
func validOID(v []byte) bool {
	v, ok := bytes.CutPrefix(v, []byte("urn:oid:"))
	if !ok || len(v) < 3 || v[0] < '0' || v[0] > '2' || v[1] != '.' {
		return false
	}
	for part := range bytes.SplitSeq(v[2:], []byte{'.'}) {
		if len(part) == 0 || part[0] == '0' && len(part) > 1 || digits(part, 0) != len(part) {
			return false
		}
	}
	return true
}

// validUUID: urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
func validUUID(v []byte) bool {
	v, ok := bytes.CutPrefix(v, []byte("urn:uuid:"))
	if !ok || len(v) != 36 {
		return false
	}
	for i, c := range v {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if c-'0' > 9 && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// base64Byte: 0 for a digit of base64, 1 for padding, 2 for white space, else 4.
var base64Byte = func() (t [256]uint8) {
	for c := range t {
		t[c] = 4
	}
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = 0
	}
	t['='], t[' '], t['\n'], t['\t'], t['\r'] = 1, 2, 2, 2, 2
	return t
}()

// whyNotBase64 tells what v lacks, "" for nothing.
func whyNotBase64(v []byte) string {
	// Most is digits; only what is left after them needs a closer look.
	size := 0
	t := &base64Byte
	for len(v) >= 8 {
		b := (*[8]byte)(v)
		if t[b[0]]|t[b[1]]|t[b[2]]|t[b[3]]|t[b[4]]|t[b[5]]|t[b[6]]|t[b[7]] != 0 {
			break
		}
		v = v[8:]
		size = 8
	}
	pads := 0
	for _, c := range v {
		switch t[c] {
		case 0:
			if size++; pads != 0 {
				return "padding only at the end"
			}
		case 1:
			size++
			pads++
		case 4:
			return "letters, digits, '+', '/' and '='"
		}
	}
	switch {
	case size == 0 || size%4 != 0:
		return "groups of four characters"
	case pads > 2:
		return "at most two padding characters"
	}
	return ""
}

// startsDiv tells whether v starts with a div element, after white space.
func startsDiv(v []byte) bool {
	v, ok := bytes.CutPrefix(bytes.TrimLeft(v, " \t\r\n"), []byte("<div"))
	return ok && len(v) > 0 && bytes.IndexByte([]byte(" \t\r\n>/"), v[0]) >= 0
}
