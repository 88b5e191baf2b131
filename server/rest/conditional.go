package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Conditional writes are single by two means (docs/decisions/0038). Who decides by criteria holds their lock
// from before the search, which sees all commits before it, until after the commit, so
// of writes with the same criteria each sees what the one before it did. And a write of
// the one resource that was found names its version (If-Match of store/lake), so what
// any other write does to it between makes the decision be made again.

// criteria are the parameters of a conditional interaction (FHIR R4, 3.1.0.4.3).
type criteria struct {
	q   *query.Query
	key string // the same for the same criteria of a data store
}

// readCriteria reads criteria of a type. All of them must be understood: one that is
// left out would make another resource the one.
func (c *call) readCriteria(typ r4.TypeID, text string) (criteria, error) {
	q, err := c.parse(query.Request{
		Type: typ, Raw: []string{strings.TrimPrefix(text, "?")}, Strict: true, Bases: c.bases(), Now: c.h.o.Now(),
		Known: []string{"_format", "_pretty", "_count", "_summary", "_elements"},
	})
	switch {
	case err != nil:
		return criteria{}, err
	case len(q.Issues) > 0:
		return criteria{}, &outcome.Fault{Kind: outcome.Malformed, Issues: q.Issues}
	case len(q.Selects) != 1 || len(q.Selects[0].Where) == 0:
		return criteria{}, outcome.Faultf(outcome.Malformed, "a conditional interaction needs a parameter that says which %s is meant", typ)
	}
	pairs := strings.Split(q.Self(), "&")
	slices.Sort(pairs)
	plain := *q
	plain.Includes, plain.Summary, plain.Total, plain.Selects = nil, query.SummaryUnsaid, query.TotalNone, slices.Clone(q.Selects)
	plain.Selects[0].Sort = nil
	if err := c.narrow(&plain); err != nil {
		return criteria{}, err
	}
	return criteria{q: &plain, key: c.datastore + "/" + typ.String() + "?" + strings.Join(pairs, "&")}, nil
}

// match gives the resources that criteria find, at most n.
func (c *call) match(of criteria, n int) ([]lake.Resource, error) {
	q := *of.q
	q.Count = n
	p, err := c.find(&q, search.Request{})
	if err != nil {
		return nil, err
	}
	return p.Matches, nil
}

// the gives the one resource that criteria find, nil for none.
func (c *call) the(of criteria) (*lake.Resource, error) {
	list, err := c.match(of, 2)
	switch {
	case err != nil || len(list) == 0:
		return nil, err
	case len(list) > 1:
		return nil, outcome.Faultf(outcome.Stale, "more than one %s matches the criteria", of.q.Selects[0].Type)
	}
	return &list[0], nil
}

// decisions is how often a conditional write is decided anew because the resource that
// it found was changed before it was committed.
const decisions = 16

// changedMeanwhile says that the resource that was found is not as it was: decide again.
type changedMeanwhile struct{ error }

// decide calls f with the one resource that criteria find, nil for none, under the lock
// of the criteria. f commits.
func (c *call) decide(of criteria, f func(one *lake.Resource) (*reply, error)) (*reply, error) {
	unlock, err := c.h.conditions.lock(c.ctx, of.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range decisions {
		one, err := c.the(of)
		if err != nil {
			return nil, err
		}
		out, err := f(one)
		if again := (changedMeanwhile{}); !errors.As(err, &again) {
			return out, err
		}
	}
	return nil, c.tooLively()
}

func (c *call) tooLively() error {
	return outcome.Faultf(outcome.Conflict, "what the criteria find of %s is changed all the time; try again", c.typ)
}

// commitFound commits a change of the version that was found.
func (c *call) commitFound(x *change, one *lake.Resource) (*reply, error) {
	if err := c.bind(&x.write, one); err != nil {
		return nil, err
	}
	writes := make([]lake.Write, 1)
	x.arm(&writes[0])
	outcomes, err := c.commitWrites(writes)
	if condition := (*lake.ConditionError)(nil); errors.As(err, &condition) {
		return nil, changedMeanwhile{err}
	}
	if err != nil {
		return nil, c.commitFault(err)
	}
	x.write = writes[0]
	if x.write.Method == delta.Delete {
		return deleted(&outcomes[0]), nil
	}
	out, err := c.written(x, &outcomes[0])
	if err == nil {
		out.location = locationOf(one.Type, one.ID, out.version) // the client cannot know it
	}
	return out, err
}

// createUnless stores a resource unless one is there that matches (FHIR R4, 3.1.0.8.1).
func (c *call) createUnless(text string) (*reply, error) {
	of, err := c.readCriteria(c.typ, text)
	if err != nil {
		return nil, inPart("header If-None-Exist", err)
	}
	return c.decide(of, func(one *lake.Resource) (*reply, error) {
		if one == nil {
			return c.createNew()
		}
		return c.existing(one)
	})
}

// existing is the reply of a conditional create that found the resource.
func (c *call) existing(one *lake.Resource) (*reply, error) {
	out := &reply{
		status: http.StatusOK, id: one.ID, version: one.Number, updated: one.Updated, resource: true,
		location: locationOf(one.Type, one.ID, one.Number), flawed: flawed(one.Beside),
	}
	if c.prefer.outcome {
		out.resource = false
		out.json = outcome.Append(nil, []fhir.Issue{{Severity: fhir.Information, Code: "informational", Diagnostics: "a resource that matches was there, and nothing was created"}}, outcome.At{})
		return out, nil
	}
	if c.prefer.minimal || c.entry && !c.prefer.representation {
		return out, nil
	}
	var err error
	out.json, err = shown(one.Type, one.JSON, one.Beside)
	return out, err
}

// inPart says where the criteria are that are at fault.
func inPart(name string, err error) error {
	var f *outcome.Fault
	if !errors.As(err, &f) {
		return err
	}
	issues := slices.Clone(f.Issues)
	for i := range issues {
		issues[i].Diagnostics = name + ": " + issues[i].Diagnostics
	}
	return &outcome.Fault{Kind: f.Kind, Issues: issues}
}

// conditionalUpdate updates the resource that matches, or creates one (FHIR R4,
// 3.1.0.4.3).
func (c *call) conditionalUpdate() (*reply, error) {
	of, err := c.readCriteria(c.typ, c.raw)
	if err != nil {
		return nil, err
	}
	return c.decide(of, func(one *lake.Resource) (*reply, error) {
		id, err := c.idOfUpdate(c.body, one)
		if err != nil {
			return nil, err
		}
		x, err := c.prepare(c.typ, id, true)
		if err != nil {
			return nil, err
		}
		defer x.end()
		x.write.Method = delta.Update
		if err := c.setConditions(&x.write); err != nil {
			return nil, err
		}
		if one != nil {
			return c.commitFound(x, one)
		}
		if err := c.bind(&x.write, nil); err != nil {
			return nil, err
		}
		named := *c
		named.id = id
		out, err := named.commit(x)
		return out, takenID(c.typ, id, err)
	})
}

// idOfUpdate gives the id under which a conditional update stores the resource.
func (c *call) idOfUpdate(body []byte, one *lake.Resource) (string, error) {
	given := idIn(body)
	switch {
	case one != nil && given != "" && given != one.ID:
		return "", outcome.Faultf(outcome.Malformed, "the id of the resource is not that of the %s that matches", c.typ).At(c.typ.String() + ".id")
	case one != nil:
		return one.ID, nil
	case given == "":
		return c.h.o.NewID(), nil
	case !validID(given):
		return "", outcome.Faultf(outcome.Malformed, "'%s' is no valid id: 1 to 64 letters, digits, '-' and '.'", clip(given)).At(c.typ.String() + ".id")
	}
	return given, nil
}

// takenID makes the fault of a creation whose id is in use a conflict: the resource with
// the id is not the one that the criteria mean.
func takenID(typ r4.TypeID, id string, err error) error {
	var f *outcome.Fault
	if errors.As(err, &f) && f.Kind == outcome.Stale {
		return outcome.Faultf(outcome.Conflict, "no %s matches the criteria, and the id '%s' is in use, or was", typ, id).At(typ.String() + ".id")
	}
	return err
}

// conditionalPatch patches the resource that matches.
func (c *call) conditionalPatch() (*reply, error) {
	of, err := c.readCriteria(c.typ, c.raw)
	if err != nil {
		return nil, err
	}
	return c.decide(of, func(one *lake.Resource) (*reply, error) {
		if one == nil {
			return nil, noMatch(c.typ)
		}
		named := *c
		named.id = one.ID
		x, err := named.preparePatch()
		if err != nil {
			return nil, err
		}
		defer x.end()
		return named.commitFound(x, one)
	})
}

func noMatch(typ r4.TypeID) error {
	return outcome.Faultf(outcome.NotFound, "no %s matches the criteria", typ)
}

// conditionalDelete deletes the resource that matches (FHIR R4, 3.1.0.7.1), or with
// _count up to so many (as in Amazon HealthLake).
func (c *call) conditionalDelete() (*reply, error) {
	if c.headerOf("If-Match") != "" || c.headerOf("If-None-Match") != "" {
		return nil, outcome.Faultf(outcome.Malformed, "headers If-Match and If-None-Match do not go with a conditional delete")
	}
	of, err := c.readCriteria(c.typ, c.raw)
	if err != nil {
		return nil, err
	}
	if c.query.Has("_count") {
		return c.deleteMany(of)
	}
	return c.decide(of, func(one *lake.Resource) (*reply, error) {
		if one == nil {
			return nil, noMatch(c.typ)
		}
		return c.commitFound(deletionOf(one), one)
	})
}

func deletionOf(one *lake.Resource) *change {
	return &change{write: lake.Write{Type: one.Type, ID: one.ID, Method: delta.Delete}}
}

// deleteMany deletes what matches, as many as _count says. The link next, to be followed
// with DELETE, is there while there is more.
func (c *call) deleteMany(of criteria) (*reply, error) {
	n, err := countOf(c.query.Get("_count"), capability.MaxDelete)
	if err != nil {
		return nil, err
	}
	if c.entry {
		return nil, outcome.Faultf(outcome.NotSupported, "parameter _count: many resources are not deleted at once in a Bundle")
	}
	unlock, err := c.h.conditions.lock(c.ctx, of.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range decisions {
		list, err := c.match(of, n+1)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, noMatch(c.typ)
		}
		more := len(list) > n
		list = list[:min(n, len(list))]
		writes := make([]lake.Write, len(list))
		for i := range list {
			writes[i] = lake.Write{Type: list[i].Type, ID: list[i].ID, Method: delta.Delete, IfMatch: list[i].Number}
		}
		outcomes, err := c.commitWrites(writes)
		if condition := (*lake.ConditionError)(nil); errors.As(err, &condition) {
			continue
		}
		if err != nil {
			return nil, err
		}
		next := ""
		if more {
			next = fmt.Sprintf("%s/%s?%s&_count=%d", c.base, c.typ, of.q.Self(), n)
		}
		return c.deletedMany(outcomes, next), nil
	}
	return nil, c.tooLively()
}

// deletedMany tells what was deleted, and where there is more.
func (c *call) deletedMany(outcomes []lake.Outcome, next string) *reply {
	out := []byte(`{"resourceType":"Bundle","type":"batch-response"`)
	if next != "" {
		out = fhir.AppendQuoted(append(out, `,"link":[{"relation":"next","url":`...), next)
		out = append(out, `}]`...)
	}
	sep := `,"entry":[`
	for i := range outcomes {
		o := &outcomes[i]
		out = fmt.Appendf(append(out, sep...), `{"fullUrl":"%s/%s/%s","response":{"status":"204 No Content","etag":"W/\"%d\"","lastModified":"%s"}}`,
			c.base, o.Type, o.ID, o.Number, instant(o.Updated))
		sep = ","
	}
	return &reply{status: http.StatusOK, json: append(out, `]}`...)}
}

// locks are locks by name, which are there while someone wants them.
type locks struct {
	mu   sync.Mutex
	held map[string]*namedLock
}

type namedLock struct {
	turn  chan struct{} // holds one token
	users int
}

// lock takes the locks of some names, in the order of the names, so that two who want
// the same ones never wait for each other.
func (l *locks) lock(ctx context.Context, names ...string) (unlock func(), err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	taken := 0
	unlock = func() {
		for _, name := range names[:taken] {
			l.leave(name, true)
		}
	}
	for ; taken < len(names); taken++ {
		select {
		case <-l.enter(names[taken]):
		case <-ctx.Done():
			l.leave(names[taken], false)
			unlock()
			return nil, ctx.Err()
		}
	}
	return unlock, nil
}

func (l *locks) enter(name string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*namedLock{}
	}
	x := l.held[name]
	if x == nil {
		x = &namedLock{turn: make(chan struct{}, 1)}
		x.turn <- struct{}{}
		l.held[name] = x
	}
	x.users++
	return x.turn
}

// leave gives a name up, with its token when it was taken.
func (l *locks) leave(name string, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.held[name]
	if taken {
		x.turn <- struct{}{}
	}
	if x.users--; x.users == 0 {
		delete(l.held, name)
	}
}
