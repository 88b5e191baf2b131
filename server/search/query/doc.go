// Package query reads a FHIR search (R4, page "Search"; its sections are cited by their
// titles) into a tree in which nothing is left to parse: parameters are those of a
// [search.Table], values are ranges, amounts, normalised texts and tokens as package
// search makes them. It knows no index; finding what a tree asks for is server/search.
//
// # The text
//
//	search    = [ pair *( "&" pair ) ]
//	pair      = name "=" value                    percent-encoded, "+" is a space
//	name      = code [ ":" modifier ]             a filter; several are all to hold
//	          | code [ ":" Type ] "." name        a chain
//	          | "_has:" Type ":" code ":" name    a reverse chain
//	          | result                            _sort, _count, _include ...
//	value     = one *( "," one )                  any may hold
//	one       = part *( "$" part )                of a composite, one for each component;
//	                                              of what NLP found, also with "|"
//	part      = [ prefix ] number | date          by the type of the parameter
//	          | [ prefix ] number [ "|" [ system ] "|" code ]
//	          | [ system "|" ] code | system "|"
//	          | text | uri [ "|" version ] | id | Type "/" id | url
//
// A backslash stands before "," "$" "|" and "\" that are no separators.
//
// # The tree
//
//	Query     = *Select, how results are shown
//	Select    = Type, *Filter (all hold), *SortKey
//	Filter    = Match | Missing | Chain | Has | AllOf | AnyOf | ID | Stored | Words | Constant
//	Match     = Parameter, facet, not, *Value (any matches)
//	Chain     = Parameter, *Select (the target is of one of the types, and its filters hold)
//	Has       = Select, Parameter (of the Select's type, that refers to the resource)
//	Value     = Token | Concept | ValueSet | String | Date | Number | Quantity |
//	            Reference | URI | Position | Composite
//
// A search without a type is one Select for each type, since the groups of values that
// parameters have differ by type; Selects share their Values.
//
// # What is refused
//
// A value or name that breaks the grammar is always an error, and so is a modifier that
// the parameter does not take (Modifiers: the server SHALL reject). A parameter, sort key
// or include that is not known or not offered is an error when the client asks for
// strict handling, and otherwise left out: of the tree, of [Query.Self], and told in
// [Query.Issues] (Handling Errors). A parameter without a value is no error (same
// section) and is left out in either case, with an issue.
//
// # Where R4 leaves room
//
//   - Chains and includes follow references to resources of this server, not canonicals;
//     a parameter that has canonicals alone is refused there by name.
//   - A chain without a type follows references to all types that have the parameter.
//   - Values separated by commas are allowed for every parameter (Composite Search
//     Parameters: "Every search parameter may be used with comma-separated values"),
//     whatever the multipleOr of its definition says.
//   - :not and :not-in are about the resource: none of its values matches. The prefix ne
//     is about a value: one does not equal. So a resource without values has :not, not ne.
//   - A composite of what NLP found takes a score without prefix for the least one, as
//     Amazon HealthLake's examples do; a score by itself is a number like others.
//   - A canonical or uri with |version finds that version alone; without, all versions.
//
// Invariants, cited by number elsewhere:
//
//  1. Reading takes time and memory in proportion to the text, the number of types and
//     the [Limits], whatever the text is.
//  2. Reading what [Query.Self] gives gives the same tree without issues.
//  3. A Query is immutable once it is read.
//
// Read [Query] first, then [Filter] and [Value].
package query
