package entities_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// batches gives the documents of synthea-120 as parsed batches with what the core lexicon
// finds in them, 20 in a batch: a MB of NDJSON of all types has about as many.
func batches(b *testing.B) []*pipeline.Batch {
	text := corpus.Files(b, corpus.Folder(b, "synthea-120"))["DocumentReference"]
	detector := nlp.NewDetector(terminology.Compile(nlp.CoreTerms()))
	parser, err := parse.New().NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	var all []*pipeline.Batch
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for len(lines) > 0 {
		n := min(20, len(lines))
		batch := &pipeline.Batch{Data: bytes.Join(lines[:n], []byte("\n")), Seq: int64(len(all))}
		batch.Pad()
		at := 0
		for _, l := range lines[:n] {
			batch.Records = append(batch.Records, pipeline.Record{Start: uint32(at), End: uint32(at + len(l)), Version: 1, Entry: -1})
			at += len(l) + 1
		}
		found := pipeline.Notes.Of(batch)
		for i, l := range lines[:n] {
			start := len(found.Data)
			found.Data = append(appendResult(b, found.Data, detector, l), '\n')
			found.Of = append(found.Of, pipeline.NoteResult{Record: i, Start: uint32(start), End: uint32(len(found.Data))})
		}
		if err := parser.Process(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		all, lines = append(all, batch), lines[n:]
	}
	return all
}

// appendResult appends what is found in the first text of a document.
func appendResult(b *testing.B, dst []byte, d *nlp.Detector, line []byte) []byte {
	var doc struct {
		Content []struct{ Attachment struct{ Data string } }
	}
	if err := json.Unmarshal(line, &doc); err != nil {
		b.Fatal(err)
	}
	text, err := base64.StdEncoding.DecodeString(doc.Content[0].Attachment.Data)
	if err != nil {
		b.Fatal(err)
	}
	dst = append(dst, `{"engine":"1","dictionary":"1","texts":[{"path":"content[0].attachment","status":"SUCCESS","entities":[`...)
	return append(d.Detect(text).AppendEntities(dst, 0), `]}]}`...)
}

// BenchmarkRows makes entity rows of annotations and a file of them: read is what of it
// reading the annotations alone takes, pieces what is done on the workers for each batch,
// all with encoding.
func BenchmarkRows(b *testing.B) {
	all := batches(b)
	size := int64(0)
	for _, batch := range all {
		size += int64(len(pipeline.Notes.Of(batch).Data))
	}
	shredder, err := shred.New().NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	rows := int64(0)
	perRow := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
	}
	run := func(b *testing.B, tasks []pipeline.Task, err error) {
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range tasks {
			if t.Run != nil {
				if err := t.Run(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			if err := t.Done(); err != nil {
				b.Fatal(err)
			}
		}
	}
	full := func(b *testing.B) {
		ctx := context.Background()
		b.SetBytes(size)
		b.ReportAllocs()
		disk := int64(0)
		for b.Loop() {
			b.StopTimer()
			s := newBoth(b.TempDir(), parquet.Options{}, entities.Options{})
			maker, err := s.Prepare().NewWorker()
			if err != nil {
				b.Fatal(err)
			}
			for _, batch := range all {
				if err := shredder.Process(ctx, batch); err != nil {
					b.Fatal(err)
				}
				tasks, err := s.columns.Write(ctx, batch)
				run(b, tasks, err)
			}
			tasks, err := s.columns.Flush(ctx)
			run(b, tasks, err)
			b.StartTimer()
			for _, batch := range all {
				if err := maker.Process(ctx, batch); err != nil {
					b.Fatal(err)
				}
				tasks, err := s.Sink.Write(ctx, batch)
				run(b, tasks, err)
			}
			tasks, err = s.Sink.Flush(ctx)
			run(b, tasks, err)
			b.StopTimer()
			if err := s.Commit(ctx); err != nil {
				b.Fatal(err)
			}
			a := s.builder.Segments()[0].Annotation(snapshot.Entities)
			rows, disk = a.Rows, a.File.Bytes
			b.StartTimer()
		}
		perRow(b)
		b.ReportMetric(float64(rows), "rows")
		b.ReportMetric(float64(disk)/float64(rows), "disk-B/row")
	}
	b.Run("all", full)
	b.Run("read", func(b *testing.B) {
		var r entity.Reader
		b.SetBytes(size)
		for b.Loop() {
			for _, batch := range all {
				notes := pipeline.Notes.Of(batch)
				for _, n := range notes.Of {
					if _, err := r.Read(notes.Data[n.Start:n.End]); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
		perRow(b)
	})
	b.Run("pieces", func(b *testing.B) {
		maker, err := (entities.Sink{}).Prepare().NewWorker()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			for _, batch := range all {
				if err := maker.Process(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
		}
		perRow(b)
	})
}
