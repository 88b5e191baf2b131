package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, o Output, name, text string) {
	t.Helper()
	w, err := o.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// files gives the files below a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNothingIsSeenBeforePublish(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "out")
	f, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "Patient/one", "1")
	write(t, f, "two", "2")
	entries, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	if err != nil || len(entries) > 0 {
		t.Errorf("seen: %v, %v", entries, err)
	}
	if err := f.Publish(); err != nil {
		t.Fatal(err)
	}
	if err := f.Discard(); err != nil {
		t.Errorf("Discard after Publish: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"Patient/one": "1", "two": "2"}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestDiscardLeavesWhatWasThere(t *testing.T) {
	for _, there := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "out")
		if there {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		f, err := NewFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		write(t, f, "one", "1")
		w, err := f.Create("open")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Abort(), f.Discard(), f.Discard()); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if exists := err == nil; exists != there || len(entries) > 0 {
			t.Errorf("the folder was there: %v; now %v with %v", there, exists, entries)
		}
	}
}

func TestAFolderWithSomethingInItIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := NewFolder(dir)
	var full *NotEmptyError
	if !errors.As(err, &full) || full.Name != "mine" {
		t.Errorf("error: %v", err)
	}
}

func TestWhatADeadJobLeftGoes(t *testing.T) {
	dir := t.TempDir()
	dead, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dead, "old", "1")
	f, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "new", "2")
	if err := f.Publish(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"new": "2"}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	f, err := NewFolder(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../up", "/root", "a/../../up", "", "a/../.."} {
		if _, err := f.Create(name); err == nil {
			t.Errorf("%q was created", name)
		}
	}
}

// TestWhatIsCreatedLastIsSeenLast has a folder that cannot be published whole.
func TestWhatIsCreatedLastIsSeenLast(t *testing.T) {
	dir := t.TempDir()
	f, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "SUCCESS/one", "1")
	write(t, f, "Manifest.json", "2")
	if err := os.MkdirAll(filepath.Join(dir, "SUCCESS", "of others"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Publish(); err == nil {
		t.Error("published over a folder of others")
	}
	if _, err := os.Stat(filepath.Join(dir, "Manifest.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the manifest is there without what it tells of: %v", err)
	}
}
