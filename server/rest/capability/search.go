package capability

import (
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

var table = fhirsearch.R4()

// Searches reads the searches of the interface. What it reads is what the statement and
// the page say that can be searched.
var Searches = query.Parser{Parameters: table, Features: search.Features}

// Parameters gives the search parameters of a type that searches take.
func Parameters(t r4.TypeID) (all []*fhirsearch.Parameter) {
	for _, q := range table.Parameters(t) {
		if Searches.Offers(q) {
			all = append(all, q)
		}
	}
	return all
}

// offeredBy gives the search parameters of a type that searches take, of a data store that
// has others than R4's.
func offeredBy(p Offered) func(r4.TypeID) []*fhirsearch.Parameter {
	return func(t r4.TypeID) (all []*fhirsearch.Parameter) {
		for _, q := range p.Parameters(t) {
			if Searches.Offers(q) {
				all = append(all, q)
			}
		}
		return all
	}
}

// Offered are the search parameters of a data store that are searchable.
type Offered interface {
	Parameters(t r4.TypeID) []*fhirsearch.Parameter
}

// Includes gives what _include takes of resources of a type.
func Includes(t r4.TypeID) []string { return includes().forward[t] }

// RevIncludes gives what _revinclude takes for resources of a type.
func RevIncludes(t r4.TypeID) []string { return includes().reverse[t] }

type includeLists struct{ forward, reverse map[r4.TypeID][]string }

var includes = sync.OnceValue(func() includeLists { return includesOf(Parameters) })

// includesOf gives what includes take when types have some parameters.
func includesOf(parameters func(r4.TypeID) []*fhirsearch.Parameter) includeLists {
	all := includeLists{map[r4.TypeID][]string{}, map[r4.TypeID][]string{}}
	for _, t := range r4.ResourceTypes() {
		if Of(t) == 0 {
			continue
		}
		for _, q := range parameters(t) {
			targets := Searches.Follows(t, q)
			if len(targets) == 0 {
				continue
			}
			name := t.String() + ":" + q.Code
			all.forward[t] = append(all.forward[t], name)
			for _, target := range targets {
				all.reverse[target] = append(all.reverse[target], name)
			}
		}
	}
	for _, lists := range []map[r4.TypeID][]string{all.forward, all.reverse} {
		for _, list := range lists {
			slices.Sort(list)
		}
	}
	return all
}

// careDates are the parameters that say when care was given or planned, the one that
// tells best first.
var careDates = []string{
	"authoredon", "date", "occurrence", "onset-date", "effective", "effective-time", "started", "start-date", "collected",
	"whenhandedover", "created", "sent", "authored", "authored-on", "datetime", "datewritten", "identified", "recorded", "recorded-date",
}

// CareDate gives the search parameter of a type that says when care was given or planned,
// nil when it has none.
func CareDate(t r4.TypeID) *fhirsearch.Parameter {
	for _, code := range careDates {
		if q := table.Parameter(t, code); q != nil && q.Type == r4.SearchDate {
			return q
		}
	}
	return nil
}
