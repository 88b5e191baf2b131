package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/store/catalog"
)

// maxTags is how many tags a data store, or a request, may have.
const maxTags = 200

type tagRequest struct {
	ResourceARN string
	Tags        []catalog.Tag
	TagKeys     []string
}

// tagged finds the data store that an ARN names.
func (h *Handler) tagged(arn string, c checks) (*catalog.DataStore, error) {
	c.pattern("ResourceARN", arn, 1011, false, arnPattern, "the ARN of a data store, arn:aws:healthlake:<region>:<account>:datastore/fhir/<id>")
	if err := c.err(); err != nil {
		return nil, err
	}
	d, err := h.o.Catalog.DataStore(arn[len(arn)-32:])
	if err != nil {
		return nil, err
	}
	if d.ARN != arn || d.Status != catalog.StatusActive {
		return nil, fmt.Errorf("data store %q: %w", arn, catalog.ErrNotFound)
	}
	return d, nil
}

func (h *Handler) tag(_ context.Context, r *tagRequest) (any, error) {
	var c checks
	c.tags(r.Tags)
	if r.Tags == nil {
		c.add("Tags is missing")
	}
	d, err := h.tagged(r.ResourceARN, c)
	if err != nil {
		return nil, err
	}
	_, err = h.o.Catalog.UpdateDataStore(d.ID, func(d *catalog.DataStore) error {
		for _, t := range r.Tags {
			i := slices.IndexFunc(d.Tags, func(have catalog.Tag) bool { return have.Key == t.Key })
			if i < 0 {
				d.Tags = append(d.Tags, t)
			} else {
				d.Tags[i] = t
			}
		}
		if len(d.Tags) > maxTags {
			return &fault{kind: validation, Message: fmt.Sprintf("the data store would have %d tags; at most %d are allowed", len(d.Tags), maxTags)}
		}
		return nil
	})
	return struct{}{}, err
}

func (h *Handler) untag(_ context.Context, r *tagRequest) (any, error) {
	var c checks
	if r.TagKeys == nil {
		c.add("TagKeys is missing")
	}
	if len(r.TagKeys) > maxTags {
		c.add("there are %d keys; at most %d are allowed", len(r.TagKeys), maxTags)
	}
	for _, k := range r.TagKeys {
		c.text("a tag key", k, 128, false)
	}
	d, err := h.tagged(r.ResourceARN, c)
	if err != nil {
		return nil, err
	}
	_, err = h.o.Catalog.UpdateDataStore(d.ID, func(d *catalog.DataStore) error {
		d.Tags = slices.DeleteFunc(d.Tags, func(t catalog.Tag) bool { return slices.Contains(r.TagKeys, t.Key) })
		return nil
	})
	return struct{}{}, err
}

func (h *Handler) listTags(_ context.Context, r *tagRequest) (any, error) {
	d, err := h.tagged(r.ResourceARN, nil)
	if err != nil {
		return nil, err
	}
	return struct{ Tags []catalog.Tag }{append([]catalog.Tag{}, d.Tags...)}, nil
}
