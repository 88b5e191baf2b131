// Package parquet is the sink of columns: it collects the pieces that the shred
// stage leaves on batches into row groups, encodes those as tasks of the worker
// pool, and writes one Parquet file for each segment of the layer
// (docs/formats/columns.md). It is the sink that decides where segments end,
// and it runs before all sinks that need a record's address: Write sets
// Record.Segment and Record.Row. The layout of columns is fhir/columnar's.
//
// # Why pages are made here
//
// Pages are encoded by this package and not by a Parquet library, because the
// values arrive grouped already: a piece has the different values of a leaf and
// an index for each value. Merging the dictionaries of a row group's pieces
// touches different values only; all else is translating indices and copying.
// Derived columns (the start and end of a date, the type and id of a reference)
// are computed from the merged dictionary too, and where every entry has one
// they share the data pages of the text column, compressed bytes included: only
// their dictionary page differs. Levels come as runs, and a leaf that is absent
// in a piece borrows its parent's. docs/decisions/0003-own-parquet-pages.md has
// the figures.
//
// Invariants, cited by number elsewhere:
//
//  1. Row groups and files end where the input says, at the ends of batches.
//  2. All row groups of a file have the same columns: a leaf that comes first
//     after the file's first row group begins a new file.
//  3. A page begins with a row, since it is made of whole pieces.
//
// Read [Sink] first.
package parquet
