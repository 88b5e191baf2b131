package main

import (
	"bytes"
	"fmt"
	"go/format"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4/internal/keyhash"
)

// file collects the text of one generated Go file.
type file struct{ bytes.Buffer }

func (f *file) p(format string, args ...any) {
	fmt.Fprintf(f, format, args...)
	f.WriteByte('\n')
}

func (f *file) source(header string) ([]byte, error) {
	return format.Source(append([]byte(header+"package r4\n\n"), f.Bytes()...))
}

// numbers writes values as rows of a composite literal.
func (f *file) numbers(values []int) {
	for row := range slices.Chunk(values, 24) {
		for _, v := range row {
			fmt.Fprintf(f, "%d,", v)
		}
		f.WriteByte('\n')
	}
}

// fields writes a composite literal that leaves out zero fields.
type fields struct{ b strings.Builder }

func (l *fields) add(name string, set bool, format string, args ...any) {
	if !set {
		return
	}
	if l.b.Len() > 0 {
		l.b.WriteString(", ")
	}
	l.b.WriteString(name + ": ")
	fmt.Fprintf(&l.b, format, args...)
}

func (l *fields) text(name, value string) { l.add(name, value != "", "%q", value) }

func (l *fields) number(name string, value int) { l.add(name, value != 0, "%d", value) }

func (l *fields) flag(name string, value bool) { l.add(name, value, "true") }

func (l *fields) list(name, typ string, values []string) {
	l.add(name, len(values) > 0, "[]%s{%s}", typ, strings.Join(values, ", "))
}

func (l *fields) String() string { return "{" + l.b.String() + "}," }

func constants(names []string) []string {
	var list []string
	for _, n := range names {
		list = append(list, constant(n))
	}
	return list
}

func decimals(values []int) []string {
	var list []string
	for _, v := range values {
		list = append(list, fmt.Sprint(v))
	}
	return list
}

func quoted(values []string) []string {
	var list []string
	for _, v := range values {
		list = append(list, fmt.Sprintf("%q", v))
	}
	return list
}

var primitiveConstants = map[string]string{
	"boolean": "Boolean", "integer": "Integer", "unsignedInt": "UnsignedInt", "positiveInt": "PositiveInt",
	"decimal": "Decimal", "string": "String", "markdown": "Markdown", "code": "Code", "id": "ID", "uri": "URI",
	"url": "URL", "canonical": "Canonical", "oid": "OID", "uuid": "UUID", "base64Binary": "Base64Binary",
	"date": "Date", "dateTime": "DateTime", "instant": "Instant", "time": "Time", "xhtml": "XHTML",
}

// emitTypes writes the constants and the table of the types and the lookups of
// types by name.
func emitTypes(m *model) (*file, error) {
	f := &file{}
	f.p("// The types of R4: primitives, datatypes, resource types, abstract resource types, backbone elements.")
	f.p("const (")
	seen := map[string]string{}
	for _, t := range m.types[1:] {
		c := constant(t.name)
		if seen[c] != "" {
			return nil, fmt.Errorf("types %s and %s share the constant %s", seen[c], t.name, c)
		}
		seen[c] = t.name
		f.p("%s TypeID = %d // %s", c, t.id, t.name)
	}
	f.p(")\n")
	f.p("var types = [...]Type{\n{},")
	var named, resources []string
	for _, t := range m.types[1:] {
		named = append(named, t.name)
		l := &fields{}
		l.text("Name", t.name)
		l.add("Kind", true, "%s", t.kind)
		if t.kind == "KindPrimitive" {
			l.add("Primitive", true, "Primitive%s", primitiveConstants[t.name])
		}
		l.flag("Abstract", t.abstract)
		l.add("Base", t.base != "", "%s", constant(t.base))
		if len(t.elements) > 0 {
			l.number("FirstElement", t.elements[0].id)
		}
		l.number("NumElements", len(t.elements))
		l.number("NumSlots", t.slots)
		l.add("RequiredMask", t.required != 0, "%#x", t.required)
		l.list("Constraints", "uint16", decimals(t.constraints))
		f.p("%s", l)
		if t.kind == "KindResource" && !t.abstract {
			resources = append(resources, t.name)
		}
	}
	f.p("}\n")
	slices.Sort(named)
	f.p("// typesByName holds all types in the order of their names.\nvar typesByName = [...]TypeID{")
	for _, n := range named {
		f.p("%s,", constant(n))
	}
	f.p("}\n")
	f.p("var resourceTypes = [...]TypeID{")
	for _, n := range resources {
		f.p("%s,", constant(n))
	}
	f.p("}\n")
	multiplier, shift, slots, err := perfect(resources)
	if err != nil {
		return nil, err
	}
	for i, s := range slots {
		if s != 0 {
			slots[i] = m.byName[resources[s-1]].id
		}
	}
	f.p("var resourceTypeHash = perfectHash{multiplier: %#x, shift: %d}\n", multiplier, shift)
	f.p("var resourceTypeSlots = [...]TypeID{")
	f.numbers(slots)
	f.p("}")
	return f, nil
}

var strengths = map[string]string{
	"example": "BindingExample", "preferred": "BindingPreferred",
	"extensible": "BindingExtensible", "required": "BindingRequired",
}

// emitElements writes the table of the elements.
func emitElements(m *model) (*file, error) {
	f := &file{}
	f.p("var elements = [...]Element{\n{},")
	for _, e := range m.elements[1:] {
		l := &fields{}
		l.text("Name", e.name)
		l.text("Path", e.path)
		if e.owner != nil {
			l.add("Owner", true, "%s", constant(e.owner.name))
		}
		l.add("Type", true, "%s", constant(e.typ))
		l.number("Min", e.min)
		if e.max == 0xFFFF {
			l.add("Max", true, "Unbounded")
		} else {
			l.number("Max", e.max)
		}
		l.number("Slot", e.slot)
		l.text("Choice", e.choice)
		l.list("Targets", "TypeID", constants(e.targets))
		if e.strength != "" {
			if strengths[e.strength] == "" {
				return nil, fmt.Errorf("binding strength %q of %s", e.strength, e.path)
			}
			b := &fields{}
			b.add("Strength", true, "%s", strengths[e.strength])
			b.text("ValueSet", e.valueSet)
			b.number("CodeSet", e.codeSet)
			l.add("Binding", true, "Binding{%s}", b.b.String())
		}
		l.flag("IsModifier", e.isModifier)
		l.flag("IsSummary", e.isSummary)
		l.list("Constraints", "uint16", decimals(e.constraints))
		f.p("%s", l)
	}
	f.p("}")
	return f, nil
}

// emitLookup writes the perfect hashes of the element names. The first two
// slots are empty and serve every type without elements.
func emitLookup(m *model) (*file, error) {
	f := &file{}
	f.p("var lookupHashes = [...]perfectHash{\n{shift: 63},")
	all := []int{0, 0}
	for _, t := range m.types[1:] {
		var keys []string
		var ids []int
		for _, e := range t.elements {
			keys, ids = append(keys, e.name), append(ids, e.id)
		}
		if t.kind == "KindResource" {
			keys, ids = append(keys, "resourceType"), append(ids, 1)
		}
		if len(keys) == 0 {
			f.p("{shift: 63}, // %s", t.name)
			continue
		}
		multiplier, shift, slots, err := perfect(keys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		f.p("{%#x, %d, %d}, // %s", multiplier, len(all), shift, t.name)
		for _, s := range slots {
			if s != 0 {
				s = ids[s-1]
			}
			all = append(all, s)
		}
	}
	f.p("}\n\nvar lookupSlots = [...]uint16{")
	f.numbers(all)
	f.p("}\n\nvar lookupKeys = [...]elementKey{")
	for _, e := range m.elements {
		if len(e.name) > 255 {
			return nil, fmt.Errorf("name %s is too long", e.name)
		}
		a, b := keyhash.Words([]byte(e.name))
		var middle uint64
		if len(e.name) > keyhash.Short {
			middle = keyhash.Middle([]byte(e.name))
		}
		f.p("{%#x, %#x, %#x, %d},", a, b, middle, len(e.name))
	}
	f.p("}")
	return f, nil
}

// emitConstraints writes the table of the constraints.
func emitConstraints(m *model) (*file, error) {
	f := &file{}
	f.p("var constraints = [...]Constraint{\n{},")
	for _, c := range m.constraints[1:] {
		l := &fields{}
		l.text("Key", c.key)
		l.text("Path", c.path)
		l.text("Human", c.human)
		l.text("Expression", c.expression)
		l.flag("Warning", c.warning)
		l.flag("BestPractice", c.bestPractice)
		f.p("%s", l)
	}
	f.p("}")
	return f, nil
}
