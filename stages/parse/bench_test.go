package parse_test

import (
	"context"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// batches cuts data into batches of about 1 MiB, as sources do.
func batches(data map[string][]byte) (list []*pipeline.Batch, size int64) {
	for _, name := range corpus.Names(data) {
		b := &pipeline.Batch{}
		corpus.EachLine(data[name], func(line int, s, e uint32) {
			if len(b.Data) > 1<<20 {
				list = append(list, b)
				b = &pipeline.Batch{}
			}
			start := uint32(len(b.Data))
			b.Data = append(append(b.Data, data[name][s:e]...), '\n')
			b.Records = append(b.Records, pipeline.Record{Line: int64(line), Start: start, End: start + e - s, Entry: -1})
		})
		size += int64(len(data[name]))
		list = append(list, b)
	}
	return list, size
}

func benchmarkSet(b *testing.B, set, only string) {
	data := corpus.Files(b, corpus.Folder(b, set))
	if only != "" {
		data = map[string][]byte{only: data[only]}
	}
	list, size := batches(data)
	w, err := parse.New().NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	tree := list[0].Tree
	records := 0
	for _, batch := range list {
		records += len(batch.Records)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, batch := range list {
			batch.Tree = tree // one tree for all, as the runner's few batches do
			batch.Issues = batch.Issues[:0]
			if err := w.Process(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
			tree = batch.Tree
			for i := range batch.Records {
				batch.Records[i].Status = pipeline.Pending
			}
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkSynthea(b *testing.B)  { benchmarkSet(b, "synthea-120", "") }
func BenchmarkExamples(b *testing.B) { benchmarkSet(b, "r4-examples", "") }

func BenchmarkType(b *testing.B) {
	for _, typ := range []string{"Observation", "ExplanationOfBenefit", "Claim", "DiagnosticReport", "DocumentReference", "Provenance", "Encounter", "Patient"} {
		b.Run(typ, func(b *testing.B) { benchmarkSet(b, "synthea-120", typ) })
	}
}
