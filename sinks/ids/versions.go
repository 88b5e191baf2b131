package ids

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// versions is the settler of a compaction. It goes through the records and the entries
// of the merged layers together, key by key, and writes the versions that are kept.
type versions struct {
	*output
	plan   *compact.Plan
	merged *snapshot.Merge
	older  *snapshot.Lookup
	old    []snapshot.Entry // of the next key of merged; nil at its end

	fresh []entry // records of the key that is being collected
	moved []entry // those of them that replace a row, by it
	all   []version
	kept  []snapshot.Entry
}

// version is one version of a resource on its way into the index.
type version struct {
	snapshot.Entry
	delta   bool // it comes from the delta
	current bool // nothing says yet that its row is superseded
}

func newVersions(o *output, p *compact.Plan) (*versions, error) {
	v := &versions{output: o, plan: p, older: p.Older()}
	var err error
	if v.merged, err = p.Merged(); err == nil {
		err = v.advance()
	}
	return v, err
}

func (v *versions) advance() (err error) {
	v.old, err = v.merged.Next()
	return err
}

func (v *versions) take(e *entry) error {
	if len(v.fresh) > 0 && v.fresh[0].key != e.key {
		if err := v.settle(); err != nil {
			return err
		}
	}
	v.fresh = append(v.fresh, *e)
	return nil
}

func (v *versions) finish() error {
	if len(v.fresh) > 0 {
		if err := v.settle(); err != nil {
			return err
		}
	}
	for v.old != nil {
		if err := v.write(nil); err != nil {
			return err
		}
	}
	return v.close()
}

// settle writes what lies before the key of the records, and the key itself.
func (v *versions) settle() error {
	key := v.fresh[0].key
	for v.old != nil && v.old[0].Key.Less(key) {
		if err := v.write(nil); err != nil {
			return err
		}
	}
	err := v.write(v.fresh)
	v.fresh = v.fresh[:0]
	return err
}

// write writes the versions of one key: those of fresh, and those of old when it is the
// same key or there is nothing fresh.
func (v *versions) write(fresh []entry) error {
	v.all = v.all[:0]
	inMerged := v.old != nil && (len(fresh) == 0 || v.old[0].Key == fresh[0].key)
	if inMerged {
		if err := v.takeOld(fresh); err != nil {
			return err
		}
		if err := v.advance(); err != nil {
			return err
		}
	}
	for i := range fresh {
		if e := &fresh[i]; !e.replaces {
			v.all = append(v.all, version{Entry: snapshot.Entry{
				Key: e.key, Content: e.content, Address: e.at, Version: e.version, Updated: e.updated, Deleted: e.deleted,
			}, delta: true, current: true})
		}
	}
	if len(fresh) > 0 && !inMerged {
		if err := v.takeOlder(fresh[0].key); err != nil {
			return err
		}
	}
	// Of two with one number, that of the delta is the right one, and it is the later.
	slices.SortStableFunc(v.all, func(a, b version) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), compareBool(a.delta, b.delta))
	})
	return v.emit()
}

// compareBool puts true before false.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// takeOld takes what the merged layers have of the key, with the new addresses of rows
// that were written anew.
func (v *versions) takeOld(fresh []entry) error {
	kept := v.plan.KeepOld(v.old)
	if e := &v.old[0]; len(kept) == 0 && !e.Deleted && !v.plan.Rewritten(e.Address.Segment) {
		v.supersede(e.Address)
	}
	v.sortMoved(fresh)
	used := 0
	for n, e := range kept {
		at := version{Entry: e, current: n == 0 && !e.Deleted}
		if v.plan.Rewritten(e.Address.Segment) {
			i, ok := slices.BinarySearchFunc(v.moved, e.Address, func(f entry, a snapshot.Address) int { return compareAddresses(f.base, a) })
			if !ok {
				return fmt.Errorf("row %d of segment %d has version %d of a resource and was not written anew",
					e.Address.Row, e.Address.Segment, e.Version)
			}
			f := &v.moved[i]
			if f.version != e.Version || f.deleted != e.Deleted {
				return fmt.Errorf("row %d of segment %d has version %d, the id index says %d",
					e.Address.Row, e.Address.Segment, f.version, e.Version)
			}
			at.Address, at.current = f.at, true
			used++
		}
		v.all = append(v.all, at)
	}
	if n := len(v.moved) - used; n != 0 {
		return fmt.Errorf("%d rows of a resource were written anew that have no version", n)
	}
	return nil
}

// sortMoved sorts the records that replace a row: a resource may have any number.
func (v *versions) sortMoved(fresh []entry) {
	v.moved = v.moved[:0]
	for i := range fresh {
		if fresh[i].replaces {
			v.moved = append(v.moved, fresh[i])
		}
	}
	slices.SortFunc(v.moved, func(a, b entry) int { return compareAddresses(a.base, b.base) })
}

func compareAddresses(a, b snapshot.Address) int {
	return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Row, b.Row))
}

// takeOlder takes the latest version that other layers have of a key of the delta: an
// import may have overtaken those of the delta, and then its entry comes first; else its
// row is no longer current.
func (v *versions) takeOlder(k snapshot.Key) error {
	if len(v.all) == 0 || len(v.all) < len(v.fresh) {
		return errors.New("rows of a resource were written anew that has no version")
	}
	e, ok, err := v.older.One(k)
	if err != nil || !ok {
		return err
	}
	newest := uint32(0)
	for i := range v.all {
		newest = max(newest, v.all[i].Version)
	}
	switch {
	case e.Version > newest:
		v.all = append(v.all, version{Entry: e})
	case !e.Deleted:
		v.supersede(e.Address)
	}
	return nil
}

// emit writes the versions in v.all, the newest first, that are kept, and tells which rows
// are not current.
func (v *versions) emit() error {
	v.kept = v.kept[:0]
	for i := range v.all {
		at := &v.all[i]
		if i == 0 || at.Version != v.all[i-1].Version {
			v.kept = append(v.kept, at.Entry)
		}
		if at.current && (i > 0 || at.Deleted) {
			v.supersede(at.Address)
		}
	}
	if len(v.kept) == 0 {
		return nil
	}
	for _, e := range v.plan.Keep(v.kept) {
		v.s.result.Entries++
		if err := v.add(e); err != nil {
			return err
		}
	}
	return nil
}
