package attachment

import (
	"bytes"

	"golang.org/x/net/html/charset"
)

// htmlReader takes the text out of marked-up documents. It goes over the tags
// as they come and builds no tree: what it has to know of what is open are a few
// counts, so depth costs nothing.
type htmlReader struct {
	layout
	xml       bool
	root      bool // the root has begun; what is before it in XML is no text
	cda       bool // the document is a CDA: only titles and texts are shown
	otherBody bool // the CDA has a body that is not XML
	shown     int  // open elements of a CDA that are shown
	hidden    int  // open elements that are not shown
	lists     int  // open lists
	name      [maxName]byte
}

// fromHTML reads HTML, or XML.
func (d *Decoder) fromHTML(data []byte, label string, xml bool) ([]byte, error) {
	data, err := d.markupToUTF8(data, label, xml)
	if err != nil {
		return nil, err
	}
	h := &d.html
	*h = htmlReader{layout: layout{out: d.text[:0]}, xml: xml, root: !xml}
	h.read(tags{data: data, xml: xml})
	d.text = h.out
	if h.otherBody && len(h.out) == 0 {
		return nil, &Unreadable{"the body of the CDA document is not XML, and is not read"}
	}
	return h.out, nil
}

func (h *htmlReader) read(t tags) {
	for {
		kind, value := t.next()
		switch kind {
		case noMore:
			return
		case markedUp:
			if h.shows() {
				h.addMarkedUp(value)
			}
		case character:
			if h.shows() {
				h.add(value)
			}
		case startTag, emptyTag:
			e, name := h.element(value)
			if !h.root {
				h.root, h.cda = true, string(name) == "clinicaldocument"
			}
			h.otherBody = h.otherBody || h.cda && string(name) == "nonxmlbody"
			if kind == emptyTag {
				// HTML has no empty element <script/>; what writes one means it so, and a
				// note must not be lost to it.
				h.empty(e)
				continue
			}
			h.start(e)
			if e&(raw|rawShown|text) != 0 && !h.xml {
				if s := t.rawText(name); e&raw == 0 && h.shows() {
					if e&text != 0 {
						h.addMarkedUp(s)
					} else {
						h.add(s)
					}
				}
			}
		case endTag:
			e, _ := h.element(value)
			h.end(e)
		}
	}
}

// shows tells whether text is seen here.
func (h *htmlReader) shows() bool {
	return h.root && h.hidden == 0 && (!h.cda || h.shown > 0)
}

// markupToUTF8 is toUTF8 for documents that may name their charset themselves.
func (d *Decoder) markupToUTF8(data []byte, label string, xml bool) ([]byte, error) {
	if label != "" || bytes.HasPrefix(data, utf8Mark) || utf16Order(data) != noUTF16 {
		return d.toUTF8(data, label)
	}
	if xml || bytes.HasPrefix(data, []byte("<?xml")) {
		if label = xmlEncoding(data); label != "" || xml {
			return d.toUTF8(data, label)
		}
	}
	e, name, certain := charset.DetermineEncoding(data, "")
	switch {
	case certain || name == "windows-1252": // a byte order mark; what it falls back to
		return d.toUTF8(data, "")
	case name == "utf-8":
		return d.valid(data), nil
	}
	return d.transcode(data, e), nil
}

// xmlEncoding gives the encoding of an XML declaration (XML 1.0, 4.3.3), "" if there is none.
func xmlEncoding(data []byte) string {
	declaration, _, ok := bytes.Cut(data[:min(len(data), 256)], []byte("?>"))
	if !ok || !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return ""
	}
	_, value, ok := bytes.Cut(declaration, []byte("encoding"))
	value = bytes.TrimLeft(value, " \t\r\n=")
	if !ok || len(value) < 2 {
		return ""
	}
	value, _, _ = bytes.Cut(value[1:], value[:1])
	return string(value)
}

// element gives what is known of the element whose tag goes on with tag, and its
// name in lower case, without a prefix.
func (h *htmlReader) element(tag []byte) (element, []byte) {
	n := 0
	for _, c := range tag {
		if c == '>' || c == '/' || c <= ' ' {
			break
		}
		if c == ':' && h.xml {
			n = 0
			continue
		}
		if n == len(h.name) {
			n = 0 // no name that is known is as long
			break
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		h.name[n] = c
		n++
	}
	name := h.name[:n]
	if e, ok := elements[string(name)]; ok && (h.xml || e&xmlOnly == 0) {
		return e, name
	}
	if h.xml {
		return block, name // what is apart in XML is not one word
	}
	return 0, name
}

func (h *htmlReader) start(e element) {
	switch {
	case e&hide != 0:
		h.hidden++
	case e&cdaHide != 0 && h.cda:
		h.hidden++
	case e&cdaShow != 0 && h.cda:
		h.shown++
	}
	switch {
	case e&list != 0:
		h.breakLine(h.listGap())
		h.lists++
	case e&item != 0:
		h.breakLine(1)
		h.beginItem()
	case e&row != 0:
		h.endRow(emptyRow)
	case e&cell != 0:
		h.beginCell()
	case e&table != 0:
		h.breakLine(2)
		h.endRow(emptyRow)
	default:
		h.apart(e)
	}
	if e&pre != 0 {
		h.pre++
	}
}

func (h *htmlReader) end(e element) {
	switch {
	case e&hide != 0 || e&cdaHide != 0 && h.cda:
		h.hidden = max(0, h.hidden-1)
	case e&cdaShow != 0 && h.cda:
		h.shown = max(0, h.shown-1)
	}
	switch {
	case e&list != 0:
		h.lists = max(0, h.lists-1)
		h.endItem()
		h.breakLine(h.listGap())
	case e&item != 0:
		h.endItem()
		h.breakLine(1)
	case e&row != 0:
		h.endRow(emptyRow)
	case e&cell != 0: // what separates it from the next is up to the next
	case e&table != 0:
		h.endRow(noRow)
		h.breakLine(2)
	default:
		h.apart(e)
	}
	if e&pre != 0 {
		h.pre = max(0, h.pre-1)
	}
}

// empty is an element without content.
func (h *htmlReader) empty(e element) {
	if e&cell != 0 {
		h.beginCell()
		return
	}
	h.apart(e)
}

// apart ends the line as far as an element asks for it.
func (h *htmlReader) apart(e element) {
	switch {
	case e&lineEnd != 0:
		h.lineEnd()
	case e&paragraph != 0:
		h.breakLine(2)
	case e&block != 0:
		h.breakLine(1)
	}
}

// listGap is how a list stands apart: one within another does not.
func (h *htmlReader) listGap() int {
	if h.lists > 0 {
		return 1
	}
	return 2
}

// element is what matters of an element.
type element uint16

const (
	block     element = 1 << iota // on lines of its own
	paragraph                     // with an empty line around it
	lineEnd                       // br
	list
	item
	table
	row
	cell
	pre      // lines as they are
	raw      // its content is no markup and not shown
	rawShown // its content is no markup, but shown
	text     // its content has entities, but no markup
	hide     // not shown
	cdaShow  // of a CDA these are shown,
	cdaHide  // but not within these
	xmlOnly  // no element of HTML
)

// maxName is longer than any name in elements.
const maxName = 24

// elements are those of HTML and of the narrative of CDA R2 that matter; what is missing
// is part of a line in HTML.
var elements = func() map[string]element {
	m := map[string]element{}
	add := func(e element, names ...string) {
		for _, n := range names {
			m[n] |= e
		}
	}
	add(block, "address", "article", "aside", "body", "center", "dd", "details", "dialog", "dir", "div", "dt", "fieldset", "figcaption",
		"figure", "footer", "form", "head", "header", "hgroup", "html", "legend", "main", "menu", "nav", "optgroup", "option", "search",
		"section", "summary", "tbody", "tfoot", "thead")
	add(paragraph, "blockquote", "caption", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "listing", "p", "plaintext", "pre", "textarea", "xmp")
	add(lineEnd, "br")
	add(list, "dl", "ol", "ul")
	add(item, "li")
	add(table, "table")
	add(row, "tr")
	add(cell, "td", "th")
	add(pre, "listing", "plaintext", "pre", "textarea", "xmp")
	add(raw, "iframe", "noembed", "noframes", "script", "style", "title")
	add(rawShown, "plaintext", "xmp") // browsers have no end tag for plaintext, people do
	add(text, "textarea")
	add(hide, "datalist", "template")
	// Parts of a line, which XML would have to be told of.
	add(0, "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img", "ins",
		"kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr")
	add(xmlOnly, "component", "content", "entry", "footnote", "footnoteref", "item", "linkhtml", "list", "nonxmlbody", "paragraph",
		"rendermultimedia", "text")
	add(paragraph, "paragraph", "title")
	add(block, "component", "text")
	add(list, "list")
	add(item, "item")
	add(cdaShow, "text", "title")
	add(cdaHide, "entry", "nonxmlbody")
	return m
}()
