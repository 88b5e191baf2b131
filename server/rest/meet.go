package rest

import (
	"net/http"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/bundle"
	"github.com/fhirlake/fhirlake/store/lake"
)

// readConditions reads the criteria of the conditional entries of a transaction. keys
// are those of their locks. Two entries of the same criteria are refused: each would
// decide without the other.
func readConditions(items []item) (keys []string, err error) {
	first := map[string]int{}
	for i := range items {
		it := &items[i]
		text, conditional := it.raw, it.kind == targetType && it.phase != phaseGet
		if it.method == http.MethodPost {
			text = it.headerOf("If-None-Exist")
			conditional = conditional && text != ""
		}
		if !conditional {
			continue
		}
		if it.of, err = it.readCriteria(it.typ, text); err != nil {
			return nil, it.entryFault(err)
		}
		if other, twice := first[it.of.key]; twice {
			return nil, outcome.Faultf(outcome.Malformed, "entry %d has the same criteria", other).At(bundle.Path(i))
		}
		first[it.of.key] = i
		keys = append(keys, it.of.key)
	}
	return keys, nil
}

// meet finds what the criteria of the entries mean now.
func meet(items []item) error {
	for i := range items {
		it := &items[i]
		if it.of.q == nil {
			continue
		}
		it.done, it.out, it.id = false, nil, ""
		var err error
		if it.one, err = it.the(it.of); err == nil {
			err = it.settle()
		}
		if err != nil {
			return it.entryFault(err)
		}
	}
	return nil
}

// settle decides what a conditional entry does with the one that was found, nil for none.
func (it *item) settle() (err error) {
	one := it.one
	switch {
	case it.method == http.MethodPost && one != nil:
		it.id, it.done = one.ID, true
		it.out, err = it.existing(one)
	case it.method == http.MethodPut:
		it.id, err = it.idOfUpdate(it.body, one)
	case it.method == http.MethodPatch && one == nil:
		err = noMatch(it.typ)
	case it.method == http.MethodDelete && one == nil: // it is deleted already
		it.done, it.out = true, &reply{status: http.StatusNoContent}
	case one != nil:
		it.id = one.ID
	}
	return err
}

// bind makes a write one of the version that criteria found, or of a new resource when
// they found none.
func (c *call) bind(w *lake.Write, one *lake.Resource) error {
	switch {
	case one == nil && (w.IfMatch != 0 || w.MustExist):
		return outcome.Faultf(outcome.Stale, "If-Match: no %s matches the criteria", c.typ)
	case one == nil:
		w.IfNoneMatch = true
	case w.IfNoneMatch:
		return outcome.Faultf(outcome.Stale, "If-None-Match: %s/%s exists, in version %d", one.Type, one.ID, one.Number)
	case w.IfMatch != 0 && w.IfMatch != one.Number:
		return outcome.Faultf(outcome.Stale, "If-Match: the current version of %s/%s is %d", one.Type, one.ID, one.Number)
	default:
		w.IfMatch = one.Number
	}
	return nil
}

// maxSearches is how many different conditional references a transaction may have.
const maxSearches = 500

// resolve finds what the conditional references of a transaction refer to, before its
// writes, or the resource of the entry that has the same criteria. One that finds nothing
// stays as it is (docs/fhir-support.md); one that finds several is refused.
func (c *call) resolve(items []item, links *bundle.Links, t *fhir.Tree) error {
	if c.ds.options.Search == nil {
		return nil
	}
	entries := map[string]*item{}
	for i := range items {
		if it := &items[i]; it.of.q != nil && it.method != http.MethodDelete {
			entries[it.of.key] = it
		}
	}
	seen := map[string]bool{}
	for i := range items {
		it := &items[i]
		if it.done || it.method != http.MethodPost && it.method != http.MethodPut {
			continue
		}
		for _, text := range bundle.Searches(t, it.source) {
			if seen[text] {
				continue
			}
			if seen[text] = true; len(seen) > maxSearches {
				return outcome.Faultf(outcome.TooCostly, "the transaction has more than %d different conditional references", maxSearches)
			}
			if err := c.resolveOne(text, entries, links); err != nil {
				return it.entryFault(inPart("a conditional reference", err))
			}
		}
	}
	return nil
}

func (c *call) resolveOne(text string, entries map[string]*item, links *bundle.Links) error {
	name, raw, _ := strings.Cut(text, "?")
	of, err := c.readCriteria(r4.ResourceTypeByName([]byte(name)), raw)
	if err != nil {
		return err
	}
	if it := entries[of.key]; it != nil {
		links.Add(text, it.typ.String()+"/"+it.id)
		return nil
	}
	one, err := c.the(of)
	if err == nil && one != nil {
		links.Add(text, one.Type.String()+"/"+one.ID)
	}
	return err
}
