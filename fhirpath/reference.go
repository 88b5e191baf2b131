package fhirpath

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// resolveKey tells the step of resolve() from those of members.
const resolveKey = "resolve()"

// buildResolve: what each reference leads to: a contained resource, what the hook
// finds, an entry of the Bundle of the focus (FHIR R4, 2.1.9.4). What is not found
// is left out.
func buildResolve(c *compiler, e *expr, input *plan) *plan {
	return fromStep(e, static{many: input.many}, input, resolveKey, func(k cont) cont {
		return func(ev *Evaluator, v Value) bool {
			text, ok := ev.referenceOf(v)
			if !ok {
				return true
			}
			if !ev.step(e) {
				return false
			}
			target, ok := ev.resolve(e, text)
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

func (ev *Evaluator) resolve(e *expr, reference []byte) (Value, bool) {
	f := &ev.focus
	if reference[0] == '#' {
		if f.Tree == nil {
			return Value{}, false
		}
		return containedResource(f.Tree, f.Root, reference[1:])
	}
	if ev.env.Resolve != nil {
		if t, n, ok := ev.env.Resolve(string(reference)); ok {
			return Node(t, n), true
		}
	}
	if f.Tree == nil {
		return Value{}, false
	}
	bundle := f.Bundle
	if bundle == fhir.NoNode && f.Tree.Nodes[f.Root].Type == r4.TypeBundle {
		bundle = f.Root
	}
	if bundle == fhir.NoNode || f.Tree.Nodes[bundle].Type != r4.TypeBundle {
		return Value{}, false
	}
	return ev.bundleEntry(e, f.Tree, bundle, reference)
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
func (ev *Evaluator) bundleEntry(e *expr, t *fhir.Tree, bundle fhir.NodeID, reference []byte) (Value, bool) {
	if i := bytes.Index(reference, []byte("/_history/")); i >= 0 {
		reference = reference[:i]
	}
	reference, _, _ = bytes.Cut(reference, []byte{'|'})
	relative := !bytes.Contains(reference, []byte(":"))
	list := t.Child(bundle, r4.TypeBundle.ElementByName("entry"))
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return Value{}, false
	}
	resource := r4.TypeBundleEntry.ElementByName("resource")
	for c := t.FirstChild(list); c != fhir.NoNode; c = t.NextSibling(list, c) {
		if !ev.step(e) {
			return Value{}, false
		}
		if t.Nodes[c].Kind != fhir.KindObject {
			continue
		}
		r := t.Child(c, resource)
		if r == fhir.NoNode || t.Nodes[r].Kind != fhir.KindObject {
			continue
		}
		url := memberText(t, c, "fullUrl")
		if bytes.Equal(url, reference) || relative && endsInPath(url, reference) || relative && namesResource(t, r, reference) {
			return Node(t, r), true
		}
	}
	return Value{}, false
}

func endsInPath(url, path []byte) bool {
	rest, ok := bytes.CutSuffix(url, path)
	return ok && len(path) > 0 && bytes.HasSuffix(rest, []byte{'/'})
}

// namesResource tells whether 'Type/id' is the resource's.
func namesResource(t *fhir.Tree, r fhir.NodeID, reference []byte) bool {
	typ, id, ok := bytes.Cut(reference, []byte{'/'})
	return ok && len(id) > 0 && string(typ) == t.Nodes[r].Type.String() && bytes.Equal(memberText(t, r, "id"), id)
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
			t := ev.targetType(e, v)
			return Boolean(derives(t, spec.fhir)), t != 0
		}
	})
}

// targetType gives the type of what a reference leads to, 0 when nothing tells.
func (ev *Evaluator) targetType(e *expr, v Value) r4.TypeID {
	text, ok := ev.referenceOf(v)
	if ok {
		if t := typeInReference(text); t != 0 {
			return t
		}
		if target, found := ev.resolve(e, text); found {
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
