package search

import (
	"bytes"
	"html"
	"strings"
)

// inline are the elements that do not part the words around them: <b>Bo</b>ne is one.
var inline = map[string]bool{
	"a": true, "abbr": true, "acronym": true, "b": true, "big": true, "cite": true, "code": true, "dfn": true, "em": true, "i": true, "kbd": true,
	"q": true, "samp": true, "small": true, "span": true, "strong": true, "sub": true, "sup": true, "tt": true, "var": true,
}

// appendVisible appends the text of a narrative, as a reader sees it: without markup and
// comments, entities as the characters that they stand for, a space where an element
// parts words. Text that is no XHTML is taken as far as it goes.
func appendVisible(dst, text []byte) []byte {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '<')
		if i < 0 {
			i = len(text)
		}
		if part := text[:i]; bytes.IndexByte(part, '&') >= 0 {
			dst = append(dst, html.UnescapeString(string(part))...)
		} else {
			dst = append(dst, part...)
		}
		if text = text[i:]; len(text) == 0 {
			break
		}
		end, skip := ">", 1
		switch {
		case bytes.HasPrefix(text, []byte("<!--")):
			end, skip = "-->", 4
		case bytes.HasPrefix(text, []byte("<![CDATA[")):
			text = text[len("<![CDATA["):]
			inner, rest, _ := bytes.Cut(text, []byte("]]>"))
			dst, text = append(dst, inner...), rest
			continue
		case bytes.HasPrefix(text, []byte("<?")):
			end = "?>"
		}
		n := bytes.Index(text[min(skip, len(text)):], []byte(end))
		if n < 0 {
			break
		}
		tag := text[skip : skip+n]
		if end == ">" && !inline[elementName(tag)] {
			dst = append(dst, ' ')
		}
		text = text[skip+n+len(end):]
	}
	return dst
}

// elementName gives the name of the element of a tag, whose brackets are off.
func elementName(tag []byte) string {
	name := bytes.TrimPrefix(tag, []byte("/"))
	if i := bytes.IndexAny(name, " \t\r\n/"); i >= 0 {
		name = name[:i]
	}
	return strings.ToLower(string(name))
}
