package profiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// pattern is a value to compare with: that of fixed[x] or pattern[x] (FHIR R4,
// ElementDefinition.fixed[x], ElementDefinition.pattern[x]).
type pattern struct {
	kind   fhir.NodeKind
	exact  bool   // fixed: nothing else may be there, and arrays keep their order
	text   []byte // of a string, decoded; of a number as it is written
	number decimal.Decimal
	fields []patternField
	items  []*pattern
	shown  string // its JSON, for messages
}

type patternField struct {
	element r4.ElementID
	twin    bool
	value   *pattern
}

const maxShown = 80 // bytes of a value in a message

func newPattern(v *profile.Value, exact bool) (*pattern, error) {
	if v == nil {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(v.JSON))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	return buildPattern(value, v.Type, exact)
}

func buildPattern(value any, typ r4.TypeID, exact bool) (*pattern, error) {
	p := &pattern{exact: exact}
	if text, err := json.Marshal(value); err == nil {
		p.shown = show(text)
	}
	switch v := value.(type) {
	case string:
		p.kind, p.text = fhir.KindString, []byte(v)
	case json.Number:
		p.kind, p.text = fhir.KindNumber, []byte(v)
		n, ok := decimal.Parse(p.text)
		if !ok {
			return nil, fmt.Errorf("number %s is beyond the range of a decimal", p.shown)
		}
		p.number = n
	case bool:
		p.kind = fhir.KindFalse
		if v {
			p.kind = fhir.KindTrue
		}
	case []any:
		p.kind = fhir.KindArray
		for _, item := range v {
			q, err := buildPattern(item, typ, exact)
			if err != nil {
				return nil, err
			}
			p.items = append(p.items, q)
		}
	case map[string]any:
		p.kind = fhir.KindObject
		for key, member := range v {
			f, err := buildField(key, member, typ, exact)
			if err != nil {
				return nil, err
			}
			p.fields = append(p.fields, f)
		}
	}
	return p, nil
}

func buildField(key string, member any, typ r4.TypeID, exact bool) (patternField, error) {
	name, twin := strings.CutPrefix(key, "_")
	e := typ.ElementByName(name)
	if e == 0 {
		return patternField{}, fmt.Errorf("fixed or pattern value: %s has no element '%s'", typ, show([]byte(key)))
	}
	t := r4.ElementAt(e).Type
	if twin {
		t = r4.TypeElement
	}
	value, err := buildPattern(member, t, exact)
	return patternField{e, twin, value}, err
}

// show shortens the text of a value for a message, at a character's edge.
func show(text []byte) string {
	if len(text) <= maxShown {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:maxShown]), "") + "..."
}

// matches tells whether node n has the value that p asks for.
func (c *Checker) matches(n fhir.NodeID, p *pattern) bool {
	nd := &c.tree.Nodes[n]
	c.steps++
	if nd.Kind != p.kind {
		return false
	}
	switch p.kind {
	case fhir.KindString:
		return string(c.text(n)) == string(p.text)
	case fhir.KindNumber:
		raw := c.tree.Raw(n)
		if string(raw) == string(p.text) {
			return true
		}
		d, ok := decimal.Parse(raw)
		return ok && d.Cmp(p.number) == 0 && d.Places() == p.number.Places()
	case fhir.KindObject:
		return c.matchesObject(n, p)
	case fhir.KindArray:
		return c.matchesArray(n, p)
	}
	return true
}

func (c *Checker) matchesObject(n fhir.NodeID, p *pattern) bool {
	for i := range p.fields {
		f := &p.fields[i]
		child := c.member(n, f.element, f.twin)
		if child == fhir.NoNode || !c.matches(child, f.value) {
			return false
		}
	}
	if !p.exact {
		return true
	}
	count := 0
	for m := c.tree.FirstChild(n); m != fhir.NoNode; m = c.tree.NextSibling(n, m) {
		count++
	}
	return count == len(p.fields)
}

// matchesArray compares with an array: for a fixed value item by item, else each
// item of the pattern must be somewhere.
func (c *Checker) matchesArray(n fhir.NodeID, p *pattern) bool {
	if p.exact {
		item := c.tree.FirstChild(n)
		for _, q := range p.items {
			if item == fhir.NoNode || !c.matches(item, q) {
				return false
			}
			item = c.tree.NextSibling(n, item)
		}
		return item == fhir.NoNode
	}
	for _, q := range p.items {
		found := false
		for item := c.tree.FirstChild(n); item != fhir.NoNode && !found && !c.exhausted(); item = c.tree.NextSibling(n, item) {
			found = c.matches(item, q)
		}
		if !found {
			return false
		}
	}
	return true
}

// member finds the member of object n that holds element e, or its twin.
func (c *Checker) member(n fhir.NodeID, e r4.ElementID, twin bool) fhir.NodeID {
	for m := c.tree.FirstChild(n); m != fhir.NoNode; m = c.tree.NextSibling(n, m) {
		if nd := &c.tree.Nodes[m]; nd.Element == e && (nd.Flags&fhir.FlagTwin != 0) == twin {
			return m
		}
	}
	return fhir.NoNode
}
