// Package search owns what a search value is, and the rules that those who index
// and those who ask have in common: which parameters a resource type has and which
// values they share ([Table], [GroupID]), how texts are normalised ([AppendFolded]),
// what time a date stands for ([DateRange]), what a number means to its last digit
// ([Amount]), what the parts of a reference are ([ReferenceOf]), and when a value
// matches ([Prefix]). Extracting the values from a resource is stages/index, storing
// them is the search index, the grammar of a search is server/search.
//
// Invariants, cited by number elsewhere:
//
//  1. A [GroupID] is on disk, so it depends on the text of its expression alone:
//     never on an order, a generated number or the version of the program.
//  2. What is stored of a value and what is asked for goes through the same func.
//  3. The texts of a [Values] are its own: they stay when the batch they came from
//     is used again, until Reset.
//  4. Definitions that users add make no group of R4 another one: which rows a group has
//     depends on the group and the resource, never on which other groups there are. So
//     an index can have the rows of new groups in a file of their own.
//
// Read [Values] first, then [Table].
package search
