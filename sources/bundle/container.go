package bundle

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
)

// container is a Bundle taken apart. Its fields alias the text.
type container struct {
	text    []byte
	kind    string // Bundle.type
	hasID   bool
	entries []entry
	targets map[string]string // fullUrl urn:uuid:... -> Type/id
}

type entry struct {
	index        int32
	fullURL      []byte
	method, url  []byte // of the request
	start, end   int    // of the resource in text; start 0: none
	resourceType []byte
	typeEnd      int    // index in text after the member resourceType
	id           []byte // nil: it has none
	newID        []byte // to be put in
}

// ignored tells whether the entry makes no record.
func (e *entry) ignored() bool {
	if e.start == 0 {
		return true
	}
	switch string(e.method) {
	case "GET", "HEAD", "DELETE", "PATCH":
		return true
	}
	return false
}

var (
	resourceType = []byte(`"resourceType"`)
	quotedBundle = []byte(`"Bundle"`)
	urnUUID      = []byte("urn:uuid:")
	reference    = []byte(`"reference"`)
)

// mayBeBundle is the quick check of every line: nearly always resourceType is
// its first member, so a few bytes decide.
func mayBeBundle(text []byte) bool {
	i := space(text, 0)
	if i == len(text) || text[i] != '{' {
		return false
	}
	i = space(text, i+1)
	if bytes.HasPrefix(text[i:], resourceType) {
		i = space(text, i+len(resourceType))
		if i < len(text) && text[i] == ':' {
			return bytes.HasPrefix(text[space(text, i+1):], quotedBundle)
		}
		return false
	}
	return bytes.Contains(text, quotedBundle)
}

// parseBundle takes a Bundle apart, in one pass over its text. ok is false when
// the text is none or its JSON is broken where it was looked at.
func parseBundle(text []byte) (c *container, ok bool) {
	c = &container{text: text}
	isBundle := false
	end, ok := members(text, space(text, 0), func(key []byte, start int) (end int, ok bool) {
		if string(key) == "entry" {
			return c.findEntries(start)
		}
		if end, ok = value(text, start); !ok {
			return 0, false
		}
		switch string(key) {
		case "resourceType":
			isBundle = bytes.Equal(text[start:end], quotedBundle)
			return end, isBundle
		case "id":
			c.hasID = text[start] == '"'
		case "type":
			c.kind = string(stringValue(text[start:end]))
		}
		return end, true
	})
	if !ok || !isBundle || space(text, end) != len(text) {
		return nil, false
	}
	c.assign()
	return c, true
}

// findEntries reads the array of entries at i and gives the index after it.
func (c *container) findEntries(i int) (end int, ok bool) {
	t := c.text
	if i >= len(t) || t[i] != '[' {
		return 0, false
	}
	i = space(t, i+1)
	if i < len(t) && t[i] == ']' {
		return i + 1, true
	}
	for n := int32(0); ; n++ {
		c.entries = append(c.entries, entry{index: n})
		e := &c.entries[len(c.entries)-1] // a second array (a broken Bundle) goes on behind
		end, ok := members(t, i, func(key []byte, start int) (end int, ok bool) {
			switch string(key) {
			case "resource":
				e.start = start
				e.end, ok = e.readResource(t, start)
				return e.end, ok
			case "request":
				return e.readRequest(t, start)
			}
			end, ok = value(t, start)
			if ok && string(key) == "fullUrl" {
				e.fullURL = stringValue(t[start:end])
			}
			return end, ok
		})
		if !ok {
			return 0, false
		}
		if i = space(t, end); i == len(t) {
			return 0, false
		}
		switch t[i] {
		case ']':
			return i + 1, true
		case ',':
			i = space(t, i+1)
		default:
			return 0, false
		}
	}
}

func (e *entry) readResource(t []byte, i int) (end int, ok bool) {
	return members(t, i, func(key []byte, start int) (end int, ok bool) {
		if end, ok = value(t, start); !ok {
			return 0, false
		}
		switch string(key) {
		case "resourceType":
			e.resourceType, e.typeEnd = stringValue(t[start:end]), end
		case "id":
			if e.id = stringValue(t[start:end]); e.id == nil {
				e.id = []byte{} // no string: the parser says so
			}
		}
		return end, true
	})
}

func (e *entry) readRequest(t []byte, i int) (end int, ok bool) {
	return members(t, i, func(key []byte, start int) (end int, ok bool) {
		if end, ok = value(t, start); !ok {
			return 0, false
		}
		switch string(key) {
		case "method":
			e.method = stringValue(t[start:end])
		case "url":
			e.url = stringValue(t[start:end])
		}
		return end, true
	})
}

// assign gives ids to resources that lack them and notes what references to
// urn:uuid: become.
func (c *container) assign() {
	for i := range c.entries {
		e := &c.entries[i]
		if e.start == 0 || !isID(e.resourceType) { // so it needs no escapes either
			continue
		}
		if e.id == nil {
			if e.newID = idIn(e.url, e.resourceType); e.newID == nil {
				e.newID = idIn(e.fullURL, e.resourceType)
			}
			if u, ok := bytes.CutPrefix(e.fullURL, urnUUID); ok && e.newID == nil && isID(u) {
				e.newID = u
			}
		}
		id := e.id
		if id == nil {
			id = e.newID
		}
		if bytes.HasPrefix(e.fullURL, urnUUID) && isID(id) {
			if c.targets == nil {
				c.targets = map[string]string{}
			}
			c.targets[string(e.fullURL)] = string(e.resourceType) + "/" + string(id)
		}
	}
}

// idIn gives the id of a URL that ends with the type and an id, or nil.
func idIn(url, resourceType []byte) []byte {
	i := bytes.LastIndexByte(url, '/')
	if i < 0 || !isID(url[i+1:]) {
		return nil
	}
	rest, ok := bytes.CutSuffix(url[:i], resourceType)
	if !ok || len(rest) > 0 && rest[len(rest)-1] != '/' {
		return nil
	}
	return url[i+1:]
}

// isID checks the form of a logical id (FHIR R4, 2.24.0.1: id).
func isID(s []byte) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// appendResource appends the resource of e with its new id and its references
// rewritten; all other bytes stay.
func (c *container) appendResource(dst []byte, e *entry) []byte {
	from := e.start
	if e.newID != nil {
		dst = append(dst, c.text[from:e.typeEnd]...)
		dst = append(dst, `,"id":"`...)
		dst = append(dst, e.newID...)
		dst = append(dst, '"')
		from = e.typeEnd
	}
	if c.targets == nil {
		return append(dst, c.text[from:e.end]...)
	}
	for at := from; ; {
		n := bytes.Index(c.text[at:e.end], urnUUID)
		if n < 0 {
			return append(dst, c.text[from:e.end]...)
		}
		start := at + n
		at = start + len(urnUUID)
		end := bytes.IndexByte(c.text[at:e.end], '"')
		if end < 0 || !isReference(c.text[e.start:start]) {
			continue
		}
		target, ok := c.targets[string(c.text[start:at+end])]
		if !ok {
			continue
		}
		dst = append(dst, c.text[from:start]...)
		dst = append(dst, target...)
		from, at = at+end, at+end
	}
}

// isReference tells whether text ends with the member name reference, a colon
// and an opening quote. Inside a string each quote has a backslash before it, so
// this cannot be met there.
func isReference(text []byte) bool {
	text, ok := bytes.CutSuffix(text, []byte{'"'})
	if !ok {
		return false
	}
	text = bytes.TrimRight(text, " \t\r\n")
	if text, ok = bytes.CutSuffix(text, []byte{':'}); !ok {
		return false
	}
	return bytes.HasSuffix(bytes.TrimRight(text, " \t\r\n"), reference)
}

// members calls f with each member of the object at i: its name without quotes
// and the start of its value, whose end f gives. It gives the index after the
// object; ok is false when the text is broken or f says so.
func members(t []byte, i int, f func(key []byte, start int) (end int, ok bool)) (end int, ok bool) {
	if i >= len(t) || t[i] != '{' {
		return 0, false
	}
	i = space(t, i+1)
	if i < len(t) && t[i] == '}' {
		return i + 1, true
	}
	for {
		if i >= len(t) || t[i] != '"' {
			return 0, false
		}
		k, ok := stringEnd(t, i)
		if !ok {
			return 0, false
		}
		key := t[i+1 : k-1]
		if i = space(t, k); i >= len(t) || t[i] != ':' {
			return 0, false
		}
		start := space(t, i+1)
		end, ok := f(key, start)
		if !ok {
			return 0, false
		}
		if i = space(t, end); i >= len(t) {
			return 0, false
		}
		switch t[i] {
		case '}':
			return i + 1, true
		case ',':
			i = space(t, i+1)
		default:
			return 0, false
		}
	}
}

// value gives the index after the value at i. It follows strings and nesting
// and leaves the rest to the parser.
func value(t []byte, i int) (end int, ok bool) {
	if i >= len(t) {
		return 0, false
	}
	switch t[i] {
	case '"':
		return stringEnd(t, i)
	case '{', '[':
		depth := 0
		for i < len(t) {
			switch t[i] {
			case '"':
				if i, ok = stringEnd(t, i); !ok {
					return 0, false
				}
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1, true
				}
			}
			i++
		}
		return 0, false
	}
	start := i
	for i < len(t) && t[i] != ',' && t[i] != '}' && t[i] != ']' && t[i] > ' ' {
		i++
	}
	return i, i > start
}

// stringEnd gives the index after the string at i.
func stringEnd(t []byte, i int) (end int, ok bool) {
	for i++; ; i++ {
		n := bytes.IndexByte(t[i:], '"')
		if n < 0 {
			return 0, false
		}
		i += n
		slashes := 0
		for t[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1, true
		}
	}
}

// stringValue gives the value of a JSON string, or nil for another value.
func stringValue(t []byte) []byte {
	if len(t) < 2 || t[0] != '"' {
		return nil
	}
	t = t[1 : len(t)-1]
	if bytes.IndexByte(t, '\\') < 0 {
		return t
	}
	return fhir.AppendUnescaped(nil, t)
}

func space(t []byte, i int) int {
	for i < len(t) && (t[i] == ' ' || t[i] == '\t' || t[i] == '\n' || t[i] == '\r') {
		i++
	}
	return i
}
