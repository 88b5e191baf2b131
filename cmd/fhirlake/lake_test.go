package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNotesAreReadWithTheDictionaryOfTheRoot(t *testing.T) {
	l, err := openRoot(&globals{root: t.TempDir()}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := func() (entities, version string) {
		t.Helper()
		p, err := l.readsNotes()
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.NewReader()
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Append(t.Context(), nil, []byte("She glorped."))
		if err != nil {
			t.Fatal(err)
		}
		_, version = p.Version()
		return string(out), version
	}
	before, first := read()
	words := filepath.Join(t.TempDir(), "words.tsv")
	if err := os.WriteFile(words, []byte("term\tcode\nglorped\t\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &session{note: func(text string) { t.Error(text) }, watch: func(func() progress) func() { return func() {} }}
	if _, err := importTerminologyWork.do(t.Context(), l, s, terminologyImport{Files: []string{words}}); err != nil {
		t.Fatal(err)
	}
	after, second := read()
	if before != "" || !strings.Contains(after, `"text":"glorped"`) || first == second {
		t.Errorf("version %s gave %q, version %s %q", first, before, second, after)
	}
}
