package profiles_test

import (
	"bufio"
	"bytes"
	"path/filepath"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

// record is a resource of NDJSON with what it claims.
type record struct {
	subject validate.Subject
	claims  []string
}

// records parses the NDJSON files of a folder, a tree for each file.
func records(tb testing.TB, folder string) (list []record, size int64) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(corpus.Folder(tb, folder), "*.ndjson.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range files {
		text := corpus.Read(tb, name)
		size += int64(len(text))
		t := &fhir.Tree{}
		t.Reset(text)
		p := parse.NewParser()
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, len(text)+1)
		start := 0
		for lines.Scan() {
			end := start + len(lines.Bytes())
			if res := p.Parse(t, uint32(start), uint32(end)); res.Root != fhir.NoNode {
				list = append(list, record{subject(t, res.Root), claimed(t, res.Root)})
			}
			start = end + 1
		}
	}
	return list, size
}

func usCore(tb testing.TB) *profiles.Set {
	tb.Helper()
	return profiles.NewSet(load(tb, filepath.Join(corpus.Folder(tb, "validation"), "us-core-3.1.0.ndjson.gz")))
}

// BenchmarkUSCore checks synthea-120, whose resources claim US Core profiles:
// the profiles alone, without parsing and base validation.
func BenchmarkUSCore(b *testing.B) {
	list, size := records(b, "synthea-120")
	c := profiles.NewChecker(usCore(b))
	issues := 0
	report := func(fhir.Issue) { issues++ }
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for i := range list {
			c.Check(list[i].subject, list[i].claims, report)
		}
	}
	b.ReportMetric(float64(issues)/float64(b.N), "issues/op")
	b.ReportMetric(b.Elapsed().Seconds()*1000/(float64(size)/1e6*float64(b.N)), "ms/MB")
}

// BenchmarkLoadUSCore reads the definitions, which are parsed, expanded and compiled
// as they are needed.
func BenchmarkLoadUSCore(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		usCore(b)
	}
}

// BenchmarkCompileUSCore reads the definitions and compiles them all.
func BenchmarkCompileUSCore(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if faults, _ := usCore(b).Check(); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}
