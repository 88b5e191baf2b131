// Package columnar is the columnar form of FHIR resources: which Parquet
// columns a resource type has ([Layout], a tree of [Node]s that grows as
// elements are first seen), what the derived columns hold ([Span],
// [Decimal38], [ReferenceParts]) and the columns of one type in one batch
// ([Piece]). It neither shreds (stages/shred fills pieces) nor writes files
// (sinks/parquet does). docs/formats/columns.md says what a reader of the
// files sees.
//
// # Levels without a walk for what is absent
//
// A Parquet leaf has one entry for every slot of its repetition scope (a row,
// or an item of the innermost list around it), with a definition level that
// says how much of its path is there. Most leaves of FHIR are absent most of
// the time, so a shredder must not visit them. What makes that possible: the
// level of an absent node is the level of its parent in the same slot, and a
// parent is never absent where its child is present. So groups and lists keep
// a level for each slot too, and a node that was not seen for a while catches
// up by copying the range that it missed from its parent: one memory copy when
// it is next present, or at the end of the batch, or never if the batch does
// not have it, for then the writer reads the parent's levels in its place.
// A list has slots of its own (its items, and one for each empty or absent
// occurrence) and catches up on repetition levels in the same way. One Node
// stands for the three Parquet levels of a list.
//
// Invariants, cited by number elsewhere:
//
//  1. A layout depends on the definitions alone: field ids and the order of
//     columns are the same in every process. Only Node.Index depends on the
//     order of growth, and it never leaves memory.
//  2. Nothing is lost: what has no column of its own is in a JSON text column.
//  3. In a piece, parents come before their children.
//
// Read [Node] and [Piece] first.
package columnar
