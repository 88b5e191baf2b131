package rest

import (
	"errors"
	"net/http"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/auth/scope"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// # What the sender may do
//
// Whether an interaction with a type is allowed is asked before it begins: 403. With a
// token some resources are out of reach (package scope), and those are as if they were not
// there: 404, whether they exist, were deleted or never were. Searches are narrowed, the
// targets of their chains too, and of what comes out of the data store each resource is
// looked at once more. What a write replaces is looked at under the lock of the resource,
// and so is what it writes.

// interaction names what the call does; "" for what has rules of its own.
func (c *call) interaction() string {
	switch c.kind {
	case targetSystemHistory:
		return "history-system"
	case targetOperation:
		return "$" + c.operation
	case targetSystem:
		if c.method == http.MethodPost {
			return "" // its entries are asked for
		}
		return "search-system"
	case targetSearch, targetCompartment:
		if c.typ == 0 || c.kind == targetCompartment && c.member == 0 {
			return "search-system"
		}
		return "search-type"
	case targetExport, targetExportFile: // as beginning one
		return "$" + capability.Export.Name
	case targetImport:
		return "$" + capability.Import.Name
	case targetMetadata, targetLater: // for all who enter; for who sent the request
		return ""
	}
	if c.method == http.MethodOptions {
		return ""
	}
	return interactions[c.kind][c.method].Code()
}

// authorize tells why the sender may not do what the call does.
func (c *call) authorize() error {
	name := c.interaction()
	if c.access == nil || name == "" || c.method == http.MethodOptions {
		return nil
	}
	typ := c.typ
	if c.kind == targetCompartment {
		typ = c.member
	}
	if name == "$"+capability.Export.Name && c.access.Limited() { // files have what is out of reach, too
		return c.denied(outcome.Faultf(outcome.Forbidden, "exports are for those who may read every resource"))
	}
	return c.denied(c.access.Check(name, typ))
}

// denied tells the audit of a refusal.
func (c *call) denied(err error) error {
	if err != nil {
		auth.Denied(c.ctx, err.Error())
	}
	return err
}

// reaches tells whether a resource, which is not a deletion, may be shown.
func (c *call) reaches(r *lake.Resource) (bool, error) {
	return c.reachesBy(scope.Read, r)
}

func (c *call) reachesBy(l scope.Letters, r *lake.Resource) (bool, error) {
	if !c.access.Limited() {
		return true, nil
	}
	if r.Method == delta.Delete {
		return false, nil
	}
	return c.access.Permit(l, r.Type).Holds(r.ID, r.JSON, c.bases())
}

// seen makes of the result of a read what the sender sees: of what is out of reach that
// there is nothing, of a deletion that it is one when what was deleted was within reach.
func (c *call) seen(r *lake.Resource, err error) error {
	if !c.access.Limited() {
		return err
	}
	var gone *lake.GoneError
	if errors.As(err, &gone) {
		before, e := c.ds.store.ReadVersion(c.typ, c.id, gone.Version.Number-1, nil)
		if e != nil {
			return lake.ErrNotFound
		}
		if ok, e := c.reaches(&before); e != nil || !ok {
			return errors.Join(e, lake.ErrNotFound)
		}
		return err
	}
	if err != nil {
		return err
	}
	if ok, err := c.reaches(r); err != nil || !ok {
		return errors.Join(err, lake.ErrNotFound)
	}
	return nil
}

// mayList refuses a history in which the sender sees nothing, or that counts what the
// sender does not see.
func (c *call) mayList(cut subset) error {
	if cut.summary == summaryCount {
		return c.denied(outcome.Faultf(outcome.Forbidden, "_summary=count of a history is not allowed to who asks"))
	}
	if c.id == "" {
		return nil
	}
	_, err := c.current()
	return err
}

// narrow narrows a search to what is within reach.
func (c *call) narrow(q *query.Query) error {
	if !c.access.Limited() {
		return c.denied(c.access.Check(capability.SearchType.Code(), 0))
	}
	if c.query.Get(explainParameter) == "true" { // a plan tells how many rows of all there are
		return c.denied(outcome.Faultf(outcome.Forbidden, "%s is not allowed to who asks", explainParameter))
	}
	q.Selects = slices.Clone(q.Selects)
	q.Selects = slices.DeleteFunc(q.Selects, func(s query.Select) bool { return c.access.Permit(scope.Search, s.Type) == nil })
	if len(q.Selects) == 0 {
		return c.denied(outcome.Faultf(outcome.Forbidden, "search is not allowed to who asks"))
	}
	for i := range q.Selects {
		q.Selects[i] = c.narrowed(q.Selects[i])
	}
	if q.Contained != query.ContainedNone { // what a resource out of reach contains would be counted
		return c.denied(outcome.Faultf(outcome.Forbidden, "_contained is not allowed to who asks"))
	}
	for _, x := range q.Includes {
		if x.Iterate { // what leads to what is within reach may not be
			return c.denied(outcome.Faultf(outcome.Forbidden, ":iterate is not allowed to who asks"))
		}
	}
	return nil
}

// narrowed is a Select with the filters of the sender, in its chains too.
func (c *call) narrowed(s query.Select) query.Select {
	s.Where = c.narrowedAll(s.Where)
	switch p := c.access.Permit(scope.Search, s.Type); {
	case p == nil:
		s.Where = append(s.Where, query.Constant(false))
	case !p.All():
		s.Where = append(s.Where, p.Filter())
	}
	return s
}

func (c *call) narrowedAll(filters []query.Filter) []query.Filter {
	out := make([]query.Filter, len(filters), len(filters)+1)
	for i, f := range filters {
		switch f := f.(type) {
		case query.Chain:
			f.To = slices.Clone(f.To)
			for j := range f.To {
				f.To[j] = c.narrowed(f.To[j])
			}
			out[i] = f
		case query.Has:
			f.From = c.narrowed(f.From)
			out[i] = f
		case query.AllOf:
			out[i] = query.AllOf(c.narrowedAll(f))
		case query.AnyOf:
			out[i] = query.AnyOf(c.narrowedAll(f))
		default:
			out[i] = f
		}
	}
	return out
}

// sift leaves of a page what is within reach: included resources were not searched for.
func (c *call) sift(p *search.Page) (err error) {
	if !c.access.Limited() {
		return nil
	}
	out := func(r lake.Resource) bool {
		ok, e := c.reachesBy(scope.Search, &r)
		err = errors.Join(err, e)
		return !ok
	}
	p.Matches = slices.DeleteFunc(p.Matches, out)
	p.Included = slices.DeleteFunc(p.Included, out)
	return err
}

// methods are those of writes by the methods of HTTP.
var methods = map[string]delta.Method{
	http.MethodPost: delta.Create, http.MethodPut: delta.Update, http.MethodPatch: delta.Patch, http.MethodDelete: delta.Delete,
}

// letters are what a write takes, by its method.
var letters = map[delta.Method]scope.Letters{
	delta.Create: scope.Create, delta.Update: scope.Update, delta.Patch: scope.Update, delta.Delete: scope.Delete,
}

// commitWrites commits writes whose resources, before and after, are within reach.
func (c *call) commitWrites(writes []lake.Write) ([]lake.Outcome, error) {
	if c.access.Limited() {
		for i := range writes {
			c.limit(&writes[i])
		}
	}
	followDeletions(writes)
	return c.ds.store.Commit(c.ctx, writes)
}

// limit makes a write look, under the lock, at what it replaces and at what it writes.
func (c *call) limit(w *lake.Write) {
	change := w.Prepare
	w.Prepare = func(current *lake.Resource) error {
		permit := c.access.Permit(letters[w.Method], w.Type)
		there := current != nil && current.Method != delta.Delete
		if there {
			ok, err := permit.Holds(w.ID, current.JSON, c.bases())
			if err != nil || !ok {
				return errors.Join(err, c.outOfReach(w.Type, w.ID, w.Method))
			}
		} else if w.Method == delta.Delete { // as what is out of reach is answered
			return c.outOfReach(w.Type, w.ID, w.Method)
		}
		if change != nil {
			if err := change(current); err != nil {
				return err
			}
		}
		if w.Method == delta.Delete {
			return nil
		}
		ok, err := permit.Holds(w.ID, w.Stamp(nil, 1, instant(0)), c.bases())
		if err == nil && !ok {
			err = c.denied(outcome.Faultf(outcome.Forbidden, "what is written of %s is not within the reach of who asks", w.Type))
		}
		return err
	}
}

// outOfReach is the fault of a write of a resource that the sender does not see.
func (c *call) outOfReach(t r4.TypeID, id string, m delta.Method) error {
	if m == delta.Update || m == delta.Create { // to another id it would be done
		return c.denied(outcome.Faultf(outcome.Forbidden, "%s/%s is not within the reach of who asks", t, id))
	}
	return c.denied(outcome.Faultf(outcome.NotFound, "there is no %s with id '%s'", t, id))
}
