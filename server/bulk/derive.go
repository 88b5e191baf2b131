package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/nlp/derive"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// reading is how an import reads notes, and what it derives from them. What was derived from
// an older version of a document, and is not now, is deleted when the import is published,
// since before that the older version is the current one (docs/decisions/0058).
type reading struct {
	notes *notes.Stage // nil: notes are not read
	on    bool         // resources are derived
	had   bool         // something may have been derived before
	lake  *lake.Lake   // nil: nothing is deleted

	mu    sync.Mutex
	stale map[string][]string // by the id of the document: references
}

func (j *importJob) newReading(base *snapshot.Manifest) (*reading, error) {
	r := &reading{notes: j.reader, lake: j.Lake, stale: map[string][]string{}}
	if j.Notes != nil && j.Derive != nil {
		var err error
		if r.on, err = j.Derive(); err != nil {
			return nil, err
		}
	}
	if r.lake == nil {
		return r, nil
	}
	var err error
	r.had, err = hasLinkages(base, r.lake.Delta())
	return r, err
}

// Derived tells whether a snapshot may have resources that were derived from documents.
func Derived(m *snapshot.Manifest) bool {
	return slices.ContainsFunc(m.Segments, func(s snapshot.Segment) bool { return s.ResourceType == r4.TypeLinkage.String() })
}

// hasLinkages tells whether anything may have been derived before: then there is a Linkage,
// or there was one.
func hasLinkages(m *snapshot.Manifest, d *delta.Store) (bool, error) {
	if Derived(m) {
		return true, nil
	}
	snap, err := d.Snapshot()
	if err != nil {
		return false, err
	}
	defer snap.Close()
	for _, err := range snap.Resources(r4.TypeLinkage) {
		return err == nil, err
	}
	return false, nil
}

// stages are those after identify. again says that what is read was read and derived before, and is
// in the layer already.
func (r *reading) stages(identifier pipeline.Stage, again bool) ([]pipeline.Stage, error) {
	var all []pipeline.Stage
	if r.notes != nil {
		all = append(all, r.notes)
	}
	looks := r.lake != nil && (r.had || again) // at older versions; others may have derived since the beginning
	if !r.on && !looks {
		return all, nil
	}
	base, err := validate.New(validate.Options{})
	if err != nil {
		return nil, err
	}
	o := derive.Options{
		On:     func() (bool, error) { return r.on, nil },
		Stages: []pipeline.Stage{parse.New(), base, identifier}, NamesOnly: again,
	}
	if looks {
		o.Before, o.Stale = r.before, r.add
	}
	return append(all, derive.New(o)), nil
}

// before gives what was derived from a version of a document.
func (r *reading) before(id []byte, version uint32) ([]string, error) {
	res, err := r.lake.ReadVersion(r4.TypeDocumentReference, string(id), version, nil)
	var gone *lake.GoneError
	switch {
	case errors.As(err, &gone), errors.Is(err, lake.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read version %d of a document: %w", version, err)
	}
	refs, err := res.Derived()
	var out []string
	for _, ref := range refs {
		out = append(out, ref.String())
	}
	return out, err
}

func (r *reading) add(id []byte, references []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale[string(id)] = append(r.stale[string(id)], references...)
}

// delete deletes, when the import is published, what is derived no longer, and counts it.
// duplicates says that the import had documents more than once.
func (r *reading) delete(ctx context.Context, b *snapshot.Builder, o *snapshot.PublishOptions, duplicates bool) (n int64, err error) {
	if r.lake == nil {
		return 0, nil
	}
	if r.on && duplicates {
		if err := r.superseded(b, o); err != nil {
			return 0, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.stale)) {
		deleted, err := r.deleteOf(ctx, id, r.stale[id])
		if err != nil {
			return n, fmt.Errorf("delete what is derived no longer: %w", err)
		}
		n += deleted
	}
	return n, nil
}

// superseded takes what was derived from documents of which the import had a later line.
func (r *reading) superseded(b *snapshot.Builder, o *snapshot.PublishOptions) error {
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return err
	}
	defer d.Close()
	for _, s := range b.Segments() {
		rows, x := o.Superseded[s.Ordinal], s.Annotation(snapshot.NLP)
		if s.ResourceType != r4.TypeDocumentReference.String() || rows == nil || x == nil {
			continue
		}
		a, err := snapshot.OpenAnnotations(r.lake.Snapshot().Dir(), x.File.Path)
		if err != nil {
			return err
		}
		err = d.EachAnnotation(a, func(row uint32, line, data []byte) error {
			if !rows.Contains(row) {
				return nil
			}
			var of struct{ ID string }
			if err := json.Unmarshal(line, &of); err != nil {
				return err
			}
			refs, err := lake.DerivedIn(data)
			for _, ref := range refs {
				r.add([]byte(of.ID), []string{ref.String()})
			}
			return err
		})
		if err := errors.Join(err, a.Close()); err != nil {
			return err
		}
	}
	return nil
}

// errDerived says that a resource is derived from a document after all.
var errDerived = errors.New("it is derived now")

// deleteOf deletes references that the current version of a document does not have.
func (r *reading) deleteOf(ctx context.Context, id string, references []string) (n int64, err error) {
	slices.Sort(references)
	for _, text := range slices.Compact(references) {
		ref, err := lake.ParseReference(text)
		if err != nil {
			return n, err
		}
		// Who writes the document holds the locks of all that is derived from it, so under this one the
		// current version does not change in what it has of it.
		out, err := r.lake.Commit(ctx, []lake.Write{{Type: ref.Type, ID: ref.ID, Method: delta.Delete, Prepare: func(*lake.Resource) error {
			return r.checkNotDerived(id, ref)
		}}})
		switch {
		case errors.Is(err, errDerived):
		case err != nil:
			return n, err
		case !out[0].Unchanged:
			n++
		}
	}
	return n, nil
}

func (r *reading) checkNotDerived(id string, ref lake.Reference) error {
	current, err := r.lake.Read(r4.TypeDocumentReference, id, nil)
	var gone *lake.GoneError
	if errors.As(err, &gone) || errors.Is(err, lake.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := current.Derived()
	if err == nil && slices.Contains(now, ref) {
		err = errDerived
	}
	return err
}
