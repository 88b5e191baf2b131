package fhirpath

import (
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Set is many programs that run on the same focus at once: the search parameters
// of a resource type, the columns of a view. What they have in common at their
// start is walked once, and the members that they want of one object are found in
// one pass over it. It is immutable and safe for many goroutines.
type Set struct {
	sources []string
	run     cont
}

// CompileSet compiles expressions into one set. The error names the expression.
func CompileSet(expressions []string, o Options) (*Set, error) {
	root := &setNode{}
	for i, x := range expressions {
		p, err := compile(x, o)
		if err != nil {
			return nil, fmt.Errorf("expression %d, %s: %w", i, x, err)
		}
		root.add(p, i)
	}
	return &Set{sources: slices.Clone(expressions), run: root.join()}, nil
}

// Eval runs all programs of the set and hands each item on with the index of its
// program. Items of one program come in their order, those of several mixed. A
// union may give an item that equals another one. An item is valid until yield
// returns.
//
// An expression that fails, as a comparison of several items does, keeps the
// others going: its remaining items are left out, and Eval returns the first such
// error at the end.
func (s *Set) Eval(ev *Evaluator, f Focus, yield func(program int, v Value)) error {
	ev.begin(f)
	if ev.this.kind == KindNone {
		return nil
	}
	ev.yield, ev.setErr = yield, nil
	s.run(ev, ev.this)
	ev.yield = nil
	if ev.setErr != nil {
		return ev.setErr
	}
	return nil
}

// setNode is a step that programs share, with what follows it.
type setNode struct {
	plan    *plan // nil at the root
	next    []*setNode
	outputs []int
	whole   []setProgram // programs that start here and share nothing
}

type setProgram struct {
	plan   *plan
	output int
}

// add puts the program with the given number into the tree below the root n.
func (n *setNode) add(p *plan, output int) {
	if p.parts != nil {
		for _, part := range p.parts {
			n.add(part, output)
		}
		return
	}
	var steps []*plan
	q := p
	for ; q.step != nil; q = q.input {
		steps = append(steps, q)
	}
	switch {
	case q.empty:
		return
	case !q.isThis:
		n.whole = append(n.whole, setProgram{p, output})
		return
	}
	for _, s := range slices.Backward(steps) {
		n = n.follow(s)
	}
	n.outputs = append(n.outputs, output)
}

func (n *setNode) follow(s *plan) *setNode {
	for _, m := range n.next {
		if m.plan.key == s.key && m.plan.span == s.span {
			return m
		}
	}
	m := &setNode{plan: s}
	n.next = append(n.next, m)
	return m
}

// join makes the continuation that takes each item of the step n.
func (n *setNode) join() cont {
	var conts []cont
	for _, o := range n.outputs {
		conts = append(conts, func(ev *Evaluator, v Value) bool {
			ev.yield(o, v)
			return true
		})
	}
	var members []*setNode
	for _, m := range n.next {
		if m.plan.span.count > 0 {
			members = append(members, m)
		} else {
			conts = append(conts, m.plan.step(m.join()))
		}
	}
	if len(members) == 1 {
		m := members[0]
		conts = append(conts, m.plan.step(m.join()))
	} else if len(members) > 1 {
		conts = append(conts, dispatch(members))
	}
	for _, p := range n.whole {
		output := p.output
		r := p.plan.each(func(ev *Evaluator, v Value) bool {
			ev.yield(output, v)
			return true
		})
		conts = append(conts, func(ev *Evaluator, _ Value) bool { return r(ev) })
	}
	return each(conts)
}

// each runs all continuations on an item, whatever one of them says.
func each(conts []cont) cont {
	if len(conts) == 1 {
		k := conts[0]
		return func(ev *Evaluator, v Value) bool {
			if !k(ev, v) {
				ev.forgive()
			}
			return true
		}
	}
	return func(ev *Evaluator, v Value) bool {
		for _, k := range conts {
			if !k(ev, v) {
				ev.forgive()
			}
		}
		return true
	}
}

// forgive keeps the error of one program of a set and lets the others go on; but
// when the steps are used up they are for all.
func (ev *Evaluator) forgive() {
	if ev.err == nil {
		return
	}
	if ev.setErr == nil {
		ev.setErr = ev.err
	}
	if ev.steps >= 0 {
		ev.err = nil
	}
}

// dispatch finds the members that several programs want of one object in a single
// pass over it.
func dispatch(members []*setNode) cont {
	owner := r4.ElementAt(members[0].plan.span.first).Owner
	first := r4.TypeAt(owner).FirstElement
	lists := make([][]cont, r4.TypeAt(owner).NumElements)
	for _, m := range members {
		k := m.join()
		for i := range m.plan.span.count {
			at := m.plan.span.first + r4.ElementID(i) - first
			lists[at] = append(lists[at], k)
		}
	}
	table := make([]cont, len(lists))
	for i, l := range lists {
		if len(l) > 0 {
			table[i] = each(l)
		}
	}
	return func(ev *Evaluator, v Value) bool {
		nodes := v.tree.Nodes
		if v.kind != KindNode || nodes[v.node].Kind != fhir.KindObject {
			return true
		}
		end := nodes[v.node].Next
		for c := uint32(v.node) + 1; c < end; {
			nd := &nodes[c]
			next := nd.Next
			if at := int(nd.Element) - int(first); at >= 0 && at < len(table) && table[at] != nil {
				child(ev, v, fhir.NodeID(c), table[at])
			}
			c = next
		}
		return true
	}
}
