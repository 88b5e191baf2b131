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
		root.add(p, x, i)
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

// follower is what takes an item of a step: a program's output or a further step.
type follower struct {
	k      cont
	source string // the first expression that has it
}

// setNode is a step that programs share, with what follows it.
type setNode struct {
	plan    *plan  // nil at the root
	source  string // the first expression that has it
	next    []*setNode
	outputs []int
	whole   []setProgram // programs that start here and share nothing
}

type setProgram struct {
	plan   *plan
	source string
	output int
}

// add puts the program with the given number into the tree below the root n.
func (n *setNode) add(p *plan, source string, output int) {
	if p.parts != nil {
		for _, part := range p.parts {
			n.add(part, source, output)
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
		n.whole = append(n.whole, setProgram{p, source, output})
		return
	}
	for _, s := range slices.Backward(steps) {
		n = n.follow(s, source)
	}
	n.outputs = append(n.outputs, output)
}

func (n *setNode) follow(s *plan, source string) *setNode {
	for _, m := range n.next {
		if m.plan.key == s.key && m.plan.span == s.span {
			return m
		}
	}
	m := &setNode{plan: s, source: source}
	n.next = append(n.next, m)
	return m
}

// join makes the continuation that takes each item of the step n.
func (n *setNode) join() cont {
	var takers []follower
	for _, o := range n.outputs {
		takers = append(takers, follower{k: func(ev *Evaluator, v Value) bool {
			ev.yield(o, v)
			return true
		}})
	}
	var members []*setNode
	for _, m := range n.next {
		if m.plan.span.count > 0 {
			members = append(members, m)
		} else {
			takers = append(takers, follower{m.plan.step(m.join()), m.source})
		}
	}
	if len(members) == 1 {
		m := members[0]
		takers = append(takers, follower{m.plan.step(m.join()), m.source})
	} else if len(members) > 1 {
		takers = append(takers, follower{dispatch(members), members[0].source})
	}
	for _, p := range n.whole {
		output := p.output
		r := p.plan.each(func(ev *Evaluator, v Value) bool {
			ev.yield(output, v)
			return true
		})
		takers = append(takers, follower{func(ev *Evaluator, _ Value) bool { return r(ev) }, p.source})
	}
	return each(takers)
}

// each runs all followers on an item, whatever one of them says.
func each(takers []follower) cont {
	if len(takers) == 1 {
		t := takers[0]
		return func(ev *Evaluator, v Value) bool { return t.k(ev, v) || ev.forgive(t.source) }
	}
	return func(ev *Evaluator, v Value) bool {
		for i := range takers {
			if t := &takers[i]; !t.k(ev, v) && !ev.forgive(t.source) {
				return false
			}
		}
		return true
	}
}

// forgive keeps the error of one program of a set and lets the others go on; but
// when steps or room are used up they are for all.
func (ev *Evaluator) forgive(source string) bool {
	if ev.err == nil {
		return true
	}
	if ev.setErr == nil {
		ev.setErr = ev.err.of(source)
	}
	if ev.steps < 0 || ev.room < 0 {
		return false
	}
	ev.err = nil
	return true
}

// dispatch finds the members that several programs want of one object in a single
// pass over it.
func dispatch(members []*setNode) cont {
	owner := r4.ElementAt(members[0].plan.span.first).Owner
	first := r4.TypeAt(owner).FirstElement
	lists := make([][]follower, r4.TypeAt(owner).NumElements)
	for _, m := range members {
		k := m.join()
		for i := range m.plan.span.count {
			at := m.plan.span.first + r4.ElementID(i) - first
			lists[at] = append(lists[at], follower{k, m.source})
		}
	}
	table := make([]cont, len(lists))
	for i, l := range lists {
		if len(l) > 0 {
			table[i] = each(l)
		}
	}
	return func(ev *Evaluator, v Value) bool {
		if v.kind != KindNode || v.tree.Nodes[v.node].Kind != fhir.KindObject {
			return true
		}
		nodes := v.tree.Nodes
		end := nodes[v.node].Next
		for c := uint32(v.node) + 1; c < end; {
			nd := &nodes[c]
			next := nd.Next
			if at := int(nd.Element) - int(first); at >= 0 && at < len(table) && table[at] != nil {
				if !child(ev, v, fhir.NodeID(c), table[at]) {
					return false
				}
			}
			c = next
		}
		return true
	}
}
