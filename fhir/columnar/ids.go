package columnar

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Field ids number the whole layout of a type, as the definitions would unfold
// it, from top to bottom: an element's id is that of its parent and the sizes
// of the siblings before it. So ids are the same whatever of the layout a file
// has, they cannot collide, and their order is the order of columns. The sizes
// of unfolded types are computed when first asked for.
const (
	primitiveSpan = 7 // field, items; two twins with field and items each; `_` twin
	jsonSpan      = 2
)

// classify decides how an element of the last type of path is laid out.
func classify(path []r4.TypeID, el *r4.Element) (role Role, isList bool) {
	t := r4.TypeAt(el.Type)
	switch {
	case t.Kind == r4.KindPrimitive:
		return primitiveRole(el, t.Primitive), el.Repeats()
	case t.Kind == r4.KindResource, el.Type == r4.TypeExtension && len(path) > 1, occurrences(path, el.Type) >= maxRepeat:
		return RoleJSON, false
	}
	return RoleGroup, el.Repeats()
}

func primitiveRole(el *r4.Element, p r4.Primitive) Role {
	switch p {
	case r4.PrimitiveBoolean:
		return RoleBoolean
	case r4.PrimitiveInteger, r4.PrimitiveUnsignedInt, r4.PrimitivePositiveInt:
		return RoleInteger
	case r4.PrimitiveDecimal:
		return RoleDecimal
	case r4.PrimitiveDate, r4.PrimitiveDateTime, r4.PrimitiveInstant:
		return RoleTime
	}
	if el.Owner == r4.TypeReference && el.Name == "reference" {
		return RoleReference
	}
	return RoleString
}

// extensionValues are the values of an extension at a resource's root that have
// columns; one with anything else is there as JSON too.
var extensionValues = []string{
	"url", "valueString", "valueCode", "valueBoolean", "valueInteger", "valueDecimal", "valueDate", "valueDateTime",
	"valueInstant", "valueUri", "valueUrl", "valueCanonical", "valueMarkdown", "valueId", "valuePositiveInt",
	"valueUnsignedInt", "valueCoding", "valueCodeableConcept", "valueReference", "valueIdentifier", "valuePeriod",
	"valueQuantity",
}

func typedInExtension(el *r4.Element) bool { return slices.Contains(extensionValues, el.Name) }

func rootExtension(n *Node) bool { return n.Type == r4.TypeExtension }

func occurrences(path []r4.TypeID, t r4.TypeID) int {
	n := 0
	for _, p := range path {
		if p == t {
			n++
		}
	}
	return n
}

// elementSpan is how many ids an element takes.
func elementSpan(path []r4.TypeID, el *r4.Element) int {
	owner := path[len(path)-1]
	if owner == r4.TypeExtension && !typedInExtension(el) {
		return 0
	}
	switch role, _ := classify(path, el); {
	case role == RoleGroup:
		return groupSpan(path, el.Type)
	case role == RoleJSON:
		return jsonSpan
	}
	return primitiveSpan
}

var spans = struct {
	sync.Mutex
	group map[string]int
	reach map[r4.TypeID][]r4.TypeID
}{group: map[string]int{}, reach: map[r4.TypeID][]r4.TypeID{}}

// groupSpan is how many ids a group of type t takes below path.
func groupSpan(path []r4.TypeID, t r4.TypeID) int {
	key := spanKey(path, t)
	spans.Lock()
	n, ok := spans.group[key]
	spans.Unlock()
	if ok {
		return n
	}
	n = 2
	inner := append(slices.Clip(path), t)
	for i := range r4.Elements(t) {
		n += elementSpan(inner, &r4.Elements(t)[i])
	}
	if t == r4.TypeExtension {
		n++ // the JSON column
	}
	spans.Lock()
	spans.group[key] = n
	spans.Unlock()
	return n
}

// spanKey names what the size of t below path depends on: how often each type
// that t can contain is on the path already, and whether t is the root.
func spanKey(path []r4.TypeID, t r4.TypeID) string {
	key := binary.LittleEndian.AppendUint16(nil, uint16(t))
	if len(path) == 0 {
		key = append(key, 0)
	}
	for _, r := range reachable(t) {
		if n := occurrences(path, r); n > 0 {
			key = append(binary.LittleEndian.AppendUint16(key, uint16(r)), byte(n))
		}
	}
	return string(key)
}

// reachable gives the types that t contains at any depth, in order of TypeID.
func reachable(t r4.TypeID) []r4.TypeID {
	spans.Lock()
	defer spans.Unlock()
	if r, ok := spans.reach[t]; ok {
		return r
	}
	seen := map[r4.TypeID]bool{t: true}
	todo := []r4.TypeID{t}
	for len(todo) > 0 {
		last := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, el := range r4.Elements(last) {
			kind := r4.TypeAt(el.Type).Kind
			if (kind == r4.KindDatatype || kind == r4.KindBackbone) && !seen[el.Type] && el.Type != r4.TypeExtension {
				seen[el.Type] = true
				todo = append(todo, el.Type)
			}
		}
	}
	var r []r4.TypeID
	for s := range seen {
		r = append(r, s)
	}
	slices.Sort(r)
	spans.reach[t] = r
	return r
}
