// Package scope owns the scopes of SMART App Launch (2.2, and the forms of version 1) and
// what they come to: for an interaction with a type a [Permit], which narrows searches
// and looks at resources. Who has which scopes is package auth's; asking is server/rest's.
//
// What a scope says is enforced or the scope gives nothing, never a part of it is passed
// over: one that cannot be read, names a type that is none, or has a query that this
// package cannot look for in a resource, is as if it were not there.
//
// # The patient
//
// patient/ scopes are for the compartment of the token's patient (FHIR R4,
// CompartmentDefinition patient), user/ scopes too when the user (claim fhirUser) is a
// patient. A Practitioner or a PractitionerRole has all of the types that its user/ scopes
// name; any other user, and one that the token does not name, has nothing by them. Types that are in no patient's compartment are out of reach of them, but for
// those of supporting, which say nothing of patients and may be read. Of Patient only the
// patient is in reach, not other Patients that are linked.
//
// Read [Grants] first.
package scope

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Letters are the kinds of interactions of scopes: create, read, update, delete, search.
type Letters uint8

// The letters.
const (
	Create Letters = 1 << iota
	Read
	Update
	Delete
	Search
)

const cruds = "cruds"

// Scope is one scope for resources.
type Scope struct {
	Context string    // patient, user or system
	Type    r4.TypeID // 0 for all
	Letters Letters
	Query   string // of a granular scope, as it stands; "" for none
}

// Parse reads the scopes of a token; those that are not for resources, or cannot be
// read, are left out.
func Parse(text string) (all []Scope) {
	for item := range strings.FieldsSeq(text) {
		if s, ok := one(item); ok {
			all = append(all, s)
		}
	}
	return all
}

func one(text string) (s Scope, ok bool) {
	text, query, granular := strings.Cut(text, "?")
	context, rest, _ := strings.Cut(text, "/")
	name, letters, _ := strings.Cut(rest, ".")
	if !slices.Contains([]string{"patient", "user", "system"}, context) || granular && query == "" {
		return s, false
	}
	s = Scope{Context: context, Query: query}
	if name != "*" {
		if s.Type = r4.ResourceTypeByName([]byte(name)); s.Type == 0 {
			return s, false
		}
	}
	switch letters { // version 1, which has no queries
	case "read":
		s.Letters = Read | Search
		return s, !granular
	case "write":
		s.Letters = Create | Update | Delete
		return s, !granular
	case "*":
		s.Letters = Create | Read | Update | Delete | Search
		return s, !granular
	}
	last := -1
	for i := range len(letters) {
		n := strings.IndexByte(cruds, letters[i])
		if n <= last { // not one, twice, or not in order
			return s, false
		}
		last = n
		s.Letters |= 1 << n
	}
	return s, s.Letters != 0
}

// supporting are types in no patient's compartment that patient/ scopes may read.
var supporting = []r4.TypeID{
	r4.TypeHealthcareService, r4.TypeLocation, r4.TypeMedication, r4.TypeOrganization, r4.TypePractitioner, r4.TypePractitionerRole,
}

// Grants are the scopes of a token. They are safe for concurrent use.
type Grants struct {
	Scopes  []Scope
	Patient string // id of the patient in context; "" for none
	User    string // id of the patient that the user is; "" when the user is none
	Staff   bool   // the user is a Practitioner or a PractitionerRole
}

// Any tells whether a scope is for one of the letters, of whatever type.
func (g *Grants) Any(l Letters) bool {
	return slices.ContainsFunc(g.Scopes, func(s Scope) bool { return s.Letters&l != 0 })
}

// Whole tells whether what is granted at all is granted for every resource.
func (g *Grants) Whole() bool {
	for l := Create; l <= Search; l <<= 1 {
		if g.Any(l) && !slices.ContainsFunc(g.Scopes, func(s Scope) bool {
			return s.Letters&l != 0 && s.Type == 0 && s.Query == "" && (s.Context == "system" || s.Context == "user" && g.Staff && g.User == "")
		}) {
			return false
		}
	}
	return true
}

// Permit gives what may be done of a kind with resources of a type; nil for nothing.
func (g *Grants) Permit(l Letters, t r4.TypeID) *Permit {
	p := &Permit{typ: t}
	for _, s := range g.Scopes {
		if s.Letters&l == 0 || s.Type != 0 && s.Type != t {
			continue
		}
		alt := alternative{}
		if s.Query != "" {
			var ok bool
			if alt.matches, ok = readQuery(t, s.Query); !ok {
				continue
			}
		}
		patient := ""
		switch {
		case s.Context == "patient" && g.Patient == "":
			continue
		case s.Context == "patient":
			patient = g.Patient
		case s.Context == "user" && g.User == "" && !g.Staff:
			continue
		case s.Context == "user":
			patient = g.User
		}
		switch {
		case patient == "":
		case t == r4.TypePatient:
			alt.id = patient
		case compartment.SearchCodes(t) != nil:
			alt.patient = patient
		case l&^(Read|Search) != 0 || !slices.Contains(supporting, t):
			continue
		}
		p.alternatives = append(p.alternatives, alt)
		p.all = p.all || alt.id == "" && alt.patient == "" && alt.matches == nil
	}
	if p.alternatives == nil {
		return nil
	}
	return p
}
