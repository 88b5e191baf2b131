package validate_test

import (
	"context"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
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

// benchmarkSet measures parse and validate together, and validate alone: ms/MB is
// what it costs of one core.
func benchmarkSet(b *testing.B, set, only string) {
	data := corpus.Files(b, corpus.Folder(b, set))
	if only != "" {
		data = map[string][]byte{only: data[only]}
	}
	list, size := batches(data)
	p, err := parse.New().NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	stage, err := validate.New(validate.Options{})
	if err != nil {
		b.Fatal(err)
	}
	w, err := stage.NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	run := func(w pipeline.Worker, batch *pipeline.Batch) {
		if err := w.Process(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	fresh := func(batch *pipeline.Batch) {
		batch.Issues = batch.Issues[:0]
		for i := range batch.Records {
			batch.Records[i].Status = pipeline.Pending
		}
	}
	b.Run("with-parse", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		tree := list[0].Tree // one for all, as the runner's few batches do
		for b.Loop() {
			for _, batch := range list {
				batch.Tree = tree
				fresh(batch)
				run(p, batch)
				run(w, batch)
				tree = batch.Tree
			}
		}
	})
	b.Run("alone", func(b *testing.B) {
		for i, batch := range list {
			batch.Tree.Nodes = nil
			fresh(batch)
			run(p, list[i])
		}
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			for _, batch := range list {
				fresh(batch)
				run(w, batch)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()*1e3/(float64(b.N)*float64(size)/1e6), "ms/MB")
	})
}

func BenchmarkSynthea(b *testing.B)  { benchmarkSet(b, "synthea-120", "") }
func BenchmarkExamples(b *testing.B) { benchmarkSet(b, "r4-examples", "") }

func BenchmarkType(b *testing.B) {
	for _, typ := range []string{"Observation", "ExplanationOfBenefit", "Claim", "DiagnosticReport", "Provenance", "Encounter", "Patient"} {
		b.Run(typ, func(b *testing.B) { benchmarkSet(b, "synthea-120", typ) })
	}
	for _, typ := range []string{"StructureDefinition", "ValueSet", "CodeSystem", "DiagnosticReport", "Bundle", "SearchParameter"} {
		b.Run("examples/"+typ, func(b *testing.B) { benchmarkSet(b, "r4-examples", typ) })
	}
}
