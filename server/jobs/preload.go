package jobs

import (
	"context"
	"fmt"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// A Generator writes a population as NDJSON into a folder, the same one each time.
type Generator interface {
	Generate(ctx context.Context, dir string) error
}

// Preloads are the jobs that fill new data stores with generated resources.
type Preloads struct {
	*Engine
	Generator Generator
}

var _ Kind = Preloads{}

// Publishes implements [Kind].
func (Preloads) Publishes() bool { return true }

// Run implements [Kind].
func (k Preloads) Run(ctx context.Context, j *Job) error {
	if j.Snapshot == 0 {
		dir, remove, err := k.Root.TempDir()
		if err != nil {
			return err
		}
		defer remove()
		if err := k.Generator.Generate(ctx, dir); err != nil {
			return err
		}
		if err := k.load(ctx, j, bulk.ImportOptions{Inputs: []string{dir}, Level: validate.Strict}); err != nil {
			return err
		}
	}
	settle(j)
	return nil
}

// Preload submits the job that fills a data store, when its record says that it is to be filled
// and no job has done or begun that. The job is nil when there is nothing to do.
func (m *Manager) Preload(d *catalog.DataStore) (*catalog.Job, error) {
	if d.PreloadData == nil || d.Status != catalog.StatusActive || !m.Serves(catalog.Preload) {
		return nil, nil
	}
	// The token makes it one job, whoever asks how often.
	j := &catalog.Job{Kind: catalog.Preload, ClientToken: "preload"}
	j.DatastoreID = d.ID
	return m.Submit(j)
}

// PreloadAll submits the jobs that an earlier process has not come to.
func (m *Manager) PreloadAll() error {
	all, err := m.o.Catalog.DataStores()
	if err != nil {
		return err
	}
	for _, d := range all {
		if _, err := m.Preload(d); err != nil {
			return fmt.Errorf("fill data store %s: %w", d.ID, err)
		}
	}
	return nil
}
