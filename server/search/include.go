package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
)

// maxIncluded bounds the resources that come with a page.
const maxIncluded = 5000

// identity is a resource, whatever its version.
type identity struct {
	typ r4.TypeID
	id  string
}

// includer gathers what comes with a page.
type includer struct {
	*finder
	seen map[identity]bool
	all  []lake.Resource
}

// include finds what the matches refer to and what refers to them, and with :iterate
// what these do (R4, 3.1.1.5.4). Each resource comes once.
func (f *finder) include(ctx context.Context, matches []lake.Resource) ([]lake.Resource, error) {
	in := &includer{finder: f, seen: map[identity]bool{}}
	for i := range matches {
		in.seen[identity{matches[i].Type, matches[i].ID}] = true
	}
	round := matches
	for n := 0; len(round) > 0; n++ {
		from := len(in.all)
		if err := in.forward(ctx, round, n > 0); err != nil {
			return nil, err
		}
		if err := in.backward(ctx, round, n > 0); err != nil {
			return nil, err
		}
		round = in.all[from:]
	}
	return in.all, nil
}

// add takes a resource that was not there yet.
func (in *includer) add(r lake.Resource) error {
	id := identity{r.Type, r.ID}
	if in.seen[id] {
		return nil
	}
	in.seen[id] = true
	if in.all = append(in.all, r); len(in.all) > maxIncluded {
		return outcome.Faultf(outcome.TooCostly, "%s brings more than %d resources to this page; ask for fewer with _count", in.part, maxIncluded)
	}
	return nil
}

// forward adds what resources refer to.
func (in *includer) forward(ctx context.Context, from []lake.Resource, again bool) error {
	groups := map[search.GroupID]map[r4.TypeID]bool{} // with the types that are wanted; 0: any
	var names []string
	for _, x := range in.q.Includes {
		if x.Reverse || again && !x.Iterate {
			continue
		}
		names = append(names, x.Name())
		for _, q := range in.parameters(x, from) {
			for _, t := range q.Terms {
				if x.Target != 0 && t.Target != 0 && x.Target != t.Target {
					continue
				}
				g := t.Group(search.Main)
				if groups[g] == nil {
					groups[g] = map[r4.TypeID]bool{}
				}
				groups[g][max(x.Target, t.Target)] = true
			}
		}
	}
	if len(groups) == 0 {
		return nil
	}
	in.part = strings.Join(names, ", ")
	targets, err := in.targets(ctx, from, groups)
	if err != nil {
		return err
	}
	for _, id := range targets {
		if in.seen[id] {
			continue
		}
		r, err := in.x.o.Lake.Read(id.typ, id.id, nil)
		var gone *lake.GoneError
		if errors.Is(err, lake.ErrNotFound) || errors.As(err, &gone) {
			continue // a reference to nothing
		}
		if err == nil {
			err = in.add(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// targets reads from the resources themselves what they refer to: the index has no way
// from a row to its values.
func (in *includer) targets(ctx context.Context, from []lake.Resource, groups map[search.GroupID]map[r4.TypeID]bool) (all []identity, err error) {
	v, err := in.values(ctx, from)
	if err != nil {
		return nil, err
	}
	for i := range v.References {
		r := &v.References[i]
		wanted := groups[r.Group]
		id := string(v.Text(r.ID))
		if url := string(v.Text(r.URL)); url != "" && !in.isLocal(url, r.Type, id) {
			continue
		}
		if id != "" && (wanted[0] || wanted[r.Type]) {
			all = append(all, identity{r.Type, id})
		}
	}
	return all, nil
}

// values extracts the search values of resources.
func (f *finder) values(ctx context.Context, from []lake.Resource) (*search.Values, error) {
	chain, err := pipeline.NewChain(parse.New(), index.New(f.offered.Table))
	if err != nil {
		return nil, err
	}
	b := pipeline.Batch{Lenient: true}
	for i := range from {
		start := len(b.Data)
		b.Data = append(append(b.Data, from[i].JSON...), '\n')
		b.Records = append(b.Records, pipeline.Record{
			Line: int64(i) + 1, Entry: -1, Start: uint32(start), End: uint32(len(b.Data) - 1), Root: fhir.NoNode,
		})
	}
	b.Pad()
	if err := chain.Process(ctx, &b); err != nil {
		return nil, err
	}
	return pipeline.SearchValues.Of(&b), nil
}

// isLocal tells whether a URL is of a resource of this data store.
func (in *includer) isLocal(url string, typ r4.TypeID, id string) bool {
	return id != "" && slices.Contains(in.q.Bases, strings.TrimSuffix(url, typ.String()+"/"+id))
}

// parameters are those that an include follows from resources.
func (in *includer) parameters(x query.Include, from []lake.Resource) (all []*search.Parameter) {
	if x.Params != nil {
		return x.Params
	}
	types := []r4.TypeID{x.Source}
	if x.Source == 0 {
		types = r4.ResourceTypes()
		if !x.Reverse {
			types = nil
			for i := range from {
				if !slices.Contains(types, from[i].Type) {
					types = append(types, from[i].Type)
				}
			}
		}
	}
	for _, t := range types {
		for _, q := range in.offered.Parameters(t) {
			if q.Type == r4.SearchReference && q.Origin == search.OriginRows {
				all = append(all, q)
			}
		}
	}
	return all
}

// backward adds what refers to resources.
func (in *includer) backward(ctx context.Context, from []lake.Resource, again bool) error {
	for _, x := range in.q.Includes {
		if !x.Reverse || again && !x.Iterate {
			continue
		}
		in.part = x.Name()
		var keys []uint64
		for j := range from {
			if r := &from[j]; x.Target == 0 || r.Type == x.Target {
				keys = append(keys, in.plan.hash.Resource(r.Type, []byte(r.ID)))
			}
		}
		if len(keys) == 0 {
			continue
		}
		var sets []string
		for _, q := range in.parameters(x, from) {
			for _, t := range q.Terms {
				sets = append(sets, "SELECT addr"+in.plan.from("reference")+"WHERE "+in.plan.group(t, search.Main)+" AND "+in.plan.local()+" AND "+inHashes("target", keys))
			}
		}
		set := union(sets)
		if x.Source != 0 {
			set = intersect([]string{set, in.plan.resources([]r4.TypeID{x.Source}, "")}, nil)
		}
		list, err := in.current(ctx, set)
		if err != nil {
			return err
		}
		resources, err := in.read(ctx, list)
		if err != nil {
			return err
		}
		for _, r := range resources {
			if err := in.add(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// current gives the addresses of a set that are of current resources, as many as are
// refused at least when there are so many.
func (in *includer) current(ctx context.Context, set string) (all []postings.Address, err error) {
	const most = 4 * maxIncluded // of one query
	after := ""
	for {
		list, err := in.addresses(ctx, fmt.Sprintf("SELECT DISTINCT addr FROM (%s)%s ORDER BY addr LIMIT %d", set, after, most))
		if err != nil {
			return nil, err
		}
		more := len(list) == most
		if more {
			after = fmt.Sprintf(" WHERE addr > %d", list[most-1])
		}
		if list, err = in.keepAlive(in.x.o.Lake.Snapshot(), list); err != nil {
			return nil, err
		}
		if all = append(all, list...); len(all) > maxIncluded {
			return all[:maxIncluded+1], nil // add refuses the last
		}
		if !more {
			return all, nil
		}
	}
}
