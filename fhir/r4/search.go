package r4

import (
	"iter"
	"sort"
)

// SearchType is the type of a search parameter (FHIR R4, page Search).
type SearchType uint8

// The types of search parameters.
const (
	SearchNone SearchType = iota
	SearchNumber
	SearchDate
	SearchString
	SearchToken
	SearchReference
	SearchComposite
	SearchQuantity
	SearchURI
	SearchSpecial
)

// SearchParameter is a search parameter as one of its base types has it. The
// definitions of R4 give no base parameter modifiers of its own, so those that
// its type allows apply.
type SearchParameter struct {
	Code        string            // name in a search: "birthdate", "_id"
	URL         string            // canonical URL; the same for all base types of one definition
	Base        TypeID            // the type whose resources it searches
	Type        SearchType        //
	Expression  string            // FHIRPath, restricted to the terms for Base; "" for _text, _content, _query and _filter
	Targets     []TypeID          // what a reference may point to; empty means any
	Components  []SearchComponent // of a composite
	Comparators []string          // prefixes, when the definition lists them
	SingleValue bool              // values separated by commas are not allowed (multipleOr is false)
	Usage       string            // "phonetic", "nearby"; "" for normal
}

// SearchComponent is one part of a composite search parameter.
type SearchComponent struct {
	Code       string     // of the search parameter that it refers to
	URL        string     // of the same
	Type       SearchType // of the same
	Expression string     // FHIRPath, relative to the Expression of the composite
}

// SearchParameters returns the search parameters declared on a type itself,
// sorted by code. The caller must not change them.
func SearchParameters(t TypeID) []SearchParameter {
	if int(t) >= len(searchRanges) {
		return nil
	}
	r := searchRanges[t]
	return searchParameters[r[0]:][:r[1]:r[1]]
}

// AllSearchParameters yields the search parameters that apply to a resource type:
// its own, then those of DomainResource and of Resource.
func AllSearchParameters(t TypeID) iter.Seq[*SearchParameter] {
	return func(yield func(*SearchParameter) bool) {
		for ; t != 0; t = types[t].Base {
			own := SearchParameters(t)
			for i := range own {
				if !yield(&own[i]) {
					return
				}
			}
		}
	}
}

// SearchParameterByCode returns the search parameter that a code names for a
// resource type, or nil.
func SearchParameterByCode(t TypeID, code string) *SearchParameter {
	for ; t != 0; t = types[t].Base {
		own := SearchParameters(t)
		i := sort.Search(len(own), func(i int) bool { return own[i].Code >= code })
		if i < len(own) && own[i].Code == code {
			return &own[i]
		}
	}
	return nil
}

// CompartmentDefinition tells which resources belong to a compartment.
type CompartmentDefinition struct {
	Code    string              // "Patient"
	URL     string              // canonical URL
	Type    TypeID              // the resource type that gives the compartment its identity
	Members []CompartmentMember // sorted by type; types without parameters are left out
}

// CompartmentMember names, for one resource type, the search parameters of which
// one must point to the resource that the compartment is of. The code "{def}"
// stands for the identity of that resource itself.
type CompartmentMember struct {
	Type  TypeID
	Codes []string
}

// Compartments returns the five compartments, sorted by code. The caller must
// not change them.
func Compartments() []CompartmentDefinition { return compartments[:] }

// Compartment returns the compartment with the given code ("Patient"), or nil.
func Compartment(code string) *CompartmentDefinition {
	for i := range compartments {
		if compartments[i].Code == code {
			return &compartments[i]
		}
	}
	return nil
}

// SearchCodes returns the codes of the member of the given type; none when
// resources of that type are never in the compartment.
func (c *CompartmentDefinition) SearchCodes(t TypeID) []string {
	i := sort.Search(len(c.Members), func(i int) bool { return c.Members[i].Type >= t })
	if i < len(c.Members) && c.Members[i].Type == t {
		return c.Members[i].Codes
	}
	return nil
}
