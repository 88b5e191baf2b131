package parquet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

func TestContract(t *testing.T) {
	var text strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&text, `{"resourceType":"%s","id":"%d","language":"en"}`+"\n", []string{"Patient", "Person", "Device"}[i%3], i)
	}
	pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
		dir := t.TempDir()
		n := 0
		builder := snapshot.NewBuilder(dir, &snapshot.Manifest{}, func() string { n++; return fmt.Sprint(n) })
		return pipetest.SinkSetup{
			Sink:   parquet.New(builder, parquet.Options{GroupRows: 300, FileRows: 1000}),
			Result: pipetest.Files(dir),
		}
	}, func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", text.String(), 8<<10)
	}, parse.New(), shred.New())
}
