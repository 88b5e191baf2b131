package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/server/rest/patch"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// change is a write on its way: the write, and the record that it is of.
type change struct {
	work   *work // nil for a deletion, and for a patch before it was applied
	record int
	write  lake.Write
	// apply makes the write of a patch from the current version; nil for others.
	apply func(w *lake.Write, current *lake.Resource) error
}

// arm makes w, which will be committed, the write of the change.
func (x *change) arm(w *lake.Write) {
	*w = x.write
	if x.apply != nil {
		w.Prepare = func(current *lake.Resource) error { return x.apply(w, current) }
	}
}

// end gives the memory of a single change back.
func (x *change) end() {
	if x.work != nil {
		x.work.end()
	}
}

// create stores a resource under a new id (FHIR R4, 3.1.0.8).
func (c *call) create() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	if text := c.headerOf("If-None-Exist"); text != "" {
		return c.createUnless(text)
	}
	return c.createNew()
}

func (c *call) createNew() (*reply, error) {
	key, err := c.idempotencyKey()
	if err != nil {
		return nil, err
	}
	id := c.newID
	if id == "" {
		id = c.h.o.NewID()
	}
	x, err := c.prepare(c.typ, id, true)
	if err != nil {
		return nil, err
	}
	defer x.end()
	// Ids are made so that none is made twice; if one was, what has it is not written over.
	x.write.Method, x.write.IdempotencyKey, x.write.IfNoneMatch = delta.Create, key, true
	return c.commit(x)
}

// update stores a resource under its id (FHIR R4, 3.1.0.4), also when there is none
// yet.
func (c *call) update() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	x, err := c.prepare(c.typ, c.id, false)
	if err != nil {
		return nil, err
	}
	defer x.end()
	x.write.Method = delta.Update
	if err := c.setConditions(&x.write); err != nil {
		return nil, err
	}
	return c.commit(x)
}

// setConditions reads If-Match and If-None-Match (FHIR R4, 3.1.0.4.1).
func (c *call) setConditions(w *lake.Write) (err error) {
	var exists bool
	if w.IfMatch, exists, err = c.ifMatch(); err != nil {
		return err
	}
	w.MustExist = w.MustExist || exists
	switch text := c.headerOf("If-None-Match"); text {
	case "":
	case "*":
		w.IfNoneMatch = true
	default:
		return outcome.Faultf(outcome.Malformed, "header If-None-Match: '%s' is not *, the only one that a write knows", clip(text))
	}
	return nil
}

// idempotencyKey reads the key of a create.
func (c *call) idempotencyKey() (string, error) {
	key := strings.ToLower(c.headerOf("X-Amz-Fhir-Idempotency-Key")) // RFC 9562, 4: case does not count
	if key != "" && !validUUID(key) {
		return "", outcome.Faultf(outcome.Malformed, "header x-amz-fhir-idempotency-key: '%s' is no UUID", clip(key))
	}
	return key, nil
}

// prepare validates the body as a resource of this type and id.
func (c *call) prepare(typ r4.TypeID, id string, create bool) (*change, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	write := func(dst []byte) []byte { return append(dst, c.body...) }
	if create {
		write = func(dst []byte) []byte { return appendWithID(dst, c.body, id) }
	}
	return c.prepareText(level, typ, id, write)
}

func (c *call) prepareText(level validate.Level, typ r4.TypeID, id string, write func(dst []byte) []byte) (*change, error) {
	w, err := c.ds.begin(level)
	if err != nil {
		return nil, err
	}
	w.add(write)
	if err := w.run(c.ctx); err != nil {
		return nil, err
	}
	issues, err := w.check(c.ctx, 0, typ, id)
	if err != nil {
		w.end()
		return nil, err
	}
	return &change{work: w, write: w.write(0, issues)}, nil
}

// commit does one write and makes its reply.
func (c *call) commit(x *change) (*reply, error) {
	writes := make([]lake.Write, 1)
	x.arm(&writes[0])
	outcomes, err := c.commitWrites(writes)
	if err != nil {
		return nil, c.commitFault(err)
	}
	x.write = writes[0]
	return c.written(x, &outcomes[0])
}

// commitFault says what an error of Commit means for a single write.
func (c *call) commitFault(err error) error {
	var (
		condition *lake.ConditionError
		duplicate *lake.DuplicateKeyError
	)
	switch {
	case errors.As(err, &condition):
		return c.conditionFault(condition)
	case errors.As(err, &duplicate):
		v := duplicate.Original
		return &located{
			outcome.Faultf(outcome.Duplicate, "the idempotency key was used before, for %s/%s", v.Type, v.ID),
			locationOf(v.Type, v.ID, v.Number),
		}
	}
	return err
}

// located is a fault whose answer names a resource.
type located struct {
	*outcome.Fault
	location string
}

func (e *located) Unwrap() error { return e.Fault }

func (c *call) conditionFault(e *lake.ConditionError) error {
	v := &e.Current
	if c.access.Limited() { // the condition was decided before what is there was looked at
		now, err := c.ds.store.Read(v.Type, v.ID, nil)
		ok := false
		if err == nil {
			ok, err = c.reaches(&now)
		}
		if v.Number != 0 && (err != nil || !ok) {
			return c.outOfReach(v.Type, v.ID, methods[c.method])
		}
	}
	deleted := v.Method == delta.Delete
	switch {
	case e.Kind == lake.Exists && c.method == http.MethodPost:
		return outcome.Faultf(outcome.Conflict, "the id that was made for the %s is in use; send the request again", c.typ)
	case e.Kind == lake.Exists && deleted:
		return outcome.Faultf(outcome.Stale, "If-None-Match: %s/%s existed before: it was deleted in version %d", c.typ, c.id, v.Number)
	case e.Kind == lake.Exists:
		return outcome.Faultf(outcome.Stale, "If-None-Match: %s/%s exists, in version %d", c.typ, c.id, v.Number)
	case e.Kind == lake.Stale && v.Number == 0:
		return outcome.Faultf(outcome.Stale, "If-Match: there is no %s with id '%s'", c.typ, c.id)
	case e.Kind == lake.Stale:
		return outcome.Faultf(outcome.Stale, "If-Match: the current version of %s/%s is %d", c.typ, c.id, v.Number)
	case c.method != http.MethodPatch:
		return outcome.Faultf(outcome.Stale, "If-Match: there is no %s with id '%s'", c.typ, c.id)
	case deleted:
		return c.readFault(&lake.GoneError{Version: *v})
	}
	return c.readFault(lake.ErrNotFound)
}

// written makes the reply of a write that is done.
func (c *call) written(x *change, done *lake.Outcome) (*reply, error) {
	out := &reply{status: http.StatusOK, id: done.ID, version: done.Number, updated: done.Updated, resource: true, flawed: flawed(x.write.Beside)}
	if !done.Existed {
		out.status, out.location = http.StatusCreated, locationOf(done.Type, done.ID, done.Number)
	}
	switch {
	case c.entry && !c.prefer.representation, c.prefer.minimal:
		if c.prefer.outcome || c.entry && out.flawed {
			return out, c.explain(out, x)
		}
		return out, nil
	case c.prefer.outcome:
		return out, c.explain(out, x)
	case done.Unchanged:
		// Beside what is stored may be something else.
		res, err := c.ds.store.ReadVersion(done.Type, done.ID, done.Number, nil)
		if err != nil {
			return nil, err
		}
		out.flawed = flawed(res.Beside)
		out.json, err = shown(res.Type, res.JSON, res.Beside)
		return out, err
	}
	var err error
	out.json, err = shown(done.Type, x.work.stamp(nil, x.record, done.Number, instant(done.Updated)), x.write.Beside)
	return out, err
}

// explain makes the reply the OperationOutcome of a write that is done: the issues with
// which it was accepted, or that there are none.
func (c *call) explain(out *reply, x *change) error {
	out.resource = false
	kept := x.write.Beside.Of(beside.Issues)
	if kept == nil {
		out.json = outcome.Append(nil, allGood, outcome.At{})
		return nil
	}
	issues, err := outcome.ParseIssues(kept)
	out.json = outcome.Append(nil, issues, outcome.At{})
	return err
}

// delete deletes a resource (FHIR R4, 3.1.0.7). One that is not there is deleted already.
func (c *call) delete() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	w := [1]lake.Write{{Type: c.typ, ID: c.id, Method: delta.Delete}}
	if err := c.setConditions(&w[0]); err != nil {
		return nil, err
	}
	if w[0].IfNoneMatch {
		return nil, outcome.Faultf(outcome.Malformed, "header If-None-Match does not go with DELETE")
	}
	outcomes, err := c.commitWrites(w[:])
	if err != nil {
		return nil, c.commitFault(err)
	}
	return deleted(&outcomes[0]), nil
}

func deleted(done *lake.Outcome) *reply {
	return &reply{status: http.StatusNoContent, version: done.Number, updated: done.Updated}
}

// patch changes a resource that is there (FHIR R4, 3.1.0.7).
func (c *call) patch() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	x, err := c.preparePatch()
	if err != nil {
		return nil, err
	}
	defer x.end()
	return c.commit(x)
}

// preparePatch reads the patch. It is applied to what is the current version when the
// write is committed.
func (c *call) preparePatch() (*change, error) {
	p, err := c.readPatch()
	if err != nil {
		return nil, err
	}
	return c.preparePatchOf(p)
}

// preparePatchOf makes a change of a patch that was read.
func (c *call) preparePatchOf(p patch.Patch) (*change, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	x := &change{write: lake.Write{Type: c.typ, ID: c.id, Method: delta.Patch, MustExist: true}}
	if err := c.setConditions(&x.write); err != nil {
		return nil, err
	}
	if x.write.IfNoneMatch {
		return nil, outcome.Faultf(outcome.Malformed, "header If-None-Match does not go with PATCH")
	}
	x.apply = func(w *lake.Write, current *lake.Resource) error {
		text, err := p.Apply(current.JSON, capability.MaxBody)
		if err != nil {
			return err
		}
		patched, err := c.prepareText(level, c.typ, c.id, func(dst []byte) []byte { return append(dst, text...) })
		if err != nil {
			return unprocessable(err)
		}
		if x.work != nil { // of the version that was the current one when it was applied before
			x.work.end()
		}
		x.work = patched.work
		w.Follow = patched.write.Follow
		w.Key, w.Content, w.Beside, w.Stamp = patched.write.Key, patched.write.Content, patched.write.Beside, patched.write.Stamp
		return nil
	}
	return x, nil
}

// unprocessable makes the fault of a resource that of the patch that made it
// (FHIR R4, 3.1.0.7.1).
func unprocessable(err error) error {
	var f *outcome.Fault
	if errors.As(err, &f) && f.Kind == outcome.Malformed {
		return &outcome.Fault{Kind: outcome.Unprocessable, Issues: f.Issues}
	}
	return err
}

func (c *call) readPatch() (patch.Patch, error) {
	switch media := mediaType(c.header.Get("Content-Type")); media {
	case capability.JSONPatch:
		return patch.ReadJSON(c.body)
	case capability.FHIRJSON, "application/json":
		return patch.ReadFHIRPath(c.body, c.typ)
	default:
		return nil, outcome.Faultf(outcome.Unsupported, "a patch of type '%s' is not known; expected %s or, for a FHIRPath Patch, %s", clip(media), capability.JSONPatch, capability.FHIRJSON)
	}
}
