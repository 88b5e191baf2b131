package ndjson_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/sources/ndjson"
)

func TestOpenErrors(t *testing.T) {
	const (
		any   = "; expected an NDJSON file, a folder with such files, a glob, s3://bucket/prefix, or - for standard input"
		names = "; expected files named *.ndjson, *.jsonl or *.json, or one of these with .gz or .zst"
	)
	dir := t.TempDir()
	t.Chdir(dir)
	os.Mkdir("empty", 0o777)
	write(t, ".", "one/notes.txt", nil)
	write(t, ".", "two/a.csv", nil)
	write(t, ".", "two/b/c.parquet", nil)
	write(t, ".", "two/.hidden.ndjson", nil)
	write(t, ".", "two/manifest.json", nil)
	os.Mkdir("link", 0o777)
	os.Symlink("nowhere", "link/dead.ndjson")
	tests := []struct {
		name  string
		in    []string
		want  string
		is    error
		setup func()
	}{
		{"none", nil, "input list: it is empty" + any, nil, nil},
		{"empty-name", []string{""}, `input "": the name is empty` + any, nil, nil},
		{"no-file", []string{"x.ndjson"}, "input x.ndjson: there is no such file or folder" + any, fs.ErrNotExist, nil},
		{"no-folder", []string{"x/y.ndjson"}, "input x/y.ndjson: there is no such file or folder, nor the folder x" + any, fs.ErrNotExist, nil},
		{"empty-folder", []string{"empty"}, "input empty: the folder is empty" + names, nil, nil},
		{"folder-one-other", []string{"one"}, "input one: the folder has only notes.txt" + names, nil, nil},
		{"folder-others", []string{"two"}, "input two: the folder has 3 other files, such as a.csv" + names, nil, nil},
		{"glob", []string{"one/*.ndjson"}, "input one/*.ndjson: the pattern matches no file" + any, fs.ErrNotExist, nil},
		{"bad-glob", []string{"[x"}, "input [x: the pattern is malformed; expected a glob such as data/*.ndjson", filepath.ErrBadPattern, nil},
		{"stdin", []string{"-"}, "input -: standard input is not there, or was given before" + any, nil, nil},
		{"dead-link", []string{"link"}, "input link/dead.ndjson: there is no such file or folder" + any, fs.ErrNotExist, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ndjson.Open(context.Background(), tt.in, ndjson.Options{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("error: %v\nwant:  %s", err, tt.want)
			}
			var ie *ndjson.InputError
			if !errors.As(err, &ie) {
				t.Errorf("error is a %T", err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error is not %v", tt.is)
			}
		})
	}
	t.Run("no-permission", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root may read everything")
		}
		write(t, ".", "secret.ndjson", nil)
		os.Chmod("secret.ndjson", 0)
		_, err := ndjson.Open(context.Background(), []string{"secret.ndjson"}, ndjson.Options{})
		if err == nil || err.Error() != "input secret.ndjson: no permission to read it; expected one that this user may read" {
			t.Error(err)
		}
	})
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"b.ndjson", "a/z.jsonl", "a/deep/Patient.ndjson.gz", "c.json", "d.NDJSON.zst", "e.ndjson.zstd",
		"notes.txt", ".git/x.ndjson", ".x.ndjson", "Manifest.json", "a/manifest.json", "f.gz",
		"manifest.ndjson", "a/log.ndjson",
	} {
		write(t, dir, name, []byte("{\"name\":\""+name+"\"}\n"))
	}
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	src := open(t, ndjson.Options{}, dir)
	got, err := readAll(t, src)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range got.Records {
		names = append(names, r.File)
		if !strings.Contains(r.Text, r.File) || r.Line != 1 || r.Offset != 0 {
			t.Errorf("%+v", r)
		}
	}
	want := []string{"a/deep/Patient.ndjson.gz", "a/z.jsonl", "b.ndjson", "d.NDJSON.zst", "e.ndjson.zstd"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if len(got.Batches) != 1 || src.Files() != 5 {
		t.Errorf("batches %v, %d files: small files share a batch", got.Batches, src.Files())
	}
	skipped := []string{"Manifest.json", "a/log.ndjson", "a/manifest.json", "manifest.ndjson", "c.json"}
	if d := cmp.Diff(skipped, src.Skipped()); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
	// A link to the folder, and a glob that gives a folder and a file.
	link := filepath.Join(t.TempDir(), "root")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(t, open(t, ndjson.Options{}, link)); err != nil || len(got.Records) != 5 {
		t.Errorf("by a link: %d records, %v", len(got.Records), err)
	}
	if got, err := readAll(t, open(t, ndjson.Options{}, filepath.Join(dir, "[ab]*"))); err != nil || len(got.Records) != 3 || got.Records[2].File != filepath.Join(dir, "b.ndjson") {
		t.Errorf("by a glob: %+v, %v", got.Records, err)
	}
}

func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Skip(err)
	}
	go func() { os.WriteFile(path, []byte("{}\n{}\n"), 0) }()
	got, err := readAll(t, open(t, ndjson.Options{}, path))
	if err != nil || len(got.Records) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
