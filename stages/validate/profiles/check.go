package profiles

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// scope says where a walk is.
type scope struct {
	resource fhir.NodeID // innermost
	root     fhir.NodeID // the resource that it is contained in, else itself
	bundle   fhir.NodeID // the Bundle that root is an entry of, or NoNode
}

// inside gives the scope of the resource n within s.
func (c *Checker) inside(n fhir.NodeID, s scope) scope {
	switch e := c.tree.Nodes[n].Element; {
	case e == elEntryResource:
		return scope{n, n, s.resource}
	case e != 0 && r4.ElementAt(e).Name == "contained":
		return scope{n, s.root, s.bundle}
	}
	return scope{n, n, fhir.NoNode}
}

// value holds a value of an element against rules. s is the scope of the element,
// so of a resource the one around it.
func (c *Checker) value(p *plan, r *rules, it item, s scope) {
	if c.steps++; c.exhausted() {
		return
	}
	n := it.node()
	if v := it.value; v != fhir.NoNode {
		c.content(p, r, v, s)
	}
	for i := range r.invariants {
		c.invariant(p, n, &r.invariants[i], s)
	}
	object := it.value
	if object != fhir.NoNode && c.tree.Nodes[object].Kind != fhir.KindObject {
		object = it.twin
	}
	if len(r.fields) == 0 || it.value == fhir.NoNode && it.twin == fhir.NoNode {
		return
	}
	if object != fhir.NoNode && c.tree.Nodes[object].Type.IsResourceType() && object != s.resource {
		s = c.inside(object, s)
	}
	base := len(c.members)
	for range r.fields {
		c.members = append(c.members, item{fhir.NoNode, fhir.NoNode})
	}
	if object != fhir.NoNode {
		c.assign(object, r, c.members[base:])
	}
	for i := range r.fields {
		c.field(p, n, c.members[base+i], &r.fields[i], s)
	}
	c.members = c.members[:base]
}

// assign finds the members of object that belong to the fields of r, in one pass
// over them; into has one place for each field.
func (c *Checker) assign(object fhir.NodeID, r *rules, into []item) {
	nodes := c.tree.Nodes
	for m, end := uint32(object)+1, nodes[object].Next; m < end; m = nodes[m].Next {
		nd := &nodes[m]
		i := r.fieldOf(nd.Element)
		if i < 0 {
			continue
		}
		if nd.Flags&fhir.FlagTwin != 0 {
			into[i].twin = fhir.NodeID(m)
		} else {
			into[i].value = fhir.NodeID(m)
		}
	}
}

// content checks what a value is, but for its members.
func (c *Checker) content(p *plan, r *rules, n fhir.NodeID, s scope) {
	if len(r.types) > 0 && !c.allowed(n, r.types) {
		c.fault(p, n, fhir.CodeStructure, "found type %s; expected %s", c.tree.Nodes[n].Type, typeList(r.types))
		return
	}
	if r.fixed != nil && !c.matches(n, r.fixed) {
		c.fault(p, n, fhir.CodeValue, "%s is not the fixed value; expected %s", c.shown(n), r.fixed.shown)
	}
	if r.pattern != nil && !c.matches(n, r.pattern) {
		c.fault(p, n, fhir.CodeValue, "%s does not match the pattern; expected %s", c.shown(n), r.pattern.shown)
	}
	for i := range r.limits {
		c.limit(p, n, &r.limits[i])
	}
	if r.maxLength > 0 && c.tree.Nodes[n].Kind == fhir.KindString {
		c.length(p, n, r.maxLength)
	}
	for i := range r.bindings {
		c.bind(p, n, &r.bindings[i])
	}
	if r.targets != nil && c.tree.Nodes[n].Type == r4.TypeReference {
		c.targets(p, n, r.targets, s)
	}
	if len(r.profiles) > 0 {
		c.typeProfiles(p, n, r.profiles, s)
	}
}

func (c *Checker) allowed(n fhir.NodeID, types []r4.TypeID) bool {
	for _, t := range types {
		if derives(c.tree.Nodes[n].Type, t) {
			return true
		}
	}
	return false
}

// field holds the values of a member, and its twins, against a field. n is the
// value that they belong to, for messages.
func (c *Checker) field(p *plan, n fhir.NodeID, m item, f *field, s scope) {
	base := len(c.items)
	c.collect(m)
	items := c.items[base:]
	if len(items) < f.min {
		c.fault(p, n, fhir.CodeRequired, "found %d of element %s; expected at least %d", len(items), f.name, f.min)
	}
	if len(items) > f.max {
		c.fault(p, items[f.max].node(), fhir.CodeStructure, "found %d of element %s; expected at most %d", len(items), f.name, f.max)
	}
	for _, it := range items {
		if e := c.tree.Nodes[it.node()].Element; f.narrow && !f.allowed.has(e) {
			c.fault(p, it.node(), fhir.CodeStructure, "type %s is not one that the profile allows for %s", r4.ElementAt(e).Type, f.name)
			continue
		}
		if f.rules != nil {
			c.value(p, f.rules, it, s)
		}
	}
	if f.slicing != nil {
		c.slice(p, n, items, f.name, f.slicing, s)
	}
	c.items = c.items[:base]
}

// collect appends the values of a member, each with its twin, to c.items.
func (c *Checker) collect(m item) {
	nodes := c.tree.Nodes
	switch {
	case m.twin != fhir.NoNode:
		if nodes[m.twin].Kind == fhir.KindArray {
			c.collectPairs(m.value, m.twin)
		} else {
			c.items = append(c.items, m)
		}
	case m.value == fhir.NoNode:
	case nodes[m.value].Kind != fhir.KindArray:
		c.items = append(c.items, m)
	default:
		for v := c.tree.FirstChild(m.value); v != fhir.NoNode; v = c.tree.NextSibling(m.value, v) {
			c.items = append(c.items, item{v, fhir.NoNode})
		}
	}
}

// collectPairs appends the items of an array of values, which may be NoNode, and
// of its array of twins.
func (c *Checker) collectPairs(values, twins fhir.NodeID) {
	v, w := fhir.NoNode, c.tree.FirstChild(twins)
	if values != fhir.NoNode {
		v = c.tree.FirstChild(values)
	}
	for v != fhir.NoNode || w != fhir.NoNode {
		it := item{v, w}
		if v != fhir.NoNode {
			if c.tree.Nodes[v].Kind == fhir.KindNull {
				it.value = fhir.NoNode
			}
			v = c.tree.NextSibling(values, v)
		}
		if w != fhir.NoNode {
			if c.tree.Nodes[w].Kind == fhir.KindNull {
				it.twin = fhir.NoNode
			}
			w = c.tree.NextSibling(twins, w)
		}
		if it.node() != fhir.NoNode {
			c.items = append(c.items, it)
		}
	}
}

// invariant runs a constraint of a profile on node n. That one cannot be evaluated
// is the fault of the profile and a warning.
func (c *Checker) invariant(p *plan, n fhir.NodeID, inv *invariant, s scope) {
	c.steps += 10
	ok, err := inv.program.Test(c.evaluator(), fhirpath.Focus{Tree: c.tree, Node: n, Resource: s.resource, Root: s.root, Bundle: s.bundle})
	c.evaluating--
	if ok && err == nil {
		return
	}
	severity := inv.severity
	if err != nil {
		severity = fhir.Warning
	}
	if severity <= fhir.Error {
		c.failed = true
	}
	if c.quiet > 0 {
		return
	}
	detail := "does not hold: " + inv.human
	if err != nil {
		detail = "cannot be evaluated: " + err.Error()
	}
	is := c.issue(p, n, severity, fhir.CodeInvariant, fmt.Sprintf("constraint %s %s", inv.key, detail))
	is.Constraint = inv.key
	c.report(is)
}

// typeProfiles checks that a value conforms to one of the profiles of its type.
func (c *Checker) typeProfiles(p *plan, n fhir.NodeID, list []typeProfiles, s scope) {
	t := c.tree.Nodes[n].Type
	for i := range list {
		if tp := &list[i]; len(tp.urls) == 1 && derives(t, tp.typ) && (i+1 == len(list) || !derives(t, list[i+1].typ)) {
			if q := c.plan(tp.urls[0]); q != nil {
				c.profile(q, n, s)
			}
			return
		}
	}
	if c.conformsToOne(list, n, s) == profile.NotIn {
		c.fault(p, n, fhir.CodeStructure, "the %s keeps to none of the %d profiles that are allowed here", t, countProfiles(list, t))
	}
}

func countProfiles(list []typeProfiles, t r4.TypeID) int {
	count := 0
	for i := range list {
		if derives(t, list[i].typ) {
			count += len(list[i].urls)
		}
	}
	return count
}

// conformsToOne tells whether a value conforms to one of the profiles that its
// type has in list; to none at all counts when there are none.
func (c *Checker) conformsToOne(list []typeProfiles, n fhir.NodeID, s scope) profile.Membership {
	out, asked := profile.NotIn, false
	for i := range list {
		if !derives(c.tree.Nodes[n].Type, list[i].typ) {
			continue
		}
		if len(list[i].urls) == 0 {
			return profile.In
		}
		for _, url := range list[i].urls {
			asked = true
			if out = either(out, c.conforms(url, n, s)); out == profile.In {
				return out
			}
		}
	}
	if !asked {
		return profile.In
	}
	return out
}

// A verdict is what is known of a profile and a node.
type verdict uint8

const (
	underWay verdict = iota + 1 // invariant 4
	passed
	failed
	reported // failed, and the issues are out
)

type question struct {
	plan uint32
	node fhir.NodeID
}

// profile holds the value n against a profile and reports its faults, once.
func (c *Checker) profile(p *plan, n fhir.NodeID, s scope) {
	q := question{p.id, n}
	switch c.verdicts[q] {
	case underWay, passed:
		return
	case reported:
		c.failed = true
		return
	case failed:
		if c.quiet > 0 {
			c.failed = true
			return
		}
	}
	before := c.failed
	c.failed = false
	c.verdicts[q] = underWay
	c.root(p, n, s)
	switch {
	case !c.failed:
		c.verdicts[q] = passed
	case c.quiet == 0:
		c.verdicts[q] = reported
	default:
		c.verdicts[q] = failed
	}
	c.failed = c.failed || before
}

// conforms tells whether the value n conforms to a profile, and reports nothing.
func (c *Checker) conforms(url string, n fhir.NodeID, s scope) profile.Membership {
	p := c.plan(url)
	if p == nil {
		return profile.Unknown
	}
	before := c.failed
	c.failed = false
	c.quiet++
	c.profile(p, n, s)
	c.quiet--
	out := in(!c.failed)
	c.failed = before
	return out
}

// root holds the value n against the root of a profile. Of a resource the scope is
// that of its inside: an invariant of the root has the resource as %resource.
func (c *Checker) root(p *plan, n fhir.NodeID, s scope) {
	t := c.tree.Nodes[n].Type
	if !derives(t, p.typ) {
		c.fault(p, n, fhir.CodeStructure, "found type %s; the profile is for %s", t, p.typ)
		return
	}
	if t.IsResourceType() && s.resource != n {
		s = c.inside(n, s)
	}
	c.value(p, p.root, item{n, fhir.NoNode}, s)
}
