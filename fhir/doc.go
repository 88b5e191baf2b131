// Package fhir is what a FHIR resource is inside fhirlake: an element tree over
// the bytes of its JSON text ([Tree], [Node]), a place in the input ([Pos]) and
// a fault of a resource ([Issue]). It does not parse (package stages/parse
// builds trees) and it does not store.
//
// Invariants of a tree, cited by number elsewhere:
//
//  1. The nodes of a resource are consecutive and in document order; a parent
//     comes before its children.
//  2. Node.Next is the index after the last node of the subtree, so the first
//     child of n is n+1 (if n+1 < Next) and the sibling after c is Nodes[c].Next.
//  3. Spans alias Tree.Data, which the tree's owner must keep unchanged while
//     the tree is in use.
//
// Read [Tree] first.
package fhir
