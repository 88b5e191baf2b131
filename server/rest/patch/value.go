package patch

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/outcome"
)

// value is a JSON value that can be changed. Scalars and keys stay as they were
// written.
type value struct {
	kind    fhir.NodeKind
	raw     []byte   // of a scalar: its text, a string with its quotes
	members []member // of an object
	items   []*value // of an array
}

type member struct {
	key   []byte // as it is written, without quotes
	value *value
}

// maxDepth is how deep values may nest, as in a resource.
const maxDepth = 4096

// readValue reads well-formed JSON (RFC 8259) that is nothing else. The value aliases
// text.
func readValue(text []byte) (*value, error) {
	r := reader{text: text}
	v := r.value(0)
	r.space()
	if r.fault == "" && r.at < len(text) {
		r.fail("text after the value")
	}
	if r.fault != "" {
		return nil, outcome.Faultf(outcome.Malformed, "not well-formed JSON: %s at byte %d", r.fault, r.faultAt+1)
	}
	return v, nil
}

type reader struct {
	text    []byte
	at      int
	fault   string // the first
	faultAt int
}

func (r *reader) fail(what string) {
	if r.fault == "" {
		r.fault, r.faultAt = what, r.at
	}
}

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

// next gives the byte after white space, 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) value(depth int) *value {
	if depth > maxDepth {
		r.fail("too many levels")
		return nil
	}
	switch c := r.next(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		return &value{kind: fhir.KindString, raw: r.string()}
	case c == '-' || c-'0' <= 9:
		return &value{kind: fhir.KindNumber, raw: r.number()}
	}
	for _, w := range [...]struct {
		word string
		kind fhir.NodeKind
	}{{"true", fhir.KindTrue}, {"false", fhir.KindFalse}, {"null", fhir.KindNull}} {
		if bytes.HasPrefix(r.text[r.at:], []byte(w.word)) {
			r.at += len(w.word)
			return &value{kind: w.kind, raw: r.text[r.at-len(w.word) : r.at]}
		}
	}
	r.fail("expected a value")
	return nil
}

func (r *reader) object(depth int) *value {
	v := &value{kind: fhir.KindObject}
	r.at++
	if r.next() == '}' {
		r.at++
		return v
	}
	for r.fault == "" {
		if r.next() != '"' {
			r.fail("expected a key")
			return v
		}
		key := r.string()
		if r.fault != "" {
			return v
		}
		if r.next() != ':' {
			r.fail("expected a colon")
			return v
		}
		r.at++
		v.members = append(v.members, member{key[1 : len(key)-1], r.value(depth + 1)})
		if r.end('}', "expected a comma or the end of the object") {
			return v
		}
	}
	return v
}

func (r *reader) array(depth int) *value {
	v := &value{kind: fhir.KindArray}
	r.at++
	if r.next() == ']' {
		r.at++
		return v
	}
	for r.fault == "" {
		v.items = append(v.items, r.value(depth+1))
		if r.end(']', "expected a comma or the end of the array") {
			return v
		}
	}
	return v
}

// end reads what follows a member or item and tells whether that was the last.
func (r *reader) end(last byte, expected string) bool {
	switch r.next() {
	case last:
		r.at++
		return true
	case ',':
		r.at++
	default:
		r.fail(expected)
	}
	return false
}

func (r *reader) string() []byte {
	start := r.at
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.text[start:r.at]
		case c < ' ':
			r.fail("control character in a string")
			return nil
		case c == '\\':
			if r.at++; !r.escape() {
				r.fail("unknown escape in a string")
				return nil
			}
		}
	}
	r.fail("a string does not end")
	return nil
}

// escape passes over what follows a backslash.
func (r *reader) escape() bool {
	if r.at >= len(r.text) {
		return false
	}
	switch r.text[r.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if r.at++; r.at >= len(r.text) {
				return false
			}
			if c := r.text[r.at] | 0x20; c-'0' > 9 && c-'a' > 5 {
				return false
			}
		}
		return true
	}
	return false
}

func (r *reader) number() []byte {
	start := r.at
	if r.text[r.at] == '-' {
		r.at++
	}
	first := r.at
	ok := r.digits() && (r.text[first] != '0' || r.at == first+1)
	if ok && r.at < len(r.text) && r.text[r.at] == '.' {
		r.at++
		ok = r.digits()
	}
	if ok && r.at < len(r.text) && r.text[r.at]|0x20 == 'e' {
		if r.at++; r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		ok = r.digits()
	}
	if !ok {
		r.fail("not a number")
	}
	return r.text[start:r.at]
}

func (r *reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && r.text[r.at]-'0' <= 9 {
		r.at++
	}
	return r.at > start
}

// append appends the JSON of v, without white space.
func (v *value) append(dst []byte) []byte {
	switch v.kind {
	case fhir.KindObject:
		dst = append(dst, '{')
		for i, m := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), m.key...), `":`...)
			dst = m.value.append(dst)
		}
		return append(dst, '}')
	case fhir.KindArray:
		dst = append(dst, '[')
		for i, x := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = x.append(dst)
		}
		return append(dst, ']')
	}
	return append(dst, v.raw...)
}

// measure gives what v takes in text, or in memory if that is more, and how many levels
// it has. It stops beyond limit.
func (v *value) measure(limit int) (size, depth int) {
	size = len(v.raw) + 2
	below := 0
	for i := 0; i < len(v.members) && size <= limit; i++ {
		n, d := v.members[i].value.measure(limit - size)
		size, below = size+len(v.members[i].key)+4+n, max(below, d)
	}
	for i := 0; i < len(v.items) && size <= limit; i++ {
		n, d := v.items[i].measure(limit - size)
		size, below = size+1+n, max(below, d)
	}
	return size, below + 1
}

// clone copies v, but for the texts of scalars and keys, which do not change.
func (v *value) clone() *value {
	c := &value{kind: v.kind, raw: v.raw}
	for _, m := range v.members {
		c.members = append(c.members, member{m.key, m.value.clone()})
	}
	for _, x := range v.items {
		c.items = append(c.items, x.clone())
	}
	return c
}

// find gives the index of the member of that name, -1 without one.
func (v *value) find(name string) int {
	for i := range v.members {
		if keyIs(v.members[i].key, name) {
			return i
		}
	}
	return -1
}

func keyIs(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == name
	}
	return string(fhir.AppendUnescaped(nil, key)) == name
}

// get gives the member of that name, nil without one.
func (v *value) get(name string) *value {
	if i := v.find(name); i >= 0 {
		return v.members[i].value
	}
	return nil
}

// set puts a member in the place of the one of that name, or at the end.
func (v *value) set(name string, x *value) {
	if i := v.find(name); i >= 0 {
		v.members[i].value = x
		return
	}
	key := fhir.AppendQuoted(nil, name)
	v.members = append(v.members, member{key[1 : len(key)-1], x})
}

// remove takes the member of that name away, if it is there.
func (v *value) remove(name string) {
	if i := v.find(name); i >= 0 {
		v.members = append(v.members[:i], v.members[i+1:]...)
	}
}

func (v *value) insert(i int, x *value) {
	v.items = append(v.items, nil)
	copy(v.items[i+1:], v.items[i:])
	v.items[i] = x
}

func (v *value) take(i int) *value {
	x := v.items[i]
	v.items = append(v.items[:i], v.items[i+1:]...)
	return x
}

// text gives the value of a string.
func (v *value) text() (string, bool) {
	if v == nil || v.kind != fhir.KindString {
		return "", false
	}
	return string(fhir.AppendUnescaped(nil, v.raw[1:len(v.raw)-1])), true
}

// equal compares as RFC 6902, 4.6 does: numbers by value, objects without order.
func (v *value) equal(w *value) bool {
	if v.kind != w.kind || len(v.members) != len(w.members) || len(v.items) != len(w.items) {
		return false
	}
	switch v.kind {
	case fhir.KindObject:
		others := make(map[string]*value, len(w.members))
		for _, m := range w.members {
			others[string(fhir.AppendUnescaped(nil, m.key))] = m.value
		}
		for _, m := range v.members {
			x := others[string(fhir.AppendUnescaped(nil, m.key))]
			if x == nil || !m.value.equal(x) {
				return false
			}
		}
		return true
	case fhir.KindArray:
		for i := range v.items {
			if !v.items[i].equal(w.items[i]) {
				return false
			}
		}
		return true
	case fhir.KindString:
		a, _ := v.text()
		b, _ := w.text()
		return a == b
	case fhir.KindNumber:
		if bytes.Equal(v.raw, w.raw) {
			return true
		}
		a, ok := decimal.Parse(v.raw)
		b, ok2 := decimal.Parse(w.raw)
		return ok && ok2 && a.Cmp(b) == 0
	}
	return true
}
