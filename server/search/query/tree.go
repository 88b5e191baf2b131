package query

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Query is a search. A resource is found when the filters of the Select of its type
// hold; one whose type has no Select is not.
type Query struct {
	Selects  []Select // at least one, in the order of r4.ResourceTypes
	Includes []Include
	Count    int // resources a page; NoCount when it is not given; 0 asks for the total alone
	Total    Total
	Summary  Summary
	Elements []string // top-level elements to keep; empty for all; never beside a Summary

	Contained Contained // which resources are looked at
	// AsContained asks for contained resources by themselves, not for what contains
	// them (_containedType=contained).
	AsContained bool

	Now   int64    // of ap: microseconds since 1970
	Bases []string // see Request.Bases
	// Issues tell what was left out, as warnings and information, for an
	// OperationOutcome among the entries.
	Issues []fhir.Issue

	self []pair
}

// NoCount is the Count of a search that does not say.
const NoCount = -1

// CountOnly tells whether the client wants the total and no entries (Page Count: 0 is
// the same as _summary=count).
func (q *Query) CountOnly() bool { return q.Count == 0 || q.Summary == SummaryCount }

// Select is what is asked of resources of one type.
type Select struct {
	Type  r4.TypeID
	Where []Filter  // all hold; none for all resources of the type
	Sort  []SortKey // of a Query alone; the same codes and directions in all its Selects
}

// SortKey is one rule to sort by. A resource with several values is sorted by the one
// that comes first in the direction of the key, one without value after all others
// (Sorting). Values of a kind are ordered, texts by their bytes:
//
//	token                by code; one without code is no value
//	string               by Folded; rows with Word are no values
//	date                 by Start, when descending by End
//	number, quantity     by Low, when descending by High, whatever the unit
//	reference            by URL, or else Type/id; one with neither is no value
//	uri                  by value
//	_id                  by the id
//	_lastUpdated, createdAt  by the time
type SortKey struct {
	Param      *search.Parameter // never composite or special
	Descending bool
}

// Total is what the client wants to know of the number of matches.
type Total uint8

// The values of _total.
const (
	TotalUnsaid Total = iota
	TotalNone
	TotalEstimate
	TotalAccurate
)

// Summary is a value of _summary.
type Summary uint8

// The values of _summary. SummaryUnsaid means the same as SummaryFalse.
const (
	SummaryUnsaid Summary = iota
	SummaryFalse
	SummaryTrue
	SummaryText
	SummaryData
	SummaryCount
)

// Contained is a value of _contained.
type Contained uint8

// The values of _contained.
const (
	ContainedNone Contained = iota
	ContainedOnly
	ContainedBoth
)

// Include asks for resources beside the matches: those that a resource of type Source
// refers to by a parameter, or, when Reverse, resources of type Source that refer so to
// a match. With Iterate it holds for included resources as well as for matches.
type Include struct {
	Reverse bool
	Iterate bool
	Source  r4.TypeID           // 0 for any type, when Params is nil
	Params  []*search.Parameter // of Source, of type reference; nil for all of the source's
	Target  r4.TypeID           // type of what is referred to; 0 for any
}

// Filter is a condition on a resource. It is one of the types of this package that have
// the method.
type Filter interface{ filter() }

// Match holds when a value of the parameter matches any of Values; with Not, when none
// of its values does.
//
// The rows to look at are those of Param.Terms with the group of Facet, and with the
// Target of the term if it has one. They are of the kind Facet.Kind of the term's, and
// Values are all of the type that fits: Token, Concept and ValueSet for tokens, String
// for strings, and so on. Position goes with the facets of latitude and longitude and is
// given with Main. For a composite, Values are Composite and the rows are those of
// Param.Bindings.
//
// With OriginEntities the rows are those of Param.Entities: Values are String and Number, or
// Token of a status, which has no system and whose case does not count; of a composite,
// the Parts are compared with the columns, in their order, of one row.
type Match struct {
	Param  *search.Parameter // with OriginRows or OriginEntities
	Facet  search.Facet
	Not    bool
	Values []Value
}

// Missing holds when the resource has no value of the parameter, or, with Want false,
// when it has one (Handling Missing Data).
type Missing struct {
	Param *search.Parameter // with OriginRows or OriginEntities, no composite
	Want  bool
}

// Chain holds when a reference that is a value of the parameter leads to a current
// resource of the type of one of To for which the filters of that Select hold (Chained
// parameters).
type Chain struct {
	Param *search.Parameter
	To    []Select // of different types
}

// Has holds when a current resource of From.Type refers to the resource by Param and
// the filters of From hold for it (Reverse Chaining). _list is one, too.
type Has struct {
	From  Select
	Param *search.Parameter // of From.Type
}

// AllOf holds when all of its filters do, AnyOf when one of them does.
type (
	AllOf []Filter
	AnyOf []Filter
)

// ID holds when the logical id is one of IDs; with Not, when it is none of them.
type ID struct {
	IDs []string
	Not bool
}

// Stored holds when the time of storing matches any of Times: of the current version,
// or, with First, of version 1 (_lastUpdated and createdAt).
type Stored struct {
	First bool
	Times []Date
}

// Words holds when a text of the resource has any of the expressions in it (_text,
// _content): the narrative, or, with Content, all of its texts.
type Words struct {
	Content bool
	Any     []Expression
}

// Constant is a filter that always holds, or never.
type Constant bool

func (Match) filter()    {}
func (Missing) filter()  {}
func (Chain) filter()    {}
func (Has) filter()      {}
func (AllOf) filter()    {}
func (AnyOf) filter()    {}
func (ID) filter()       {}
func (Stored) filter()   {}
func (Words) filter()    {}
func (Constant) filter() {}

// Expression is a condition on a text.
type Expression interface{ expression() }

type (
	// Phrase is words, folded by search.AppendFolded, that follow one another.
	Phrase []string
	// Both wants all of its parts.
	Both []Expression
	// Either wants one of its parts.
	Either []Expression
	// Without wants its part not to be there.
	Without struct{ Part Expression }
)

func (Phrase) expression()  {}
func (Both) expression()    {}
func (Either) expression()  {}
func (Without) expression() {}
