package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Fold is what a compaction needs of a lake that others read and write meanwhile: the
// state as it was when it began, and the step in which its work is shown. Until it is
// closed nobody else publishes.
type Fold struct {
	l     *Lake
	view  *view
	delta *delta.Snapshot
}

// BeginFold fixes the state that a compaction starts from. The caller closes it.
func (l *Lake) BeginFold() (*Fold, error) {
	snap, err := l.delta.Snapshot() // before the view: invariant 2
	if err != nil {
		return nil, err
	}
	v, err := l.acquire()
	if err != nil {
		return nil, errors.Join(err, snap.Close())
	}
	return &Fold{l: l, view: v, delta: snap}, nil
}

// Base is the snapshot, Index its id indexes, and Delta what there is beside it. They
// are valid until Close.
func (f *Fold) Base() *snapshot.Manifest { return f.view.m }

// Index is explained at [Fold.Base].
func (f *Fold) Index() *snapshot.Index { return f.view.index }

// Delta is explained at [Fold.Base].
func (f *Fold) Delta() *delta.Snapshot { return f.delta }

// Overtaken gives the resources of which a commit is folded in that is older than the
// last import: the snapshot may have a newer version.
func (f *Fold) Overtaken() (keys []snapshot.Key, err error) {
	m := f.view.m
	if m.DeltaSeq == 0 {
		return nil, nil
	}
	for c, err := range f.delta.Changes(delta.Range{After: m.FoldedSeq, Before: m.DeltaSeq + 1}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, c.Key)
	}
	return keys, nil
}

// Publish calls publish, which publishes in the lake's snapshot store, shows what was
// published, and then removes from the delta what the snapshot has now (invariant 2).
// When it ends early after publish, the rest is removed by the next one. Commits go on
// all the while.
func (f *Fold) Publish(ctx context.Context, publish func() error) error {
	if err := publish(); err != nil {
		return err
	}
	if err := f.l.Published(); err != nil {
		return fmt.Errorf("the compaction is published, and cannot be shown: %w", err)
	}
	return f.l.Trim(ctx)
}

// Trim removes from the delta what the snapshot has: something is there when a process
// ended between publishing and removing.
func (l *Lake) Trim(ctx context.Context) error {
	v, err := l.acquire()
	if err != nil {
		return err
	}
	seq := v.m.FoldedSeq
	v.done()
	return l.delta.Drop(ctx, seq)
}

// Close lets the state go.
func (f *Fold) Close() error {
	f.view.done()
	return f.delta.Close()
}
