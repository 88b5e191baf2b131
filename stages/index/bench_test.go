package index_test

import (
	"context"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// batches parses NDJSON in batches of about 1 MiB, as sources make them, or in batches
// of one record.
func batches(tb testing.TB, data []byte, one bool) (list []*pipeline.Batch) {
	tb.Helper()
	b := &pipeline.Batch{}
	corpus.EachLine(data, func(line int, s, e uint32) {
		if len(b.Data) > 1<<20 || one && len(b.Records) > 0 {
			list, b = append(list, b), &pipeline.Batch{}
		}
		start := uint32(len(b.Data))
		b.Data = append(append(b.Data, data[s:e]...), '\n')
		b.Records = append(b.Records, pipeline.Record{Line: int64(line), Start: start, End: start + e - s, Entry: -1})
	})
	list = append(list, b)
	c, err := pipeline.NewChain(parse.New())
	if err != nil {
		tb.Fatal(err)
	}
	for _, b := range list {
		b.Pad()
		if err := c.Process(context.Background(), b); err != nil {
			tb.Fatal(err)
		}
	}
	return list
}

func benchmark(b *testing.B, only string, one bool) {
	data := corpus.Files(b, corpus.Folder(b, "synthea-120"))
	if only != "" {
		data = map[string][]byte{only: data[only]}
	}
	w, err := index.New(search.R4()).NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	var list []*pipeline.Batch
	size, records := int64(0), 0
	for _, name := range corpus.Names(data) {
		file := data[name]
		if one && len(file) > 8<<20 {
			file = file[:8<<20]
			for file[len(file)-1] != '\n' {
				file = file[:len(file)-1]
			}
		}
		list = append(list, batches(b, file, one)...)
		size += int64(len(file))
	}
	for _, batch := range list {
		records += len(batch.Records)
	}
	process := func() {
		for _, batch := range list {
			if err := w.Process(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	process() // batches are used again, with the memory that they have
	b.SetBytes(size)
	b.ReportAllocs()
	rows, texts := 0, 0
	for b.Loop() {
		process()
	}
	for _, batch := range list {
		v := pipeline.SearchValues.Of(batch)
		rows += v.Len()
		texts += v.Size()
	}
	megabytes := float64(size) / 1e6
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N)/megabytes, "ms/MB")
	b.ReportMetric(float64(rows)/float64(records), "rows/record")
	b.ReportMetric(float64(texts)/float64(records), "B/record")
}

func BenchmarkSynthea(b *testing.B) { benchmark(b, "", false) }

// BenchmarkOne has a batch for each record, as a REST write does.
func BenchmarkOne(b *testing.B) { benchmark(b, "Observation", true) }

func BenchmarkType(b *testing.B) {
	for _, typ := range []string{"Observation", "ExplanationOfBenefit", "Claim", "DiagnosticReport", "DocumentReference", "Provenance", "Encounter", "Patient"} {
		b.Run(typ, func(b *testing.B) { benchmark(b, typ, false) })
	}
}
