package profiles

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// extensions holds the extensions of a resource against their definitions, where
// these are known. One loop over the nodes finds them.
func (c *Checker) extensions(s scope) {
	nodes := c.tree.Nodes
	for n, end := uint32(s.resource)+1, nodes[s.resource].Next; n < end; n++ {
		nd := &nodes[n]
		if nd.Type != r4.TypeExtension {
			if nd.Type.IsResourceType() && nd.Kind == fhir.KindObject {
				n = nd.Next - 1 // it is a subject of its own
			}
			continue
		}
		if nd.Kind != fhir.KindObject {
			continue
		}
		at := c.tree.Child(fhir.NodeID(n), elExtensionURL)
		if at == fhir.NoNode {
			continue
		}
		url := c.text(at)
		got, ok := c.plans[string(url)]
		if !ok {
			got = c.find(string(url))
		}
		if got.plan == nil || got.plan.typ != r4.TypeExtension {
			continue
		}
		c.profile(got.plan, fhir.NodeID(n), s)
		if !c.inContext(fhir.NodeID(n), got.plan.context, s) {
			severity := fhir.Error
			if strings.HasPrefix(got.plan.url, "http://hl7.org/fhir/StructureDefinition/") {
				severity = fhir.Warning // contexts of R4's own were corrected later on, and R4 itself breaks them
			}
			c.note(got.plan, fhir.NodeID(n), severity, fhir.CodeStructure, "extension is not for use here; expected %s", []any{contextList(got.plan.context)})
		}
	}
}

// inContext tells whether an extension may stand where it does
// (StructureDefinition.context). Contexts that are FHIRPath count as fulfilled.
func (c *Checker) inContext(n fhir.NodeID, contexts []profile.ExtensionContext, s scope) bool {
	if len(contexts) == 0 {
		return true
	}
	owner := r4.ElementAt(c.tree.Nodes[n].Element).Owner
	for i := range contexts {
		if x := &contexts[i]; x.Type == "fhirpath" || x.Type == "element" && (x.Expression == "Element" || isType(owner, x.Expression) || strings.ContainsAny(x.Expression, "#:/")) {
			return true
		}
	}
	parent := c.parent(n, s.resource)
	return slices.ContainsFunc(contexts, func(x profile.ExtensionContext) bool {
		if x.Type == "extension" {
			u := fhir.NoNode
			if c.tree.Nodes[parent].Type == r4.TypeExtension && c.tree.Nodes[parent].Kind == fhir.KindObject {
				u = c.tree.Child(parent, elExtensionURL)
			}
			return u != fhir.NoNode && string(c.text(u)) == x.Expression
		}
		e := c.tree.Nodes[parent].Element
		if e == 0 {
			return false
		}
		el := r4.ElementAt(e)
		path := strings.TrimSuffix(el.Path, "[x]")
		return path == strings.TrimSuffix(x.Expression, "[x]") || isType(el.Type, x.Expression) ||
			el.Choice != "" && x.Expression == path[:strings.LastIndexByte(path, '.')+1]+el.Name
	})
}

// isType tells whether name names t or a type that it specializes.
func isType(t r4.TypeID, name string) bool {
	for ; t != 0; t = r4.TypeAt(t).Base {
		if r4.TypeAt(t).Name == name {
			return true
		}
	}
	return false
}

// parent finds the object, or the item of an array of objects, that holds n as a
// member or as an item of one.
func (c *Checker) parent(n, from fhir.NodeID) fhir.NodeID {
	nodes := c.tree.Nodes
	for object, at := from, from; ; {
		child := at + 1
		for fhir.NodeID(nodes[child].Next) <= n {
			child = fhir.NodeID(nodes[child].Next)
			c.steps++
		}
		if child == n {
			return object
		}
		if at = child; nodes[child].Kind == fhir.KindObject {
			object = child
		}
	}
}

func contextList(contexts []profile.ExtensionContext) string {
	names := make([]string, len(contexts))
	for i, x := range contexts {
		names[i] = x.Expression
	}
	return show([]byte(strings.Join(names, ", ")))
}
