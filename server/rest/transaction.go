package rest

import (
	"errors"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/rest/bundle"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// transact does all writes of a transaction or none (FHIR R4, 3.1.0.11.2). They are of
// different resources, so they are one commit, in no order. What is read is read after
// it: a read that finds nothing says so in its entry, since it undoes nothing.
//
// The commit is atomic: whoever reads sees each resource as it was before or after. Two
// reads of a transaction may see the writes of others between them.
func (c *call) transact(items []item, t *fhir.Tree) error {
	if err := checkAll(items); err != nil {
		return err
	}
	if err := c.writeDecided(items, t); err != nil {
		return err
	}
	var gathered atomic.Int64
	for i := range items {
		if it := &items[i]; it.phase == phaseGet {
			it.do(&gathered)
		}
	}
	return nil
}

// writeDecided does the writes. Those that are conditional are decided under the locks
// of all their criteria, anew when what they found is changed before the commit.
func (c *call) writeDecided(items []item, t *fhir.Tree) error {
	keys, err := readConditions(items)
	if err != nil {
		return err
	}
	unlock, err := c.h.conditions.lock(c.ctx, keys...)
	if err != nil {
		return err
	}
	defer unlock()
	for range decisions {
		err := c.writeAll(items, t)
		if again := (changedMeanwhile{}); !errors.As(err, &again) {
			return err
		}
	}
	return outcome.Faultf(outcome.Conflict, "what the criteria of the transaction find is changed all the time; try again")
}

func (c *call) writeAll(items []item, t *fhir.Tree) error {
	if err := meet(items); err != nil {
		return err
	}
	links, err := identities(items)
	if err != nil {
		return err
	}
	if err := c.resolve(items, links, t); err != nil {
		return err
	}
	w, err := c.prepareAll(items, links, t)
	if err != nil {
		return err
	}
	defer w.end()
	return c.commitAll(items)
}

// checkAll refuses a transaction of which any entry cannot be done.
func checkAll(items []item) error {
	for i := range items {
		it := &items[i]
		err := it.err
		switch {
		case err != nil, it.phase == phaseGet:
		case it.kind == targetOperation, it.kind == targetSearch:
			err = outcome.Faultf(outcome.NotSupported, "a transaction processes no operation or search that is posted")
		case it.id != "" && !validID(it.id):
			err = outcome.Faultf(outcome.Malformed, "'%s' is no valid id: 1 to 64 letters, digits, '-' and '.'", clip(it.id))
		default:
			if err = it.allowed(); err == nil {
				err = it.authorize()
			}
			if err == nil {
				err = it.checkQuery()
			}
		}
		if err != nil {
			return it.entryFault(err)
		}
	}
	return nil
}

// identities gives new resources their ids, and tells where the others find them. Two
// writes of one resource, or two entries with one fullUrl, are refused.
func identities(items []item) (*bundle.Links, error) {
	links := &bundle.Links{}
	first := map[string]int{}
	for i := range items {
		it := &items[i]
		if it.phase == phaseGet {
			continue
		}
		if it.phase == phasePost && !it.done {
			it.id = it.newID
		}
		name := it.typ.String() + "/" + it.id
		if it.done {
			if it.phase == phasePost { // it is there already
				links.Add(it.source.FullURL, name)
			}
			continue
		}
		if other, twice := first[name]; twice {
			return nil, outcome.Faultf(outcome.Malformed, "%s is written by entry %d already: a transaction writes a resource once", name, other).At(bundle.Path(i))
		}
		first[name] = i
		if it.method == "DELETE" || it.method == "PATCH" {
			continue
		}
		if !links.Add(it.source.FullURL, name) {
			return nil, outcome.Faultf(outcome.Malformed, "another entry has the same fullUrl").At(bundle.Path(i) + ".fullUrl")
		}
	}
	return links, nil
}

// prepareAll validates all resources, as one batch, and reads the patches.
func (c *call) prepareAll(items []item, links *bundle.Links, t *fhir.Tree) (*work, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	w, err := c.ds.begin(level)
	if err != nil {
		return nil, err
	}
	var text []byte
	for i := range items {
		it := &items[i]
		if it.done {
			continue
		}
		switch it.method {
		case "POST":
			text = links.AppendResource(text[:0], t, it.source)
			w.add(func(dst []byte) []byte { return appendWithID(dst, text, it.id) })
		case "PUT":
			text = links.AppendResource(text[:0], t, it.source)
			w.add(func(dst []byte) []byte {
				if it.of.q != nil {
					return appendWithID(dst, text, it.id)
				}
				return append(dst, text...)
			})
		}
	}
	if err := w.run(c.ctx); err != nil {
		return nil, err
	}
	var wrong []fhir.Issue
	record := 0
	for i := range items {
		it := &items[i]
		err = nil
		if it.done {
			continue
		}
		switch it.method {
		case "POST", "PUT":
			it.x, err = it.checked(w, record)
			record++
		case "PATCH":
			it.x, err = it.preparePatch()
		case "DELETE":
			it.x = &change{write: lake.Write{Type: it.typ, ID: it.id, Method: delta.Delete}}
			err = it.setConditions(&it.x.write)
		}
		if err == nil && it.x != nil && it.of.q != nil {
			err = it.bind(&it.x.write, it.one)
		}
		var f *outcome.Fault
		switch {
		case err == nil:
		case errors.As(it.entryFault(err), &f) && f.Kind.Status() < 500:
			wrong = append(wrong, f.Issues...)
		default:
			w.end()
			return nil, it.entryFault(err)
		}
	}
	if wrong != nil {
		w.end()
		return nil, outcome.Rejected(wrong)
	}
	return w, nil
}

// checked makes the write of a record that can be stored.
func (it *item) checked(w *work, record int) (*change, error) {
	issues, err := w.check(it.ctx, record, it.typ, it.id)
	if err != nil {
		return nil, err
	}
	x := &change{work: w, record: record, write: w.write(record, issues)}
	x.write.Method = delta.Update
	if it.method == "POST" {
		x.write.Method, x.write.IfNoneMatch = delta.Create, true
		return x, nil
	}
	return x, it.setConditions(&x.write)
}

// commitAll commits the writes and makes their replies.
func (c *call) commitAll(items []item) error {
	var writes []lake.Write
	var of []*item
	for i := range items {
		if items[i].x != nil && !items[i].done {
			of = append(of, &items[i])
		}
	}
	writes = make([]lake.Write, len(of))
	for i, it := range of {
		it.x.arm(&writes[i])
		if apply := writes[i].Prepare; apply != nil {
			defer it.x.end()
			writes[i].Prepare = func(current *lake.Resource) error {
				if err := apply(current); err != nil {
					return it.entryFault(err)
				}
				return nil
			}
		}
	}
	outcomes, err := c.commitWrites(writes)
	var condition *lake.ConditionError
	switch {
	case errors.As(err, &condition):
		it := of[condition.Index]
		if it.one != nil {
			return changedMeanwhile{err}
		}
		if it.of.q != nil {
			return it.entryFault(takenID(it.typ, it.id, it.commitFault(err)))
		}
		return it.entryFault(it.commitFault(err))
	case err != nil:
		return err
	}
	for i, it := range of {
		it.x.write = writes[i]
		if it.method == "DELETE" {
			it.out = deleted(&outcomes[i])
		} else if it.out, it.err = it.written(it.x, &outcomes[i]); it.err != nil {
			return it.err
		}
	}
	return nil
}
