// Package sql is a data store as SQL sees it: the current resources, those of the delta
// over those of the snapshot, at one moment. What the delta has is shredded into
// temporary files by the stages and sinks of an import, so that columns and types are
// the same, and rows of the snapshot that it replaces are hidden. How DuckDB reads all
// this, and what a query may do, is package store/duck's; who may ask is its callers'.
//
// # Parts
//
// Queries come again and again while writes go on, so what was shredded is kept. An
// image is what SQL sees at one position, a manifest and a commit of the delta: rows of
// the snapshot that are hidden, and parts, each with the resources that were written last
// in a range of commits. The next image takes the parts of the one before, hides in them
// what was written since, and adds a part with that alone. Small parts at the end are made
// again together with it, so that parts grow towards the oldest and are few: a write is
// shredded a few times over its life in the delta, however often somebody asks. Another
// manifest starts over, and so does a delta of which the oldest part is mostly hidden.
//
// Invariants, cited by number elsewhere:
//
//  1. A query sees every commit that was acknowledged before it was asked, and one
//     position only.
//  2. An image never changes. What a later one hides in a part that both have is in
//     bitmaps of its own.
//  3. The snapshot is held while a query reads it and no longer: between queries nothing
//     keeps old files from being swept. The delta is held while it is shredded.
//
// Read [Set], [DataStore] and [State] first.
package sql
