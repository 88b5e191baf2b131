package patch

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
)

// A Patch changes the text of a resource. It is safe for concurrent use.
type Patch interface {
	// Apply gives the changed text of resource, which is well-formed JSON and stays as it
	// is, or an [*outcome.Fault]: [outcome.Unprocessable] when an operation does not go
	// with it, [outcome.TooCostly] or [outcome.TooLarge] when a limit is passed. limit
	// is how many bytes the patch may add.
	Apply(resource []byte, limit int) ([]byte, error)
}

var (
	_ Patch = (*JSON)(nil)
	_ Patch = (*FHIRPath)(nil)
)

// The limits of one patch. Work counts the members looked at, and the values moved,
// copied and compared.
const (
	maxOperations = 10_000
	maxWork       = 50_000_000
)

// JSON is a JSON Patch (RFC 6902).
type JSON struct{ ops []jsonOperation }

type jsonOperation struct {
	op         string
	path, from pointer
	value      *value
}

// pointer is a JSON Pointer (RFC 6901), unescaped. The whole document is empty.
type pointer []string

// ReadJSON reads a JSON Patch. The error is an [*outcome.Fault] of kind
// [outcome.Malformed] or [outcome.TooCostly].
func ReadJSON(text []byte) (*JSON, error) {
	doc, err := readValue(text)
	if err != nil {
		return nil, err
	}
	if doc.kind != fhir.KindArray {
		return nil, outcome.Faultf(outcome.Malformed, "a JSON Patch is an array of operations (RFC 6902, 3)")
	}
	if len(doc.items) > maxOperations {
		return nil, outcome.Faultf(outcome.TooCostly, "the patch has %d operations, more than %d", len(doc.items), maxOperations)
	}
	p := &JSON{ops: make([]jsonOperation, len(doc.items))}
	for i, x := range doc.items {
		if why := p.ops[i].read(x); why != "" {
			return nil, outcome.Faultf(outcome.Malformed, "operation %d of the JSON Patch: %s", i, why)
		}
	}
	return p, nil
}

// read tells what is wrong with an operation, "" when nothing is (RFC 6902, 4).
func (o *jsonOperation) read(x *value) (why string) {
	if x.kind != fhir.KindObject {
		return "it is no object"
	}
	for i := range x.members {
		switch name := string(fhir.AppendUnescaped(nil, x.members[i].key)); name {
		case "op", "path", "from", "value":
			if x.find(name) != i {
				return fmt.Sprintf("member '%s' occurs twice", name)
			}
		}
	}
	o.op, _ = x.get("op").text()
	needsValue, needsFrom := false, false
	switch o.op {
	case "add", "replace", "test":
		needsValue = true
	case "move", "copy":
		needsFrom = true
	case "remove":
	default:
		return "op is none of add, remove, replace, move, copy, test"
	}
	if o.path, why = readPointer(x, "path"); why != "" {
		return why
	}
	if needsFrom {
		if o.from, why = readPointer(x, "from"); why != "" {
			return why
		}
	}
	if o.value = x.get("value"); needsValue && o.value == nil {
		return "it has no value"
	}
	if o.op == "move" && len(o.path) > len(o.from) && o.path[:len(o.from)].String() == o.from.String() {
		return "it moves a value into itself"
	}
	return ""
}

func readPointer(x *value, name string) (p pointer, why string) {
	text, ok := x.get(name).text()
	switch {
	case !ok:
		return nil, fmt.Sprintf("it has no %s", name)
	case text == "":
		return nil, ""
	case text[0] != '/':
		return nil, fmt.Sprintf("its %s is no JSON Pointer: it does not begin with '/'", name)
	case len(text) > maxPointer:
		return nil, fmt.Sprintf("its %s has more than %d bytes", name, maxPointer)
	}
	p = strings.Split(text[1:], "/")
	for i, token := range p {
		if rest := strings.ReplaceAll(strings.ReplaceAll(token, "~0", ""), "~1", ""); strings.Contains(rest, "~") {
			return nil, fmt.Sprintf("its %s is no JSON Pointer: '~' stands before 0 or 1 only", name)
		}
		p[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return p, ""
}

const maxPointer = 4096 // bytes

func (p pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// Apply does all operations in order, or none.
func (p *JSON) Apply(resource []byte, limit int) ([]byte, error) {
	doc, err := readValue(resource)
	if err != nil {
		return nil, err
	}
	e := jsonEdit{doc: doc, limit: limit}
	for i := range p.ops {
		o := &p.ops[i]
		why := e.do(o)
		switch {
		case e.work > maxWork:
			return nil, outcome.Faultf(outcome.TooCostly, "the patch takes too much work at operation %d", i)
		case e.added > limit:
			return nil, outcome.Faultf(outcome.TooLarge, "operation %d of the patch makes the resource too big", i)
		case why != "":
			return nil, outcome.Faultf(outcome.Unprocessable, "operation %d of the JSON Patch, %s %s: %s", i, o.op, o.path, why)
		}
	}
	return e.doc.append(make([]byte, 0, len(resource)+e.added)), nil
}

// jsonEdit is a patch at work on a document.
type jsonEdit struct {
	doc   *value
	limit int
	work  int
	added int // bytes
}

func (e *jsonEdit) do(o *jsonOperation) (why string) {
	switch o.op {
	case "add":
		return e.addCopy(o.path, o.value)
	case "remove":
		_, why = e.remove(o.path)
		return why
	case "replace":
		at, why := e.at(o.path)
		if why != "" {
			return why
		}
		x, why := e.copy(o.path, o.value)
		if x != nil {
			*at = *x
		}
		return why
	case "move":
		// RFC 6902, 4.4: a value that is moved to where it is stays there.
		x, why := e.remove(o.from)
		if why != "" {
			return "from " + o.from.String() + ": " + why
		}
		if why = e.fits(o.path, x); why != "" {
			return why
		}
		return e.add(o.path, x)
	case "copy":
		x, why := e.at(o.from)
		if why != "" {
			return "from " + o.from.String() + ": " + why
		}
		return e.addCopy(o.path, x)
	default:
		x, why := e.at(o.path)
		if why != "" {
			return why
		}
		n, _ := x.measure(maxWork)
		e.work += n
		if e.work <= maxWork && !x.equal(o.value) {
			return "the value is another one"
		}
		return ""
	}
}

func (e *jsonEdit) addCopy(p pointer, x *value) (why string) {
	c, why := e.copy(p, x)
	if c == nil {
		return why
	}
	return e.add(p, c)
}

// copy copies what comes to p, nil when that passes a limit.
func (e *jsonEdit) copy(p pointer, x *value) (c *value, why string) {
	before := e.work
	if why = e.fits(p, x); why != "" {
		return nil, why
	}
	if e.added += e.work - before; e.added > e.limit {
		return nil, ""
	}
	return x.clone(), ""
}

// fits tells why x is too much to come to p, "" when it is not. The work is its size.
func (e *jsonEdit) fits(p pointer, x *value) (why string) {
	n, depth := x.measure(maxWork)
	if e.work += n; len(p)+depth > maxDepth {
		return fmt.Sprintf("the result has more than %d levels", maxDepth)
	}
	return ""
}

// at finds the value that p points at.
func (e *jsonEdit) at(p pointer) (*value, string) {
	v := e.doc
	for i := range p {
		x, why := e.child(v, p[i])
		if why != "" {
			return nil, why
		}
		v = x
	}
	return v, ""
}

func (e *jsonEdit) child(v *value, token string) (*value, string) {
	switch v.kind {
	case fhir.KindObject:
		e.work += len(v.members)
		if x := v.get(token); x != nil {
			return x, ""
		}
		return nil, "there is no member '" + clip(token) + "'"
	case fhir.KindArray:
		i, why := index(token, len(v.items)-1)
		if why != "" {
			return nil, why
		}
		return v.items[i], ""
	}
	return nil, "'" + clip(token) + "' is below a value that is no object or array"
}

// index reads the index of an array, up to last (RFC 6901, 4).
func index(token string, last int) (i int, why string) {
	if token == "" || len(token) > 9 || token[0] == '0' && len(token) > 1 {
		return 0, "'" + clip(token) + "' is no index of an array"
	}
	for _, c := range []byte(token) {
		if c-'0' > 9 {
			return 0, "'" + clip(token) + "' is no index of an array"
		}
		i = 10*i + int(c-'0')
	}
	if i > last {
		return 0, fmt.Sprintf("there is no place %d in the array", i)
	}
	return i, ""
}

// clip bounds what a message repeats of its input.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func (e *jsonEdit) add(p pointer, x *value) (why string) {
	if len(p) == 0 {
		e.doc = x
		return ""
	}
	parent, why := e.at(p[:len(p)-1])
	if why != "" {
		return why
	}
	token := p[len(p)-1]
	switch parent.kind {
	case fhir.KindObject:
		e.work += len(parent.members)
		parent.set(token, x)
	case fhir.KindArray:
		i := len(parent.items)
		if token != "-" {
			if i, why = index(token, i); why != "" {
				return why
			}
		}
		e.work += len(parent.items) - i
		parent.insert(i, x)
	default:
		return "'" + clip(token) + "' is below a value that is no object or array"
	}
	return ""
}

func (e *jsonEdit) remove(p pointer) (x *value, why string) {
	if len(p) == 0 {
		return nil, "the whole document cannot be removed"
	}
	parent, why := e.at(p[:len(p)-1])
	if why != "" {
		return nil, why
	}
	token := p[len(p)-1]
	if x, why = e.child(parent, token); why != "" {
		return nil, why
	}
	if parent.kind == fhir.KindObject {
		parent.remove(token)
		return x, ""
	}
	i, why := index(token, len(parent.items)-1)
	if why != "" {
		return nil, why
	}
	e.work += len(parent.items) - i
	parent.take(i)
	return x, ""
}
