package ndjson

import (
	"bytes"
	"io"
)

// jsonScan follows the nesting of JSON text that comes in pieces. It does not
// check it.
type jsonScan struct {
	depth       int
	str, escape bool // inside a string; after a backslash in it
	closed      bool // depth came back to 0
	broken      bool // a line end inside a string, or a closing bracket too many
}

// feed scans up to the end of data or of the outermost value, and gives the
// index after the last byte scanned.
func (s *jsonScan) feed(data []byte) int {
	for i := 0; i < len(data); i++ {
		if s.closed {
			return i
		}
		c := data[i]
		if s.str {
			switch {
			case c == '\n':
				s.broken = true
				return i
			case s.escape:
				s.escape = false
			case c == '\\':
				s.escape = true
			case c == '"':
				s.str = false
			}
			continue
		}
		switch c {
		case '"':
			s.str = true
		case '{', '[':
			s.depth++
		case '}', ']':
			s.depth--
			if s.depth < 0 {
				s.broken = true
				return i
			}
			s.closed = s.depth == 0
		}
	}
	return len(data)
}

// looksLikeDocument judges a file by its start: one JSON document printed on
// many lines begins with an object that its first line leaves open, outside of a
// string. The first line of an NDJSON file may be damaged so that it looks the
// same; but then another line is a whole resource.
func looksLikeDocument(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	n := bytes.IndexByte(head, '\n')
	if n < 0 || head[0] != '{' {
		return false
	}
	var scan jsonScan
	scan.feed(head[:n])
	if scan.closed || scan.broken || scan.str || blank(head[n:]) {
		return false
	}
	for head = head[n+1:]; len(head) > 0; head = head[n+1:] {
		if n = bytes.IndexByte(head, '\n'); n < 0 {
			break
		}
		if wholeResource(head[:n]) {
			return false
		}
	}
	return true
}

var resourceTypeKey = []byte(`"resourceType"`)

// wholeResource tells whether a line is an object with a member resourceType.
func wholeResource(line []byte) bool {
	if len(line) == 0 || line[0] != '{' || !bytes.Contains(line, resourceTypeKey) {
		return false
	}
	var scan jsonScan
	if n := scan.feed(line); !scan.closed || !blank(line[n:]) {
		return false
	}
	// The member must not be one of a nested object.
	scan = jsonScan{}
	for i := 0; i < len(line); {
		k := bytes.Index(line[i:], resourceTypeKey)
		if k < 0 {
			return false
		}
		scan.feed(line[i : i+k])
		if scan.depth == 1 && !scan.str {
			return true
		}
		scan.feed(line[i+k : i+k+len(resourceTypeKey)])
		i += k + len(resourceTypeKey)
	}
	return false
}

// looksPlain tells whether a big file is uncompressed lines, so that it may be
// read by ranges.
func looksPlain(h Handle, size int64, window int) (bool, error) {
	head := make([]byte, min(size, int64(window)))
	if n, err := h.ReadAt(head, 0); err != nil && !(err == io.EOF && n == len(head)) {
		if err != io.EOF {
			return false, err
		}
		return true, nil // it shrank: the first range says so
	}
	if formatOf(head) != plain {
		return false, nil
	}
	return !looksLikeDocument(head[markLen(head):]), nil
}

// compact removes white space between the tokens of JSON text, in place, and
// gives the new length. What is inside strings stays as it is.
func compact(text []byte) int {
	n := 0
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '"':
			end := stringEnd(text, i)
			n += copy(text[n:], text[i:end])
			i = end
		default:
			text[n] = c
			n++
			i++
		}
	}
	return n
}

// stringEnd gives the index after the string that starts at i.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			break
		}
		i += n
		slashes := 0
		for text[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(text)
}
