package ndjson

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
)

// splitInput is a batch of lines of the usual length (synthea: 1.4 KB).
func splitInput() *block {
	b := new(block)
	for len(b.data) < 1<<20 {
		b.data = fmt.Appendf(b.data, "{\"id\":\"pat-%d\",\"x\":\"%s\"}\n", len(b.data), bytes.Repeat([]byte("v"), 1400))
	}
	return b
}

func TestSplitAllocs(t *testing.T) {
	b := splitInput()
	file := new(pipeline.File)
	if n := testing.AllocsPerRun(10, func() {
		p := position{file: file, line: 1}
		b.records = b.records[:0]
		p.split(b, 0, 1<<20)
	}); n > 0 {
		t.Errorf("%v allocations for a batch, want none", n)
	}
}

func BenchmarkSplit(b *testing.B) {
	blk := splitInput()
	file := new(pipeline.File)
	b.SetBytes(int64(len(blk.data)))
	b.ReportAllocs()
	for b.Loop() {
		p := position{file: file, line: 1}
		blk.records = blk.records[:0]
		p.split(blk, 0, 1<<20)
	}
}
