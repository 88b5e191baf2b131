package profiles

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// slicing tells the values of an element apart (FHIR R4, 5.1.0.13).
type slicing struct {
	rules   slicingRules
	ordered bool
	slices  []slice
	byURL   map[string]int // of extensions told apart by url alone: the slice
}

type slicingRules uint8

const (
	open slicingRules = iota
	closed
	openAtEnd
)

// slice is one of the groups that a slicing makes.
type slice struct {
	name     string
	min, max int
	others   bool // @default: what is in no other slice
	matchers []matcher
	rules    *rules
	sub      *slicing // re-slices
}

// matcher is one discriminator with what it must give for a slice.
type matcher struct {
	steps    []step
	kind     matcherKind
	patterns []partPattern     // matchPattern: all of them
	set      *profile.ValueSet // matchBinding
	exists   bool              // matchExists
	props    props             // matchProps: variants of a choice
	types    []r4.TypeID       // matchType, matchProfile: one of them
	profiles []typeProfiles    // matchProfile
}

type matcherKind uint8

const (
	matchUnknown matcherKind = iota // the slice's definition does not say what it must give
	matchPattern
	matchBinding
	matchExists
	matchProps
	matchType
	matchProfile
)

// partPattern is a value that a part of what a discriminator leads to must have.
type partPattern struct {
	steps   []step
	pattern *pattern
}

// step is a step of a path, compiled.
type step struct {
	kind  profile.StepKind
	props props  // StepChild
	url   string // StepExtension
	typ   r4.TypeID
}

// item is one value of an element: with a value, a `_` twin, or both.
type item struct{ value, twin fhir.NodeID }

// node gives what stands for the item.
func (i item) node() fhir.NodeID {
	if i.value != fhir.NoNode {
		return i.value
	}
	return i.twin
}

// slice holds items, the values of one element of parent, against a slicing:
// each belongs to the first slice that it matches.
func (c *Checker) slice(p *plan, parent fhir.NodeID, items []item, name string, s *slicing, at scope) {
	base := len(c.counts)
	for range s.slices {
		c.counts = append(c.counts, 0)
	}
	last, ended, unsure := 0, false, false
	for _, it := range items {
		if c.exhausted() {
			break
		}
		i, known := c.sliceOf(s, it, at)
		switch {
		case i < 0 && !known:
			unsure = true
		case i < 0 && s.rules == closed:
			c.fault(p, it.node(), fhir.CodeStructure, "it is in none of the slices of %s, and no others are allowed", name)
		case i < 0:
			ended = true
		default:
			c.counts[base+i]++
			if ended && s.rules == openAtEnd {
				c.fault(p, it.node(), fhir.CodeStructure, "it is in slice %s and stands behind what is in none; others are allowed at the end only", s.slices[i].name)
			}
			if s.ordered && i < last {
				c.fault(p, it.node(), fhir.CodeStructure, "slice %s stands behind slice %s; expected the order of the profile", s.slices[i].name, s.slices[last].name)
			}
			last = max(last, i)
			if r := s.slices[i].rules; r != nil {
				c.value(p, r, it, at)
			}
		}
	}
	c.counted(p, parent, s, name, c.counts[base:], unsure)
	for i := range s.slices {
		if sub := s.slices[i].sub; sub != nil && c.counts[base+i] > 0 {
			c.reslice(p, parent, items, s, i, name, sub, at)
		}
	}
	c.counts = c.counts[:base]
}

// counted checks how many items each slice has.
func (c *Checker) counted(p *plan, parent fhir.NodeID, s *slicing, name string, counts []int32, unsure bool) {
	for i := range s.slices {
		sl, n := &s.slices[i], int(counts[i])
		if n < sl.min && !unsure {
			c.fault(p, parent, fhir.CodeRequired, "found %d of slice %s of %s; expected at least %d", n, sl.name, name, sl.min)
		}
		if n > sl.max {
			c.fault(p, parent, fhir.CodeStructure, "found %d of slice %s of %s; expected at most %d", n, sl.name, name, sl.max)
		}
	}
}

// reslice holds the items of slice i against the slicing of that slice.
func (c *Checker) reslice(p *plan, parent fhir.NodeID, items []item, s *slicing, i int, name string, sub *slicing, at scope) {
	base := len(c.items)
	for _, it := range items {
		if j, _ := c.sliceOf(s, it, at); j == i {
			c.items = append(c.items, it)
		}
	}
	c.slice(p, parent, c.items[base:], name, sub, at)
	c.items = c.items[:base]
}

// sliceOf finds the slice of an item, or -1; known is false when that cannot be
// told for sure.
func (c *Checker) sliceOf(s *slicing, it item, at scope) (i int, known bool) {
	if s.byURL != nil {
		if n := c.tree.Child(it.node(), elExtensionURL); n != fhir.NoNode {
			if i, ok := s.byURL[string(c.text(n))]; ok {
				return i, true
			}
		}
		return -1, true
	}
	known = true
	others := -1
	for i := range s.slices {
		if s.slices[i].others {
			others = i
			continue
		}
		m := profile.In
		for j := range s.slices[i].matchers {
			m = both(m, c.match(&s.slices[i].matchers[j], it, at))
			if m == profile.NotIn {
				break
			}
		}
		if m == profile.In {
			return i, true
		}
		known = known && m == profile.NotIn
	}
	if !known {
		return -1, false
	}
	return others, true
}

// both is the three-valued and.
func both(a, b profile.Membership) profile.Membership {
	switch {
	case a == profile.NotIn || b == profile.NotIn:
		return profile.NotIn
	case a == profile.Unknown || b == profile.Unknown:
		return profile.Unknown
	}
	return profile.In
}

// match asks one discriminator about an item.
func (c *Checker) match(m *matcher, it item, at scope) profile.Membership {
	switch m.kind {
	case matchUnknown:
		return profile.Unknown
	case matchProps:
		return in(m.props.has(c.tree.Nodes[it.node()].Element))
	}
	a := c.reach(it.node(), m.steps, m, at)
	if m.kind == matchExists && a != profile.Unknown {
		return in((a == profile.In) == m.exists)
	}
	return a
}

func in(b bool) profile.Membership {
	if b {
		return profile.In
	}
	return profile.NotIn
}

// reach goes down the steps from node n and asks m about what is there: any of
// several will do.
func (c *Checker) reach(n fhir.NodeID, steps []step, m *matcher, at scope) profile.Membership {
	c.steps++
	if len(steps) == 0 {
		return c.test(n, m, at)
	}
	s := &steps[0]
	switch s.kind {
	case profile.StepOfType:
		if !derives(c.tree.Nodes[n].Type, s.typ) {
			return profile.NotIn
		}
		return c.reach(n, steps[1:], m, at)
	case profile.StepResolve:
		to := c.follow(n, at)
		if to.node != fhir.NoNode {
			return c.reach(to.node, steps[1:], m, to.scope)
		}
		if m.kind == matchType && len(steps) == 1 && to.typ != 0 {
			return in(m.allows(to.typ))
		}
		return profile.Unknown
	}
	if c.tree.Nodes[n].Kind != fhir.KindObject {
		return profile.NotIn
	}
	out := profile.NotIn
	for child := c.tree.FirstChild(n); child != fhir.NoNode; child = c.tree.NextSibling(n, child) {
		nd := &c.tree.Nodes[child]
		if !s.leads(nd.Element) || nd.Flags&fhir.FlagTwin != 0 && m.kind != matchExists {
			continue
		}
		if nd.Kind != fhir.KindArray {
			out = either(out, c.reachChild(child, steps, m, at))
			continue
		}
		for it := c.tree.FirstChild(child); it != fhir.NoNode && out != profile.In && !c.exhausted(); it = c.tree.NextSibling(child, it) {
			out = either(out, c.reachChild(it, steps, m, at))
		}
	}
	return out
}

// leads tells whether a member is one that the step goes to.
func (s *step) leads(e r4.ElementID) bool {
	if s.kind == profile.StepExtension {
		return e != 0 && r4.ElementAt(e).Name == "extension"
	}
	return s.props.has(e)
}

func (c *Checker) reachChild(n fhir.NodeID, steps []step, m *matcher, at scope) profile.Membership {
	if url := steps[0].url; url != "" {
		u := c.tree.Child(n, elExtensionURL)
		if u == fhir.NoNode || string(c.text(u)) != url {
			return profile.NotIn
		}
	}
	if c.tree.Nodes[n].Type.IsResourceType() {
		at = c.inside(n, at)
	}
	return c.reach(n, steps[1:], m, at)
}

// either is the three-valued or.
func either(a, b profile.Membership) profile.Membership {
	switch {
	case a == profile.In || b == profile.In:
		return profile.In
	case a == profile.Unknown || b == profile.Unknown:
		return profile.Unknown
	}
	return profile.NotIn
}

func (m *matcher) allows(t r4.TypeID) bool {
	for _, x := range m.types {
		if derives(t, x) {
			return true
		}
	}
	return false
}

// test asks m about the node that its steps lead to.
func (c *Checker) test(n fhir.NodeID, m *matcher, at scope) profile.Membership {
	switch m.kind {
	case matchExists:
		return profile.In
	case matchType:
		return in(m.allows(c.tree.Nodes[n].Type))
	case matchBinding:
		return c.isMember(n, m.set)
	case matchProfile:
		if !m.allows(c.tree.Nodes[n].Type) {
			return profile.NotIn
		}
		return c.conformsToOne(m.profiles, n, at)
	}
	for i := range m.patterns {
		p := &m.patterns[i]
		if !c.hasPart(n, p.steps, p.pattern) {
			return profile.NotIn
		}
	}
	return profile.In
}

// hasPart tells whether a part of n has the value of a pattern.
func (c *Checker) hasPart(n fhir.NodeID, steps []step, p *pattern) bool {
	c.steps++
	if len(steps) == 0 {
		return c.matches(n, p)
	}
	for child := c.tree.FirstChild(n); child != fhir.NoNode; child = c.tree.NextSibling(n, child) {
		nd := &c.tree.Nodes[child]
		if !steps[0].leads(nd.Element) || nd.Flags&fhir.FlagTwin != 0 {
			continue
		}
		if nd.Kind != fhir.KindArray || p.kind == fhir.KindArray && len(steps) == 1 {
			if c.hasPart(child, steps[1:], p) {
				return true
			}
			continue
		}
		for it := c.tree.FirstChild(child); it != fhir.NoNode && !c.exhausted(); it = c.tree.NextSibling(child, it) {
			if c.hasPart(it, steps[1:], p) {
				return true
			}
		}
	}
	return false
}

// isMember tells whether the value n, a concept by any of its codings, is in a
// value set.
func (c *Checker) isMember(n fhir.NodeID, set *profile.ValueSet) profile.Membership {
	switch typ := c.tree.Nodes[n].Type; {
	case typ == r4.TypeCodeableConcept:
		out := profile.NotIn
		if list := c.tree.Child(n, elCoding); list != fhir.NoNode {
			for it := c.tree.FirstChild(list); it != fhir.NoNode; it = c.tree.NextSibling(list, it) {
				out = either(out, c.coding(it, set))
			}
		}
		return out
	case r4.TypeAt(typ).Kind == r4.KindPrimitive:
		return set.ContainsCode(c.text(n))
	}
	return c.coding(n, set)
}
