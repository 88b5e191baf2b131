package parquet_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/stages/shred"
)

// synthea gives synthea-120 as parsed batches of 1 MiB, and its size.
func synthea(b *testing.B) (all []*pipeline.Batch, size int64) {
	files := testdata(b, "synthea-120")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := append(bytes.TrimSpace(files[name]), '\n')
		size += int64(len(text))
		all = append(all, batches(b, text, 1<<20)...)
	}
	return all, size
}

func shredAll(b *testing.B, all []*pipeline.Batch, keep bool) {
	worker, err := shred.New().NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range all {
		if err := worker.Process(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		if !keep {
			batch.Columns = batch.Columns[:0]
		}
	}
}

func BenchmarkShred(b *testing.B) {
	all, size := synthea(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		shredAll(b, all, false)
	}
}

func BenchmarkEncode(b *testing.B) {
	all, size := synthea(b)
	b.SetBytes(size)
	b.ReportAllocs()
	var st *store
	for b.Loop() {
		b.StopTimer()
		shredAll(b, all, true)
		st = newStore(b, parquet.Options{})
		run := inOrder(b)
		b.StartTimer()
		for _, batch := range all {
			tasks, err := st.sink.Write(context.Background(), batch)
			if err != nil {
				b.Fatal(err)
			}
			run(tasks)
		}
		st.finish(b, run)
	}
	var disk int64
	for _, s := range st.builder.Segments() {
		disk += s.Columns.Bytes
		b.Logf("%-26s %7d rows %9d bytes", s.ResourceType, s.Rows, s.Columns.Bytes)
	}
	b.ReportMetric(float64(disk)/1e6, "disk-MB")
}
