package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/store/disk"
)

// Folder is a local folder as an Output. Until Publish the files lie in a hidden folder in
// it, whose name begins with ".fhirlake-".
type Folder struct {
	dir     string
	staged  string          // "" after Publish and Discard
	made    bool            // the folder was not there
	top     []string        // what lies in staged itself, in the order of Create
	folders map[string]bool // those of top that are folders
}

var _ Output = (*Folder)(nil)

// NotEmptyError says that a folder has something in it.
type NotEmptyError struct{ Dir, Name string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("%s is not empty, it has %s; name a new or an empty folder", e.Dir, e.Name)
}

// NewFolder makes an output of a folder that is empty or not there yet. What a job that died
// has left in it goes. The error is a [*NotEmptyError] when there is something else.
func NewFolder(dir string) (*Folder, error) {
	entries, err := os.ReadDir(dir)
	f := &Folder{dir: dir, made: errors.Is(err, fs.ErrNotExist), folders: map[string]bool{}}
	if err != nil && !f.made {
		return nil, fmt.Errorf("open output: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), stagedPrefix) {
			return nil, &NotEmptyError{dir, e.Name()}
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("open output: remove what an earlier job has left: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make output: %w", err)
	}
	if f.staged, err = os.MkdirTemp(dir, stagedPrefix); err != nil {
		return nil, fmt.Errorf("make output: %w", err)
	}
	return f, nil
}

// empty removes all that is in a folder. Files in it itself go first: such a one may say that
// the rest is there.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, folders := range []bool{false, true} {
		for _, e := range entries {
			if err == nil && e.IsDir() == folders {
				err = os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
	if err != nil {
		return fmt.Errorf("remove what an earlier run of the job has left: %w", err)
	}
	return nil
}

const stagedPrefix = ".fhirlake-"

// Create makes a file.
func (f *Folder) Create(name string) (File, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fmt.Errorf("create %s: the name leads out of the folder", name)
	}
	path := filepath.Join(f.staged, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create output: %w", err)
	}
	if first, _, folder := strings.Cut(name, "/"); !slices.Contains(f.top, first) {
		f.top = append(f.top, first)
		f.folders[first] = folder
	}
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create output: %w", err)
	}
	return &folderFile{w}, nil
}

// Publish gives the files their names.
func (f *Folder) Publish() error {
	err := f.publish()
	if err != nil {
		return fmt.Errorf("publish output: %w", err)
	}
	f.staged = ""
	return nil
}

func (f *Folder) publish() error {
	var fsys disk.OS
	for _, folders := range []bool{true, false} {
		for _, name := range f.top {
			from := filepath.Join(f.staged, name)
			if f.folders[name] != folders {
				continue
			}
			if folders {
				if err := fsys.SyncDir(from); err != nil {
					return err
				}
			}
			if err := os.Rename(from, filepath.Join(f.dir, name)); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(f.staged); err != nil {
		return err
	}
	return fsys.SyncDir(f.dir)
}

// Discard removes what was not published, and the folder if it was not there before.
func (f *Folder) Discard() error {
	if f.staged == "" {
		return nil
	}
	err := os.RemoveAll(f.staged)
	f.staged = ""
	if f.made {
		os.Remove(f.dir) // fails when others have put something there, which then stays
	}
	if err != nil {
		return fmt.Errorf("remove output: %w", err)
	}
	return nil
}

type folderFile struct{ f *os.File }

func (f *folderFile) Write(p []byte) (int, error) { return f.f.Write(p) }

// Close makes the content durable.
func (f *folderFile) Close() error {
	return errors.Join(f.f.Sync(), f.f.Close())
}

// Abort leaves the file to Discard.
func (f *folderFile) Abort() error { return f.f.Close() }
