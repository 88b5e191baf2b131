package nlp_test

import (
	"encoding/csv"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// notes are the visit notes of the corpus aci-bench.
func notes(b testing.TB) []string {
	r := csv.NewReader(open(b, filepath.Join(testdata(b), "nlp/aci-bench/train.csv.gz")))
	rows, err := r.ReadAll()
	if err != nil {
		b.Fatal(err)
	}
	var out []string
	for i, name := range rows[0] {
		if name == "note" {
			for _, row := range rows[1:] {
				out = append(out, row[i])
			}
		}
	}
	if len(out) == 0 {
		b.Fatal("no column named note")
	}
	return out
}

// BenchmarkDetect is the whole stage without JSON over notes, with more than
// 100,000 terms.
func BenchmarkDetect(b *testing.B) {
	index := terminology.Compile(releases(b, icdOrder, icdList, icdTumor, icdDrugs, doid, symp))
	texts := notes(b)
	d := nlp.NewDetector(index)
	n, entities := 0, 0
	for _, s := range texts {
		n += len(s)
		entities += len(d.Detect([]byte(s)).Entities)
	}
	all := []byte(strings.Join(texts, ""))
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		rest := all
		for _, s := range texts {
			d.Detect(rest[:len(s)])
			rest = rest[len(s):]
		}
	}
	b.ReportMetric(float64(index.Len()), "terms")
	b.ReportMetric(float64(entities), "entities")
}

func BenchmarkCompile(b *testing.B) {
	terms := releases(b, icdOrder, icdList, icdTumor, icdDrugs, doid, symp)
	b.ReportAllocs()
	for b.Loop() {
		terminology.Compile(terms)
	}
	b.ReportMetric(float64(len(terms)), "terms")
}

func BenchmarkLoad(b *testing.B) {
	file := terminology.Compile(releases(b, icdOrder, icdList, icdTumor, icdDrugs, doid, symp)).Append(nil)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := terminology.Load(file); err != nil {
			b.Fatal(err)
		}
	}
}
