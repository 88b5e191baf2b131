package profile_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

func definition(name string) string {
	return `{"resourceType":"ValueSet","url":"http://example.org/` + name + `","name":"` + name + `"}`
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped(t, b.Bytes())
}

func TestReadTakesFilesFoldersAndPackages(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one.json"), []byte("\n "+definition("one")))
	write(t, filepath.Join(dir, "deep/er/lines.ndjson.gz"), zipped(t, []byte(definition("two")+"\n\n"+definition("three")+"\n")))
	write(t, filepath.Join(dir, "bundle.json"), []byte(`{"resourceType":"Bundle","entry":[{"fullUrl":"urn:x"},{"resource":`+definition("four")+`},
		{"resource":{"resourceType":"Bundle","entry":[{"resource":`+definition("five")+`}]}},{"resource":{"resourceType":"Patient","name":[{"family":"N"}]}}]}`))
	write(t, filepath.Join(dir, "guide.tgz"), archive(t, map[string]string{
		"package/package.json": `{"name":"x","url":"http://example.org/no"}`, "package/ValueSet-six.json": definition("six"),
		"package/example/ValueSet-no.json": definition("no"), "package/.index.json": "{}", "package/notes.md": "#",
	}))
	write(t, filepath.Join(dir, "readme.txt"), []byte("no JSON"))
	write(t, filepath.Join(dir, "anonymous.json"), []byte(`{"resourceType":"Questionnaire"}`))
	var got []string
	err := profile.Read([]string{dir}, func(res profile.Resource) error {
		got = append(got, res.Name)
		if !strings.HasPrefix(res.File, dir) {
			t.Errorf("%s has the file %s", res.Name, res.File)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{"five", "four", "one", "six", "three", "two"}, got); d != "" {
		t.Error(d)
	}
}

func TestReadNamesWhatItCannotRead(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"cut text", "cut.json", `{"resourceType":"ValueSet","url":"http://e`, "cut.json: byte "},
		{"second line", "lines.ndjson", definition("a") + "\n{]\n", "lines.ndjson, resource 2: byte "},
		{"no url", "p.json", `{"resourceType":"StructureDefinition","id":"x"}`, "p.json: StructureDefinition : no url"},
		{"url is no string", "p.json", `{"resourceType":"ValueSet","url":7}`, "p.json: json: cannot unmarshal number"},
		{"cut package", "p.tgz", "\x1f\x8b\x08\x00", "p.tgz: "},
		{"bundles in bundles", "b.json", strings.Repeat(`{"resourceType":"Bundle","entry":[{"resource":`, 10) + "{}" + strings.Repeat("}]}", 10), "more than 8 levels"},
		{"no file", "", "", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), c.file)
			if c.file == "" {
				name = filepath.Join(name, "nowhere.json")
			} else {
				write(t, name, []byte(c.text))
			}
			err := profile.Read([]string{name}, func(profile.Resource) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s", err, c.want)
			}
		})
	}
}
