package gen_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/gen"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// checker holds resources against the tables of the base definitions.
type checker struct {
	t    *testing.T
	ids  map[string]bool
	refs map[string]string // reference to where it stands
	bad  int
}

func (c *checker) fail(format string, args ...any) {
	if c.bad++; c.bad <= 20 {
		c.t.Errorf(format, args...)
	}
}

// TestResources checks every line: JSON, known elements, cardinality, lists,
// primitives, required bindings, unique ids, and references that resolve to a
// resource of a type that is allowed there.
func TestResources(t *testing.T) {
	all := gen.Lines(11, 14)
	c := &checker{t: t, ids: map[string]bool{}, refs: map[string]string{}}
	for rt, b := range all {
		eachLine(b, func(line []byte) {
			d := json.NewDecoder(bytes.NewReader(line))
			d.UseNumber()
			var r map[string]any
			if err := d.Decode(&r); err != nil {
				t.Fatalf("%s: %v: %.200s", rt, err, line)
			}
			id, _ := r["id"].(string)
			if r["resourceType"] != rt || c.ids[rt+"/"+id] {
				c.fail("%s: resourceType %v, id %q (or twice)", rt, r["resourceType"], id)
			}
			c.ids[rt+"/"+id] = true
			c.resource(r)
		})
	}
	if len(c.refs) < 5000 {
		t.Errorf("only %d references seen", len(c.refs))
	}
	for ref, from := range c.refs {
		if !c.ids[ref] {
			c.fail("%s refers to %s, which is not there", from, ref)
		}
	}
	for _, rt := range gen.Types() {
		if len(all[rt]) == 0 {
			t.Errorf("no %s", rt)
		}
	}
}

func (c *checker) resource(r map[string]any) {
	name, _ := r["resourceType"].(string)
	id := r4.ResourceTypeByName([]byte(name))
	if id == 0 {
		c.fail("unknown resource type %q", name)
		return
	}
	c.object(id, name, r)
	contained, _ := r["contained"].([]any)
	text, _ := json.Marshal(r)
	for _, x := range contained {
		local := x.(map[string]any)["id"].(string)
		if !bytes.Contains(text, []byte(`"reference":"#`+local+`"`)) {
			c.fail("%s: contained %s is not referred to", name, local)
		}
	}
}

func (c *checker) object(t r4.TypeID, path string, m map[string]any) {
	if len(m) == 0 {
		c.fail("%s: empty object", path)
	}
	var seen uint64
	for k, v := range m {
		if k == "resourceType" {
			continue
		}
		if twin, ok := strings.CutPrefix(k, "_"); ok {
			if t.ElementByName(twin) == 0 {
				c.fail("%s: unknown twin %s", path, k)
			}
			id, _ := r4.TypeByName("Element")
			c.object(id, path+"."+k, v.(map[string]any))
			continue
		}
		id := t.ElementByName(k)
		if id == 0 {
			c.fail("%s: unknown element %s", path, k)
			continue
		}
		e := r4.ElementAt(id)
		if e.Choice != "" && seen&(1<<e.Slot) != 0 {
			c.fail("%s: two of the choice %s[x]", path, e.Choice)
		}
		seen |= 1 << e.Slot
		list, isList := v.([]any)
		if isList != e.Repeats() {
			c.fail("%s.%s: list is %v", path, k, isList)
			continue
		}
		if !isList {
			list = []any{v}
		}
		if len(list) == 0 {
			c.fail("%s.%s: empty list", path, k)
		}
		for _, x := range list {
			c.value(e, path+"."+k, x)
		}
	}
	if missing := r4.TypeAt(t).RequiredMask &^ seen; missing != 0 {
		for _, e := range r4.Elements(t) {
			if missing&(1<<e.Slot) != 0 {
				c.fail("%s: %s is missing", path, e.Name)
			}
		}
	}
	if path == "Period" || strings.HasSuffix(path, "eriod") {
		start, _ := m["start"].(string)
		end, _ := m["end"].(string)
		if end != "" && end[:10] < start[:10] {
			c.fail("%s: ends before it starts", path)
		}
	}
}

func (c *checker) value(e *r4.Element, path string, x any) {
	ty := r4.TypeAt(e.Type)
	set := e.Binding.CodeSet
	required := e.Binding.Strength == r4.BindingRequired && set != 0
	m, isObject := x.(map[string]any)
	if ty.Kind == r4.KindPrimitive {
		c.primitive(ty.Primitive, path, x)
		if s, ok := x.(string); ok && required && !r4.CodeSetAt(set).Contains([]byte(s)) {
			c.fail("%s: %q is not in %s", path, s, e.Binding.ValueSet)
		}
		return
	}
	switch {
	case !isObject:
		c.fail("%s: %T where %s is due", path, x, ty.Name)
	case ty.Name == "Resource":
		c.resource(m)
	default:
		c.object(e.Type, path, m)
	}
	if coding, _ := m["coding"].([]any); required && coding != nil {
		found := false
		for _, y := range coding {
			y := y.(map[string]any)
			found = found || r4.CodeSetAt(set).ContainsCoding([]byte(y["system"].(string)), []byte(y["code"].(string)))
		}
		if !found {
			c.fail("%s: no coding is in %s", path, e.Binding.ValueSet)
		}
	}
	if ref, _ := m["reference"].(string); ty.Name == "Reference" && ref != "" && ref[0] != '#' {
		c.refs[ref] = path
		target, _, _ := strings.Cut(ref, "/")
		if id := r4.ResourceTypeByName([]byte(target)); len(e.Targets) > 0 && !slices.Contains(e.Targets, id) {
			anyResource, _ := r4.TypeByName("Resource")
			if !slices.Contains(e.Targets, anyResource) {
				c.fail("%s: may not refer to %s", path, target)
			}
		}
	}
}

// shapes of primitives as FHIR R4 2.24.0.1 gives them, as far as they occur.
var shapes = map[r4.Primitive]*regexp.Regexp{
	r4.PrimitiveID:           regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`),
	r4.PrimitiveDate:         regexp.MustCompile(`^\d{4}(-\d\d(-\d\d)?)?$`),
	r4.PrimitiveDateTime:     regexp.MustCompile(`^\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d)?)?)?$`),
	r4.PrimitiveInstant:      regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$`),
	r4.PrimitiveCode:         regexp.MustCompile(`^\S+( \S+)*$`),
	r4.PrimitiveURI:          regexp.MustCompile(`^\S+$`),
	r4.PrimitiveCanonical:    regexp.MustCompile(`^\S+$`),
	r4.PrimitiveBase64Binary: regexp.MustCompile(`^[A-Za-z0-9+/]+={0,2}$`),
	r4.PrimitiveString:       regexp.MustCompile(`^(?s)\S.*\S$|^\S$`),
	r4.PrimitiveXHTML:        regexp.MustCompile(`^<div xmlns="http://www.w3.org/1999/xhtml">.*</div>$`),
}

func (c *checker) primitive(p r4.Primitive, path string, x any) {
	switch p {
	case r4.PrimitiveBoolean:
		if _, ok := x.(bool); !ok {
			c.fail("%s: %v is no boolean", path, x)
		}
	case r4.PrimitiveDecimal, r4.PrimitiveInteger, r4.PrimitivePositiveInt, r4.PrimitiveUnsignedInt:
		n, ok := x.(json.Number)
		if !ok || p != r4.PrimitiveDecimal && strings.ContainsAny(n.String(), ".eE-") || p == r4.PrimitivePositiveInt && n == "0" {
			c.fail("%s: %v is no fit number", path, x)
		}
	default:
		s, ok := x.(string)
		if !ok || s == "" {
			c.fail("%s: %v is no string", path, x)
		} else if re := shapes[p]; re != nil && !re.MatchString(s) {
			c.fail("%s: %.80q has the wrong shape", path, s)
		}
	}
}
