package parameters

import (
	"cmp"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/stages/index"
)

// State is what becomes of a SearchParameter resource.
type State string

// The states.
const (
	Searchable State = "searchable"
	Pending    State = "pending"  // not all that is stored is indexed by it
	Inactive   State = "inactive" // its status is not active
	Standard   State = "standard" // it has the URL of a parameter of R4, which stays as it is
	Faulty     State = "faulty"   // it cannot be had; the reason says why
)

// Definition is a SearchParameter resource of a data store.
type Definition struct {
	ID        string
	URL, Code string
	State     State
	Reason    string // of a faulty one

	element string // at fault
	params  []r4.SearchParameter
}

// Set is the search parameters that the SearchParameter resources of a data store and R4
// define together. It is immutable.
type Set struct {
	Table       *search.Table // without those at fault
	Definitions []Definition  // by URL and id; those that can be had are Pending

	groups map[string][]string // of custom parameters, by resource type, rising
}

// R4 is the set of a data store without SearchParameter resources.
func R4() *Set { return r4Set() }

var r4Set = sync.OnceValue(func() *Set { return &Set{Table: search.R4()} })

// newSet makes the set of some definitions; those with params are to be had.
func newSet(all []Definition) *Set {
	slices.SortFunc(all, func(a, b Definition) int { return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.ID, b.ID)) })
	s := &Set{Table: search.R4(), Definitions: all}
	for i := range all {
		if d := &all[i]; d.State == Pending && i > 0 && all[i-1].URL == d.URL && all[i-1].State != Inactive {
			d.fail("url", "SearchParameter/"+all[i-1].ID+" has the same url")
		}
	}
	for { // what is at fault is in nobody's way, and no component of another
		var custom []r4.SearchParameter
		for i := range all {
			if all[i].State == Pending {
				custom = append(custom, all[i].params...)
			}
		}
		if len(custom) == 0 {
			return s
		}
		table, faults := search.NewTable(custom, index.Check)
		if len(faults) == 0 {
			s.Table = table
			break
		}
		for _, f := range faults {
			i := slices.IndexFunc(all, func(d Definition) bool { return d.State == Pending && d.URL == f.URL })
			all[i].fail(f.Element, f.Reason)
		}
	}
	s.groups = map[string][]string{}
	for _, typ := range r4.ResourceTypes() {
		var names []string
		for _, g := range s.Table.Groups(typ) {
			if g.Custom {
				names = append(names, g.Name())
			}
		}
		if slices.Sort(names); len(names) > 0 {
			s.groups[typ.String()] = names
		}
	}
	return s
}

func (d *Definition) fail(element, reason string) {
	d.State, d.element, d.Reason = Faulty, element, reason
}

// Groups gives the value groups of custom parameters that resources of a type have, as
// manifests name them.
func (s *Set) Groups(resourceType string) []string { return s.groups[resourceType] }

// AllGroups is Groups by resource type. The caller must not change it.
func (s *Set) AllGroups() map[string][]string { return s.groups }

// read reads a definition, the resource root of t. id is its logical id.
func read(t *fhir.Tree, root fhir.NodeID, id string) Definition {
	typ := t.Nodes[root].Type
	text := func(name string) string {
		n := t.Child(root, typ.ElementByName(name))
		if n == fhir.NoNode || t.Nodes[n].Kind != fhir.KindString {
			return ""
		}
		return string(t.String(n, nil))
	}
	d := Definition{ID: id, URL: text("url"), Code: text("code"), State: Pending}
	switch {
	case isStandard(d.URL):
		d.State = Standard
	case text("status") != "active":
		d.State = Inactive
	default:
		var err error
		if d.params, err = search.Definition(t, root); err != nil {
			if f, ok := err.(search.Fault); ok {
				d.fail(f.Element, f.Reason)
			} else {
				d.fail("", err.Error())
			}
		}
	}
	return d
}

var standard = sync.OnceValue(func() map[string]bool {
	urls := map[string]bool{}
	for t := range r4.TypeID(r4.NumTypes()) {
		for _, p := range r4.SearchParameters(t) {
			urls[p.URL] = true
		}
	}
	return urls
})

func isStandard(url string) bool { return standard()[url] }

// Check gives the issues of a SearchParameter resource, the node root of t, which is to be
// stored under an id: none when it can be had beside the others, or is none that is used.
func (s *Set) Check(t *fhir.Tree, root fhir.NodeID, id string) []fhir.Issue {
	d := read(t, root, id)
	if d.State == Pending {
		all := []Definition{}
		for _, other := range s.Definitions {
			if other.ID == id {
				continue
			}
			if other.URL == d.URL && other.State == Pending {
				d.fail("url", "SearchParameter/"+other.ID+" has the same url '"+fhir.Cut(d.URL)+"'; expected one of its own")
			}
			if other.State == Pending {
				all = append(all, other)
			}
		}
		if d.State == Pending {
			with := newSet(append(all, d))
			for _, x := range with.Definitions {
				if x.State == Faulty && x.ID == id {
					d = x
				} else if x.State == Faulty && d.State == Pending { // it would take the place of another
					d.fail("code", "SearchParameter/"+x.ID+" would be at fault beside it: "+x.Reason)
				}
			}
		}
	}
	if d.State != Faulty {
		return nil
	}
	at := "SearchParameter"
	if d.element != "" {
		at += "." + d.element
	}
	return []fhir.Issue{{
		Severity: fhir.Error, Code: fhir.CodeInvalid, Expression: at,
		Diagnostics: "a search parameter that is active must be one that can be searched: " + d.Reason,
	}}
}
