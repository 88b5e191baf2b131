// Package root owns the root folder: its layout, the lock by which one process
// owns it, and temporary folders below it. What the folders hold is left to
// catalog, snapshot and the others.
//
//	<root>/lock                 held by the owner, names it
//	<root>/catalog/             data stores and jobs
//	<root>/datastores/<id>/     one folder for each data store
//	<root>/profiles, <root>/terminology
//	<root>/tmp/                 spill files of running processes
//
// Read [Open] and [Root] first.
package root

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fhirlake/fhirlake/store/disk"
)

// Options says how to open a root.
type Options struct {
	// Exclusive makes this process the owner: only the owner writes.
	Exclusive bool
}

// Root is an open root folder. It is safe for concurrent use.
type Root struct {
	dir  string
	lock *lockFile // nil for a reader
}

// The entries that make a folder a root, and the one that a fresh file system
// has by itself.
var (
	marks    = []string{"lock", "catalog"}
	harmless = map[string]bool{"lost+found": true}
)

// Open opens the root folder. The owner's first open makes the folder; a reader
// writes nothing, and sees a folder that does not exist yet as an empty root.
//
// Errors to branch on: [*OwnedError] when another process owns the root, and
// [ErrNotWritable] (both only for Exclusive), [ErrNotRoot] when the folder holds something else.
func Open(dir string, o Options) (*Root, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	r := &Root{dir: dir}
	if !o.Exclusive {
		return r, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, notWritable(dir, err)
	}
	if r.lock, err = takeLock(filepath.Join(dir, "lock")); err != nil {
		var owned *OwnedError
		if errors.As(err, &owned) {
			owned.Root = dir
			return nil, owned
		}
		return nil, notWritable(dir, err)
	}
	for _, d := range []string{r.CatalogDir(), r.datastores(), r.tmp()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			r.Close()
			return nil, notWritable(dir, err)
		}
	}
	r.sweepTemp()
	return r, nil
}

// ErrNotRoot says that a folder holds something that is not ours; it stays
// untouched.
var ErrNotRoot = errors.New("not a fhirlake root")

func checkFolder(dir string) error {
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open root: %w", err)
	}
	if !st.IsDir() {
		return fmt.Errorf("open root %s: %w: it is a file; give a folder with --root", dir, ErrNotRoot)
	}
	for _, m := range marks {
		if _, err := os.Lstat(filepath.Join(dir, m)); err == nil {
			return nil
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("open root: %w", err)
	}
	for _, e := range entries {
		if !harmless[e.Name()] {
			return fmt.Errorf("open root %s: %w: the folder has other content (%s); give an empty or a new folder with --root",
				dir, ErrNotRoot, e.Name())
		}
	}
	return nil
}

// ErrNotWritable says that this user, or the file system, may not write the root.
var ErrNotWritable = errors.New("cannot be written")

func notWritable(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnlyFS) {
		return fmt.Errorf("root %s %w; choose another with --root, or give this user the right to write it: %w", dir, ErrNotWritable, err)
	}
	return fmt.Errorf("open root %s: %w", dir, err)
}

// Close gives the root up. Closing twice does nothing.
func (r *Root) Close() error {
	if r.lock == nil {
		return nil
	}
	return r.lock.release()
}

// Dir is the absolute path of the root.
func (r *Root) Dir() string { return r.dir }

// Exclusive tells whether this process owns the root.
func (r *Root) Exclusive() bool { return r.lock != nil }

// Announce tells other processes where the owner can be reached. The PID of o is
// that of this process, whatever it says.
func (r *Root) Announce(o Owner) error {
	if r.lock == nil {
		return errors.New("announce the owner: this process does not own the root")
	}
	if err := r.lock.write(o); err != nil {
		return fmt.Errorf("announce the owner: %w", err)
	}
	return nil
}

// CatalogDir is the folder of package catalog.
func (r *Root) CatalogDir() string { return filepath.Join(r.dir, "catalog") }

// DatastoreDir is the folder of one data store; it may not exist yet.
func (r *Root) DatastoreDir(id string) string { return filepath.Join(r.datastores(), id) }

// ProfilesDir and TerminologyDir hold what users add; they may not exist.
func (r *Root) ProfilesDir() string { return filepath.Join(r.dir, "profiles") }

// TerminologyDir is explained at [Root.ProfilesDir].
func (r *Root) TerminologyDir() string { return filepath.Join(r.dir, "terminology") }

// JobDir is the folder of what a job keeps beside its record; it may not exist.
func (r *Root) JobDir(id string) string { return filepath.Join(r.dir, "jobs", id) }

// EventsDir is the folder of the event log.
func (r *Root) EventsDir() string { return filepath.Join(r.dir, "events") }

func (r *Root) datastores() string { return filepath.Join(r.dir, "datastores") }
func (r *Root) tmp() string        { return filepath.Join(r.dir, "tmp") }

// TempDir makes a folder for spill files, for owners and readers alike. The
// returned func removes it; should the process die, the next owner does. That
// is why the folder stays locked: a reader's folder must outlive a new owner.
// A reader that cannot write the root gets a folder of the system.
func (r *Root) TempDir() (string, func(), error) {
	for range 10 {
		dir, err := os.MkdirTemp(r.tmp(), "spill-")
		if err != nil && r.Exclusive() {
			return "", nil, notWritable(r.dir, err)
		}
		if err != nil {
			if dir, err = os.MkdirTemp("", "fhirlake-spill-"); err != nil {
				return "", nil, fmt.Errorf("make temporary folder: %w", err)
			}
			return dir, func() { os.RemoveAll(dir) }, nil
		}
		f, err := os.Open(dir)
		if err != nil {
			continue // swept before it was locked
		}
		if err := disk.Lock(f, true, true); err != nil {
			f.Close()
			os.RemoveAll(dir)
			return "", nil, fmt.Errorf("make temporary folder: %w", err)
		}
		if !sameFile(f, dir) {
			f.Close()
			continue
		}
		return dir, func() { os.RemoveAll(dir); f.Close() }, nil
	}
	return "", nil, fmt.Errorf("make temporary folder in %s: it disappears", r.tmp())
}

func (r *Root) sweepTemp() {
	entries, err := os.ReadDir(r.tmp())
	if err != nil {
		return
	}
	for _, e := range entries {
		name := filepath.Join(r.tmp(), e.Name())
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if disk.Lock(f, false, false) == nil {
			os.RemoveAll(name)
		}
		f.Close()
	}
}

func sameFile(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}
