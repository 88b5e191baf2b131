// Package index extracts the search values of the pending records of a batch: for
// each resource type all groups of its search parameters ([search.Table]) are compiled
// into one [fhirpath.Set], which walks common paths once, and what it finds becomes
// rows of [search.Values] in the slot [pipeline.SearchValues]. The same stage serves
// import, REST, reindex and compaction.
//
// It runs after every stage that rejects. What a value is and when it matches is told
// in package search; how rows are stored is the search index.
//
// Invariants, cited by number elsewhere:
//
//  1. The rows of a record depend on the record and the stage alone.
//  2. Nothing outside of the record is loaded: what a reference is to is told by its
//     text, by a contained resource, or by Reference.type.
//  3. An element whose datatype the kind of the parameter does not take, such as
//     SampledData for a quantity, gives no row.
//
// Read [Stage] first.
package index
