// Package searchdb keeps the search index in DuckDB: it builds index files of the runs
// of store/postings ([Build]) and answers queries over a set of them and what was
// written since ([DB], [State], [Added]). What rows mean is store/postings', which rows are
// current its callers' (docs/decisions/0034).
//
// Invariants:
//
//  1. An index file has every table of postings.Tables, each sorted by its Order, and
//     never changes once built.
//  2. Queries carry their values as literals: DuckDB prunes by them, and by parameters
//     it does not. Texts in them go through [Quote].
//
// Read [State] first.
package searchdb
