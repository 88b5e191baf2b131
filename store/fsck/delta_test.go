package fsck_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/fsck"
)

// openDelta opens the delta of a data store.
func openDelta(t *testing.T, dir string) *delta.Store {
	t.Helper()
	d, err := delta.Open(filepath.Join(dir, "delta"), delta.Options{Memory: 1, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDelta(t *testing.T) {
	r, c, s := lake(t, even)
	d := openDelta(t, s.Dir())
	entries := []delta.Entry{
		{Version: delta.Version{Type: r4.TypePatient, ID: "a", Number: 1, Method: delta.Create}, JSON: []byte(`{"resourceType":"Patient","id":"a"}`)},
		{Version: delta.Version{Type: r4.TypePatient, ID: "a", Number: 2, Method: delta.Delete}},
	}
	if err := d.Commit(entries, nil); err != nil {
		t.Fatal(err)
	}
	// Open in this process, then in another one, as far as the check can tell.
	rep, err := fsck.Root(context.Background(), r, c, "", func(string) *delta.Store { return d })
	if err != nil || len(rep.Findings) > 0 || rep.Versions != 2 {
		t.Errorf("open here: %+v, %v", rep, err)
	}
	rep = check(t, r, c)
	expect(t, rep, fsck.Unchecked, "delta: another process writes to it")
	if !rep.OK() {
		t.Errorf("open elsewhere: %+v", rep)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if rep := check(t, r, c); len(rep.Findings) > 0 || rep.Versions != 2 {
		t.Errorf("closed: %+v", rep)
	}
	tables, err := filepath.Glob(filepath.Join(s.Dir(), "delta", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	text, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	text[20] ^= 1
	if err := os.WriteFile(tables[0], text, 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, check(t, r, c), fsck.Damage, "delta/"+filepath.Base(tables[0]))
}
