// Package search answers FHIR searches (FHIR R4, 3.1.1): it makes SQL of the tree that
// package query reads, over the tables of store/postings, and finds the current resources
// that match, page by page. When a value matches is fhir/search's to say; how rows are
// kept is store/duck/searchdb's. HTTP is server/rest's.
//
// Invariants, cited by number elsewhere:
//
//  1. No text of a request is in an SQL text but as a hash or a number, or through
//     searchdb.Quote.
//  2. Every page of a search is of one state: pages are a permutation of its result.
//
// Read [Index] first.
package search
