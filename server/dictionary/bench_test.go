package dictionary_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/fhirlake/fhirlake/server/dictionary"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
)

// public are the releases of the data for tests that may be had by everybody.
func public(b *testing.B) []release.Release {
	dir := os.Getenv("FHIRLAKE_TESTDATA")
	if dir == "" {
		b.Skip("FHIRLAKE_TESTDATA is not set: it names the folder with the terminologies")
	}
	var names []string
	for _, n := range []string{"icd10cm-order-Jan-2021.txt", "icd10cm_tabular_2021.xml", "icd10cm_neoplasm_2019.xml", "icd10cm_drug_2019.xml", "doid-2016-09-01.obo", "symp.obo"} {
		names = append(names, filepath.Join(dir, "terminology", n+".gz"))
	}
	found, err := release.Find(names, "")
	if err != nil {
		b.Fatal(err)
	}
	return found
}

// BenchmarkOpen opens the dictionary of a root with more than 100,000 terms, as a command does.
func BenchmarkOpen(b *testing.B) {
	r := openRoot(b, b.TempDir(), true)
	if _, err := open(b, r).Import(context.Background(), public(b), when, nil); err != nil {
		b.Fatal(err)
	}
	var d *dictionary.Dictionary
	b.ReportAllocs()
	for b.Loop() {
		d = open(b, r)
	}
	b.ReportMetric(float64(d.Current().Len()), "terms")
}

// BenchmarkCurrent is what a reader of texts asks for each of them.
func BenchmarkCurrent(b *testing.B) {
	d := open(b, openRoot(b, b.TempDir(), false))
	b.ReportAllocs()
	for b.Loop() {
		d.Current()
	}
}

// BenchmarkImport reads, keeps and compiles the releases.
func BenchmarkImport(b *testing.B) {
	found := public(b)
	d := open(b, openRoot(b, b.TempDir(), true))
	b.ReportAllocs()
	terms := 0
	for b.Loop() {
		added, err := d.Import(context.Background(), found, when, nil)
		if err != nil {
			b.Fatal(err)
		}
		terms = 0
		for _, s := range added {
			terms += s.Terms
		}
	}
	b.ReportMetric(float64(terms), "terms")
}
