package rest

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/stages/nlp/derive"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// deriver is the stage that derives resources of documents.
func (d *DataStore) deriver(identifier *identify.Stage) (*derive.Stage, error) {
	base, err := validate.New(validate.Options{})
	if err != nil {
		return nil, err
	}
	return derive.New(derive.Options{On: d.options.Derive, Stages: []pipeline.Stage{parse.New(), base, identifier}}), nil
}

// follow gives the writes of what is derived from the document that record i is: of what
// the stages derived, and of what was derived from the current version and is not now.
func (w *work) follow(i int) func(current *lake.Resource) ([]lake.Write, error) {
	return func(current *lake.Resource) ([]lake.Write, error) {
		var now []lake.Write
		for k := range w.batch.Records {
			if r := &w.batch.Records[k]; r.Derived && r.From == uint32(i) {
				x := w.write(k, nil)
				x.Method = delta.Update
				now = append(now, x)
			}
		}
		return appendGone(now, current)
	}
}

// followDeletions makes what was derived from documents that are deleted go with them.
func followDeletions(writes []lake.Write) {
	for i := range writes {
		if w := &writes[i]; w.Type == r4.TypeDocumentReference && w.Method == delta.Delete {
			w.Follow = func(current *lake.Resource) ([]lake.Write, error) { return appendGone(nil, current) }
		}
	}
}

// appendGone appends deletions of what was derived from the current version of a document and is
// not in now.
func appendGone(now []lake.Write, current *lake.Resource) ([]lake.Write, error) {
	if current == nil {
		return now, nil
	}
	before, err := current.Derived()
	if err != nil {
		return nil, err
	}
	n := len(now)
	for _, ref := range before {
		if !slices.ContainsFunc(now[:n], func(w lake.Write) bool { return w.Type == ref.Type && w.ID == ref.ID }) {
			now = append(now, lake.Write{Type: ref.Type, ID: ref.ID, Method: delta.Delete})
		}
	}
	return now, nil
}
