package search

import (
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Query is a search that was read and checked against the parameters there are.
type Query struct {
	Base       string      // absolute URL of the data store, without a slash at the end
	Types      []r4.TypeID // whose resources it finds, sorted by name
	Conditions []Condition // all must hold
	Result     Result

	Kept    []Param   // the parameters that count, for the link self
	Ignored []Ignored // what was left out, and why
}

// Param is a parameter as the request has it, after URL decoding.
type Param struct{ Name, Value string }

// Ignored is a parameter that was left out.
type Ignored struct {
	Name   string
	Reason string
}

// Condition is what a resource must have. Exactly one of Leaf, Link and Any is set.
type Condition struct {
	Name string // the parameter, as the request has it
	Leaf *Leaf
	Link *Link
	Any  []Condition // one of these
}

// Leaf is a condition on values of the resource itself. One of the values must match
// one of the parameters, or with Not none of them.
type Leaf struct {
	Types      []r4.TypeID         // whose resources it is a condition on
	Parameters []*search.Parameter // of one code and type, one for each of them
	Modifier   Modifier
	Target     r4.TypeID // of the modifier that is a resource type
	Values     []Value
	Not        bool // :not, :missing=true
}

// Link is a condition on resources that refer to one another.
type Link struct {
	// Reverse says that the other resources have the reference, as in _has; else the
	// resource itself has it, as in a chain.
	Reverse   bool
	Reference *search.Parameter // of the resource that has it
	Source    r4.TypeID         // that one's type
	Target    r4.TypeID         // and that of what it refers to
	Inner     Condition         // on the other resource
}

// Modifier is what follows the name of a parameter.
type Modifier uint8

// The modifiers that are answered. ModifierType is a resource type.
const (
	ModifierNone Modifier = iota
	ModifierMissing
	ModifierExact
	ModifierContains
	ModifierNot
	ModifierText
	ModifierOfType
	ModifierIdentifier
	ModifierAbove
	ModifierBelow
	ModifierType
)

// Value is one of the values of a parameter, by its kind.
type Value struct {
	Prefix search.Prefix // of a number, date or quantity

	Text string // of a string or uri; of a reference the whole, without version

	HasSystem bool   // of a token or quantity: System counts, "" being none
	System    string //
	Code      string // "": any

	Time   search.Range  // of a date
	Amount search.Amount // of a number or quantity
	// Base and In are Amount in the base unit, when System and Code are a unit of UCUM
	// that converts.
	Base string
	In   search.Amount

	References []search.ReferenceParts // of a reference: what it may stand for

	Parts []Value // of a composite, one for each component
}

// Result is what is to be shown.
type Result struct {
	Count      int // resources of a page
	OnlyTotal  bool
	Total      bool // an accurate total is asked for
	NoTotal    bool
	Sort       []SortKey
	Include    []Include
	RevInclude []Include
	Page       string // token of a further page
	Explain    bool
}

// SortKey is a parameter by which results are sorted.
type SortKey struct {
	Parameters []*search.Parameter // one for each resource type
	Descending bool
}

// Include asks for resources that results refer to, or that refer to them.
type Include struct {
	Source    r4.TypeID
	Reference *search.Parameter // nil: all references of Source
	Target    r4.TypeID         // 0: any
	Iterate   bool
}
