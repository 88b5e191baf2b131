package profiles

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// maxEvaluating bounds how deep invariants that ask conformsTo lead to others.
const maxEvaluating = 16

// evaluator begins an evaluation: an invariant may run while another waits for
// conformsTo, and its evaluator's memory is then in use. The caller ends it by
// counting c.evaluating down.
func (c *Checker) evaluator() *fhirpath.Evaluator {
	if c.evaluating == len(c.evaluators) {
		c.evaluators = append(c.evaluators, fhirpath.NewEvaluator(c.environment()))
	}
	c.evaluating++
	return c.evaluators[c.evaluating-1]
}

// environment is what invariants of profiles know: the value sets and the
// profiles of the registry.
func (c *Checker) environment() fhirpath.Environment {
	return fhirpath.Environment{MemberOf: c.memberOf, ConformsTo: c.conformsTo}
}

// memberOf answers memberOf() (FHIR R4, 2.9.1.5.1).
func (c *Checker) memberOf(v fhirpath.Value, valueSet string) (is, known bool) {
	set := c.set.registry.ValueSet(valueSet)
	if set == nil {
		return false, false
	}
	tree, n := v.Node()
	if tree == nil {
		c.buf = v.AppendString(c.buf[:0])
		m := set.ContainsCode(c.buf)
		return m == profile.In, m != profile.Unknown
	}
	defer c.on(tree)()
	m := c.isMember(n, set)
	return m == profile.In, m != profile.Unknown
}

// conformsTo answers conformsTo() (FHIR R4, 2.9.1.5.1).
func (c *Checker) conformsTo(v fhirpath.Value, canonical string) (conforms, known bool) {
	tree, n := v.Node()
	if tree == nil || c.evaluating > maxEvaluating {
		return false, false
	}
	return c.ConformsTo(tree, n, canonical)
}

// ConformsTo tells whether a node conforms to a profile; known is false when
// there is no such profile. It is the hook of [fhirpath.Environment] for
// evaluators of others.
func (c *Checker) ConformsTo(tree *fhir.Tree, n fhir.NodeID, canonical string) (conforms, known bool) {
	if profile.IsBase(canonical) {
		t := c.set.registry.TypeOf(canonical)
		return derives(tree.Nodes[n].Type, t), true
	}
	if c.report == nil {
		c.steps = 0 // no check is under way: the answer has a budget of its own
	}
	defer c.on(tree)()
	s := scope{n, n, fhir.NoNode}
	if c.plan(canonical) == nil {
		return false, false
	}
	return c.conforms(canonical, n, s) == profile.In, true
}

// on turns the checker to a tree for one answer; what it returns turns it back.
func (c *Checker) on(tree *fhir.Tree) (back func()) {
	if c.tree == tree {
		return func() {}
	}
	was, record, indexed := c.tree, c.record, c.indexed
	verdicts := c.verdicts
	c.tree, c.indexed, c.verdicts = tree, fhir.NoNode, map[question]verdict{}
	return func() { c.tree, c.record, c.indexed, c.verdicts = was, record, indexed, verdicts }
}
