package duck

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// emptyView is the query of a view of a type that has no data: no rows, and the
// columns that the definitions give, so that a query written for a full store
// runs on an empty one. The types follow the layout of the columnar files
// (docs/formats/columns.md); where that has JSON text, this has too.
func emptyView(id r4.TypeID, whole bool) string {
	if !whole {
		return `SELECT NULL::VARCHAR AS "resourceType", NULL::VARCHAR AS id WHERE false`
	}
	e := emptyColumns{}
	var b strings.Builder
	b.WriteString("SELECT ")
	e.fields(id, func(name, columnType string) {
		b.WriteString("NULL::" + columnType + " AS " + ident(name) + ", ")
	})
	return strings.TrimSuffix(b.String(), ", ") + " WHERE false"
}

// emptyDepth bounds nesting: deeper than any path that a query for real data
// has in practice, and it keeps ExplanationOfBenefit's view quick to make.
const emptyDepth = 5

// emptyColumns walks a type; stack has the types that it is in.
type emptyColumns struct{ stack []r4.TypeID }

func (e *emptyColumns) fields(id r4.TypeID, add func(name, columnType string)) {
	t := r4.TypeAt(id)
	e.stack = append(e.stack, id)
	defer func() { e.stack = e.stack[:len(e.stack)-1] }()
	if t.Kind == r4.KindResource {
		add("resourceType", "VARCHAR")
	}
	elements := r4.Elements(id)
	for i := range elements {
		el := &elements[i]
		list := ""
		if el.Repeats() {
			list = "[]"
		}
		of := r4.TypeAt(el.Type)
		switch {
		case of.Kind == r4.KindPrimitive:
			add(el.Name, primitiveColumn(of.Primitive)+list)
			twins(t.Name, el.Name, of.Primitive, list, add)
		case of.Kind == r4.KindResource || of.Name == "Extension" || of.Name == "xhtml" ||
			len(e.stack) >= emptyDepth || slices.Contains(e.stack, el.Type):
			add(el.Name, "VARCHAR")
		default:
			var b strings.Builder
			e.fields(el.Type, func(name, columnType string) {
				b.WriteString(ident(name) + " " + columnType + ", ")
			})
			if b.Len() == 0 {
				add(el.Name, "VARCHAR")
				continue
			}
			add(el.Name, "STRUCT("+strings.TrimSuffix(b.String(), ", ")+")"+list)
		}
	}
}

func primitiveColumn(p r4.Primitive) string {
	switch p {
	case r4.PrimitiveBoolean:
		return "BOOLEAN"
	case r4.PrimitiveInteger, r4.PrimitiveUnsignedInt, r4.PrimitivePositiveInt:
		return "INTEGER"
	}
	return "VARCHAR" // decimals and dates too: they keep their text
}

func twins(owner, name string, p r4.Primitive, list string, add func(name, columnType string)) {
	switch {
	case p == r4.PrimitiveDecimal:
		add(name+"__decimal", "DECIMAL(38,6)"+list)
	case p == r4.PrimitiveDate || p == r4.PrimitiveDateTime || p == r4.PrimitiveInstant:
		add(name+"__start", "TIMESTAMP"+list)
		add(name+"__end", "TIMESTAMP"+list)
	case owner == "Reference" && name == "reference":
		add(name+"__type", "VARCHAR")
		add(name+"__id", "VARCHAR")
	}
}
