// Package parse is the first stage: it reads the JSON text of each record once,
// checks it, and builds the element tree that all later stages read. It owns
// JSON (RFC 8259) and the shape that the base definitions of FHIR R4 give to it:
// known types and elements, JSON kinds, arrays, cardinality, the syntax of the
// primitive types, choice elements, `_` twins and required bindings of codes. It
// leaves to others: whether an id is there (identify), invariants, references,
// profiles, XHTML inside a narrative (validate).
//
// Read [Stage] for the pipeline and [Parser] for a single resource.
//
// # How one pass does it
//
// The parser goes down the text by recursion, one call an object, and at every
// value it knows the R4 element that holds it. What it needs to know of an
// element lies in one cache line ([member]): what form the value must have, which
// bit of the object's mask it sets, its code set, and its key as 8-byte words.
//
// Keys are guessed, not read: the element that followed this one last time is
// most likely the one that follows now, and two to four word compares of the text
// with `"name":` settle it. Only a wrong guess scans the key and looks it up. In
// bulk data most keys are guessed. Strings are scanned eight bytes at a
// time for the bytes that need care ([special]); what cannot have spaces (codes,
// URIs) is scanned for these too, so checking it costs nothing more. Dates are
// checked eight digits at a time where they stand.
//
// Everything that is rare lives in functions of its own, away from that path: a
// string with escapes or other than ASCII, a twin, a null, a fault. The path of an
// issue is not kept while parsing: nodes that are still open have Next 0, so the
// way to the present place can be read off the tree when an issue needs it.
//
// Invariants, cited by number elsewhere:
//
//  1. A node is open while its Next is 0; the open nodes form one chain from
//     the record's root to the value being read.
//  2. A function that reads a value returns the offset after it, or -1 when the
//     text is beyond reading; the fatal issue is on record by then.
//  3. A guess is only ever an element of the object's own type, since it was
//     found there before.
//  4. Text without meaning (the value of an unknown element or of the wrong JSON
//     kind) is in the tree with FlagUnknown and Element 0; a node with an Element
//     has the JSON kind that the element asks for.
//  5. Whoever reads a member or an item makes room for one node first.
//
// # Policy
//
// Fatal issues (Severity fatal) are those of JSON and of the limits; the record
// has no tree. All others leave the whole tree in place. Where the specification
// leaves room:
//
//   - Nesting: 4,096 levels of objects and arrays; recursion is bounded by it.
//   - A byte order mark is refused, as RFC 8259 allows; a source may strip it.
//   - Invalid UTF-8 and lone surrogates are faults of JSON, duplicate keys are an
//     error of structure.
//   - Decimals: the text may have 1,024 bytes, the exponent lies in -308..308;
//     digits beyond a double's are kept. -0 is a decimal but no integer.
//   - Strings may be as long as they like ("SHALL NOT exceed 1 MB" is for the
//     receiver's comfort, and real narratives do); an escaped control character
//     other than tab, line feed and carriage return is a warning.
//   - Base64: white space anywhere, padding only at the end, whole groups of four.
//   - The companion `_x` is for primitive elements only, not for Element.id,
//     Extension.url, resourceType or xhtml.
//   - Expressions are those of the HL7 validator: an issue about an unknown or a
//     missing element stands on its parent, the variant of a choice is written
//     Observation.value.ofType(Quantity), a twin as the element that it is of.
//   - At most 100 issues of a record are kept, then one that says so.
package parse
