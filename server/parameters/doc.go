// Package parameters tells which search parameters a data store has: those of R4, and
// those that the active SearchParameter resources in it define. Such a definition is
// known at once; it is searchable when the index has its values of all that is stored
// (docs/decisions/0041).
//
// Read [Set] first, then [Offered].
package parameters
