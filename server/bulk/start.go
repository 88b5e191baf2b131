package bulk

import (
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// start is the state of a data store that an import starts from, and the way to
// publish on top of it: beside a lake that others write to, or alone.
type start struct {
	base     *snapshot.Manifest
	versions identify.Versions // nil when the data store is empty
	store    *snapshot.Store
	beside   *lake.Import // nil when the import is alone
	close    func() error
}

func (j *importJob) begin() (*start, error) {
	if j.Lake != nil {
		i, err := j.Lake.BeginImport()
		if err != nil {
			return nil, err
		}
		return &start{
			base: i.Base(), versions: lakeVersions{i}, store: j.store, beside: i,
			close: func() error { i.Close(); return nil },
		}, nil
	}
	base, release, err := j.store.Current()
	if err != nil {
		return nil, err
	}
	index, err := snapshot.OpenIndex(j.store.Dir(), base)
	if err != nil {
		release()
		return nil, err
	}
	s := &start{base: base, store: j.store, close: func() error { defer release(); return index.Close() }}
	if !index.Empty() {
		s.versions = indexVersions{index}
	}
	return s, nil
}

// publish publishes what the builder has. Beside a lake c puts right first what others
// have written in the meantime.
func (s *start) publish(o snapshot.PublishOptions, b *snapshot.Builder, c *corrector) (m *snapshot.Manifest, err error) {
	if s.beside == nil {
		return s.store.Publish(b, o)
	}
	err = s.beside.Publish(func(at *lake.Moment) error {
		o.DeltaSeq = at.Seq
		if err := c.correct(at, b, &o); err != nil {
			return err
		}
		var err error
		m, err = s.store.Publish(b, o)
		return err
	})
	return m, err
}

// indexVersions lets the identify stage ask the id indexes.
type indexVersions struct{ index *snapshot.Index }

func (v indexVersions) NewLookup() func([][2]uint64, []identify.Version) error {
	var (
		lookup  = v.index.NewLookup()
		keys    []snapshot.Key
		entries []snapshot.Entry
		found   []bool
	)
	return func(ks [][2]uint64, versions []identify.Version) error {
		keys = keys[:0]
		for _, k := range ks {
			keys = append(keys, k)
		}
		if cap(entries) < len(ks) {
			entries, found = make([]snapshot.Entry, len(ks)), make([]bool, len(ks))
		}
		entries, found = entries[:len(ks)], found[:len(ks)]
		if err := lookup.Latest(keys, entries, found); err != nil {
			return err
		}
		for i, e := range entries {
			if found[i] {
				versions[i] = identify.Version{
					Content: e.Content, Number: e.Version, Deleted: e.Deleted,
					HasRow: !e.Deleted, Segment: e.Address.Segment, Row: e.Address.Row,
				}
			}
		}
		return nil
	}
}

// lakeVersions lets the identify stage ask snapshot and delta.
type lakeVersions struct{ i *lake.Import }

func (v lakeVersions) NewLookup() func([][2]uint64, []identify.Version) error {
	lookup := v.i.NewLookup()
	var current []lake.Current
	return func(keys [][2]uint64, versions []identify.Version) error {
		if cap(current) < len(keys) {
			current = make([]lake.Current, len(keys))
		}
		current = current[:len(keys)]
		if err := lookup(keys, current); err != nil {
			return err
		}
		for i := range current {
			versions[i] = versionOf(&current[i])
		}
		return nil
	}
}

func versionOf(c *lake.Current) identify.Version {
	return identify.Version{
		Content: c.Content, Number: c.Number, Deleted: c.Deleted,
		HasRow: c.HasRow, Segment: c.Row.Segment, Row: c.Row.Row,
	}
}
