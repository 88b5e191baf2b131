package backup_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/backup"
)

// TestTerminologiesAreOfOneMoment replaces the list of the terminologies, and the files that
// it names, after the first file was copied.
func TestTerminologiesAreOfOneMoment(t *testing.T) {
	o := open(t, t.TempDir())
	dir := o.root.TerminologyDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	publish := func(terms, list string) {
		t.Helper()
		err := os.WriteFile(filepath.Join(dir, terms), []byte(terms), 0o644)
		if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "sources.json"), []byte(list), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	publish("a-1", "names a-1")
	changed := false
	to := filepath.Join(t.TempDir(), "backup")
	_, err := backup.Write(t.Context(), o.source(), to, now, func(int64) {
		if _, err := os.Stat(filepath.Join(to, "terminology", "a-1")); err != nil || changed {
			return
		}
		changed = true
		publish("z-2", "names z-2")
		if err := os.Remove(filepath.Join(dir, "a-1")); err != nil {
			t.Error(err)
		}
	})
	if err != nil || !changed {
		t.Fatalf("changed %v, error %v", changed, err)
	}
	got := map[string]string{}
	for _, name := range []string{"a-1", "sources.json", "z-2"} {
		if text, err := os.ReadFile(filepath.Join(to, "terminology", name)); err == nil {
			got[name] = string(text)
		}
	}
	if d := cmp.Diff(map[string]string{"sources.json": "names z-2", "z-2": "z-2"}, got); d != "" {
		t.Error(d)
	}
}
