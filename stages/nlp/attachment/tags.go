package attachment

import (
	"bytes"
	"html"
)

// tags splits markup into texts and tags, as WHATWG HTML 13.2.5 does where that
// decides what is text. Attributes are skipped and not kept, so that a tag costs
// its bytes whatever it has.
type tags struct {
	data []byte
	i    int
	xml  bool
}

// tagKind is what tags.next found.
type tagKind uint8

const (
	noMore    tagKind = iota
	markedUp          // text with entities
	character         // text without
	startTag          // of an element; the value begins with its name
	emptyTag          // the same of one that says that it is empty
	endTag
)

// next gives the next text or tag. A tag that the data ends in is none.
func (t *tags) next() (tagKind, []byte) {
	for t.i < len(t.data) {
		if t.data[t.i] != '<' || !t.opens(t.i+1) {
			return markedUp, t.text()
		}
		rest := t.data[t.i:]
		switch c := rest[1]; {
		case c == '/':
			if isLetter(rest[2]) {
				if tag, _ := t.tag(t.i + 2); tag != nil {
					return endTag, tag
				}
				return noMore, nil
			}
			t.skipTo(2, ">")
		case c == '?' && t.xml:
			t.skipTo(2, "?>")
		case bytes.HasPrefix(rest, []byte("<!--")):
			t.comment()
		case t.xml && bytes.HasPrefix(rest, []byte("<![CDATA[")):
			begin := t.i + len("<![CDATA[")
			t.skipTo(begin-t.i, "]]>")
			return character, bytes.TrimSuffix(t.data[begin:t.i], []byte("]]>"))
		case c == '!' || c == '?':
			t.skipTo(2, ">")
		default:
			tag, empty := t.tag(t.i + 1)
			switch {
			case tag == nil:
				return noMore, nil
			case empty:
				return emptyTag, tag
			}
			return startTag, tag
		}
	}
	return noMore, nil
}

// opens tells whether a byte after "<" makes it markup.
func (t *tags) opens(i int) bool {
	if i >= len(t.data) {
		return false
	}
	c := t.data[i]
	return isLetter(c) || c == '/' && i+1 < len(t.data) || c == '!' || c == '?' || t.xml && (c == '_' || c >= 0x80)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// text takes text up to the next markup.
func (t *tags) text() []byte {
	begin := t.i
	for t.i++; t.i < len(t.data); t.i++ {
		n := bytes.IndexByte(t.data[t.i:], '<')
		if n < 0 {
			t.i = len(t.data)
			break
		}
		t.i += n
		if t.opens(t.i + 1) {
			break
		}
	}
	return t.data[begin:t.i]
}

// skipTo goes on after the next end, at least n bytes from here.
func (t *tags) skipTo(n int, end string) {
	from := min(t.i+n, len(t.data))
	if at := bytes.Index(t.data[from:], []byte(end)); at >= 0 {
		t.i = from + at + len(end)
	} else {
		t.i = len(t.data)
	}
}

// comment goes on after a comment.
func (t *tags) comment() {
	t.i += len("<!--")
	rest := t.data[t.i:]
	if bytes.HasPrefix(rest, []byte(">")) || bytes.HasPrefix(rest, []byte("->")) {
		t.skipTo(0, ">")
		return
	}
	for {
		t.skipTo(0, "--")
		rest = t.data[t.i:]
		switch {
		case len(rest) == 0:
			return
		case rest[0] == '>':
			t.i++
			return
		case bytes.HasPrefix(rest, []byte("!>")):
			t.i += 2
			return
		case rest[0] == '-':
			t.i-- // it may be the first of the two that end it
		}
	}
}

// tag goes on after the tag whose name begins at begin. It gives nil if the data ends before.
func (t *tags) tag(begin int) (tag []byte, empty bool) {
	d := t.data
	i := begin
	for i < len(d) {
		c := d[i]
		i++
		switch c {
		case '>':
			t.i = i
			return d[begin:i], empty
		case '=':
			for i < len(d) && charOf[d[i]] == charSpace {
				i++
			}
			if i == len(d) {
				break
			}
			if q := d[i]; q == '"' || q == '\'' {
				n := bytes.IndexByte(d[i+1:], q)
				if n < 0 {
					t.i = len(d)
					return nil, false
				}
				i += n + 2
				break
			}
			for i < len(d) && d[i] != '>' && charOf[d[i]] != charSpace {
				i++
			}
		}
		empty = c == '/'
	}
	t.i = len(d)
	return nil, false
}

// rawText takes the text of an element whose content is no markup, up to its end tag.
func (t *tags) rawText(name []byte) []byte {
	begin := t.i
	for t.i < len(t.data) {
		n := bytes.Index(t.data[t.i:], []byte("</"))
		if n < 0 {
			break
		}
		end := t.i + n
		t.i = end + 2
		after := t.i + len(name)
		if after < len(t.data) && bytes.EqualFold(t.data[t.i:after], name) &&
			(t.data[after] == '>' || t.data[after] == '/' || charOf[t.data[after]] == charSpace) {
			t.i = end
			return t.data[begin:end]
		}
	}
	t.i = len(t.data)
	return t.data[begin:]
}

// maxEntity is longer than the name of any entity.
const maxEntity = 40

// addMarkedUp writes text with its entities replaced.
func (l *layout) addMarkedUp(s []byte) {
	for {
		n := bytes.IndexByte(s, '&')
		if n < 0 {
			l.add(s)
			return
		}
		l.add(s[:n])
		s = s[n:]
		end := 1
		for end < len(s) && end < maxEntity && (isLetter(s[end]) || s[end] >= '0' && s[end] <= '9' || s[end] == '#') {
			end++
		}
		if end < len(s) && s[end] == ';' {
			end++
		}
		l.addEntity(s[:end])
		s = s[end:]
	}
}

// addEntity writes what an entity stands for.
func (l *layout) addEntity(s []byte) {
	switch string(s) {
	case "&amp;":
		l.add(s[:1])
	case "&nbsp;", "&#160;":
		l.add([]byte("\u00a0"))
	case "&":
		l.add(s)
	default:
		l.add([]byte(html.UnescapeString(string(s))))
	}
}
