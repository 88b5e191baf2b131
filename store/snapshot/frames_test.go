package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// writeResources makes a resources file with the given lines to a frame.
func writeResources(t *testing.T, dir, rel string, frames [][]string) {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []byte
	var table []Frame
	for _, lines := range frames {
		var text []byte
		for _, l := range lines {
			text = append(append(text, l...), '\n')
		}
		c := z.EncodeAll(text, nil)
		out = append(out, c...)
		table = append(table, Frame{Compressed: uint32(len(c)), Uncompressed: uint32(len(text)), Rows: uint32(len(lines))})
	}
	out = AppendFrameTables(out, table)
	if err := os.WriteFile(filepath.Join(dir, rel), out, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestResourcesGiveEveryRow(t *testing.T) {
	dir := t.TempDir()
	frames := [][]string{{"a", "bb", ""}, {"only"}, {"x", "yy", "zzz", "wwww"}}
	writeResources(t, dir, "r.ndjson.zst", frames)
	r, err := OpenResources(dir, "r.ndjson.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d, err := NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var want []string
	for _, f := range frames {
		want = append(want, f...)
	}
	if r.Rows() != int64(len(want)) {
		t.Fatalf("Rows = %d, want %d", r.Rows(), len(want))
	}
	for _, row := range []int64{7, 0, 3, 2, 4, 1, 6, 5} {
		if got, err := d.Line(r, row); err != nil || string(got) != want[row] {
			t.Errorf("Line(%d) = %q, %v, want %q", row, got, err, want[row])
		}
	}
	if _, err := d.Line(r, int64(len(want))); err == nil {
		t.Error("a row past the end was found")
	}
	var all []string
	err = d.Each(r, func(row int64, line []byte) error {
		all = append(all, fmt.Sprintf("%d:%s", row, line))
		return nil
	})
	if err != nil || len(all) != len(want) || all[7] != "7:wwww" {
		t.Errorf("Each gave %q, %v", all, err)
	}
}

func TestResourcesAreAnOpenFormat(t *testing.T) {
	dir := t.TempDir()
	writeResources(t, dir, "r.ndjson.zst", [][]string{{`{"a":1}`}, {`{"b":2}`, `{"c":3}`}})
	b, err := os.ReadFile(filepath.Join(dir, "r.ndjson.zst"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	got, err := io.ReadAll(z)
	if want := "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"; err != nil || string(got) != want {
		t.Errorf("a plain zstd reader sees %q, %v, want %q", got, err, want)
	}
}

func TestOpenResourcesRefusesDamage(t *testing.T) {
	dir := t.TempDir()
	writeResources(t, dir, "good", [][]string{{"a"}, {"b"}})
	good, err := os.ReadFile(filepath.Join(dir, "good"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty":     nil,
		"cut short": good[:len(good)-3],
		"cut front": good[4:],
	} {
		if err := os.WriteFile(filepath.Join(dir, "bad"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := OpenResources(dir, "bad"); err == nil {
			r.Close()
			t.Errorf("%s: OpenResources took it", name)
		}
	}
}
