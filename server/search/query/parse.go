package query

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Parameters are the search parameters that there are. A search.Table is one.
type Parameters interface {
	// Parameter gives the parameter of a type that a code names, or nil.
	Parameter(typ r4.TypeID, code string) *search.Parameter
}

var _ Parameters = (*search.Table)(nil)

// Features are abilities of the index and of what stands beside it. What needs one that
// is not there is not offered.
type Features uint16

// The features.
const (
	Terminology    Features = 1 << iota // Concept and ValueSet
	Narrative                           // Words of the narrative: _text
	Content                             // Words of all texts: _content
	Near                                // Position: near
	VersionBelow                        // Reference.VersionBelow
	Inside                              // contained resources: _contained
	ReferenceOrder                      // SortKey of a reference
	FirstStored                         // Stored with First, and SortKeys of it: createdAt
	Entities                            // Match and Missing of what NLP found
)

// Limits keep searches small (invariant 1). A zero field has its default.
type Limits struct {
	Length     int // bytes of the text; 1 MiB
	Parameters int // 200
	Values     int // values of all parameters together; 10,000
	Hops       int // of one chain, reverse ones counted; 16
	Branches   int // Selects in all chains together: a chain without a type has many; 1,000
	SortKeys   int // 32
	PageSize   int // the greatest _count; DefaultPageSize
}

// DefaultPageSize is the greatest _count when the limits do not say.
const DefaultPageSize = 1_000

func (l Limits) orDefaults() Limits {
	return Limits{
		Length:     cmp.Or(l.Length, 1<<20),
		Parameters: cmp.Or(l.Parameters, 200),
		Values:     cmp.Or(l.Values, 10_000),
		Hops:       cmp.Or(l.Hops, 16),
		Branches:   cmp.Or(l.Branches, 1_000),
		SortKeys:   cmp.Or(l.SortKeys, 32),
		PageSize:   cmp.Or(l.PageSize, DefaultPageSize),
	}
}

// Compartment is the compartment of a resource.
type Compartment struct {
	Type r4.TypeID
	ID   string
}

// Request is a search as it comes in.
type Request struct {
	// Type is the searched type; 0 for all types, or for all that are in the
	// compartment.
	Type        r4.TypeID
	Compartment *Compartment // nil for none
	// Raw are the query of the URL and the form that was posted, in this order, each as
	// it stands.
	Raw []string
	// Strict is Prefer: handling=strict.
	Strict bool
	// Bases are the URLs at which this server's resources are known, each with a slash
	// at its end: a reference to one of them is a relative one.
	Bases []string
	Now   time.Time
	// Known are parameters that the caller has taken care of. They are passed over and
	// are not in Query.Self. _format and _pretty are passed over, and are.
	Known []string
}

// Parser reads searches. It is safe for many goroutines.
type Parser struct {
	Parameters Parameters
	Features   Features
	Limits     Limits
}

// Parse reads a search. An error is an *outcome.Fault that tells what is wrong with
// each parameter.
func (p *Parser) Parse(r Request) (*Query, error) {
	s := &reader{Parser: p, request: &r, limits: p.Limits.orDefaults()}
	q, err := s.read()
	if err != nil {
		return nil, &outcome.Fault{Kind: outcome.Malformed, Issues: []fhir.Issue{issue(fhir.Error, "", err)}}
	}
	if len(s.faults) > 0 {
		return nil, &outcome.Fault{Kind: outcome.Malformed, Issues: s.faults}
	}
	return q, nil
}

// reader is the state of reading one search.
type reader struct {
	*Parser
	request *Request
	limits  Limits
	q       *Query
	faults  []fhir.Issue

	values   int // read so far
	branches int // of chains, made so far
	memo     map[memoKey]memo
	seen     map[pair]bool // parameters that were there
	given    map[string]bool
}

// memoKey names values that were read already for another type.
type memoKey struct {
	param *r4.SearchParameter
	rest  string // the name from the parameter on
}

type memo struct {
	filter Filter
	err    error
}

func (s *reader) read() (*Query, error) {
	s.q = &Query{Count: NoCount, Now: s.request.Now.UnixMicro(), Bases: s.request.Bases}
	var pairs []pair
	length := 0
	for _, raw := range s.request.Raw {
		if length += len(raw); length > s.limits.Length {
			return nil, costly("the search is longer than %d bytes", s.limits.Length)
		}
	}
	for _, raw := range s.request.Raw {
		var err error
		if pairs, err = decode(raw, &s.limits, pairs); err != nil {
			return nil, err
		}
	}
	types, err := s.types(pairs)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		s.q.Selects = append(s.q.Selects, Select{Type: t})
	}
	if err := s.inCompartment(); err != nil {
		return nil, err
	}
	s.seen, s.given = map[pair]bool{}, map[string]bool{}
	for _, x := range pairs {
		if slices.Contains(s.request.Known, x.name) || s.seen[x] {
			continue
		}
		s.seen[x] = true
		kept, err := s.parameter(x)
		var p *problem
		switch {
		case err == nil:
			if kept != "" {
				s.q.self = append(s.q.self, pair{x.name, kept})
			}
		case errors.As(err, &p) && p.kind == tooCostly:
			return nil, err
		default:
			s.refuse(x.name, err)
		}
	}
	s.together()
	return s.q, nil
}

// refuse tells what is wrong with a parameter, or that it is left out.
func (s *reader) refuse(name string, err error) {
	if isUnsupported(err) && !s.request.Strict {
		s.q.Issues = append(s.q.Issues, issue(fhir.Warning, name, malformedAs(err)))
		return
	}
	if len(s.faults) < maxFaults {
		s.faults = append(s.faults, issue(fhir.Error, name, err))
	}
}

// malformedAs says of something not offered that it has been left out.
func malformedAs(err error) error { return unsupported("%v; it is left out", err) }

// parameter reads one parameter and gives its value as far as it is honoured.
func (s *reader) parameter(x pair) (kept string, err error) {
	base, _, _ := strings.Cut(x.name, ":")
	if strings.TrimSpace(x.value) == "" {
		s.q.Issues = append(s.q.Issues, issue(fhir.Information, x.name, unsupported("it has no value; it is left out")))
		return "", nil
	}
	switch base {
	case "_format", "_pretty":
		return x.value, nil
	case "_type":
		return x.value, s.noModifier(x)
	case "_include", "_revinclude":
		return x.value, s.include(x, base == "_revinclude")
	case "_sort":
		if err := s.noModifier(x); err != nil {
			return "", err
		}
		return s.sort(x)
	case "_elements":
		if err := s.noModifier(x); err != nil {
			return "", err
		}
		return s.elements(x)
	case "_count", "_total", "_summary", "_contained", "_containedType":
		if err := s.noModifier(x); err != nil {
			return "", err
		}
		return x.value, s.once(x)
	}
	return s.filter(x)
}

func (s *reader) noModifier(x pair) error {
	if _, modifier, ok := strings.Cut(x.name, ":"); ok {
		return malformed("it takes no modifier, and has '%s'", fhir.Cut(modifier))
	}
	return nil
}

// types gives the types that are searched, sorted.
func (s *reader) types(pairs []pair) ([]r4.TypeID, error) {
	all := r4.ResourceTypes()
	if c := s.request.Compartment; c != nil {
		d := r4.Compartment(c.Type.String())
		if d == nil {
			return nil, malformed("there is no compartment of a %s", c.Type)
		}
		all = []r4.TypeID{c.Type} // as R4's definitions say with {def} for some of them
		for _, m := range d.Members {
			if m.Type != c.Type {
				all = append(all, m.Type)
			}
		}
	}
	if t := s.request.Type; t != 0 {
		if !slices.Contains(all, t) {
			return nil, malformed("no %s is in the compartment of a %s", t, s.request.Compartment.Type)
		}
		all = []r4.TypeID{t}
	}
	for _, x := range pairs {
		if x.name != "_type" || strings.TrimSpace(x.value) == "" {
			continue
		}
		var some []r4.TypeID
		for name := range strings.SplitSeq(x.value, ",") {
			t := r4.ResourceTypeByName([]byte(name))
			if t == 0 {
				return nil, malformed("parameter _type: '%s' is no resource type", fhir.Cut(name))
			}
			if slices.Contains(all, t) && !slices.Contains(some, t) {
				some = append(some, t)
			}
		}
		if len(some) == 0 {
			return nil, malformed("parameter _type: none of '%s' is searched here", fhir.Cut(x.value))
		}
		all = some
	}
	all = slices.Clone(all)
	slices.Sort(all)
	return all, nil
}

// inCompartment adds the filters of the compartment.
func (s *reader) inCompartment() error {
	c := s.request.Compartment
	if c == nil {
		return nil
	}
	d := r4.Compartment(c.Type.String())
	for i := range s.q.Selects {
		sel := &s.q.Selects[i]
		var any AnyOf
		if sel.Type == c.Type {
			any = append(any, ID{IDs: []string{c.ID}})
		}
		for _, code := range d.SearchCodes(sel.Type) {
			if p := s.Parameters.Parameter(sel.Type, code); p != nil && p.Type == r4.SearchReference {
				any = append(any, Match{Param: p, Values: []Value{Reference{Types: []r4.TypeID{c.Type}, ID: c.ID}}})
			}
		}
		switch len(any) {
		case 0:
			sel.Where = append(sel.Where, Constant(false))
		case 1:
			sel.Where = append(sel.Where, any[0])
		default:
			sel.Where = append(sel.Where, any)
		}
	}
	return nil
}
