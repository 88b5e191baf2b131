package validate

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// newPlain makes a validator that has every constraint as FHIRPath, and no other
// rule.
func newPlain(t *testing.T) *Validator {
	t.Helper()
	plain := &table{
		classes:   make([]class, r4.NumElements()),
		slots:     make([]uint8, r4.NumElements()),
		plans:     make([]plan, r4.NumElements()),
		resources: make([]plan, r4.NumTypes()),
	}
	add := func(typ r4.TypeID, lists ...[]uint16) span {
		s := span{from: int32(len(plain.programs))}
		for _, list := range lists {
			for _, c := range list {
				d := r4.ConstraintAt(c)
				if d.BestPractice || strings.HasPrefix(d.Key, "txt-") || checkedOtherwise[d.Key] != "" {
					continue
				}
				p, err := fhirpath.Compile(d.Expression, fhirpath.Options{Type: typ})
				if err != nil {
					t.Fatalf("%s: %v", d.Key, err)
				}
				plain.programs = append(plain.programs, program{c, p})
			}
		}
		s.to = int32(len(plain.programs))
		return s
	}
	plain.slots[0] = 64
	for i := 1; i < r4.NumElements(); i++ {
		e := r4.ElementAt(r4.ElementID(i))
		plain.slots[i] = e.Slot
		if r4.ElementID(i) == r4.ElementResourceType {
			continue
		}
		switch {
		case e.Type == r4.TypeResource:
			plain.classes[i] = classResource
			continue
		case r4.TypeAt(e.Type).Primitive == r4.PrimitiveNone:
			plain.classes[i] = classObject
		default:
			plain.classes[i] = classLeaf
		}
		plain.plans[i].programs = add(e.Type, e.Constraints, r4.TypeAt(e.Type).Constraints, []uint16{conEle1})
	}
	for _, typ := range r4.ResourceTypes() {
		plain.resources[typ] = plan{resource: true, contained: typ.ElementByName("contained"), programs: add(typ, r4.TypeAt(typ).Constraints)}
	}
	v, err := NewValidator(Options{})
	if err != nil {
		t.Fatal(err)
	}
	v.table = plain
	return v
}

// elsewhere are the constraints that are reported at the element at fault and not
// at their focus.
var elsewhere = map[string]bool{
	"dom-2": true, "dom-4": true, "dom-5": true, "ele-1": true,
	"bdl-1": true, "bdl-2": true, "bdl-3": true, "bdl-4": true, "bdl-7": true,
}

// broken gives what constraints do not hold, and where.
func brokenBy(issues []fhir.Issue) map[string]bool {
	out := map[string]bool{}
	for _, is := range issues {
		switch {
		case is.Constraint == "" || strings.HasPrefix(is.Constraint, "txt-") || checkedOtherwise[is.Constraint] != "":
		case elsewhere[is.Constraint]:
			out[is.Constraint] = true
		default:
			out[is.Constraint+" "+is.Expression] = true
		}
	}
	return out
}

// twins compares a validator with a plain one.
type twins struct {
	t        *testing.T
	p        *parse.Parser
	v, plain *Validator
	tree     fhir.Tree
	seen     map[string]int // constraints that did not hold
}

func newTwins(t *testing.T) *twins {
	v, err := NewValidator(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &twins{t: t, p: parse.NewParser(), v: v, plain: newPlain(t), seen: map[string]int{}}
}

func (w *twins) compare(name string, text []byte) {
	w.tree.Reset(text)
	res := w.p.Parse(&w.tree, 0, uint32(len(text)))
	if res.Root == fhir.NoNode {
		return
	}
	if res.Failed() {
		return // what parse reports has no consequences, by invariant 3
	}
	fast := brokenBy(w.v.Validate(&w.tree, res.Root))
	slow := brokenBy(w.plain.Validate(&w.tree, res.Root))
	if w.v.more || w.plain.more {
		return
	}
	for k := range fast {
		w.seen[strings.Fields(k)[0]]++
		if !slow[k] {
			w.t.Errorf("%s: %s does not hold; its expression does", name, k)
		}
	}
	for k := range slow {
		if !fast[k] {
			w.t.Errorf("%s: %s holds; its expression does not", name, k)
		}
	}
}

// TestTwins runs every constraint as it is checked and as its definition has it, on
// the test data and on resources of it of which a member was taken away, doubled or
// moved, so that constraints break.
func TestTwins(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	w := newTwins(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, set := range []string{"r4-examples", "synthea-small"} {
		dir := corpus.Folder(t, set)
		paths, err := filepath.Glob(filepath.Join(dir, "*.ndjson*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, _, _ := strings.Cut(filepath.Base(path), ".")
			for i, line := range lines(t, path) {
				if set == "synthea-small" && i >= 200 {
					break
				}
				w.compare(name, line)
				if len(line) > 100_000 {
					continue
				}
				for range 3 {
					w.compare(name+" changed", changed(t, random, line))
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.seen)) {
		t.Log(key, w.seen[key])
	}
}

// changed takes a member of an object of the resource away, or gives one object a
// member of another.
func changed(t *testing.T, random *rand.Rand, line []byte) []byte {
	t.Helper()
	var resource map[string]any
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.UseNumber()
	if err := d.Decode(&resource); err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			objects = append(objects, v)
			for _, k := range slices.Sorted(maps.Keys(v)) {
				collect(v[k])
			}
		case []any:
			for _, item := range v {
				collect(item)
			}
		}
	}
	collect(resource)
	from, to := objects[random.IntN(len(objects))], objects[random.IntN(len(objects))]
	keys := slices.Sorted(maps.Keys(from))
	if len(keys) == 0 {
		return line
	}
	key := keys[random.IntN(len(keys))]
	if key == "resourceType" {
		return line
	}
	if random.IntN(3) == 0 {
		if _, ok := from[key].(string); ok {
			to[key] = from[key]
		}
	} else {
		delete(from, key)
	}
	out, err := json.Marshal(resource)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
