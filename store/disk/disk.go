// Package disk owns how a file becomes durable: written under another name,
// synced, renamed, its folder synced. It also has the file locks by which
// processes on one machine agree. What the files mean is left to its callers
// (root, catalog, snapshot).
//
// Read [FS] and [Replace] first.
package disk

import (
	"fmt"
	"os"
	"path/filepath"
)

// FS is the set of file operations that publication is made of. Each of them is
// one step at which a process can die; tests put themselves between the steps.
type FS interface {
	// MkdirAll makes a folder and its parents.
	MkdirAll(dir string) error
	// WriteFile makes or empties the file, writes data, and syncs it.
	WriteFile(name string, data []byte) error
	Rename(from, to string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
	Remove(name string) error
}

// OS is the FS of the operating system.
type OS struct{}

var _ FS = OS{}

// MkdirAll implements [FS].
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

// WriteFile implements [FS].
func (OS) WriteFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// SyncDir implements [FS].
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

// Remove implements [FS].
func (OS) Remove(name string) error { return os.Remove(name) }

// TempSuffix ends the name of a file that is not yet what it will be. A file
// with it is a leftover as soon as its writer is gone.
const TempSuffix = ".tmp"

// Replace gives the file at name the content data, at once and durably: after a
// crash the file has the old content or the new. One writer at a time.
func Replace(fs FS, name string, data []byte) error {
	tmp := name + TempSuffix
	if err := fs.WriteFile(tmp, data); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := fs.Rename(tmp, name); err != nil {
		return fmt.Errorf("replace %s: %w", filepath.Base(name), err)
	}
	if err := fs.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("sync folder of %s: %w", filepath.Base(name), err)
	}
	return nil
}
