package index_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A plain interpreter of search expressions, to compare the stage with: it walks JSON
// as encoding/json decodes it, knows no more of FHIRPath than R4's search parameters
// use, and shares no code with package fhirpath. Of R4's tables it takes the names and
// types of elements.

// item is one element.
type item struct {
	json any
	typ  r4.TypeID
	elem r4.ElementID // the property that holds it
}

// twin evaluates expressions on one resource.
type twin struct {
	resource item
	tokens   []string
}

var lexer = regexp.MustCompile(`'[^']*'|%resource|[A-Za-z]+|[0-9]+|!=|[|.()\[\]=]`)

// eval gives the items of an expression from focus. It panics for what it does not
// understand, so that no parameter is passed over.
func (t *twin) eval(expression string, focus item) []item {
	t.tokens = lexer.FindAllString(expression, -1)
	out := t.and(focus)
	if len(t.tokens) > 0 {
		panic(fmt.Sprintf("twin: %q is left of %q", t.tokens, expression))
	}
	return out
}

func (t *twin) next() string {
	if len(t.tokens) == 0 {
		return ""
	}
	return t.tokens[0]
}

func (t *twin) take(want string) bool {
	if t.next() != want {
		return false
	}
	t.tokens = t.tokens[1:]
	return true
}

func (t *twin) word() string {
	w := t.next()
	if w == "" {
		panic("twin: the expression ends early")
	}
	t.tokens = t.tokens[1:]
	return w
}

func (t *twin) expect(want string) {
	if !t.take(want) {
		panic(fmt.Sprintf("twin: expected %q at %q", want, t.tokens))
	}
}

func truth(b bool) []item { return []item{{json: b}} }

func (t *twin) and(focus item) []item {
	left := t.compare(focus)
	for t.take("and") {
		right := t.compare(focus)
		l, r := left, right
		switch {
		case len(l) == 1 && l[0].json == false, len(r) == 1 && r[0].json == false:
			left = truth(false)
		case len(l) == 0 || len(r) == 0:
			left = nil
		default:
			left = truth(true)
		}
	}
	return left
}

func (t *twin) compare(focus item) []item {
	left := t.union(focus)
	for _, op := range []string{"=", "!="} {
		if !t.take(op) {
			continue
		}
		right := t.union(focus)
		if len(left) == 0 || len(right) == 0 {
			return nil
		}
		return truth(len(left) == 1 && len(right) == 1 && left[0].json == right[0].json == (op == "="))
	}
	return left
}

func (t *twin) union(focus item) []item {
	out := t.cast(focus)
	for t.take("|") {
		out = append(out, t.cast(focus)...)
	}
	return out
}

func (t *twin) cast(focus item) []item {
	out := t.path(focus)
	if t.take("as") {
		return ofType(out, t.word())
	}
	return out
}

func ofType(items []item, name string) (out []item) {
	for _, x := range items {
		if x.typ.String() == name {
			out = append(out, x)
		}
	}
	return out
}

func (t *twin) path(focus item) []item {
	var at []item
	switch w := t.word(); {
	case w == "(":
		at = t.and(focus)
		t.expect(")")
	case w == "%resource":
		at = []item{t.resource}
	case w == "true" || w == "false":
		at = truth(w == "true")
	case w[0] == '\'':
		at = []item{{json: strings.Trim(w, "'")}}
	case r4.ResourceTypeByName([]byte(w)) == focus.typ || w == "Resource" || w == "DomainResource":
		at = []item{focus}
	default:
		at = focus.members(w)
	}
	for {
		switch {
		case t.take("["):
			i, err := strconv.Atoi(t.word())
			if err != nil {
				panic(err)
			}
			t.expect("]")
			at = at[min(i, len(at)):min(i+1, len(at))]
		case t.take("."):
			at = t.step(at)
		default:
			return at
		}
	}
}

func (t *twin) step(at []item) (out []item) {
	name := t.word()
	if !t.take("(") {
		for _, x := range at {
			out = append(out, x.members(name)...)
		}
		return out
	}
	switch name {
	case "exists":
		t.expect(")")
		return truth(len(at) > 0)
	case "as", "ofType":
		out = ofType(at, t.word())
		t.expect(")")
		return out
	case "where":
		condition := t.tokens
		depth, n := 1, 0
		for ; depth > 0; n++ {
			switch condition[n] {
			case "(":
				depth++
			case ")":
				depth--
			}
		}
		rest := condition[n:]
		for _, x := range at {
			t.tokens = condition[:n-1]
			if t.holds(x) {
				out = append(out, x)
			}
		}
		t.tokens = rest
		return out
	}
	panic("twin: no function " + name)
}

// holds evaluates the condition of a where.
func (t *twin) holds(x item) bool {
	if t.take("resolve") {
		t.expect("(")
		t.expect(")")
		t.expect("is")
		return targetOf(x, t.resource) == t.word()
	}
	v := t.and(x)
	return len(v) == 1 && v[0].json == true
}

var literal = regexp.MustCompile(`^(?:[a-z]+://.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$`)

// targetOf gives the name of the type that a Reference is to.
func targetOf(x, resource item) string {
	object, _ := x.json.(map[string]any)
	text, _ := object["reference"].(string)
	if m := literal.FindStringSubmatch(text); m != nil && r4.ResourceTypeByName([]byte(m[1])) != 0 {
		return m[1]
	}
	if id, ok := strings.CutPrefix(text, "#"); ok {
		if id == "" {
			return resource.typ.String()
		}
		contained, _ := resource.json.(map[string]any)["contained"].([]any)
		for _, c := range contained {
			if c := c.(map[string]any); c["id"] == id {
				return c["resourceType"].(string)
			}
		}
	}
	if before, _, ok := strings.Cut(text, "?"); ok && r4.ResourceTypeByName([]byte(before)) != 0 {
		return before
	}
	typ, _ := object["type"].(string)
	return typ
}

// members gives the values of a property, of a choice under any of its types.
func (x item) members(name string) (out []item) {
	object, ok := x.json.(map[string]any)
	if !ok {
		return nil
	}
	first := r4.TypeAt(x.typ).FirstElement
	for i, e := range r4.Elements(x.typ) {
		if e.Choice != name && (e.Choice != "" || e.Name != name) {
			continue
		}
		values, isList := object[e.Name].([]any)
		if !isList && object[e.Name] != nil {
			values = []any{object[e.Name]}
		}
		for _, v := range values {
			if v == nil {
				continue
			}
			typ := e.Type
			if m, ok := v.(map[string]any); ok {
				if r, ok := m["resourceType"].(string); ok {
					typ = r4.ResourceTypeByName([]byte(r))
				}
			}
			out = append(out, item{v, typ, first + r4.ElementID(i)})
		}
	}
	return out
}
