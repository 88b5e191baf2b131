package ndjson_test

import (
	"context"
	"io"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sources/ndjson"
)

func BenchmarkNext(b *testing.B) {
	text := manyLines(90_000, 2700, 1)
	for _, bb := range []struct {
		name string
		data []byte
	}{{"plain", []byte(text)}, {"gzip", gz(text)}, {"zstd", zst(text)}} {
		dir := b.TempDir()
		write(b, dir, "in.ndjson", bb.data)
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var batch pipeline.Batch
			for b.Loop() {
				src := open(b, ndjson.Options{}, dir)
				for {
					batch.Reset()
					if err := src.Next(context.Background(), &batch); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				src.Close()
			}
		})
	}
}
