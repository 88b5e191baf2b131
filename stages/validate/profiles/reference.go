package profiles

import (
	"bytes"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// targets are what a Reference may lead to (ElementDefinition.type.targetProfile).
type targets struct {
	list  []target // empty: any
	kinds kinds    // 0: any
	shown string
}

// kinds are the ways in which a reference may lead to its target
// (ElementDefinition.type.aggregation).
type kinds uint8

const (
	contained  kinds = 1 << iota // within the same resource
	bundled                      // within the same Bundle
	referenced                   // elsewhere, too
)

var kindNames = map[string]kinds{"contained": contained, "bundled": bundled, "referenced": referenced}

// target is one allowed target.
type target struct {
	url  string
	typ  r4.TypeID // 0 when the profile is not known
	base bool      // any resource of the type will do
}

// newTargets gives what an element asks of references beyond base R4; nil for
// nothing.
func newTargets(r *profile.Registry, ref *profile.TypeRef, base []r4.TypeID) *targets {
	t := &targets{}
	for _, a := range ref.Aggregation {
		t.kinds |= kindNames[a]
	}
	var names []string
	narrower := false
	for _, url := range ref.TargetProfile {
		x := target{url: url, typ: r.TypeOf(url), base: profile.IsBase(url)}
		if x.base && x.typ == r4.TypeResource {
			narrower, t.list = false, nil
			break
		}
		narrower = narrower || !x.base
		t.list = append(t.list, x)
		names = append(names, strings.TrimPrefix(url, "http://hl7.org/fhir/StructureDefinition/"))
	}
	allowed := func(b r4.TypeID) bool {
		return slices.ContainsFunc(t.list, func(x target) bool { return x.base && derives(b, x.typ) })
	}
	for _, b := range base {
		narrower = narrower || len(t.list) > 0 && !allowed(b)
	}
	if !narrower && len(base) > 0 {
		t.list = nil
	}
	if len(t.list) == 0 && t.kinds == 0 {
		return nil
	}
	t.shown = show([]byte(strings.Join(names, ", ")))
	return t
}

// lead is where a reference leads.
type lead struct {
	node  fhir.NodeID // the resource, when it is at hand, else NoNode
	scope scope       // of that resource
	typ   r4.TypeID   // 0 when the reference does not tell
	local bool        // it must lead to what is at hand
}

// follow finds where the Reference n leads: within the container, within the
// Bundle, or what its text says.
func (c *Checker) follow(n fhir.NodeID, s scope) lead {
	out := lead{node: fhir.NoNode, scope: s}
	if c.tree.Nodes[n].Kind != fhir.KindObject {
		return out
	}
	if t := c.tree.Child(n, elReferenceType); t != fhir.NoNode {
		out.typ = r4.ResourceTypeByName(c.text(t))
	}
	at := c.tree.Child(n, elReferenceReference)
	if at == fhir.NoNode {
		return out
	}
	ref := c.text(at)
	if len(ref) > 0 && ref[0] == '#' {
		out.local = true
		if out.node = c.containedBy(s.root, ref[1:]); out.node != fhir.NoNode {
			out.typ = c.tree.Nodes[out.node].Type
			out.scope.resource = out.node
		}
		return out
	}
	typ, tail := restReference(ref)
	if s.bundle != fhir.NoNode {
		out.node = c.entry(s, ref, tail)
	}
	if out.node != fhir.NoNode {
		out.typ = c.tree.Nodes[out.node].Type
		out.scope = scope{resource: out.node, root: out.node, bundle: s.bundle}
	} else if typ != 0 {
		out.typ = typ
	}
	return out
}

// restReference finds the Type/id at the end of a reference as REST writes it
// (FHIR R4, 2.3.0.1), without a version; tail is set for a relative one.
func restReference(ref []byte) (typ r4.TypeID, tail []byte) {
	if i := bytes.Index(ref, []byte("/_history/")); i >= 0 {
		ref = ref[:i]
	}
	i := bytes.LastIndexByte(ref, '/')
	if i < 0 || bytes.IndexByte(ref, '?') >= 0 {
		return 0, nil
	}
	j := bytes.LastIndexByte(ref[:i], '/') + 1
	typ = r4.ResourceTypeByName(ref[j:i])
	if typ == 0 {
		return 0, nil
	}
	if j == 0 {
		tail = ref
	}
	return typ, tail
}

// containedBy finds the resource that root contains by its id; "" is root itself.
func (c *Checker) containedBy(root fhir.NodeID, id []byte) fhir.NodeID {
	if len(id) == 0 {
		return root
	}
	typ := c.tree.Nodes[root].Type
	list := c.tree.Child(root, typ.ElementByName("contained"))
	if list == fhir.NoNode {
		return fhir.NoNode
	}
	c.id = append(c.id[:0], id...)
	for item := c.tree.FirstChild(list); item != fhir.NoNode; item = c.tree.NextSibling(list, item) {
		c.steps++
		if at := c.tree.Child(item, c.tree.Nodes[item].Type.ElementByName("id")); at != fhir.NoNode && bytes.Equal(c.text(at), c.id) {
			return item
		}
	}
	return fhir.NoNode
}

// targets checks where a Reference leads.
func (c *Checker) targets(p *plan, n fhir.NodeID, t *targets, s scope) {
	to := c.follow(n, s)
	if t.kinds != 0 && !c.leadsAs(p, n, t.kinds, to, s) {
		return
	}
	if to.typ == 0 || len(t.list) == 0 {
		return
	}
	possible, unknown := false, false
	for i := range t.list {
		x := &t.list[i]
		if x.typ == 0 {
			unknown = true
			continue
		}
		if !derives(to.typ, x.typ) {
			continue
		}
		possible = true
		if x.base || to.node == fhir.NoNode {
			return
		}
		switch c.conforms(x.url, to.node, to.scope) {
		case profile.In:
			return
		case profile.Unknown:
			unknown = true
		}
	}
	switch {
	case unknown && !possible && t.kinds != 0 && t.kinds&referenced == 0 && to.node != fhir.NoNode:
		// What the profile wants at hand it wants checked.
		c.fault(p, n, fhir.CodeNotFound, "what the reference leads to cannot be checked: none of %s is known here", t.shown)
	case unknown:
	case !possible:
		c.fault(p, n, fhir.CodeStructure, "reference leads to type %s; expected %s", to.typ, t.shown)
	default:
		c.fault(p, n, fhir.CodeStructure, "the %s that the reference leads to does not keep to the profile; expected %s", to.typ, t.shown)
	}
}

// leadsAs checks the way in which a reference leads to its target. Without a
// Bundle it cannot be told what is in it.
func (c *Checker) leadsAs(p *plan, n fhir.NodeID, want kinds, to lead, s scope) bool {
	if c.tree.Child(n, elReferenceReference) == fhir.NoNode {
		return true
	}
	switch {
	case to.local && want&contained == 0:
		c.fault(p, n, fhir.CodeStructure, "what the reference leads to is contained; the profile wants it elsewhere")
	case !to.local && want == contained:
		c.fault(p, n, fhir.CodeStructure, "the reference leads out of the resource; expected what it leads to to be contained")
	case !to.local && want&referenced == 0 && to.node == fhir.NoNode && s.bundle != fhir.NoNode:
		c.fault(p, n, fhir.CodeNotFound, "what the reference leads to is not in the Bundle; the profile wants it there")
	default:
		return true
	}
	return false
}

// entry finds the resource of an entry of the Bundle by its fullUrl, or, for a
// relative reference, by type and id (FHIR R4, 2.36.4.1).
func (c *Checker) entry(s scope, ref, tail []byte) fhir.NodeID {
	if c.indexed != s.bundle {
		c.indexBundle(s.bundle)
	}
	if n, ok := c.entries[string(ref)]; ok {
		return n
	}
	if len(tail) > 0 {
		if n, ok := c.entries[string(tail)]; ok {
			return n
		}
	}
	return fhir.NoNode
}

func (c *Checker) indexBundle(bundle fhir.NodeID) {
	c.indexed = bundle
	if c.entries == nil {
		c.entries = map[string]fhir.NodeID{}
	}
	clear(c.entries)
	list := c.tree.Child(bundle, elBundleEntry)
	if list == fhir.NoNode {
		return
	}
	add := func(key string, n fhir.NodeID) {
		if _, ok := c.entries[key]; !ok {
			c.entries[key] = n
		}
	}
	for item := c.tree.FirstChild(list); item != fhir.NoNode; item = c.tree.NextSibling(list, item) {
		n := c.tree.Child(item, elEntryResource)
		if n == fhir.NoNode || !c.tree.Nodes[n].Type.IsResourceType() {
			continue
		}
		typ := c.tree.Nodes[n].Type
		if at := c.tree.Child(item, elEntryFullURL); at != fhir.NoNode {
			add(string(c.text(at)), n)
		}
		if at := c.tree.Child(n, typ.ElementByName("id")); at != fhir.NoNode {
			add(typ.String()+"/"+string(c.text(at)), n)
		}
	}
}
