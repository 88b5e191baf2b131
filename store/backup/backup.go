// Package backup copies a root while it is in use, and makes a root of the copy again.
// A backup is a folder with the layout of a root and a file that says that it is whole:
//
//	<backup>/backup.json          written last
//	<backup>/catalog/, profiles/, terminology/
//	<backup>/datastores/<id>/     snapshot, and delta as of one moment
//
// Each data store is copied as of one moment; two of them, as of two. Everything of a
// snapshot is read against its checksums on the way. A backup has the keys of the hashes
// and all data in plain text, so its folder is for its user alone.
//
// Read [Write] and [Restore] first.
package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/disk"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// manifestName is the file that makes a folder a backup.
const manifestName = "backup.json"

// format is the version of the layout.
const format = 1

// Manifest says what a backup has.
type Manifest struct {
	Format     int         `json:"format"`
	CreatedAt  time.Time   `json:"createdAt"`
	DataStores []DataStore `json:"dataStores"`
}

// DataStore is the state of a data store in a backup.
type DataStore struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Snapshot int64  `json:"snapshot"`          // number of the manifest
	Commit   uint64 `json:"commit,omitempty"`  // the last one of the delta
	Bytes    int64  `json:"bytes"`             // of the snapshot's files
	Written  bool   `json:"written,omitempty"` // it has a delta
}

// Source is what is copied.
type Source struct {
	Root    *root.Root
	Catalog *catalog.Catalog
	// Lake gives a data store that has a delta, nil for one that has none.
	Lake func(id string) (*lake.Lake, error)
}

// ErrNotBackup says that a folder is no backup, or one that was never finished.
var ErrNotBackup = errors.New("not a backup, or not a whole one")

// Write makes a backup in the folder to, which must be empty or not there. Copied, when
// not nil, is told the bytes of each file that was copied.
func Write(ctx context.Context, from Source, to string, now time.Time, copied func(int64)) (*Manifest, error) {
	if copied == nil {
		copied = func(int64) {}
	}
	if err := makeEmpty(to); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	all, err := from.Catalog.DataStores()
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	m := &Manifest{Format: format, CreatedAt: now.UTC().Truncate(time.Second), DataStores: []DataStore{}}
	for _, d := range all {
		if d.Status != catalog.StatusActive {
			continue
		}
		one, err := from.copyStore(ctx, d, filepath.Join(to, "datastores", d.ID), copied)
		if err != nil {
			return nil, fmt.Errorf("backup of data store %s: %w", d.ID, err)
		}
		m.DataStores = append(m.DataStores, *one)
	}
	// The catalog comes after what it names.
	for _, dir := range from.folders() {
		if err := copySteady(ctx, filepath.Join(from.Root.Dir(), dir), filepath.Join(to, dir), copied); err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	err = disk.Replace(disk.OS{}, filepath.Join(to, manifestName), append(text, '\n'))
	if err = errors.Join(err, disk.OS{}.SyncDir(filepath.Dir(to))); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

// folders are those that are copied as they are, below the root.
func (s *Source) folders() []string {
	dirs := []string{s.Root.ProfilesDir(), s.Root.TerminologyDir(), s.Root.CatalogDir()}
	for i, d := range dirs {
		dirs[i] = filepath.Base(d)
	}
	return dirs
}

func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty; give a new folder", dir)
	}
	return os.Chmod(dir, 0o700)
}

// maxTries is how often a copy begins again because a job published meanwhile.
const maxTries = 10

// copyStore copies the delta and the snapshot of one moment. That is when the delta was
// copied, if no job published around it: of what a job moves from one to the other, or
// numbers by both, the copy must have both sides.
func (s *Source) copyStore(ctx context.Context, d *catalog.DataStore, to string, copied func(int64)) (*DataStore, error) {
	l, err := s.Lake(d.ID)
	if err != nil {
		return nil, err
	}
	var store *snapshot.Store
	if l != nil {
		store = l.Snapshot()
	} else if store, err = snapshot.Open(s.Root.DatastoreDir(d.ID)); err != nil {
		return nil, err
	}
	for range maxTries {
		m, release, err := store.Current()
		if err != nil {
			return nil, err
		}
		one := &DataStore{ID: d.ID, Name: d.Name, Snapshot: m.Number}
		same, err := copyDelta(l, store, m, to, one)
		if err == nil && same {
			err = store.CopyTo(ctx, m, to, func(n int64) { one.Bytes += n; copied(n) })
		}
		release()
		if err != nil || same {
			return one, err
		}
	}
	return nil, fmt.Errorf("jobs published %d times while it was copied; try again when they have ended", maxTries)
}

// copyDelta copies the delta, if there is one, and tells whether m is still the current
// state.
func copyDelta(l *lake.Lake, store *snapshot.Store, m *snapshot.Manifest, to string, one *DataStore) (same bool, err error) {
	if l == nil {
		return true, nil
	}
	dir := filepath.Join(to, "delta")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(to, 0o755)); err != nil {
		return false, err
	}
	one.Commit, one.Written = l.Delta().Stats().LastSeq, true
	if err := l.Delta().Checkpoint(dir); err != nil {
		return false, err
	}
	now, release, err := store.Current()
	if err != nil {
		return false, err
	}
	release()
	return now.Number == m.Number, nil
}

// Read gives the manifest of a backup. The error is [ErrNotBackup] when there is none.
func Read(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: there is no %s", dir, ErrNotBackup, manifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read backup: %s: %w", manifestName, err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("read backup: it has format %d; this program knows %d", m.Format, format)
	}
	return m, nil
}

// Restore makes an empty root what a backup has. The caller owns the root, and opens its
// catalog and data stores afterwards. After an error, or a crash, the root has no data
// stores and Restore can be called again.
func Restore(ctx context.Context, dir string, to *root.Root, copied func(int64)) (*Manifest, error) {
	if copied == nil {
		copied = func(int64) {}
	}
	m, err := Read(dir)
	if err != nil {
		return nil, err
	}
	if err := checkEmpty(to); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	for _, d := range m.DataStores {
		if !catalog.IsID(d.ID) {
			return nil, fmt.Errorf("restore: %s: %q is no id of a data store", manifestName, d.ID)
		}
		if err := restoreStore(ctx, filepath.Join(dir, "datastores", d.ID), to.DatastoreDir(d.ID), &d, copied); err != nil {
			return nil, fmt.Errorf("restore data store %s: %w", d.ID, err)
		}
	}
	// The catalog comes last: without it there are no data stores.
	s := Source{Root: to}
	for _, folder := range s.folders() {
		if err := copyFolder(ctx, filepath.Join(dir, folder), filepath.Join(to.Dir(), folder), copied); err != nil {
			return nil, fmt.Errorf("restore: %w", err)
		}
	}
	return m, nil
}

// checkEmpty refuses a root that has data stores.
func checkEmpty(r *root.Root) error {
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		return err
	}
	all, err := c.DataStores()
	if err == nil && len(all) > 0 {
		err = fmt.Errorf("root %s has data stores; restore into a new root", r.Dir())
	}
	return errors.Join(err, c.Close())
}

func restoreStore(ctx context.Context, from, to string, d *DataStore, copied func(int64)) error {
	if err := os.RemoveAll(to); err != nil { // of a restore that did not end
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	store, err := snapshot.Open(from)
	if err != nil {
		return err
	}
	m, release, err := store.Current()
	if err != nil {
		return err
	}
	defer release()
	if m.Number != d.Snapshot {
		return fmt.Errorf("the snapshot is number %d, the backup says %d", m.Number, d.Snapshot)
	}
	if d.Written {
		if err := copyFolder(ctx, filepath.Join(from, "delta"), filepath.Join(to, "delta"), copied); err != nil {
			return err
		}
	}
	if err := store.CopyTo(ctx, m, to, copied); err != nil {
		return err
	}
	return errors.Join(disk.OS{}.SyncDir(to), disk.OS{}.SyncDir(filepath.Dir(to)))
}

// copyFolder copies files and folders durably, but for what a process that died left
// half written. A folder that is not there is an empty one.
// listName is the file that names the others of the terminology folder: none of them goes
// before it is replaced (docs/formats/terminology.md).
const listName = "sources.json"

// copySteady copies a folder. One whose files are named by a list is copied again when the
// list was replaced meanwhile, as the copy may have the one without the others.
func copySteady(ctx context.Context, from, to string, copied func(int64)) error {
	for try := 1; ; try++ {
		before, err := readList(from)
		if err != nil {
			return err
		}
		if err := copyFolder(ctx, from, to, copied); err != nil {
			return err
		}
		after, err := readList(from)
		if err != nil || bytes.Equal(before, after) {
			return err
		}
		if try == maxTries {
			return fmt.Errorf("%s changes all the time", from)
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
}

func readList(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, listName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return text, err
}

func copyFolder(ctx context.Context, from, to string, copied func(int64)) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone since the folder was read, or never there
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			return disk.OS{}.SyncDir(filepath.Dir(target))
		}
		if !entry.Type().IsRegular() || filepath.Ext(path) == disk.TempSuffix {
			return nil
		}
		n, err := copyFile(path, target)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			copied(n)
		}
		return err
	})
}

func copyFile(from, to string) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return n, errors.Join(err, out.Close(), disk.OS{}.SyncDir(filepath.Dir(to)))
}
