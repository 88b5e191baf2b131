package dictionary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
	"github.com/fhirlake/fhirlake/store/disk"
)

// ErrReadOnly says that this process does not own the root.
var ErrReadOnly = errors.New("this process does not own the root")

// ErrUnknown says that no source has a name.
var ErrUnknown = errors.New("no terminology of this name")

// changing is held by who changes the folder of any root: two Dictionaries of one root may
// be open in the process that owns it.
var changing sync.Mutex

// Progress is how far an import is. Its fields are changed while it runs.
type Progress struct {
	Done, Total atomic.Int64 // bytes of the files
	Terms       atomic.Int64
}

// Import adds releases, in this order; one of the name of a source takes its place. All
// are added or, when one is at fault, none. One without terms to find is left out, which
// is a fault when there is no other.
func (d *Dictionary) Import(ctx context.Context, releases []release.Release, now time.Time, p *Progress) ([]Source, error) {
	changing.Lock()
	defer changing.Unlock()
	if p == nil {
		p = &Progress{}
	}
	if err := distinct(releases); err != nil {
		return nil, err
	}
	for i := range releases {
		p.Total.Add(releases[i].Size())
	}
	var added []Source
	err := d.change(func(l *list) error {
		for i := range releases {
			s, err := d.importOne(ctx, &releases[i], l, now, p)
			if err != nil {
				return err
			}
			if s.Terms == 0 {
				continue
			}
			added = append(added, s)
			if at := slices.IndexFunc(l.Sources, func(o Source) bool { return o.Name == s.Name }); at >= 0 {
				l.Sources[at] = s
			} else {
				l.Sources = append(l.Sources, s)
			}
		}
		if len(added) == 0 {
			return fmt.Errorf("%s: no terms for the dictionary in it", releases[0].Files[0].Name)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

// distinct refuses two releases of one name: the second would take the place of the first.
func distinct(releases []release.Release) error {
	files := map[string]string{}
	for i := range releases {
		r := &releases[i]
		if other, ok := files[r.Name]; ok {
			return fmt.Errorf("%s and %s would both be called %s; import them one after the other, with a name for each", other, r.Files[0].Name, r.Name)
		}
		files[r.Name] = r.Files[0].Name
	}
	return nil
}

// importOne keeps the terms of a release.
func (d *Dictionary) importOne(ctx context.Context, r *release.Release, l *list, now time.Time, p *Progress) (Source, error) {
	s := Source{Name: r.Name, Kind: r.Kind, Version: r.Version, Added: now.UTC().Truncate(time.Second)}
	for _, f := range r.Files {
		s.Read = append(s.Read, f.Name)
	}
	w, err := createTerms(filepath.Join(d.dir, fmt.Sprintf("terms-%d.tsv.zst", l.Next)))
	if err != nil {
		return s, err
	}
	l.Next++
	tick := func(n int) error {
		p.Done.Add(int64(n))
		return ctx.Err()
	}
	err = r.Read(tick, func(t terminology.Term) {
		p.Terms.Add(1)
		w.add(&t)
	})
	return s, errors.Join(err, w.close(&s))
}

// Remove takes sources away by their names.
func (d *Dictionary) Remove(names ...string) error {
	changing.Lock()
	defer changing.Unlock()
	return d.change(func(l *list) error {
		for _, name := range names {
			at := slices.IndexFunc(l.Sources, func(s Source) bool { return s.Name == name })
			if at < 0 {
				return fmt.Errorf("%w: %s", ErrUnknown, name)
			}
			l.Sources = slices.Delete(l.Sources, at, at+1)
		}
		return nil
	})
}

// rebuild makes the index of the sources again.
func (d *Dictionary) rebuild(locked bool) (*state, error) {
	if !locked {
		changing.Lock()
		defer changing.Unlock()
	}
	s, err := d.readList()
	if err != nil {
		return nil, err
	}
	if s.list.Index.madeHere() { // by another Dictionary of this process, meanwhile
		if s.index, err = d.mapIndex(&s.list.Index); err == nil {
			return s, nil
		}
	}
	return d.publish(&s.list)
}

// change applies f to the list of sources and makes the result the dictionary, at once
// and durably. The caller holds changing.
func (d *Dictionary) change(f func(*list) error) error {
	if !d.root.Exclusive() {
		return fmt.Errorf("change the dictionary: %w", ErrReadOnly)
	}
	s, err := d.readList()
	if err != nil {
		return err
	}
	files := disk.OS{}
	if err := errors.Join(files.MkdirAll(d.dir), files.SyncDir(d.root.Dir())); err != nil {
		return fmt.Errorf("change the dictionary: %w", err)
	}
	before := s.list
	before.Sources = slices.Clone(before.Sources)
	if err := f(&s.list); err != nil {
		d.sweep(&before)
		return err
	}
	made, err := d.publish(&s.list)
	if err != nil {
		d.sweep(&before)
		return err
	}
	d.now.Store(made)
	return nil
}

// publish compiles the sources of a list and puts it in place. Files that it does not name
// go; who has them open or mapped keeps them.
func (d *Dictionary) publish(l *list) (*state, error) {
	files := disk.OS{}
	l.Index = indexFile{}
	if len(l.Sources) > 0 {
		x, err := d.compile(l.Sources)
		if err != nil {
			return nil, err
		}
		l.Index = thisIndex(x, fmt.Sprintf("index-%d.flterm", l.Next))
		l.Next++
		if err := writeIndex(filepath.Join(d.dir, l.Index.File), x); err != nil {
			return nil, fmt.Errorf("write the dictionary: %w", err)
		}
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err == nil {
		err = files.SyncDir(d.dir)
	}
	if err == nil {
		err = disk.Replace(files, d.listFile(), append(text, '\n'))
	}
	if err != nil {
		return nil, fmt.Errorf("write the dictionary: %w", err)
	}
	d.sweep(l)
	s, err := d.readList()
	if err == nil && len(l.Sources) > 0 {
		s.index, err = d.mapIndex(&s.list.Index)
	} else if err == nil {
		s.index = nlp.CoreIndex()
	}
	if err != nil {
		return nil, fmt.Errorf("open the new dictionary: %w", err)
	}
	return s, nil
}

// writeIndex writes and syncs a new file. An index may be large: there is no copy in memory.
func writeIndex(name string, x *terminology.Index) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = x.WriteTo(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// sweep removes what a list does not name: leftovers, and what it replaced. What cannot be
// removed now is tried again at the next change.
func (d *Dictionary) sweep(l *list) {
	named := map[string]bool{listName: true, l.Index.File: true}
	for _, s := range l.Sources {
		named[s.File] = true
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !named[e.Name()] {
			os.Remove(filepath.Join(d.dir, e.Name()))
		}
	}
}
