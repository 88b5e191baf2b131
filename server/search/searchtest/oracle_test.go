package searchtest_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
)

var now = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// parse reads Type?query strictly.
func parse(t testing.TB, text string) *query.Query {
	t.Helper()
	typ, raw, _ := strings.Cut(text, "?")
	p := query.Parser{Parameters: search.R4(), Features: query.Near | query.ReferenceOrder | query.FirstStored}
	q, err := p.Parse(query.Request{
		Type: r4.ResourceTypeByName([]byte(typ)), Raw: []string{raw}, Strict: true, Now: now,
		Bases: []string{"http://localhost/r4/"},
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

// load makes a store of the files of a folder.
func load(t testing.TB, folder string) *searchtest.Store {
	t.Helper()
	s, err := searchtest.NewStore(search.R4())
	if err != nil {
		t.Fatal(err)
	}
	files := corpus.Files(t, folder)
	for i, name := range corpus.Names(files) {
		if err := s.Put(files[name], now.Add(time.Duration(i)*time.Minute).UnixMicro()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return s
}

// TestOracle counts what the searches of another server's tests find in its data.
func TestOracle(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads 134 MB")
	}
	table := corpus.Read(t, filepath.Join(corpus.Folder(t, "search-oracle"), "synthea-120.tsv"))
	s := load(t, corpus.Folder(t, "synthea-120"))
	if s.Len() != 92_114 {
		t.Fatalf("%d resources", s.Len())
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if fields[0] == "type" {
			continue
		}
		n++
		want, err := strconv.Atoi(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		text := fields[0] + "?" + fields[1]
		q := parse(t, text)
		found, err := s.Search(q)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != want {
			t.Errorf("%s finds %d, want %d", text, len(found), want)
		}
		for i := 1; i < len(found); i++ {
			if searchtest.Compare(q, found[i-1], found[i]) > 0 {
				t.Errorf("%s: %s comes after %s", text, found[i], found[i-1])
			}
		}
	}
	if n != 30 {
		t.Errorf("%d searches", n)
	}
}
