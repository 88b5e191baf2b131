// Package xhtml checks the XHTML of narratives (FHIR R4, 2.4.1): well formed, with
// the elements and attributes that txt-1 allows only, without scripts, and with
// some content (txt-2). It owns these rules; where narratives are is left to
// others. Read [Checker].
package xhtml

import (
	"bytes"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
)

// Checker checks narratives, one after the other: it goes over the text once and
// keeps the open elements. It belongs to one goroutine; its memory is used again.
type Checker struct {
	s       []byte
	i       int
	open    []span // names of the open elements
	attrs   []span // names of the attributes of the tag being read
	visible bool   // there is text other than white space, or an image
	why     string // first fault
}

// The classes of bytes in text.
const (
	textPlain = iota
	textSpace
	textMarkup // < and &
)

var textByte = func() (t [256]uint8) {
	t[' '], t['\t'], t['\r'], t['\n'] = textSpace, textSpace, textSpace, textSpace
	t['<'], t['&'] = textMarkup, textMarkup
	return t
}()

// Visible tells whether the text checked last has content: text other than white
// space, or an image (invariant txt-2).
func (x *Checker) Visible() bool { return x.visible }

// Holds tells whether text keeps to txt-1 and txt-2, as htmlChecks() of FHIRPath does.
func (x *Checker) Holds(text []byte) bool { return x.Check(text) == "" && x.visible }

// Check tells what is wrong with text by invariant txt-1, "" for nothing.
func (x *Checker) Check(text []byte) string {
	x.s, x.i, x.open, x.visible, x.why = text, 0, x.open[:0], false, ""
	x.space()
	for x.why == "" && x.i < len(x.s) {
		x.markup()
		if len(x.open) == 0 {
			break
		}
		x.text()
	}
	if x.why == "" {
		if x.space(); len(x.open) > 0 {
			x.fail("element '", x.name(x.open[len(x.open)-1]), "' is not closed")
		} else if x.i < len(x.s) {
			x.fail("there is more after the div: '", x.s[x.i:], "'")
		}
	}
	x.s = nil
	return x.why
}

func (x *Checker) fail(before string, value []byte, after string) {
	if x.why == "" {
		x.why = before + fhir.Cut(value) + after
	}
}

func (x *Checker) name(s span) []byte { return x.s[s.from:s.to] }

func (x *Checker) space() {
	for x.i < len(x.s) && textByte[x.s[x.i]] == textSpace {
		x.i++
	}
}

// text reads text up to the next tag, or the end.
func (x *Checker) text() {
	s, i := x.s, x.i
	plain := false
	for i < len(s) {
		switch textByte[s[i]] {
		case textPlain:
			plain = true
			i++
		case textSpace:
			i++
		default:
			if s[i] == '<' {
				x.i, x.visible = i, x.visible || plain
				return
			}
			x.i = i
			x.entity()
			if i = x.i; x.why != "" {
				return
			}
			plain = true
		}
	}
	x.i, x.visible = i, x.visible || plain
}

// entity reads a reference to a character: those of XML by name, all by number.
func (x *Checker) entity() {
	rest := x.s[x.i:]
	end := bytes.IndexByte(rest[:min(len(rest), 12)], ';')
	if end < 0 {
		x.fail("'", rest[:min(len(rest), 12)], "' is no entity; expected '&amp;' for the character itself")
		return
	}
	switch name := rest[1:end]; string(name) {
	case "amp", "lt", "gt", "quot", "apos":
	default:
		if len(name) == 0 || name[0] != '#' || !isCharacter(name[1:]) {
			x.fail("entity '", rest[:end+1], "' is not one of XML; expected the character itself or its number")
		}
	}
	x.i += end + 1
}

// span is a part of the text.
type span struct{ from, to int }

var nameByte = func() (t [256]bool) {
	for c := range t {
		t[c] = '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == ':' || c == '-' || c == '_' || c == '.'
	}
	return t
}()

// isCharacter tells whether number, decimal or x and hexadecimal, is that of a
// character of XML (XML 1.0, 2.2).
func isCharacter(number []byte) bool {
	base := rune(10)
	if len(number) > 0 && number[0] == 'x' {
		number, base = number[1:], 16
	}
	var r rune
	for _, c := range number {
		d := rune(c - '0')
		if c > '9' {
			d = rune(c|0x20-'a') + 10
		}
		if d < 0 || d >= base {
			return false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return false
		}
	}
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && utf8.ValidRune(r) && r != 0xFFFE && r != 0xFFFF
}

// markup reads a tag, a comment or a CDATA section at x.i.
func (x *Checker) markup() {
	rest := x.s[x.i:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		if x.skip(rest, "--"); x.why == "" {
			if x.i >= len(x.s) || x.s[x.i] != '>' {
				x.fail("found '--' in a comment '", rest, "'; expected it at the end only")
			}
			x.i++
		}
	case bytes.HasPrefix(rest, []byte("<![CDATA[")) && len(x.open) > 0:
		x.visible = true
		x.skip(rest, "]]>")
	case bytes.HasPrefix(rest, []byte("</")):
		x.i += 2
		x.endTag()
	case len(rest) > 0 && rest[0] == '<':
		x.i++
		x.startTag()
	default:
		x.fail("found '", rest, "'; expected a div element")
	}
}

// skip goes behind the next end in rest, which is what is left.
func (x *Checker) skip(rest []byte, end string) {
	i := bytes.Index(rest[4:], []byte(end))
	if i < 0 {
		x.fail("'", rest[:4], "' has no end '"+end+"'")
		return
	}
	x.i += 4 + i + len(end)
}

// word reads a name.
func (x *Checker) word() span {
	from := x.i
	for x.i < len(x.s) && nameByte[x.s[x.i]] {
		x.i++
	}
	return span{from, x.i}
}

func (x *Checker) endTag() {
	name := x.name(x.word())
	x.space()
	if x.i >= len(x.s) || x.s[x.i] != '>' {
		x.fail("end tag of '", name, "' has no '>'")
		return
	}
	x.i++
	if len(x.open) == 0 {
		x.fail("element '", name, "' is closed and was not open")
		return
	}
	last := len(x.open) - 1
	if want := x.name(x.open[last]); !bytes.Equal(name, want) {
		x.fail("element '", name, "' is closed where '"+fhir.Cut(want)+"' is open")
		return
	}
	x.open = x.open[:last]
}

func (x *Checker) startTag() {
	tag := x.word()
	name := x.name(tag)
	switch {
	case len(name) == 0:
		x.fail("found '<", x.s[x.i:min(x.i+8, len(x.s))], "'; expected the name of an element, or '&lt;' for the character")
		return
	case len(x.open) == 0 && string(name) != "div":
		x.fail("found element '", name, "'; expected a div around all")
		return
	case !allowedElement(name):
		x.fail("element '", name, "' is not allowed in a narrative")
		return
	case string(name) == "img":
		x.visible = true
	}
	x.attrs = x.attrs[:0]
	for x.why == "" {
		before := x.i
		x.space()
		if x.i >= len(x.s) {
			x.fail("tag of '", name, "' has no '>'")
			return
		}
		switch c := x.s[x.i]; {
		case c == '>':
			x.i++
			x.open = append(x.open, tag)
			return
		case c == '/' && x.i+1 < len(x.s) && x.s[x.i+1] == '>':
			x.i += 2
			return
		case x.i == before:
			x.fail("found '", x.s[x.i:min(x.i+8, len(x.s))], "' in a tag; expected white space or '>'")
		default:
			x.attribute(name)
		}
	}
}

// attribute reads an attribute of the element with the given name.
func (x *Checker) attribute(element []byte) {
	word := x.word()
	name := x.name(word)
	x.space()
	if len(name) == 0 || x.i >= len(x.s) || x.s[x.i] != '=' {
		x.fail("attribute '", name, "' has no value")
		return
	}
	x.i++
	x.space()
	if x.i >= len(x.s) || x.s[x.i] != '"' && x.s[x.i] != '\'' {
		x.fail("the value of attribute '", name, "' is not quoted")
		return
	}
	quote := x.s[x.i]
	x.i++
	n := bytes.IndexByte(x.s[x.i:], quote)
	if n < 0 {
		x.fail("the value of attribute '", name, "' has no end")
		return
	}
	value := x.s[x.i : x.i+n]
	end := x.i + n + 1
	switch {
	case !allowedAttribute(name):
		x.fail("attribute '", name, "' is not allowed in a narrative")
	case bytes.IndexByte(value, '<') >= 0:
		x.fail("the value of attribute '", name, "' has a '<'; expected '&lt;'")
	case bytes.IndexByte(value, '&') >= 0:
		x.entities(value)
	}
	switch string(name) {
	case "xmlns":
		if string(value) != "http://www.w3.org/1999/xhtml" {
			x.fail("the namespace is '", value, "'; expected 'http://www.w3.org/1999/xhtml'")
		}
	case "href", "src", "style", "cite", "longdesc", "usemap":
		if isScript(value) {
			x.fail("attribute '", name, "' has a script")
		}
	}
	for _, a := range x.attrs {
		if bytes.Equal(x.name(a), name) {
			x.fail("attribute '", name, "' occurs twice in a '"+fhir.Cut(element)+"'")
		}
	}
	x.attrs = append(x.attrs, word)
	x.i = end
}

// entities checks the entities in the value of an attribute. Servers write links
// with a bare '&', which is not well formed.
func (x *Checker) entities(value []byte) {
	at := x.i
	for off := 0; x.why == ""; {
		k := bytes.IndexByte(value[off:], '&')
		if k < 0 {
			break
		}
		x.i = at + off + k
		x.entity()
		off = x.i - at
	}
	x.i = at
}

var scripts = [...]string{"javascript:", "vbscript:", "expression("}

// isScript tells whether the value of an attribute runs code.
func isScript(value []byte) bool {
	for i, c := range value {
		if c != ':' && c != '(' {
			continue
		}
		for _, scheme := range scripts {
			if from := i + 1 - len(scheme); from >= 0 && bytes.EqualFold(value[from:i+1], []byte(scheme)) {
				return true
			}
		}
	}
	return false
}

// allowedElement has the elements of HTML 4.0 chapters 7 to 11 (without 9.4) and
// 15, without the document itself and what is deprecated, and a, img and maps.
func allowedElement(name []byte) bool {
	switch string(name) {
	case "p", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "a", "span", "b", "em", "i", "strong", "small", "big", "tt", "dfn",
		"q", "var", "abbr", "acronym", "cite", "blockquote", "hr", "ul", "ol", "li", "dl", "dt", "dd", "pre", "table", "caption",
		"colgroup", "col", "thead", "tr", "tfoot", "tbody", "th", "td", "code", "samp", "kbd", "sub", "sup", "address", "bdo",
		"img", "map", "area":
		return true
	}
	return false
}

// allowedAttribute has the attributes of these elements but those of events.
func allowedAttribute(name []byte) bool {
	switch string(name) {
	case "id", "class", "title", "style", "lang", "xml:lang", "dir", "xmlns", "href", "name", "src", "alt", "cite",
		"accesskey", "tabindex", "charset", "type", "hreflang", "rel", "rev", "shape", "coords", "longdesc", "height", "width",
		"usemap", "ismap", "nohref", "target", "border", "summary", "frame", "rules", "cellspacing", "cellpadding", "span",
		"align", "valign", "char", "charoff", "abbr", "axis", "headers", "scope", "rowspan", "colspan", "nowrap", "bgcolor",
		"start", "value", "compact", "clear", "size", "noshade", "hspace", "vspace", "xml:space", "space", "idref":
		return true
	}
	return false
}
