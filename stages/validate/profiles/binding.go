package profiles

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// binding ties the values of an element to a value set (FHIR R4, 4.1.5).
type binding struct {
	severity fhir.Severity // error: required, warning: extensible
	set      *profile.ValueSet
	url      string
	// all asks every coding of a concept to be in the set, not one of them: a
	// maximum value set.
	all bool
}

// newBindings gives the bindings that can be checked: required and extensible
// ones to value sets that are known, and additional ones of the same purposes. One
// that base R4 has as well is left to it.
func newBindings(r *profile.Registry, b *profile.Binding, base *r4.Binding) []binding {
	if b == nil {
		return nil
	}
	var out []binding
	add := func(purpose, url string) {
		n := binding{severity: fhir.Error, url: url}
		switch purpose {
		case "required":
		case "maximum":
			n.all = true
		case "extensible":
			n.severity = fhir.Warning
		default:
			return
		}
		if n.set = r.ValueSet(url); n.set != nil {
			out = append(out, n)
		}
	}
	if b.ValueSet != "" && !repeats(b, base) {
		add(b.Strength, b.ValueSet)
	}
	for _, a := range b.Additional {
		// Whether a usage context applies cannot be told from a resource, and Any
		// asks one of the repetitions alone: invariant 1.
		if !a.Usage && !a.Any {
			add(a.Purpose, a.ValueSet)
		}
	}
	return out
}

// repeats tells whether a binding is that of base R4, which a snapshot repeats. One
// that base R4 requires and has no codes of is not left to it.
func repeats(b *profile.Binding, base *r4.Binding) bool {
	if base.ValueSet != withoutVersion(b.ValueSet) {
		return false
	}
	switch b.Strength {
	case "required":
		return base.Strength == r4.BindingRequired && base.CodeSet != 0
	case "extensible":
		return base.Strength == r4.BindingExtensible
	}
	return true
}

// bind checks the code, Coding, CodeableConcept or Quantity n against a value set.
func (c *Checker) bind(p *plan, n fhir.NodeID, b *binding) {
	switch typ := c.tree.Nodes[n].Type; typ {
	case r4.TypeCodeableConcept:
		c.bindConcept(p, n, b)
	case r4.TypeCoding:
		if c.coding(n, b.set) == profile.NotIn {
			c.unbound(p, n, b, "code '%s' is not in", c.codeOf(n))
		}
	default:
		switch {
		case r4.TypeAt(typ).Kind == r4.KindPrimitive:
			if b.set.ContainsCode(c.text(n)) == profile.NotIn {
				c.unbound(p, n, b, "code '%s' is not in", show(c.text(n)))
			}
		case derives(typ, r4.TypeQuantity):
			if c.coding(n, b.set) == profile.NotIn {
				c.unbound(p, n, b, "unit '%s' is not in", c.codeOf(n))
			}
		}
	}
}

// unbound reports a value that is outside of a value set; found is the first half
// of the sentence.
func (c *Checker) unbound(p *plan, n fhir.NodeID, b *binding, found string, args ...any) {
	want := " the required value set "
	if b.severity == fhir.Warning {
		want = " the extensible value set "
	}
	c.note(p, n, b.severity, fhir.CodeUnknown, found+want+"%s", append(args, b.url))
}

func (c *Checker) bindConcept(p *plan, n fhir.NodeID, b *binding) {
	answer, codings := profile.NotIn, 0
	list := c.tree.Child(n, elCoding)
	if list != fhir.NoNode {
		for item := c.tree.FirstChild(list); item != fhir.NoNode; item = c.tree.NextSibling(list, item) {
			codings++
			a := c.coding(item, b.set)
			if b.all && a == profile.NotIn {
				c.unbound(p, item, b, "code '%s' is not in", c.codeOf(item))
			}
			if answer == profile.NotIn || a == profile.In {
				answer = a
			}
		}
	}
	switch {
	case b.all || answer != profile.NotIn:
	case codings == 0 && c.tree.Child(n, elConceptExtension) != fhir.NoNode:
		// The extension says why.
	case codings == 0:
		c.unbound(p, n, b, "concept has no coding; expected one of")
	case codings == 1:
		c.unbound(p, n, b, "code '%s' is not in", c.codeOf(c.tree.FirstChild(list)))
	default:
		c.unbound(p, n, b, "none of %d codings is in", codings)
	}
}

// coding answers for the system and code of a Coding or a Quantity; without a
// code nothing can be told.
func (c *Checker) coding(n fhir.NodeID, set *profile.ValueSet) profile.Membership {
	typ := c.tree.Nodes[n].Type
	system, code := fhir.NoNode, fhir.NoNode
	for m := c.tree.FirstChild(n); m != fhir.NoNode; m = c.tree.NextSibling(n, m) {
		if nd := &c.tree.Nodes[m]; nd.Flags&fhir.FlagTwin == 0 {
			switch nd.Element {
			case elSystem(typ):
				system = m
			case elCode(typ):
				code = m
			}
		}
	}
	if code == fhir.NoNode || c.tree.Nodes[n].Kind != fhir.KindObject {
		return profile.Unknown
	}
	if system == fhir.NoNode {
		return set.Contains(nil, c.text(code))
	}
	c.system = append(c.system[:0], c.text(system)...)
	return set.Contains(c.system, c.text(code))
}

// codeOf gives the code of a Coding or Quantity for a message.
func (c *Checker) codeOf(n fhir.NodeID) string {
	code := c.tree.Child(n, elCode(c.tree.Nodes[n].Type))
	if code == fhir.NoNode {
		return ""
	}
	return show(c.text(code))
}

func elSystem(t r4.TypeID) r4.ElementID {
	if t == r4.TypeCoding {
		return elCodingSystem
	}
	return t.ElementByName("system")
}

func elCode(t r4.TypeID) r4.ElementID {
	if t == r4.TypeCoding {
		return elCodingCode
	}
	return t.ElementByName("code")
}
