package patch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// edit is a FHIRPath Patch at work: paths are evaluated on the tree of the resource as
// it is now, changes are made in doc.
type edit struct {
	patch  *FHIRPath
	doc    *value
	parser *parse.Parser
	ev     *fhirpath.Evaluator

	tree fhir.Tree
	root fhir.NodeID
}

// parse reads the resource as it is now.
func (e *edit) parse(text []byte) (why string) {
	e.tree.Reset(text)
	res := e.parser.Parse(&e.tree, 0, uint32(len(text)))
	if e.root = res.Root; e.root == fhir.NoNode || res.Type == 0 {
		return "the operations before it leave no resource"
	}
	return ""
}

func (e *edit) do(o *operation) (why string) {
	found, why := e.find(o.path)
	if why != "" {
		return why
	}
	switch o.kind {
	case "insert", "move":
		return e.list(o, found)
	case "delete":
		if len(found) == 0 {
			return ""
		}
	}
	if len(found) != 1 {
		return fmt.Sprintf("it finds %d elements; expected one", len(found))
	}
	n := found[0]
	if o.kind == "add" {
		return e.add(o, n)
	}
	if n == e.root {
		return "it is the resource itself"
	}
	steps := e.steps(n)
	if o.kind == "delete" {
		e.delete(steps)
		return ""
	}
	return e.replace(o, n, steps)
}

// find evaluates a path to the nodes it finds, each once.
func (e *edit) find(path *fhirpath.Program) (found []fhir.NodeID, why string) {
	items, err := path.Eval(e.ev, fhirpath.Focus{Tree: &e.tree, Node: e.root, Resource: e.root, Root: e.root, Bundle: fhir.NoNode})
	if err != nil {
		return nil, clip(err.Error())
	}
	seen := make(map[fhir.NodeID]bool, len(items))
	for _, v := range items {
		tree, n := v.Node()
		if tree != &e.tree {
			return nil, "it finds a value that is no element of the resource"
		}
		if !seen[n] {
			seen[n] = true
			found = append(found, n)
		}
		if len(found) > maxOperations {
			return nil, fmt.Sprintf("it finds more than %d elements", maxOperations)
		}
	}
	return found, ""
}

// step leads from an object to the value of a member, or to an item of it.
type step struct {
	key  string
	item int // -1: the member is no array
}

// element is the key without the underscore of a twin.
func (s step) element() string { return strings.TrimPrefix(s.key, "_") }

// steps tells the way from the root to n.
func (e *edit) steps(n fhir.NodeID) []step {
	var steps []step
	for cur := e.root; cur != n; {
		index, c := 0, cur+1
		for fhir.NodeID(e.tree.Nodes[c].Next) <= n {
			c = fhir.NodeID(e.tree.Nodes[c].Next)
			index++
		}
		if e.tree.Nodes[cur].Kind == fhir.KindArray {
			steps[len(steps)-1].item = index
		} else {
			steps = append(steps, step{string(fhir.AppendUnescaped(nil, e.tree.Key(c))), -1})
		}
		cur = c
	}
	return steps
}

// object finds the object at the end of the steps; they are those of a node of it.
func (e *edit) object(steps []step) *value {
	v := e.doc
	for _, s := range steps {
		if v = v.get(s.key); s.item >= 0 {
			v = v.items[s.item]
		}
	}
	return v
}

// pair is an element: its value and, of a primitive, its twin, which holds id and
// extensions. Either may be nil.
type pair struct{ value, twin *value }

// load gives the elements of that name, and whether they are a list.
func load(object *value, name string) (pairs []pair, list bool) {
	v, twin := object.get(name), object.get("_"+name)
	if v != nil && v.kind == fhir.KindArray || twin != nil && twin.kind == fhir.KindArray {
		var values, twins []*value
		if v != nil {
			values = v.items
		}
		if twin != nil {
			twins = twin.items
		}
		pairs = make([]pair, max(len(values), len(twins)))
		for i := range pairs {
			if i < len(values) && values[i].kind != fhir.KindNull {
				pairs[i].value = values[i]
			}
			if i < len(twins) && twins[i].kind != fhir.KindNull {
				pairs[i].twin = twins[i]
			}
		}
		return pairs, true
	}
	if v == nil && twin == nil {
		return nil, false
	}
	return []pair{{v, twin}}, false
}

// save makes these the elements of that name.
func save(object *value, name string, pairs []pair, list bool) {
	values := make([]*value, len(pairs))
	twins := make([]*value, len(pairs))
	for i, p := range pairs {
		values[i], twins[i] = p.value, p.twin
	}
	saveMember(object, name, values, list)
	saveMember(object, "_"+name, twins, list)
}

func saveMember(object *value, key string, values []*value, list bool) {
	some := slices.ContainsFunc(values, func(v *value) bool { return v != nil })
	switch {
	case !some:
		object.remove(key)
	case !list:
		object.set(key, values[0])
	default:
		for i, v := range values {
			if v == nil {
				values[i] = &value{kind: fhir.KindNull, raw: []byte("null")}
			}
		}
		object.set(key, &value{kind: fhir.KindArray, items: values})
	}
}

// delete takes an element away, and those around it that are left without content.
func (e *edit) delete(steps []step) {
	for n := len(steps) - 1; n >= 0; n-- {
		object, s := e.object(steps[:n]), steps[n]
		pairs, list := load(object, s.element())
		i := max(s.item, 0)
		save(object, s.element(), slices.Delete(pairs, i, i+1), list)
		if len(object.members) > 0 {
			return
		}
	}
}

// replace puts another value in the place of n.
func (e *edit) replace(o *operation, n fhir.NodeID, steps []step) (why string) {
	el := e.tree.Nodes[n].Element
	if el == 0 {
		return "it is no element that R4 has"
	}
	last := steps[len(steps)-1]
	object, name := e.object(steps[:len(steps)-1]), last.element()
	if choice := r4.ElementAt(el).Choice; choice != "" {
		if t := e.patch.valueType(o.value); t != 0 && t != r4.ElementAt(el).Type {
			if el = r4.ElementAt(el).Owner.ElementByName(choice + upper(t.String())); el == 0 {
				return fmt.Sprintf("%s[x] cannot be a %s", choice, t)
			}
			object.rename(name, r4.ElementAt(el).Name)
			object.remove("_" + name)
			name = r4.ElementAt(el).Name
		}
	}
	p, why := e.patch.pair(o.value, r4.ElementAt(el).Type)
	if why != "" {
		return why
	}
	pairs, list := load(object, name)
	pairs[max(last.item, 0)] = p
	save(object, name, pairs, list)
	return ""
}

// rename gives a member another key in its place.
func (v *value) rename(from, to string) {
	if i := v.find(from); i >= 0 {
		key := fhir.AppendQuoted(nil, to)
		v.members[i].key = key[1 : len(key)-1]
	}
}

func upper(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// add gives the element n another one, by name.
func (e *edit) add(o *operation, n fhir.NodeID) (why string) {
	t := e.tree.Nodes[n].Type
	if el := e.tree.Nodes[n].Element; el != 0 && e.tree.Nodes[n].Flags&fhir.FlagTwin != 0 {
		t = r4.ElementAt(el).Type
	}
	primitive := r4.TypeAt(t).Kind == r4.KindPrimitive
	if primitive {
		t = r4.TypeElement
	}
	el := e.patch.element(t, o.name, o.value)
	if el == 0 {
		return fmt.Sprintf("a %s has no element '%s'", e.tree.Nodes[n].Type, clip(o.name))
	}
	def := r4.ElementAt(el)
	p, why := e.patch.pair(o.value, def.Type)
	if why != "" {
		return why
	}
	object := e.objectOf(e.steps(n), primitive)
	pairs, list := load(object, def.Name)
	switch {
	case !def.Repeats() && len(pairs) > 0:
		return fmt.Sprintf("element '%s' is there already, and there can be one only", def.Name)
	case len(pairs) > 0 && !list:
		return fmt.Sprintf("element '%s' is no list", def.Name)
	}
	save(object, def.Name, append(pairs, p), def.Repeats())
	return ""
}

// objectOf finds the object of an element, that of a primitive being its twin, which
// is made if it is not there.
func (e *edit) objectOf(steps []step, primitive bool) *value {
	if !primitive {
		return e.object(steps)
	}
	last := steps[len(steps)-1]
	object := e.object(steps[:len(steps)-1])
	pairs, list := load(object, last.element())
	p := &pairs[max(last.item, 0)]
	if p.twin == nil {
		p.twin = &value{kind: fhir.KindObject}
		save(object, last.element(), pairs, list)
	}
	return p.twin
}

// list inserts into a list, or moves within one.
func (e *edit) list(o *operation, found []fhir.NodeID) (why string) {
	if len(found) == 0 {
		if o.kind == "insert" && o.list != nil && o.index == 0 {
			return e.begin(o)
		}
		return "it finds no list"
	}
	steps := e.steps(found[0])
	if len(steps) == 0 || steps[len(steps)-1].item < 0 {
		return "it finds no list"
	}
	last := steps[len(steps)-1]
	object := e.object(steps[:len(steps)-1])
	pairs, _ := load(object, last.element())
	if len(found) != len(pairs) || !e.wholeList(found) {
		return "it finds something else than one whole list"
	}
	if o.kind == "move" {
		if o.source >= len(pairs) || o.destination >= len(pairs) {
			return fmt.Sprintf("the list has %d elements: source and destination must be less", len(pairs))
		}
		p := pairs[o.source]
		pairs = slices.Insert(slices.Delete(pairs, o.source, o.source+1), o.destination, p)
	} else {
		if o.index > len(pairs) {
			return fmt.Sprintf("the list has %d elements: the index must not be more", len(pairs))
		}
		p, why := e.patch.pair(o.value, r4.ElementAt(e.tree.Nodes[found[0]].Element).Type)
		if why != "" {
			return why
		}
		pairs = slices.Insert(pairs, o.index, p)
	}
	save(object, last.element(), pairs, true)
	return ""
}

// begin makes a list with one element, where the path but for its last step leads.
func (e *edit) begin(o *operation) (why string) {
	found, why := e.find(o.list)
	switch {
	case why != "":
		return why
	case len(found) != 1:
		return "it finds no list"
	}
	return e.add(o, found[0])
}

// wholeList tells whether the nodes are the items of one array, of which found[0] is
// one, those without a value being items of its twin.
func (e *edit) wholeList(found []fhir.NodeID) bool {
	object, array := e.root, e.root
	for cur := e.root; cur != found[0]; {
		if e.tree.Nodes[cur].Kind == fhir.KindObject {
			object = cur
		}
		array = cur
		for cur++; fhir.NodeID(e.tree.Nodes[cur].Next) <= found[0]; {
			cur = fhir.NodeID(e.tree.Nodes[cur].Next)
		}
	}
	items := map[fhir.NodeID]bool{}
	for a := e.tree.FirstChild(object); a != fhir.NoNode; a = e.tree.NextSibling(object, a) {
		if e.tree.Nodes[a].Element != e.tree.Nodes[array].Element || e.tree.Nodes[a].Kind != fhir.KindArray {
			continue
		}
		for c := e.tree.FirstChild(a); c != fhir.NoNode; c = e.tree.NextSibling(a, c) {
			items[c] = true
		}
	}
	return !slices.ContainsFunc(found, func(n fhir.NodeID) bool { return !items[n] })
}
