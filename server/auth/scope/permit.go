package scope

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
)

var compartment = r4.Compartment("Patient")

// Permit says which resources of a type are within reach. It is immutable.
type Permit struct {
	typ          r4.TypeID
	all          bool
	alternatives []alternative // one must hold
}

// alternative is what one scope allows: what is not empty must hold.
type alternative struct {
	id      string        // of the resource
	patient string        // in whose compartment it is
	matches []query.Match // of tokens
}

// All tells whether every resource of the type is within reach.
func (p *Permit) All() bool { return p.all }

// Filter is what a search of the type is narrowed by, when not all is within reach.
func (p *Permit) Filter() query.Filter {
	var any query.AnyOf
	for _, a := range p.alternatives {
		var all query.AllOf
		if a.id != "" {
			all = append(all, query.ID{IDs: []string{a.id}})
		}
		if a.patient != "" {
			var in query.AnyOf
			for _, q := range membership(p.typ) {
				in = append(in, query.Match{Param: q, Values: []query.Value{query.Reference{Types: []r4.TypeID{r4.TypePatient}, ID: a.patient}}})
			}
			all = append(all, in)
		}
		for _, m := range a.matches {
			all = append(all, m)
		}
		if all == nil { // a supporting type
			all = query.AllOf{query.Constant(true)}
		}
		any = append(any, all)
	}
	return any
}

// membership gives the parameters that put resources of a type in a patient's compartment.
func membership(t r4.TypeID) (all []*search.Parameter) {
	for _, code := range compartment.SearchCodes(t) {
		if q := search.R4().Parameter(t, code); q != nil && q.Type == r4.SearchReference {
			all = append(all, q)
		}
	}
	return all
}

// readQuery reads the query of a granular scope, for a type: parameters of tokens, without
// modifiers.
func readQuery(t r4.TypeID, text string) (matches []query.Match, ok bool) {
	q, err := capability.Searches.Parse(query.Request{Type: t, Raw: []string{text}, Strict: true})
	if err != nil || len(q.Issues) > 0 || len(q.Selects) != 1 || len(q.Selects[0].Where) == 0 {
		return nil, false
	}
	// A result parameter, such as _count, would be none of the filters.
	if len(q.Selects[0].Where) != len(strings.Split(q.Self(), "&")) {
		return nil, false
	}
	for _, f := range q.Selects[0].Where {
		m, ok := f.(query.Match)
		if !ok || m.Not || m.Facet != search.Main || m.Param.Type != r4.SearchToken || len(m.Param.Terms) == 0 {
			return nil, false
		}
		for _, v := range m.Values {
			if _, ok := v.(query.Token); !ok {
				return nil, false
			}
		}
		matches = append(matches, m)
	}
	return matches, true
}

// reader finds the search values of one resource.
type reader struct {
	chain *pipeline.Chain
	batch pipeline.Batch
}

var readers = sync.Pool{New: func() any {
	chain, err := pipeline.NewChain(parse.New(), index.New(search.R4()))
	if err != nil {
		panic(err) // the stages have no options
	}
	return &reader{chain: chain}
}}

var errUnread = errors.New("a resource cannot be read to see whose it is")

// Holds tells whether a resource is within reach. bases are the URLs that absolute
// references to this data store begin with.
func (p *Permit) Holds(id string, text []byte, bases []string) (bool, error) {
	if p == nil {
		return false, nil
	}
	if p.all {
		return true, nil
	}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	b := &r.batch
	b.Reset()
	b.Lenient = true
	b.Data = append(append(b.Data, text...), '\n')
	b.Records = append(b.Records, pipeline.Record{Line: 1, Entry: -1, End: uint32(len(text)), Root: fhir.NoNode})
	b.Pad()
	if err := r.chain.Process(context.Background(), b); err != nil {
		return false, err
	}
	if b.Records[0].Status == pipeline.Rejected || b.Records[0].Type != p.typ {
		return false, errUnread
	}
	v := pipeline.SearchValues.Of(b)
	return slices.ContainsFunc(p.alternatives, func(a alternative) bool {
		if a.id != "" && a.id != id || a.patient != "" && !refers(v, p.typ, a.patient, bases) {
			return false
		}
		return !slices.ContainsFunc(a.matches, func(m query.Match) bool { return !matches(v, &m) })
	}), nil
}

// refers tells whether a parameter of the compartment is a reference to the patient.
func refers(v *search.Values, t r4.TypeID, patient string, bases []string) bool {
	params := membership(t)
	for i := range v.References {
		r := &v.References[i]
		if r.Type != r4.TypePatient || string(v.Text(r.ID)) != patient {
			continue
		}
		if url := string(v.Text(r.URL)); url != "" && !slices.Contains(bases, strings.TrimSuffix(url, "Patient/"+patient)) {
			continue
		}
		for _, q := range params {
			for _, term := range q.Terms {
				if term.Group(search.Main) == r.Group && (term.Target == 0 || term.Target == r.Type) {
					return true
				}
			}
		}
	}
	return false
}

// matches tells whether a token of the resource is one of those that are wanted.
func matches(v *search.Values, m *query.Match) bool {
	for i := range v.Tokens {
		r := &v.Tokens[i]
		if !slices.ContainsFunc(m.Param.Terms, func(t search.Term) bool { return t.Group(search.Main) == r.Group }) {
			continue
		}
		for _, want := range m.Values {
			if isToken(v, want.(query.Token), r) {
				return true
			}
		}
	}
	return false
}

func isToken(v *search.Values, want query.Token, r *search.Token) bool {
	code, system, wanted := string(v.Text(r.Code)), string(v.Text(r.System)), want.Code
	if r.Folded {
		wanted = want.Lower
	}
	if wanted != "" && code != wanted && !(want.Media && strings.HasPrefix(code, wanted+";")) {
		return false
	}
	switch want.Test {
	case query.NoSystem:
		return system == "" || r.Implied
	case query.OneSystem:
		return system == want.System
	}
	return true
}
