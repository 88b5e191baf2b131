// Package search answers FHIR searches (FHIR R4, 3.1.1): it reads the parameters
// ([Parse]), makes SQL of them over the tables of store/postings, and finds the current
// resources that match, page by page. What parameters there are, what a value means and
// when it matches is fhir/search's; how rows are kept is store/duck/searchdb's. HTTP is
// server/rest's.
//
// Invariants, cited by number elsewhere:
//
//  1. No text of a request is in an SQL text but as a hash or a number, or through
//     searchdb.Quote.
//  2. What a search cannot do is refused by name, or left out and told; nothing is
//     ignored in silence.
//  3. Every page of a search is of one state: pages are a permutation of its result.
//
// Read [Query] first.
package search
