package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// A Remover is a [Kind] whose jobs leave something on this machine that is of use for a while:
// Remove removes it.
type Remover interface {
	Remove(id string) error
}

// KeepFiles is how long what an export has made here is kept, as in Amazon HealthLake.
const KeepFiles = 48 * time.Hour

// Remove ends a job, or removes what one that has ended has made here. It is the same again.
func (m *Manager) Remove(id string) (*catalog.Job, error) {
	j, err := m.Cancel(id)
	if !errors.Is(err, ErrEnded) {
		return j, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if j, err = m.o.Catalog.Job(id); err != nil {
		return nil, err
	}
	return j, m.remove(j)
}

// remove removes what a job that has ended has made here: the record says so first. The
// caller holds mu.
func (m *Manager) remove(j *catalog.Job) error {
	r, ok := m.o.Kinds[j.Kind].(Remover)
	if !ok || j.Removed {
		return nil
	}
	j.Removed = true
	if err := m.o.Catalog.PutJob(j); err != nil {
		return err
	}
	if err := r.Remove(j.ID); err != nil {
		return fmt.Errorf("remove the files of job %s: %w", j.ID, err)
	}
	return nil
}

// Expired tells whether the time is over for which what a job has made here is kept. What is in
// a bucket is no longer ours.
func (m *Manager) Expired(j *catalog.Job) bool {
	return j.Ended() && j.Output == nil && !m.o.Now().Before(j.EndTime.Add(KeepFiles))
}

// sweepEvery is how often it is looked for jobs whose files have to go.
const sweepEvery = 10 * time.Minute

// Sweep removes what jobs have made here when its time is over, at once and now and then until
// ctx ends.
func (m *Manager) Sweep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for first := true; ; first = false {
		if err := m.sweep(first); err != nil {
			m.o.Log.Error("remove files of jobs", "error", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep removes what is expired. The first one of a process removes again what an earlier one
// may have left in the middle of it.
func (m *Manager) sweep(first bool) error {
	all, err := m.o.Catalog.Jobs("")
	for _, j := range all {
		r, ok := m.o.Kinds[j.Kind].(Remover)
		switch {
		case !ok:
		case j.Removed && first:
			err = errors.Join(err, r.Remove(j.ID))
		case !j.Removed && m.Expired(j):
			_, e := m.Remove(j.ID)
			err = errors.Join(err, e)
		}
	}
	return err
}

// Figures are those of a job at work; false when it is not.
func (m *Manager) Figures(id string) (pipeline.Figures, bool) {
	at := m.at(id)
	if at == nil {
		return pipeline.Figures{}, false
	}
	return at.Progress.Monitor.Figures(), true
}
