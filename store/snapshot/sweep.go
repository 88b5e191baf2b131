package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/store/disk"
)

// Sweep removes every file that no manifest in use names: what older manifests
// had, and what crashed jobs left. A manifest is in use when it is the current
// one or someone holds it (see [Store.Current]). The caller owns the root and
// has no builder at work, whose files no manifest names yet; see [Store.Prune].
func (s *Store) Sweep() (removed []string, err error) { return s.sweep(true) }

// Prune removes the files of older manifests that nobody holds. Unlike Sweep it
// leaves alone what no manifest ever named, so it may run beside a builder.
func (s *Store) Prune() (removed []string, err error) { return s.sweep(false) }

// Unreferenced lists the files of the data store's folders that the manifest
// does not name; Sweep would remove most of them.
func (s *Store) Unreferenced(m *Manifest) ([]string, error) {
	named := map[string]bool{}
	if m.Number > 0 {
		named[path.Join(snapshotDir, manifestName(m.Number))] = true
	}
	for _, f := range m.Files() {
		named[f.Path] = true
	}
	all, err := s.list()
	return slices.DeleteFunc(all, func(rel string) bool { return named[rel] }), err
}

func (s *Store) sweep(leftovers bool) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	removed, err := s.sweepLocked(leftovers)
	if err != nil {
		return removed, fmt.Errorf("sweep: %w", err)
	}
	return removed, nil
}

func (s *Store) sweepLocked(leftovers bool) (removed []string, err error) {
	m, release, err := s.Current()
	if err != nil {
		return nil, err
	}
	defer release()
	keep := map[string]bool{}
	use := func(m *Manifest) {
		if m.Number > 0 {
			keep[path.Join(snapshotDir, manifestName(m.Number))] = true
		}
		for _, f := range m.Files() {
			keep[f.Path] = true
		}
	}
	use(m)
	retired, err := s.retire(m.Number, use)
	if err != nil {
		return nil, err
	}
	var victims []string
	if leftovers {
		if victims, err = s.list(); err != nil {
			return nil, err
		}
	} else {
		for _, old := range retired {
			for _, f := range old.Files() {
				victims = append(victims, f.Path)
			}
			victims = append(victims, path.Join(snapshotDir, manifestName(old.Number)))
		}
	}
	// Manifests go first: were a crash to leave one whose files are gone, a
	// later sweep would read names of nothing, and nobody could hold it again.
	slices.SortFunc(victims, func(a, b string) int {
		if x, y := strings.HasPrefix(a, snapshotDir), strings.HasPrefix(b, snapshotDir); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, rel := range slices.Compact(victims) {
		if keep[rel] {
			continue
		}
		err := s.fs.Remove(filepath.Join(s.dir, filepath.FromSlash(rel)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed = append(removed, rel)
	}
	return removed, nil
}

// retire looks at all manifests but the current one: those that are held it
// gives to use, of the others it removes the name and returns what they say.
func (s *Store) retire(current int64, use func(*Manifest)) (retired []*Manifest, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, snapshotDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		n, ok := manifestNumber(e.Name())
		if !ok || n == current {
			continue
		}
		m, held, err := s.retireOne(filepath.Join(s.dir, snapshotDir, e.Name()))
		switch {
		case err != nil:
			return nil, err
		case m == nil: // not readable, so nobody reads by it
		case held:
			use(m)
		default:
			retired = append(retired, m)
		}
	}
	return retired, nil
}

func (s *Store) retireOne(name string) (m *Manifest, held bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, false, err
	}
	m, _ = ParseManifest(text)
	err = disk.Lock(f, false, false)
	if errors.Is(err, disk.ErrLocked) {
		if m == nil {
			err = fmt.Errorf("%s is held by a reader and cannot be read", filepath.Base(name))
			return nil, true, err
		}
		return m, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	// The name goes while the lock is held: see hold.
	return m, false, s.fs.Remove(name)
}

// list gives all files in the folders of this package, sorted.
func (s *Store) list() ([]string, error) {
	var all []string
	for _, top := range []string{filesDir, indexDir, snapshotDir} {
		err := filepath.WalkDir(filepath.Join(s.dir, top), func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(s.dir, name)
			all = append(all, filepath.ToSlash(rel))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if _, err := os.Lstat(filepath.Join(s.dir, currentName+disk.TempSuffix)); err == nil {
		all = append(all, currentName+disk.TempSuffix)
	}
	return all, nil
}
