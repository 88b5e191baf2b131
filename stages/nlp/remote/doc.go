// Package remote has texts read by a service that speaks the protocol of Amazon
// Comprehend Medical: Amazon's own, or any other. It owns the requests, their signatures,
// limits and attempts, the cutting of long texts, and making one list of entities of the
// answers of several operations. It keeps nothing of a text, and no error repeats any of it.
//
// # One list
//
// DetectEntitiesV2 finds all kinds of entities; the Infer operations find some of them
// again, with codes. An entity that an operation finds where one of the same category is
// known is that one: its codes go there, and traits and attributes that were not known.
// Other entities are added, unless they have no code and something else is known at their
// place. What is said twice has the score of the operation that comes first in [Operations].
//
// # Time
//
// All parts of a text go to all operations at the same time, as far as
// [Options.Concurrency] lets them, which counts over all readers of a client. A rate is
// kept for each operation, as Amazon counts; waiting for it holds no connection.
//
// [Client] is the type to read first.
package remote
