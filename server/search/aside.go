package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
)

// aside works out what the index has no rows of and keeps it in tables beside it, as long
// as one search takes: what the planner asks for while it makes SQL.
type aside struct {
	*finder
	ctx    context.Context
	made   map[string]string // names of tables, by what they are of
	tables []*searchdb.Table
	alive  *string               // see aliveOf
	texts  map[string][][]string // what entityTexts found, by what was asked for
}

// drop lets the tables go.
func (a *aside) drop() {
	for _, t := range a.tables {
		t.Drop() // in memory, and the state drops it too: nothing that is left could be told
	}
}

// table makes a table once for each key.
func (a *aside) table(key string, columns []postings.Column, fill func(add func(row ...any) error) error) (string, error) {
	if name, ok := a.made[key]; ok {
		return name, nil
	}
	t, err := a.db.NewTable(a.ctx, columns, fill)
	if err != nil {
		return "", err
	}
	a.tables = append(a.tables, t)
	if a.made == nil {
		a.made = map[string]string{}
	}
	a.made[key] = t.Name()
	return t.Name(), nil
}

// created is a set of (addr, stored): when the resources of some types were first stored. For
// version 1 the index knows it, for others the history of the resource does.
func (a *aside) created(types []r4.TypeID) (string, error) {
	name, err := a.table(fmt.Sprint("created ", types), []postings.Column{{Name: "addr", Type: postings.Uint64}, {Name: "stored", Type: postings.Int64}},
		func(add func(row ...any) error) error {
			defer func(part string) { a.part = part }(a.part)
			a.part = "looking up when resources were first stored"
			return a.firstStored(types, add)
		})
	if err != nil {
		return "", err
	}
	return "(SELECT addr, updated AS stored" + a.plan.from("resource") + "WHERE " + typeIn(types) + " AND version = 1 UNION ALL SELECT addr, stored FROM " + name + ")", nil
}

// firstStored adds address and time of the resources of some types that have more than
// one version. The state remembers them: they are the same for ever.
func (a *aside) firstStored(types []r4.TypeID, add func(row ...any) error) error {
	rows, err := a.run(a.ctx, "SELECT addr, id"+a.plan.from("resource")+"WHERE "+typeIn(types)+" AND version > 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	var unknown []postings.Address
	var ids []string
	for rows.Next() {
		var at uint64
		var id string
		if err := rows.Scan(&at, &id); err != nil {
			return err
		}
		if t, ok := a.firsts.Load(postings.Address(at)); ok {
			if err := add(at, t.(int64)); err != nil {
				return err
			}
			continue
		}
		unknown, ids = append(unknown, postings.Address(at)), append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	n := 0
	var failed error
	err = a.x.o.Lake.FirstStored(func(yield func(r4.TypeID, string) bool) {
		for i, at := range unknown {
			if failed == nil {
				failed = a.ctx.Err()
			}
			if failed != nil || !yield(a.typeAt(at), ids[i]) {
				return
			}
		}
	}, func(updated int64) {
		a.firsts.Store(unknown[n], updated)
		failed = add(uint64(unknown[n]), updated)
		n++
	})
	if err == nil {
		err = failed
	}
	return err
}

// typeAt gives the type of the resource at an address, 0 when nobody has it.
func (m *moment) typeAt(a postings.Address) r4.TypeID {
	if a.Segment() != writtenSegment {
		if seg := m.rows.Manifest().ByOrdinal(a.Segment()); seg != nil {
			return r4.ResourceTypeByName([]byte(seg.ResourceType))
		}
		return 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if w := m.at(a.Row()); w != nil {
		return w.typ
	}
	return 0
}

// maxTargets is how many references to what is not in the data store are looked up for one
// sort: each wants a resource to be read.
const maxTargets = 20_000

// targets is a table of (target, base, text) of what references of a set are sorted by,
// where the target is no resource of this data store. rows is a query of addr, target and
// base, of current resources.
func (a *aside) targets(rows string, groups []search.GroupID) (string, error) {
	columns := []postings.Column{{Name: "target", Type: postings.Uint64}, {Name: "base", Type: postings.Uint64}, {Name: "text", Type: postings.Text}}
	return a.table("targets "+rows, columns, func(add func(row ...any) error) error {
		list, err := a.addresses(a.ctx, fmt.Sprintf("SELECT DISTINCT addr FROM (SELECT min(addr) AS addr FROM (%s) WHERE NOT (%s AND target IN (SELECT key%s)) GROUP BY target, base) ORDER BY addr LIMIT %d",
			rows, a.plan.local(), a.plan.from("resource"), maxTargets+1))
		if err != nil {
			return err
		}
		if len(list) > maxTargets {
			return outcome.Faultf(outcome.TooCostly, "what is found refers to more than %d things that are not in this data store, so it is not sorted by them; ask for less", maxTargets)
		}
		known := map[[2]uint64]bool{}
		for chunk := range slices.Chunk(list, 500) {
			resources, err := a.read(a.ctx, chunk)
			if err != nil {
				return err
			}
			v, err := a.values(a.ctx, resources)
			if err != nil {
				return err
			}
			for i := range v.References {
				r := &v.References[i]
				p := search.ReferenceParts{Type: r.Type, ID: v.Text(r.ID), URL: v.Text(r.URL)}
				target, base := a.plan.hash.Target(p)
				if target == 0 || known[[2]uint64{target, base}] || !slices.Contains(groups, r.Group) {
					continue
				}
				known[[2]uint64{target, base}] = true
				text := string(p.URL)
				if text == "" {
					text = p.Type.String() + "/" + string(p.ID)
				}
				if err := add(target, base, text); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// referenceOrder are addresses with the texts v that references sort by: the URL, or
// Type/id.
func (p *planner) referenceOrder(set string, t search.Term) (string, error) {
	alive, err := p.aside.aliveOf()
	if err != nil {
		return "", err
	}
	rows := "SELECT addr, target, base" + p.from("reference") + "WHERE " + p.group(t, search.Main) + " AND target <> 0 AND addr IN (" + set + ")" + alive
	others, err := p.aside.targets(rows, []search.GroupID{t.Group(search.Main)})
	if err != nil {
		return "", err
	}
	var names []string
	for _, typ := range r4.ResourceTypes() {
		names = append(names, fmt.Sprintf("(%d, '%s')", postings.TypeNumber(typ), typ))
	}
	prefix := "CASE base WHEN 0 THEN ''"
	for i, base := range p.q.Bases {
		prefix += fmt.Sprintf(" WHEN %d THEN %s", p.bases[i+1], searchdb.Quote(base))
	}
	return "SELECT r.addr, " + prefix + " END || n.name || '/' || x.id AS v FROM (" + rows + ") r " +
		"JOIN (SELECT key, any_value(type) AS type, any_value(id) AS id" + p.from("resource") + "GROUP BY key) x ON x.key = r.target " +
		"JOIN (VALUES " + strings.Join(names, ",") + ") n(type, name) ON n.type = x.type WHERE r." + p.local() +
		" UNION ALL SELECT r.addr, o.text FROM (" + rows + ") r JOIN " + others + " o ON o.target = r.target AND o.base = r.base", nil
}

// aliveOf is the condition that an address is of a current resource of the types that are
// searched.
func (a *aside) aliveOf() (string, error) {
	if a.alive == nil {
		var types []r4.TypeID
		for i := range a.q.Selects {
			types = append(types, a.q.Selects[i].Type)
		}
		s, err := a.aliveSQL(a.ctx, a.x.o.Lake.Snapshot(), types)
		if err != nil {
			return "", err
		}
		a.alive = &s
	}
	return *a.alive, nil
}
