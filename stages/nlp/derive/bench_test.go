package derive_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/nlp/derive"
)

// BenchmarkStage derives four resources and a Linkage of each of 200 documents; the bytes are those of
// what is derived.
func BenchmarkStage(b *testing.B) {
	result := found(
		condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("fever", "SYMPTOM", 0.92, fever),
		mention("warfarin", "MEDICATION", "", 0.92, warfarin), condition("cough", "SYMPTOM NEGATION", 0.92, ""),
		condition("ear infection", "DIAGNOSIS PAST_HISTORY", 0.97, ""),
	)
	var lines []string
	for i := range 200 {
		lines = append(lines, strings.Replace(note, "note-1", fmt.Sprintf("note-%d", i), 1))
	}
	s := basics(b, nil)
	before, err := pipeline.NewChain(append(s, reads{result})...)
	if err != nil {
		b.Fatal(err)
	}
	chain, err := pipeline.NewChain(derive.New(derive.Options{Stages: s}))
	if err != nil {
		b.Fatal(err)
	}
	batch := batchOf(lines...)
	if err := before.Process(context.Background(), batch); err != nil {
		b.Fatal(err)
	}
	text, records, nodes, notes := len(batch.Data), len(batch.Records), len(batch.Tree.Nodes), *pipeline.Notes.Of(batch)
	of := append([]pipeline.NoteResult(nil), notes.Of...)
	b.ReportAllocs()
	for b.Loop() {
		batch.Data, batch.Records, batch.Tree.Nodes = batch.Data[:text], batch.Records[:records], batch.Tree.Nodes[:nodes]
		n := pipeline.Notes.Of(batch)
		n.Data = n.Data[:len(notes.Data)]
		copy(n.Of, of)
		if err := chain.Process(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if len(batch.Records) != 6*200 {
		b.Fatalf("%d records", len(batch.Records))
	}
	b.SetBytes(int64(len(batch.Data) - text))
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/200, "us/document")
}
