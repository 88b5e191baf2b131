package profiles_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/store/profiles"
	"github.com/fhirlake/fhirlake/store/root"
)

func open(t *testing.T, dir string, exclusive bool) *root.Root {
	t.Helper()
	r, err := root.Open(dir, root.Options{Exclusive: exclusive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func valueSet(url, version string) profile.Resource {
	return profile.Resource{
		Type: "ValueSet", URL: url, Version: version,
		JSON: []byte(`{"resourceType":"ValueSet","url":"` + url + `","version":"` + version + `"}`),
	}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, true)
	none, err := profiles.Load(r)
	if err != nil || none.Len() != 0 {
		t.Fatalf("a new root has %d definitions, %v", none.Len(), err)
	}
	list := []profile.Resource{valueSet("http://example.org/b", "1"), valueSet("http://example.org/a", "2"), valueSet("http://example.org/a", "1")}
	if err := profiles.Save(r, list); err != nil {
		t.Fatal(err)
	}
	got, err := profiles.Load(open(t, dir, false))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, res := range got.Resources() {
		names = append(names, res.Canonical())
	}
	if d := cmp.Diff([]string{"http://example.org/a|1", "http://example.org/a|2", "http://example.org/b|1"}, names); d != "" {
		t.Error(d)
	}
	file := filepath.Join(dir, "profiles", "definitions.ndjson.gz")
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list[0], list[2] = list[2], list[0]
	if err := profiles.Save(r, list); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(file); string(first) != string(second) {
		t.Error("another order gives another file")
	}
}

func TestOnlyTheOwnerSaves(t *testing.T) {
	if err := profiles.Save(open(t, t.TempDir(), false), nil); !errors.Is(err, profiles.ErrReadOnly) {
		t.Errorf("got %v", err)
	}
}

func TestADamagedFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, true)
	if err := profiles.Save(r, []profile.Resource{valueSet("http://example.org/a", "1")}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "profiles", "definitions.ndjson.gz")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text[:len(text)-12], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := profiles.Load(r); err == nil {
		t.Error("no error")
	}
}

func TestWhatDoesNotFitTheIndexIsDamage(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, true)
	if err := os.MkdirAll(filepath.Join(dir, "profiles"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another version": `{"resourceType":"fhirlake-definitions","version":2}` + "\n",
		"no index":        `{"resourceType":"ValueSet","url":"http://example.org/a"}` + "\n",
		"long line":       `{"resourceType":"fhirlake-definitions","version":1,"definitions":[{"type":"ValueSet","url":"u","bytes":99}]}` + "\n{}\n",
		"wrong length":    `{"resourceType":"fhirlake-definitions","version":1,"definitions":[{"type":"ValueSet","url":"u","bytes":1}]}` + "\n{}\n",
	} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "profiles", "definitions.ndjson.gz"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := profiles.Load(r); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
