package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fhirlake/fhirlake/store/disk"
)

func TestAMappedFileStays(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := (disk.OS{}).WriteFile(name, []byte("old")); err != nil {
		t.Fatal(err)
	}
	mapped := func() []byte {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := disk.Map(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	old := mapped()
	if err := disk.Replace(disk.OS{}, name, nil); err != nil {
		t.Fatal(err)
	}
	if empty := mapped(); len(empty) != 0 || string(old) != "old" {
		t.Errorf("mapped %q and %q", old, empty)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if string(old) != "old" {
		t.Errorf("after the file was removed: %q", old)
	}
}
