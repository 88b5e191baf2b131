package dictionary_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/server/dictionary"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, glob string // the file that is harmed
		harm       func(t *testing.T, file string)
		want       string
		leftover   bool
	}{
		{"whole", "", nil, "", false},
		{"flipped terms", "terms-*", flip, "the terms of glorps in", false},
		{"flipped index", "index-*", flip, "no terminology index of this version: checksum; the next owner of the root makes it again", false},
		{"flipped list", "sources.json", func(t *testing.T, file string) {
			t.Helper()
			if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "is damaged", false},
		{"no terms", "terms-*", remove, "no such file", false},
		{"no index", "index-*", remove, "no such file", false},
		{"another file", "sources.json", func(t *testing.T, file string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), "terms-99.tsv.zst"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "no list names it", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := openRoot(t, dir, true)
			importAll(t, open(t, r), "glorps.tsv", glorps)
			if c.harm != nil {
				found, err := filepath.Glob(filepath.Join(dir, "terminology", c.glob))
				if err != nil || len(found) != 1 {
					t.Fatalf("found %v, error %v", found, err)
				}
				c.harm(t, found[0])
			}
			got := dictionary.Check(r)
			if c.want == "" {
				if len(got.Faults) != 0 || got.Files != 3 || got.Bytes == 0 {
					t.Errorf("got %+v", got)
				}
				return
			}
			if len(got.Faults) != 1 || !strings.Contains(got.Faults[0].Err.Error(), c.want) || got.Faults[0].Leftover != c.leftover {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
}

func flip(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
