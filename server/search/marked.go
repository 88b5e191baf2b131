package search

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
)

// maxMarks bounds the profiles, tags and security labels that [Index.Marked] looks for.
const maxMarks = 5_000

// Marked gives current resources of a type, or of all with typ 0, that have among them
// every profile, tag and security label that such a resource has. The error is an
// *outcome.Fault when there are too many, or when the data store cannot be searched.
func (x *Index) Marked(ctx context.Context, typ r4.TypeID) ([]lake.Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, x.o.Timeout)
	defer cancel()
	m, done, err := x.now(ctx, false)
	if err != nil {
		return nil, err
	}
	defer done()
	types := []r4.TypeID{typ}
	if typ == 0 {
		types = r4.ResourceTypes()
	}
	f, err := x.newFinder(ctx, m, &query.Query{})
	if err != nil {
		return nil, err
	}
	all, err := f.marked(ctx, types)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, outcome.Faultf(outcome.TooCostly, "what marks there are took longer than %s to find", x.o.Timeout)
	}
	return all, err
}

func (f *finder) marked(ctx context.Context, types []r4.TypeID) ([]lake.Resource, error) {
	alive, err := f.aliveSQL(ctx, f.x.o.Lake.Snapshot(), types)
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, mark := range [...]struct{ code, distinct string }{{"_profile", "uri, version"}, {"_tag", "code, system"}, {"_security", "code, system"}} {
		var kind search.Kind
		var groups []string
		for _, t := range types {
			if p := f.offered.Parameter(t, mark.code); p != nil {
				for _, term := range p.Terms {
					kind, groups = term.Kind, append(groups, strconv.FormatUint(uint64(term.Group(search.Main)), 10))
				}
			}
		}
		sets = append(sets, "SELECT min(addr) AS addr"+f.plan.from(kind.String())+"WHERE grp IN ("+strings.Join(groups, ",")+")"+alive+" GROUP BY "+mark.distinct)
	}
	list, err := f.addresses(ctx, fmt.Sprintf("SELECT DISTINCT addr FROM (%s) ORDER BY addr LIMIT %d", union(sets), maxMarks+1))
	if err != nil {
		return nil, err
	}
	if len(list) > maxMarks {
		return nil, outcome.Faultf(outcome.TooCostly, "more than %d resources would be read for their profiles, tags and security labels", maxMarks)
	}
	return f.read(ctx, list)
}
