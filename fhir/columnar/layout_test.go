package columnar_test

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// unfold grows a layout below n as far as the definitions go, in reverse order,
// and calls f for every node.
func unfold(l *columnar.Layout, n *columnar.Node, f func(n *columnar.Node)) {
	f(n)
	if n.Leaf() {
		return
	}
	t := r4.TypeAt(n.Type)
	for i := int(t.NumElements) - 1; i >= 0; i-- {
		e := t.FirstElement + r4.ElementID(i)
		if c := l.Child(n, e, true); c != nil && c.Role != columnar.RoleWhole {
			f(c)
		}
		if c := l.Child(n, e, false); c.Role != columnar.RoleWhole || e == t.FirstElement {
			unfold(l, c, f)
		}
	}
}

func TestFieldIDsNeverCollide(t *testing.T) {
	for _, name := range []string{"Patient", "Observation", "Questionnaire", "ExplanationOfBenefit", "Bundle", "Parameters", "Provenance", "Binary"} {
		id, _ := r4.TypeByName(name)
		l := columnar.LayoutOf(id)
		seen := map[int32]*columnar.Node{l.ResourceType.ID: l.ResourceType, l.Overflow.ID: l.Overflow}
		take := func(id int32, n *columnar.Node) {
			if other := seen[id]; other != nil {
				t.Fatalf("%s: %s and %s share the id %d", name, n.Name, other.Name, id)
			}
			seen[id] = n
		}
		nodes := 0
		unfold(l, l.Root, func(n *columnar.Node) {
			nodes++
			take(n.ID, n)
			if n.List {
				take(n.ID+1, n)
			}
			for i := range n.Role.Twins() {
				take(n.ID+2+2*int32(i), n)
				if n.List {
					take(n.ID+3+2*int32(i), n)
				}
			}
			if n.Parent != nil && (n.ID <= n.Parent.ID || n.ID >= l.Overflow.ID) {
				t.Errorf("%s: %s is outside of its parent", name, n.Name)
			}
			if n.Def > 60 {
				t.Errorf("%s: %s has level %d", name, n.Name, n.Def)
			}
		})
		t.Logf("%s: %d nodes, ids to %d", name, nodes, l.Overflow.ID)
	}
}

// TestFieldIDsAreStable holds ids that files on disk have: when it fails,
// columnar.Version must grow.
func TestFieldIDsAreStable(t *testing.T) {
	child := func(l *columnar.Layout, n *columnar.Node, name string) *columnar.Node {
		return l.Child(n, n.Type.ElementByName(name), false)
	}
	l := columnar.LayoutOf(r4.TypePatient)
	birth := child(l, l.Root, "birthDate")
	given := child(l, child(l, l.Root, "name"), "given")
	o := columnar.LayoutOf(r4.TypeObservation)
	value := child(o, child(o, o.Root, "valueQuantity"), "value")
	for _, test := range []struct {
		n    *columnar.Node
		want int32
	}{{l.ID, 4}, {l.VersionID, 22}, {l.LastUpdated, 29}, {birth, 2471}, {given, 2354}, {value, 4722}} {
		if test.n.ID != test.want {
			t.Errorf("%s has id %d, not %d", test.n.Name, test.n.ID, test.want)
		}
	}
}

func TestRecursionEndsInJSON(t *testing.T) {
	id, _ := r4.TypeByName("Questionnaire")
	l := columnar.LayoutOf(id)
	n := l.Root
	for depth := 1; depth <= 3; depth++ {
		n = l.Child(n, n.Type.ElementByName("item"), false)
		if (n.Role == columnar.RoleJSON) != (depth == 3) {
			t.Errorf("item at depth %d has role %d", depth, n.Role)
		}
	}
}

func TestCoreIsInSchemaOrder(t *testing.T) {
	for _, id := range r4.ResourceTypes() {
		core := columnar.LayoutOf(id).Core()
		for i, n := range core {
			if !n.Leaf() || i > 0 && n.ID <= core[i-1].ID {
				t.Errorf("%s: core leaf %d, %s, is out of order", id, i, n.Name)
			}
		}
	}
}
