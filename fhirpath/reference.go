package fhirpath

import (
	"bytes"
	"iter"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// resolveKey tells the step of resolve() from those of members.
const resolveKey = "resolve()"

// buildResolve: what each reference leads to: a contained resource, what the hook
// finds, an entry of the Bundle of the focus (FHIR R4, FHIRPath). What is not found
// is left out.
func buildResolve(c *compiler, e *expr, input *plan) *plan {
	return fromStep(e, static{many: input.many}, input, resolveKey, func(k cont) cont {
		return func(ev *Evaluator, v Value) bool {
			text, ok := ev.referenceOf(v)
			if !ok {
				return true
			}
			if !ev.spend(1) {
				return false
			}
			target, ok := ev.resolve(v, text)
			if !ok {
				return ev.err == nil
			}
			return k(ev, target)
		}
	})
}

// referenceOf gives the text of a Reference, a canonical or a uri.
func (ev *Evaluator) referenceOf(v Value) ([]byte, bool) {
	if v.kind == KindNode && v.typ == r4.TypeReference {
		r := v.tree.Child(v.node, r4.TypeReference.ElementByName("reference"))
		if r == fhir.NoNode {
			return nil, false
		}
		v = Value{kind: KindNode, tree: v.tree, node: r, typ: v.tree.Nodes[r].Type}
	}
	text, ok := ev.stringOf(v)
	return text, ok && len(text) > 0
}

func (ev *Evaluator) resolve(from Value, reference []byte) (Value, bool) {
	f := &ev.focus
	if reference[0] == '#' {
		switch {
		case from.kind == KindNode:
			return containedResource(from.tree, ev.container(from), reference[1:])
		case f.Tree != nil && f.Root != fhir.NoNode:
			return containedResource(f.Tree, f.Root, reference[1:])
		}
		return Value{}, false
	}
	if ev.env.Resolve != nil {
		if t, n, ok := ev.env.Resolve(string(reference)); ok {
			return Node(t, n), true
		}
	}
	if f.Tree == nil || f.Root == fhir.NoNode {
		return Value{}, false
	}
	bundle := f.Bundle
	if bundle == fhir.NoNode && f.Tree.Nodes[f.Root].Type == r4.TypeBundle {
		bundle = f.Root
	}
	if bundle == fhir.NoNode || f.Tree.Nodes[bundle].Type != r4.TypeBundle {
		return Value{}, false
	}
	return ev.bundleEntry(f.Tree, bundle, reference)
}

// container gives the resource whose contained resources an element can refer to:
// the outermost one around it that is no Bundle.
func (ev *Evaluator) container(v Value) fhir.NodeID {
	at := fhir.NodeID(0)
	if f := &ev.focus; f.Tree == v.tree && f.Root <= v.node && uint32(v.node) < v.tree.Nodes[f.Root].Next {
		at = f.Root
	}
	nodes := v.tree.Nodes
	for {
		// The next node on the way down that holds v: a record of the tree or a child.
		for fhir.NodeID(nodes[at].Next) <= v.node {
			at = fhir.NodeID(nodes[at].Next)
		}
		if nd := &nodes[at]; at == v.node || nd.Type != r4.TypeBundle && nd.Kind == fhir.KindObject && r4.TypeAt(nd.Type).Kind == r4.KindResource {
			return at
		}
		at++
	}
}

// containedResource finds the resource that '#id' names in the container; '#'
// alone is the container.
func containedResource(t *fhir.Tree, root fhir.NodeID, id []byte) (Value, bool) {
	if len(id) == 0 {
		return Node(t, root), true
	}
	list := t.Child(root, t.Nodes[root].Type.ElementByName("contained"))
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return Value{}, false
	}
	for c := t.FirstChild(list); c != fhir.NoNode; c = t.NextSibling(list, c) {
		if bytes.Equal(memberText(t, c, "id"), id) {
			return Node(t, c), true
		}
	}
	return Value{}, false
}

func memberText(t *fhir.Tree, object fhir.NodeID, name string) []byte {
	e := t.Nodes[object].Type.ElementByName(name)
	if e == 0 {
		return nil
	}
	n := t.Child(object, e)
	if n == fhir.NoNode || t.Nodes[n].Kind != fhir.KindString {
		return nil
	}
	return t.Raw(n)
}

// bundleEntry finds the entry of a Bundle that a reference means: by its fullUrl,
// or by type and id, which a fullUrl ends with (FHIR R4, 2.36.4.1). A version at
// the end of the reference is not looked at.
func (ev *Evaluator) bundleEntry(t *fhir.Tree, bundle fhir.NodeID, reference []byte) (Value, bool) {
	if i := bytes.Index(reference, []byte("/_history/")); i >= 0 {
		reference = reference[:i]
	}
	reference, _, _ = bytes.Cut(reference, []byte{'|'})
	if len(reference) == 0 {
		return Value{}, false
	}
	x := &ev.entries
	if x.tree != t || x.bundle != bundle {
		*x = entryIndex{tree: t, bundle: bundle}
	}
	if x.asked++; x.asked <= fewLookups {
		for r := range bundleResources(t, bundle) {
			if !ev.spend(1) {
				break
			}
			for _, name := range entryNames(t, r) {
				if bytes.Equal(name, reference) {
					return Node(t, r.resource), true
				}
			}
		}
		return Value{}, false
	}
	if x.byName == nil && !x.fill(ev) {
		return Value{}, false
	}
	r, ok := x.byName[string(reference)]
	if !ok {
		return Value{}, false
	}
	return Node(t, r), true
}

// entryIndex finds the resources of the Bundle that the running program looks into.
type entryIndex struct {
	tree   *fhir.Tree
	bundle fhir.NodeID
	asked  int // how many references were looked up
	byName map[string]fhir.NodeID
}

// fewLookups is how many references are searched for before an index pays.
const fewLookups = 4

func (x *entryIndex) fill(ev *Evaluator) bool {
	x.byName = map[string]fhir.NodeID{}
	for r := range bundleResources(x.tree, x.bundle) {
		if !ev.spend(3) {
			return false
		}
		for _, name := range entryNames(x.tree, r) {
			if _, taken := x.byName[string(name)]; !taken && len(name) > 0 {
				x.byName[string(name)] = r.resource
			}
		}
	}
	return true
}

// bundleResource is an entry that holds a resource.
type bundleResource struct{ entry, resource fhir.NodeID }

func bundleResources(t *fhir.Tree, bundle fhir.NodeID) iter.Seq[bundleResource] {
	resource := r4.TypeBundleEntry.ElementByName("resource")
	return func(yield func(bundleResource) bool) {
		list := t.Child(bundle, r4.TypeBundle.ElementByName("entry"))
		if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
			return
		}
		for c := t.FirstChild(list); c != fhir.NoNode; c = t.NextSibling(list, c) {
			if t.Nodes[c].Kind != fhir.KindObject {
				continue
			}
			r := t.Child(c, resource)
			if r != fhir.NoNode && t.Nodes[r].Kind == fhir.KindObject && !yield(bundleResource{c, r}) {
				return
			}
		}
	}
}

// entryNames gives what references call the resource of an entry: its fullUrl, the
// last two parts of that when it has a path, and its type and id.
func entryNames(t *fhir.Tree, r bundleResource) [3][]byte {
	url := memberText(t, r.entry, "fullUrl")
	names := [3][]byte{0: url}
	if i := bytes.LastIndexByte(url, '/'); i > 0 {
		names[1] = url[bytes.LastIndexByte(url[:i], '/')+1:]
	}
	if id := memberText(t, r.resource, "id"); len(id) > 0 {
		names[2] = append(append(append(make([]byte, 0, 64), t.Nodes[r.resource].Type.String()...), '/'), id...)
	}
	return names
}

// resolvesTo compiles `X.resolve() is Type`: what a reference is to can be told
// without the resource, by its text or its type, so that search parameters work on
// resources by themselves (FHIR R4, 3.1.1.5.4).
func resolvesTo(e *expr, references *plan, spec typeOf) *plan {
	return fromGetter(e, booleanResult, func() getter {
		get := references.get()
		return func(ev *Evaluator) (Value, bool) {
			v, ok := get(ev)
			if !ok {
				return Value{}, false
			}
			t := ev.targetType(v)
			return Boolean(derives(t, spec.fhir)), t != 0
		}
	})
}

// targetType gives the type of what a reference leads to, 0 when nothing tells.
func (ev *Evaluator) targetType(v Value) r4.TypeID {
	text, ok := ev.referenceOf(v)
	if ok {
		if t := typeInReference(text); t != 0 {
			return t
		}
		if target, found := ev.resolve(v, text); found {
			return target.typ
		}
	}
	if v.kind == KindNode && v.typ == r4.TypeReference {
		return r4.ResourceTypeByName(memberText(v.tree, v.node, "type"))
	}
	return 0
}

// typeInReference reads the type from a literal reference: the last but one part
// of its path, a version left out, or what stands before a question mark.
func typeInReference(text []byte) r4.TypeID {
	if path, _, query := bytes.Cut(text, []byte{'?'}); query {
		return r4.ResourceTypeByName(path[bytes.LastIndexByte(path, '/')+1:])
	}
	if i := bytes.Index(text, []byte("/_history/")); i >= 0 {
		text = text[:i]
	}
	i := bytes.LastIndexByte(text, '/')
	if i <= 0 {
		return 0
	}
	head := text[:i]
	return r4.ResourceTypeByName(head[bytes.LastIndexByte(head, '/')+1:])
}
