// Package derive makes FHIR resources of what NLP found in a document: a Condition of each
// diagnosis, an Observation of each sign and symptom, a MedicationStatement of each medication,
// and one Linkage that names them with the document (docs/nlp.md, decision 0058). It owns which
// mentions become a resource, what is in it, and its id. It finds nothing itself: the result of
// package notes is its input.
//
// Invariants:
//
//  1. What is derived of a document depends on the document and the result alone, ids
//     included: who derives again replaces, and adds nothing.
//  2. A derived resource keeps to the base rules of R4 whatever the document and the result
//     have in them, as long as the document itself keeps to them. One that does not is a bug here.
//
// Read [Deriver] first, then [Stage].
package derive
