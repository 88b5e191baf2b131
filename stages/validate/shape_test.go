package validate

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// TestShapes gives an object of every type that has a shape all combinations of the
// members that their expressions name, and compares with FHIRPath.
func TestShapes(t *testing.T) {
	w := newTwins(t)
	random := rand.New(rand.NewPCG(3, 4))
	for i := 1; i < r4.NumTypes(); i++ {
		typ := r4.TypeID(i)
		if r4.TypeAt(typ).Abstract {
			continue
		}
		var named uint64
		keys := map[string]bool{}
		for _, c := range r4.TypeAt(typ).Constraints {
			d := r4.ConstraintAt(c)
			if shapesOf(d, typ) == nil {
				continue
			}
			keys[d.Key] = true
			words := regexp.MustCompile(`\w+`).FindAllString(d.Expression, -1)
			for _, e := range r4.Elements(typ) {
				if slices.Contains(words, e.Name) || e.Choice != "" && slices.Contains(words, e.Choice) {
					named |= 1 << e.Slot
				}
			}
		}
		if named == 0 {
			continue
		}
		var members []*r4.Element
		for _, e := range r4.Elements(typ) {
			if named>>e.Slot&1 != 0 && (len(members) == 0 || members[len(members)-1].Slot != e.Slot) {
				members = append(members, &e)
			}
		}
		for subset := range 1 << min(len(members), 10) {
			if len(members) > 10 {
				subset = random.IntN(1 << len(members))
			}
			object := map[string]any{}
			for k, e := range members {
				if subset>>k&1 != 0 {
					object[e.Name] = sample(e)
				}
			}
			w.compareShapes(typ, object, keys)
		}
	}
}

// sample makes a value of an element.
func sample(e *r4.Element) any {
	var v any = map[string]any{"extension": []any{map[string]any{"url": "http://a.org/x", "valueBoolean": true}}}
	switch r4.TypeAt(e.Type).Primitive {
	case r4.PrimitiveNone:
		if e.Type == r4.TypeResource {
			v = map[string]any{"resourceType": "Basic", "code": map[string]any{"text": "x"}}
		}
	case r4.PrimitiveBoolean:
		v = true
	case r4.PrimitiveInteger, r4.PrimitiveDecimal, r4.PrimitivePositiveInt, r4.PrimitiveUnsignedInt:
		v = 1
	default:
		v = "1"
	}
	if e.Repeats() {
		v = []any{v}
	}
	return v
}

// chain finds elements that lead from a resource type to a value of type typ.
func chain(typ r4.TypeID, depth int) []*r4.Element {
	if typ.IsResourceType() || depth == 0 {
		return nil
	}
	var best []*r4.Element
	for i := 2; i < r4.NumElements(); i++ {
		e := r4.ElementAt(r4.ElementID(i))
		if e.Type != typ || e.Owner == typ || r4.TypeAt(e.Owner).Abstract {
			continue
		}
		if e.Owner.IsResourceType() {
			return []*r4.Element{e}
		}
		if best == nil {
			if up := chain(e.Owner, depth-1); up != nil {
				best = append(up, e)
			}
		}
	}
	return best
}

func (w *twins) compareShapes(typ r4.TypeID, object map[string]any, keys map[string]bool) {
	w.t.Helper()
	path := chain(typ, 5)
	root := typ
	if len(path) > 0 {
		root = path[0].Owner
	}
	var v any = object
	if len(object) == 0 {
		object["extension"] = []any{map[string]any{"url": "http://a.org/x", "valueBoolean": true}}
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i].Repeats() {
			v = []any{v}
		}
		v = map[string]any{path[i].Name: v}
	}
	v.(map[string]any)["resourceType"] = root.String()
	text, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	w.tree.Reset(text)
	res := w.p.Parse(&w.tree, 0, uint32(len(text)))
	if res.Root == fhir.NoNode {
		w.t.Fatalf("%s: %+v", text, res.Issues)
	}
	fast := brokenBy(w.v.Validate(&w.tree, res.Root))
	slow := brokenBy(w.plain.Validate(&w.tree, res.Root))
	for _, side := range []map[string]bool{fast, slow} {
		for k := range side {
			if key, _, _ := strings.Cut(k, " "); keys[key] && fast[k] != slow[k] {
				w.t.Errorf("%s: %s: as a shape %v, as FHIRPath %v", text, k, !fast[k], !slow[k])
			}
		}
	}
}
