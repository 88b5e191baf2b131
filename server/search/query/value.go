package query

import (
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Value is what a stored value is compared with. It is one of the types of this package
// that have the method.
type Value interface{ value() }

// SystemTest says which systems of a token match.
type SystemTest uint8

// The tests: of `code`, of `|code`, and of `system|code` and `system|`.
const (
	AnySystem SystemTest = iota
	NoSystem             // has no system, or one that is Implied
	OneSystem            // has that system, Implied or not
)

// Token matches a search.Token by its system and code (token).
type Token struct {
	Test   SystemTest
	System string // of OneSystem
	// Code is compared with codes byte by byte, Lower (by search.AppendLower) with
	// those that are Folded. Empty Code matches any token of the system. For
	// FacetOfType it is code, bar and value.
	Code, Lower string
	// Media says that Code is a MIME type without parameters, which matches with any
	// parameters after it: Code itself, and what begins with Code and ";".
	Media bool
}

// Concept matches the tokens that Code subsumes, or, with Above, those that subsume it
// (token, :below and :above). It matches itself. It takes [Terminology].
type Concept struct {
	System string // "" for any
	Code   string
	Above  bool
}

// ValueSet matches the tokens that are in a value set (token, :in; :not-in is a Match
// with Not). It takes [Terminology].
type ValueSet struct{ URL, Version string }

// StringTest says how texts are compared.
type StringTest uint8

// The tests of string. At a row with Word only StartsWith looks.
const (
	StartsWith StringTest = iota // Folded begins the row's Folded
	Contains                     // Folded is anywhere in the row's Folded
	Exactly                      // Exact is the row's Exact
)

// String matches a search.String (string).
type String struct {
	Test   StringTest
	Folded string // by search.AppendFolded; not empty but with Exactly
	Exact  string // as it was given
}

// Date matches a search.Date by search.Prefix.MatchesTime with Query.Now (date).
type Date struct {
	Prefix search.Prefix
	search.Range
}

// Number matches a search.Number by search.Prefix.MatchesNumber (number). Its bounds, as
// those of a Quantity, are finite.
type Number struct {
	Prefix search.Prefix
	search.Amount
}

// Quantity matches a search.Quantity by search.Prefix.MatchesNumber and by its unit
// (quantity):
//
//	Base != ""                the row has this Base, and In matches its In
//	System and Code           the row has both
//	System alone              the row has it
//	Code alone                the row has it as Code or as Unit
//	none of them              any unit
//
// In all but the first case Amount is compared with the number as it stands.
type Quantity struct {
	Prefix search.Prefix
	search.Amount
	System, Code string
	Base         string
	In           search.Amount
}

// Reference matches a search.Reference (reference). With URL it is one whose URL is
// that. Else it is one to the resource with ID of any of Types: a relative reference,
// or one whose URL is one of Query.Bases and Type/id. A Version, when it is asked for,
// is the same, or, with VersionBelow, begins the row's.
type Reference struct {
	Types        []r4.TypeID // shared; the caller must not change it
	ID           string
	URL          string
	Version      string
	VersionBelow bool
}

// URITest says how URIs are compared.
type URITest uint8

// The tests of uri.
const (
	Same  URITest = iota
	Below         // the row's value begins with URL
	Above         // URL begins with the row's value
)

// URI matches a search.URI (uri). A Version, when it is asked for, is the row's.
type URI struct {
	Test         URITest
	URL, Version string
}

// Position matches a place that is at most Meters away on the sphere (Location, near).
type Position struct {
	Latitude, Longitude float64 // degrees
	Meters              float64
}

// Composite matches when for one of the Bindings of the parameter there are rows of
// one Part (or of the resource, as the Binding says), one for each component, that match
// Parts (Composite Search Parameters).
type Composite struct{ Parts []Value }

func (Token) value()     {}
func (Concept) value()   {}
func (ValueSet) value()  {}
func (String) value()    {}
func (Date) value()      {}
func (Number) value()    {}
func (Quantity) value()  {}
func (Reference) value() {}
func (URI) value()       {}
func (Position) value()  {}
func (Composite) value() {}
