package validate

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// TestFunctions makes resources that a constraint looks at, of the members and the
// values that its expression names, and compares its function with FHIRPath. All
// constraints that have one must have held and been broken.
func TestFunctions(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	w := newTwins(t)
	g := &generator{random: rand.New(rand.NewPCG(5, 6))}
	for i := 1; i < r4.NumTypes(); i++ {
		typ := r4.TypeID(i)
		if r4.TypeAt(typ).Abstract {
			continue
		}
		list := r4.TypeAt(typ).Constraints
		var up []*r4.Element
		if !typ.IsResourceType() {
			up = chain(typ, 5)
		}
		for _, c := range list {
			w.generated(g, typ, up, c)
		}
	}
	for i := range r4.NumElements() {
		e := r4.ElementAt(r4.ElementID(i))
		for _, c := range e.Constraints {
			var up []*r4.Element
			if !e.Owner.IsResourceType() {
				up = chain(e.Owner, 5)
			}
			w.generated(g, e.Owner, append(up, e), c)
		}
	}
}

// neverBroken are the constraints that the generator cannot break, with the reason.
var neverBroken = map[string]string{
	"eld-19": "any character that may be in a name is enough, and it makes no path without one",
	"eld-20": "any letter is enough, and it makes no path without one",
}

// generated compares constraint c, of an object of type typ that is reached by the
// elements up, on many resources.
func (w *twins) generated(g *generator, typ r4.TypeID, up []*r4.Element, c uint16) {
	d := r4.ConstraintAt(c)
	if _, ok := invariantOf(d); !ok || checkedOtherwise[d.Key] != "" {
		return
	}
	g.words = map[string]bool{"item": true, "snapshot": true} // for children() and descendants()
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(d.Expression, -1) {
		g.words[word] = true
	}
	g.texts = []string{"x", "x.y", "X.y", "Y"}
	for _, m := range regexp.MustCompile(`'([\w:/.-]+)'`).FindAllStringSubmatch(d.Expression, -1) {
		g.texts = append(g.texts, m[1])
	}
	g.path = map[*r4.Element]bool{}
	root := typ
	if len(up) > 0 {
		root = up[0].Owner
	}
	for _, e := range up {
		g.path[e] = true
	}
	held, broke := 0, 0
	for i := 0; i < 600 || i < 30_000 && (held == 0 || broke == 0 && neverBroken[d.Key] == ""); i++ {
		object := g.object(root, 0)
		object["resourceType"] = root.String()
		text, err := json.Marshal(object)
		if err != nil {
			w.t.Fatal(err)
		}
		w.tree.Reset(text)
		res := w.p.Parse(&w.tree, 0, uint32(len(text)))
		if res.Failed() {
			continue
		}
		fast := brokenBy(w.v.Validate(&w.tree, res.Root))
		slow := brokenBy(w.plain.Validate(&w.tree, res.Root))
		differ := false
		for k := range fast {
			differ = differ || keyOf(k) == d.Key && !slow[k]
		}
		for k := range slow {
			differ = differ || keyOf(k) == d.Key && !fast[k]
		}
		if differ && !w.v.more {
			w.t.Errorf("%s: %s: function %v, FHIRPath %v", text, d.Key, slices.Sorted(maps.Keys(fast)), slices.Sorted(maps.Keys(slow)))
			return
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(slow)), func(k string) bool { return keyOf(k) == d.Key }) {
			broke++
		} else {
			held++
		}
	}
	if held == 0 || broke == 0 && neverBroken[d.Key] == "" {
		w.t.Errorf("%s of %s: held %d times and was broken %d times; expected both", d.Key, d.Path, held, broke)
	}
}

func keyOf(s string) string { return regexp.MustCompile(`^\S+`).FindString(s) }

// generator makes random objects.
type generator struct {
	random *rand.Rand
	words  map[string]bool      // names of members
	path   map[*r4.Element]bool // members that every object has
	texts  []string             // values of strings
}

func (g *generator) object(typ r4.TypeID, depth int) map[string]any {
	object := map[string]any{}
	var slots uint64
	for i := range r4.Elements(typ) {
		e := &r4.Elements(typ)[i]
		if slots>>e.Slot&1 != 0 {
			continue
		}
		wanted := g.words[e.Name] || e.Choice != "" && g.words[e.Choice]
		if g.path[e] || e.Min > 0 || depth < 5 && wanted && g.random.IntN(2) == 0 {
			object[e.Name] = g.value(e, depth)
			slots |= 1 << e.Slot
		}
	}
	if len(object) == 0 {
		object["id"] = "i" + string(rune('a'+g.random.IntN(26))) + string(rune('a'+g.random.IntN(26)))
	}
	return object
}

func (g *generator) value(e *r4.Element, depth int) any {
	if !e.Repeats() {
		return g.one(e, depth)
	}
	list := []any{g.one(e, depth)}
	if g.random.IntN(2) == 0 {
		list = append(list, g.one(e, depth))
	}
	return list
}

func (g *generator) one(e *r4.Element, depth int) any {
	switch r4.TypeAt(e.Type).Primitive {
	case r4.PrimitiveNone:
		if e.Type == r4.TypeResource {
			return map[string]any{"resourceType": "Basic"}
		}
		return g.object(e.Type, depth+1)
	case r4.PrimitiveBoolean:
		return g.random.IntN(2) == 0
	case r4.PrimitiveInteger, r4.PrimitiveDecimal:
		return g.random.IntN(5) - 2
	case r4.PrimitivePositiveInt, r4.PrimitiveUnsignedInt:
		return 1 + g.random.IntN(3)
	case r4.PrimitiveDate, r4.PrimitiveDateTime, r4.PrimitiveInstant:
		return "2020-01-01T00:00:00Z"
	case r4.PrimitiveString:
		if e.Name == "max" {
			return []string{"*", "0", "1", "2", "x"}[g.random.IntN(5)]
		}
	}
	text := g.texts[g.random.IntN(len(g.texts))]
	if set := r4.CodeSetAt(e.Binding.CodeSet); e.Binding.Strength == r4.BindingRequired && len(set.Codings) > 0 && !set.Contains([]byte(text)) {
		return set.Codings[g.random.IntN(len(set.Codings))].Code
	}
	return text
}
