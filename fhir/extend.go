package fhir

import "bytes"

// ValidationIssueURL is the extension under which a resource shows the issues with
// which it was accepted, as Amazon HealthLake does. Its valueString is the JSON text
// of an OperationOutcome.
const ValidationIssueURL = "http://healthlake.amazonaws.com/fhir/StructureDefinition/validation-issue"

// DecorationURL is the extension under which a resource shows what NLP found in it, and
// GeneratedURL the one with the resources that were made of it, as in Amazon HealthLake.
const (
	DecorationURL = "http://healthlake.amazonaws.com/aws-cm/"
	GeneratedURL  = "http://healthlake.amazonaws.com/system-generated-resources/"
)

// IsDerivedURL tells whether an extension of this url at the root of a resource shows what
// is derived from it. The content hash leaves these extensions out.
func IsDerivedURL[T ~string | ~[]byte](url T) bool {
	switch string(url) {
	case ValidationIssueURL, DecorationURL, GeneratedURL:
		return true
	}
	return false
}

// AppendExtended appends the text of a resource with ext, the JSON of one Extension
// whose url is url, as the last of its extensions in place of those that have this
// url. Every other byte stays as it is. What is derived from a resource is shown in
// it this way and not stored in it.
//
// The text must be well-formed JSON, as stored resources are; it need not be valid
// FHIR. An extension member that is no array becomes the first item of one; of two
// such members the last is taken, as readers do. What is no object comes out
// unchanged.
func AppendExtended(dst, resource []byte, url string, ext []byte) []byte {
	o := objectText{resource}
	last, value := -1, span{}
	var key []byte
	end := o.members(skipSpace(resource, 0), func(k, v span) {
		last = v.end
		if key = AppendUnescaped(key[:0], resource[k.start:k.end]); string(key) == "extension" {
			value = v
		}
	})
	switch {
	case end < 0:
		return append(dst, resource...)
	case value.end == 0:
		at := last
		if last < 0 {
			at = bytes.IndexByte(resource, '{') + 1
		}
		dst = append(dst, resource[:at]...)
		if last >= 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `"extension":[`...), ext...)
		dst = append(dst, ']')
		return append(dst, resource[at:]...)
	}
	dst = append(dst, resource[:value.start]...)
	dst = o.appendItems(dst, value, url, ext)
	return append(dst, resource[value.end:]...)
}

// appendItems appends the value of extension with ext in the place of those of url.
func (o objectText) appendItems(dst []byte, value span, url string, ext []byte) []byte {
	text := o.text[value.start:value.end]
	if text[0] != '[' {
		dst = append(append(dst, '['), text...)
		dst = append(append(dst, ','), ext...)
		return append(dst, ']')
	}
	// An item goes with all that lies between the one before it and itself.
	kept, from := false, value.start+1
	last := o.items(value.start, func(v span) {
		if !o.hasURL(v.start, url) {
			item := o.text[from:v.end]
			if !kept {
				dst = append(dst, '[')
				if from > value.start+1 { // one before it is left out
					item = o.text[v.start:v.end]
				}
			}
			dst = append(dst, item...)
			kept = true
		}
		from = v.end
	})
	if kept {
		dst = append(dst, ',')
	} else {
		dst = append(dst, '[')
	}
	dst = append(dst, ext...)
	return append(dst, o.text[last:value.end]...)
}

// hasURL tells whether the value at i is an object whose member url is url.
func (o objectText) hasURL(i int, url string) bool {
	found := false
	var buf []byte
	o.members(i, func(k, v span) {
		if buf = AppendUnescaped(buf[:0], o.text[k.start:k.end]); string(buf) == "url" && o.text[v.start] == '"' {
			buf = AppendUnescaped(buf[:0], o.text[v.start+1:v.end-1])
			found = string(buf) == url
		}
	})
	return found
}

type span struct{ start, end int }

// objectText reads well-formed JSON text where only a few members matter. Of other
// text it gives nonsense, but never a place outside of it.
type objectText struct{ text []byte }

// members calls f for each member of the object at i with the text of its key,
// without quotes, and its value. It gives the index after the object, -1 when there
// is none.
func (o objectText) members(i int, f func(key, value span)) int {
	if i >= len(o.text) || o.text[i] != '{' {
		return -1
	}
	for i = skipSpace(o.text, i+1); i < len(o.text) && o.text[i] == '"'; i = skipSpace(o.text, i) {
		key := span{i + 1, o.value(i) - 1}
		i = skipSpace(o.text, key.end+1)
		if i >= len(o.text) || o.text[i] != ':' {
			return -1
		}
		value := span{start: skipSpace(o.text, i+1)}
		value.end = o.value(value.start)
		if value.end == value.start || key.end < key.start {
			return -1
		}
		f(key, value)
		if i = skipSpace(o.text, value.end); i < len(o.text) && o.text[i] == ',' {
			i++
		}
	}
	if i >= len(o.text) || o.text[i] != '}' {
		return -1
	}
	return i + 1
}

// items calls f for each item of the array at i and gives the index after the last
// one, or after the bracket.
func (o objectText) items(i int, f func(value span)) int {
	end := i + 1
	for i = skipSpace(o.text, end); i < len(o.text) && o.text[i] != ']'; i = skipSpace(o.text, i) {
		v := span{i, o.value(i)}
		if v.end == v.start {
			break
		}
		f(v)
		end = v.end
		if i = skipSpace(o.text, end); i < len(o.text) && o.text[i] == ',' {
			i++
		}
	}
	return end
}

// value gives the index after the JSON value at i.
func (o objectText) value(i int) int {
	depth := 0
	for ; i < len(o.text); i++ {
		switch o.text[i] {
		case '"':
			for i++; i < len(o.text) && o.text[i] != '"'; i++ {
				if o.text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(o.text))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(o.text)
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}
